"""The thread of a worker: pages go out in seconds, whatever goes wrong, and nothing is lost at the end.

Clock and receivers are real here.
"""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.alerts.notify.telling import WEEK, Incident, Mailbox, configured, hooked, site
from tests.jobs.receivers import Receiver
from wedsync_ops import db, migrate
from wedsync_ops.alerts import notifying as whole
from wedsync_ops.alerts.model import AlertType
from wedsync_ops.alerts.notifying import load, notify, notifying
from wedsync_ops.clock import SystemClock
from wedsync_ops.db import Database
from wedsync_ops.errors import InputFileError, InvalidInput, SettingError
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

ROUTES = "  - {name: critical, channels: hook}\n"


@pytest.fixture
def file(pager: Receiver, hook: Receiver, mailbox: tuple[Mailbox, int], tmp_path: Path) -> Path:
    return configured(tmp_path, ROUTES, pager.url, hook.url, mailbox[1])


@pytest.fixture
def settings(tmp_path: Path, file: Path) -> Settings:
    return Settings(home=tmp_path, notify=file)


@pytest.fixture
def opened(settings: Settings) -> Iterator[Database]:
    database = db.connect(settings)
    migrate.ensure(database)
    yield database
    database.close()


@pytest.fixture
def live(opened: Database) -> Incident:
    return Incident(opened, FakeClock(SystemClock().now()))


def until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    ends_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_a_page_goes_out_within_five_seconds(
    settings: Settings, live: Incident, hook: Receiver, tmp_path: Path
) -> None:
    with notifying(settings, site(tmp_path), SystemClock()):
        live.open(AlertType.QUEUE_LENGTH, "first")  # it runs by now, or will soon
        alert = live.open(WEEK)
        began = time.monotonic()
        until(lambda: hook.taken)
        assert time.monotonic() - began < 5
    assert hooked(hook) == [("opened", [alert])]


def test_what_opens_just_before_the_end_is_told(
    settings: Settings, live: Incident, hook: Receiver, tmp_path: Path
) -> None:
    with notifying(settings, site(tmp_path), SystemClock()):
        first = live.open(WEEK, "a")
        until(lambda: hook.taken)
        others = [live.open(WEEK, name) for name in "bcdefgh"]
    assert hooked(hook) == [("opened", [one]) for one in (first, *others)]


def test_the_next_worker_goes_on_at_once(settings: Settings, live: Incident, hook: Receiver, tmp_path: Path) -> None:
    with notifying(settings, site(tmp_path), SystemClock()):
        alert = live.open(WEEK)
        until(lambda: hook.taken)
    with notifying(settings, site(tmp_path), SystemClock()):
        live.resolve(alert)
        until(lambda: len(hook.taken) == 2, 5)
    assert hooked(hook) == [("opened", [alert]), ("resolved", [alert])]


def test_a_wrong_file_stops_no_worker_and_is_read_again(
    settings: Settings,
    live: Incident,
    hook: Receiver,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(whole, "RELOAD_S", 0.1)
    good = file.read_text()
    file.write_text(good.replace("channels: hook}", "channels: hok}"))
    with caplog.at_level(logging.ERROR), notifying(settings, site(tmp_path), SystemClock()):
        until(lambda: "there is no channel 'hok'" in caplog.text)
        file.write_text(good)
        first = live.open(WEEK, "a")
        until(lambda: hook.taken)
        caplog.clear()
        file.write_text("schema_version: 1\n")
        until(lambda: "people could not be told of alerts" in caplog.text)
        second = live.open(WEEK, "b")
        until(lambda: len(hook.taken) == 2)  # by the file that was right
    assert hooked(hook) == [("opened", [first]), ("opened", [second])]


def test_whatever_goes_wrong_telling_goes_on(
    settings: Settings,
    live: Incident,
    opened: Database,
    hook: Receiver,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from sqlalchemy import text

    with caplog.at_level(logging.ERROR), notifying(settings, site(tmp_path), SystemClock()):
        first = live.open(WEEK, "a")
        until(lambda: hook.taken)
        with opened.transaction() as connection:
            connection.execute(text("UPDATE alerts SET weddings = 'none'"))
            connection.execute(text("UPDATE alert_events SET alert = 'none'"))
            connection.execute(
                text("INSERT INTO alert_events (alert_id, kind, at, alert) VALUES (1, 'opened', 1, '?')")
            )
        until(lambda: "JSONDecodeError in " in caplog.text)
        with opened.transaction() as connection:
            connection.execute(text("DELETE FROM alert_events WHERE alert = '?'"))
        second = live.open(WEEK, "b")
        until(lambda: len(hook.taken) == 2)
    assert hooked(hook) == [("opened", [first]), ("opened", [second])]


def test_once_from_cron(settings: Settings, live: Incident, opened: Database, hook: Receiver, tmp_path: Path) -> None:
    ids = [live.open(WEEK, name) for name in "abc"]
    told = notify(opened, SystemClock(), site(tmp_path), settings.notify)
    assert told is not None
    assert (told.planned, told.sent, told.failed) == (3, 3, 0)
    assert [one for _, about in hooked(hook) for one in about] == ids
    with notifying(settings, site(tmp_path), SystemClock()):
        live.open(WEEK, "d")
        until(lambda: len(hook.taken) == 4)
        assert notify(opened, SystemClock(), site(tmp_path), settings.notify) is None
    assert notify(opened, SystemClock(), site(tmp_path), None) is not None


def test_what_is_wrong_is_told_together(file: Path, tmp_path: Path) -> None:
    clock = SystemClock()
    with pytest.raises(InputFileError, match="cannot be read"):
        load(tmp_path / "nowhere", site(tmp_path), clock)
    (tmp_path / "routing").unlink()
    (tmp_path / "signing").unlink()
    with pytest.raises(SettingError) as missing:
        load(file, site(tmp_path), clock)
    assert len(missing.value.details) == 2
    file.write_text("schema_version: 2\nchannels: {}\n")
    with pytest.raises(InvalidInput) as wrong:
        load(file, site(tmp_path), clock)
    assert sorted(wrong.value.details) == ["line 1: routes: is required", "line 1: schema_version: must be 1"]
