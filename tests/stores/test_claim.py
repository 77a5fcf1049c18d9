"""Claiming, giving back, promoting and reconsidering."""

import threading
from datetime import date

import pytest

from tests.stores.rows import NOW, add, add_many, counted, ending, row, take
from wedsync_ops import db
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Lane, Priority, State
from wedsync_ops.jobs.store import claim, finish, lanes, limits
from wedsync_ops.jobs.store.claim import Change


def change_of(job: claim.Ripe, state: State, priority: Priority, rank: int | None = NOW) -> Change:
    return Change(job, state, priority, rank, NOW + 7)


class TestClaim:
    def test_takes_the_first_by_rank_then_id_of_its_lane_only(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection, rank=NOW + 5)
            second = add(connection, rank=NOW)
            third = add(connection, rank=NOW)
            first = add(connection, rank=NOW - 5)
            add(connection, rank=0, priority=2)
            add(connection, rank=0, module_type="info")
            add(connection, rank=0, state=State.SCHEDULED)
            add(connection, rank=0, state=State.RETRYABLE)
        with database.transaction() as connection:
            assert [job.id for job in take(connection, 3)] == [second, third, first]

    def test_costs_an_attempt_and_moves_the_token(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection)
            (job,) = take(connection, worker="w9")
            found = row(connection, job_id)
        assert (job.attempt, job.token) == (1, 1)
        assert (found["state"], found["leased_by"], found["attempt"], found["token"]) == ("running", "w9", 1, 1)

    def test_tells_of_a_suppressed_recipient(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection, recipient="digest-of-one")
            add(connection, recipient="digest-of-two")
            add(connection)
            db.run(
                connection,
                "INSERT INTO suppressions (recipient, reason, since) VALUES ('digest-of-two', 'bounce', 1)",
            )
            assert [job.suppressed for job in take(connection, 3)] == [None, "bounce", None]

    def test_returns_everything_that_running_takes(self, database: Database) -> None:
        values = {
            "module_version": 3,
            "rank": NOW - 1,
            "due_at": NOW - 2,
            "expires_at": NOW + 3,
            "deadline_at": NOW + 4,
            "max_attempts": 5,
            "timezone": "Asia/Tokyo",
            "vendor_type": "venue",
            "key": "k",
        }
        with database.transaction() as connection:
            add(connection, **values, priority=2, wedding_on="2027-06-19", config='{"c":1}', context='{"d":2}')
            (job,) = take(connection, priority=2)
        assert {name: getattr(job, name) for name in values} == values
        assert (job.priority, job.wedding_on) == (Priority.HIGH, date(2027, 6, 19))
        assert (job.config, job.context, job.losses, job.kills) == (b'{"c":1}', b'{"d":2}', 0, 0)

    def test_of_an_empty_lane_takes_nothing(self, database: Database) -> None:
        with database.transaction() as connection:
            assert take(connection) == []
            assert claim.load(connection, []) == []

    def test_of_many_at_once_never_gives_a_job_twice(self, database: Database) -> None:
        with database.transaction() as connection:
            ids = add_many(connection, [{}] * 120)
        taken: list[int] = []

        def work(name: str) -> None:
            while True:
                with database.transaction() as connection:
                    jobs = take(connection, 7, worker=name)
                if not jobs:
                    return
                taken.extend(job.id for job in jobs)

        threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == ids

    def test_does_not_wait_for_another_claim_on_postgres(self, database: Database) -> None:
        if database.is_sqlite:  # there is one writer at a time, and so nothing to wait for
            assert database.writer.pool.size() == 1  # type: ignore[attr-defined]
            return
        with database.transaction() as connection:
            ids = add_many(connection, [{}] * 4)
        with database.transaction() as one, database.transaction() as two:
            lane = Lane("email", Priority.NORMAL)
            first = {r.id for r in claim.claim(one, lane, 2, worker_id="w1")}
            second = {r.id for r in claim.claim(two, lane, 9, worker_id="w2")}
            assert first == set(ids[:2])
            assert second == set(ids[2:])


