"""``alerts``, ``check alerts`` and the rules of ``register``, as scripts see them."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Cli, definitions
from wedsync_ops.cli import exits

KEYS = ["id", "type", "severity", "state", "module_type", "since", "value", "threshold", "message", "runbook"]
RULES = "  - {name: tardy, metric: average_execution, above: 800}\n"


@pytest.fixture
def failed(registered: Cli, home: Path) -> Cli:
    """A platform on which ten executions have just failed."""
    now = time.time_ns() // 1000
    with closing(sqlite3.connect(home / "wedsync-ops.db", isolation_level=None)) as connection:
        for _ in range(10):
            connection.execute(
                "INSERT INTO executions (job_id, attempt, module_type, module_version, worker_id, priority, outcome,"
                " started_at, finished_at, in_peak) VALUES (1, 1, 'note', 1, 'w', 1, 'error', ?, ?, 0)",
                (now - 2000, now - 1000),
            )
    return registered


@pytest.fixture
def firing(failed: Cli) -> Cli:
    assert failed("maintenance", "run", "alerts").code == 0
    return failed


def listed(cli: Cli, *more: str) -> list[dict[str, Any]]:
    answer = cli("alerts", "list", "--json", *more)
    assert answer.code == 0, answer.err
    found: list[dict[str, Any]] = answer.document["alerts"]
    return found


def of_rate(cli: Cli) -> dict[str, Any]:
    (found,) = [one for one in listed(cli) if one["type"] == "high_error_rate"]
    return found


def refused(answer: Answer, code: int, word: str) -> None:
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert answer.error["code"] == word


class TestList:
    def test_what_an_alert_says(self, firing: Cli) -> None:
        found = of_rate(firing)
        assert list(found)[: len(KEYS)] == KEYS
        assert (found["severity"], found["state"], found["module_type"]) == ("warning", "firing", "note")
        assert (found["value"], found["threshold"]) == (100.0, 5.0)
        assert found["runbook"] == "docs/runbooks/high_error_rate.md"
        assert found["command"] == "wedsync-ops jobs failures --module note"

    def test_an_empty_platform_has_none_and_says_when_it_was_evaluated(self, registered: Cli) -> None:
        answer = registered("alerts", "list", "--json")
        assert answer.document == {"schema": "wedsync-ops/alerts@1", "alerts": [], "evaluated_at": None}
        assert "last evaluated: never" in registered("alerts", "list").out

    def test_by_state(self, firing: Cli) -> None:
        firing("alerts", "ack", str(of_rate(firing)["id"]))
        assert [one["type"] for one in listed(firing, "--state", "acknowledged")] == ["high_error_rate"]
        refused(firing("alerts", "list", "--state", "bad", "--json"), exits.USAGE, "usage")

    def test_as_a_table(self, firing: Cli) -> None:
        (line,) = [line for line in firing("alerts", "list").out.splitlines() if "note: 10 of" in line]
        assert line.split()[1:3] == ["warning", "firing"]


class TestShow:
    def test_with_everything_that_happened(self, firing: Cli) -> None:
        number = of_rate(firing)["id"]
        firing("alerts", "ack", str(number), "--note", "on it")
        shown = firing("alerts", "show", str(number), "--json").document["alert"]
        assert [(one["kind"], one["note"]) for one in shown["events"]] == [("opened", None), ("acknowledged", "on it")]
        text = firing("alerts", "show", str(number)).out
        assert "wedsync-ops jobs failures --module note" in text

    def test_of_one_that_is_none(self, registered: Cli) -> None:
        refused(registered("alerts", "show", "7", "--json"), exits.NOT_FOUND, "unknown_alert")


class TestAck:
    def test_it_is_acknowledged(self, firing: Cli) -> None:
        number = of_rate(firing)["id"]
        answer = firing("alerts", "ack", str(number), "--json")
        assert [(one["id"], one["state"]) for one in answer.document["alerts"]] == [(number, "acknowledged")]

    def test_of_one_that_is_none(self, registered: Cli) -> None:
        refused(registered("alerts", "ack", "7", "--json"), exits.NOT_FOUND, "unknown_alert")

    def test_an_empty_note_is_none(self, firing: Cli) -> None:
        refused(firing("alerts", "ack", str(of_rate(firing)["id"]), "--note", " ", "--json"), exits.INVALID, "invalid")


class TestResolve:
    def test_it_is_over(self, firing: Cli) -> None:
        number = of_rate(firing)["id"]
        answer = firing("alerts", "resolve", str(number), "--note", "mended", "--json")
        assert [(one["id"], one["state"]) for one in answer.document["alerts"]] == [(number, "resolved")]
        refused(firing("alerts", "resolve", str(number), "--json"), exits.REFUSED, "wrong_state")
        refused(firing("alerts", "resolve", "777", "--json"), exits.NOT_FOUND, "unknown_alert")


class TestSilence:
    def test_a_type_and_its_end(self, firing: Cli) -> None:
        answer = firing("alerts", "silence", "--type", "high_error_rate", "--for", "2h", "--reason", "deploy", "--json")
        assert answer.document["alerts"] == [of_rate(firing)["id"]]
        number = answer.document["silence"]["id"]
        assert of_rate(firing)["state"] == "silenced"
        (found,) = firing("alerts", "silences", "--json").document["silences"]
        assert (found["id"], found["reason"]) == (number, "deploy")
        answer = firing("alerts", "unsilence", str(number), "--json")
        assert answer.document["alerts"] == [of_rate(firing)["id"]]
        refused(firing("alerts", "unsilence", str(number), "--json"), exits.REFUSED, "refused")
        assert "None" not in firing("alerts", "silences").out

    @pytest.mark.parametrize(
        "options",
        [
            ["--for", "2h", "--reason", "x"],
            ["1", "--type", "expired", "--for", "2h", "--reason", "x"],
            ["--type", "expired", "--reason", "x"],
            ["--type", "expired", "--for", "2h", "--until", "2030-01-01T00:00:00Z", "--reason", "x"],
            ["--type", "expired", "--for", "2h"],
            ["--type", "bad", "--for", "2h", "--reason", "x"],
            ["--type", "expired", "--for", "soon", "--reason", "x"],
        ],
    )
    def test_wrong_usage(self, registered: Cli, options: list[str]) -> None:
        refused(registered("alerts", "silence", *options, "--json"), exits.USAGE, "usage")

    def test_an_end_in_the_past(self, registered: Cli) -> None:
        past = ["--type", "expired", "--until", "2020-01-01T00:00:00Z", "--reason", "x"]
        refused(registered("alerts", "silence", *past, "--json"), exits.INVALID, "invalid")

    def test_what_there_is_not(self, registered: Cli) -> None:
        refused(
            registered("alerts", "silence", "5", "--for", "1h", "--reason", "x", "--json"),
            exits.NOT_FOUND,
            "unknown_alert",
        )
        refused(registered("alerts", "unsilence", "5", "--json"), exits.NOT_FOUND, "unknown_alert")
        unknown = registered("alerts", "silence", "--module", "noet", "--for", "1h", "--reason", "x", "--json")
        refused(unknown, exits.NOT_FOUND, "unknown_module")
        assert "did you mean 'note'?" in unknown.error["message"]


class TestRules:
    def test_those_of_a_file_are_registered_with_it(self, registered: Cli, tmp_path: Path) -> None:
        file = tmp_path / "own.yaml"
        file.write_text(definitions() + "alerts:\n" + RULES)
        answer = registered("register", str(file), "--json")
        assert answer.document["alerts"] == [{"name": "tardy", "change": "added"}]
        assert registered("register", str(file), "--json").document["alerts"] == [
            {"name": "tardy", "change": "unchanged"}
        ]
        rules = {one["name"]: one for one in registered("alerts", "rules", "--json").document["rules"]}
        assert (rules["tardy"]["threshold"], rules["tardy"]["type"]) == (800.0, "custom")
        assert "tardy" in registered("alerts", "rules").out

    def test_a_file_of_rules_alone_changes_and_removes(self, registered: Cli, tmp_path: Path) -> None:
        file = tmp_path / "own.yaml"
        file.write_text("schema_version: 1\nalerts:\n" + RULES)
        assert registered("register", str(file)).code == 0
        file.write_text("schema_version: 1\nalerts: []\n")
        dry = registered("register", str(file), "--dry-run", "--json")
        assert dry.document["alerts"] == [{"name": "tardy", "change": "removed"}]
        assert "tardy" in registered("alerts", "rules").out
        assert registered("register", str(file)).code == 0
        assert "tardy" not in registered("alerts", "rules").out

    def test_with_a_problem_nothing_is_registered(self, registered: Cli, tmp_path: Path) -> None:
        file = tmp_path / "own.yaml"
        file.write_text("schema_version: 1\nalerts:\n" + RULES + "  - {name: bad, metric: colour, above: 1}\n")
        answer = registered("register", str(file), "--json")
        assert answer.code == exits.INVALID
        assert [(one["line"], one["path"]) for one in answer.document["problems"]] == [(4, "alerts[1].metric")]
        assert "alerts" not in answer.document
        assert "tardy" not in registered("alerts", "rules").out


class TestTry:
    SERIES = b"""\
