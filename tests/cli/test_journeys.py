"""``journeys``, ``weddings move`` and readiness, as scripts see them."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, CONTEXT, Cli

TODAY = datetime.now(UTC).date()
SOON = TODAY + timedelta(days=100)
LATER = SOON + timedelta(days=20)
HEADER = "client_id,couple_name,email,wedding_date,location,supplier_id,vendor_type,timezone,booked_on\n"
JOURNEYS = """\
schema_version: 1
journeys:
  - id: classic
    display_name: The classic
    applies_to: {vendor_types: [photographers]}
    steps:
      - {id: hello, module: note, config: {text: hello}, anchor: booking, offset: 0d}
      - {id: details, module: note, config: {text: details}, offset: -30d}
      - {id: thanks, module: note, config: {text: thanks}, offset: +1d}
"""


def sheet(*clients: str, on: object = SOON) -> bytes:
    rows = [f"{one},Ada & Alan,{one}@example.com,{on},Bath,s1,photographer,UTC,2026-01-01\n" for one in clients]
    return (HEADER + "".join(rows)).encode()


@pytest.fixture
def planned(registered: Cli, tmp_path: Path) -> Cli:
    """A command line with a journey, and one couple that is not planned yet."""
    file = tmp_path / "journeys.yaml"
    file.write_text(JOURNEYS)
    answer = registered("register", str(file), "--json")
    assert answer.code == 0, answer.err
    assert answer.document["journeys"] == [{"id": "classic", "version": 1, "change": "added"}]
    assert registered("clients", "import", "-", stdin=sheet("c1")).code == 0
    return registered


def test_journeys_are_listed_and_shown(planned: Cli) -> None:
    (one,) = planned("journeys", "list", "--json").document["journeys"]
    assert (one["id"], one["display_name"], one["steps"], one["planned_steps"]) == ("classic", "The classic", 3, 0)
    shown = planned("journeys", "show", "classic", "--json").document["journey"]
    assert [step["id"] for step in shown["steps"]] == ["hello", "details", "thanks"]
    assert "The classic" in planned("journeys", "list").out
    assert "-30d wedding" in planned("journeys", "show", "classic").out
    missing = planned("journeys", "show", "clasic", "--json")
    assert (missing.code, missing.error["code"]) == (4, "unknown_journey")
    assert "did you mean 'classic'" in missing.error["message"]


def test_a_couple_is_planned_once(planned: Cli) -> None:
    dry = planned("journeys", "plan", "--all", "--dry-run", "--json").document
    first = planned("journeys", "plan", "--all", "--json").document
    assert first == {**dry, "dry_run": False}
    assert (first["couples"], first["moved"], first["errors"], "plans" in first) == (1, 0, [], False)
    assert {name: count for name, count in first["steps"].items() if count} == {"queued": 2, "past": 1}
    again = planned("journeys", "plan", "--client", "c1", "--json").document
    assert [step["change"] for step in again["plans"][0]["steps"]] == ["past", "unchanged", "unchanged"]
    assert "1 couple planned: 2 unchanged, 1 past" in planned("journeys", "plan", "--within", "120d").out


def test_what_is_refused_is_named(planned: Cli, home: Path) -> None:
    with closing(sqlite3.connect(home / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute("UPDATE modules SET retired_at = 1 WHERE module_id = 'note'")
    answer = planned("journeys", "plan", "--all", "--json")
    assert answer.code == 6
    assert [(one["step_id"], one["code"]) for one in answer.document["errors"]] == [
        ("details", "module_inactive"),
        ("thanks", "module_inactive"),
    ]
    assert answer.document["errors_not_listed"] == 0
    assert "2 steps could not be queued" in answer.error["message"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "one of --client, --all, --within and --moved is needed"),
        (("--all", "--moved"), 2, "--all and --moved exclude each other"),
        (("--within", "soon"), 2, "not a number of days"),
        (("--client", "c9"), 4, "there is no client 'c9'"),
        (("--all", "--journey", "x"), 4, "there is no journey 'x'"),
    ],
)
def test_wrong_words(planned: Cli, words: tuple[str, ...], code: int, message: str) -> None:
    answer = planned("journeys", "plan", *words, "--json")
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.error["message"]


def test_without_journeys_there_is_nothing_to_plan(registered: Cli) -> None:
    answer = registered("journeys", "plan", "--all", "--json")
    assert (answer.code, answer.error["code"]) == (4, "unknown_journey")
    assert registered("journeys", "list", "--json").document["journeys"] == []


def test_a_wedding_moves(planned: Cli) -> None:
    planned("journeys", "plan", "--all")
    dry = planned("weddings", "move", "c1", "--to", str(LATER), "--dry-run", "--json").document
    assert (dry["from"], dry["to"], dry["dry_run"]) == (str(SOON), str(LATER), True)
    assert planned("weddings", "moves", "--json").document["moves"] == []
    done = planned("weddings", "move", "c1", "--to", str(LATER), "--reason", "rain", "--json").document
    assert done["counts"] == dry["counts"] == {"moved": 2, "past": 1}
    assert [step["was_due_at"] != step["due_at"] for step in done["steps"] if step["change"] == "moved"] == [True] * 2
    (record,) = planned("weddings", "moves", "c1", "--json").document["moves"]
    assert (record["from"], record["to"], record["reason"]) == (str(SOON), str(LATER), "rain")
    assert planned("weddings", "show", "c1", "--json").document["wedding"]["wedding_date"] == str(LATER)
    assert "rain" in planned("weddings", "moves").out
    lines = planned("weddings", "move", "c1", "--to", str(SOON)).out.splitlines()
    assert lines[0].startswith(f"Ada & Alan moved from {LATER} to {SOON}")
    assert max(map(len, lines)) <= 80


def test_moves_that_cannot_be(planned: Cli) -> None:
    answers = [
        planned("weddings", "move", "c1", "--to", "soon", "--json"),
        planned("weddings", "move", "c9", "--to", str(LATER), "--json"),
        planned("weddings", "move", "c1", "--to", "2020-01-01", "--json"),
    ]
    assert [(one.code, one.error["code"]) for one in answers] == [
        (2, "usage"),
        (4, "unknown_client"),
        (3, "invalid_time"),
    ]


def test_an_import_says_which_plans_are_for_another_day(planned: Cli) -> None:
    planned("journeys", "plan", "--all")
    answer = planned("clients", "import", "-", stdin=sheet("c1", on=LATER))
    assert "run 'wedsync-ops journeys plan --moved'" in answer.out
    moved = planned("journeys", "plan", "--moved", "--json").document
    assert (moved["couples"], moved["moved"], moved["steps"]["moved"]) == (1, 1, 2)


def test_readiness_and_its_check(planned: Cli) -> None:
    assert planned("clients", "import", "-", stdin=sheet("c2", on=TODAY + timedelta(days=5))).code == 0
    unready = planned("weddings", "readiness", "--json").document
    assert (unready["verdict"], unready["within_days"]) == ("critical", 14)
    (one,) = unready["weddings"]
    assert (one["client_id"], one["counts"]["missing"]) == ("c2", 1)
    assert [each["step_id"] for each in one["obligations"]] == ["thanks"]
    check = planned("check", "readiness")
    assert (check.code, check.out.startswith("READINESS CRITICAL: c2 (")) == (2, True)
    planned("journeys", "plan", "--all")
    assert planned("check", "readiness", "--json").document["status"] == "ok"
    assert planned("check", "readiness").code == 0
    full = planned("weddings", "readiness", "c2", "--json").document["weddings"][0]["obligations"]
    assert {each["standing"] for each in full} == {"left_out", "planned"}
    assert "thanks" in planned("weddings", "readiness", "--full").out
    assert planned("check", "readiness", "--within", "x").code == 3
    assert planned("weddings", "readiness", "c9").code == 4


def test_a_deadline_is_judged_when_a_job_is_queued(registered: Cli) -> None:
    asked = ("enqueue", "note", "--config", CONFIG, "--context", CONTEXT, "--json")
    late = registered(*asked, "--deadline", "2020-01-01T00:00:00Z")
    assert (late.code, late.error["code"], late.out) == (5, "deadline", "")
    assert [one["code"] for one in late.error["details"][0]["helps"]] == ["later_deadline"]
    fine = registered(*asked, "--deadline", "2100-01-01T00:00:00Z").document
    assert fine["promise"]["verdict"] == "accept"
    assert fine["promise"]["slack_ms"] > 0
    explained = registered("jobs", "explain", str(fine["job_id"]), "--json").document["job"]
    assert explained["promise"]["verdict"] == "accept"
    assert registered(*asked).document["promise"]["slack_ms"] is None


def test_the_call_sheet(planned: Cli, home: Path) -> None:
    assert planned("clients", "import", "-", stdin=sheet("c2", on=TODAY + timedelta(days=5))).code == 0
    assert planned("weddings", "calls").out == "nothing is to be done by hand for the weddings within 14 days\n"
    with closing(sqlite3.connect(home / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute("UPDATE modules SET retired_at = 1 WHERE module_id = 'note'")
    assert planned("journeys", "plan", "--client", "c2").code == 6
    (call,) = planned("weddings", "calls", "--json").document["calls"]
    assert (call["key"], call["standing"], call["email"]) == ("classic/thanks/c2", "refused", "c2@example.com")
    told = planned("weddings", "calls").out.splitlines()
    assert max(map(len, told)) <= 80
    assert told[0].split() == ["key", call["key"]]  # in one piece, to be copied
    done = planned("weddings", "called", call["key"], "--note", "rang them", "--json").document
    assert (done["key"], done["cancelled_jobs"]) == (call["key"], [])
    assert planned("weddings", "calls", "--json").document["calls"] == []
    assert planned("check", "readiness").code == 0
    answers = [planned("weddings", "called", key, "--json") for key in ("x", "a/b/c")]
    assert [(one.code, one.error["code"]) for one in answers] == [(3, "invalid"), (4, "not_found")]
