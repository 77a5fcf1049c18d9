"""Workers, their leases and their hosts; how long executions take."""

from datetime import date

from sqlalchemy import text

from tests.stores.rows import NOW, add, add_many, ending, row, take, worker
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Expected, Priority, Result, State
from wedsync_ops.jobs.store import durations, finish, workers


class TestRegister:
    def test_is_read_back_whole(self, database: Database) -> None:
        one = worker(region="eu", modules="email,info", busy=1, pid=4_000_000)
        with database.transaction() as connection:
            workers.register(connection, one)
            assert workers.living(connection) == [one]

    def test_the_stopped_are_listed_for_a_while_newest_first(self, database: Database) -> None:
        old = worker(id="old", started_at=NOW - 9, stopped_at=NOW - 5)
        late = worker(id="late", started_at=NOW - 3, stopped_at=NOW)
        alive = worker(id="alive", started_at=NOW - 7)
        with database.transaction() as connection:
            for one in (old, late, alive):
                workers.register(connection, one)
            assert workers.list_workers(connection, NOW) == [late, alive]
            assert workers.list_workers(connection, 0) == [late, alive, old]
            assert workers.living(connection) == [alive]


class TestBeat:
    def test_says_that_a_worker_lives(self, database: Database) -> None:
        one = worker()
        with database.transaction() as connection:
            workers.register(connection, one)
            assert workers.beat(connection, one.id, now=NOW + 5, slots=8, busy=3)
            (found,) = workers.living(connection)
        assert (found.heartbeat_at, found.slots, found.busy) == (NOW + 5, 8, 3)

    def test_of_a_buried_stopped_or_unknown_worker_is_false(self, database: Database) -> None:
        one, two = worker(), worker()
        with database.transaction() as connection:
            workers.register(connection, one)
            workers.register(connection, two)
            assert workers.bury(connection, one, NOW + 1)
            workers.stop(connection, two.id, NOW + 1)
            for name in (one.id, two.id, "nobody"):
                assert not workers.beat(connection, name, now=NOW + 2, slots=1, busy=0)
            assert {w.stopped_at for w in workers.list_workers(connection, 0)} == {NOW + 1}


class TestBury:
    def test_is_refused_to_who_beat_meanwhile(self, database: Database) -> None:
        seen = worker(busy=2)
        with database.transaction() as connection:
            workers.register(connection, seen)
            workers.beat(connection, seen.id, now=NOW + 1, slots=2, busy=2)
            assert not workers.bury(connection, seen, NOW + 2)
            (now,) = workers.living(connection)
            assert workers.bury(connection, now, NOW + 2)
            assert not workers.bury(connection, now, NOW + 3)
            (dead,) = workers.list_workers(connection, 0)
        assert (dead.stopped_at, dead.busy) == (NOW + 2, 0)


class TestOrphans:
    def test_are_what_a_gone_worker_holds(self, database: Database) -> None:
        alive, stopped = worker(), worker(stopped_at=NOW)
        with database.transaction() as connection:
            workers.register(connection, alive)
            workers.register(connection, stopped)
            ids = add_many(connection, [{}] * 5)
            take(connection, 1, worker=alive.id)
            take(connection, 2, worker=stopped.id)
            take(connection, 1, worker="unknown")
            assert sorted(workers.holders_gone(connection)) == sorted([stopped.id, "unknown"])
            assert [o.id for o in workers.orphans(connection, stopped.id, 500)] == ids[1:3]
            assert len(workers.orphans(connection, stopped.id, 1)) == 1
            assert workers.orphans(connection, "w-none", 500) == []
            finish.apply(connection, [ending(job, State.COMPLETED) for job in take(connection, worker=stopped.id)])
            assert [o.id for o in workers.orphans(connection, stopped.id, 500)] == ids[1:3]

    def test_carry_what_recording_the_loss_takes(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection, wedding_on="2027-06-19", timezone="Asia/Tokyo", vendor_type="venue", priority=3)
            (job,) = take(connection, priority=3)
            finish.mark_started(connection, [(job.id, job.token, NOW + 1)])
            (orphan,) = workers.orphans(connection, "w1", 5)
        assert orphan == workers.Orphan(
            job_id, 1, 1, 0, 0, "email", 1, Priority.CRITICAL, NOW, NOW + 1, date(2027, 6, 19), "Asia/Tokyo", "venue"
        )

    def test_are_taken_up_by_one_rescuer(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{}] * 2)
            take(connection)
        if database.is_sqlite:
            return
        with database.transaction() as one, database.transaction() as two:
            assert len(workers.orphans(one, "w1", 5)) == 2
            assert workers.orphans(two, "w1", 5) == []


