"""``season``."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("at", "season", "load", "surge"),
    [
        ("2027-06-19T12:00:00Z", "peak", 15.0, True),
        ("2027-06-16T12:00:00Z", "peak", 5.0, False),
        ("2027-04-14T12:00:00Z", "mid", 2.0, False),
        ("2027-01-13T12:00:00Z", "off", 1.0, False),
    ],
)
def test_season_tells_the_load_to_expect(cli: Cli, at: str, season: str, load: float, surge: bool) -> None:
    assert cli("season", "--at", at, "--json").document == {
        "schema": "wedsync-ops/season@1",
        "at": at.replace("Z", ".000000Z"),
        "current_season": season,
        "expected_load_multiplier": load,
        "active_weddings_count": None,
        "weekend_surge_active": surge,
        "regional_variations": None,
    }


def test_the_schema_comes_first(cli: Cli) -> None:
    assert cli("season", "--json").out.startswith('{"schema":"wedsync-ops/season@1"')


def test_a_time_without_offset_is_the_platforms(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_TIMEZONE", "America/New_York")
    answer = cli("season", "--at", "2027-06-18T23:00:00", "--json")
    assert answer.document["at"] == "2027-06-19T03:00:00.000000Z"
    assert answer.document["weekend_surge_active"] is False


def test_a_time_that_is_none(cli: Cli) -> None:
    answer = cli("season", "--at", "soon", "--json")
    assert (answer.code, answer.error["code"]) == (2, "usage")
    assert answer.error["message"].startswith("--at: 'soon' is not a time")


def test_for_people(cli: Cli) -> None:
    answer = cli("season", "--at", "2027-06-19T12:00:00Z")
    assert answer.code == 0
    assert "peak" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_couples_that_cannot_be_counted_are_spoken_of(cli: Cli, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "wedsync-ops.db").write_bytes(b"no database" * 500)
    answer = cli("season", "--at", "2027-06-19T12:00:00Z", "--json")
    assert (answer.code, answer.document["active_weddings_count"]) == (0, None)
    assert answer.err.startswith("warning: the weddings could not be counted: ")
    assert "this is not a database of wedsync-ops" in answer.err


def test_where_nothing_was_ever_kept_there_is_nothing_to_say(cli: Cli) -> None:
    assert cli("season").err == ""
