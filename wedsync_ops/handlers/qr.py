"""QR codes of links, as pictures that stand alone."""

import zlib
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from wedsync_ops.handlers.attachments import Attachment

if TYPE_CHECKING:
    from segno import QRCode

_SCALE = 6
_BORDER = 4
_MASK = 3


@lru_cache(maxsize=256)
def pictures(link: str, name: str) -> tuple[Attachment, Attachment]:
    """The QR code (ISO/IEC 18004, error correction M or better: 15 %) of a link, as ``name``.png and ``name``.svg.

    The mask is a fixed one: readers take any, and comparing all eight takes four times as long as the code itself.
    """
    import segno

    code = segno.make(link, error="m", micro=False, mask=_MASK)
    svg = BytesIO()
    code.save(svg, kind="svg", scale=_SCALE, border=_BORDER, title=name)
    return (
        Attachment(f"{name}.png", "image/png", _png(code)),
        Attachment(f"{name}.svg", "image/svg+xml", svg.getvalue()),
    )


def _png(code: "QRCode") -> bytes:
    """The code as a PNG (ISO/IEC 15948) of one bit a dot, without filters: a tenth of the time that segno takes."""
    size = (len(code.matrix) + 2 * _BORDER) * _SCALE
    quiet = "1" * (_BORDER * _SCALE)
    rows = ["1" * size] * (_BORDER * _SCALE)
    for modules in code.matrix:
        dark = "".join("0" * _SCALE if module & 1 else "1" * _SCALE for module in modules)
        rows += [f"{quiet}{dark}{quiet}"] * _SCALE
    rows += ["1" * size] * (_BORDER * _SCALE)
    width = -(-size // 8)
    lines = b"".join(b"\0" + int(row.ljust(width * 8, "0"), 2).to_bytes(width, "big") for row in rows)
    header = size.to_bytes(4, "big") * 2 + bytes((1, 0, 0, 0, 0))  # one bit of grey
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
