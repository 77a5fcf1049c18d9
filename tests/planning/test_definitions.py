"""Journeys in a definition file: every problem at once, each with its line."""

from pathlib import Path

import pytest

from tests.planning.scene import JOURNEYS, register
from tests.stores.queues import DEFINITIONS, NOW, queue_on
from wedsync_ops.db import Database
from wedsync_ops.modules import actions as modules
from wedsync_ops.planning.definitions import from_text, parse, to_text
from wedsync_ops.planning.registering import JourneyBatch

GOOD = """
  - id: classic
    steps:
      - id: welcome
        module: email
        config: {}
        offset: -1d
"""


def problems(journeys: str) -> list[tuple[int, str, str]]:
    parsed = parse(f"schema_version: 1\njourneys:{journeys}".encode())
    assert parsed is not None
    return [(one.line, one.path, one.message) for one in parsed.problems]


def with_step(line: str) -> str:
    return f"{GOOD}        {line}\n"


def with_field(line: str) -> str:
    return f"{GOOD}    {line}\n"


def test_a_journey_and_its_defaults() -> None:
    parsed = parse(f"journeys:{GOOD}".encode())
    assert parsed is not None
    assert parsed.problems == ()
    journey = parsed.journeys[0].journey
    (step,) = journey.steps
    assert (step.anchor, step.days, f"{step.clock:%H:%M}", step.skip_weekends) == ("wedding", -1, "10:00", False)
    assert journey.applies("venue", "s1", "south")
    assert from_text(to_text(journey)) == journey


def test_a_file_that_says_nothing_of_journeys_is_no_file_of_none() -> None:
    assert parse(b"modules: []") is None
    assert parse(b"- x") is None
    assert parse(b"a: [") is None
    empty = parse(b"journeys: []")
    assert empty is not None
    assert (empty.journeys, empty.problems) == ((), ())


@pytest.mark.parametrize(
    ("journeys", "line", "path", "message"),
    [
        (" 5", 2, "journeys", "must be a list"),
        ("\n  - x", 3, "journeys[0]", "must be a mapping"),
        (with_field("stps: 1"), 9, "journeys[0].stps", "did you mean 'steps'"),
        (with_step("offfset: 1d"), 9, "journeys[0].steps[0].offfset", "did you mean 'offset'"),
        (GOOD.replace("-1d", "soon"), 8, "journeys[0].steps[0].offset", "not an offset"),
        (GOOD.replace("-1d", "9999d"), 8, "journeys[0].steps[0].offset", "more than 3660 days"),
        (with_step("at: 25:00"), 9, "journeys[0].steps[0].at", "not a time of day"),
        (with_step("anchor: party"), 9, "journeys[0].steps[0].anchor", "must be"),
        (with_step("deadline: soon"), 9, "journeys[0].steps[0].deadline", "not a length"),
        (with_step("expires: 0d"), 9, "journeys[0].steps[0].expires", "not a length"),
        (with_step("skip_holidays: next"), 9, "journeys[0].steps[0].skip_holidays", "names no holidays"),
        (with_step("skip_weekends: often"), 9, "journeys[0].steps[0].skip_weekends", "must be"),
        (with_field("holidays: [2027-02-29]"), 9, "journeys[0].holidays[0]", "not a date"),
        (with_field("holiday_country: England"), 9, "journeys[0].holiday_country", "not a country"),
        (with_field("applies_to: {regions: [mars]}"), 9, "journeys[0].applies_to.regions[0]", "no region"),
        (with_field("applies_to: {who: [x]}"), 9, "journeys[0].applies_to.who", "there is no such field"),
        (GOOD.split("    steps", maxsplit=1)[0] + "    steps: []\n", 4, "journeys[0].steps", "must not be empty"),
        (GOOD + GOOD.split("\n", 1)[1], 9, "journeys[1].id", "stands already in line 3"),
        (GOOD + GOOD.split("steps:\n")[1], 9, "journeys[0].steps[1].id", "stands already in line 5"),
    ],
)
def test_every_problem_names_its_line(journeys: str, line: int, path: str, message: str) -> None:
    found = problems(journeys)
    assert message in next((told for at, where, told in found if (at, where) == (line, path)), f"{found}")


def test_several_problems_are_told_at_once() -> None:
    found = problems(GOOD.replace("-1d", "soon") + "        at: noon\n")
    assert [where for _, where, _ in found] == ["journeys[0].steps[0].offset", "journeys[0].steps[0].at"]


@pytest.mark.parametrize(
    ("old", "new", "problem", "warning"),
    [
        ("module: info", "module: nothing", "no module type 'nothing'", None),
        ("config: {n: 3}", "config: {m: 3}", "the config does not fit", None),
        ("config: {n: 3}", "config: {n: 13}", "bad luck", None),
        ("module: info", "module: idle", None, "not active"),
        ("steps:", "holiday_country: ZZ\n    steps:", "no holidays are known", None),
    ],
)
def test_what_the_queue_would_refuse_is_a_problem_of_the_file(
    database: Database, tmp_path: Path, old: str, new: str, problem: str | None, warning: str | None
) -> None:
    queue = queue_on(database, tmp_path)
    raw = DEFINITIONS + JOURNEYS.replace(old, new).encode()
    batch = JourneyBatch(queue.rules, raw, NOW)
    done = modules.register(queue.database, raw, "test", now=NOW, beside=[batch])
    assert [problem in one.message for one in done.problems] == ([] if problem is None else [True])  # type: ignore[operator]
    assert [warning in one.message for one in batch.warnings] == ([] if warning is None else [True])  # type: ignore[operator]
    assert bool(batch.registered) == (problem is None)


def test_what_did_not_change_keeps_its_version_and_what_comes_back_too(database: Database, tmp_path: Path) -> None:
    queue = queue_on(database, tmp_path)
    other = JOURNEYS.replace("offset: -7d", "offset: -8d")
    came_to = [
        [(one.journey_id, one.version, one.change) for one in register(queue, text).registered]
        for text in (JOURNEYS, JOURNEYS, other, JOURNEYS, "journeys: []", JOURNEYS)
    ]
    assert came_to == [
        [("classic", 1, "added")],
        [("classic", 1, "unchanged")],
        [("classic", 2, "changed")],
        [("classic", 1, "changed")],
        [("classic", 1, "removed")],
        [("classic", 1, "added")],
    ]


def test_the_journeys_of_the_how_to_can_be_registered(database: Database, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    shown = (root / "docs" / "how-to" / "plan-journeys.md").read_text().split("```yaml\n")[1].split("```")[0]
    queue = queue_on(database, tmp_path)
    raw = (root / "modules.yaml").read_bytes() + shown.split("schema_version: 1\n")[1].encode()
    batch = JourneyBatch(queue.rules, raw, NOW)
    assert modules.register(queue.database, raw, "test", now=NOW, beside=[batch]).problems == ()
    assert (batch.warnings, len(batch.registered)) == ((), 2)


def test_a_wrong_value_does_not_wait_for_a_wrong_shape() -> None:
    found = problems(GOOD.replace("-1d", "soon") + "        skip_weekends: yes\n        when: now\n      - 5\n")
    assert [(where, told) for _, where, told in found] == [
        ("journeys[0].steps[0].offset", "'soon' is not an offset (write it as -30d, +1d, 0d or -2w)"),
        ("journeys[0].steps[0].skip_weekends", "must be 'next', 'previous' or false, not true"),
        ("journeys[0].steps[0].when", "there is no such field"),
        ("journeys[0].steps[1]", "must be a mapping, not a number"),
    ]
