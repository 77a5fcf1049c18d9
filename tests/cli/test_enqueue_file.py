"""``enqueue --file``: many jobs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Answer, Cli


def line(text: str = "x", **more: Any) -> dict[str, Any]:
    context = {"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"}
    return {"module_type": "note", "config": {"text": text}, "context": context, **more}


def send(cli: Cli, tmp_path: Path, lines: list[Any], *options: str) -> Answer:
    file = tmp_path / "jobs.ndjson"
    file.write_bytes(b"\n".join(item if isinstance(item, bytes) else json.dumps(item).encode() for item in lines))
    return cli("enqueue", "--file", str(file), "--json", *options)


def queued(cli: Cli) -> int:
    return len(cli("jobs", "list", "--limit", "0", "--json").document["jobs"])


def test_all_good(registered: Cli, tmp_path: Path) -> None:
    answer = send(registered, tmp_path, [line(), b"", b"   ", line(key="k"), line(key="k")])
    assert answer.code == 0
    assert answer.document == {
        "schema": "wedsync-ops/enqueue-file@1",
        "queued": 3,
        "refused": 0,
        "jobs": [
            {"line": 1, "job_id": 1, "duplicate": False, "queued_as": "new"},
            {"line": 4, "job_id": 2, "duplicate": False, "queued_as": "new"},
            {"line": 5, "job_id": 2, "duplicate": True, "queued_as": "duplicate"},
        ],
        "errors": [],
        "dry_run": False,
    }
    assert queued(registered) == 2


BAD = [
    (b"{", "invalid_json"),
    (b"[]", "invalid_json"),
    (b"\x00", "invalid_json"),
    (b'{"module_type": "note", "config": {"text": "\xff"}}', "invalid_json"),
    (b"[" * 2000, "invalid_json"),
    (json.dumps(line()).encode()[:-1] + b', "config": {"text": "y"}}', "invalid_json"),
    (b'{"x": "' + b"y" * 2_000_000 + b'"}', "invalid_json"),
    (line(prio="high"), "invalid"),
    ({"module_type": "note", "config": {"text": "x"}}, "invalid"),
    (line(priority="urgent"), "invalid"),
    (line(priority=["high"]), "invalid"),
    (line(key=3), "invalid"),
    (line(at="soon"), "invalid_time"),
    (line(at=12), "invalid"),
    (line(delay="1"), "invalid"),
    (line(delay=-1), "usage"),
    (line(delay=1, at="2090-01-01T00:00:00Z"), "usage"),
    (line(module_type="nota"), "unknown_module"),
    (line(module_type=["note"]), "invalid"),
    (line(module_type="idle"), "module_inactive"),
    (line(config=3), "invalid"),
    (line(config={"text": 3}), "invalid_config"),
    (line(context={}), "invalid_context"),
]


def test_bad_lines_are_reported_and_good_ones_queued(registered: Cli, tmp_path: Path) -> None:
    answer = send(registered, tmp_path, [line(), *(bad for bad, _ in BAD), line()])
    assert answer.code == 6
    assert answer.error["code"] == "partly_done"
    document = answer.document
    assert (document["queued"], document["refused"]) == (2, len(BAD))
    assert [(error["line"], error["code"]) for error in document["errors"]] == [
        (number, code) for number, (_, code) in enumerate(BAD, start=2)
    ]
    assert all("\n" not in error["message"] for error in document["errors"])
    assert [job["line"] for job in document["jobs"]] == [1, len(BAD) + 2]
    assert queued(registered) == 2


@pytest.mark.parametrize("bad", [bad for bad, _ in BAD])
def test_atomic_queues_all_or_nothing(registered: Cli, tmp_path: Path, bad: Any) -> None:
    answer = send(registered, tmp_path, [line(), bad, line()], "--atomic")
    assert answer.code == 3
    assert (answer.document["queued"], answer.document["jobs"]) == (0, [])
    assert [error["line"] for error in answer.document["errors"]] == [2]
    assert queued(registered) == 0


def test_atomic_with_a_key_conflict_inside(registered: Cli, tmp_path: Path) -> None:
    answer = send(registered, tmp_path, [line("a", key="k"), line("b", key="k")], "--atomic")
    assert answer.code == 3
    assert [(error["line"], error["code"]) for error in answer.document["errors"]] == [(2, "key_conflict")]
    assert queued(registered) == 0


def test_atomic_and_good(registered: Cli, tmp_path: Path) -> None:
    assert send(registered, tmp_path, [line(), line()], "--atomic").document["queued"] == 2


def test_what_is_wrong_with_a_line_names_its_keys(registered: Cli, tmp_path: Path) -> None:
    lines = [line(delay=-1), line(delay=1, at="2090-01-01T00:00:00Z")]
    messages = [error["message"] for error in send(registered, tmp_path, lines).document["errors"]]
    assert [message.partition(" ")[0] for message in messages] == ["delay", "at"]
    assert "--" not in "".join(messages)


def test_a_byte_order_mark_is_skipped(registered: Cli, tmp_path: Path) -> None:
    raw = json.dumps(line()).encode()
    assert send(registered, tmp_path, [b"\xef\xbb\xbf" + raw, raw]).document["queued"] == 2
    assert send(registered, tmp_path, [b"\xef\xbb\xbf", raw]).document["queued"] == 1
    assert send(registered, tmp_path, [raw, b"\xef\xbb\xbf" + raw]).document["refused"] == 1
    assert send(registered, tmp_path, [b"\xef\xbb\xbf"]).code == 3


def test_nothing_done_is_3(registered: Cli, tmp_path: Path) -> None:
    answer = send(registered, tmp_path, [line(module_type="nota")])
    assert answer.code == 3
    assert (answer.document["queued"], answer.document["refused"]) == (0, 1)


@pytest.mark.parametrize("content", [[], [b"\n\n  \n"]])
def test_an_empty_file_is_3(registered: Cli, tmp_path: Path, content: list[bytes]) -> None:
    answer = send(registered, tmp_path, content)
    assert (answer.code, answer.document["queued"]) == (3, 0)


def test_quiet_leaves_the_jobs_out(registered: Cli, tmp_path: Path) -> None:
    assert "jobs" not in send(registered, tmp_path, [line()], "--quiet").document


def test_a_dry_run_queues_nothing(registered: Cli, tmp_path: Path) -> None:
    answer = send(registered, tmp_path, [line(), line(key="k"), line(key="k")], "--dry-run")
    assert answer.code == 0
    assert [job["job_id"] for job in answer.document["jobs"]] == [None, None, None]
    assert queued(registered) == 0


def test_standard_input_and_a_summary_for_people(registered: Cli) -> None:
    answer = registered("enqueue", "--file", "-", stdin=json.dumps(line()).encode() + b"\n{\n")
    assert answer.code == 6
    assert "line 2: " in answer.out
    assert answer.out.splitlines()[-1] == "1 queued, 1 refused"


def test_many_lines_take_little_memory(registered: Cli, home: Path) -> None:
    """One line that is far too long and thousands that are not: memory must not grow with the input."""
    code = (
        "import sys; from wedsync_ops.cli.main import run\n"
        "code = run(sys.argv[1:])\n"
        "peak = [row.split()[1] for row in open('/proc/self/status') if row.startswith('VmHWM')][0]\n"
        "print(peak, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "enqueue", "--file", "-", "--quiet", "--json"]
    environment = {**os.environ, "WEDSYNC_OPS_HOME": str(home)}
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment
    )
    assert worker.stdin is not None
    for _ in range(200):
        worker.stdin.write(b"x" * 1024 * 1024)
    worker.stdin.write(b"\n" + (json.dumps(line()).encode() + b"\n") * 3000)
    out, err = worker.communicate(timeout=90)
    assert json.loads(out)["queued"] == 3000
    assert json.loads(out)["errors"][0]["line"] == 1
    assert int(err.splitlines()[-1]) < 150_000
