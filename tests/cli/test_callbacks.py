"""``callbacks ingest``: genuine callbacks suppress numbers, once; the rest is named and changes nothing."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.stores.queues import queue_on
from wedsync_ops import db
from wedsync_ops.app import open_app
from wedsync_ops.handlers.callbacks import sign
from wedsync_ops.handlers.contract import recipient_digest
from wedsync_ops.jobs import callbacks
from wedsync_ops.settings import load

SECRET = "open sesame, open"
NUMBER = "+447700900123"
OPTED_OUT = {"type": "received", "from": NUMBER, "text": "STOP"}
BOUNCED = {"type": "failed", "to": "+12025550123", "channel": "sms", "permanent": True}
DELIVERED = {"type": "delivered", "to": NUMBER, "channel": "sms", "message_id": "m1"}


def line(event: dict[str, Any], at: int | None = None, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    timestamp, body = str(int(time.time()) if at is None else at), json.dumps(event)
    return {"timestamp": timestamp, "signature": sign(secret, timestamp, body), "body": body, **more}


def ndjson(lines: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in lines)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_SMS_CALLBACK_SECRET", SECRET)


def suppressed(home: Path) -> dict[str, str]:
    app = open_app(load({"home": str(home)}, {}))
    try:
        with app.database.reading() as connection:
            rows = db.run(connection, "SELECT recipient, reason FROM suppressions").all()
        return {row.recipient: row.reason for row in rows}
    finally:
        app.close()


def test_numbers_that_must_rest_are_suppressed_once(cli: Cli, home: Path) -> None:
    lines = ndjson([line(OPTED_OUT), line(BOUNCED), line(DELIVERED), line(OPTED_OUT)])
    answer = cli("callbacks", "ingest", "-", "--json", stdin=lines)
    assert answer.code == 0, answer.err
    assert answer.document == {
        "schema": "wedsync-ops/callbacks-ingest@1",
        "accepted": 4,
        "suppressed": 2,
        "fallbacks": 0,
        "known": 1,
        "ignored": 1,
        "refused": 0,
        "errors": [],
        "dry_run": False,
    }
    assert suppressed(home) == {
        recipient_digest(f"tel:{NUMBER}"): "unsubscribed",
        recipient_digest("tel:+12025550123"): "bounce",
    }
    again = cli("callbacks", "ingest", "-", "--json", stdin=lines)
    assert (again.document["suppressed"], again.document["known"]) == (0, 3)


def test_a_dry_run_changes_nothing(cli: Cli, home: Path) -> None:
    answer = cli("callbacks", "ingest", "-", "--dry-run", "--json", stdin=ndjson([line(OPTED_OUT)]))
    assert (answer.code, answer.document["suppressed"], answer.document["dry_run"]) == (0, 1, True)
    assert suppressed(home) == {}


def test_what_is_not_genuine_is_named_and_the_rest_taken(cli: Cli, home: Path, tmp_path: Path) -> None:
    bad = [
        line(OPTED_OUT, secret="other"),
        line(OPTED_OUT, at=1_700_000_000),
        {**line(OPTED_OUT), "body": json.dumps(BOUNCED)},
        {"timestamp": 5, "signature": None, "body": "x"},
        line(OPTED_OUT, extra=1),
        line({"type": "opted_out", "to": "nobody"}),
    ]
    file = tmp_path / "callbacks.ndjson"
    file.write_bytes(ndjson([*bad, line(BOUNCED)]) + b"not json\n\n")
    answer = cli("callbacks", "ingest", str(file), "--json")
    assert answer.code == 6
    assert [error["line"] for error in answer.document["errors"]] == [1, 2, 3, 4, 5, 6, 8]
    assert (answer.document["accepted"], answer.document["refused"]) == (1, 7)
    assert list(suppressed(home).values()) == ["bounce"]
    assert "7700" not in answer.out + answer.err


def test_when_all_are_refused_nothing_was_done(cli: Cli) -> None:
    answer = cli("callbacks", "ingest", "-", stdin=ndjson([line(OPTED_OUT, secret="other")]))
    assert answer.code == 3
    assert "line 1: the signature does not verify" in answer.out


def test_an_empty_file_is_no_failure(cli: Cli) -> None:
    answer = cli("callbacks", "ingest", "-")
    assert (answer.code, answer.out) == (0, "0 accepted (0 suppressed, 0 fallbacks, 0 known, 0 ignored), 0 refused\n")


def test_a_callback_that_was_written_down_counts_from_its_arrival(cli: Cli, home: Path) -> None:
    old = line(OPTED_OUT, at=1_700_000_000, received_at=1_700_000_200)
    late = line(BOUNCED, at=1_700_000_000, received_at=1_700_000_301)
    wrong = line(BOUNCED, received_at="today")
    answer = cli("callbacks", "ingest", "-", "--json", stdin=ndjson([old, late, wrong]))
    assert [error["line"] for error in answer.document["errors"]] == [2, 3]
    assert list(suppressed(home).values()) == ["unsubscribed"]


def test_without_a_secret_nothing_is_taken(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEDSYNC_OPS_SMS_CALLBACK_SECRET")
    answer = cli("callbacks", "ingest", "-", "--json", stdin=ndjson([line(OPTED_OUT)]))
    assert answer.code == 2
    assert "sms_callback_secret" in answer.error["message"]


def test_a_file_that_is_not_there_is_wrong_usage(cli: Cli) -> None:
    assert cli("callbacks", "ingest", "/nowhere/x").code == 2


def test_both_databases_take_callbacks(database: db.Database, tmp_path: Path) -> None:
    queue = queue_on(database, tmp_path)
    now = queue.clock.now()
    lines = [line(event, at=now // 1_000_000) for event in (OPTED_OUT, OPTED_OUT, DELIVERED)]
    found = [callbacks.judge(one, SECRET, now) for one in lines]
    new = {"suppressed": 1, "fallbacks": 0, "known": 1, "ignored": 1}
    assert callbacks.take(queue, found, dry_run=True) == new
    assert callbacks.take(queue, found) == new
    assert callbacks.take(queue, found) == {**new, "suppressed": 0, "known": 2}
