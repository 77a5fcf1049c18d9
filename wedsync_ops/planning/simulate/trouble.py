"""What goes wrong in a simulation: providers that are down, handlers that are slow, workers that die. Pure."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from wedsync_ops.planning.simulate.model import Faults, Kind, Outage, Slow

_Span = TypeVar("_Span", Outage, Slow)


class Trouble:
    """Tells how an attempt goes that begins at an instant."""

    def __init__(self, faults: Faults, kinds: Mapping[str, Kind]) -> None:
        self._outages = {name: _of(faults.outages, name, kind) for name, kind in kinds.items()}
        self._slow = {name: _of(faults.slow, name, kind) for name, kind in kinds.items()}
        self._is_calm = not faults.outages and not faults.slow

    def takes_us(self, module_type: str, duration_us: int, now: int) -> int:
        """How long the attempt takes."""
        if self._is_calm:
            return duration_us
        factor = max((one.factor for one in self._slow[module_type] if one.since <= now < one.until), default=1.0)
        return duration_us if factor == 1.0 else round(duration_us * factor)

    def is_down(self, module_type: str, now: int) -> bool:
        """Whether the attempt fails whatever it does."""
        return not self._is_calm and any(one.since <= now < one.until for one in self._outages[module_type])


def _of(spans: Sequence[_Span], name: str, kind: Kind) -> list[_Span]:
    return [one for one in spans if one.name in (name, kind.definition.provider)]
