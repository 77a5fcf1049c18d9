"""Journeys as a definition file describes them (``journeys:``): read, checked, every problem with its line. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from wedsync_ops import codec, yamldoc
from wedsync_ops.errors import DatabaseError, InvalidInput, InvalidYaml, WedsyncError, quoted
from wedsync_ops.instants import DAY, HOUR, MINUTE, parse_date
from wedsync_ops.modules.model import Identifier, Problem
from wedsync_ops.modules.reading import problem, words
from wedsync_ops.planning.model import Anchor
from wedsync_ops.vendors import singular
from wedsync_ops.weddings.model import Region
from wedsync_ops.yamldoc import Document, Path

KEY = "journeys"
MOST_STEPS = 200
"""The most steps of a journey."""
LONGEST_OFFSET_DAYS = 3660
_OFFSET = re.compile(r"([+-]?)([0-9]{1,4})([dw])", re.ASCII)
_AT = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_LENGTH = re.compile(r"([0-9]{1,5})([mhdw])", re.ASCII)
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_LONGEST_US = 366 * DAY
_COUNTRY = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,5})?", re.ASCII)
_WRONG = "wrong"


@lru_cache(maxsize=1024)
def offset_days(text: str) -> int:
    """The days of an offset such as ``-30d`` or ``+2w``. Raises InvalidInput."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{quoted(text)} is not an offset", hint="write it as -30d, +1d, 0d or -2w")
    days = int(match[2]) * (7 if match[3] == "w" else 1)
    if days > LONGEST_OFFSET_DAYS:
        raise InvalidInput(f"{quoted(text)} is more than {LONGEST_OFFSET_DAYS} days")
    return -days if match[1] == "-" else days


@lru_cache(maxsize=1024)
def clock_time(text: str) -> time:
    """The time of day of a text such as ``10:00``. Raises InvalidInput."""
    match = _AT.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{quoted(text)} is not a time of day", hint="write it as 10:00")
    return time(int(match[1]), int(match[2]))


@lru_cache(maxsize=1024)
def length_us(text: str) -> int:
    """A length such as ``36h`` or ``2d`` in microseconds. Raises InvalidInput, also beyond 366 days and for nothing."""
    match = _LENGTH.fullmatch(text)
    if match is None or not int(match[1]):
        raise InvalidInput(f"{quoted(text)} is not a length of time", hint="write it as 30m, 6h, 2d or 1w")
    length = int(match[1]) * _UNITS[match[2]]
    if length > _LONGEST_US:
        raise InvalidInput(f"{quoted(text)} is longer than 366 days")
    return length


def _country(text: str) -> None:
    if not _COUNTRY.fullmatch(text):
        raise InvalidInput(f"{quoted(text)} is not a country; write it as GB, or with its part as US-CA")


def _region(name: str) -> None:
    if name not in tuple(Region):
        raise InvalidInput(f"there is no region {quoted(name)}; use one of {', '.join(Region)}")


def _checked(check: Callable[[str], object]) -> AfterValidator:
    """Lets a text be what ``check`` can read, and says as it does why it is not."""

    def checked(text: str) -> str:
        try:
            check(text)
        except WedsyncError as error:
            raise PydanticCustomError(_WRONG, "{said}", {"said": str(error)}) from error
        return text

    return AfterValidator(checked)


Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Names = Annotated[tuple[Words, ...], Field(strict=False, min_length=1, max_length=1000)]
Regions = Annotated[tuple[Annotated[Words, _checked(_region)], ...], Field(strict=False, min_length=1, max_length=1000)]
Holidays = Annotated[tuple[Annotated[Words, _checked(parse_date)], ...], Field(strict=False, max_length=2000)]
Offset = Annotated[Words, _checked(offset_days)]
Clock = Annotated[Words, _checked(clock_time)]
Length = Annotated[Words, _checked(length_us)]
Country = Annotated[Words, _checked(_country)]
Skip = Literal["next", "previous", False]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Step(_Frozen):
    """A step of a journey: a module, so many days from the wedding or the booking, at a local time of the wedding.

    ``deadline`` and ``expires`` are lengths from when the step is to happen. A step whose time is over when it is
    planned is left out, or queued at once with ``if_past: now`` while the wedding is still to come.
    """

    id: Identifier
    module: Identifier
    config: dict[str, Any] = {}
    anchor: Anchor = "wedding"
    offset: Offset
    at: Clock = "10:00"
    skip_weekends: Skip = False
    skip_holidays: Skip = False
    priority: Literal["low", "normal", "high", "critical"] | None = None
    deadline: Length | None = None
    expires: Length | None = None
    if_past: Literal["skip", "now"] = "skip"

    @property
    def days(self) -> int:
        """The calendar days from the anchor, negative before it."""
        return offset_days(self.offset)

    @property
    def clock(self) -> time:
        """The local time of the day."""
        return clock_time(self.at)


class AppliesTo(_Frozen):
    """Whose journey it is: couples who are in every list that is given."""

    vendor_types: Names | None = None
    suppliers: Names | None = None
    regions: Regions | None = None


class Journey(_Frozen):
    """A journey: the steps that every couple it applies to is promised."""

    id: Identifier
    display_name: Words | None = None
    description: str = ""
    applies_to: AppliesTo = AppliesTo()
    holidays: Holidays = ()
    holiday_country: Country | None = None
    supplier_data: dict[str, Any] = {}
    steps: Annotated[tuple[Step, ...], Field(strict=False, min_length=1, max_length=MOST_STEPS)]

    @property
    def name(self) -> str:
        """Its display name, else its id."""
        return self.display_name or self.id

    def applies(self, vendor_type: str, supplier_id: str, region: str) -> bool:
        """Whether a couple of that vendor type (in the singular), supplier and region goes on it."""
        rule = self.applies_to
        return (
            (rule.vendor_types is None or vendor_type in map(singular, rule.vendor_types))
            and (rule.suppliers is None or supplier_id in rule.suppliers)
            and (rule.regions is None or region in rule.regions)
        )


