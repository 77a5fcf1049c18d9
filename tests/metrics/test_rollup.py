"""Rolling up: buckets and what is not in them are each execution once, in whatever order things happen."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from tests.metrics import rows
from tests.metrics.reckoned import EXECUTION, expected_common, expected_module
from tests.stores import databases
from wedsync_ops import db, migrate
from wedsync_ops.clock import Clock, SystemClock
from wedsync_ops.db import Database
from wedsync_ops.errors import TermOver
from wedsync_ops.instants import DAY, HOUR, MINUTE, parse_instant
from wedsync_ops.jobs.store import terms
from wedsync_ops.metrics import rollup
from wedsync_ops.metrics.actions import measure, to_document
from wedsync_ops.metrics.adding import Spot, Sum
from wedsync_ops.metrics.levels import WIDTHS, Kept, Level
from wedsync_ops.metrics.model import Kind, Series
from wedsync_ops.metrics.reading import ever
from wedsync_ops.metrics.rollup import Leading, Roller
from wedsync_ops.metrics.store import buckets
from wedsync_ops.metrics.store.buckets import State, Top
from wedsync_ops.metrics.trend import PARTS
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

START = parse_instant("2027-06-19T11:58:30Z")
MODULES = ("email", "sms", "other")
SHORT = Settings(minute_rollup_days=1, hour_rollup_days=3, day_rollup_days=30)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("rollup")
    yield from databases.opened(request.param, request, home, f"rollup_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    return databases.emptied(shared)


def roller(database: Database, clock: Clock | None = None) -> Roller:
    return Roller(database, clock or FakeClock(START), SHORT)


def document(database: Database, range_us: int, now: int = START, by: Kind | None = None) -> dict[str, Any]:
    return to_document(measure(database, MODULES, range_us=range_us, now=now, by=by))


def reached(database: Database) -> int:
    with database.reading() as connection:
        return buckets.state(connection).up_to


def stored(database: Database) -> dict[Any, Any]:
    """Every bucket by what it is of."""
    with database.reading() as connection:
        names = {number: series for series, number in buckets.series(connection).items()}
        found = connection.execute(text("SELECT * FROM rollups")).all()
    return {(names[row.series], row.level, row.start_at): tuple(row)[3:] for row in found}


def at(instant: int, **values: Any) -> dict[str, Any]:
    return {"finished_at": instant, "started_at": instant - 5, **values}


def forget_raw(database: Database, before: int) -> None:
    """As retention does: first the floor, then only what is rolled up."""
    with database.transaction() as connection:
        buckets.keep(connection, Kept(raw=before))
        connection.execute(
            text("DELETE FROM executions WHERE finished_at < :before AND id <= (SELECT up_to FROM rollup_state)"),
            {"before": before},
        )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(st.tuples(EXECUTION, st.integers(0, 5 * DAY)), min_size=1, max_size=12)),
        st.tuples(st.just("roll"), st.integers(1, 5)),
        st.tuples(st.just("pass"), st.sampled_from((7, 40 * 60, 5 * HOUR // 10**6, 2 * DAY // 10**6))),
        st.tuples(st.just("retain"), st.integers(0, 4)),
    ),
    min_size=2,
    max_size=12,
)
LENGTHS = st.one_of(
    st.integers(1, 2 * HOUR), st.integers(1, 9 * DAY), st.sampled_from((MINUTE, HOUR, DAY, 2 * DAY, 40 * DAY))
)


class Played:
    """Some history: what was inserted, on a platform where everything else happens at odd moments."""

    def __init__(self, database: Database) -> None:
        self.database = databases.emptied(database)
        self.clock = FakeClock(START)
        self.rows: list[dict[str, Any]] = []

    def step(self, what: str, argument: Any) -> None:
        if what == "insert":
            added = [{**row, "finished_at": self.clock.now() - ago} for row, ago in argument]
            rows.executions(self.database, added)
            self.rows += added
        elif what == "roll":
            rollup.CHUNK = argument
            roller(self.database, self.clock).round()
        elif what == "pass":
            self.clock.set(self.clock.now() + argument * 1_000_000 + 17)
        else:
            before = self.clock.now() - argument * DAY
            forget_raw(self.database, before - before % DAY)


@settings(max_examples=60, deadline=None)
@given(STEPS, LENGTHS)
def test_buckets_and_the_rest_equal_every_row_there_ever_was(shared: Database, steps: Any, length: int) -> None:
    chunk, played = rollup.CHUNK, Played(shared)
    try:
        for what, argument in steps:
            played.step(what, argument)
    finally:
        rollup.CHUNK = chunk
    now = played.clock.now()
    found = document(shared, length, now)
    start = parse_instant(found["range"]["from"])
    with shared.reading() as connection:
        kept = buckets.state(connection).kept
    assert start == now - length or now - length < kept.raw
    assert now - length - DAY < start or now - length < kept.day
    inside = [row for row in played.rows if start <= row["finished_at"] < now]
    minutes = (now - start) / MINUTE
    del found["platform"]["resource_utilization"]
    assert found["platform"] == expected_common(inside, minutes, 0.01)
    assert found["modules"] == [
        {"module_type": name, **expected_module([r for r in inside if r["module_type"] == name], minutes, 0.01)}
        for name in MODULES
    ]
    groups = {group.pop("name"): group for group in document(shared, length, now, Kind.VENDOR_TYPE)["groups"]}
    for name in {row["vendor_type"] for row in inside}:
        expected = expected_common([row for row in inside if row["vendor_type"] == name], minutes, 0.01)
        del expected["current_queue_length"]
        assert groups.pop(name) == expected
    assert not groups
    with shared.snapshot() as connection:
        since_ever = ever(connection)
    assert {name: sum(found.sums[:7]) for name, found in since_ever.items()} == {
        name: many for name in MODULES if (many := sum(row["module_type"] == name for row in played.rows))
    }


def test_a_bucket_of_each_width_holds_what_finished_in_it(database: Database) -> None:
    rows.executions(database, [at(START, vendor_type="venue"), at(START + MINUTE), at(START - HOUR, outcome="lost")])
    assert roller(database).round().executions == 3
    found = stored(database)
    email = Series(Kind.ALL, "email", "")
    counts = {
        (level, start): (values[0], values[5]) for (series, level, start), values in found.items() if series == email
    }
    minute = START - START % MINUTE
    hour, day = START - START % HOUR, START - START % DAY
    assert counts == {
        (Level.EVER, 0): (2, 1),
        (Level.DAY, day): (2, 1),
        (Level.HOUR, hour): (2, 0),
        (Level.HOUR, hour - HOUR): (0, 1),
        (Level.MINUTE, minute): (1, 0),
        (Level.MINUTE, minute + MINUTE): (1, 0),
        (Level.MINUTE, minute - HOUR): (0, 1),
    }
    kinds = {(series.kind, series.name) for series, _, _ in found}
    assert kinds == {
        (Kind.ALL, ""),
        (Kind.VENDOR_TYPE, "venue"),
        (Kind.VENDOR_TYPE, ""),
        (Kind.PRIORITY, "1"),
        (Kind.REGION, "unknown"),
    }


def test_rolling_up_again_changes_nothing(database: Database) -> None:
    rows.executions(database, [at(START - n * MINUTE, duration_us=n) for n in range(50)])
    roller(database).round()
    before = stored(database)
    assert roller(database).round().executions == 0
    assert stored(database) == before


def test_chunk_by_chunk_is_the_same_as_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    written = [at(START - n * 7 * MINUTE, duration_us=n * n, queue_wait_us=n) for n in range(60)]
    rows.executions(database, written)
    roller(database).round()
    at_once = stored(database)
    databases.emptied(database)
    monkeypatch.setattr(rollup, "CHUNK", 7)
    rows.executions(database, written)
    assert roller(database).round().executions == 60
    assert stored(database) == at_once


def test_who_saw_an_older_state_changes_nothing(database: Database) -> None:
    rows.executions(database, [at(START)] * 3)
    roller(database).round()
    before = stored(database)
    with database.transaction() as connection:
        assert not buckets.advance(connection, 0, reached(database) + 5)
    assert stored(database) == before


def test_two_at_once_count_everything_once(database: Database) -> None:
    """The second comes between the first one's reading and its writing."""
    rows.executions(database, [at(START, duration_us=n) for n in range(9)])
    second = roller(database)
    came: list[int] = []

    class Interrupted(Roller):
        @staticmethod
        def _added(connection: Connection, state: State, top: Top) -> dict[Spot, Sum]:
            found = Roller._added(connection, state, top)
            if not came:
                came.append(0)
                came.append(second.round().executions)
            return found

    first = Interrupted(database, FakeClock(START), SHORT)
    assert (first.round().executions, came) == (0, [0, 9])
    assert document(database, HOUR, START + 1)["platform"]["total_executions"] == 9


