"""A YAML file that is a versioned list: its envelope, and what is wrong in it, each with its line, in plain words."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from wedsync_ops import codec, yamldoc
from wedsync_ops.errors import InvalidYaml, quoted
from wedsync_ops.modules import schema
from wedsync_ops.modules.model import Problem
from wedsync_ops.yamldoc import Document, Path

SCHEMA_VERSION = 1
MOST_PROBLEMS = 200
"""The most problems that are listed of one file."""
_Model = TypeVar("_Model", bound=BaseModel)
_FIELDS = {"string": "text", "dictionary": "a mapping", "tuple": "a list", "integer": "a whole number"}


class Section(NamedTuple):
    """A list in a document, and what is wrong with it as a whole."""

    document: Document
    items: list[Any]
    problems: list[Problem]


def read(raw: bytes, key: str, entry: str, beside: tuple[str, ...] = ()) -> tuple[Document, list[Any], list[Problem]]:
    """The document, the items that stand under ``key``, and what is wrong around them; ``entry`` names one item.

    ``beside`` are other keys of the file, which others read; a file that has one need not have any items. Never raises
    for bad content.
    """
    try:
        document = yamldoc.examine(raw)
    except InvalidYaml as error:
        line, path = error.details or (1, ())
        message = str(error).removeprefix(f"line {line}: ")
        return Document(None, {}), [], [Problem(line, _written(path), message)]
    items, problems = _envelope(document, key, entry, beside)
    return document, items, problems


def _envelope(document: Document, name: str, entry: str, beside: tuple[str, ...]) -> tuple[list[Any], list[Problem]]:
    value = document.value
    if value is None:
        return [], [Problem(1, "", f"the file is empty; it needs schema_version: {SCHEMA_VERSION} and {name}:")]
    if not isinstance(value, dict):
        what = f"the file must be a mapping with schema_version and {name}, not {codec.kind_of(value)}"
        return [], [Problem(1, "", what)]
    problems = []
    version = value.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        problems.append(problem(document, ("schema_version",), f"must be {SCHEMA_VERSION}"))
    known = ("schema_version", name, *beside)
    problems += [
        problem(document, (key,), f"there is no such key{near(key, known)}") for key in value if key not in known
    ]
    if name not in value and any(key in value for key in beside):
        return [], problems
    items = value.get(name)
    if not isinstance(items, list) or not items:
        problems.append(problem(document, (name,), f"must be a list of at least one {entry}"))
        return [], problems
    return items, problems


def section(raw: bytes, key: str, entries: str) -> Section | None:
    """The items under a key of a definition file that others read, too; ``None`` when it says nothing of any.

    Never raises for bad content. What is wrong with the file itself is left to whoever reads the rest of it.
    """
    try:
        document = yamldoc.examine(raw)
    except InvalidYaml:
        return None
    if not isinstance(document.value, dict) or key not in document.value:
        return None
    items = document.value[key]
    if isinstance(items, list):
        return Section(document, items, [])
    return Section(document, [], [problem(document, (key,), f"must be a list of {entries}")])


def modelled(
    document: Document, path: Path, item: Any, model: type[_Model], entry: str
) -> tuple[_Model | None, list[Problem]]:
    """An item as a pydantic model; ``None`` and everything that is wrong with it when it is none."""
    if not isinstance(item, dict):
        return None, [problem(document, path, f"{entry} must be a mapping, not {codec.kind_of(item)}")]
    try:
        return model.model_validate(item), []
    except ValidationError as error:
        known = tuple(field.alias or name for name, field in model.model_fields.items())
        faults = error.errors(include_url=False, include_context=True)
        return None, [problem(document, (*path, *fault["loc"]), words(fault, known)) for fault in faults]


def sound(document: Document, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems in lines without a value that is none: that is told already, and what else is said is not true."""
    faulty = {fault.line for fault in document.faults}
    return tuple(one for one in problems if one.line not in faulty)


def in_order(document: Document, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The document's values that are none and the other problems by line, at most ``MOST_PROBLEMS`` and a word on more.

    What is said besides of a value that is none is not true, and left out.
    """
    faults = [Problem(fault.line, _written(fault.path), fault.message) for fault in document.faults]
    places = {fault.path for fault in faults}
    found = sorted([*faults, *(one for one in problems if one.path not in places)], key=lambda one: one.line)
    if len(found) <= MOST_PROBLEMS:
        return tuple(found)
    more = Problem(found[MOST_PROBLEMS].line, "", f"{len(found) - MOST_PROBLEMS} more problems are not listed")
    return (*found[:MOST_PROBLEMS], more)


def problem(document: Document, path: Path, message: str) -> Problem:
    """A problem at a path of a document, with its line."""
    return Problem(document.line_of(path), _written(path), message)


def _written(path: Path) -> str:
    return schema.written(str(path[0]), path[1:]) if path else ""


def words(fault: Mapping[str, Any], known: Sequence[str]) -> str:
    """One of pydantic's errors as the platform says it; ``known`` are the fields that there are."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return f"there is no such field{near(str(fault['loc'][-1]), known)}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, and {quoted(str(fault['input']))} does not"
    if kind == "int_from_float":
        return "must be a whole number"
    message = str(fault["msg"]).removeprefix("Value error, ").replace("Input should be a valid ", "must be a valid ")
    for theirs, ours in _FIELDS.items():
        message = message.replace(f"must be a valid {theirs}", f"must be {ours}")
    message = message.replace("Input should be ", "must be ").replace("String should have", "must have")
    shown = "" if isinstance(fault["input"], dict | list) else f", not {quoted(fault['input'])}"
    return message + shown


def near(key: str, known: Sequence[str]) -> str:
    """``; did you mean …?`` for the nearest known word, else nothing."""
    found = difflib.get_close_matches(key[:60], known, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
