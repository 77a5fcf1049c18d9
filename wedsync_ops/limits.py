"""Limits on what may start: so many at once, at such a rate, or so many in a window; each for whom it counts.

A limit is data, from the setting ``limits``. Pure: what it allows is decided from its gauge and the moment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from wedsync_ops.errors import quoted
from wedsync_ops.instants import DAY, MINUTE, SECOND

PER = ("all", "module", "provider", "supplier", "client", "vendor_type")
"""What a limit may count apart: everything together, or each module type, provider, supplier, client or vendor type."""
PAUSE = "pause"
"""Holds the jobs of a paused supplier; no limit may be called so."""
MOST = 1_000_000
"""The largest count of a limit."""
_KINDS = ("concurrent", "rate", "window")
_KEYS = frozenset({"name", "modules", "providers", "per", "burst", *_KINDS})
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_RATE = re.compile(r"([1-9][0-9]{0,6})\s*/\s*([1-9][0-9]{0,4})?\s*(s|m|h|d)")
_UNITS = {"s": SECOND, "m": MINUTE, "h": 60 * MINUTE, "d": DAY}
_LONGEST_US = 366 * DAY
_NOBODY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much may start: ``count`` at once, or in every ``span_us`` microseconds.

    A rate is even: a bucket of ``burst`` that fills with ``count`` in each span. A window allows ``count`` starts from
    each multiple of its span (since the epoch, in UTC) to the next.
    """

    name: str
    kind: str
    count: int
    span_us: int = 0
    burst: int = 1
    per: str = "all"
    modules: frozenset[str] | None = None
    providers: frozenset[str] | None = None

    def covers(self, module_type: str, provider: str | None = None) -> bool:
        """Whether the limit holds for jobs of a module type, which delivers over a provider or over none."""
        if provider is None and (self.per == "provider" or self.providers is not None):
            return False
        if self.providers is not None and provider not in self.providers:
            return False
        return self.modules is None or module_type in self.modules

    def key_of(self, subject: "Subject") -> str:
        """For whom a job counts."""
        if self.per == "all":
            return _NOBODY
        return {
            "module": subject.module_type,
            "provider": subject.provider or _NOBODY,
            "supplier": subject.supplier_id or _NOBODY,
            "client": subject.client_id or _NOBODY,
            "vendor_type": subject.vendor_type or _NOBODY,
        }[self.per]

    @property
    def words(self) -> str:
        """The limit as people write it, such as ``100/60s for each supplier``."""
        what = f"{self.count} at once" if self.kind == "concurrent" else f"{self.count} in {self.span_us // SECOND} s"
        return what if self.per == "all" else f"{what} for each {self.per.replace('_', ' ')}"


class Subject(NamedTuple):
    """What of a job says for whom it counts."""

    module_type: str
    supplier_id: str | None
    client_id: str | None
    vendor_type: str | None
    provider: str | None = None


class Gauge(NamedTuple):
    """What a limit has let start for one key.

    ``full_at`` is the instant at which a rate's bucket will be full again (the generic cell rate algorithm, ITU-T
    I.371); ``window`` the number of the window that ``used`` counts in.
    """

    full_at: int = 0
    window: int = 0
    used: int = 0


