"""Config schemas: what is accepted as one, and what a config that does not fit is told."""

import time
from typing import Any

import pytest

from wedsync_ops.errors import InvalidInput
from wedsync_ops.modules import schema


@pytest.mark.parametrize(
    ("wrong", "place", "part"),
    [
        ({"type": "strin"}, ("type",), "must be one of array"),
        ({"properties": {"x": {"minimum": "a"}}}, ("properties", "x", "minimum"), "must be a number, not a string"),
        ({"required": "x"}, ("required",), "must be a list"),
        ({"properties": 3}, ("properties",), "must be an object"),
        ({"maxLength": -1}, ("maxLength",), "-1"),
        ({"$ref": "https://example.com/schema.json"}, ("$ref",), "leads out"),
        ({"$ref": "file:///etc/passwd"}, ("$ref",), "leads out"),
        ({"$ref": "other.json#/x"}, ("$ref",), "leads out"),
        ({"properties": {"x": {"$dynamicRef": "http://127.0.0.1:1/x"}}}, ("properties", "x", "$dynamicRef"), "leads"),
        ({"allOf": [{"$ref": "#/$defs/none"}]}, ("allOf", 0, "$ref"), "nowhere"),
        ({"$ref": "#anchor"}, (), "anchor"),
        ({"$id": "https://example.com/x"}, ("$id",), "$id"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, ("$schema",), "2020-12"),
        ({"$schema": "http://127.0.0.1:1/own"}, ("$schema",), "2020-12"),
        ({"items": {"format": "postcode"}}, ("items", "format"), "not known"),
        ({"pattern": "(a"}, ("pattern",), "no pattern"),
        ({"pattern": "(?=a)b"}, ("pattern",), "linear"),
        ({"pattern": r"(a)\1"}, ("pattern",), "linear"),
        ({"pattern": r"(\w{1000}){1000}"}, ("pattern",), "no pattern"),
        ({"patternProperties": {"(x": {}}}, ("patternProperties", "(x"), "no pattern"),
    ],
)
def test_what_is_no_schema_is_named_with_its_place(wrong: dict[str, Any], place: tuple[Any, ...], part: str) -> None:
    found = schema.faults(wrong)
    assert [where for where, _ in found] == [place]
    assert part in found[0][1]
    assert "\n" not in found[0][1]
    if place not in (("$schema",), ("$id",)):
        with pytest.raises(InvalidInput):
            schema.compiled(wrong)


def test_every_fault_is_named_once() -> None:
    wrong = {
        "type": "strin",
        "additionalProperties": 3,
        "properties": {"a": {"$ref": "http://x"}, "b": {"format": "q"}},
    }
    places = [place for place, _ in schema.faults(wrong)]
    assert sorted(places) == [
        ("additionalProperties",),
        ("properties", "a", "$ref"),
        ("properties", "b", "format"),
        ("type",),
    ]


@pytest.mark.parametrize(
    "fine",
    [
        {},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "object"}}},
        {"properties": {"next": {"$ref": "#"}}},
        {"properties": {"$ref": {"type": "string"}, "format": {"enum": ["in_person"]}, "pattern": {}}},
        {"default": {"$ref": "http://data.example/is/no/reference"}, "enum": [{"format": "nope"}]},
    ],
)
def test_what_is_a_schema_is_accepted(fine: dict[str, Any]) -> None:
    assert schema.faults(fine) == []
    schema.compiled(fine)


