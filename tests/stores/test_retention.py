"""What is forgotten, and what stays."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, event, text

from tests.stores.rows import NOW, add, add_many, ending, number_of, row, take, worker
from wedsync_ops.db import Database
from wedsync_ops.jobs.drain import Drain
from wedsync_ops.jobs.model import FAILED, Result, State
from wedsync_ops.jobs.store import answers, control, drains, finish, insert, retention, view, workers
from wedsync_ops.jobs.store.retention import Policy, Sweep
from wedsync_ops.operations.maintenance import sweep


def ended(connection: Connection, state: State, times: Sequence[int], **values: Any) -> list[int]:
    """Jobs of a module type that ended in a state at ``times``; their ids in that order."""
    module_type = values.pop("module_type", "email")
    ids = []
    for at in times:
        ids.append(add(connection, module_type=module_type, config='{"c":1}', context='{"d":1}'))
        (job,) = take(connection, module_type=module_type)
        finish.apply(connection, [ending(job, state, at=at - 1000, **values)])
    return ids


def with_payload(database: Database) -> set[int]:
    """The jobs that still have config, context or result."""
    with database.reading() as connection:
        rows = connection.execute(text("SELECT job_id, config, context, result FROM payloads")).all()
    return {r.job_id for r in rows if (r.config, r.context, r.result) != (None, None, None)}


def number(database: Database, table: str) -> int:
    with database.reading() as connection:
        return number_of(connection, table)


def detailed(database: Database) -> list[tuple[str, str, int]]:
    """The executions that have details: module type, outcome, end."""
    with database.reading() as connection:
        rows = connection.execute(
            text(
                "SELECT module_type, outcome, finished_at FROM executions"
                " JOIN execution_details ON execution_id = id ORDER BY id"
            )
        )
        return [(r.module_type, r.outcome, r.finished_at) for r in rows]


def policy(**values: int) -> Policy:
    """Everything is kept but for ``values``."""
    kept = dict.fromkeys(("old", "dead", "samples", "workers"), 0)
    return Policy(**{"now": 0, **kept, "keep_completed": 1000, "keep_failed": 1000, **values})


def forget(database: Database, **values: int) -> dict[str, int]:
    """All of retention; what it forgot, by name."""
    with database.reading() as connection:
        module_types = retention.module_types(connection)
    total: dict[str, int] = {}
    for one in retention.sweeps(policy(**values), module_types):
        for name, count in sweep(database, one).items():
            total[name] = total.get(name, 0) + count
    return {name: count for name, count in total.items() if count}


class TestCompletedJobs:
    def test_the_latest_of_each_module_keep_their_payload(self, database: Database) -> None:
        with database.transaction() as connection:
            middle, oldest, newest = ended(connection, State.COMPLETED, [NOW + 2, NOW + 1, NOW + 3])
            (only,) = ended(connection, State.COMPLETED, [NOW], module_type="info")
            (failed,) = ended(connection, State.DISCARDED, [NOW], outcome=Result.ERROR)
            waiting = add(connection)
        assert forget(database, keep_completed=2) == {"completed_stripped": 1}
        assert with_payload(database) == {middle, newest, only, failed, waiting}
        assert forget(database, keep_completed=2) == {}
        assert forget(database, keep_completed=0) == {"completed_stripped": 3}
        assert number(database, "jobs") == number(database, "payloads") == 6
        with database.reading() as connection:
            shown = view.show_job(connection, oldest)
        assert shown is not None
        assert (shown.config, shown.context, shown.result_data, shown.client_id) == (None, None, None, "c1")
        assert shown.priority_reasons == ["asked for: normal"]

    def test_the_latest_are_those_that_ended_last_over_many_pages(self, database: Database) -> None:
        with database.transaction() as connection:
            ids = add_many(connection, [{}] * (2 * retention.CHUNK + 7))
            jobs = take(connection, len(ids))
            # The first queued end last: their place in time is not their place in the table.
            finish.apply(connection, [ending(job, State.COMPLETED, at=NOW - n) for n, job in enumerate(jobs)])
        assert forget(database, keep_completed=5) == {"completed_stripped": len(ids) - 5}
        assert with_payload(database) == set(ids[:5])

    def test_go_with_their_old_executions_and_details(self, database: Database) -> None:
        with database.transaction() as connection:
            ended(connection, State.COMPLETED, [NOW - 2], log="l", module_type="info")
            (kept,) = ended(connection, State.COMPLETED, [NOW], log="l")
        assert forget(database, old=NOW) == {"executions_dropped": 1, "jobs_dropped": 1}
        assert forget(database, old=NOW) == {}
        assert with_payload(database) == {kept}
        assert [number(database, t) for t in ("jobs", "payloads", "executions", "execution_details")] == [1] * 4

    def test_do_not_stay_as_long_as_dead_letters(self, database: Database) -> None:
        with database.transaction() as connection:
            ended(connection, State.COMPLETED, [NOW - 5])
            (dead,) = ended(connection, State.DISCARDED, [NOW - 5], outcome=Result.ERROR)
        assert forget(database, old=NOW, dead=NOW - 9) == {"executions_dropped": 2, "jobs_dropped": 1}
        assert with_payload(database) == {dead}


class TestDeadJobs:
    def test_keep_what_a_retry_needs_until_their_time(self, database: Database) -> None:
        with database.transaction() as connection:
            old, new = ended(connection, State.DISCARDED, [NOW - 1, NOW], outcome=Result.ERROR)
            cancelled = add(connection)
            control.cancel(connection, [cancelled], NOW - 5)
            (done,) = ended(connection, State.COMPLETED, [NOW - 9])
        assert forget(database, dead=NOW) == {"dead_letters_stripped": 2}
        assert forget(database, dead=NOW) == {}
        assert with_payload(database) == {new, done}
        with database.transaction() as connection:
            assert [job.has_payload for job in control.retryable(connection, [old, new])] == [False, True]

    def test_go_with_payload_and_key(self, database: Database) -> None:
        with database.transaction() as connection:
            old = add(connection, key="k")
            control.cancel(connection, [old], NOW - 1)
            kept = ended(connection, State.COMPLETED, [NOW])
            waiting = add_many(connection, [{"queued_at": 0, "due_at": 0}, {"state": State.SCHEDULED, "due_at": 0}])
        assert forget(database, old=NOW, dead=NOW) == {"jobs_dropped": 1}
        assert forget(database, old=NOW, dead=NOW) == {}
        assert with_payload(database) == {*kept, *waiting}
        assert number(database, "payloads") == 3
        with database.transaction() as connection:
            assert insert.keyed(connection, ["k"]) == {}
            assert add(connection, key="k") > old

    def test_one_that_is_retried_after_it_was_found_keeps_everything(self, database: Database) -> None:
        with database.transaction() as connection:
            (job_id,) = ended(connection, State.DISCARDED, [NOW - 1], outcome=Result.ERROR)
        for one in (retention.dead_payloads(NOW), retention.dead_jobs(NOW)):
            with database.reading() as connection:
                found, _ = one.look(connection, ())
            assert found == [(job_id,)]
            with database.transaction() as connection:
                control.retry(connection, control.retryable(connection, [job_id]), NOW)
            with database.transaction() as connection:
                assert set(one.forget(connection, found).values()) == {0}
            assert with_payload(database) == {job_id}
            with database.transaction() as connection:
                control.cancel(connection, [job_id], NOW - 1)

    def test_one_that_is_being_retried_is_not_waited_for(self, database: Database) -> None:
        if database.is_sqlite:  # its writers take turns
            return
        with database.transaction() as connection:
            (job_id,) = ended(connection, State.DISCARDED, [NOW - 1], outcome=Result.ERROR)
        with database.transaction() as retrying:
            control.retry(retrying, control.retryable(retrying, [job_id]), NOW)
            assert forget(database, old=0, dead=NOW) == {}
        assert with_payload(database) == {job_id}

    def test_are_forgotten_in_chunks(self, database: Database) -> None:
        with database.transaction() as connection:
            ids = add_many(connection, [{}] * (retention.CHUNK + 5))
            control.cancel(connection, ids, NOW - 1)
        for one in (retention.dead_payloads(NOW), retention.dead_jobs(NOW)):
            assert chunks(database, one) == [retention.CHUNK, 5]
        assert number(database, "jobs") == 0


def chunks(database: Database, one: Sweep) -> list[int]:
    """How much each of a sweep's write transactions forgets."""
    sizes: list[int] = []

    def counting(connection: Connection, keys: Sequence[retention.Key]) -> Mapping[str, int]:
        counts = one.forget(connection, keys)
        sizes.append(sum(counts.values()))
        return counts

    sweep(database, Sweep(one.look, counting))
    return sizes


