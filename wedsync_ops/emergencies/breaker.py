"""Circuit breakers: when nothing more of a module type or a provider is to start, and when it is tried again. Pure.

Closed, everything starts. Open, nothing does: no attempt is burnt on what is known to fail. After a cool-down it is
half open: one job at a time is a probe. Enough that go well in a row close it; one that fails opens it for twice as
long. A breaker is of a provider where at least two module types over it fail, and all that ran do; else of one type.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from wedsync_ops.emergencies.protocols import When, microseconds
from wedsync_ops.instants import MINUTE

FEWEST = 5
"""So many executions say whether a module type fails, where others over the same provider say so, too."""
IDLE_US = 30 * MINUTE
"""A half-open breaker that nothing came to try for so long is closed."""


class Key(NamedTuple):
    """What a breaker is of: ``module`` or ``provider``, and its name."""

    scope: str
    name: str

    @property
    def words(self) -> str:
        """The key in words."""
        return f"{self.scope} {self.name}"


class BreakerState(StrEnum):
    """Open: nothing starts. Half open: one job at a time is tried."""

    OPEN = "open"
    HALF_OPEN = "half_open"


class Ran(NamedTuple):
    """An execution that has ended: when it started and ended, and whether it went well."""

    started_at: int
    finished_at: int
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A breaker that is not closed. Open ``until`` an instant; opened ``times`` times in a row."""

    key: Key
    emergency_id: int
    state: BreakerState
    opened_at: int
    changed_at: int
    until: int | None
    times: int
    said: str


class Policy(NamedTuple):
    """When breakers open and close; see ``When``."""

    failed_percent: float
    latest: int
    window_us: int
    cool_down_us: int
    longest_us: int
    probes: int


def policy_of(when: When) -> Policy:
    """The policy of a rule."""
    return Policy(
        100.0 if when.failed_percent is None else when.failed_percent,
        when.latest,
        microseconds(when.window),
        microseconds(when.cool_down),
        microseconds(when.longest_cool_down),
        when.probes,
    )


def covered(key: Key, providers: Mapping[str, str | None]) -> list[str]:
    """The module types that a breaker is about; ``providers`` tells what each delivers over."""
    if key.scope == "module":
        return [key.name]
    return sorted(name for name, provider in providers.items() if provider == key.name)


def look_back(
    now: int,
    providers: Mapping[str, str | None],
    known: Iterable[Breaker],
    resolved: Mapping[Key, int],
    policy: Policy,
) -> dict[str, int]:
    """Since when executions of each module type count: since its breaker moved or was closed, within the window."""
    since = dict.fromkeys(providers, now - policy.window_us)
    for key, at in resolved.items():
        for name in covered(key, providers):
            if name in since:
                since[name] = max(since[name], at)
    moved: dict[str, int] = {}
    for breaker in known:
        for name in covered(breaker.key, providers):
            moved[name] = min(moved.get(name, breaker.changed_at), breaker.changed_at)
    since.update({name: at for name, at in moved.items() if name in since})
    return since


def failing(
    now: int,
    ran: Mapping[str, Sequence[Ran]],
    providers: Mapping[str, str | None],
    known: Iterable[Breaker],
    policy: Policy,
) -> dict[Key, str]:
    """What a breaker should open for, with the reason. ``ran`` are the latest executions of each module type."""
    taken = {name for breaker in known for name in covered(breaker.key, providers)}
    recent = {
        name: [one for one in several if one.finished_at > now - policy.window_us][: policy.latest]
        for name, several in ran.items()
        if name not in taken
    }
    shares = {name: _failed_percent(several) for name, several in recent.items() if len(several) >= FEWEST}
    found: dict[Key, str] = {}
    for provider in sorted({provider for provider in providers.values() if provider is not None}):
        names = [name for name in shares if providers.get(name) == provider]
        many = sum(len(recent[name]) for name in names)
        if len(names) > 1 and many >= policy.latest and all(shares[name] >= policy.failed_percent for name in names):
            found[Key("provider", provider)] = f"all of {', '.join(sorted(names))} over {provider} fail"
    over = {name for key in found for name in covered(key, providers)}
    for name, percent in shares.items():
        if name not in over and len(recent[name]) >= policy.latest and percent >= policy.failed_percent:
            said = f"{percent:.0f} % of the latest {len(recent[name])} executions of {name} failed"
            found[Key("module", name)] = said
    return found


def opened(key: Key, emergency_id: int, said: str, now: int, policy: Policy) -> Breaker:
    """A breaker that opens."""
    return Breaker(
        key=key,
        emergency_id=emergency_id,
        state=BreakerState.OPEN,
        opened_at=now,
        changed_at=now,
        until=now + policy.cool_down_us,
        times=1,
        said=said,
    )


def advance(breaker: Breaker, now: int, ran: Iterable[Ran], policy: Policy) -> tuple[Breaker | None, str]:
    """The breaker as it is now (``None``: closed), and why. ``ran`` are the latest executions of what it covers."""
    if breaker.state is BreakerState.OPEN:
        if breaker.until is None or now < breaker.until:
            return breaker, breaker.said
        said = f"open since {_span(now - breaker.changed_at)}: one job at a time is tried"
        return replace(breaker, state=BreakerState.HALF_OPEN, changed_at=now, until=None, said=said), said
    probes = [one for one in ran if one.started_at >= breaker.changed_at]
    if any(not one.ok for one in probes):
        pause_us = min(policy.cool_down_us * 2**breaker.times, policy.longest_us)
        said = f"a probe failed: tried again in {_span(pause_us)}"
        again = replace(breaker, state=BreakerState.OPEN, changed_at=now, until=now + pause_us, said=said)
        return replace(again, times=min(breaker.times + 1, 20)), said
    if len(probes) >= policy.probes:
        return None, f"{len(probes)} probes in a row went well"
    if now - breaker.changed_at >= IDLE_US and not probes:
        return None, f"nothing came to try for {_span(IDLE_US)}"
    return breaker, breaker.said


def _failed_percent(several: Sequence[Ran]) -> float:
    return 100 * sum(not one.ok for one in several) / len(several)


def _span(us: int) -> str:
    seconds = us // 1_000_000
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
