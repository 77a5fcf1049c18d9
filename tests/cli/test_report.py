"""``report`` on the command line."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from wedsync_ops.instants import parse_instant


def test_text_json_and_a_page(registered: Cli, tmp_path: Path) -> None:
    assert registered("report").out.startswith("WedSync platform, daily report\n")
    document = registered("report", "--hourly", "--json").document
    assert (document["schema"], document["kind"], len(document["buckets"])) == ("wedsync-ops/report@1", "hourly", 30)
    assert registered("report", "--format", "json").document["kind"] == "daily"
    file = tmp_path / "day.html"
    answer = registered("report", "--format", "html", "--output", str(file))
    assert answer.out == f"the daily report was written to {file}\n"
    assert file.read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_another_time_can_be_asked_about(registered: Cli) -> None:
    document = registered("report", "--at", "2026-03-02T07:00:00Z", "--json").document
    assert document["range"] == {"from": "2026-03-01T00:00:00.000000Z", "to": "2026-03-02T00:00:00.000000Z"}


def test_a_time_whose_executions_are_forgotten_is_refused_and_not_reported_as_quiet(
    registered: Cli, home: Path
) -> None:
    floor = parse_instant("2026-03-01T12:00:00Z")
    with closing(sqlite3.connect(home / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM rollup_state")
        connection.execute("INSERT INTO rollup_state VALUES (1, 0, ?, 0, 0, 0)", (floor,))
    answer = registered("report", "--at", "2026-03-02T07:00:00Z")
    assert (answer.code, answer.out) == (2, "")
    assert "retention has taken the executions of that time" in answer.err
    assert registered("report", "--at", "2026-03-03T07:00:00Z").code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--daily", "--hourly"], "--daily and --hourly exclude each other"),
        (["--json", "--format", "html"], "--json excludes --format html"),
        (["--at", "8000-01-01T00:00:00Z"], "--at lies in the future"),
        (["--at", "yesterday"], "--at"),
        (["--format", "pdf"], "pdf"),
    ],
)
def test_wrong_usage_is_one_line(registered: Cli, given: list[str], said: str) -> None:
    answer = registered("report", *given)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_a_file_that_cannot_be_written_is_one_line(registered: Cli, tmp_path: Path) -> None:
    answer = registered("report", "--output", str(tmp_path / "nowhere" / "day.txt"))
    assert answer.code == 2
    assert "nowhere/day.txt cannot be written: No such file or directory" in answer.err
