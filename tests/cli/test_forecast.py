"""``forecast``."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, child, enqueue
from tests.scaling.ran import fill
from tests.scaling.worlds import UTC, at_work, history
from wedsync_ops import db
from wedsync_ops.clock import SystemClock
from wedsync_ops.instants import local_date
from wedsync_ops.settings import Settings


def today() -> date:
    return local_date(SystemClock().now(), UTC)


def saturday_in_june() -> date:
    """The first Saturday of next year's June."""
    first = date(today().year + 1, 6, 1)
    return first + timedelta((5 - first.weekday()) % 7)


def uneven(on: date, hour: int) -> float:
    return at_work(on, hour) + (on.day * 7 + hour) % 5


@pytest.fixture
def ran(registered: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A platform that has worked for ninety days, from nine to five and thrice as much on Saturdays, more or less.

    It knows no season, so that it answers the same all year round.
    """
    for season in ("PEAK", "MID"):
        monkeypatch.setenv(f"WEDSYNC_OPS_{season}_MULTIPLIER", "1")
    database = db.connect(Settings(home=home))
    fill(database, [history(90, uneven, end=today(), name="note")])
    database.close()
    return registered


def test_next_saturday_s_worst_hour_and_workers(ran: Cli) -> None:
    document = ran("forecast", "--at", "saturday", "--json").document  # of a weekday one day, unless told
    assert next(iter(document)) == "schema"
    assert document["schema"] == "wedsync-ops/forecast@1"
    assert len(document["hours"]) == 24
    worst: dict[str, Any] = document["worst_hour"]
    assert worst in document["hours"]
    assert 9 <= int(worst["hour"][11:13]) < 17
    assert worst["expected"] == pytest.approx(60, rel=0.35)
    assert (document["slots_needed"], document["workers_needed"]) == (1, 1)
    assert document["capacity"]["live_workers"] == 0
    assert document["capacity"]["runs_out_at"] is None
    assert "backtest" not in document
    note = next(one for one in document["modules"] if one["module_type"] == "note")
    assert note["history_days"] == 90
    assert note["mean_execution_ms"] == 400


def test_the_stored_one_is_taken_when_maintenance_has_made_it(ran: Cli) -> None:
    assert ran("forecast", "--json").document["is_stored"] is False
    tasks = ran("maintenance", "run", "forecast", "--json").document["tasks"]
    assert [task["task"] for task in tasks] == ["rollup", "forecast"]
    assert tasks[1]["counts"]["hours"] == 14 * 24
    assert ran("forecast", "--json").document["is_stored"] is True
    assert ran("forecast", "--fresh", "--json").document["is_stored"] is False


def test_methods_are_tried_when_asked_for(ran: Cli) -> None:
    document = ran("forecast", "--backtest", "--json").document
    tried = {one["method"]: one for one in document["backtest"]}
    assert set(tried) == {"log-ridge", "last week", "season"}
    assert tried["last week"]["mase"] == 1
    text = ran("forecast", "--backtest").out
    assert "Of naive %" in text
    assert " *" in text


@pytest.mark.parametrize("options", [[], ["--hours", "30"], ["--plot"], ["--backtest"], ["--by", "hour"]])
def test_for_people_it_fits_80_columns(ran: Cli, options: list[str]) -> None:
    answer = ran("forecast", *options)
    assert answer.code == 0
    assert "worst hour: " in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_by_day_and_by_hour(ran: Cli) -> None:
    assert len(ran("forecast", "--at", "saturday", "--days", "2", "--by", "day", "--json").document["days"]) == 2
    assert ran("forecast", "--json").document["by"] == "day"
    assert ran("forecast", "--hours", "48", "--json").document["by"] == "hour"


def test_days_are_those_of_the_platform_s_zone(ran: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_TIMEZONE", "America/New_York")
    saturday = saturday_in_june()
    document = ran("forecast", "--at", f"{saturday}", "--days", "1", "--json").document
    assert document["from"] == f"{saturday}T04:00:00.000000Z"
    assert document["timezone"] == "America/New_York"


def test_without_history_it_says_so(registered: Cli) -> None:
    saturday = saturday_in_june()
    answer = registered("forecast", "--at", (saturday - timedelta(2)).isoformat(), "--days", "4")
    assert "no history: nothing ran on a day (of UTC) that is over" in " ".join(answer.out.split())
    assert f"Sat {saturday} brings 15 times" in " ".join(answer.out.split())
    assert "nothing is expected" in answer.out
    document = registered("forecast", "--json").document
    assert document["has_history"] is False
    assert document["worst_hour"]["expected"] == 0


def test_without_history_what_is_booked_is_expected(registered: Cli) -> None:
    saturday = saturday_in_june()
    assert enqueue(registered, "--at", f"{saturday}T10:15:00Z").code == 0
    document = registered("forecast", "--at", f"{saturday}", "--days", "1", "--json").document
    assert document["worst_hour"]["hour"] == f"{saturday}T10:00:00.000000Z"
    assert (document["worst_hour"]["booked"], document["worst_hour"]["load_multiplier"]) == (1, 15.0)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--at", "someday"], 2, "--at: 'someday' is not a time"),
        (["--days", "0"], 2, "--days"),
        (["--days", "1", "--hours", "1"], 2, "exclude each other"),
        (["--at", "2999-01-01"], 2, "three years"),
        (["--module", "notes"], 4, "did you mean 'note'"),
        (["--plot"], 2, "exclude each other"),
    ],
)
def test_what_cannot_be_asked(registered: Cli, options: list[str], code: int, said: str) -> None:
    answer = registered("forecast", *options, "--json")
    assert answer.code == code
    assert said in answer.error["message"]
    assert answer.out == ""


def test_a_country_whose_holidays_nobody_knows(registered: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("holidays")
    monkeypatch.setenv("WEDSYNC_OPS_HOLIDAYS", "Atlantis")
    answer = registered("forecast", "--json")
    assert (answer.code, answer.error["code"]) == (2, "setting")
    (forecast,) = [
        task for task in registered("maintenance", "run", "--json").document["tasks"] if task["task"] == "forecast"
    ]
    assert "Atlantis" in forecast["skipped"]


@pytest.mark.slow
def test_help_imports_no_database(home: Path) -> None:
    answer = child(home, "forecast", "--help")
    assert answer.code == 0
    assert "--backtest" in answer.out
