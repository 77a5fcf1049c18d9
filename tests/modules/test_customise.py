"""Customising module types: files, problems, removal, and what then holds. On SQLite and PostgreSQL."""

from typing import Any

import pytest
import yaml
from sqlalchemy import text

from tests.modules.sample import definition, file_of
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, NotFound, UnknownModule, UsageError
from wedsync_ops.modules import actions, store
from wedsync_ops.modules.customise import Customising, customise, effective, remove
from wedsync_ops.modules.registry import Registry

NOW = 1_800_000_000_000_000
PROPERTIES = {
    "text": {"type": "string", "minLength": 1},
    "times": {"type": "integer", "minimum": 0, "default": 1},
    "fields": {"type": "object", "additionalProperties": {"type": "string"}, "default": {"x": "schema", "y": "schema"}},
    "when": {"enum": ["now", "later"]},
    "at": {"type": "string"},
}
RULE = {
    "if": {"required": ["when"], "properties": {"when": {"const": "later"}}},
    "then": {"required": ["at"]},
    "else": {"properties": {"at": {"not": {}, "description": "is only allowed with when later"}}},
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": PROPERTIES,
    "allOf": [RULE],
}


@pytest.fixture
def registered(database: Database) -> Database:
    """One module type, greeting, with defaults, maps and a rule over two keys."""
    extra: dict[str, Any] = {
        "resource_requirements": {"memory_limit": 256, "execution_timeout": 20},
        "wedding_optimizations": {"vendor_type_optimization": {"venues": {"priority_boost": 1}}},
    }
    registered = actions.register(database, file_of(definition(config_schema=SCHEMA, **extra)), "test", now=NOW)
    assert registered.problems == ()
    return database


def given(database: Database, *entries: dict[str, Any], **options: Any) -> Customising:
    raw = yaml.safe_dump({"schema_version": 1, "customisations": list(entries)}, sort_keys=False).encode()
    return customise(database, raw, "test.yaml", now=options.pop("now", NOW), **options)


def entry(**fields: Any) -> dict[str, Any]:
    whom = {} if "vendor_type" in fields else {"supplier": "s1"}
    return {**whom, "module": "greeting", **fields}


def changes(done: Customising) -> list[str]:
    assert done.problems == ()
    return [one.change for one in done.customised]


def messages(done: Customising) -> dict[str, str]:
    assert done.customised == ()
    return {problem.path.removeprefix("customisations[0]"): problem.message for problem in done.problems}


def load(database: Database) -> Registry:
    with database.reading() as connection:
        return store.load(connection)


def test_what_is_the_same_is_unchanged(registered: Database) -> None:
    first, second = entry(config={"times": 2}), entry(vendor_type="venues", priority="high")
    assert changes(given(registered, first, second)) == ["added", "added"]
    assert changes(given(registered, second, first, now=NOW + 5)) == ["unchanged", "unchanged"]
    assert changes(given(registered, entry(config={"times": 3}), second, now=NOW + 6)) == ["changed", "unchanged"]
    with registered.reading() as connection:
        rows = connection.execute(text("SELECT name, updated_at FROM customisations ORDER BY name")).all()
    assert [tuple(row) for row in rows] == [("s1", NOW + 6), ("venue", NOW)]


def test_what_a_file_leaves_out_stays(registered: Database) -> None:
    given(registered, entry(config={"times": 2}))
    given(registered, entry(vendor_type="venue", priority="low"))
    assert len(load(registered).customisations) == 2


def test_a_dry_run_tells_and_writes_nothing(registered: Database) -> None:
    assert changes(given(registered, entry(priority_boost=2), dry_run=True)) == ["added"]
    assert load(registered).customisations == {}


def test_one_problem_and_nothing_is_stored(registered: Database) -> None:
    done = given(registered, entry(priority="high"), entry(supplier="s2", config={"times": -1}))
    assert [(p.path, p.message) for p in done.problems] == [("customisations[1].config.times", "must be at least 0")]
    assert load(registered).customisations == {}


def test_every_problem_at_once_with_its_line(registered: Database) -> None:
    raw = b"""schema_version: 2
customisations:
  - supplier: s1
    module: greeting
    config:
      text: ""
      tines: 3
    limits:
      memory_limit: 300
      execution_timeout: 0
  - vendor_type: dj
    module: greetings
    priority: urgent
  - supplier: s2
    vendor_type: venue
    moduel: greeting
    priority_boost: 4
  - 5
"""
    done = customise(registered, raw, "x", now=NOW)
    assert [(problem.line, problem.path.replace("customisations", "")) for problem in done.problems] == [
        (1, "schema_version"),
        (6, "[0].config.text"),
        (7, "[0].config.tines"),
        (9, "[0].limits.memory_limit"),
        (10, "[0].limits.execution_timeout"),
        (11, "[1].vendor_type"),
        (12, "[1].module"),
        (13, "[1].priority"),
        (14, "[2]"),
        (14, "[2].module"),
        (16, "[2].moduel"),
        (17, "[2].priority_boost"),
        (18, "[3]"),
    ]


