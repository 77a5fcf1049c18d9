"""The change freeze: whether a change must wait for weddings that are near. Pure.

A wedding date cannot be moved. From ``freeze_days`` days before a wedding until its day is over, a change that could
keep its open jobs from being done is refused, unless somebody takes it on themselves and says why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from wedsync_ops.instants import local_date, local_midnight

NAMED = 5
"""How many weddings a refusal names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A wedding that may be near, with its open jobs that a change would touch."""

    wedding_on: date
    zone: ZoneInfo
    client_id: str | None
    jobs: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """Why a change has to wait: the weddings, the soonest first, and the instant at which the last of them is over."""

    weddings: tuple[Near, ...]
    until: int

    @property
    def named(self) -> tuple[str, ...]:
        """The soonest weddings in words."""
        return tuple(_named(one) for one in self.weddings[:NAMED])

    @property
    def words(self) -> str:
        """The weddings in words."""
        more = len(self.weddings) - NAMED
        return "; ".join(self.named) + (f"; and {more} more" if more > 0 else "")


def _named(one: Near) -> str:
    jobs = f"{one.jobs} open {'job' if one.jobs == 1 else 'jobs'}"
    return f"{one.wedding_on} ({one.client_id or 'unknown couple'}, {jobs})"


def frozen(now: int, days: int, several: Iterable[Near]) -> Frozen | None:
    """Whether changes are frozen at an instant for weddings within so many days; ``None`` when they are not."""
    near = [one for one in several if one.jobs and 0 <= (one.wedding_on - local_date(now, one.zone)).days <= days]
    if days < 0 or not near:
        return None
    ordered = sorted(near, key=lambda one: (one.wedding_on, one.client_id or ""))
    return Frozen(tuple(ordered), max(over_at(one) for one in ordered))


def over_at(wedding: Near) -> int:
    """When a wedding's day is over, in its own zone."""
    return local_midnight(wedding.wedding_on + timedelta(days=1), wedding.zone)


def days_to_look_at(now: int, days: int) -> tuple[date, date]:
    """The first and the last date that a near wedding can have, in whatever zone."""
    today = local_date(now, ZoneInfo("UTC"))
    return today - timedelta(days=1), today + timedelta(days=days + 1)


def together(several: Sequence[Near]) -> tuple[Near, ...]:
    """One entry for each wedding: its jobs added up."""
    found: dict[tuple[date, str | None], Near] = {}
    for one in several:
        key = (one.wedding_on, one.client_id)
        known = found.get(key)
        jobs = one.jobs + (known.jobs if known else 0)
        found[key] = Near(wedding_on=one.wedding_on, zone=one.zone, client_id=one.client_id, jobs=jobs)
    return tuple(found.values())