def room(limit: Limit, gauge: Gauge, running: int, now: int) -> int:
    """How many more may start at the instant ``now``, while ``running`` jobs of the same key are leased."""
    if limit.kind == "concurrent":
        return max(0, limit.count - running)
    if limit.kind == "window":
        return limit.count if gauge.window != now // limit.span_us else max(0, limit.count - gauge.used)
    step = _step(limit)
    return max(0, min(limit.burst, (now + limit.burst * step - max(gauge.full_at, now)) // step))


def taken(limit: Limit, gauge: Gauge, count: int, now: int) -> Gauge:
    """The gauge after ``count`` more have started at ``now``."""
    if limit.kind == "concurrent" or not count:
        return gauge
    if limit.kind == "window":
        window = now // limit.span_us
        return Gauge(0, window, count + (gauge.used if gauge.window == window else 0))
    return Gauge(max(gauge.full_at, now) + count * _step(limit))


def free_at(limit: Limit, gauge: Gauge, now: int) -> int | None:
    """When a limit that has no room now will have some; ``None`` when that takes a running job to end."""
    if limit.kind == "concurrent":
        return None
    if limit.kind == "window":
        return (now // limit.span_us + 1) * limit.span_us
    return gauge.full_at - (limit.burst - 1) * _step(limit)


def limits_from(value: object) -> tuple[Limit, ...]:
    """Read the setting ``limits``: a list of mappings. Raises ValueError with a message that names the place."""
    if not isinstance(value, list):
        raise ValueError("must be a list of limits, each with a name")
    found = [_limit(item, f"limits[{number}]") for number, item in enumerate(value)]
    names = [limit.name for limit in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the limit {twice!r} stands there twice")
    return tuple(found)


def _limit(item: object, place: str) -> Limit:
    if not isinstance(item, Mapping):
        raise ValueError(f"{place} must be a mapping with a name and one of {', '.join(_KINDS)}")
    unknown = next((str(key) for key in item if key not in _KEYS), None)
    if unknown is not None:
        raise ValueError(f"{place} has no key {quoted(unknown)}; known: {', '.join(sorted(_KEYS))}")
    name = item.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == PAUSE:
        raise ValueError(f"{place}.name must be letters, digits, - and _, as sms-gateway, and not {PAUSE!r}")
    kinds = [kind for kind in _KINDS if item.get(kind) is not None]
    if len(kinds) != 1:
        raise ValueError(f"{place} ({name}) needs one of {', '.join(_KINDS)}, and not several")
    per = item.get("per", "all")
    if per not in PER:
        raise ValueError(f"{place}.per ({name}) must be one of {', '.join(PER)}")
    modules = _names(item.get("modules"), f"{place}.modules ({name})", "module types")
    providers = _names(item.get("providers"), f"{place}.providers ({name})", "providers")
    whom: dict[str, Any] = {"per": per, "modules": modules, "providers": providers}
    kind, given = kinds[0], item[kinds[0]]
    if kind == "concurrent":
        count = _count(given, f"{place}.concurrent ({name})")
        _refuse_burst(item, place, name)
        return Limit(name=name, kind=kind, count=count, **whom)
    count, span_us = _rate(given, f"{place}.{kind} ({name})")
    if kind == "window":
        _refuse_burst(item, place, name)
        return Limit(name=name, kind=kind, count=count, span_us=span_us, **whom)
    usual = max(1, count * SECOND // span_us)
    burst = usual if item.get("burst") is None else _count(item["burst"], f"{place}.burst ({name})")
    return Limit(name=name, kind=kind, count=count, span_us=span_us, burst=burst, **whom)


def _refuse_burst(item: Mapping[Any, Any], place: str, name: str) -> None:
    if item.get("burst") is not None:
        raise ValueError(f"{place}.burst ({name}) belongs to a rate only")


def _names(value: object, place: str, what: str) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"{place} must be a list of {what}")
    return frozenset(value)


def _count(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise ValueError(f"{place} must be a whole number from 1 to {MOST:,}")
    return value


def _rate(value: object, place: str) -> tuple[int, int]:
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{place} must be a number in a time, such as 100/1m (s, m, h or d)")
    count, span_us = int(match[1]), int(match[2] or 1) * _UNITS[match[3]]
    if count > MOST or span_us > _LONGEST_US or span_us < count:
        raise ValueError(f"{place} must be at most {MOST:,}, in at most 366 days")
    return count, span_us


def _step(limit: Limit) -> int:
    """Microseconds from one start to the next at an even pace; rounded up, so that the rate is never passed."""
    return -(-limit.span_us // limit.count)