class TestDetails:
    def test_of_failed_executions_the_latest_of_each_module_keep_them(self, database: Database) -> None:
        with database.transaction() as connection:
            ended(connection, State.DISCARDED, [NOW, NOW + 1, NOW + 2], outcome=Result.ERROR, traceback="t", log="l")
            ended(connection, State.DISCARDED, [NOW], outcome=Result.ERROR, traceback="t", module_type="info")
            ended(connection, State.COMPLETED, [NOW])
        assert forget(database, keep_failed=2) == {"details_dropped": 1}
        assert forget(database, keep_failed=2) == {}
        assert number(database, "executions") == 5
        assert detailed(database) == [("email", "error", NOW + 1), ("email", "error", NOW + 2), ("info", "error", NOW)]

    def test_logs_of_successes_push_out_no_traceback(self, database: Database) -> None:
        with database.transaction() as connection:
            for outcome in FAILED:
                ended(connection, State.DISCARDED, [NOW], outcome=outcome, traceback="t")
            for outcome in (Result.OK, Result.LOST, Result.CANCELLED, Result.OK):
                ended(connection, State.CANCELLED, [NOW + 1], outcome=outcome, log="l")
        assert forget(database, keep_failed=4) == {}
        assert forget(database, keep_failed=2) == {"details_dropped": 4}
        assert [outcome for _, outcome, _ in detailed(database)] == ["oom", "killed", "cancelled", "ok"]

    def test_go_with_their_old_executions(self, database: Database) -> None:
        with database.transaction() as connection:
            ended(connection, State.DISCARDED, [NOW - 2, NOW], outcome=Result.ERROR, traceback="t")
        assert forget(database, old=NOW, dead=0) == {"executions_dropped": 1}
        assert number(database, "executions") == number(database, "execution_details") == 1
        assert number(database, "jobs") == 2


