"""Reports that maintenance keeps in a folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stores.queues import queue_on
from wedsync_ops.db import Database
from wedsync_ops.errors import ReportsUnwritable
from wedsync_ops.instants import DAY, HOUR, parse_instant
from wedsync_ops.operations import maintenance
from wedsync_ops.operations.maintenance import Site
from wedsync_ops.testing.clock import FakeClock

NOW = parse_instant("2027-06-20T09:30:00Z")


@pytest.fixture
def site(sqlite_database: Database, tmp_path: Path) -> Site:
    queue = queue_on(sqlite_database, tmp_path, reports_dir=tmp_path / "kept", keep_reports=2)
    return Site(queue.database, FakeClock(NOW), queue.rules)


def run(site: Site, later: int = 0) -> dict[str, int]:
    (done,) = maintenance.run(replace(site, clock=FakeClock(NOW + later)), ["reports"])
    assert done.skipped is None
    return dict(done.counts)


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "kept").iterdir())


def test_the_last_hour_and_the_last_day_are_written_once(site: Site, tmp_path: Path) -> None:
    assert run(site) == {"written": 2, "removed": 0}
    assert names(tmp_path) == [
        "daily-2027-06-19.html",
        "daily-2027-06-19.json",
        "hourly-2027-06-20T0800+0000.html",
        "hourly-2027-06-20T0800+0000.json",
    ]
    assert run(site, 20 * 60 * 1_000_000) == {"written": 0, "removed": 0}
    document = json.loads((tmp_path / "kept" / "daily-2027-06-19.json").read_text())
    assert document["schema"] == "wedsync-ops/report@1"
    assert document["range"]["from"] == "2027-06-19T00:00:00.000000Z"


def test_the_latest_of_each_kind_are_kept(site: Site, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "daily-plan.txt").write_text("somebody else's")
    for hours in range(4):
        run(site, hours * HOUR)
    assert [name for name in names(tmp_path) if name.endswith(".html")] == [
        "daily-2027-06-19.html",
        "hourly-2027-06-20T1000+0000.html",
        "hourly-2027-06-20T1100+0000.html",
    ]
    assert "daily-plan.txt" in names(tmp_path)
    for days in range(1, 4):
        run(site, days * DAY)
    assert [name for name in names(tmp_path) if name.startswith("daily-2")] == [
        "daily-2027-06-21.html",
        "daily-2027-06-21.json",
        "daily-2027-06-22.html",
        "daily-2027-06-22.json",
    ]


def test_none_is_made_when_none_is_kept(site: Site, tmp_path: Path) -> None:
    settings = replace(site.rules.settings, keep_reports=0)
    assert run(replace(site, rules=replace(site.rules, settings=settings))) == {"written": 0, "removed": 0}
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_used_is_one_clear_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(ReportsUnwritable, match="kept cannot be used: File exists"):
        run(site)
