"""Every channel, against a real receiver: what it sends, what becomes of it, and that no error names a secret."""

import contextlib
import importlib
import json
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.alerts.notify.telling import NOW, ROUTING_KEY, WEEK, Mailbox, an_alert, site
from tests.jobs.receivers import SECRET, Receiver
from wedsync_ops.alerts.channels.http import Post, post
from wedsync_ops.alerts.channels.lines import Json
from wedsync_ops.alerts.channels.mail import Mail
from wedsync_ops.alerts.channels.others import Apprise
from wedsync_ops.alerts.channels.pagerduty import Pagerduty
from wedsync_ops.alerts.channels.slack import Slack
from wedsync_ops.alerts.channels.webhook import Webhook
from wedsync_ops.alerts.model import Alert
from wedsync_ops.alerts.notify_model import TAKEN, Kind, Message, Outcome
from wedsync_ops.clock import SystemClock
from wedsync_ops.errors import SettingError

UTC = ZoneInfo("UTC")
ALERT = an_alert(WEEK)
TEST = Message("ntf_test_1", Kind.TEST, NOW, ())


def message(*alerts: Alert, kind: Kind = Kind.OPENED) -> Message:
    return Message("ntf_5", kind, NOW, alerts or (ALERT,))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("200", TAKEN),
        ("202", TAKEN),
        ("301", Outcome("it answered 301")),
        ("400", Outcome("it answered 400", final=True)),
        ("401", Outcome("it answered 401")),
        ("404", Outcome("it answered 404")),
        ("429", Outcome("it answered 429")),
        ("500", Outcome("it answered 500")),
        ("slow", Outcome("no answer within 0.5 s")),
        ("drip", Outcome("no answer within 0.5 s")),
    ],
)
def test_an_answer_over_http(hook: Receiver, answer: str, outcome: Outcome) -> None:
    hook.answers = [answer]
    assert post(Post(hook.url, b"{}", {}, 0.5)) == outcome


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hush", "http://hush.invalid/hush", "http://[hush"])
def test_nobody_there_is_said_without_the_address(url: str) -> None:
    outcome = post(Post(url, b"{}", {}, 2))
    assert not outcome.final
    assert str(outcome.error).startswith("it cannot be reached: ")
    assert "hush" not in str(outcome.error)


def test_a_webhook_verifies_as_documented(hook: Receiver) -> None:
    import re

    page = (Path(__file__).parents[3] / "docs" / "how-to" / "receive-webhooks.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    documented: dict[str, Any] = {}
    exec(program, documented)  # noqa: S102 - the page's own lines
    assert Webhook(hook.url, SECRET, 5, SystemClock()).send(message()) == TAKEN
    (taken,) = hook.posts
    assert documented["is_genuine"](SECRET, taken.headers, taken.body)
    assert not documented["is_genuine"]("another secret of mine", taken.headers, taken.body)
    assert taken.headers["webhook-id"] == "ntf_5"


def test_slack_gets_text_that_calls_nobody(hook: Receiver) -> None:
    nasty = replace(ALERT, message="<!channel> & <https://evil.example|click> ``` *bold*")
    assert Slack(hook.url, UTC, 5).send(message(nasty)) == TAKEN
    (taken,) = hook.posts
    body = taken.document
    assert body["text"].startswith(":rotating_light: [CRITICAL] wedding_week_errors email: &lt;!channel&gt; &amp;")
    said = body["blocks"][1]["text"]["text"]
    assert said.startswith("```")
    assert said.endswith("```")
    assert "```" not in said[3:-3]
    assert "<" not in json.dumps(body)


def test_slack_s_sections_are_short_enough(hook: Receiver) -> None:
    many = [replace(ALERT, message="&" * 900)] * 20
    Slack(hook.url, UTC, 5).send(message(*many))
    (taken,) = hook.posts
    assert all(len(block["text"]["text"]) <= 3_000 for block in taken.document["blocks"])


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (Kind.OPENED, "trigger"),
        (Kind.WORSENED, "trigger"),
        (Kind.ESCALATED, "trigger"),
        (Kind.REPEATED, "trigger"),
        (Kind.ACKNOWLEDGED, "acknowledge"),
        (Kind.RESOLVED, "resolve"),
    ],
)
def test_pagerduty_has_one_incident_for_an_alert(pager: Receiver, kind: Kind, action: str) -> None:
    assert Pagerduty(pager.url, ROUTING_KEY, "ops.example", 5).send(message(kind=kind)) == TAKEN
    (taken,) = pager.posts
    event = taken.document
    assert (event["routing_key"], event["event_action"], event["dedup_key"]) == (
        ROUTING_KEY,
        action,
        "ops.example-alert-7",
    )
    assert ("payload" in event) == (action == "trigger")
    if action == "trigger":
        payload = event["payload"]
        assert (payload["severity"], payload["source"], payload["component"], payload["class"]) == (
            "critical",
            "ops.example",
            "email",
            "wedding_week_errors",
        )
        assert len(payload["summary"]) <= 1_024
        assert payload["custom_details"]["command"] == "wedsync-ops queue status"


def test_a_test_of_pagerduty_leaves_no_incident(pager: Receiver) -> None:
    assert Pagerduty(pager.url, ROUTING_KEY, "ops.example", 5).send(TEST) == TAKEN
    assert [taken.document["event_action"] for taken in pager.posts] == ["trigger", "resolve"]
    assert len({taken.document["dedup_key"] for taken in pager.posts}) == 1