def test_a_host_has_one_sample_an_instant(database: Database) -> None:
    with database.transaction() as connection:
        workers.sample(connection, "h", NOW, cpu=12.5, memory=None, network=0.25)
        workers.sample(connection, "h", NOW, cpu=99.0, memory=1.0, network=1.0)
        workers.sample(connection, "g", NOW, cpu=None, memory=1.0, network=None)
        found = connection.execute(text("SELECT * FROM host_samples ORDER BY host")).all()
    assert [tuple(r) for r in found] == [("g", NOW, None, 1.0, None), ("h", NOW, 12.5, None, 0.25)]


PEAK_KB = 10
"""What every execution of these tests took at its peak."""


class TestDurations:
    def test_are_the_middle_and_the_longest_but_one_in_twenty(self, database: Database) -> None:
        with database.transaction() as connection:
            assert durations.read(connection) == {}
            durations.measure(connection, NOW)
            add_many(connection, [{}] * 20)
            batch = [ending(job, State.COMPLETED, duration_us=(n + 1) * 10) for n, job in enumerate(take(connection))]
            finish.apply(connection, batch[::-1])
            add(connection, module_type="info")
            (single,) = take(connection, module_type="info")
            finish.apply(connection, [ending(single, State.COMPLETED, duration_us=7)])
            add(connection, module_type="sms")
            durations.measure(connection, NOW)
            assert durations.read(connection) == {"email": Expected(100, 190, PEAK_KB), "info": Expected(7, 7, PEAK_KB)}

    def test_failed_and_lost_executions_do_not_count(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{}] * 3)
            ok, bad, lost = take(connection)
            finish.apply(
                connection,
                [
                    ending(ok, State.COMPLETED, duration_us=5),
                    ending(bad, State.DISCARDED, outcome=Result.TIMEOUT, duration_us=10**9),
                    ending(lost, State.AVAILABLE, outcome=Result.LOST, duration_us=None),
                ],
            )
            durations.measure(connection, NOW)
            assert durations.read(connection) == {"email": Expected(5, 5, PEAK_KB)}

    def test_follow_the_latest_executions(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{}] * 510)
            jobs = take(connection, 510)
            slow = [ending(job, State.COMPLETED, at=NOW, duration_us=10**6) for job in jobs[:10]]
            fast = [ending(job, State.COMPLETED, at=NOW + n + 1, duration_us=10) for n, job in enumerate(jobs[10:])]
            finish.apply(connection, [*slow, *fast])
            durations.measure(connection, NOW)
            durations.measure(connection, NOW + 1)
            assert durations.read(connection) == {"email": Expected(10, 10, PEAK_KB)}
            assert row(connection, jobs[0].id)["state"] == "completed"

    def test_peaks_count_whatever_became_of_the_execution_and_unknown_ones_do_not(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{}] * 4)
            ok, large, unknown, other = take(connection)
            finish.apply(
                connection,
                [
                    ending(ok, State.COMPLETED, memory_kb=70_000),
                    ending(other, State.COMPLETED, memory_kb=60_000),
                    ending(large, State.DISCARDED, outcome=Result.OOM, memory_kb=900_000),
                    ending(unknown, State.COMPLETED, memory_kb=None),
                ],
            )
            durations.measure(connection, NOW)
            assert durations.read(connection)["email"].memory_kb == 900_000
