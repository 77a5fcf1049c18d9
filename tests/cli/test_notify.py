"""``alerts notify-check``, ``notify-test``, ``deliveries``, and ``maintenance run notify``."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.jobs.receivers import SECRET, Receiver, receiving
from wedsync_ops.clock import SystemClock
from wedsync_ops.instants import SECOND

HUSH = "hush-0123456789abcdef"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "notify.yaml"
    monkeypatch.setenv("WEDSYNC_OPS_NOTIFY", str(made))
    return made


def write(file: Path, channels: str, routes: str = "[{channels: []}]", more: str = "") -> None:
    file.write_text(f"schema_version: 1\nchannels:\n{channels}routes: {routes}\n{more}")


def hook(url: str) -> str:
    return f"  hook: {{type: webhook, url: '{url}', secret: {{env: HOOK_SECRET}}, timeout_s: 5}}\n"


def test_a_good_file_is_ready(cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    write(file, hook("https://hooks.example/in") + "  screen: {type: console}\n")
    answer = cli("alerts", "notify-check", "--json")
    assert answer.code == 0
    assert answer.document == {
        "schema": "wedsync-ops/alerts-notify-check@1",
        "file": str(file),
        "is_valid": True,
        "problems": [],
        "channels": [
            {"name": "hook", "type": "webhook", "error": None},
            {"name": "screen", "type": "console", "error": None},
        ],
        "heartbeat_error": None,
    }
    assert "ready" in cli("alerts", "notify-check", str(file)).out


def test_every_problem_is_named(cli: Cli, file: Path) -> None:
    write(file, f"  chat: {{type: slack, url: {HUSH}}}\n", "[{channels: chta}]")
    answer = cli("alerts", "notify-check", "--json")
    assert answer.code == 3
    assert [(one["line"], one["path"]) for one in answer.document["problems"]] == [
        (3, "channels.chat.url"),
        (4, "routes[0].channels"),
    ]
    assert answer.error["code"] == "invalid"
    assert HUSH not in answer.out + answer.err
    assert "line 4: routes[0].channels: there is no channel 'chta'" in cli("alerts", "notify-check").out


def test_secrets_that_are_not_there_are_named(cli: Cli, file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "short").write_text("short\n")
    write(
        file,
        "  chat: {type: slack, url: {env: NO_SUCH_VARIABLE}}\n"
        f"  pager: {{type: pagerduty, routing_key: {{file: '{tmp_path}/nowhere'}}}}\n"
        f"  other: {{type: pagerduty, routing_key: {{file: '{tmp_path}/empty'}}}}\n"
        f"  hook: {{type: webhook, url: https://x.example, secret: {{file: '{tmp_path}/short'}}}}\n"
        "  mail: {type: smtp, to: a@example.org}\n",
        more="heartbeat: {url: {env: NO_SUCH_BEAT}}\n",
    )
    answer = cli("alerts", "notify-check", "--json")
    assert answer.code == 3
    errors = [str(one["error"]) for one in answer.document["channels"]]
    for error, part in zip(
        errors,
        ["NO_SUCH_VARIABLE, which is not set", "cannot be read", "is empty", "16 characters", "or set smtp_url"],
        strict=True,
    ):
        assert part in error
    assert "NO_SUCH_BEAT" in answer.document["heartbeat_error"]
    assert "6 problems" in answer.error["message"]
    assert cli("alerts", "notify-check", "--no-secrets").code == 0


@pytest.mark.parametrize("command", [["notify-check"], ["notify-test", "hook"]])
def test_without_a_file_there_is_nothing_to_check(cli: Cli, command: list[str]) -> None:
    answer = cli("alerts", *command)
    assert answer.code == 2
    assert "the setting notify names no file" in answer.err


def test_a_file_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    answer = cli("alerts", "notify-check", str(tmp_path / "nowhere.yaml"))
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "cannot be read" in answer.err


def test_a_test_is_sent(cli: Cli, file: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    write(file, hook(receiver.url))
    answer = cli("alerts", "notify-test", "hook", "--json")
    assert answer.code == 0
    assert answer.document["sent"] is True
    (post,) = receiver.posts
    assert post.headers["webhook-id"] == answer.document["message_id"]
    assert (post.document["kind"], post.document["alerts"]) == ("test", [])
    assert cli("alerts", "notify-test", "hook").out.startswith("sent over hook in ")


def test_a_test_that_fails_says_so(cli: Cli, file: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    write(file, hook(receiver.url))
    receiver.answers = ["503"]
    answer = cli("alerts", "notify-test", "hook", "--json")
    assert answer.code == 1
    assert answer.document["error"] == "it answered 503"
    assert answer.error["message"] == "the channel hook failed: it answered 503"
    assert "hidden" not in answer.out + answer.err


def test_a_test_over_no_channel(cli: Cli, file: Path) -> None:
    write(file, "  screen: {type: console}\n")
    answer = cli("alerts", "notify-test", "scren")
    assert answer.code == 4
    assert "there is no channel 'scren' (there are screen)" in answer.err


def test_a_test_on_the_screen_is_a_line_of_the_log(cli: Cli, file: Path) -> None:
    write(file, "  screen: {type: console}\n  lines: {type: json}\n")
    assert "[TEST] wedsync-ops: this channel works" in cli("alerts", "notify-test", "screen").err
    assert '"kind":"test"' in cli("alerts", "notify-test", "lines").err


@pytest.mark.skipif(find_spec("apprise") is not None, reason="Apprise is installed")
def test_apprise_that_is_missing_is_said_in_a_line(cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRISE_URL", f"json://{HUSH}")
    write(file, "  rest: {type: apprise, url: {env: APPRISE_URL}}\n")
    answer = cli("alerts", "notify-test", "rest")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "pip install 'wedsync-ops[notify]'" in answer.err
    assert HUSH not in answer.err


def test_deliveries_are_listed(cli: Cli) -> None:
    answer = cli("alerts", "deliveries", "--json")
    assert answer.document == {
        "schema": "wedsync-ops/alerts-deliveries@1",
        "deliveries": [],
        "counts": {"pending": 0, "sent": 0, "cancelled": 0, "failed": 0},
    }
    assert cli("alerts", "deliveries", "--state", "lost").code == 2


def test_maintenance_tells(cli: Cli, file: Path) -> None:
    write(file, "  screen: {type: console}\n")
    (done,) = cli("maintenance", "run", "notify", "--json").document["tasks"]
    assert done == {"task": "notify", "counts": {"planned": 0, "sent": 0, "failed": 0}, "skipped": None}


def test_a_wrong_file_fails_its_task_and_no_other(registered: Cli, file: Path) -> None:
    write(file, "  screen: {type: consle}\n")
    assert registered("maintenance", "run", "notify").code == 3
    answer = registered("maintenance", "run", "--json")
    assert answer.code == 0
    skipped = {task["task"]: task["skipped"] for task in answer.document["tasks"]}
    assert "must be one of console" in str(skipped.pop("notify"))
    assert set(skipped.values()) == {None}


def test_monitoring_hears_when_nobody_would_be_told(cli: Cli, home: Path, file: Path) -> None:
    assert cli("db", "migrate").code == 0
    assert cli("check", "notify").code == 2  # there is no such file
    write(file, "  screen: {type: consle}\n")
    answer = cli("check", "notify", "--json")
    assert (answer.code, answer.document["status"]) == (2, "critical")
    assert "line 3: channels.screen.type: must be one of" in answer.document["message"]
    write(file, "  screen: {type: console}\n")
    answer = cli("check", "notify")
    assert (answer.code, answer.out) == (0, "NOTIFY OK: no page is late, and none was given up\n")


def test_monitoring_hears_that_notification_is_not_configured(cli: Cli) -> None:
    assert cli("db", "migrate").code == 0
    answer = cli("check", "notify")
    assert (answer.code, answer.out.partition(":")[0]) == (1, "NOTIFY WARNING")


@pytest.mark.parametrize(
    ("state", "ago_s", "code"),
    [
        ("pending", 50, 0),
        ("pending", 100, 1),
        ("pending", 400, 2),
        ("failed", 100, 2),
        ("failed", 4000, 0),
        ("sent", 9, 0),
    ],
)
def test_monitoring_hears_of_pages_that_do_not_arrive(
    cli: Cli, home: Path, file: Path, state: str, ago_s: int, code: int
) -> None:
    write(file, "  screen: {type: console}\n")
    cli("alerts", "deliveries")
    at = SystemClock().now() - ago_s * SECOND
    with closing(sqlite3.connect(home / "wedsync-ops.db")) as connection, connection:
        connection.execute(
            "INSERT INTO alert_deliveries (event_id, alert_id, channel, kind, route, state, planned_at, due_at,"
            " next_at, attempts, error, ended_at)"
            " VALUES (1, 1, 'hook', 'opened', 'r', ?, ?, ?, ?, 3, 'it answered 503', ?)",
            (state, at, at, at + 900 * SECOND, None if state == "pending" else at),
        )
    answer = cli("check", "notify", "--json")
    assert answer.code == code
    found = [(one["channel"], one["error"]) for one in answer.document["channels"]]
    assert found == ([("hook", "it answered 503")] if code else [])
