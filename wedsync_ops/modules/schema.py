"""Config schemas: JSON Schema draft 2020-12, checked when registered, compiled once, with errors in plain words.

Nothing is ever fetched, and patterns run on an engine whose time is linear in the text, so that neither a definition
nor a config can make the platform wait. Values of a config are never part of a message: they may be personal data.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from wedsync_ops.codec import kind_of
from wedsync_ops.errors import InvalidInput, quoted, shortened

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

Place = tuple[str | int, ...]
Fault = tuple[Place, str]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOST_ERRORS = 100
"""The most errors that are listed of one config or schema."""
_PATTERN_BYTES = 1_000_000
# Keywords whose value is data, not a schema: a "$ref" or "format" inside is nobody's reference.
_DATA = frozenset(("const", "default", "enum", "examples"))
_NAMED = frozenset(("$defs", "definitions", "properties", "patternProperties", "dependentSchemas"))
_SIMPLE_KEY = re.compile(r"[A-Za-z_$][\w-]*", re.ASCII)
_KINDS = {"object": "an object", "array": "a list", "integer": "a whole number", "null": "null"}


def written(root: str, place: Place) -> str:
    """A place as people write it: ``config.platforms[0]``, ``config["odd key"]``."""
    text = root
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if _SIMPLE_KEY.fullmatch(step) else f'["{shortened(step, 60)}"]'
    return text


def compiled(schema: Mapping[str, Any]) -> "Draft202012Validator":
    """The validator of a schema. Raises InvalidInput when the schema is none; ``faults`` says where."""
    try:
        return _compile(schema)
    except ValueError as error:
        raise InvalidInput(f"the config schema cannot be used: {_reason(error)}") from error


def faults(schema: Mapping[str, Any]) -> list[Fault]:
    """Everything wrong with a schema, each with its place in it; empty when it can be used."""
    found: dict[Fault, None] = {}
    for error in _meta().iter_errors(dict(schema)):
        if error.kind.name in ("format", "propertyNames") and error.instance_path[-1:] != ["$schema"]:
            continue  # patterns and references: looked at below, with better words
        found.setdefault((tuple(error.instance_path), _meta_message(error)))
    draft = schema.get("$schema", DRAFT)
    if isinstance(draft, str) and draft.rstrip("#") != DRAFT:
        found.setdefault((("$schema",), f"only draft 2020-12 is accepted ({DRAFT})"))
    for fault in _walk(schema, schema, ()):
        found.setdefault(fault)
    if not found:
        try:
            _compile(schema)
        except ValueError as error:
            place = tuple(getattr(error, "instance_path", ()))
            found.setdefault((place, _reason(error)))
    return list(found)[:MOST_ERRORS]


def is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether a schema refuses keys that it does not name."""
    return schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False


def first_error(validator: "Draft202012Validator", schema: Mapping[str, Any], config: Any) -> str | None:
    """The first error of a config in one line, ``None`` when it fits; quick when it does."""
    if type(config) is dict and validator.is_valid(config):
        return None
    return next(iter(errors(validator, schema, config)), None)


def errors(validator: "Draft202012Validator", schema: Mapping[str, Any], config: Any) -> list[str]:
    """Every error of a config, each one line that starts with its place: ``config.template_id: is required``."""
    found = [f"{written('config', place)}: {message}" for place, message in located(validator, schema, config)]
    if len(found) > MOST_ERRORS:
        return [*found[:MOST_ERRORS], f"config: has {len(found) - MOST_ERRORS} more errors"]
    return found


def located(validator: "Draft202012Validator", schema: Mapping[str, Any], config: Any) -> list[Fault]:
    """Every error of a config with its place in it."""
    if not isinstance(config, dict):
        return [((), f"must be an object, not {kind_of(config)}")]
    found: dict[Fault, None] = {}
    for error in validator.iter_errors(config):
        for fault in _explain(error, schema):
            found.setdefault(fault)
    return list(found)


def unnamed_keys(schema: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """The keys of a config that an open schema accepts without naming them: perhaps misspelt."""
    if is_closed(schema):
        return []
    return [key for key in config if key not in schema.get("properties", {})]


def _compile(schema: Mapping[str, Any]) -> "Draft202012Validator":
    import jsonschema_rs  # takes 40 ms; most commands validate nothing

    return jsonschema_rs.Draft202012Validator(
        dict(schema),
        validate_formats=True,
        ignore_unknown_formats=False,
        retriever=_refuse,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=10 * _PATTERN_BYTES),
        mask="the value",
    )