def _errors(part: dict[str, Any], config: Any) -> list[str]:
    whole = {"type": "object", **part}
    assert schema.faults(whole) == []
    return schema.errors(schema.compiled(whole), whole, config)


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ({"type": "integer"}, "5", "must be a whole number"),
        ({"type": ["string", "null"]}, 5, "must be a string or null"),
        ({"minimum": 0}, -1, "must be at least 0"),
        ({"maximum": 10}, 11, "must be at most 10"),
        ({"exclusiveMinimum": 0}, 0, "must be more than 0"),
        ({"minLength": 1}, "", "must not be empty"),
        ({"minLength": 2}, "x", "must have at least 2 characters"),
        ({"maxLength": 1600}, "x" * 1601, "must have at most 1,600 characters"),
        ({"enum": ["a", "b"]}, "c", "must be one of a, b"),
        ({"const": "a"}, "c", "must be a"),
        ({"pattern": "^x"}, "secret", "must match the pattern ^x"),
        ({"format": "date"}, "2026-02-30", "must be a date, such as 2027-06-19"),
        ({"format": "date-time"}, "2026-02-20T10:00", "must be a time with its offset, such as 2027-06-19T14:00:00Z"),
        ({"format": "email"}, "nobody", "must be an e-mail address"),
        ({"format": "uri"}, "/page", "must be a whole address, such as https://example.com/page"),
        ({"format": "ipv4"}, "x", "must be a valid ipv4"),
        ({"minItems": 1}, [], "must not be empty"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 items"),
        ({"uniqueItems": True}, [1, 1], "must not hold an item twice"),
        ({"multipleOf": 5}, 7, "must be a multiple of 5"),
        ({"anyOf": [{"minLength": 2}, {"type": "null"}]}, "x", "must have at least 2 characters or must be null"),
        ({"not": {}, "description": "is only allowed on Sundays"}, 1, "is only allowed on Sundays"),
        (False, 1, "is not allowed here"),
    ],
)  # fmt: skip
def test_an_error_says_what_is_wanted_in_plain_words(rule: Any, value: Any, said: str) -> None:
    assert _errors({"properties": {"x": rule}}, {"x": value}) == [f"config.x: {said}"]


def test_every_error_is_one_line_with_its_place() -> None:
    part = {
        "required": ["name", "who"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "who": {},
            "rows": {"type": "array", "items": {"type": "object", "properties": {"odd key": {"type": "integer"}}}},
        },
    }
    assert sorted(_errors(part, {"rows": [{}, {"odd key": "x"}], "nme": 1, "q/r": 2})) == [
        "config.name: is required",
        "config.nme: is not a key that the schema knows; did you mean 'name'?",
        'config.rows[1]["odd key"]: must be a whole number',
        "config.who: is required",
        'config["q/r"]: is not a key that the schema knows',
    ]  # fmt: skip


@pytest.mark.parametrize("config", [None, [], "text", 5, True])
def test_a_config_that_is_no_object_is_refused_even_by_an_empty_schema(config: Any) -> None:
    validator = schema.compiled({})
    assert schema.errors(validator, {}, config)[0].startswith("config: must be an object, not ")
    assert schema.first_error(validator, {}, config) is not None


def test_the_values_of_a_config_are_never_part_of_an_error() -> None:
    rules: list[dict[str, Any]] = [
        {"type": "integer"}, {"enum": ["a"]}, {"format": "email"}, {"maxLength": 2}, {"not": {"type": "string"}},
        {"oneOf": [{"type": "string"}, {"minLength": 1}]}, {"contains": {}}, {"allOf": [False]}, {"pattern": "^b"},
    ]  # fmt: skip
    for rule in rules:
        assert all("anna@" not in line for line in _errors({"properties": {"x": rule}}, {"x": "anna@example.com "}))


def test_the_list_of_errors_is_bounded() -> None:
    found = _errors({"properties": {"x": {"items": {"type": "string"}}}}, {"x": list(range(10_000))})
    assert len(found) == schema.MOST_ERRORS + 1
    assert found[-1] == "config: has 9900 more errors"


def test_the_first_error_is_one_of_all() -> None:
    rules = {"properties": {"x": {"type": "integer"}}, "required": ["y"]}
    validator = schema.compiled(rules)
    assert schema.first_error(validator, rules, {"x": 1, "y": 2}) is None
    assert schema.first_error(validator, rules, {"x": "a"}) in schema.errors(validator, rules, {"x": "a"})


def test_a_pattern_that_explodes_elsewhere_is_linear_here() -> None:
    rules = {"properties": {"x": {"pattern": "^(a+)+$"}}}
    validator = schema.compiled(rules)
    started = time.process_time()
    assert schema.first_error(validator, rules, {"x": "a" * 100_000 + "b"}) is not None
    assert time.process_time() - started < 2
