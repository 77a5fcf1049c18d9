"""What a real worker logs while it runs every shipped module type on marked personal data, and while that fails."""

import json
import signal
from typing import Any

import pytest

from tests.acceptance.conftest import Home, definition

pytestmark = pytest.mark.slow

WORD, NUMBER = "Zyxmark", "7700900862"
"""What no line may hold: a word that stands in every text, and the digits of every telephone number."""
CLIENT = {
    "couple_name": f"{WORD} & Tom",
    "email": f"{WORD}.couple@example.org",
    "phone": f"+44{NUMBER}",
    "venue_name": f"{WORD} Barn",
    "sms_opt_in": True,
}
SUPPLIER = {
    "name": f"{WORD} Flowers",
    "email": f"{WORD}@flowers.example",
    "signature": f"Mara {WORD}",
    "review_links": {"google": f"https://g.example/{WORD}"},
}
CONTEXT: dict[str, Any] = {
    "wedding_date": "2020-06-19",
    "location": f"{WORD}, Bath",
    "client_data": CLIENT,
    "supplier_data": SUPPLIER,
    "step_data": {"note": WORD},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "email": {"template_id": "welcome-email", "subject_override": f"For {WORD}", "personalization": {"who": WORD}},
    "sms": {"message_text": f"Hello {WORD}", "channel": "sms"},
    "form": {"form_id": f"form-{WORD}"},
    "meeting": {"meeting_type": f"call with {WORD}", "duration": 30},
    "info": {"title": f"Day of {WORD}", "content": f"{WORD} comes at ten"},
    "review": {"platforms": ["google"], "custom_message": f"Dear {WORD}"},
    "referral": {"reward_type": "discount", "tracking_code": f"{WORD.upper()}1"},
}
HOSTILE = definition(
    "hostile",
    "hostile",
    "{how: {type: string}}",
    retry="{attempts: 1}",
    resource_requirements="{execution_timeout: 0.5}",
)


def queue_all(home: Home) -> None:
    for module, config in CONFIGS.items():
        home.enqueue(module, config, **CONTEXT)


def assert_nothing_is_told(lines: str) -> None:
    for mark in (WORD, WORD.lower(), WORD.upper(), NUMBER, NUMBER[1:]):
        assert mark not in lines, next(line for line in lines.splitlines() if mark in line)


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_holds_what_the_modules_were_given(home: Home, form: str) -> None:
    home.register_shipped()
    queue_all(home)
    done = home.run("--log-level", "debug", "--log-format", form, "run-worker", "--drain", code=None)
    assert done.returncode == 0, done.stderr
    states = {job["module_type"]: job["state"] for job in home.json("jobs", "list")["jobs"]}
    assert states == dict.fromkeys(CONFIGS, "completed")
    assert_nothing_is_told(done.stderr)
    if form == "json":
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        ended = [line for line in lines if line.get("event") == "execution_ended"]
        assert sorted(line["module_type"] for line in ended) == sorted(CONFIGS)
        assert {(line["attempt"], line["outcome"], line["level"]) for line in ended} == {(1, "ok", "debug")}
        assert len({line["worker_id"] for line in lines}) == 1
        assert [lines[0]["event"], lines[-1]["event"]] == ["worker_started", "worker_stopped"]


def test_nor_when_no_server_answers(home: Home) -> None:
    home.register_shipped()
    queue_all(home)
    home.environment |= {
        "WEDSYNC_OPS_SMTP_URL": "smtp://127.0.0.1:1",
        "WEDSYNC_OPS_SMS_URL": "http://127.0.0.1:1",
        "WEDSYNC_OPS_WEBHOOK_URL": f"http://127.0.0.1:1/{WORD}",
        "WEDSYNC_OPS_WEBHOOK_SECRET": f"{WORD}-{WORD}-{WORD}",
    }
    done = home.run("--log-level", "debug", "--log-format", "json", "run-worker", "--max-jobs", "7", code=None)
    assert_nothing_is_told(done.stderr)
    ended = [json.loads(line) for line in done.stderr.splitlines() if "execution_ended" in line]
    failed = {line["module_type"] for line in ended if line["outcome"] == "error"}
    assert failed >= {"email", "sms"}
    assert all(len(line["error_fingerprint"]) == 8 for line in ended if line["outcome"] == "error")


@pytest.mark.parametrize("how", ["raise", "chain", "print", "log", "stderr", "die", "hang", "unserialisable"])
def test_nor_when_a_handler_does_its_worst(home: Home, how: str) -> None:
    home.register(HOSTILE)
    home.enqueue("hostile", {"how": how}, **CONTEXT)
    done = home.run("--log-level", "debug", "--log-format", "json", "run-worker", "--drain", code=None)
    assert_nothing_is_told(done.stderr)
    assert all(json.loads(line)["at"] for line in done.stderr.splitlines())
    (ended,) = [json.loads(line) for line in done.stderr.splitlines() if "execution_ended" in line]
    assert ended["job_id"] == 1
    shown = home.run("logs", "--job", "1").stdout
    assert "execution_ended" in shown
    if how in ("print", "log"):
        assert WORD in shown  # what a handler says is kept with its execution, and forgotten with it


def test_logs_are_followed_while_jobs_run(home: Home) -> None:
    home.register(definition("note", "version_one"))
    follower = home.follow("logs", "--follow", "--json", "--module", "note")
    home.enqueue("note", {})
    home.run("run-worker", "--drain")
    assert follower.stdout is not None
    line = json.loads(follower.stdout.readline())
    assert (line["job_id"], line["event"], line["outcome"], line["level"]) == (1, "execution_ended", "ok", "info")
    follower.send_signal(signal.SIGINT)
    assert follower.wait(30) == 130
