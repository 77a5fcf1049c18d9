"""``schedules``, ``check schedule`` and the schedules of ``register``, as scripts see them."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CONFIG, CONTEXT, Answer, Cli
from wedsync_ops.instants import HOUR, SECOND

SCHEDULE = f"""
  - id: nightly
    module_type: note
    config: {CONFIG}
    context: {CONTEXT}
    timezone: Europe/Berlin
    cron: 30 2 * * *
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "schedules.yaml"
    found.write_text(f"schema_version: 1\nschedules:{SCHEDULE}")
    return found


@pytest.fixture
def scheduled(registered: Cli, file: Path) -> Cli:
    """A command line with one schedule registered."""
    answer = registered("register", str(file), "--json")
    assert answer.code == 0, answer.err
    return registered


def one(answer: Answer) -> dict[str, Any]:
    assert answer.code == 0, answer.err
    (found,) = answer.document["schedules"]
    return dict(found)


def execute(home: Path, statement: str, *values: int) -> None:
    with closing(sqlite3.connect(home / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute(statement, values)


class TestRegister:
    def test_a_file_of_schedules_alone(self, registered: Cli, file: Path) -> None:
        answer = registered("register", str(file), "--json")
        assert answer.document["registered"] == []
        (found,) = answer.document["schedules"]
        assert (found["id"], found["change"]) == ("nightly", "added")
        assert found["next_fire_at"].endswith("30:00.000000Z")

    def test_without_any_the_document_says_nothing_of_them(self, registered: Cli, tmp_path: Path) -> None:
        assert "schedules" not in registered("register", str(tmp_path / "definitions.yaml"), "--json").document

    def test_a_dry_run_writes_nothing(self, registered: Cli, file: Path) -> None:
        assert "added" in registered("register", str(file), "--dry-run").out
        assert registered("schedules", "list", "--json").document["schedules"] == []

    def test_every_problem_of_modules_and_schedules_by_line(self, registered: Cli, tmp_path: Path) -> None:
        bad = tmp_path / "bad.yaml"
        bad.write_text(f"schema_version: 1\nschedules:{SCHEDULE}    overlap: x\nmodules:\n  - id: m\n")
        answer = registered("register", str(bad), "--json")
        assert answer.code == 3
        problems = answer.document["problems"]
        assert (problems[0]["line"], problems[0]["path"]) == (9, "schedules[0].overlap")
        assert {problem["path"] for problem in problems[1:]} >= {"modules[0].handler", "modules[0].category"}

    def test_a_module_type_of_the_same_file_may_be_used(self, cli: Cli, tmp_path: Path) -> None:
        both = tmp_path / "both.yaml"
        from tests.cli.conftest import definitions

        both.write_text(f"{definitions()}schedules:{SCHEDULE}")
        assert cli("register", str(both), "--dry-run").code == 0
        assert cli("register", str(both)).code == 0

    def test_a_module_type_that_is_not_active_is_a_warning(self, registered: Cli, file: Path) -> None:
        file.write_text(file.read_text().replace("module_type: note", "module_type: idle"))
        answer = registered("register", str(file), "--json")
        assert answer.code == 0
        assert [warning["line"] for warning in answer.document["warnings"]] == [4]


class TestList:
    def test_tells_how_each_stands(self, scheduled: Cli) -> None:
        answer = scheduled("schedules", "list", "--json")
        assert answer.document["schema"] == "wedsync-ops/schedules@1"
        found = one(answer)
        expected = {
            "id": "nightly",
            "module_type": "note",
            "state": "active",
            "last_fired_at": None,
            "last_fire": None,
            "lag_s": 0.0,
            "cron": "30 2 * * *",
            "interval_s": None,
            "timezone": "Europe/Berlin",
            "jitter_s": 0,
            "grace_s": 3600,
            "coalesce": True,
            "overlap": "skip",
            "priority": None,
            "pause": None,
        }
        assert {name: found[name] for name in expected} == expected
        assert found["next_fire_at"] == found["next_due_at"]

    def test_a_table_fits_the_terminal(self, scheduled: Cli) -> None:
        lines = scheduled("schedules", "list").out.splitlines()
        assert "nightly" in lines[2]
        assert max(map(len, lines)) <= 80


class TestPreview:
    FROM = ("--from", "2027-03-27", "--count", "3", "--json")

    def test_in_the_schedules_zone_and_in_utc_with_a_remark(self, scheduled: Cli) -> None:
        answer = scheduled("schedules", "preview", "nightly", *self.FROM)
        fires = answer.document["fires"]
        assert [(fire["local"], fire["at"]) for fire in fires] == [
            ("2027-03-27T02:30:00+01:00", "2027-03-27T01:30:00.000000Z"),
            ("2027-03-28T03:30:00+02:00", "2027-03-28T01:30:00.000000Z"),
            ("2027-03-29T02:30:00+02:00", "2027-03-29T00:30:00.000000Z"),
        ]
        assert [fire["remark"] for fire in fires] == [None, "02:30 does not exist that day, so it is 03:30", None]

    def test_of_a_file_without_a_database(self, cli: Cli, home: Path, file: Path) -> None:
        answer = cli("schedules", "preview", "nightly", "--file", str(file), *self.FROM)
        assert len(answer.document["fires"]) == 3
        assert not home.exists()

    def test_starts_with_a_fire_at_the_very_time(self, scheduled: Cli) -> None:
        answer = scheduled("schedules", "preview", "nightly", "--from", "2027-06-01T02:30", "--count", "1", "--json")
        assert answer.document["fires"][0]["local"] == "2027-06-01T02:30:00+02:00"

    def test_a_table_fits_the_terminal(self, scheduled: Cli) -> None:
        lines = scheduled("schedules", "preview", "nightly", "--from", "2027-03-27").out.splitlines()
        assert max(map(len, lines)) <= 80
        assert "Sun 2027-03-28 03:30:00" in "\n".join(lines)

    @pytest.mark.parametrize(
        ("content", "code", "message"),
        [
            ("schedules: []", 4, "has no schedule 'nightly'"),
            ("modules: []", 3, "says nothing of schedules"),
            ("a: [", 3, "not YAML"),
            (f"schedules:{SCHEDULE}    jitter: x", 3, "line 8: schedules[0].jitter: 'x' is not a length"),
        ],
    )
    def test_a_file_that_cannot_be_used(self, cli: Cli, file: Path, content: str, code: int, message: str) -> None:
        file.write_text(content)
        answer = cli("schedules", "preview", "nightly", "--file", str(file))
        assert (answer.code, answer.err.count("\n")) == (code, 1)
        assert message in answer.err

    def test_a_file_that_is_not_there(self, cli: Cli) -> None:
        assert cli("schedules", "preview", "nightly", "--file", "nowhere.yaml").code == 2


class TestRun:
    def test_fires_now(self, scheduled: Cli) -> None:
        answer = scheduled("schedules", "run", "nightly", "--json")
        fire = answer.document["fire"]
        assert (fire["kind"], fire["outcome"], fire["reason"]) == ("manual", "queued", None)
        job = scheduled("jobs", "show", str(fire["job_id"]), "--json").document["job"]
        assert job["key"] == f"schedule nightly {fire['fire_at']}"

    def test_what_is_not_run_says_why_and_is_kept(self, scheduled: Cli) -> None:
        scheduled("schedules", "run", "nightly")
        answer = scheduled("schedules", "run", "nightly", "--json")
        assert answer.code == 5
        assert answer.document["fire"]["outcome"] == "skipped"
        assert "has not finished" in answer.error["message"]
        history = scheduled("schedules", "history", "nightly", "--json").document
        assert (history["schema"], history["id"]) == ("wedsync-ops/schedules-history@1", "nightly")
        assert [fire["outcome"] for fire in history["fires"]] == ["skipped", "queued"]
        assert "finished" in scheduled("schedules", "history", "nightly").out


class TestPause:
    def test_and_resume(self, scheduled: Cli) -> None:
        answer = scheduled("schedules", "pause", "nightly", "--reason", "moving", "--until", "2999-01-01", "--json")
        paused = answer.document["schedule"]
        assert paused["state"] == "paused"
        assert paused["next_fire_at"] == "2999-01-01T01:30:00.000000Z"
        assert {"reason": "moving", "until": "2999-01-01T00:00:00.000000Z", "by_definition": False}.items() <= paused[
            "pause"
        ].items()
        assert paused["pause"]["paused_by"]
        resumed = scheduled("schedules", "resume", "nightly", "--json").document
        assert (resumed["changed"], resumed["schedule"]["state"], resumed["schedule"]["pause"]) == (
            True,
            "active",
            None,
        )
        assert "was not paused" in scheduled("schedules", "resume", "nightly").out

    @pytest.mark.parametrize(("until", "code"), [("2001-01-01", 3), ("soon", 2)])
    def test_until_when_it_cannot_be(self, scheduled: Cli, until: str, code: int) -> None:
        assert scheduled("schedules", "pause", "nightly", "--until", until).code == code

    def test_by_its_definition_only_that_can_resume(self, registered: Cli, file: Path) -> None:
        file.write_text(file.read_text() + "    paused: true\n")
        registered("register", str(file))
        found = one(registered("schedules", "list", "--json"))
        assert (found["state"], found["pause"]["by_definition"], found["next_fire_at"]) == ("paused", True, None)
        assert registered("schedules", "resume", "nightly").code == 5


@pytest.mark.parametrize("command", ["preview", "run", "pause", "resume", "history"])
def test_one_that_there_is_not_is_not_found(scheduled: Cli, command: str) -> None:
    answer = scheduled("schedules", command, "nope", "--json")
    assert (answer.code, answer.error["code"]) == (4, "unknown_schedule")


class TestCheck:
    def test_all_is_well(self, scheduled: Cli) -> None:
        assert scheduled("check", "schedule").out == "SCHEDULE OK: 1 schedules, none of them late\n"
        assert scheduled("check", "schedule", "--json").document["status"] == "ok"

    @pytest.mark.parametrize(("late_s", "word"), [(30, "ok"), (100, "degraded"), (3600, "critical")])
    def test_health_says_that_one_is_late_and_not_one_that_is_paused(
        self, scheduled: Cli, home: Path, late_s: int, word: str
    ) -> None:
        now = "CAST(strftime('%s', 'now') AS INTEGER) * 1000000"
        late_us = late_s * SECOND
        execute(home, f"UPDATE schedules SET next_fire_at = {now} - ?, next_due_at = {now} - ?", late_us, late_us)
        assert scheduled("health", "--json").document["checks"]["schedule"] == word
        scheduled("schedules", "pause", "nightly")
        assert scheduled("health", "--json").document["checks"]["schedule"] == "ok"

    @pytest.mark.parametrize(("late_s", "code"), [(30, 0), (100, 1), (3600, 2)])
    def test_a_schedule_that_nobody_fires(self, scheduled: Cli, home: Path, late_s: int, code: int) -> None:
        late_us = late_s * SECOND
        now = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
        execute(home, f"UPDATE schedules SET next_fire_at = {now} - ?, next_due_at = {now} - ?", late_us, late_us)
        answer = scheduled("check", "schedule", "--json")
        assert answer.code == code
        assert len(answer.document["late"]) == (code > 0)
        state = one(scheduled("schedules", "list", "--json"))["state"]
        assert state == ("late" if code else "active")

    def test_a_last_fire_that_was_missed_is_a_warning(self, scheduled: Cli, home: Path) -> None:
        scheduled("schedules", "run", "nightly")
        execute(home, "UPDATE schedule_fires SET outcome = 'missed', reason = 'x' WHERE fire_at > ?", HOUR)
        answer = scheduled("check", "schedule")
        assert (answer.code, answer.out) == (1, "SCHEDULE WARNING: the last fire of nightly was missed\n")

    @pytest.mark.parametrize(
        "arguments",
        [
            ("check", "schedule", "--nope"),
            ("check", "nope"),
            ("check", "schedule", "--warning", "9", "--critical", "1"),
            ("--log-level", "info", "check", "schedule", "--warning", "nan"),
            ("--db", "nonsense", "check", "schedule"),
        ],
    )
    def test_what_keeps_it_from_answering_is_unknown(self, cli: Cli, arguments: tuple[str, ...]) -> None:
        assert cli(*arguments).code == 3