@cache
def _meta() -> "Draft202012Validator":
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(
        {"$ref": DRAFT}, retriever=_refuse, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def _walk(node: Any, root: Mapping[str, Any], place: Place) -> Iterator[Fault]:
    """What the meta-schema cannot know: references that lead out or nowhere, formats and patterns that do not work."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _walk(item, root, (*place, index))
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _keyword(key, value, root, (*place, key))


def _keyword(key: str, value: Any, root: Mapping[str, Any], place: Place) -> Iterator[Fault]:
    if key in ("$ref", "$dynamicRef") and isinstance(value, str):
        yield from _reference(value, root, place)
    elif key == "$id":
        yield place, "$id is not accepted: references within the schema start with #"
    elif key == "format" and isinstance(value, str):
        if not _knows_format(value):
            yield place, f"the format {quoted(value)} is not known, so it would check nothing"
    elif key == "pattern" and isinstance(value, str):
        yield from _pattern(value, place)
    elif key in _NAMED and isinstance(value, dict):
        for name, item in value.items():
            if key == "patternProperties":
                yield from _pattern(name, (*place, name))
            yield from _walk(item, root, (*place, name))
    elif key not in _DATA:
        yield from _walk(value, root, place)


def _reference(target: str, root: Mapping[str, Any], place: Place) -> Iterator[Fault]:
    if not target.startswith("#"):
        yield (
            place,
            f"the reference {quoted(target, 100)} leads out of the schema; only #/… is accepted, nothing is fetched",
        )
    elif target.startswith("#/"):
        node: Any = root
        for step in target[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            else:
                yield place, f"the reference {quoted(target, 100)} leads nowhere in the schema"
                return


def _pattern(pattern: str, place: Place) -> Iterator[Fault]:
    try:
        _compile({"pattern": pattern})
    except ValueError:
        yield (
            place,
            f"{quoted(pattern, 100)} is no pattern that runs in linear time (no look-around, no back-references)",
        )


@cache
def _knows_format(name: str) -> bool:
    try:
        _compile({"format": name})
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    return shortened(" ".join(str(getattr(error, "message", error)).split()))


def _meta_message(error: "ValidationError") -> str:
    kind = error.kind.name
    if kind == "type":
        return f"must be {_either(error.kind.as_dict()['types'])}, not {kind_of(error.instance)}"
    if kind == "anyOf" and error.instance_path[-1:] == ["type"]:
        return "must be one of array, boolean, integer, null, number, object, string, or a list of them"
    return _reason(error)


def _explain(error: "ValidationError", schema: Mapping[str, Any]) -> Iterator[Fault]:
    place = tuple(error.instance_path)
    kind = error.kind.name
    facts = error.kind.as_dict()
    if kind == "required":
        yield (*place, facts["property"]), "is required"
    elif kind in ("additionalProperties", "unevaluatedProperties"):
        known = _parent(schema, error.schema_path).get("properties", {})
        for key in facts["unexpected"]:
            yield (*place, key), f"is not a key that the schema knows{_nearest(key, known)}"
    elif kind in ("not", "falseSchema"):
        about = _parent(schema, error.schema_path).get("description") if kind == "not" else None
        yield place, about or "is not allowed here"
    elif kind in ("anyOf", "oneOf") and facts.get("context"):
        branches = [next(_explain(branch[0], schema))[1] for branch in facts["context"] if branch]
        yield place, " or ".join(dict.fromkeys(branches)) or _reason(error)
    else:
        words = _WORDS.get(kind)
        yield place, words(facts) if words else _reason(error)


def _parent(schema: Mapping[str, Any], schema_path: list[str | int]) -> Mapping[str, Any]:
    node: Any = schema
    for step in schema_path[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return {}
    return node if isinstance(node, dict) else {}


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key[:60], list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _either(types: list[str]) -> str:
    in_order = sorted(types, key=lambda name: (name == "null", name))
    return " or ".join(_KINDS.get(name, f"a {name}") for name in in_order)


def _at_least(facts: Mapping[str, Any]) -> str:
    return "must not be empty" if facts["limit"] == 1 else f"must have at least {facts['limit']:,} characters"


def _format(facts: Mapping[str, Any]) -> str:
    return _FORMATS.get(facts["format"], f"must be a valid {facts['format']}")


_FORMATS = {
    "date": "must be a date, such as 2027-06-19",
    "date-time": "must be a time with its offset, such as 2027-06-19T14:00:00Z",
    "email": "must be an e-mail address",
    "uri": "must be a whole address, such as https://example.com/page",
}
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "type": lambda facts: f"must be {_either(facts['types'])}",
    "format": _format,
    "enum": lambda facts: shortened(f"must be one of {', '.join(str(option) for option in facts['options'])}"),
    "const": lambda facts: shortened(f"must be {facts['expected_value']}"),
    "pattern": lambda facts: shortened(f"must match the pattern {facts['pattern']}"),
    "minimum": lambda facts: f"must be at least {facts['limit']}",
    "maximum": lambda facts: f"must be at most {facts['limit']}",
    "exclusiveMinimum": lambda facts: f"must be more than {facts['limit']}",
    "exclusiveMaximum": lambda facts: f"must be less than {facts['limit']}",
    "minLength": _at_least,
    "maxLength": lambda facts: f"must have at most {facts['limit']:,} characters",
    "minItems": lambda facts: "must not be empty" if facts["limit"] == 1 else f"needs at least {facts['limit']} items",
    "maxItems": lambda facts: f"must have at most {facts['limit']} items",
    "minProperties": lambda facts: f"needs at least {facts['limit']} keys",
    "maxProperties": lambda facts: f"must have at most {facts['limit']} keys",
    "uniqueItems": lambda _facts: "must not hold an item twice",
    "multipleOf": lambda facts: f"must be a multiple of {facts['multiple_of']}",
}
