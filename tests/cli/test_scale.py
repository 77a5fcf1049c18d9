"""``scale``: what it prints, to people and programs, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.stores.rows import worker
from wedsync_ops import db
from wedsync_ops.clock import SystemClock
from wedsync_ops.instants import SECOND, parse_instant
from wedsync_ops.jobs.store import workers
from wedsync_ops.jobs.store.requests import Kind, Request, ask, in_force
from wedsync_ops.scaling.store import decisions
from wedsync_ops.scaling.store.decisions import Row
from wedsync_ops.settings import Settings

LINE = '{"at": "2027-06-19T10:00:%02dZ", "slots": 4, "least": 2, "most": 20, "busy": %s}\n'
AT = parse_instant("2027-06-19T10:00:00Z")


@pytest.fixture
def database(cli: Cli, home: Path) -> Iterator[db.Database]:
    """The command line's own database, migrated."""
    assert cli("queue", "status").code == 0
    opened = db.connect(Settings(home=home))
    yield opened
    opened.close()


def start(database: db.Database, name: str, **values: object) -> None:
    now = SystemClock().now()
    with database.transaction() as connection:
        plain = {"min_slots": 2, "max_slots": 20, "slots": 4, "started_at": now, "heartbeat_at": now + 600 * SECOND}
        workers.register(connection, worker(**{"id": name, "name": name, **plain, **values}))


def keep(database: db.Database, at: int, busy: float, wanted: int) -> None:
    inputs = {"slots": 4, "least": 2, "most": 20, "busy": busy, "decision": {"load": 1.0}}
    with database.transaction() as connection:
        decisions.record(connection, Row(0, at, "all", 4, wanted, "load", "step", "it is busy", json.dumps(inputs)))


def test_without_a_worker_the_status_says_so(cli: Cli) -> None:
    answer = cli("scale", "status")
    assert answer.code == 0
    assert "all: no worker of it lives" in answer.out
    document = cli("scale", "status", "--json").document
    assert document["schema"] == "wedsync-ops/scale-status@1"
    assert (document["autoscale"], document["wanted_slots"], document["wanted_replicas"]) == (True, 2, 1)
    assert document["scopes"][0]["decided_at"] is None


def test_the_status_names_every_worker_and_what_is_asked_for(cli: Cli, database: db.Database) -> None:
    start(database, "a")
    start(database, "b", min_slots=None, max_slots=None)
    cli("scale", "set", "9", "--for", "2h", "--reason", "rehearsal")
    answer = cli("scale", "status")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "rehearsal (pinned)" in " ".join(answer.out.split())
    (scope,) = cli("scale", "status", "--json").document["scopes"]
    assert [(one["name"], one["fixed"]) for one in scope["workers"]] == [("a", False), ("b", True)]
    assert (scope["wanted"], scope["wanted_slots"], scope["inputs"]["fixed"]) == (9, 13, 4)
    (request,) = cli("scale", "status", "--json").document["requests"]
    assert (request["source"], request["kind"], request["slots"], request["scope"]) == ("hand", "exactly", 9.0, "all")