def test_buckets_and_executions_are_forgotten_when_their_time_is_over(database: Database) -> None:
    rows.executions(database, [at(START - days * DAY) for days in range(40)])
    clock = FakeClock(START)
    roller(database, clock).round()
    levels = {level: sorted(start for _, its, start in stored(database) if its == level) for level in WIDTHS}
    day = START - START % DAY
    assert levels[Level.MINUTE][0] >= day - DAY
    assert levels[Level.HOUR][0] >= day - 3 * DAY
    assert levels[Level.DAY][0] == day - 30 * DAY
    clock.set(START + 10 * DAY)
    assert roller(database, clock).round().dropped > 0
    assert {level for _, level, _ in stored(database)} == {Level.EVER, Level.DAY}
    assert document(database, 35 * DAY, START + 10 * DAY)["platform"]["total_executions"] == 26
    forget_raw(database, day)
    found = document(database, 35 * DAY, START + 10 * DAY)
    assert found["platform"]["total_executions"] == 21
    assert parse_instant(found["range"]["from"]) == day - 20 * DAY


def test_executions_of_a_region_are_those_of_jobs_there(database: Database) -> None:
    rows.jobs(database, [{"region": "midwest", "supplier_id": "s1"}, {"region": "south", "supplier_id": "s2"}])
    with database.reading() as connection:
        first, second = connection.execute(text("SELECT id FROM jobs ORDER BY id")).scalars()
    rows.executions(database, [at(START, job_id=first), at(START, job_id=first), at(START, job_id=second)])
    for by, names in ((Kind.REGION, ("midwest", "south")), (Kind.SUPPLIER, ("s1", "s2"))):
        for _ in range(2):
            found = document(database, HOUR, START + 1, by)
            assert found["by"] == by
            assert [(group["name"], group["total_executions"]) for group in found["groups"]] == list(
                zip(names, (2, 1), strict=True)
            )
            roller(database).round()


