"""YAML read safely, with the line of every node, so that each problem can name its place.

No tags, no aliases, no duplicate keys, no binary, at most 1 MiB and 64 levels: a definition file is data, and every one
of those has been used to make a reader run code, run out of memory, or believe something that nobody wrote. Values are
built from the parser's events, so nothing is composed before its depth, its tag and its keys have been looked at.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from wedsync_ops import codec
from wedsync_ops.codec import MAX_BYTES, MAX_DEPTH
from wedsync_ops.errors import InvalidJson, InvalidYaml, quoted, shortened

Path = tuple[str | int, ...]

_CORE = "tag:yaml.org,2002:"
_MERGE = _CORE + "merge"
_TYPED = frozenset(_CORE + name for name in ("int", "float", "bool", "null"))
# YAML 1.1 reads 09:30 as the number 570 and pages of digits in quadratic time; both are taken as written here.
_NOT_A_NUMBER = re.compile(r".*:.*|.{400,}", re.DOTALL)
# The parser in C is ten times as fast; where PyYAML was built without it, the one in Python reads the same.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that is none, such as ``.nan``: its line, its path and why."""

    line: int
    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as plain values, with the line (from 1) at which each path starts.

    Where there is a fault, the value is ``None``.
    """

    value: Any
    lines: dict[Path, int]
    faults: tuple[Fault, ...] = ()

    def line_of(self, path: Path) -> int:
        """The line of a path, or of its nearest ancestor that the document holds."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(raw: bytes) -> Document:
    """Read one YAML document without faults; an empty one has the value ``None``. Raises InvalidYaml as ``examine``."""
    document = examine(raw)
    for fault in document.faults:
        raise _refusal(fault.line, fault.message, fault.path)
    return document


def examine(raw: bytes) -> Document:
    """Read one YAML document and list the values in it that are none.

    Raises InvalidYaml where it cannot be read on: what is no YAML, or no plain data (tags, aliases, a key twice). Its
    line is in the message, its line and path are in ``details``.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidYaml(f"the file is larger than {MAX_BYTES:,} bytes", hint="split it, or shorten what it holds")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(raw.count(b"\n", 0, error.start) + 1, "the file is not UTF-8 text") from error
    if "\x00" in text:
        raise _refusal(text.count("\n", 0, text.index("\x00")) + 1, "the file holds a NUL character; it is not text")
    try:
        return _parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(error.problem or error.context).split())
        raise _refusal(mark.line + 1 if mark else 1, f"the file is not YAML: {reason}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _refusal(1, f"the file is not YAML: {shortened(' '.join(str(error).split()), 200)}") from error


def _parse(text: str) -> Document:
    loader = _LOADER(text)
    try:
        loader.get_event()  # the start of the stream
        if loader.check_event(yaml.StreamEndEvent):
            return Document(None, {})
        loader.get_event()  # the start of the document
        reader = _Reader(loader)
        value = reader.value((), loader.get_event())
        loader.get_event()  # its end
        following = loader.get_event()
        if not isinstance(following, yaml.StreamEndEvent):
            raise _refusal(following.start_mark.line + 1, "a second document (---) starts here; only one is accepted")
        return Document(value, reader.lines, tuple(reader.faults))
    finally:
        loader.dispose()


def _refusal(line: int, reason: str, path: Path = ()) -> InvalidYaml:
    return InvalidYaml(f"line {line}: {reason}", details=[line, path])


class _Reader:
    """Turns events into values; refuses what is not plain data. Knows the line of every path it has read."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self.lines: dict[Path, int] = {}
        self.faults: list[Fault] = []

    def value(self, path: Path, event: Any) -> Any:
        line = event.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(line, f"aliases (*{event.anchor}) are not accepted; write the value out", path)
        if event.tag is not None:
            raise _refusal(line, f"the tag {event.tag} is not accepted; only plain values are", path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(path, event, line)
        if len(path) >= MAX_DEPTH:
            raise _refusal(line, f"nested more than {MAX_DEPTH} levels deep", path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        return self._sequence(path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            items.append(self.value((*path, len(items)), event))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            key = self._key(path, event)
            if key in result:
                raise _refusal(event.start_mark.line + 1, f"the key {quoted(key)} stands twice", (*path, key))
            self.lines[(*path, key)] = event.start_mark.line + 1
            result[key] = self.value((*path, key), self._loader.get_event())
        return result

    def _key(self, path: Path, event: Any) -> str:
        line = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent):
            raise _refusal(line, "a key must be plain text", path)
        if event.tag is not None:
            raise _refusal(line, f"the tag {event.tag} is not accepted; only plain values are", path)
        if self._resolved(event) == _MERGE:
            raise _refusal(line, "merge keys (<<) are not accepted; write the keys out", path)
        try:
            codec.check(event.value, "the key")
        except InvalidJson as error:
            raise _refusal(line, error.message, path) from error
        return str(event.value)

    def _scalar(self, path: Path, event: Any, line: int) -> Any:
        try:
            value = self._constructed(event)
            codec.check(value, "the value")
        except ValueError:
            self.faults.append(Fault(line, path, f"{quoted(event.value)} is not a value that YAML knows"))
        except InvalidJson as error:
            self.faults.append(Fault(line, path, error.message))
        else:
            return value
        return None

    def _constructed(self, event: Any) -> Any:
        tag = self._resolved(event)
        if tag not in _TYPED or (tag in (_CORE + "int", _CORE + "float") and _NOT_A_NUMBER.fullmatch(event.value)):
            return event.value
        return self._loader.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark))

    def _resolved(self, event: Any) -> str:
        return str(self._loader.resolve(yaml.ScalarNode, event.value, event.implicit))