def test_setting_replaces_and_auto_undoes(cli: Cli) -> None:
    assert cli("scale", "set", "5", "--json").document["request"]["until"] is None
    assert cli("scale", "set", "6").out == "all: 6 slots, until scale auto\n"
    assert cli("scale", "auto", "--json").document["ended"] == 1
    assert cli("scale", "auto").out == "nothing had been set by hand; the load decides\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("set", "51"), 5, "51 is outside of 2 to 50"),
        (("set", "1"), 5, "1 is outside of 2 to 50"),
        (("set", "0"), 2, "Invalid value for 'N'"),
        (("set", "5", "--scope", "modules=x"), 4, "no worker is of the scope 'modules=x'"),
        (("set", "5", "--for", "soon"), 2, "'soon' is not a range"),
        (("set", "5", "--for", "1h", "--until", "2030-01-01"), 2, "exclude each other"),
        (("set", "5", "--until", "2020-01-01"), 3, "is over already"),
        (("set", "5", "--reason", "x" * 501), 3, "the reason has 501 characters"),
        (("replay", "nowhere"), 2, "the file nowhere cannot be read"),
        (("replay", "x", "--since", "2027-01-01"), 2, "FILE excludes"),
        (("replay", "--min-slots", "9", "--max-slots", "3"), 2, "--min-slots is 9"),
    ],
)
def test_what_is_refused(cli: Cli, arguments: tuple[str, ...], code: int, message: str) -> None:
    answer = cli("scale", *arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (code, "", 1)
    assert message in answer.err


def test_with_several_scopes_one_must_be_named(cli: Cli, database: db.Database) -> None:
    start(database, "a", modules="note")
    start(database, "b", region="south")
    answer = cli("scale", "set", "5")
    assert (answer.code, "name one with --scope: modules=note; region=south" in answer.err) == (5, True)
    assert cli("scale", "set", "5", "--scope", "region=south").code == 0


def test_workers_that_keep_their_size_are_not_set(
    cli: Cli, database: db.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(database, "a", min_slots=None, max_slots=None)
    assert "--concurrency and keeps its size" in cli("scale", "set", "5").err
    monkeypatch.setenv("WEDSYNC_OPS_AUTOSCALE", "false")
    answer = cli("scale", "set", "5")
    assert (answer.code, "autoscale is false" in answer.err) == (5, True)


def test_the_history_tells_why(cli: Cli, database: db.Database) -> None:
    keep(database, AT, 4.0, 8)
    keep(database, AT + 60 * SECOND, 4.0, 9)
    answer = cli("scale", "history")
    assert answer.out.splitlines()[2].split()[2:6] == ["all", "4", "9", "load"]
    (one,) = cli("scale", "history", "--since", "2027-06-19T10:00:30Z", "--json").document["decisions"]
    assert (one["wanted"], one["limits"], one["said"]) == (9, ["step"], "it is busy")
    assert one["inputs"]["busy"] == 4.0
    assert cli("scale", "history", "--scope", "other", "--json").document["decisions"] == []


def test_what_was_recorded_is_replayed_with_other_settings(
    cli: Cli, database: db.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, busy in enumerate((4.0, 7.0)):
        keep(database, AT + number * 60 * SECOND, busy, 8)
    found = cli("scale", "replay", "--since", "2027-01-01", "--json").document
    assert [(one["slots_before"], one["wanted"], one["wanted_then"]) for one in found["decisions"]] == [
        (4, 7, 8),
        (7, 12, 8),
    ]
    assert (found["moments"], found["ups"], found["downs"]) == (2, 2, 0)
    monkeypatch.setenv("WEDSYNC_OPS_SCALE_TARGET_LOAD", "0.75")
    assert cli("scale", "replay", "--json").document["most"] == 8
    assert cli("scale", "replay", "--max-slots", "6", "--json").document["most"] == 6


def test_a_series_is_replayed_from_a_file_or_standard_input(cli: Cli, tmp_path: Path) -> None:
    series = "".join(LINE % (second, busy) for second, busy in ((0, 4), (5, 4), (20, 7), (40, 7)))
    (tmp_path / "series").write_text(series + "\n")
    answer = cli("scale", "replay", str(tmp_path / "series"))
    assert answer.out.splitlines()[-1] == "4 moments, 2 times up, 0 times down, 7 to 12 slots"
    assert cli("scale", "replay", "-", "--json", stdin=series.encode()).document["ups"] == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: the line is not JSON"),
        ("[]", "line 2: the line"),
        ('{"busy": 1}', "line 2: at is missing"),
        ('{"at": "soon"}', "line 2: "),
        ('{"at": "2027-06-19T11:00:00Z", "bsy": 1}', "line 2: 'bsy' is no input"),
        ('{"at": "2027-06-19T11:00:00Z", "busy": -1}', "line 2: busy must be a number of 0 or more"),
        ('{"at": "2027-06-19T11:00:00Z", "busy": true}', "line 2: busy must be a number"),
        ('{"at": "2027-06-19T11:00:00Z", "slots": 1.5}', "line 2: slots must be a whole number"),
        ('{"at": "2027-06-19T11:00:00Z", "least": 9, "most": 3}', "line 2: least must be"),
        ('{"at": "2027-06-19T11:00:00Z", "waiting": [1]}', "line 2: each entry of waiting"),
        ('{"at": "2027-06-19T11:00:00Z", "waiting": 1}', "line 2: waiting must be a list"),
        ('{"at": "2027-06-19T11:00:00Z", "pins": [{}]}', "line 2: each entry of pins"),
        ('{"at": "2027-06-19T09:00:00Z"}', "line 2: it is earlier than the line before"),
    ],
)
def test_a_bad_line_is_named(cli: Cli, line: str, message: str) -> None:
    answer = cli("scale", "replay", "-", stdin=(LINE % (0, 4) + line + "\n").encode())
    assert (answer.code, answer.out, answer.err.count("\n")) == (3, "", 1)
    assert message in answer.err


def test_an_empty_series_is_refused(cli: Cli) -> None:
    assert cli("scale", "replay", "-", stdin=b"\n").code == 3


def test_prometheus_hears_how_many_are_wanted(cli: Cli) -> None:
    out = cli("metrics", "--prometheus").out
    assert 'wedsync_ops_wanted_slots{scope="all"} 2\n' in out
    assert 'wedsync_ops_wanted_replicas{scope="all"} 1\n' in out
    assert "# TYPE wedsync_ops_wanted_replicas gauge\n" in out


def test_a_request_ends_by_itself(database: db.Database) -> None:
    with database.transaction() as connection:
        ask(connection, Request("all", "somebody", Kind.AT_LEAST, 5.0, "so", None, AT, AT + 1))
        assert [one.source for one in in_force(connection, AT)] == ["somebody"]
        assert in_force(connection, AT + 1) == []


PIN = {"slots": 5, "at_least": False, "until": None, "said": "somebody"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"pins": [{**PIN, "until": "2027"}]}, "until of a pin: '2027' is not a time"),
        ({"pins": [{**PIN, "until": 1.5}]}, "until of a pin must be a time, or null"),
        ({"pins": [{**PIN, "at_least": "yes"}]}, "at_least of a pin must be true or false"),
        ({"pins": [{**PIN, "said": 5}]}, "said must be text"),
        ({"waiting": [{"priority": 1, "jobs": 1.5, "work_s": 3}]}, "jobs must be a whole number"),
        ({"wanted": "five"}, "wanted must be a whole number of 0 or more"),
        ({"wanted": True}, "wanted must be a whole number of 0 or more"),
        ({"expected_by": "x" * 1_100_000}, "line 1: the line measures"),
    ],
)
def test_inputs_that_are_none_are_refused(cli: Cli, inputs: dict[str, Any], message: str) -> None:
    line = json.dumps({"at": "2027-06-19T10:00:00Z", "slots": 4, **inputs}).encode()
    answer = cli("scale", "replay", "-", stdin=line + b"\n")
    assert (answer.code, answer.err.count("\n"), message in answer.err) == (3, 1, True)


def test_what_was_set_is_kept_with_its_time_and_replayed(cli: Cli) -> None:
    pinned = {"at": "2027-06-19T10:00:00Z", "slots": 4, "pins": [{**PIN, "until": "2027-06-19T10:00:01.000000Z"}]}
    later = {**pinned, "at": "2027-06-19T10:00:01Z"}
    lines = "".join(json.dumps(one) + "\n" for one in (pinned, later))
    first, second = cli("scale", "replay", "-", "--json", stdin=lines.encode()).document["decisions"]
    assert (first["reason"], second["reason"]) == ("pinned", "idle")
