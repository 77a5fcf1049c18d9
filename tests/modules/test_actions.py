"""Registering, rolling back, retiring, comparing: on SQLite and PostgreSQL."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.modules.sample import definition, file_of
from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.errors import (
    DatabaseError,
    InputFileError,
    InvalidInput,
    ModuleInactive,
    NotFound,
    Refused,
    UnknownModule,
)
from wedsync_ops.modules import actions, store
from wedsync_ops.modules.model import Pointer
from wedsync_ops.modules.registry import Registry
from wedsync_ops.settings import Settings

NOW = 1_800_000_000_000_000


def load(database: Database) -> Registry:
    with database.reading() as connection:
        return store.load(connection)


def register(database: Database, *definitions: dict[str, Any], now: int = NOW, **options: Any) -> list[Any]:
    result = actions.register(database, file_of(*definitions), "test.yaml", now=now, **options)
    assert result.problems == ()
    return [
        (item.module.module_id, item.module.version, item.changed, item.held, item.version_in_force)
        for item in result.registered
    ]


def test_registering_twice_changes_nothing(database: Database) -> None:
    two = (definition("one"), definition("two"))
    assert register(database, *two) == [("one", 1, True, False, 1), ("two", 1, True, False, 1)]
    before = load(database)
    assert register(database, *two, now=NOW + 1) == [("one", 1, False, False, 1), ("two", 1, False, False, 1)]
    assert load(database) == before
    assert before.current("one").created_at == NOW


def test_only_what_was_edited_gets_a_new_version(database: Database) -> None:
    register(database, definition("one"), definition("two"))
    edited = definition("two", description="better")
    assert register(database, definition("one"), edited) == [("one", 1, False, False, 1), ("two", 2, True, False, 2)]
    registry = load(database)
    assert registry.version("two", 1).definition.description == ""
    assert registry.current("two").definition.description == "better"


def test_a_definition_seen_before_gets_its_version_back(database: Database) -> None:
    register(database, definition())
    register(database, definition(description="b"))
    assert register(database, definition()) == [("greeting", 1, True, False, 1)]
    assert load(database).numbers("greeting") == (1, 2)


def test_a_file_with_a_problem_registers_nothing(database: Database) -> None:
    result = actions.register(database, file_of(definition("good"), definition("b/d")), "bad.yaml", now=NOW)
    assert result.registered == ()
    assert [problem.path for problem in result.problems] == ["modules[1].id"]
    assert load(database).modules() == ()


def test_a_dry_run_tells_and_writes_nothing(database: Database) -> None:
    assert register(database, definition(), dry_run=True) == [("greeting", 1, True, False, 1)]
    assert load(database).modules() == ()


def test_a_rollback_holds_until_forced(database: Database) -> None:
    register(database, definition())
    register(database, definition(description="b"))
    assert actions.rollback(database, "greeting", 1, now=NOW) == actions.RolledBack("greeting", 2, 1, changed=True)
    assert actions.rollback(database, "greeting", 1, now=NOW).changed is False
    assert load(database).pointer("greeting") == Pointer(1, is_held=True, retired_at=None)
    assert register(database, definition(description="b")) == [("greeting", 2, False, True, 1)]
    assert register(database, definition(description="c")) == [("greeting", 3, True, True, 1)]
    assert register(database, definition(description="c")) == [("greeting", 3, False, True, 1)]
    assert register(database, definition(description="c"), force=True) == [("greeting", 3, True, False, 3)]


def test_what_cannot_be_rolled_back_to(database: Database) -> None:
    register(database, definition(handler="nowhere_at_all:handle", is_active=False))
    register(database, definition())
    with pytest.raises(UnknownModule, match="did you mean 'greeting'"):
        actions.rollback(database, "greetings", 1, now=NOW)
    with pytest.raises(NotFound, match="no version 7"):
        actions.rollback(database, "greeting", 7, now=NOW)
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE module_versions SET definition = replace(definition, :a, :b) WHERE version = 1"),
            {"a": '"is_active":false', "b": '"is_active":true'},
        )
    with pytest.raises(InvalidInput, match="no Python module"):
        actions.rollback(database, "greeting", 1, now=NOW)
    actions.retire(database, "greeting", now=NOW)
    with pytest.raises(Refused, match="is retired"):
        actions.rollback(database, "greeting", 2, now=NOW)
    assert load(database).pointer("greeting") == Pointer(2, is_held=False, retired_at=NOW)


def test_retiring_counts_the_waiting_jobs_and_refuses_new_ones(database: Database) -> None:
    register(database, definition())
    with database.transaction() as connection:
        for priority, shard, available, waiting in ((0, 0, 3, 5), (2, 1, -1, 2)):
            connection.execute(
                text("INSERT INTO lane_counts VALUES ('greeting', :priority, :shard, :available, :waiting)"),
                {"priority": priority, "shard": shard, "available": available, "waiting": waiting},
            )
    told = actions.retire(database, "greeting", now=NOW, dry_run=True)
    assert told == actions.Retired("greeting", 1, waiting_jobs=7, available_jobs=2, changed=True)
    assert load(database).is_usable("greeting")
    assert actions.retire(database, "greeting", now=NOW) == told
    assert actions.retire(database, "greeting", now=NOW + 1).changed is False
    registry = load(database)
    assert registry.pointer("greeting").retired_at == NOW
    with pytest.raises(ModuleInactive, match="retired"):
        registry.usable("greeting")
    with pytest.raises(UnknownModule):
        actions.retire(database, "nothing", now=NOW)


def test_registering_a_retired_module_brings_it_back(database: Database) -> None:
    register(database, definition())
    actions.retire(database, "greeting", now=NOW)
    assert register(database, definition()) == [("greeting", 1, True, False, 1)]
    assert load(database).usable("greeting").version == 1


def test_a_retired_module_that_a_rollback_held_comes_back_held(database: Database) -> None:
    register(database, definition())
    register(database, definition(description="b"))
    actions.rollback(database, "greeting", 1, now=NOW)
    actions.retire(database, "greeting", now=NOW)
    assert register(database, definition(description="b")) == [("greeting", 2, True, True, 1)]


def test_an_inactive_module_is_known_and_refused(database: Database) -> None:
    register(database, definition(is_active=False))
    registry = load(database)
    assert registry.current("greeting").version == 1
    with pytest.raises(ModuleInactive, match="not active"):
        registry.usable("greeting")
    checked = actions.validate(registry, "greeting", {"text": "hello"})
    assert checked.is_valid
    assert "not in use" in checked.warnings[0]


def test_versions_newest_first(database: Database) -> None:
    register(database, definition())
    register(database, definition(description="b"), now=NOW + 5)
    actions.rollback(database, "greeting", 1, now=NOW)
    found = actions.versions(load(database), "greeting")
    assert [(info.module.version, info.module.created_at, info.is_current, info.is_held) for info in found] == [
        (2, NOW + 5, False, False),
        (1, NOW, True, True),
    ]


def test_a_diff_names_each_field(database: Database) -> None:
    register(database, definition(capabilities=["a", "b"]))
    schema = {**definition()["config_schema"], "required": ["text", "times"]}
    del schema["properties"]["times"]
    register(database, definition(config_schema=schema, capabilities=["a"], retry={"attempts": 5}))
    registry = load(database)
    compared = actions.diff(registry, "greeting")
    assert (compared.from_version, compared.to_version) == (1, 2)
    assert sorted((change.path, change.kind, change.before, change.after) for change in compared.changes) == [
        ("capabilities[1]", "removed", "b", None),
        ("config_schema.properties.times", "removed", {"type": "integer", "minimum": 0}, None),
        ("config_schema.required[1]", "added", None, "times"),
        ("retry.attempts", "changed", 3, 5),
    ]
    assert actions.diff(registry, "greeting", 1, 1).changes == ()
    assert actions.diff(registry, "greeting", to_version=1) == actions.Diff("greeting", 1, 1, ())
    with pytest.raises(NotFound, match="no version 9"):
        actions.diff(registry, "greeting", 1, 9)


def test_configs_are_checked_against_the_version_asked_for(database: Database) -> None:
    register(database, definition())
    register(database, definition(config_schema={"type": "object", "properties": {"other": {}}}))
    registry = load(database)
    assert actions.validate(registry, "greeting", {}, version=1).errors == ("config.text: is required",)
    assert actions.validate(registry, "greeting", {}).is_valid
    assert actions.validate(registry, "greeting", {"othre": 1}).warnings == (
        "config.othre: is not a key that the schema names",
    )
    module = registry.version("greeting", 1)
    assert registry.first_config_error(module, {"text": "x"}) is None
    assert registry.first_config_error(module, {"text": ""}) == "config.text: must not be empty"


def test_a_stored_definition_that_cannot_be_read_is_named(database: Database) -> None:
    register(database, definition("one"), definition("two"))
    with database.transaction() as connection:
        connection.execute(text("UPDATE module_versions SET definition = '{}' WHERE module_id = 'two'"))
    registry = load(database)
    assert registry.current("one").version == 1
    with pytest.raises(DatabaseError, match="version 1 of the module type 'two'"):
        registry.current("two")


def test_registrations_at_the_same_moment_take_turns(database: Database, tmp_path: Path) -> None:
    register(database, definition())
    url = database.writer.url.render_as_string(hide_password=False)
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def other_process(number: int) -> None:
        mine = db.connect(Settings(home=tmp_path, db=url))
        try:
            migrate.ensure(mine)
            barrier.wait()
            for step in range(5):
                register(mine, definition(description=f"edit {step}"), definition(f"own-{number}"))
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            mine.close()

    threads = [threading.Thread(target=other_process, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert load(database).numbers("greeting") == (1, 2, 3, 4, 5, 6)
    assert len(load(database).modules()) == 5


def test_what_a_registration_says_of_resources_and_monitoring(database: Database) -> None:
    register(database, definition())
    module = load(database).current("greeting")
    assert actions.resource_allocation(module.definition) == {
        "cpu_limit": 1.0,
        "memory_limit": 512,
        "network_bandwidth": 100.0,
        "execution_timeout": 30.0,
    }
    endpoints = actions.monitoring_endpoints("greeting")
    assert endpoints["metrics"] == "wedsync-ops metrics --module greeting --json"
    assert set(endpoints) == {"metrics", "prometheus", "jobs", "queue"}


def test_the_file_is_the_one_named_or_the_local_or_the_shipped_one(tmp_path: Path) -> None:
    assert actions.find_file(None, tmp_path) == actions.shipped_file()
    assert actions.shipped_file().is_file()
    (tmp_path / "modules.yaml").write_bytes(b"x")
    assert actions.find_file(None, tmp_path) == tmp_path / "modules.yaml"
    assert actions.find_file(Path("other.yaml"), tmp_path) == tmp_path / "other.yaml"
    assert actions.read_file(tmp_path / "modules.yaml") == b"x"


@pytest.mark.parametrize("name", ["missing.yaml", ".", "modules.yaml/below", "nul\0"])
def test_a_file_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "modules.yaml").write_bytes(b"x")
    with pytest.raises(InputFileError) as caught:
        actions.read_file(actions.find_file(Path(name), tmp_path))
    assert "cannot be read" in str(caught.value)


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(10**10)
    assert len(actions.read_file(huge)) == 1024 * 1024 + 1