@pytest.mark.parametrize(
    ("wrong", "place", "said"),
    [
        ({"config": {"fields": {"x": 1}}}, ".config.fields.x", "must be a string"),
        ({"config": {"at": "9"}}, ".config.at", "is only allowed with when later"),
        ({"limits": {"memory_limit": 257}}, ".limits.memory_limit", "at most 256"),
        ({"limits": {"memory": 64}}, ".limits.memory", "did you mean 'memory_limit'"),
        ({"limits": {}}, "", "changes nothing"),
        ({}, "", "changes nothing"),
        ({"supplier": "", "priority": "high"}, ".supplier", "must have"),
        ({"supplier": " ", "priority": "high"}, ".supplier", "must not be blank"),
        ({"supplier": "s" * 256, "priority": "high"}, ".supplier", "must have at most 255"),
        ({"supplier": True, "priority": "high"}, ".supplier", "must be text"),
        ({"vendor_type": 5, "priority": "high"}, ".vendor_type", "must be text"),
        ({"config": []}, ".config", "must be a mapping"),
        ({"scope": "supplier", "priority": "high"}, ".scope", "no such field"),
    ],
)
def test_what_is_refused(registered: Database, wrong: dict[str, Any], place: str, said: str) -> None:
    found = messages(given(registered, entry(**wrong)))
    assert place in found
    assert said in found[place]


def test_the_same_twice_in_a_file(registered: Database) -> None:
    done = given(registered, entry(vendor_type="venue", priority="low"), entry(vendor_type="Venues", priority="high"))
    assert [problem.message for problem in done.problems] == ["vendor type venue customises greeting already in line 3"]


@pytest.mark.parametrize("config", [{"when": "later"}, {"when": "later", "at": "9"}, {"fields": {"x": "y"}}])
def test_defaults_need_not_be_whole(registered: Database, config: dict[str, Any]) -> None:
    assert changes(given(registered, entry(config=config))) == ["added"]


@pytest.mark.parametrize("raw", [b"", b"5", b"customisations: []\nschema_version: 1", b"a: !!python/name:os.system x"])
def test_files_that_are_none(registered: Database, raw: bytes) -> None:
    assert len(customise(registered, raw, "x", now=NOW).problems) >= 1


def test_removing(registered: Database) -> None:
    given(registered, entry(priority="high"), entry(vendor_type="venue", priority="low"))
    assert remove(registered, "vendor_type", "Venues", "greeting", dry_run=True).priority == "low"
    assert len(load(registered).customisations) == 2
    assert remove(registered, "vendor_type", "Venues", "greeting").name == "venue"
    assert [key[0] for key in load(registered).customisations] == ["supplier"]
    with pytest.raises(NotFound, match="the vendor type 'venue' has no customisation"):
        remove(registered, "vendor_type", "venue", "greeting")
    with pytest.raises(UnknownModule, match="did you mean 'greeting'"):
        remove(registered, "supplier", "s1", "greetings")
    with pytest.raises(UsageError, match="no vendor type 'dj'"):
        remove(registered, "vendor_type", "dj", "greeting")


def test_a_stored_one_that_cannot_be_read_is_named(registered: Database) -> None:
    given(registered, entry(priority="high"))
    with registered.transaction() as connection:
        connection.execute(text("UPDATE customisations SET content = '{\"priority\": 5}'"))
    with pytest.raises(DatabaseError, match="the customisation of 'greeting' by 's1' cannot be read"):
        load(registered).overrides("greeting", None, "s1")


class TestWhatHolds:
    def found(self, database: Database, **whom: str) -> dict[str, dict[str, tuple[Any, str]]]:
        registry = load(database)
        answer = effective(registry, registry.current("greeting"), **whom).as_json()  # type: ignore[arg-type]
        return {part: {one["path"]: (one["value"], one["from"]) for one in rows} for part, rows in answer.items()}

    def test_each_value_with_its_origin(self, registered: Database) -> None:
        given(
            registered,
            entry(
                vendor_type="venue",
                config={"when": "now", "fields": {"y": "vendor", "z": "vendor"}},
                priority="high",
                limits={"memory_limit": 128, "execution_timeout": 10},
            ),
            entry(config={"times": 4, "fields": {"z": "own"}}, priority="normal", limits={"memory_limit": 200}),
        )
        found = self.found(registered, vendor_type="venues", supplier="s1")
        assert found["config"] == {
            "times": (4, "supplier"),
            "fields.x": ("schema", "schema"),
            "fields.y": ("vendor", "vendor_type"),
            "fields.z": ("own", "supplier"),
            "when": ("now", "vendor_type"),
        }
        assert found["priority"] == {
            "priority": ("normal", "supplier"),
            "priority_boost": (1, "module_type"),
            "weight": (1.0, "module_type"),
        }
        assert found["limits"] == {
            "cpu_limit": (1.0, "module_type"),
            "memory_limit": (128, "vendor_type"),
            "network_bandwidth": (100.0, "module_type"),
            "execution_timeout": (10.0, "vendor_type"),
        }
        alone = self.found(registered, supplier="s1")
        assert (alone["limits"]["memory_limit"], alone["priority"]["priority_boost"]) == (
            (200, "supplier"),
            (0, "module_type"),
        )

    def test_a_boost_that_is_higher_than_the_types_own(self, registered: Database) -> None:
        given(registered, entry(vendor_type="venue", priority_boost=2), entry(priority_boost=0))
        assert self.found(registered, vendor_type="venue")["priority"]["priority_boost"] == (2, "vendor_type")
        both = self.found(registered, vendor_type="venue", supplier="s1")
        assert both["priority"]["priority_boost"] == (1, "module_type")

    def test_nobody_in_particular(self, registered: Database) -> None:
        assert self.found(registered, supplier="nobody")["config"]["times"] == (1, "schema")
        with pytest.raises(UsageError, match="no vendor type 'dj'"):
            self.found(registered, vendor_type="dj")
