"""Which emergencies a rule calls for, and which are over. Pure: facts and the moment come in."""

from collections.abc import Mapping
from dataclasses import dataclass

from wedsync_ops.emergencies.model import Emergency
from wedsync_ops.emergencies.protocols import Protocol, When, microseconds
from wedsync_ops.instants import SECOND

AUTO = ("off", "breaker", "all")
"""What may be declared by rule: nothing, breakers only, everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What rules are judged by: percent of the fullest host's memory (``None``: not known), and how long the job of a
    wedding of today or tomorrow has been due that could start and has not, in µs (0: there is none).
    """

    memory_percent: float | None = None
    critical_wait_us: int = 0


def bad(when: When, facts: Facts) -> str | None:
    """Why a rule calls for its emergency now; ``None`` when it does not, or opens a breaker (which has its own)."""
    if when.memory_percent is not None:
        used = facts.memory_percent
        if used is not None and used >= when.memory_percent:
            return f"memory has been {used:.0f} % full for a minute, and {when.memory_percent:g} % is too much"
    if when.critical_wait is not None and facts.critical_wait_us > microseconds(when.critical_wait):
        waited = facts.critical_wait_us // SECOND
        return f"a job of a wedding of today or tomorrow has waited for {waited:,} s"
    return None


def opens_by_itself(auto: str) -> bool:
    """Whether the setting ``emergency_auto`` lets breakers open by rule."""
    return auto != "off"


def called_for(protocols: Mapping[str, Protocol], facts: Facts, auto: str) -> dict[str, str]:
    """The emergencies that rules call for, with the reason; breakers are decided apart."""
    found = {}
    for name, protocol in protocols.items():
        when = protocol.when
        if when is None or when.failed_percent is not None or auto != "all":
            continue
        why = bad(when, facts)
        if why is not None:
            found[name] = why
    return found


def over(emergency: Emergency, protocol: Protocol, facts: Facts, now: int) -> tuple[int | None, str | None]:
    """Since when its condition has been well (``None``: it is not), and why it is over (``None``: it goes on)."""
    if emergency.until is not None and emergency.until <= now:
        return emergency.well_since, "its time is over"
    when = protocol.when
    if not emergency.by_rule or when is None or when.failed_percent is not None:
        return emergency.well_since, None
    if bad(when, facts) is not None:
        return None, None
    since = now if emergency.well_since is None else emergency.well_since
    if now - since >= protocol.well_for_us:
        return since, f"all has been well for {protocol.well_for}"
    return since, None