def test_pagerduty_s_refusal_is_final(pager: Receiver) -> None:
    pager.answers = ["400"]
    assert Pagerduty(pager.url, ROUTING_KEY, "x", 5).send(message()) == Outcome("it answered 400", final=True)


def mailer(port: int, folder: Path, to: tuple[str, ...] = ("oncall@example.org",)) -> Mail:
    return Mail(f"smtp://localhost:{port}", "ops@wedsync.example", to, site(folder), 5)


def test_a_mail_is_one_that_a_person_can_read(mailbox: tuple[Mailbox, int], tmp_path: Path) -> None:
    box, port = mailbox
    assert mailer(port, tmp_path, ("a@example.org", "b@example.org")).send(message()) == TAKEN
    (mail,) = box.mails
    assert isinstance(mail, EmailMessage)
    assert mail["Subject"] == "[CRITICAL] wedding_week_errors email: 12.5 is over 0.1"
    assert (mail["From"], mail["To"]) == ("ops@wedsync.example", "a@example.org, b@example.org")
    assert mail["Message-ID"] == "<ntf_5@wedsync.example>"
    assert (mail["Importance"], mail["Auto-Submitted"]) == ("high", "auto-generated")
    assert "Acknowledge: wedsync-ops alerts ack 7" in mail.get_content()


def test_a_mail_in_any_language_arrives(mailbox: tuple[Mailbox, int], tmp_path: Path) -> None:
    box, port = mailbox
    alert = replace(ALERT, message="Zoë & 结婚 " + "é" * 200)
    assert mailer(port, tmp_path).send(message(alert)) == TAKEN
    assert "Zoë & 结婚" in str(box.mails[0]["Subject"])
    assert "Zoë & 结婚" in box.mails[0].get_content()


def test_a_mail_server_that_does_not_want_it_is_asked_again(mailbox: tuple[Mailbox, int], tmp_path: Path) -> None:
    box, port = mailbox
    box.refuses = True
    outcome = mailer(port, tmp_path).send(message())
    assert (outcome.final, "refused for now (451)" in str(outcome.error)) == (False, True)
    assert "oncall" not in str(outcome.error)
    box.refuses = False
    assert mailer(port, tmp_path).send(message()) == TAKEN


def test_lines_are_added_to_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "alerts.ndjson"
    channel = Json(str(file))
    assert [channel.send(message()), channel.send(message(kind=Kind.RESOLVED))] == [TAKEN, TAKEN]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["opened", "resolved"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "cannot be written" in str(Json(str(tmp_path)).send(message()).error)


STAND_IN = """\
calls = []

class Apprise:
    def add(self, url):
        self.url = url
        return url.startswith("json://")

    def notify(self, body, title=None, notify_type=None):
        calls.append((self.url, title, body, notify_type))
        if "broken" in self.url:
            raise RuntimeError(self.url)
        return "down" not in self.url
"""


@contextmanager
def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, str, str]]]:
    """A module with the calls that Apprise documents; Apprise itself need not be installed."""
    (folder / "apprise.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "apprise", raising=False)
    yield importlib.import_module("apprise").calls
    sys.modules.pop("apprise", None)


def test_apprise_is_given_title_text_and_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in(tmp_path, monkeypatch) as calls:
        channel = Apprise("rest", "json://hush", UTC)
        for kind in (Kind.OPENED, Kind.RESOLVED, Kind.ACKNOWLEDGED):
            assert channel.send(message(kind=kind)) == TAKEN
        channel.send(message(an_alert()))
        assert [kind for _, _, _, kind in calls] == ["failure", "success", "info", "warning"]
        assert calls[0][1] == "[CRITICAL] wedding_week_errors email: 12.5 is over 0.1"
        assert Apprise("rest", "json://down", UTC).send(message()) == Outcome("Apprise could not deliver it")
        assert Apprise("rest", "json://broken", UTC).send(message()) == Outcome("Apprise failed: RuntimeError")
        with pytest.raises(SettingError, match="none that Apprise knows") as caught:
            Apprise("rest", "hush://hush", UTC)
        assert "hush" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own dependencies
@pytest.mark.skipif(find_spec("apprise") is None, reason="Apprise is not installed")
def test_apprise_itself_delivers(hook: Receiver) -> None:
    place = hook.url.removeprefix("http://").partition("/")[0]
    assert Apprise("rest", f"json://user:hush@{place}/hush", UTC).send(message()) == TAKEN
    (taken,) = hook.posts
    assert (taken.document["type"], taken.document["title"]) == (
        "failure",
        "[CRITICAL] wedding_week_errors email: 12.5 is over 0.1",
    )


@pytest.mark.parametrize("drop", [b"220-welcome\r\n", b"x"], ids=["lines", "bytes"])
def test_a_mail_server_whose_answer_never_ends_is_left_in_time(drop: bytes, tmp_path: Path) -> None:
    stopped = threading.Event()

    def dripping(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            while not stopped.wait(0.02):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=dripping, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        mail = Mail(f"smtp://127.0.0.1:{port}", "ops@example.com", ("on@example.com",), site(tmp_path), 0.5)
        began = time.monotonic()
        outcome = mail.send(message())
        took = time.monotonic() - began
        stopped.set()
        thread.join()
    assert outcome == Outcome(f"the mail server 127.0.0.1:{port} cannot be used: no answer in time")
    assert took < 5
