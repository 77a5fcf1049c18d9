"""What definitions say of unique jobs and of providers, and what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from tests.modules.sample import definition, file_of
from wedsync_ops import codec, yamldoc
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.modules import customise
from wedsync_ops.modules.model import Unique
from wedsync_ops.modules.registry import Registry, content_hash, parse


def problems(**fields: Any) -> list[tuple[str, str]]:
    return [(one.path, one.message) for one in parse(file_of(definition(**fields))).problems]


def test_a_key_is_paths_and_its_jobs_are_kept_unless_said_otherwise() -> None:
    key = ["client_id", "supplier_id", "journey_instance_id", "config.text", "context.step_data.step.id"]
    (found,) = parse(file_of(definition(unique={"key": key}))).definitions
    unique = found.definition.unique
    assert unique == Unique(key=tuple(key), on_conflict="keep", within=None)
    assert unique is not None
    assert unique.within_us is None


@pytest.mark.parametrize(
    ("within", "us"), [("90s", 90 * SECOND), ("15m", 15 * MINUTE), ("24h", 24 * HOUR), ("366d", 366 * DAY)]
)
def test_a_length_is_a_number_and_its_unit(within: str, us: int) -> None:
    assert Unique(key=("client_id",), within=within).within_us == us


@pytest.mark.parametrize(
    ("unique", "place", "words"),
    [
        ({}, "key", "is required"),
        ({"key": []}, "key", "must be a list of 1 to 10 paths"),
        ({"key": "client_id"}, "key", "must be a list"),
        ({"key": ["client"]}, "key[0]", "must be one of client_id, supplier_id, journey_instance_id, or start with"),
        ({"key": ["client_id", "config."]}, "key[1]", "or start with config. or context."),
        ({"key": ["{client_id}"]}, "key[0]", "must be one of client_id"),
        ({"key": ["context.a..b"]}, "key[0]", "must be one of client_id"),
        ({"key": ["client_id; DROP"]}, "key[0]", "must be one of client_id"),
        ({"key": [5]}, "key[0]", "must be text"),
        ({"key": ["config.txt"]}, "key[0]", "the config has no key 'txt'; did you mean 'text'?"),
        ({"key": ["client_id"], "within": "1w"}, "within", "must be a length of at most 366 days, such as 90s"),
        ({"key": ["client_id"], "within": "367d"}, "within", "must be a length of at most 366 days"),
        ({"key": ["client_id"], "within": "0h"}, "within", "must be a length"),
        ({"key": ["client_id"], "on_conflict": "drop"}, "on_conflict", "must be 'keep', 'replace' or 'refuse'"),
        ({"key": ["client_id"], "state": []}, "state", "there is no such field"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(unique: dict[str, Any], place: str, words: str) -> None:
    ((path, message),) = problems(unique=unique)
    assert path == f"modules[0].unique.{place}"
    assert words in message


def test_every_problem_is_told_at_once() -> None:
    wrong = {"key": ["config.txt", "nobody"], "within": "x", "on_conflict": "y"}
    places = [path for path, _ in problems(unique=wrong, provider="SMTP!")]
    assert sorted(places) == [
        "modules[0].provider",
        "modules[0].unique.key[0]",
        "modules[0].unique.key[1]",
        "modules[0].unique.on_conflict",
        "modules[0].unique.within",
    ]


def test_an_open_schema_may_hold_any_key() -> None:
    assert problems(unique={"key": ["config.whatever"]}, config_schema={"type": "object"}) == []


def test_what_was_registered_before_these_fields_came_has_not_changed() -> None:
    (found,) = parse(file_of(definition())).definitions
    before = found.definition.model_dump(mode="json")
    del before["unique"], before["provider"]
    assert found.content_hash == codec.digest(before)
    (other,) = parse(file_of(definition(unique={"key": ["client_id"]}, provider="smtp"))).definitions
    assert content_hash(other.definition) != found.content_hash


def test_a_customisation_has_no_word_in_it() -> None:
    raw = b"schema_version: 1\ncustomisations:\n  - supplier: s1\n    module: greeting\n    unique: null\n"
    _, problems = customise.parse(raw, Registry({}, {}, {}))
    assert ("customisations[0].unique", "there is no such field") in [(one.path, one.message) for one in problems]


def test_every_shipped_module_type_names_what_it_delivers_over() -> None:
    shipped = yamldoc.read((Path(__file__).parents[2] / "modules.yaml").read_bytes()).value["modules"]
    found = {each["id"]: each["provider"] for each in shipped}
    assert found.pop("sms") == "sms-gateway"
    assert set(found.values()) == {"smtp"}
