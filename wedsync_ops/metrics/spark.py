"""Figures as a line of blocks. Pure."""

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-~=+*#"


def spark(values: Sequence[float | None], *, top: float | None = None, ascii_only: bool = False) -> str:
    """One character for each value, its height against the highest (at least ``top``); a space for an unknown one."""
    blocks = _ASCII if ascii_only else _BLOCKS
    highest = max([value for value in values if value is not None] + [top or 0.0], default=0.0)
    return "".join(" " if value is None else _block(value, highest, blocks) for value in values)


def _block(value: float, highest: float, blocks: str) -> str:
    if value <= 0 or highest <= 0:
        return blocks[0]
    return blocks[min(len(blocks) - 1, 1 + int(value / highest * (len(blocks) - 1) - 1e-9))]
