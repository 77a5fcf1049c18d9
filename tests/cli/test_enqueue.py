"""``enqueue``: one job."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, CONTEXT, ROOT, Cli, child, enqueue

KEYS = [
    "schema",
    "success",
    "job_id",
    "module_type",
    "state",
    "priority_requested",
    "priority_applied",
    "priority_reasons",
    "weekend_scaling_applied",
    "due_at",
    "due_reasons",
    "queue_position",
    "estimated_execution_time_ms",
    "duplicate",
]


def test_the_answer_has_the_contracts_keys(registered: Cli) -> None:
    answer = enqueue(registered)
    assert answer.code == 0
    document = answer.document
    assert list(document)[: len(KEYS)] == KEYS
    assert document["schema"] == "wedsync-ops/enqueue@1"
    assert (document["success"], document["job_id"], document["state"]) == (True, 1, "available")
    assert (document["queue_position"], document["estimated_execution_time_ms"]) == (1, None)
    assert document["due_at"].endswith("Z")


def test_a_later_job_is_scheduled_without_a_position(registered: Cli) -> None:
    document = enqueue(registered, "--at", "2090-01-02T03:04:05Z", "--priority", "high").document
    assert (document["state"], document["due_at"]) == ("scheduled", "2090-01-02T03:04:05.000000Z")
    assert (document["queue_position"], document["priority_requested"]) == (None, "high")


def test_a_dry_run_queues_nothing(registered: Cli) -> None:
    document = enqueue(registered, "--dry-run").document
    assert (document["job_id"], document["dry_run"]) == (None, True)
    assert registered("jobs", "list", "--json").document["jobs"] == []


def test_the_same_key_and_payload_is_queued_once(registered: Cli) -> None:
    first, again = (enqueue(registered, "--key", "k") for _ in range(2))
    assert (again.code, again.document["job_id"], again.document["duplicate"]) == (0, first.document["job_id"], True)
    other = enqueue(registered, "--key", "k", config='{"text": "other"}')
    assert other.code == 5
    assert other.error["code"] == "key_conflict"
    assert str(first.document["job_id"]) in other.error["message"]
    assert str(first.document["job_id"]) in json.dumps(other.error["details"])


def test_files_and_standard_input(registered: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(CONFIG)
    answer = registered("enqueue", "note", "--config", f"@{file}", "--context", "-", "--json", stdin=CONTEXT.encode())
    assert answer.code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["note", "--config", CONFIG],
        ["note", "--context", CONTEXT],
        ["--config", CONFIG, "--context", CONTEXT],
        ["note", "--config", "-", "--context", "-"],
        ["note", "--config", "@", "--context", CONTEXT],
        ["note", "--config", "@/nowhere/at/all", "--context", CONTEXT],
        ["note", "--config", "@/", "--context", CONTEXT],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--priority", "urgent"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--delay", "soon"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--delay", "-1"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--delay", "nan"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--delay", "inf"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--wait", "--timeout", "nan"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--wait", "--timeout", "inf"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--at", "2027-02-30T00:00:00Z"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--delay", "1", "--at", "2090-01-01T00:00:00Z"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--atomic"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--timeout", "1"],
        ["note", "--config", CONFIG, "--context", CONTEXT, "--wait", "--dry-run"],
        ["note", "--file", "-"],
        ["--file", "-", "--priority", "high"],
        ["--file", "-", "--wait"],
        ["--file", "/nowhere/at/all"],
    ],
)
def test_wrong_usage(registered: Cli, arguments: list[str]) -> None:
    answer = registered("enqueue", *arguments, stdin=b"{}")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert registered("jobs", "list", "--json").document["jobs"] == []


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "text",
        "[]",
        "3",
        "null",
        '{"text": NaN}',
        '{"text": "a\\u0000b"}',
        '{"text": "\\ud800"}',
        '{"text": "x", "deep": ' + "[" * 70 + "]" * 70 + "}",
        "[" * 100_000,
        '{"text": "x", "count": 99999999999999999999999999}',
        '{"text": "' + "x" * 1024 * 1024 + '"}',
        '{"text": ""}',
        '{"count": 1}',
        '{"text": "x", "unknown": 1}',
        b'{"text": "\xff\xfe"}',
    ],
)
@pytest.mark.parametrize("way", ["file", "stdin", "argument"])
def test_bad_config(registered: Cli, tmp_path: Path, config: str | bytes, way: str) -> None:
    raw = config if isinstance(config, bytes) else config.encode()
    file = tmp_path / "config.json"
    file.write_bytes(raw)
    given = {"file": f"@{file}", "stdin": "-", "argument": os.fsdecode(raw)}[way]
    answer = enqueue(registered, config=given) if way != "stdin" else _by_stdin(registered, raw)
    assert answer.code == 3
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.error["code"] in ("invalid_json", "invalid_config")
    assert "config" in answer.error["message"]
    assert registered("jobs", "list", "--json").document["jobs"] == []


def _by_stdin(cli: Cli, raw: bytes):  # type: ignore[no-untyped-def]
    return cli("enqueue", "note", "--config", "-", "--context", CONTEXT, "--json", stdin=raw)


@pytest.mark.parametrize(
    "context",
    [
        "{}",
        '{"client_id": "c", "supplier_id": "s"}',
        '{"client_id": "", "supplier_id": "s", "journey_instance_id": "j"}',
        '{"client_id": "c", "supplier_id": "s", "journey_instance_id": "j", "wedding_date": "someday"}',
        '{"client_id": "c", "supplier_id": "s", "journey_instance_id": "j", "timezone": "Mars/Base"}',
        '{"client_id": "c", "supplier_id": "s", "journey_instance_id": "j", "client_data": []}',
        "not json",
    ],
)
def test_bad_context(registered: Cli, context: str) -> None:
    answer = enqueue(registered, context=context)
    assert answer.code == 3
    assert "context" in answer.error["message"]


def test_bytes_on_the_command_line_that_are_no_text(home: Path, registered: Cli) -> None:
    answer = child(home, "enqueue", b"no\xffte", "--config", b'{"text": "\xff"}', "--context", CONTEXT, "--json")
    assert answer.code == 3
    assert answer.error["code"] == "invalid_json"
    named = child(home, "enqueue", b"no\xffte", "--config", CONFIG, "--context", CONTEXT, "--json")
    assert named.code == 4
    assert named.err.count("\n") == 1


@pytest.mark.parametrize("option", ["--at", "--deadline", "--expires"])
def test_a_time_that_is_none(registered: Cli, option: str) -> None:
    answer = enqueue(registered, option, "tomorrow")
    assert (answer.code, answer.error["code"]) == (2, "usage")
    assert answer.error["message"].startswith(f"{option}: 'tomorrow' is not a time")


@pytest.mark.parametrize("key", ["", " ", "a\nb", "x" * 300])
def test_a_key_that_is_none(registered: Cli, key: str) -> None:
    assert enqueue(registered, "--key", key).code == 3


def test_an_unknown_module_is_4_and_an_inactive_one_5(registered: Cli) -> None:
    unknown = enqueue(registered, module="nota")
    assert (unknown.code, unknown.error["code"]) == (4, "unknown_module")
    inactive = enqueue(registered, module="idle")
    assert (inactive.code, inactive.error["code"]) == (5, "module_inactive")


def test_waiting_times_out_and_says_so(registered: Cli) -> None:
    answer = enqueue(registered, "--wait", "--timeout", "0")
    assert answer.code == 1
    assert answer.document["state"] == "available"
    assert answer.error["code"] == "wait_timeout"


def test_a_full_queue_refuses(registered: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_CAPACITY", "1")
    monkeypatch.setenv("WEDSYNC_OPS_PEAK_CAPACITY_FACTOR", "1")
    assert enqueue(registered, "--priority", "high").code == 0
    full = enqueue(registered, "--priority", "high")
    assert (full.code, full.error["code"]) == (5, "capacity")
    assert enqueue(registered, "--priority", "critical").code == 0


# Databases and homes that cannot be used


def test_a_home_below_a_regular_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    answer = child(file / "home", "jobs", "list", "--json")
    assert answer.code == 1
    assert answer.error["code"] == "home"
    assert answer.err.count("\n") == 1


def test_a_database_that_is_a_text_file(cli: Cli, home: Path) -> None:
    home.mkdir()
    (home / "wedsync-ops.db").write_text("dear diary, " * 200)
    answer = cli("jobs", "list", "--json")
    assert (answer.code, answer.error["code"]) == (1, "database_corrupt")
    assert (home / "wedsync-ops.db").read_text().startswith("dear diary")


def test_a_database_of_another_program(cli: Cli, home: Path) -> None:
    home.mkdir()
    with sqlite3.connect(home / "wedsync-ops.db") as connection:
        connection.execute("CREATE TABLE recipes (id)")
    connection.close()
    answer = cli("jobs", "list", "--json")
    assert (answer.code, answer.error["code"]) == (1, "database_corrupt")


def test_a_newer_database_is_left_alone(registered: Cli, home: Path) -> None:
    connection = sqlite3.connect(home / "wedsync-ops.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    answer = enqueue(registered)
    assert (answer.code, answer.error["code"]) == (1, "database_newer")


def test_a_read_only_database(registered: Cli, home: Path) -> None:
    url = f"sqlite:///file:{home}/wedsync-ops.db?mode=ro&uri=true"
    command = ["enqueue", "note", "--config", CONFIG, "--context", CONTEXT, "--json"]
    answer = registered("--db", url, *command)
    assert (answer.code, answer.error["code"]) == (1, "database_read_only")
    assert registered("--db", url, "jobs", "list", "--json").document["jobs"] == []


def test_a_locked_database(registered: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_BUSY_TIMEOUT_S", "0.1")
    connection = sqlite3.connect(home / "wedsync-ops.db")
    connection.execute("BEGIN IMMEDIATE")
    try:
        answer = enqueue(registered)
    finally:
        connection.close()
    assert (answer.code, answer.error["code"]) == (1, "database_locked")
    assert str(home / "wedsync-ops.db") in answer.error["message"]


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "/x.db"])
def test_a_database_url_that_cannot_be_used(cli: Cli, home: Path, url: str) -> None:
    answer = cli("--db", url, "jobs", "list", "--json")
    assert answer.code == 2
    assert answer.error["code"] == "setting"
    assert not home.exists()


def test_a_database_in_a_folder_that_cannot_be_made(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = cli("--db", f"sqlite:///{tmp_path}/file/x.db", "jobs", "list", "--json")
    assert (answer.code, answer.error["code"]) == (1, "database_unreachable")
    assert f"{tmp_path}/file" in answer.error["message"]
    assert "WEDSYNC_OPS_HOME" not in answer.error["message"]


def test_a_file_size_limit_is_a_full_disk(registered: Cli, home: Path) -> None:
    import resource
    import subprocess
    import sys

    before = registered("jobs", "list", "--json").document["jobs"]
    big = '{"text": "' + "x" * 900_000 + '"}'
    done = subprocess.run(
        [sys.executable, "-m", "wedsync_ops", "enqueue", "note", "--config", "-", "--context", CONTEXT, "--json"],
        input=big.encode(),
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "WEDSYNC_OPS_HOME": str(home)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "storage_full"
    assert registered("jobs", "list", "--json").document["jobs"] == before
