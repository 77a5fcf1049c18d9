"""Schedules in a definition file: every problem at once, each with its line."""

import pytest

from wedsync_ops.instants import parse_instant
from wedsync_ops.jobs.schedule import parse, seconds

NOW = parse_instant("2027-01-13T12:00:00Z")
GOOD = """
  - id: morning
    module_type: email
    config: {}
    context: {}
    timezone: Europe/Berlin
    cron: 30 9 * * mon-fri
"""


def problems(schedules: str) -> list[tuple[int, str, str]]:
    parsed = parse(f"schema_version: 1\nschedules:{schedules}".encode(), NOW)
    assert parsed is not None
    return [(one.line, one.path, one.message) for one in parsed.problems]


def with_line(line: str, *, instead_of: str | None = None) -> str:
    return GOOD.replace(instead_of, line) if instead_of else f"{GOOD}    {line}\n"


def test_a_schedule_and_its_defaults() -> None:
    parsed = parse(f"schedules:{GOOD}".encode(), NOW)
    assert parsed is not None
    assert parsed.problems == ()
    (found,) = parsed.schedules
    schedule = found.schedule
    assert (schedule.grace, schedule.jitter, schedule.coalesce, schedule.overlap) == ("1h", "0s", True, "skip")
    assert schedule.recurrence().grace_s == 3600
    assert schedule.request(NOW).key == "schedule morning 2027-01-13T12:00:00.000000Z"


def test_a_file_that_says_nothing_of_schedules_is_no_file_of_none() -> None:
    assert parse(b"modules: []", NOW) is None
    assert parse(b"- x", NOW) is None
    assert parse(b"a: [", NOW) is None
    empty = parse(b"schedules: []", NOW)
    assert empty is not None
    assert (empty.schedules, empty.problems) == ((), ())


@pytest.mark.parametrize(
    ("schedules", "line", "path", "message"),
    [
        (" 5", 2, "schedules", "must be a list"),
        ("\n  - x", 3, "schedules[0]", "must be a mapping"),
        (with_line("", instead_of="timezone: Europe/Berlin"), 3, "schedules[0].timezone", "is required"),
        (with_line("timezone: Mars/Base", instead_of="timezone: Europe/Berlin"), 7, "timezone", "not a time zone"),
        (with_line("crn: 1"), 9, "schedules[0].crn", "did you mean 'cron'"),
        (with_line("interval: 5m"), 3, "schedules[0]", "either cron or interval"),
        (with_line("", instead_of="cron: 30 9 * * mon-fri"), 3, "schedules[0]", "either cron or interval"),
        (with_line("cron: 61 9 * * *", instead_of="cron: 30 9 * * mon-fri"), 8, "schedules[0].cron", "cannot be read"),
        (with_line("cron: 0 0 30 2 *", instead_of="cron: 30 9 * * mon-fri"), 8, "schedules[0].cron", "no day"),
        (with_line("interval: 5 minutes", instead_of="cron: 30 9 * * mon-fri"), 8, "schedules[0].interval", "length"),
        (with_line("interval: 0s", instead_of="cron: 30 9 * * mon-fri"), 8, "schedules[0].interval", "at least"),
        (with_line("interval: 99w", instead_of="cron: 30 9 * * mon-fri"), 8, "schedules[0].interval", "366 days"),
        (with_line("grace: 0s"), 9, "schedules[0].grace", "at least 1 second"),
        (with_line("jitter: soon"), 9, "schedules[0].jitter", "not a length of time"),
        (with_line("overlap: maybe"), 9, "schedules[0].overlap", "'skip', 'queue' or 'replace'"),
        (with_line("priority: urgent"), 9, "schedules[0].priority", "'low', 'normal', 'high' or 'critical'"),
        (with_line("start: tomorrow"), 9, "schedules[0].start", "not a time"),
        (with_line("start: 2027-02-01\n    end: 2027-01-01"), 10, "schedules[0].end", "before start"),
        (with_line("paused: maybe"), 9, "schedules[0].paused", "boolean"),
        (with_line("id: Morning!", instead_of="id: morning"), 3, "schedules[0].id", "must match"),
        (GOOD + GOOD.lstrip("\n"), 9, "schedules[1].id", "stands already in line 3"),
    ],
)
def test_a_problem_names_its_line_and_path(schedules: str, line: int, path: str, message: str) -> None:
    found = problems(schedules)
    assert len(found) == 1, found
    assert found[0][0] == line
    assert path in found[0][1]
    assert message in found[0][2]


def test_jitter_is_shorter_than_the_interval() -> None:
    text = with_line("interval: 1m\n    jitter: 60s", instead_of="cron: 30 9 * * mon-fri")
    assert problems(text) == [(9, "schedules[0].jitter", "must be shorter than the interval")]


def test_every_problem_is_told_at_once() -> None:
    text = with_line("jitter: x\n    grace: y\n    start: z")
    assert [line for line, _, _ in problems(text)] == [9, 10, 11]


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30), ("15m", 900), ("6h", 21_600), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_lengths(text: str, expected: int) -> None:
    assert seconds(text) == expected
