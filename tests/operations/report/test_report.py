"""Reports from a real database: what they count, and the page that carries them."""

import re
import shutil
import struct
import subprocess
import uuid
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.metrics import rows
from tests.stores import databases
from tests.stores.queues import queue_on
from tests.stores.rows import add
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.operations.report.document import to_document
from wedsync_ops.operations.report.measure import availability, make
from wedsync_ops.operations.report.model import Period, Report
from wedsync_ops.operations.report.page import to_html
from wedsync_ops.operations.report.period import period
from wedsync_ops.operations.report.text import to_text

NOW = parse_instant("2027-06-20T09:30:00Z")
START = parse_instant("2027-06-19T00:00:00Z")
HOSTILE = "Bad: <img src=x onerror=alert(1)> https://evil.example/x.png \x1b[2J url(http://evil.example)"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("reports")
    yield from databases.opened(request.param, request, home, f"reports_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    return databases.emptied(shared)


@pytest.fixture
def rules(database: Database, tmp_path: Path) -> Rules:
    return queue_on(database, tmp_path).rules


def daily(database: Database, rules: Rules) -> Report:
    return make(database, rules, period("daily", NOW, rules.calendar.zone), NOW)


def execution(hour: float, **values: Any) -> dict[str, Any]:
    at = START + round(hour * HOUR)
    return {"finished_at": at, "started_at": at - 1000, **values}


def fill(database: Database) -> None:
    """A day with two weddings, a slow hour, some failures, and one critical job that was late."""
    with database.transaction() as connection:
        jobs = [
            add(connection, wedding_on="2027-06-19", client_id="c1"),
            add(connection, wedding_on="2027-06-19", client_id="c1"),
            add(connection, wedding_on="2027-09-01", client_id="c2"),
            add(connection, wedding_on=None, client_id="c3"),
        ]
    made = [
        execution(1.5, job_id=jobs[0], wedding_days=0, duration_us=2000, queue_wait_us=10_000),
        execution(1.6, job_id=jobs[1], wedding_days=0, duration_us=4000, queue_wait_us=20_000),
        execution(1.7, job_id=jobs[2], wedding_days=74, duration_us=6000, module_type="free"),
        execution(2.0, job_id=jobs[3], duration_us=3_000_000, module_type="free"),
        execution(3.0, outcome="error", error="PermanentError: gallery 12 is gone", duration_us=1000),
        execution(4.0, outcome="error", error="PermanentError: gallery 13 is gone", duration_us=1000),
        execution(5.0, outcome="timeout", error=HOSTILE, wedding_days=1, duration_us=1000),
        execution(6.0, outcome="lost", error="the worker died", duration_us=None),
        execution(7.0, outcome="cancelled", duration_us=9_000_000),
        execution(8.0, priority=3, queue_wait_us=150 * SECOND, duration_us=1000),
        execution(-0.1, duration_us=77),
        execution(24.0, duration_us=77),
    ]
    rows.executions(database, made)


def test_an_empty_day_is_reported_as_one_of_which_nothing_is_known(database: Database, rules: Rules) -> None:
    report = daily(database, rules)
    document = to_document(report)
    assert document["platform"]["total_executions"] == 0
    assert document["platform"]["error_rate"] is None
    assert document["availability"] == {"percent": None, "minutes": 1440, "late_minutes": 0}
    assert len(document["buckets"]) == 24
    assert {bucket["p95_execution_time_ms"] for bucket in document["buckets"]} == {None}
    assert "Nothing was executed." in to_text(report)
    assert "Nothing failed." in to_html(report)


def test_what_a_day_came_to(database: Database, rules: Rules) -> None:
    fill(database)
    document = to_document(daily(database, rules))
    platform = document["platform"]
    assert (platform["total_executions"], platform["failed_executions"], platform["lost_executions"]) == (10, 3, 1)
    assert platform["error_rate"] == pytest.approx(37.5)
    assert platform["p99_execution_time_ms"] == 3000
    assert document["season"] == {
        "current_season": "peak",
        "expected_load_multiplier": 15.0,
        "weekend_surge_active": True,
    }
    one = document["buckets"][1]
    assert one["outcomes"]["ok"] == 3
    assert one["p95_execution_time_ms"] == pytest.approx(6, rel=0.01)
    assert one["p95_queue_wait_ms"] == pytest.approx(20, rel=0.01)
    assert sum(sum(bucket["outcomes"].values()) for bucket in document["buckets"]) == 10
    assert document["weddings"]["served"] == 2
    assert document["weddings"]["served_in_wedding_week"] == 1
    assert document["weddings"]["by_days_before"][:2] == [
        {"days": 0, "ok": 2, "failed": 0},
        {"days": 1, "ok": 0, "failed": 1},
    ]
    missed = {module["module_type"]: module["missed_targets"] for module in document["modules"]}
    assert missed["free"] == ["p95 over 2 s"]
    assert missed["email"] == ["errors over 5 %"]


def test_failures_are_grouped_and_those_of_wedding_weeks_come_first(database: Database, rules: Rules) -> None:
    fill(database)
    failures = to_document(daily(database, rules))["failures"]
    assert [(one["count"], one["wedding_week_executions"]) for one in failures] == [(1, 1), (2, 0)]
    assert failures[1]["error"] == "PermanentError: gallery 13 is gone"


def test_minutes_in_which_a_critical_job_was_late_are_not_available(database: Database, rules: Rules) -> None:
    fill(database)
    found = daily(database, rules).availability
    assert (found.minutes, found.late) == (1440, 2)
    with database.transaction() as connection:
        add(connection, priority=3, due_at=START + DAY - 11 * MINUTE)
    assert daily(database, rules).availability.late == 12


def test_lateness_is_counted_by_the_minute_and_once() -> None:
    over = Period("hourly", 0, HOUR, 2 * MINUTE, "UTC")
    assert availability(over, []).percent == 100
    assert availability(over, [], anything_ran=False).percent is None
    assert availability(over, [(0, 1), (SECOND, 2 * SECOND)]).late == 1
    assert availability(over, [(-DAY, DAY)]).late == 60
    assert availability(over, [(59 * SECOND, 61 * SECOND)]).late == 2
    assert availability(over, [(-HOUR, 0)]).late == 0


def test_text_fits_eighty_columns(database: Database, rules: Rules) -> None:
    fill(database)
    lines = to_text(daily(database, rules))
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert "Weddings      2 served, 1 of them in their last week" in lines


class Parsed(HTMLParser):
    """What a page refers to, and whether every element is closed."""

    VOID = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        names = ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background", "ping")
        self.references += [f"{name}={value}" for name, value in attrs if name in names or name.startswith("on")]
        self.references += [value for name, value in attrs if name == "style" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)
        else:
            assert not re.search(r"url\(|@import|https?:|//", data)


def test_the_page_refers_to_nothing_and_escapes_everything(database: Database, rules: Rules) -> None:
    fill(database)
    parsed = Parsed()
    parsed.feed(to_html(daily(database, rules)))
    parsed.close()
    assert parsed.open == []
    assert parsed.references == []
    assert not parsed.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
    said = " ".join(parsed.words)
    assert "<img src=x onerror=alert(1)>" in said
    assert "\x1b" not in said
    assert len(parsed.tags & {"svg", "polyline", "rect", "table"}) == 4


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_draws_it(sqlite_database: Database, tmp_path: Path) -> None:
    rules = queue_on(sqlite_database, tmp_path).rules
    fill(sqlite_database)
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    page.write_text(to_html(daily(sqlite_database, rules)))
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1000,1400",
    ]
    options = [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", page.as_uri()]
    subprocess.run([*command, *options], capture_output=True, check=True, timeout=90)
    content = picture.read_bytes()
    assert struct.unpack(">II", content[16:24]) == (1000, 1400)
    assert len(content) > 20_000


def test_reading_takes_no_lock(sqlite_database: Database, tmp_path: Path) -> None:
    rules = queue_on(sqlite_database, tmp_path).rules
    with sqlite_database.transaction() as connection:
        connection.execute(text("DELETE FROM executions"))
        assert daily(sqlite_database, rules).metrics.platform.counts.total == 0
