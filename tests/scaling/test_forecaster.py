"""Forecasts of a real database: what they are made from, written, kept, and made again by itself."""

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.metrics import rows
from tests.scaling.ran import LENGTH_US, fill
from tests.scaling.worlds import at_work, history
from tests.stores import databases
from tests.stores.queues import queue_on
from tests.stores.rows import add_many, worker
from wedsync_ops.db import Database
from wedsync_ops.errors import SettingError, UnknownModule, UsageError
from wedsync_ops.instants import DAY, HOUR, MINUTE, parse_instant
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import workers
from wedsync_ops.metrics.levels import Kept
from wedsync_ops.metrics.model import Range
from wedsync_ops.metrics.rollup import Roller
from wedsync_ops.scaling import forecaster
from wedsync_ops.scaling.asking import ask, to_document
from wedsync_ops.scaling.forecast_model import Expected, Method
from wedsync_ops.scaling.forecaster import forecasting, is_due, predict, refresh
from wedsync_ops.scaling.gathering import gather
from wedsync_ops.scaling.store import forecasts
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

NOW = parse_instant("2027-06-07T10:30:00Z")
SATURDAY = parse_instant("2027-06-12T00:00:00Z")
WEEK = Range(NOW // HOUR * HOUR, NOW // HOUR * HOUR + 7 * DAY)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("forecaster")
    yield from databases.opened(request.param, request, home, f"forecaster_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return replace(queue_on(databases.emptied(shared), tmp_path), clock=FakeClock(NOW))


def hours(queue: Queue, since: int = 0, until: int = 2 * NOW) -> list[Expected]:
    with queue.database.reading() as connection:
        return forecasts.expected(connection, since, until)


def made(queue: Queue, now: int = NOW) -> forecaster.Made:
    return refresh(queue.database, queue.rules, now, queue.database.transaction)


def test_two_weeks_are_written_by_hour_and_module_type(queue: Queue) -> None:
    fill(queue.database, [history(90, at_work), history(90, at_work, name="info")])
    assert made(queue) == forecaster.Made(module_types=4, hours=2 * 14 * 24, dropped=0)
    found = hours(queue)
    assert [one.module_type for one in found[:3]] == ["email", "info", "email"]
    assert (found[0].hour, found[-1].hour) == (WEEK.from_at, WEEK.from_at + 14 * DAY - HOUR)
    (noon,) = [one for one in found if (one.hour, one.module_type) == (SATURDAY + 12 * HOUR, "email")]
    assert noon.expected == pytest.approx(60, rel=0.1)
    with queue.database.reading() as connection:
        qualities = {one.module_type: one for one in forecasts.quality(connection)}
    assert qualities["email"].duration_us == LENGTH_US
    assert qualities["email"].history_days == 90
    assert (qualities["review"].method, qualities["review"].duration_us) == (Method.BOOKED, 2_000_000)


def test_made_again_it_takes_the_place_of_the_one_before(queue: Queue) -> None:
    fill(queue.database, [history(90, at_work)])
    made(queue)
    later = NOW + 36 * DAY
    assert made(queue, later).dropped == 24  # more than 35 days old
    assert len(hours(queue, since=later // HOUR * HOUR)) == 14 * 24
    assert len(hours(queue, until=later // HOUR * HOUR)) == 13 * 24


def test_what_is_booked_counts(queue: Queue) -> None:
    due = [SATURDAY + 9 * HOUR + MINUTE] * 700 + [SATURDAY + 10 * HOUR]
    with queue.database.transaction() as connection:
        add_many(connection, [{"state": State.SCHEDULED, "rank": None, "due_at": at} for at in due])
        add_many(connection, [{"state": State.AVAILABLE, "due_at": SATURDAY + 9 * HOUR}])
    (email, *_) = predict(queue.database, queue.rules, NOW, WEEK)
    assert [(one.hour - SATURDAY, one.booked) for one in email.hours] == [(9 * HOUR, 700), (10 * HOUR, 1)]


def test_what_couples_are_promised_counts_too(queue: Queue) -> None:
    asked = []

    def promised(database: Database, rules: Rules, over: Range, between: object) -> Mapping[tuple[int, str], int]:
        asked.append(over)
        return {(SATURDAY, "email"): 5}

    with queue.database.transaction() as connection:
        add_many(connection, [{"state": State.SCHEDULED, "rank": None, "due_at": SATURDAY}])
    found = predict(queue.database, queue.rules, NOW, WEEK, promised=promised)
    assert [(one.hour, one.booked) for one in found[0].hours] == [(SATURDAY, 6)]
    assert asked == [WEEK]


def test_executions_that_are_not_rolled_up_yet_are_history(queue: Queue) -> None:
    yesterday = NOW // DAY * DAY - 5 * HOUR
    rows.executions(queue.database, [{"finished_at": yesterday}, {"finished_at": yesterday - 3 * DAY}])
    (email, *_) = gather(queue.database, queue.rules, NOW, WEEK).known
    assert email.history is not None
    assert list(email.history.days) == [1, 0, 0, 1]
    assert sum(email.history.hours) == 2


def test_hours_begin_where_they_are_kept(queue: Queue) -> None:
    known = history(200, at_work, hour_days=60)
    fill(queue.database, [known], kept=Kept(hour=known.first_hour_day * DAY))
    (email, *_) = gather(queue.database, queue.rules, NOW, WEEK).known
    assert email.history == known


@pytest.mark.parametrize(("vendors", "busiest"), [(["photographer"] * 9 + ["venue"], {9, 17}), (["venue"], {8, 16})])
def test_hours_that_nothing_is_known_of_follow_the_peak_hours_of_whose_jobs_ran(
    queue: Queue, vendors: list[str], busiest: set[int]
) -> None:
    ran = [{"finished_at": NOW - DAY, "vendor_type": name} for name in vendors]
    rows.executions(queue.database, ran)
    Roller(queue.database, queue.clock, queue.rules.settings).round()
    prior = gather(queue.database, queue.rules, NOW, WEEK).world.prior[:24]
    assert {hour for hour in range(24) if prior[hour] == max(prior)} == busiest


def test_types_that_may_not_be_queued_are_left_out(queue: Queue) -> None:
    fill(queue.database, [history(30, at_work), history(30, at_work, name="idle")])
    assert [one.module_type for one in gather(queue.database, queue.rules, NOW, WEEK).known] == [
        "email",
        "free",
        "info",
        "review",
    ]


class TestAsking:
    def test_the_kept_forecast_is_taken_while_it_is_fresh(self, queue: Queue) -> None:
        fill(queue.database, [history(90, at_work)])
        fresh = ask(queue.database, queue.rules, NOW, WEEK)
        made(queue)
        kept = ask(queue.database, queue.rules, NOW, WEEK)
        assert (fresh.is_stored, kept.is_stored) == (False, True)
        assert kept.rows == fresh.rows
        assert kept.needs == fresh.needs
        assert not ask(queue.database, queue.rules, NOW + 3 * HOUR, replace(WEEK, from_at=NOW + 3 * HOUR)).is_stored
        assert not ask(queue.database, queue.rules, NOW, replace(WEEK, to_at=NOW + 20 * DAY)).is_stored
        assert not ask(queue.database, queue.rules, NOW, WEEK, afresh=True).is_stored

    def test_every_hour_of_the_range_is_answered(self, queue: Queue) -> None:
        answer = ask(queue.database, queue.rules, NOW, WEEK)
        assert [need.hour for need in answer.needs] == list(range(WEEK.from_at, WEEK.to_at, HOUR))
        assert not answer.has_history

    def test_a_time_that_has_passed_is_foretold_from_before(self, queue: Queue) -> None:
        fill(queue.database, [history(90, lambda on, hour: 50 if on >= date(2027, 6, 1) else at_work(on, hour))])
        past = parse_instant("2027-05-29T00:00:00Z")
        answer = ask(queue.database, queue.rules, NOW, Range(past, past + DAY))
        assert answer.made_at == past
        assert sum(need.expected for need in answer.needs) == pytest.approx(480, rel=0.15)

    def test_saturday_s_workers(self, queue: Queue) -> None:
        """216,000 executions of 0.4 s in an hour keep 24 slots busy: with room, 38, which is four workers of ten."""
        rules = replace(queue.rules, settings=replace(queue.rules.settings, max_slots=10))
        fill(queue.database, [history(90, lambda on, hour: 3600 * at_work(on, hour))])
        answer = ask(queue.database, rules, NOW, Range(SATURDAY, SATURDAY + DAY))
        worst = answer.worst
        assert worst is not None
        assert 9 <= (worst.hour - SATURDAY) // HOUR < 17
        assert 36 <= worst.slots <= 40
        assert worst.workers == 4
        document = to_document(answer, by_day=True)
        assert document["workers_needed"] == 4
        assert document["capacity"]["slots"] == 10
        assert document["capacity"]["runs_out_at"] == "2027-06-12T09:00:00.000000Z"
        assert [day["date"] for day in document["days"]] == ["2027-06-12"]

    def test_one_module_type(self, queue: Queue) -> None:
        fill(queue.database, [history(90, at_work), history(90, at_work, name="info")])
        whole = ask(queue.database, queue.rules, NOW, WEEK)
        one = ask(queue.database, queue.rules, NOW, WEEK, module="info")
        assert {row.module_type for row in one.rows} == {"info"}
        assert 2 * sum(need.expected for need in one.needs) == pytest.approx(sum(need.expected for need in whole.needs))
        with pytest.raises(UnknownModule):
            ask(queue.database, queue.rules, NOW, WEEK, module="infos")

    def test_capacity_is_what_the_workers_may_really_have(self, queue: Queue) -> None:
        alive = {"heartbeat_at": NOW, "started_at": NOW}
        with queue.database.transaction() as connection:
            workers.register(connection, worker(id="fixed", slots=3, **alive))
            workers.register(connection, worker(id="small", slots=2, min_slots=2, max_slots=8, **alive))
            workers.register(connection, worker(id="quiet", slots=5, phase="quiet", **alive))
        capacity = ask(queue.database, queue.rules, NOW, WEEK).capacity
        assert (capacity.workers, capacity.slots, capacity.slots_per_worker) == (2, 11, 50)

    def test_what_is_too_far_ahead_is_refused(self, queue: Queue) -> None:
        with pytest.raises(UsageError, match="three years"):
            ask(queue.database, queue.rules, NOW, Range(NOW + 1_200 * DAY, NOW + 1_201 * DAY))

    def test_holidays_of_a_country_that_nobody_knows(self, queue: Queue) -> None:
        pytest.importorskip("holidays")
        rules = replace(queue.rules, settings=replace(queue.rules.settings, holidays="Atlantis"))
        with pytest.raises(SettingError, match="Atlantis"):
            ask(queue.database, rules, NOW, WEEK)


class TestBeside:
    """The thread beside a worker."""

    def test_it_is_made_when_it_is_due(self, queue: Queue) -> None:
        assert is_due(queue.database, NOW, 3600)
        made(queue)
        assert not is_due(queue.database, NOW + HOUR - 1, 3600)
        assert is_due(queue.database, NOW + HOUR, 3600)
        assert is_due(queue.database, NOW - HOUR, 3600), "the clock was put back"

    def test_a_worker_makes_it(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(queue.database, [history(90, at_work)])
        done = called(monkeypatch, forecasts, "replace_quality")
        with forecasting(settings_of(queue), queue.clock, lambda: queue.rules):
            assert done.wait(30)
        assert len(hours(queue)) == 14 * 24
        assert free(queue)

    def test_while_another_is_at_it_nothing_is_made(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        assert Leader(queue.database, queue.clock, 60).lead(forecaster.TERM, "another") is not None
        asked = called(monkeypatch, forecaster, "is_due")
        with forecasting(settings_of(queue), queue.clock, lambda: queue.rules):
            assert asked.wait(30)
        assert hours(queue) == []

    def test_left_to_others_it_makes_none(self, queue: Queue) -> None:
        before = threading.active_count()
        with forecasting(replace(settings_of(queue), forecast_every_s=0.0), queue.clock, lambda: queue.rules):
            assert threading.active_count() == before

    def test_a_stop_ends_it_in_the_middle(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(queue.database, [history(90, at_work)])
        begun = called(monkeypatch, forecaster, "predict")
        monkeypatch.setattr(forecaster, "_SHARE", 1e-6)  # it rests for hours after its first step
        with forecasting(settings_of(queue), queue.clock, lambda: queue.rules):
            assert begun.wait(30)
        assert hours(queue) == []
        assert free(queue)

    def test_what_goes_wrong_is_said(self, queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
        pytest.importorskip("holidays")
        said = threading.Event()
        rules = replace(queue.rules, settings=replace(queue.rules.settings, holidays="Atlantis"))
        handler = Saying(said)
        logging.getLogger(forecaster.__name__).addHandler(handler)
        try:
            with forecasting(settings_of(queue), queue.clock, lambda: rules):
                assert said.wait(30)
        finally:
            logging.getLogger(forecaster.__name__).removeHandler(handler)
        assert "Atlantis" in caplog.text


class Saying(logging.Handler):
    def __init__(self, said: threading.Event) -> None:
        super().__init__()
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.set()


def settings_of(queue: Queue) -> Settings:
    engine = queue.database.writer.url
    return replace(queue.rules.settings, db=engine.render_as_string(hide_password=False), forecast_every_s=0.01)


def free(queue: Queue) -> bool:
    """Whether anybody may make the forecast now."""
    return Leader(queue.database, queue.clock, 60).lead(forecaster.TERM, "anybody") is not None


def called(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> threading.Event:
    """Set when a function is called; it does what it always does."""
    event, real = threading.Event(), getattr(module, name)

    def watched(*given: Any, **more: Any) -> Any:
        event.set()
        return real(*given, **more)

    monkeypatch.setattr(module, name, watched)
    return event