class TestRelease:
    def test_gives_the_attempt_back(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection)
            jobs = take(connection)
            assert claim.release(connection, jobs, now=NOW) == 1
            found = row(connection, job_id)
        assert (found["state"], found["leased_by"], found["attempt"], found["token"]) == ("available", None, 0, 1)

    def test_can_expire_jobs(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection)
            assert claim.release(connection, take(connection), now=NOW + 9, expired=True) == 1
            found = row(connection, job_id)
            assert counted(connection) == {}
        assert (found["state"], found["finished_at"], found["attempt"]) == ("expired", NOW + 9, 0)
        assert found["error"] == "expired before it could start"

    def test_of_a_lease_that_is_lost_changes_nothing(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection)
            old = take(connection)
            claim.release(connection, old, now=NOW)
            (new,) = take(connection, worker="w2")
            assert claim.release(connection, old, now=NOW) == 0
            found = row(connection, job_id)
            assert (found["leased_by"], found["token"], found["attempt"]) == ("w2", new.token, 1)
            assert claim.release(connection, [], now=NOW) == 0


class TestDue:
    def test_are_the_scheduled_and_retryable_jobs_whose_time_has_come(self, database: Database) -> None:
        with database.transaction() as connection:
            later = add(connection, state=State.SCHEDULED, rank=None, due_at=NOW)
            earlier = add(connection, state=State.RETRYABLE, due_at=NOW - 1)
            add(connection, state=State.SCHEDULED, due_at=NOW + 1)
            add(connection, due_at=NOW - 5)
            assert [job.id for job in claim.due(connection, NOW)] == [earlier, later]
            assert [job.id for job in claim.due(connection, NOW, 1)] == [earlier]

    def test_carry_what_deciding_takes(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(
                connection,
                state=State.SCHEDULED,
                rank=None,
                expires_at=NOW + 1,
                deadline_at=NOW + 2,
                max_attempts=4,
                supplier_id="s",
                wedding_on="2027-06-19",
                timezone="Asia/Tokyo",
                vendor_type="venue",
                priority_requested=0,
            )
            (job,) = claim.due(connection, NOW)
        assert job == claim.Ripe(
            job_id,
            "email",
            1,
            State.SCHEDULED,
            None,
            Priority.NORMAL,
            Priority.LOW,
            None,
            NOW,
            NOW + 1,
            NOW + 2,
            4,
            "s",
            date(2027, 6, 19),
            "Asia/Tokyo",
            "venue",
        )

    def test_become_available_by_a_change(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection, state=State.SCHEDULED, rank=None)
            changes = [change_of(job, State.AVAILABLE, Priority.HIGH, 42) for job in claim.due(connection, NOW)]
            assert claim.change(connection, changes, NOW) == 1
            found = row(connection, job_id)
            counts = [c for c in lanes.read(connection) if c.waiting]
        assert (found["state"], found["priority"], found["rank"], found["next_change_at"]) == (
            "available",
            2,
            42,
            NOW + 7,
        )
        assert found["finished_at"] is None
        assert counts == [lanes.LaneCount(Lane("email", Priority.HIGH), 1, 1)]

    def test_expire_by_a_change(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection, state=State.RETRYABLE)
            changes = [change_of(job, State.EXPIRED, job.priority) for job in claim.due(connection, NOW)]
            assert claim.change(connection, changes, NOW + 1) == 1
            found = row(connection, job_id)
        assert (found["state"], found["finished_at"]) == ("expired", NOW + 1)
        assert found["error"] == "expired before it could start"

    def test_a_change_leaves_a_job_that_moved_meanwhile(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection)
            stale = Change(_ripe(job_id), State.EXPIRED, Priority.NORMAL, NOW, None)
            take(connection)
            assert claim.change(connection, [stale], NOW) == 0
            assert row(connection, job_id)["state"] == "running"
            assert claim.change(connection, [], NOW) == 0

    def test_are_not_given_to_two_promoters_on_postgres(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{"state": State.SCHEDULED, "rank": None}] * 4)
        if database.is_sqlite:
            return
        with database.transaction() as one, database.transaction() as two:
            assert len(claim.due(one, NOW, 3)) == 3
            assert len(claim.due(two, NOW, 3)) == 1


class TestChanging:
    def test_are_the_available_jobs_whose_moment_has_come(self, database: Database) -> None:
        with database.transaction() as connection:
            second = add(connection, next_change_at=NOW)
            first = add(connection, next_change_at=NOW - 1)
            add(connection, next_change_at=NOW + 1)
            add(connection)
            add(connection, state=State.SCHEDULED, next_change_at=NOW)
            assert [job.id for job in claim.changing(connection, NOW)] == [first, second]
            assert [job.id for job in claim.changing(connection, NOW, 1)] == [first]

    def test_move_between_lanes(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection, next_change_at=NOW)
            claim.change(
                connection,
                [change_of(j, State.AVAILABLE, Priority.CRITICAL) for j in claim.changing(connection, NOW)],
                NOW,
            )
            assert counted(connection) == {("email", 3): (1, 1)}
            assert {c.lane.priority: (c.available, c.waiting) for c in lanes.read(connection)} == {1: (0, 0), 3: (1, 1)}