@dataclass(frozen=True, slots=True)
class FoundJourney:
    """A journey as it stands in a file, with its place there."""

    journey: Journey
    document: Document
    path: Path

    def problem(self, place: Path, message: str) -> Problem:
        """A problem at a place within it."""
        return problem(self.document, (*self.path, *place), message)


@dataclass(frozen=True, slots=True)
class ParsedJourneys:
    """What a definition file says of journeys. They may be used only when there are no problems."""

    journeys: tuple[FoundJourney, ...]
    problems: tuple[Problem, ...]


@lru_cache(maxsize=1024)
def from_text(text: str) -> Journey:
    """The journey that was stored as this JSON text. Raises DatabaseError for one that cannot be read."""
    try:
        return Journey.model_validate_json(text)
    except ValidationError as error:
        raise DatabaseError("a stored journey cannot be read", hint="register the definition file again") from error


def to_text(journey: Journey) -> str:
    """A journey as the canonical JSON text that is stored."""
    return codec.canonical(journey.model_dump(mode="json", exclude_defaults=True)).decode()


def parse(raw: bytes) -> ParsedJourneys | None:
    """Read the journeys of a definition file, every problem at once; ``None`` when the file says nothing of any.

    Never raises for bad content. What is wrong with the file itself is left to whoever reads the rest of it.
    """
    try:
        document = yamldoc.examine(raw)
    except InvalidYaml:
        return None
    if not isinstance(document.value, dict) or KEY not in document.value:
        return None
    items = document.value[KEY]
    if not isinstance(items, list):
        return ParsedJourneys((), (problem(document, (KEY,), "must be a list of journeys; [] ends all of them"),))
    found: list[FoundJourney] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        one, wrong = _journey(document, (KEY, index), item)
        problems += wrong
        if one is not None:
            found.append(FoundJourney(one, document, (KEY, index)))
    problems += _doubles(document, [((KEY, index), one) for index, one in enumerate(items)], "id")
    faulty = {fault.line for fault in document.faults}  # told already, and what else is said of them is not true
    return ParsedJourneys(tuple(found), tuple(one for one in problems if one.line not in faulty))


def _journey(document: Document, path: Path, item: Any) -> tuple[Journey | None, list[Problem]]:
    if not isinstance(item, dict):
        return None, [problem(document, path, f"a journey must be a mapping, not {codec.kind_of(item)}")]
    steps = item.get("steps")
    places = [((*path, "steps", at), one) for at, one in enumerate(steps)] if isinstance(steps, list) else []
    doubled = _doubles(document, places, "id")
    try:
        journey = Journey.model_validate(item)
    except ValidationError as error:
        return None, doubled + [
            problem(document, (*path, *_place(fault["loc"])), _said(fault))
            for fault in error.errors(include_url=False, include_context=True)
            if fault["type"] != "too_short" or not fault["input"]  # else it only counts what is right
        ]
    problems = [problem(document, (*path, *place), message) for place, message in _faults(journey)]
    return journey, problems + doubled


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where an error is, without the kinds that pydantic adds for a field of several."""
    return tuple(part for part in location if not (isinstance(part, str) and "[" in part))


def _said(fault: Mapping[str, Any]) -> str:
    """What is wrong, in the platform's words."""
    kind, context, value = fault["type"], fault.get("ctx", {}), fault["input"]
    if kind == _WRONG:
        return str(fault["msg"])
    if kind == "too_short":
        return "must not be empty"
    if kind == "too_long":
        return f"must have at most {context['max_length']} items"
    if kind == "model_type":
        return f"must be a mapping, not {codec.kind_of(value)}"
    if kind == "literal_error" and isinstance(value, bool):
        return f"must be {str(context['expected']).replace('False', 'false')}, not {str(value).lower()}"
    return words(fault, _fields(fault["loc"])).replace(" or False", " or false")


def _fields(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The fields that there are where an error is."""
    kind: type[BaseModel] = Journey
    if location[0] == "steps":
        kind = Step
    elif location[0] == "applies_to":
        kind = AppliesTo
    return tuple(kind.model_fields)


def _faults(journey: Journey) -> Iterator[tuple[Path, str]]:
    """What is wrong with the fields of a journey taken together, each with its place."""
    if journey.holidays or journey.holiday_country is not None:
        return
    for index, step in enumerate(journey.steps):
        if step.skip_holidays:
            message = "the journey names no holidays; give it holidays: or holiday_country:"
            yield ("steps", index, "skip_holidays"), message


def _doubles(document: Document, items: list[tuple[Path, Any]], field: str) -> list[Problem]:
    first: dict[str, Path] = {}
    problems = []
    for path, item in items:
        name = item.get(field) if isinstance(item, dict) else None
        if not isinstance(name, str):
            continue
        if name in first:
            line = document.line_of((*first[name], field))
            message = f"the id {quoted(name)} stands already in line {line}"
            problems.append(problem(document, (*path, field), message))
        first.setdefault(name, path)
    return problems


def holiday_dates(journey: Journey) -> frozenset[date]:
    """The holidays that the journey names itself."""
    return frozenset(parse_date(text) for text in journey.holidays)
