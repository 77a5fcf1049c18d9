"""``weddings``: lists, the next ones, one couple with its jobs; and what ``season`` makes of them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, enqueue
from tests.cli.test_clients import sheet

Known = Callable[..., None]
NOW = "2027-06-12T12:00:00+00:00"


@pytest.fixture
def known(registered: Cli, monkeypatch: pytest.MonkeyPatch) -> Known:
    """Import couples given as (id, days from now, place) on a clock that stands still."""
    now = datetime.fromisoformat(NOW)
    monkeypatch.setattr("wedsync_ops.clock.time.time_ns", lambda: int(now.timestamp()) * 1_000_000_000)

    def put(*couples: tuple[str, int, str]) -> None:
        rows = [
            f"{name},Ann & {name},a@example.com,{now.date() + timedelta(days=days)},{place},s-{name},venue"
            for name, days, place in couples
        ]
        answer = registered("clients", "import", "-", stdin=sheet(*rows))
        assert answer.code == 0, answer.err

    return put


def ids(document: dict[str, Any]) -> list[str]:
    return [one["client_id"] for one in document["weddings"]]


def test_weddings_are_listed_from_today_on(registered: Cli, known: Known) -> None:
    known(("past", -1, "Boston"), ("today", 0, "Boston"), ("soon", 14, "Chicago"), ("far", 15, "Boston"))
    assert ids(registered("weddings", "list", "--json").document) == ["today", "soon", "far"]
    assert ids(registered("weddings", "list", "--json", "--within", "14d").document) == ["today", "soon"]
    assert ids(registered("weddings", "list", "--json", "--limit", "1").document) == ["today"]
    assert ids(registered("weddings", "list", "--json", "--region", "midwest").document) == ["soon"]
    assert ids(registered("weddings", "list", "--json", "--supplier", "s-far").document) == ["far"]
    assert ids(registered("weddings", "list", "--json", "--to", "2027-06-12").document) == ["past", "today"]
    between = ("--from", "2027-06-11", "--to", "2027-06-11")
    assert registered("weddings", "list", "--json", *between).document == {
        "schema": "wedsync-ops/weddings-list@1",
        "weddings": [
            {
                "client_id": "past",
                "couple_name": "Ann & past",
                "wedding_date": "2027-06-11",
                "days_until": -1,
                "timezone": "UTC",
                "location": "Boston",
                "region": "northeast",
                "supplier_id": "s-past",
                "vendor_type": "venue",
            }
        ],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--within", "soon"), "--within: 'soon' is not a number of days (write it as 14d)"),
        (("--within", "7d", "--to", "2027-01-01"), "--within counts from today"),
        (("--from", "01/02/2027"), "--from: '01/02/2027' is not a date"),
        (("--from", "2027-02-01", "--to", "2027-01-01"), "--from 2027-02-01 is after --to 2027-01-01"),
        (("--region", "eu"), "there is no region 'eu'"),
    ],
)
def test_what_cannot_be_asked_is_wrong_usage(cli: Cli, options: tuple[str, ...], message: str) -> None:
    answer = cli("weddings", "list", "--json", *options)
    assert answer.code == 2
    assert answer.error["message"].startswith(message)


def test_the_next_weddings_come_with_the_days_left_and_their_open_jobs(registered: Cli, known: Known) -> None:
    known(("c1", 3, "Boston"), ("c2", 1, ""), ("past", -1, ""))
    enqueue(registered)
    enqueue(registered, "--at", "2027-06-14T12:00:00Z")
    document = registered("weddings", "next", "--json").document
    assert [(one["client_id"], one["days_until"], one["open_jobs"]) for one in document["weddings"]] == [
        ("c2", 1, 0),
        ("c1", 3, 2),
    ]
    assert ids(registered("weddings", "next", "--json", "--limit", "1").document) == ["c2"]
    told = registered("weddings", "next").out
    assert "Ann & c2" in told
    assert max(map(len, told.splitlines())) <= 80


def test_without_weddings_to_come_it_says_so(registered: Cli, known: Known) -> None:
    assert registered("weddings", "next").out == "no wedding to come is known\n"
    assert registered("weddings", "next", "--json").document["weddings"] == []


def test_a_couple_is_shown_with_its_jobs_by_state_and_the_next_that_is_due(registered: Cli, known: Known) -> None:
    known(("c1", 3, "Boston"))
    later = enqueue(registered, "--at", "2027-06-14T12:00:00Z").document["job_id"]
    cancelled = enqueue(registered).document["job_id"]
    registered("jobs", "cancel", str(cancelled))
    wedding = registered("weddings", "show", "c1", "--json").document["wedding"]
    assert (wedding["days_until"], wedding["region"], wedding["open_jobs"]) == (3, "northeast", 1)
    assert {state: count for state, count in wedding["jobs"].items() if count} == {"scheduled": 1, "cancelled": 1}
    assert wedding["next_due_at"] == "2027-06-14T12:00:00.000000Z"
    assert wedding["next_job"] == {
        "job_id": later,
        "module_type": "note",
        "state": "scheduled",
        "due_at": "2027-06-14T12:00:00.000000Z",
    }
    told = registered("weddings", "show", "c1").out
    assert "1 scheduled, 1 cancelled" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_couple_that_is_not_known(registered: Cli) -> None:
    answer = registered("weddings", "show", "nobody", "--json")
    assert (answer.code, answer.error["code"]) == (4, "unknown_client")


def test_the_season_counts_weddings_once_couples_are_known(registered: Cli, known: Known) -> None:
    at = ("season", "--json", "--at", NOW)
    assert registered(*at).document["active_weddings_count"] is None
    known(("a", 0, "Boston"), ("b", 7, "Chicago"), ("c", 8, "Chicago"), ("d", 30, ""), ("e", 31, "Austin"))
    document = registered(*at).document
    assert document["active_weddings_count"] == 2
    assert document["regional_variations"] == {"northeast": 1, "midwest": 2, "unknown": 1}
    later = registered("season", "--json", "--at", "2028-06-12").document
    assert (later["active_weddings_count"], later["regional_variations"]) == (0, {})
    assert "northeast 1, midwest 2, unknown 1" in registered("season", "--at", NOW).out


def test_the_season_needs_no_database_and_makes_none(cli: Cli, home: Path) -> None:
    assert cli("season", "--json").document["active_weddings_count"] is None
    assert not home.exists()
