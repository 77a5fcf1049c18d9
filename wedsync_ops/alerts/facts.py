"""What rules are judged by: the state of the platform at one moment, as frozen values. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from wedsync_ops.alerts.model import Wedding


class Sums(NamedTuple):
    """Executions that ran to an end, added up; lengths in µs. ``week`` are those 0 to 7 days before a wedding."""

    ran: int = 0
    failed: int = 0
    week_ran: int = 0
    week_failed: int = 0
    week_us: int = 0
    total_us: int = 0
    longest_us: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        added = Sums._make(mine + theirs for mine, theirs in zip(self, other, strict=True))
        return added._replace(longest_us=max(self.longest_us, other.longest_us))


NOTHING = Sums()


class Point(NamedTuple):
    """The executions of a module type that finished from an instant on, for the length of a minute or an hour.

    ``rows`` counts all that ended, lost and cancelled ones, too; 0 where nobody asks.
    """

    module_type: str
    from_at: int
    sums: Sums
    rows: int = 0


class Targets(NamedTuple):
    """What a module type is held to: percent, ms, executions per minute (``None`` where it has no such target).

    One that is not used any more is watched only as long as something of it is left.
    """

    error_rate: float
    execution_ms: float
    throughput: float | None
    is_used: bool = True


class SilentWorker(NamedTuple):
    """A worker that died or gives no sign of life: its name, its host, its last heartbeat, and which of both it is."""

    name: str
    host: str
    heartbeat_at: int
    died: bool


class Usual(NamedTuple):
    """What an hour of the week usually is: per minute, percent, ms; one value for each week that was measured."""

    volume: tuple[float, ...] = ()
    error_rate: tuple[float, ...] = ()
    execution_ms: tuple[float, ...] = ()


class Ended(NamedTuple):
    """Jobs that ended badly: how many expired unstarted, how many were quarantined."""

    expired: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The platform at ``now``. ``windows`` and ``ended`` have an entry for each length (µs) that a rule asks for.

    ``waiting`` is how many jobs of each module type wait; ``slots`` those of living workers; ``late`` how many µs the
    fires of schedules have been due, ``webhook`` the failures in a row and the last error. ``broken`` is how many jobs
    of each module type wait whose last safe moment is over.
    """

    now: int
    modules: Mapping[str, Targets]
    windows: Mapping[int, Mapping[str, Sums]]
    ended: Mapping[int, Mapping[str, Ended]] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    workers: int = 0
    slots: int = 0
    silent: tuple[SilentWorker, ...] = ()
    late: Mapping[str, int] = field(default_factory=dict)
    webhook: tuple[int, str | None] = (0, None)
    broken: Mapping[str, int] = field(default_factory=dict)
    usual: Mapping[str, Usual] = field(default_factory=dict)

    def sums(self, length_us: int, module_type: str | None) -> Sums:
        """The executions of a window, of one module type or of all."""
        window = self.windows.get(length_us, {})
        return total(window.values()) if module_type is None else window.get(module_type, NOTHING)

    def jobs_ended(self, length_us: int, module_type: str | None) -> Ended:
        """The jobs of a window that ended badly, of one module type or of all."""
        window = self.ended.get(length_us, {})
        if module_type is not None:
            return window.get(module_type, Ended())
        return Ended(sum(one.expired for one in window.values()), sum(one.quarantined for one in window.values()))

    def queue(self, module_type: str | None) -> int:
        """How many jobs wait, of one module type or of all."""
        return sum(self.waiting.values()) if module_type is None else self.waiting.get(module_type, 0)


def total(several: Iterable[Sums]) -> Sums:
    """All of them together."""
    added = NOTHING
    for one in several:
        added = added.plus(one)
    return added


def by_span(points: Iterable[Point], span_us: int) -> list[Point]:
    """Points added up to longer ones."""
    found: dict[tuple[str, int], Sums] = {}
    for point in points:
        place = (point.module_type, point.from_at // span_us * span_us)
        found[place] = found.get(place, NOTHING).plus(point.sums)
    return [Point(*place, sums) for place, sums in found.items()]


def windows_of(points: Iterable[Point], now: int, lengths: Iterable[int]) -> Mapping[int, Mapping[str, Sums]]:
    """The sums of every window that ends at ``now``, from points; one belongs to it when it starts within it."""
    found: dict[int, dict[str, Sums]] = {length: {} for length in lengths}
    for point in points:
        for length, window in found.items():
            if point.sums.ran and now - length <= point.from_at < now:
                window[point.module_type] = window.get(point.module_type, NOTHING).plus(point.sums)
    return found


Affected = Mapping[str, tuple[Wedding, ...]]
"""The weddings that an alert is about, by the alert's key."""
