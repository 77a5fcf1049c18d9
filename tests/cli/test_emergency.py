"""``emergency`` on the command line: what is printed, the exit codes, and the freeze of other commands."""

import json
from datetime import timedelta
from pathlib import Path

from tests.acceptance.conftest import Home
from wedsync_ops.clock import SystemClock
from wedsync_ops.instants import to_datetime


def home_in(folder: Path) -> Home:
    folder.mkdir()
    made = Home(folder)
    made.register_shipped()
    return made


def married(home: Home, days: int) -> str:
    day = str(to_datetime(SystemClock().now()).date() + timedelta(days=days))
    home.enqueue("email", {"template_id": "thank-you"}, client_data={"email": "c@example.org"}, wedding_date=day)
    return day


def test_an_emergency_from_its_declaration_to_the_history(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    assert home.run("emergency", "status").stdout.splitlines()[0] == "no emergency goes on"
    made = home.json("emergency", "declare", "flood", "--supplier", "s1", "--reason", "the cellar")["emergency"]
    assert (made["name"], made["scope"], made["subject"], made["state"]) == ("flood", "supplier", "s1", "active")
    assert [step["state"] for step in made["steps"]] == ["done", "done"]
    assert "flood of supplier s1" in home.run("emergency", "status").stdout
    (alert,) = home.json("alerts", "list")["alerts"]
    assert (alert["type"], alert["runbook"]) == ("emergency", "docs/runbooks/emergency.md")
    assert home.json("emergency", "resolve")["emergency"]["ending"] == "resolved by hand"
    assert home.json("alerts", "list")["alerts"] == []
    (kept,) = home.json("emergency", "history")["emergencies"]
    assert {step["state"] for step in kept["steps"]} == {"undone"}
    assert all(len(line) <= 100 for line in home.run("emergency", "history").stdout.splitlines())


def test_steps_that_cannot_be_taken_are_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    answer = home.run("emergency", "declare", "wedding_day_outage", code=6)
    assert "there is no backup route" in answer.stdout
    assert answer.stderr.count("\n") == 1


def test_what_is_wrong_is_one_line_and_the_right_exit_code(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    for arguments, code in (
        (("declare", "high_failure_rate"), 2),
        (("declare", "flood", "--module", "email", "--supplier", "s"), 2),
        (("declare", "high_failure_rate", "--module", "nothing"), 4),
        (("declare", "high_failure_rate", "--provider", "nobody"), 4),
        (("declare", "NOT A NAME"), 3),
        (("declare", "flood", "--until", "2020-01-01T00:00:00Z"), 3),
        (("declare", "flood", "--until", "soon"), 2),
        (("resolve",), 4),
        (("resolve", "7"), 4),
        (("resolve", "99999999999999999999"), 2),
        (("resolve", "0"), 2),
        (("history", "--limit", "99999999999999999999"), 2),
        (("drill", "nothing"), 3),
    ):
        answer = home.run("emergency", *arguments, code=code)
        assert answer.stderr.count("\n") == 1, arguments
    home.environment["WEDSYNC_OPS_EMERGENCIES"] = str(tmp_path / "none.yaml")
    assert "cannot be read" in home.run("emergency", "protocols", code=2).stderr


def test_changes_are_frozen_while_a_wedding_is_near_unless_somebody_says_why(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    day = married(home, 1)
    for arguments in (
        ("queue", "pause", "email"),
        ("queue", "drain", "email"),
        ("modules", "retire", "email", "--yes"),
    ):
        answer = home.run(*arguments, "--json", code=5)
        error = json.loads(answer.stderr.splitlines()[-1])["error"]
        assert (error["code"], error["details"][0]["wedding_date"]) == ("frozen", day)
    home.run("queue", "pause", "sms")
    assert home.json("emergency", "status")["freeze"]["weddings"][0]["client_id"] == "c1"
    home.run("queue", "pause", "email", "--override", code=2)
    home.run("modules", "retire", "email", "--override", "--reason", "not confirmed", code=2)
    home.run("scale", "set", "0", "--override", "--reason", "no such number", code=2)
    home.run("queue", "pause", "email", "--override", "--reason", "mails go out twice")
    (kept,) = home.json("emergency", "history")["overrides"]
    assert (kept["change"], kept["reason"]) == ("queue pause of module email", "mails go out twice")


def test_a_wedding_that_is_further_away_or_a_freeze_that_is_off_freezes_nothing(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    married(home, 9)
    home.run("queue", "pause", "email")
    home.run("queue", "resume", "email")
    married(home, 0)
    home.environment["WEDSYNC_OPS_FREEZE_DAYS"] = "-1"
    home.run("queue", "pause", "email")


def test_a_breaker_of_a_provider_holds_every_module_type_over_it_and_queue_status_says_so(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    home.json("emergency", "declare", "high_failure_rate", "--provider", "smtp", "--reason", "mail is down")
    held = home.json("queue", "status")["held_by_emergencies"]
    assert [one["name"] for one in held] == ["email", "form", "info", "meeting", "referral", "review"]
    assert "held: module email, by emergency 1: mail is down" in home.run("queue", "status").stdout
    (breaker,) = home.json("emergency", "status")["breakers"]
    assert (breaker["scope"], breaker["name"], breaker["state"]) == ("provider", "smtp", "open")
    home.run("emergency", "resolve", "1")
    assert home.json("queue", "status")["held_by_emergencies"] == []
