"""A recorded demand: one job a line, as it fell due and as long as it took. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from wedsync_ops.errors import InvalidInput, WedsyncError, quoted
from wedsync_ops.instants import parse_date, parse_instant, zone_named
from wedsync_ops.jobs.model import Priority
from wedsync_ops.modules.reading import words
from wedsync_ops.planning.simulate.arrivals import ForeseenHour
from wedsync_ops.planning.simulate.model import Arrival
from wedsync_ops.weddings.model import Wedding

_ALWAYS = 10**6
_SHOWN = 20
_Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Line(BaseModel):
    """A job: times are ISO 8601, ``fails`` how many of its attempts fail (``true``: all of them)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    at: _Text
    module_type: _Text
    supplier_id: _Text
    duration_ms: Annotated[float, Field(ge=0, le=86_400_000)]
    priority: Literal["low", "normal", "high", "critical"] = "normal"
    wedding_date: _Text | None = None
    timezone: _Text | None = None
    vendor_type: _Text | None = None
    deadline: _Text | None = None
    fails: bool | Annotated[int, Field(ge=0, le=1000)] = 0
    label: _Text | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The demand of a trace. Nothing is known of it beforehand."""

    jobs: Sequence[Arrival]

    @property
    def since(self) -> int:
        """When the first job falls due."""
        return self.jobs[0].at

    @property
    def until(self) -> int:
        """When the last one does."""
        return self.jobs[-1].at

    def arrivals(self) -> Iterator[Arrival]:
        """The jobs, in the order in which they fall due."""
        return iter(self.jobs)

    def foreseen(self, since: int, until: int) -> Iterable[ForeseenHour]:  # noqa: ARG002 - as every demand
        """Nothing."""
        return ()


def read(
    lines: Iterable[tuple[int, Mapping[str, Any] | WedsyncError]], known: Iterable[str], zone: ZoneInfo
) -> Recorded:
    """Read a trace; ``known`` are the module types. Raises InvalidInput that names the lines that are wrong."""
    names, jobs = frozenset(known), list[Arrival]()
    problems: list[dict[str, Any]] = []
    for number, line in lines:
        try:
            if isinstance(line, WedsyncError):
                raise line
            jobs.append(_arrival(line, names, zone))
        except WedsyncError as error:
            problems.append({"line": number, "message": error.message})
    if problems:
        first, many = problems[0], len(problems)
        said = "1 line" if many == 1 else f"{many:,} lines"
        raise InvalidInput(
            f"the trace has {said} that cannot be used; line {first['line']}: {first['message']}",
            details=problems[:_SHOWN],
        )
    if not jobs:
        raise InvalidInput("the trace is empty", hint="write one JSON object a line: at, module_type, ...")
    jobs.sort(key=attrgetter("at"))
    return Recorded(jobs)


def _arrival(line: Mapping[str, Any], names: frozenset[str], zone: ZoneInfo) -> Arrival:
    try:
        said = Line.model_validate(line)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=True)[0]
        place = str(fault["loc"][0]) if fault["loc"] else "the line"
        raise InvalidInput(f"{place}: {words(fault, tuple(Line.model_fields))}") from None
    if said.module_type not in names:
        raise InvalidInput(f"there is no module type {quoted(said.module_type)}; known are {', '.join(sorted(names))}")
    own = zone if said.timezone is None else zone_named(said.timezone)
    wedding = None if said.wedding_date is None else Wedding(parse_date(said.wedding_date, own), own)
    return Arrival(
        at=parse_instant(said.at, zone=zone),
        module_type=said.module_type,
        requested=Priority[said.priority.upper()],
        supplier_id=said.supplier_id,
        wedding=wedding,
        vendor_type=said.vendor_type,
        duration_us=round(said.duration_ms * 1000),
        fails=_ALWAYS if said.fails is True else int(said.fails),
        label=said.label,
        deadline_at=None if said.deadline is None else parse_instant(said.deadline, zone=zone),
    )
