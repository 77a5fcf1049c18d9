"""What rules would have done: a series of figures, recorded or written, evaluated as time went by. Pure.

A written series is a list of mappings (YAML), or one mapping a line (NDJSON). Each tells what a module type did from
an instant on; ``waiting`` holds until the next figure of that type.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from wedsync_ops import codec, yamldoc
from wedsync_ops.alerts.anomaly import WEEKS
from wedsync_ops.alerts.evaluate import Step, evaluate
from wedsync_ops.alerts.facts import NOTHING, Ended, Facts, Point, SilentWorker, Sums, Targets, Usual
from wedsync_ops.alerts.model import Alert, EventKind, Rule
from wedsync_ops.alerts.rules import ended_asked, windows_asked
from wedsync_ops.errors import InvalidInput, InvalidJson, InvalidTime
from wedsync_ops.instants import DAY, MINUTE, SECOND, parse_instant
from wedsync_ops.modules.model import Identifier, Problem
from wedsync_ops.modules.reading import problem, words
from wedsync_ops.yamldoc import Document

STEP_US = 30 * SECOND
"""How far apart the evaluations are."""
QUARTER_US = 15 * MINUTE
"""For so long the same is usual: hours begin at a quarter of UTC's in every time zone."""
LONGEST_US = DAY
"""The longest series."""
LARGEST = 16 * 1024 * 1024
"""The largest series, in bytes; as YAML a definition file's limit holds."""
_US_PER_MS = 1000
_AFTER_US = 10 * MINUTE
_OF_PLATFORM = ("slots", "silent_workers")
_USUAL = ("usual_per_minute", "usual_error_rate", "usual_average_ms")
_OF_TYPE = ("waiting", *_USUAL)
_Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
_Ms = Annotated[float, Field(ge=0, le=1e9)]


class Figures(BaseModel):
    """What a module type did from ``at`` on: counts, lengths in ms."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    at: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    module_type: Identifier
    executions: _Count = 0
    failed: _Count = 0
    wedding_week_executions: _Count = 0
    wedding_week_failed: _Count = 0
    average_ms: _Ms = 0.0
    longest_ms: _Ms | None = None
    waiting: _Count | None = None
    expired: _Count = 0
    quarantined: _Count = 0
    slots: _Count | None = None
    silent_workers: Annotated[int, Field(ge=0, le=1_000)] | None = None
    usual_per_minute: _Ms | None = None
    usual_error_rate: Annotated[float, Field(ge=0, le=100)] | None = None
    usual_average_ms: _Ms | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """Figures with their instant."""

    at: int
    figures: Figures

    @property
    def point(self) -> Point:
        """The executions as a point."""
        said = self.figures
        longest = said.average_ms if said.longest_ms is None else said.longest_ms
        sums = Sums(
            said.executions,
            said.failed,
            said.wedding_week_executions,
            said.wedding_week_failed,
            round(said.average_ms * said.wedding_week_executions * _US_PER_MS),
            round(said.average_ms * said.executions * _US_PER_MS),
            round(longest * _US_PER_MS),
        )
        return Point(said.module_type, self.at, sums)


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that would have happened to an alert."""

    at: int
    kind: EventKind
    alert: Alert


@dataclass(frozen=True, slots=True)
class Series:
    """A series in the order of time; ``usual`` is what was usual, by the quarter of an hour's beginning and type."""

    points: tuple[Point, ...]
    moments: tuple[Moment, ...] = field(default=())
    usual: Mapping[int, Mapping[str, Usual]] = field(default_factory=dict)


def read(raw: bytes) -> Series:
    """Read a written series. Raises InvalidInput with every problem, each with its line."""
    if len(raw) > LARGEST:
        raise InvalidInput(f"the series is larger than {LARGEST:,} bytes", hint="try fewer module types at once")
    document = _lines(raw) if raw.lstrip()[:1] == b"{" else yamldoc.read(raw)
    if not isinstance(document.value, list) or not document.value:
        raise InvalidInput("the series must be a list of figures, or one JSON object a line")
    moments: list[Moment] = []
    problems: list[Problem] = []
    for index, item in enumerate(document.value):
        try:
            said = Figures.model_validate(item)
            moments.append(Moment(parse_instant(said.at), said))
        except InvalidTime as error:
            problems.append(problem(document, (index, "at"), str(error)))
        except ValidationError as error:
            problems += [
                problem(document, (index, *fault["loc"]), words(fault, tuple(Figures.model_fields)))
                for fault in error.errors(include_url=False, include_context=True)
            ]
        else:
            problems += [problem(document, (index, name), message) for name, message in _faults(said)]
    if problems:
        details = [{"line": one.line, "path": one.path, "message": one.message} for one in problems]
        said_first = f"line {problems[0].line}: {problems[0].path}: {problems[0].message}"
        raise InvalidInput(f"the series has {_problems(len(problems))}: {said_first}", details=details)
    moments.sort(key=lambda one: one.at)
    if moments[-1].at - moments[0].at > LONGEST_US:
        raise InvalidInput("the series is longer than a day")
    return Series(tuple(one.point for one in moments), tuple(moments))


def _problems(number: int) -> str:
    return "1 problem" if number == 1 else f"{number} problems, the first in"


def _faults(said: Figures) -> Iterator[tuple[str, str]]:
    for name, of in (
        ("failed", "executions"),
        ("wedding_week_executions", "executions"),
        ("wedding_week_failed", "wedding_week_executions"),
    ):
        if getattr(said, name) > getattr(said, of):
            yield name, f"is more than {of}"