def test_old_executions_of_a_job_that_still_waits_do_not_take_it_along(database: Database) -> None:
    with database.transaction() as connection:
        (job_id,) = ended(connection, State.RETRYABLE, [NOW - 5], outcome=Result.ERROR)
        assert row(connection, job_id)["finished_at"] == NOW - 5
    assert forget(database, old=NOW, dead=NOW) == {"executions_dropped": 1}
    assert with_payload(database) == {job_id}


class TestLeftovers:
    def test_are_swept_up(self, database: Database) -> None:
        with database.transaction() as connection:
            workers.sample(connection, "h", NOW - 2, cpu=1.0, memory=None, network=2.5)
            workers.sample(connection, "h", NOW, cpu=1.0, memory=2.0, network=3.0)
            for stopped_at in (None, NOW - 1, NOW):
                workers.register(connection, worker(stopped_at=stopped_at))
            for name, until in (("a", NOW - 1), ("b", NOW + 1), ("c", None)):
                control.pause(connection, control.Pause("module", name, None, "me", NOW, until))
                drains.begin(connection, Drain("module", name, None, "me", NOW - 9, until))
            insert.save_tags(connection, {("email", 1, "a"): NOW - 1, ("email", 1, "b"): NOW + 1})
            for job_id, at in ((1, NOW - 1), (2, NOW), (1, NOW + 1)):
                answers.record(connection, job_id, at)
        assert forget(database, now=NOW, old=NOW, samples=NOW - 1, workers=NOW) == {"leftovers_dropped": 6}
        tables = ("host_samples", "workers", "pauses", "drains", "supplier_tags", "form_answers")
        assert [number(database, table) for table in tables] == [1, 2, 2, 2, 1, 1]

    def test_many_go_in_chunks_and_what_others_moved_on_meanwhile_stays(self, database: Database) -> None:
        names = [f"s{n:04}" for n in range(retention.CHUNK + 1)]
        with database.transaction() as connection:
            insert.save_tags(connection, {("email", 1, name): NOW - 1 for name in names})
        *_, tags = retention.sweeps(policy(now=NOW), [])
        with database.reading() as connection:
            found, after = tags.look(connection, ())
        assert (len(found), after) == (retention.CHUNK, ("email", 1, names[-2]))
        with database.transaction() as connection:
            insert.save_tags(connection, {("email", 1, names[0]): NOW + 1})
        with database.transaction() as connection:
            assert tags.forget(connection, found) == {"leftovers_dropped": retention.CHUNK - 1}
        assert chunks(database, tags) == [1]
        with database.reading() as connection:
            assert insert.tags(connection, [("email", 1, name) for name in names]) == {("email", 1, names[0]): NOW + 1}


def test_nothing_is_looked_for_under_the_write_lock(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as connection:
        ended(connection, State.COMPLETED, range(NOW, NOW + 5))
        ended(connection, State.DISCARDED, [NOW], outcome=Result.ERROR, traceback="t")
    begun: list[Connection] = []
    event.listen(sqlite_database.writer, "begin", begun.append)
    assert forget(sqlite_database) == {}
    assert begun == []