class TestNextDue:
    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ([], None),
            ([{}], None),
            ([{"state": State.SCHEDULED, "due_at": NOW + 5}, {"state": State.RETRYABLE, "due_at": NOW + 3}], NOW + 3),
            ([{"next_change_at": NOW + 2}, {"state": State.SCHEDULED, "due_at": NOW + 5}], NOW + 2),
            ([{"state": State.SCHEDULED, "due_at": NOW + 5, "next_change_at": NOW}], NOW + 5),
        ],
    )
    def test_is_the_earliest_moment(
        self, database: Database, rows: list[dict[str, object]], expected: int | None
    ) -> None:
        with database.transaction() as connection:
            add_many(connection, rows)
            assert claim.next_due(connection).at == expected

    def test_a_finished_job_has_none(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection, next_change_at=NOW)
            (job,) = take(connection)
            assert claim.next_due(connection).at is None
            finish.apply(connection, [ending(job, State.COMPLETED)])
            assert claim.next_due(connection).at is None


def _ripe(job_id: int) -> claim.Ripe:
    return claim.Ripe(
        id=job_id,
        module_type="email",
        module_version=1,
        state=State.AVAILABLE,
        held_by=None,
        priority=Priority.NORMAL,
        priority_requested=Priority.NORMAL,
        rank=NOW,
        due_at=NOW,
        expires_at=None,
        deadline_at=None,
        attempts_left=3,
        supplier_id=None,
        wedding_on=None,
        timezone=None,
        vendor_type=None,
    )


class TestInARegion:
    PLACES = ("south", "midwest", "unknown", "south", "other", "unknown")

    def test_only_its_own_jobs_and_those_without_one_are_claimed_in_order(self, database: Database) -> None:
        with database.transaction() as connection:
            ids = add_many(connection, [{"region": r, "rank": NOW + n} for n, r in enumerate(self.PLACES)])
            assert [job.id for job in take(connection, 3, region="south")] == [ids[0], ids[2], ids[3]]
            assert [job.id for job in take(connection, 9, region="south")] == [ids[5]]
            assert [job.id for job in take(connection, 9, region="midwest")] == [ids[1]]
            assert take(connection, 9, region="northeast") == []
            assert [job.id for job in take(connection, 9)] == [ids[4]]

    def test_who_takes_the_unknown_takes_each_once(self, database: Database) -> None:
        with database.transaction() as connection:
            ids = add_many(connection, [{"region": "unknown"}] * 3 + [{"region": "south"}])
            (count,) = lanes.within(connection, "unknown", 10)
            assert count.available == 3
            assert [job.id for job in take(connection, 3, region="unknown")] == ids[:3]
            assert lanes.within(connection, "unknown", 10)[0].available == 0

    def test_candidates_under_limits_are_its_own_too(self, database: Database) -> None:
        lane = Lane("email", Priority.NORMAL)
        with database.transaction() as connection:
            ids = add_many(connection, [{"region": r, "rank": NOW + n} for n, r in enumerate(self.PLACES)])
            found = limits.candidates(connection, lane, 3, with_client=True, region="south")
            assert [one.id for one in found] == [ids[0], ids[2], ids[3]]
            limits.hold(connection, lane, {ids[0]: "pause s1"})
            assert [job.id for job in take(connection, 9, region="south")] == [ids[2], ids[3], ids[5]]

    def test_lanes_are_counted_up_to_a_limit(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{"region": "midwest", "priority": 3}] * 4)
            add_many(connection, [{"region": "south"}] * 4)
            add_many(connection, [{"region": "unknown"}] * 2)
            found = {count.lane.priority: count.available for count in lanes.within(connection, "south", 3)}
        assert found == {3: 0, 1: 5}

    def test_two_workers_of_a_region_take_different_jobs(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{"region": r} for r in ("south", "unknown")] * 4)
        if database.is_sqlite:
            return
        with database.transaction() as one, database.transaction() as two:
            lane = Lane("email", Priority.NORMAL)
            first = {r.id for r in claim.claim(one, lane, 2, worker_id="w1", region="south")}
            second = {r.id for r in claim.claim(two, lane, 9, worker_id="w2", region="south")}
        assert len(first) == 2
        assert first.isdisjoint(second)
        assert len(second) >= 4