- {at: '2027-06-19T12:00:00Z', module_type: note, executions: 20, failed: 10}
- {at: '2027-06-19T12:10:00Z', module_type: note, executions: 200}
"""

    def test_a_written_series(self, registered: Cli) -> None:
        answer = registered("alerts", "test", "-", "--json", stdin=self.SERIES)
        told = [(one["at"], one["key"], one["kind"]) for one in answer.document["events"]]
        assert ("2027-06-19T12:00:30.000000Z", "high_error_rate/note", "opened") in told
        assert ("2027-06-19T12:12:30.000000Z", "high_error_rate/note", "resolved") in told
        assert "high_error_rate" in registered("alerts", "test", "-", stdin=self.SERIES).out

    def test_with_rules_that_are_not_registered(self, registered: Cli, tmp_path: Path) -> None:
        file = tmp_path / "own.yaml"
        file.write_text("alerts:\n  - {name: few, metric: volume, below: 100}\n")
        answer = registered("alerts", "test", "-", "--rules", str(file), "--json", stdin=self.SERIES)
        assert "few" in {one["rule"] for one in answer.document["events"]}

    def test_what_was_recorded(self, failed: Cli) -> None:
        failed("maintenance", "run", "alerts")
        answer = failed("alerts", "test", "--since", "1h", "--json")
        assert (answer.code, answer.document["schema"]) == (0, "wedsync-ops/alerts-test@1")

    def test_when_nothing_would_have_happened(self, registered: Cli) -> None:
        assert "nothing would have happened" in registered("alerts", "test", "--since", "1h").out

    @pytest.mark.parametrize("options", [[], ["-", "--since", "1h"], ["--since", "2d"], ["-", "--rules", "-"]])
    def test_wrong_usage(self, registered: Cli, options: list[str]) -> None:
        refused(registered("alerts", "test", *options, "--json"), exits.USAGE, "usage")

    def test_a_series_that_is_none(self, registered: Cli) -> None:
        refused(registered("alerts", "test", "-", "--json", stdin=b"x: 1"), exits.INVALID, "invalid")
        refused(registered("alerts", "test", "/no/such/file", "--json"), exits.USAGE, "file")


class TestCheck:
    def check(self, cli: Cli, *more: str) -> tuple[int, str]:
        answer = cli("check", "alerts", "--json", *more)
        assert answer.document["schema"] == "wedsync-ops/check-alerts@1"
        return answer.code, answer.document["status"]

    def test_before_anything_was_evaluated_nobody_knows(self, registered: Cli) -> None:
        assert self.check(registered) == (3, "unknown")

    def test_when_all_is_well(self, registered: Cli) -> None:
        registered("maintenance", "run", "alerts")
        assert self.check(registered) == (0, "ok")
        assert registered("check", "alerts").out == "ALERTS OK: no alert is open\n"

    def test_a_warning(self, firing: Cli, home: Path) -> None:
        only(home, "high_error_rate")
        assert self.check(firing) == (1, "warning")
        assert firing("check", "alerts").out.startswith("ALERTS WARNING: high_error_rate: note: 10 of 10")

    def test_what_somebody_acknowledged_does_not_count(self, firing: Cli, home: Path) -> None:
        only(home, "high_error_rate")
        firing("alerts", "ack", str(of_rate(firing)["id"]))
        assert self.check(firing) == (0, "ok")
        assert self.check(firing, "--acknowledged") == (1, "warning")

    def test_a_critical_one_is_critical_even_when_nothing_was_evaluated_lately(self, firing: Cli, home: Path) -> None:
        change(home, "UPDATE alerts SET severity = 'critical'")
        assert self.check(firing) == (2, "critical")
        change(home, "UPDATE alert_marks SET at = 0 WHERE name = 'evaluated'")
        assert self.check(firing) == (2, "critical")
        change(home, "UPDATE alerts SET severity = 'warning'")
        assert self.check(firing) == (3, "unknown")


def test_history_is_what_happened(firing: Cli) -> None:
    number = of_rate(firing)["id"]
    firing("alerts", "ack", str(number))
    events = firing("alerts", "history", "--json").document["events"]
    assert [one["kind"] for one in events if one["alert_id"] == number] == ["acknowledged", "opened"]
    assert firing("alerts", "history", "--since", "2100-01-01", "--json").document["events"] == []
    assert "acknowledged" in firing("alerts", "history").out


def change(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute(statement)


def only(home: Path, kind: str) -> None:
    change(home, f"DELETE FROM alerts WHERE type <> '{kind}'")


def test_a_series_of_a_day_may_be_larger_than_a_definition_file(registered: Cli, tmp_path: Path) -> None:
    line = '{"at": "2027-06-19T12:00:00Z", "module_type": "note", "executions": 1}\n'
    series = tmp_path / "series.ndjson"
    series.write_text(line * (1 + 1_048_576 // len(line)))
    assert registered("alerts", "test", str(series), "--json").code == 0
    series.write_text(line * (1 + 16_777_216 // len(line)))
    answer = registered("alerts", "test", str(series), "--json")
    refused(answer, exits.INVALID, "invalid")
    assert "larger than 16,777,216 bytes" in answer.error["message"]
