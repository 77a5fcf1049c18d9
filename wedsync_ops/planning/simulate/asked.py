"""What is asked of a simulation on the command line, read. Pure; every error says what to write."""

import re
from collections.abc import Mapping
from datetime import datetime, time
from zoneinfo import ZoneInfo

from wedsync_ops.errors import UsageError, WedsyncError, quoted
from wedsync_ops.instants import MINUTE, SECOND, from_datetime, parse_instant, to_datetime
from wedsync_ops.planning.simulate.model import Faults, Loss, Outage, Slow
from wedsync_ops.planning.simulate.report import Gate

BACK_US = 10 * SECOND
"""After so long another worker takes the place of one that has died, unless something else is said."""
_SPAN = re.compile(r"([a-z][a-z0-9_-]{0,49})@(.+)\+([0-9]{1,5})(?:x([0-9]{1,4}(?:\.[0-9]+)?))?", re.ASCII)
_LOSS = re.compile(r"@?(.+?)(?:\+([0-9]{1,5}))?", re.ASCII)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_SLOTS = re.compile(r"([0-9]{1,4})(?:\.\.([0-9]{1,4}))?", re.ASCII)
_WAIT = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)(ms|s|m)", re.ASCII)
_MS = {"ms": 1, "s": 1000, "m": 60_000}
_MOST_SLOTS = 1_000


class Clock:
    """Reads times: of the day that the simulation begins on, or whole."""

    def __init__(self, since: int, zone: ZoneInfo) -> None:
        self._day = to_datetime(since, zone).date()
        self._zone = zone

    def at(self, text: str, option: str) -> int:
        """An instant. Raises UsageError."""
        match = _CLOCK.fullmatch(text)
        if match is not None:
            return from_datetime(datetime.combine(self._day, time(int(match[1]), int(match[2])), tzinfo=self._zone))
        try:
            return parse_instant(text, zone=self._zone)
        except WedsyncError as error:
            raise UsageError(f"{option}: {error.message}", hint="write 14:00, or 2027-06-19T14:00") from error


def faults(clock: Clock, outages: list[str], slow: list[str], losses: list[str]) -> Faults:
    """What goes wrong. Raises UsageError."""
    down = [_span(clock, text, "--outage") for text in outages]
    late = [_span(clock, text, "--slow") for text in slow]
    for text, (_, _, _, factor) in zip(outages, down, strict=True):
        if factor is not None:
            raise UsageError(f"--outage {quoted(text)}: what is down has no factor", hint="see --slow")
    for text, (_, _, _, factor) in zip(slow, late, strict=True):
        if factor is None or factor <= 0:
            raise UsageError(f"--slow {quoted(text)} names no factor", hint="write it as email@14:00+20x5")
    return Faults(
        tuple(Outage(name, since, until) for name, since, until, _ in down),
        tuple(Slow(name, since, until, factor or 1.0) for name, since, until, factor in late),
        tuple(sorted(_loss(clock, text) for text in losses)),
    )


def check_names(made: Faults, known: Mapping[str, str | None]) -> None:
    """Whether there are the module types and providers that are named; ``known`` are both. Raises UsageError."""
    names = {*known, *(provider for provider in known.values() if provider is not None)}
    for name in (*(one.name for one in made.outages), *(one.name for one in made.slow)):
        if name not in names:
            said = f"there is no module type and no provider {quoted(name)}"
            raise UsageError(said, hint=f"use one of {', '.join(sorted(names))}")


def _span(clock: Clock, text: str, option: str) -> tuple[str, int, int, float | None]:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise UsageError(f"{option} {quoted(text)} is not NAME@START+MINUTES", hint="write it as smtp@14:00+20")
    since = clock.at(match[2], option)
    return match[1], since, since + int(match[3]) * MINUTE, None if match[4] is None else float(match[4])


def _loss(clock: Clock, text: str) -> Loss:
    match = _LOSS.fullmatch(text)
    if match is None:
        raise UsageError(f"--lose-worker {quoted(text)} is no time", hint="write it as @14:00 or @14:00+5")
    return Loss(clock.at(match[1], "--lose-worker"), BACK_US if match[2] is None else int(match[2]) * MINUTE)


def slots(text: str, option: str = "--slots") -> tuple[int, int]:
    """The fewest and the most slots of a worker. Raises UsageError."""
    match = _SLOTS.fullmatch(text)
    least = int(match[1]) if match else 0
    most = int(match[2] or match[1]) if match else 0
    if not 1 <= least <= most <= _MOST_SLOTS:
        raise UsageError(f"{option} {quoted(text)} is no number of slots", hint="write 12, or 2..50, at most 1000")
    return least, most


def settings(text: str) -> dict[str, str]:
    """The settings to compare with. Raises UsageError."""
    found: dict[str, str] = {}
    known = ("slots", "workers", "growth", "cores", "retry-attempts")
    for part in text.split(","):
        name, sign, value = part.strip().partition("=")
        if not sign or name not in known or not value:
            raise UsageError(f"--compare {quoted(text)} is not NAME=VALUE", hint=f"the names are {', '.join(known)}")
        found[name] = value
    return found


def gates(late: list[str], wait: str | None, flaps: int | None) -> list[Gate]:
    """The gates. Raises UsageError."""
    found = [_late(text) for text in late]
    if wait is not None:
        match = _WAIT.fullmatch(wait)
        if match is None:
            raise UsageError(f"--max-critical-wait {quoted(wait)} is no length", hint="write 500ms, 1s or 2m")
        found.append(Gate("critical_wait_ms", float(match[1]) * _MS[match[2]]))
    if flaps is not None:
        found.append(Gate("flaps", flaps))
    return found


def _late(text: str) -> Gate:
    name, _, number = text.partition("=")
    if name not in ("wedding_week", "all") or not (number.isascii() and number.isdigit()):
        raise UsageError(f"--fail-if-late {quoted(text)} is no gate", hint="write wedding_week=0 or all=0")
    return Gate("wedding_week" if name == "wedding_week" else "all", int(number))
