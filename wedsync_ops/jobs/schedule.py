"""Schedules as a definition file describes them: read, checked, every problem with its line. Pure."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from wedsync_ops.errors import InvalidInput, InvalidTime, quoted
from wedsync_ops.instants import iso, parse_instant, zone_named
from wedsync_ops.jobs.firing import Recurrence
from wedsync_ops.jobs.model import Request
from wedsync_ops.jobs.recurrence import Timing, next_after
from wedsync_ops.modules import reading
from wedsync_ops.modules.model import Identifier, Problem
from wedsync_ops.modules.reading import problem
from wedsync_ops.yamldoc import Document, Path

KEY = "schedules"
_LENGTH = re.compile(r"([0-9]{1,7})([smhdw])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST_S = 366 * 86_400
_LENGTH_HINT = "write it as 30s, 15m, 6h, 7d or 2w"
Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Schedule(BaseModel):
    """A recurring schedule. Lengths are texts such as ``15m``, times ISO 8601, in ``timezone`` without an offset."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    id: Identifier
    module_type: Identifier
    config: dict[str, Any]
    context: dict[str, Any]
    timezone: Words
    priority: Literal["low", "normal", "high", "critical"] | None = None
    cron: Words | None = None
    interval: Words | None = None
    jitter: Words = "0s"
    grace: Words = "1h"
    coalesce: bool = True
    overlap: Literal["skip", "queue", "replace"] = "skip"
    start: Words | None = None
    end: Words | None = None
    paused: bool = False

    def recurrence(self) -> Recurrence:
        """How it recurs. Raises InvalidInput for what cannot be read, which cannot be of a schedule that was stored."""
        zone = zone_named(self.timezone)
        timing = Timing(
            cron=self.cron,
            interval_s=None if self.interval is None else seconds(self.interval),
            zone=zone,
            start=None if self.start is None else parse_instant(self.start, zone=zone),
            end=None if self.end is None else parse_instant(self.end, zone=zone),
        )
        return Recurrence(self.id, timing, seconds(self.jitter), seconds(self.grace), self.coalesce)

    def timing_fields(self) -> tuple[Any, ...]:
        """Everything that says when it fires: while that stays, so does the fire that comes next."""
        return self.cron, self.interval, self.timezone, self.jitter, self.start, self.end, self.paused

    def request(self, fire_at: int) -> Request:
        """The wish to queue the job of one fire; its key is the schedule's and the fire's."""
        key = f"schedule {self.id} {iso(fire_at)}"
        return Request(self.module_type, self.config, self.context, self.priority, key=key)


@dataclass(frozen=True, slots=True)
class FoundSchedule:
    """A schedule as it stands in a file, with its place there."""

    schedule: Schedule
    document: Document
    path: Path

    def problem(self, field: str, message: str) -> Problem:
        """A problem with one of its fields."""
        return problem(self.document, (*self.path, field), message)


@dataclass(frozen=True, slots=True)
class ParsedSchedules:
    """What a definition file says of schedules. They may be used only when there are no problems."""

    schedules: tuple[FoundSchedule, ...]
    problems: tuple[Problem, ...]


def seconds(text: str) -> int:
    """A length such as ``15m`` in seconds. Raises InvalidInput for any other text, and beyond 366 days."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{quoted(text)} is not a length of time", hint=_LENGTH_HINT)
    length = int(match[1]) * _UNITS[match[2]]
    if length > _LONGEST_S:
        raise InvalidInput(f"{quoted(text)} is longer than 366 days")
    return length


def parse(raw: bytes, now: int) -> ParsedSchedules | None:
    """Read the schedules of a definition file, every problem at once; ``None`` when the file says nothing of any.

    Never raises for bad content. What is wrong with the file itself is left to whoever reads the rest of it.
    """
    section = reading.section(raw, KEY, "schedules; [] ends all of them")
    if section is None:
        return None
    document, items, problems = section
    found: list[FoundSchedule] = []
    for index, item in enumerate(items):
        path: Path = (KEY, index)
        one, wrong = reading.modelled(document, path, item, Schedule, "a schedule")
        problems += wrong
        if one is not None:
            problems += [problem(document, (*path, *place), message) for place, message in _faults(one, now)]
            found.append(FoundSchedule(one, document, path))
    problems += _duplicates(found)
    return ParsedSchedules(tuple(found), reading.sound(document, problems))


def _faults(schedule: Schedule, now: int) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the values of a schedule, each with its field."""
    if (schedule.cron is None) == (schedule.interval is None):
        return [((), "needs either cron or interval, and not both")]
    found: list[tuple[tuple[str, ...], str]] = []
    for name in ("interval", "jitter", "grace"):
        found += _length_faults(name, getattr(schedule, name))
    try:
        zone = zone_named(schedule.timezone)
    except InvalidInput as error:
        return [*found, (("timezone",), str(error))]
    for name in ("start", "end"):
        value = getattr(schedule, name)
        try:
            parse_instant(value or "2000-01-01", zone=zone)
        except InvalidTime as error:
            found.append(((name,), str(error)))
    return found or _never(schedule, now)


def _length_faults(name: str, value: str | None) -> list[tuple[tuple[str, ...], str]]:
    try:
        length = seconds(value or "1s")
    except InvalidInput as error:
        return [((name,), str(error))]
    return [((name,), "must be at least 1 second")] if name != "jitter" and not length else []


def _never(schedule: Schedule, now: int) -> list[tuple[tuple[str, ...], str]]:
    """What only shows when the times are computed."""
    timing = schedule.recurrence().timing
    if timing.start is not None and timing.end is not None and timing.end < timing.start:
        return [(("end",), "lies before start")]
    if timing.interval_s is not None:
        long = seconds(schedule.jitter) >= timing.interval_s
        return [(("jitter",), "must be shorter than the interval")] if long else []
    try:
        ever = next_after(Timing(cron=timing.cron, zone=timing.zone), now)
    except InvalidInput as error:
        return [(("cron",), str(error))]
    return [] if ever else [(("cron",), f"{quoted(schedule.cron)} names no day that there is")]


def _duplicates(found: list[FoundSchedule]) -> list[Problem]:
    first: dict[str, FoundSchedule] = {}
    problems = []
    for one in found:
        known = first.setdefault(one.schedule.id, one)
        if known is not one:
            line = known.document.line_of((*known.path, "id"))
            problems.append(one.problem("id", f"the id {quoted(one.schedule.id)} stands already in line {line}"))
    return problems
