"""Definition files: everything wrong at once, each with its line and its place."""

from typing import Any

import pytest

from tests.modules.sample import NAME, definition, file_of
from wedsync_ops.modules import reading
from wedsync_ops.modules.registry import parse


def _told(raw: bytes) -> list[tuple[int, str]]:
    parsed = parse(raw)
    assert all("\n" not in problem.message for problem in parsed.problems)
    return [(problem.line, problem.path) for problem in parsed.problems]


def test_a_minimal_definition_has_the_platform_s_defaults() -> None:
    parsed = parse(file_of(definition()))
    assert parsed.problems == parsed.warnings == ()
    found = parsed.definitions[0].definition
    resources = found.resource_requirements
    assert (resources.cpu_limit, resources.memory_limit, resources.network_bandwidth) == (1.0, 512, 100.0)
    assert (resources.execution_timeout, found.performance_targets.max_execution_time) == (30.0, 2000.0)
    assert (found.performance_targets.error_rate_threshold, found.retry.attempts, found.retry.delay) == (5.0, 3, 2000.0)
    assert (found.isolation, found.is_active) == ("process", True)


def test_every_problem_at_once_with_line_and_path() -> None:
    raw = f"""schema_version: 2
extra: 1
modules:
  - id: a/b
    display_name: X
    category: c
    handler: nowhere_at_all:handle
    config_schema:
      properties:
        x: {{type: strin}}
        y:
          $ref: http://example.com/x
    retry:
      attempts: -1
    resource_requirements:
      cpu_limit: 0
    isactive: true
  - id: ok
    display_name: X
    category: c
    handler: {NAME}
    config_schema: {{type: object, additionalProperties: false, properties: {{t: {{type: integer}}}}}}
    examples:
      - summary: s
        config:
          t: x
  - id: ok
    config_schema: true
  - 5
""".encode()
    assert _told(raw) == [
        (1, "schema_version"),
        (2, "extra"),
        (4, "modules[0].id"),
        (7, "modules[0].handler"),
        (10, "modules[0].config_schema.properties.x.type"),
        (12, "modules[0].config_schema.properties.y.$ref"),
        (14, "modules[0].retry.attempts"),
        (16, "modules[0].resource_requirements.cpu_limit"),
        (17, "modules[0].isactive"),
        (26, "modules[1].examples[0].config.t"),
        (27, "modules[2].display_name"),
        (27, "modules[2].category"),
        (27, "modules[2].handler"),
        (27, "modules[2].id"),
        (28, "modules[2].config_schema"),
        (29, "modules[3]"),
    ]


def test_a_value_that_is_none_hides_no_other_problem() -> None:
    raw = f"""schema_version: 1
modules:
  - id: a
    category: c
    handler: {NAME}
    config_schema: {{type: object, additionalProperties: false, properties: {{n: {{type: number, minimum: .nan}}}}}}
    retry:
      delay: .inf
      attempts: 0
  - id: a
    display_name: 99999999999999999999
    category: c
    handler: {NAME}
    config_schema: {{type: strin}}
""".encode()
    assert _told(raw) == [
        (3, "modules[0].display_name"),
        (6, "modules[0].config_schema.properties.n.minimum"),
        (8, "modules[0].retry.delay"),
        (9, "modules[0].retry.attempts"),
        (10, "modules[1].id"),
        (11, "modules[1].display_name"),
        (14, "modules[1].config_schema.type"),
    ]


def test_what_stops_the_reading_has_its_place() -> None:
    assert _told(b"schema_version: 1\nmodules:\n  - id: !!str a\n") == [(3, "modules[0].id")]
    assert _told(b"schema_version: 1\nmodules:\n  - id: a\n    id: b\n") == [(4, "modules[0].id")]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", 1),
        (b"\xff\xfe\x00", 1),
        (b"- a\n- b\n", 1),
        (b"just text", 1),
        (b"schema_version: 1\nmodules: !!python/object/apply:os.system [x]\n", 2),
        (b"schema_version: 1\nmodules: &a\n  - *a\n", 3),
        (b"schema_version: 1\nmodules: []\nmodules: []\n", 3),
        (b"schema_version: 1\nmodules: [\n", 3),
        (b"x: " + b"[" * 1000, 1),
        (b"# " + b"x" * 10_000_000, 1),
    ],
    ids=["empty", "binary", "list", "text", "tag", "cycle", "twice", "broken", "deep", "10 MB"],
)
def test_a_hostile_file_is_one_problem(raw: bytes, line: int) -> None:
    told = _told(raw)
    assert len(told) == 1
    assert told[0][0] == line