def _lines(raw: bytes) -> Document:
    values: list[Any] = []
    lines: dict[yamldoc.Path, int] = {}
    for number, line in enumerate(raw.splitlines(), 1):
        if line.strip():
            lines[(len(values),)] = number
            try:
                values.append(codec.loads(line))
            except InvalidJson as error:
                raise InvalidInput(f"the series cannot be read: line {number}: {error}") from error
    return Document(values, lines)


def replay(rules: Sequence[Rule], series: Series, modules: Mapping[str, Targets]) -> list[Happened]:
    """Everything that would have happened, in order: evaluated every 30 s from the first figure to after the last."""
    if not series.points:
        return []
    happened: list[Happened] = []
    alerts: dict[str, Alert] = {}
    numbers = count(1)
    sliding, said = Sliding(series.points), Told(series.moments)
    start = min(point.from_at for point in series.points)
    end = max(point.from_at for point in series.points) + max(windows_asked(rules), default=0) + _AFTER_US
    for now in range(start + STEP_US, end + 1, STEP_US):
        said.advance(now)
        facts = _facts(series, sliding, said, now, rules, modules)
        for step in evaluate(rules, facts, alerts.values()):
            _take(step, alerts, numbers)
            if step.alert is not None:
                happened += [Happened(now, kind, step.alert) for kind in step.events]
        if now > end - _AFTER_US and not alerts:
            break
    return happened


def _take(step: Step, alerts: dict[str, Alert], numbers: Iterator[int]) -> None:
    if step.before is not None:
        del alerts[step.before.key]
    if step.alert is not None and step.alert.resolved_at is None:
        alerts[step.alert.key] = step.alert if step.alert.id else replace(step.alert, id=next(numbers))


class Sliding:
    """Points whose windows are asked for again and again: sums are kept running, so that each window costs the same."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._at: dict[str, list[int]] = {}
        self._longest: dict[str, list[int]] = {}
        self._until: dict[str, list[Sums]] = {}
        for point in sorted(points, key=lambda one: one.from_at):
            self._at.setdefault(point.module_type, []).append(point.from_at)
            self._longest.setdefault(point.module_type, []).append(point.sums.longest_us)
            until = self._until.setdefault(point.module_type, [NOTHING])
            until.append(until[-1].plus(point.sums))

    def window(self, now: int, length_us: int) -> Mapping[str, Sums]:
        """The sums of the points that start in the ``length_us`` before ``now``, by module type."""
        found = {}
        for name, at in self._at.items():
            first, after = bisect_left(at, now - length_us), bisect_left(at, now)
            if first < after:
                before, until = self._until[name][first], self._until[name][after]
                rest = Sums._make(mine - theirs for mine, theirs in zip(until, before, strict=True))
                found[name] = rest._replace(longest_us=max(self._longest[name][first:after]))
        return found


class Told:
    """What the figures say as time goes by: each holds until the next one; asked at instants that only grow."""

    def __init__(self, moments: Sequence[Moment]) -> None:
        self._moments = moments
        self._at = [moment.at for moment in moments]
        self._seen = 0
        self._platform: dict[str, int] = {}
        self._types: dict[str, dict[str, float]] = {name: {} for name in _OF_TYPE}

    def advance(self, now: int) -> None:
        """Take what was told before an instant."""
        after = bisect_left(self._at, now)
        for moment in self._moments[self._seen : after]:
            said = moment.figures
            for name in _OF_PLATFORM:
                if (value := getattr(said, name)) is not None:
                    self._platform[name] = value
            for name, by_type in self._types.items():
                if (value := getattr(said, name)) is not None:
                    by_type[said.module_type] = value
        self._seen = after

    def of_platform(self, name: str) -> int | None:
        """The last figure of the platform; ``None`` when none was told."""
        return self._platform.get(name)

    def waiting(self) -> Mapping[str, int]:
        """How many jobs of each type wait."""
        return {name: int(value) for name, value in self._types["waiting"].items()}

    def usual(self) -> Mapping[str, Usual]:
        """What is usual: every week the same."""
        weeks = [{of: (value,) * WEEKS for of, value in self._types[name].items()} for name in _USUAL]
        return {of: Usual(*(each.get(of, ()) for each in weeks)) for each in weeks for of in each}

    def ended(self, since: int) -> Mapping[str, Ended]:
        """The jobs that ended badly from an instant on, by module type."""
        expired: Counter[str] = Counter()
        quarantined: Counter[str] = Counter()
        for moment in self._moments[bisect_left(self._at, since) : self._seen]:
            expired[moment.figures.module_type] += moment.figures.expired
            quarantined[moment.figures.module_type] += moment.figures.quarantined
        return {name: Ended(expired[name], quarantined[name]) for name in expired}


def _facts(
    series: Series, sliding: Sliding, told: Told, now: int, rules: Sequence[Rule], modules: Mapping[str, Targets]
) -> Facts:
    slots, silent = told.of_platform("slots"), told.of_platform("silent_workers") or 0
    return Facts(
        now=now,
        modules=modules,
        windows={length: sliding.window(now, length) for length in windows_asked(rules)},
        ended={length: told.ended(now - length) for length in ended_asked(rules)},
        waiting=told.waiting(),
        workers=0 if slots == 0 else 1,
        slots=slots or 0,
        silent=tuple(SilentWorker(f"{number}", "the series", now, died=True) for number in range(1, silent + 1)),
        usual={**series.usual.get(now // QUARTER_US * QUARTER_US, {}), **told.usual()},
    )