def test_priorities_are_told_by_their_words(database: Database) -> None:
    rows.executions(database, [at(START, priority=3), at(START, priority=3), at(START, priority=0)])
    groups = document(database, HOUR, START + 1, Kind.PRIORITY)["groups"]
    assert [(group["name"], group["total_executions"]) for group in groups] == [("critical", 2), ("low", 1)]


def test_one_rolls_up_and_the_others_leave_it_to_it(database: Database) -> None:
    clock = FakeClock(START)
    first, second = Leading(database, clock, "a"), Leading(database, clock, "b")
    assert (first.lead(), second.lead(), first.lead()) == (True, False, True)
    first.leave()
    assert second.lead()
    rows.executions(database, [at(START)])
    stale = Roller(database, clock, SHORT, first.writing)
    with pytest.raises(TermOver):
        stale.round()
    assert reached(database) == 0
    assert Roller(database, clock, SHORT, second.writing).round().executions == 1


def test_a_backlog_leaves_time_for_others(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a tenth of the time, what follows each step is nine times as long."""
    monkeypatch.setattr(rollup, "CHUNK", 5)
    rows.executions(database, [at(START)] * 12)

    class Slow(FakeClock):
        def monotonic(self) -> float:
            self.advance("1s")
            return super().monotonic()

    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    Roller(database, Slow(START), SHORT, wait=wait, share=0.1).round()
    assert waited == pytest.approx([9, 9])


def test_it_can_be_broken_off_between_two_steps(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "CHUNK", 5)
    rows.executions(database, [at(START)] * 12)
    broken_off = Roller(database, FakeClock(START), SHORT, wait=lambda _: True)
    assert broken_off.round().executions == 5
    assert broken_off.is_due()
    assert (roller(database).round().executions, broken_off.is_due()) == (7, False)


def test_a_thread_rolls_up_while_a_worker_works(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "EVERY_S", 0.01)
    database = db.connect(settings)
    migrate.ensure(database)
    clock, waited = SystemClock(), threading.Event()
    with rollup.rolling(settings, clock):
        for expected in (1, 2):
            rows.executions(database, [at(clock.now())])
            while reached(database) < expected:
                assert not waited.wait(0.01)
    with database.reading() as connection:
        (term,) = terms.read(connection)
    assert (term.name, term.expires_at) == (rollup.TERM, term.renewed_at)
    rows.executions(database, [at(clock.now())])
    assert reached(database) == 2
    database.close()


def test_a_round_that_fails_is_reported_and_the_next_begins_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rollup, "EVERY_S", 0.01)
    database = db.connect(settings)
    migrate.ensure(database)
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE rollups RENAME TO elsewhere"))
    rows.executions(database, [at(START)])
    waited = threading.Event()
    with rollup.rolling(settings, SystemClock()):
        while "executions could not be rolled up" not in caplog.text:
            assert not waited.wait(0.01)
        with database.transaction() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO rollups"))
        while reached(database) < 1:
            assert not waited.wait(0.01)
    database.close()


def test_a_trend_shows_when_executions_were(database: Database) -> None:
    rows.executions(database, [at(START - n * MINUTE) for n in (1, 1, 30, 50)])
    roller(database).round()
    rows.executions(database, [at(START - MINUTE), at(START - 30 * MINUTE)])
    (email, *_) = measure(database, MODULES, range_us=HOUR, now=START, with_trend=True).modules
    assert sum(email.trend) == 6
    assert [count for count in email.trend if count] == [1, 2, 3]
    assert len(email.trend) <= PARTS