@pytest.mark.parametrize("raw", [b"schema_version: 1\n", b"schema_version: 1\nmodules: {}\n", file_of()])
def test_a_file_without_definitions_is_a_problem(raw: bytes) -> None:
    assert [path for _, path in _told(raw)] == ["modules"]


@pytest.mark.parametrize("version", [True, "1", 1.0, 2, None])
def test_any_other_schema_version_is_a_problem(version: Any) -> None:
    assert [path for _, path in _told(file_of(definition(), version=version))] == ["schema_version"]


@pytest.mark.parametrize("module_id", ["a/b", "../x", "", "A", "1a", "-a", "a b", "a" * 51, "é", "a\n", 5, None])
def test_an_id_that_is_none_is_a_problem(module_id: Any) -> None:
    assert "modules[0].id" in [path for _, path in _told(file_of(definition(id=module_id)))]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"resource_requirements": {"memory_limit": -1}}, "resource_requirements.memory_limit"),
        ({"resource_requirements": {"memory_limit": 100.5}}, "resource_requirements.memory_limit"),
        ({"resource_requirements": {"execution_timeout": 0}}, "resource_requirements.execution_timeout"),
        ({"resource_requirements": {"cpu_limit": "1"}}, "resource_requirements.cpu_limit"),
        ({"resource_requirements": {"cpus": 1}}, "resource_requirements.cpus"),
        ({"performance_targets": {"error_rate_threshold": 101}}, "performance_targets.error_rate_threshold"),
        ({"performance_targets": {"target_throughput": -5}}, "performance_targets.target_throughput"),
        ({"retry": {"attempts": 0}}, "retry.attempts"),
        ({"retry": {"backoff": "random"}}, "retry.backoff"),
        ({"retry": {"delay": True}}, "retry.delay"),
        (
            {"wedding_optimizations": {"vendor_type_optimization": {"venue": {"priority_boost": 4}}}},
            "wedding_optimizations.vendor_type_optimization.venue.priority_boost",
        ),
        ({"isolation": "none"}, "isolation"),
        ({"is_active": "no"}, "is_active"),
        ({"handler": "../x"}, "handler"),
        ({"category": "Two Words"}, "category"),
        ({"capabilities": "send"}, "capabilities"),
        ({"capabilities": ["ok", "not ok"]}, "capabilities[1]"),
        ({"display_name": ""}, "display_name"),
        ({"config_schema": None}, "config_schema"),
        ({"config_schema": []}, "config_schema"),
        ({"examples": [{"summary": "s"}]}, "examples[0].config"),
    ],
)
def test_a_field_that_does_not_fit_is_named(fields: dict[str, Any], path: str) -> None:
    assert f"modules[0].{path}" in [where for _, where in _told(file_of(definition(**fields)))]


def test_a_misspelt_field_names_the_nearest() -> None:
    assert "did you mean 'is_active'?" in parse(file_of(definition(isactive=True))).problems[0].message


def test_an_unresolved_handler_is_a_problem_only_of_an_active_type() -> None:
    assert _told(file_of(definition(handler="nowhere_at_all:handle"))) == [(6, "modules[0].handler")]
    assert _told(file_of(definition(handler="nowhere_at_all:handle", is_active=False))) == []


def test_what_is_doubtful_is_a_warning() -> None:
    open_schema = definition("open", config_schema={"type": "object"})
    parsed = parse(file_of(open_schema, definition("threaded", isolation="thread")))
    assert parsed.problems == ()
    assert [warning.path for warning in parsed.warnings] == ["modules[0].config_schema", "modules[1].isolation"]


def test_the_list_of_problems_is_bounded() -> None:
    parsed = parse(file_of(*([5] * 10_000)))
    assert len(parsed.problems) == reading.MOST_PROBLEMS + 1
    assert "9800 more problems" in parsed.problems[-1].message


def test_the_hash_is_of_what_is_said_not_of_how_it_is_written() -> None:
    plain = parse(file_of(definition())).definitions[0]
    explicit = parse(file_of(definition(retry={"delay": 2000, "attempts": 3}))).definitions[0]
    other = parse(file_of(definition(retry={"attempts": 4}))).definitions[0]
    assert plain.content_hash == explicit.content_hash != other.content_hash
