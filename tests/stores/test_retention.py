"""What is forgotten, and what stays."""

from typing import Any

from sqlalchemy import Connection, text

from tests.stores.rows import NOW, add, add_many, ending, number_of, take, worker
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import control, finish, insert, retention, view, workers


def ended(connection: Connection, state: State, times: list[int], **values: Any) -> list[int]:
    """Jobs of a module type that ended in a state at ``times``; their ids in that order."""
    module_type = values.pop("module_type", "email")
    ids = []
    for at in times:
        ids.append(add(connection, module_type=module_type, config='{"c":1}', context='{"d":1}'))
        (job,) = take(connection, module_type=module_type)
        finish.apply(connection, [ending(job, state, at=at - 1000, **values)])
    return ids


def payloads(connection: Connection) -> dict[int, bool]:
    """Which jobs still have config, context or result."""
    rows = connection.execute(text("SELECT job_id, config, context, result FROM payloads"))
    return {r.job_id: (r.config, r.context, r.result) != (None, None, None) for r in rows}


def test_of_completed_jobs_the_latest_of_each_module_keep_their_payload(database: Database) -> None:
    with database.transaction() as connection:
        middle, oldest, newest = ended(connection, State.COMPLETED, [NOW + 2, NOW + 1, NOW + 3])
        (only,) = ended(connection, State.COMPLETED, [NOW], module_type="info")
        (failed,) = ended(connection, State.DISCARDED, [NOW], outcome=Result.ERROR)
        waiting = add(connection)
        assert retention.strip_completed(connection, 2) == 1
        kept = payloads(connection)
        assert {job_id for job_id, has in kept.items() if has} == {middle, newest, only, failed, waiting}
        assert retention.strip_completed(connection, 2) == 0
        assert retention.strip_completed(connection, 0) == 3
        assert number_of(connection, "jobs") == number_of(connection, "payloads") == 6
        shown = view.show_job(connection, oldest)
    assert shown is not None
    assert (shown.config, shown.context, shown.result_data, shown.client_id) == (None, None, None, "c1")
    assert shown.priority_reasons == ["asked for: normal"]


def test_dead_jobs_keep_what_a_retry_needs_until_their_time(database: Database) -> None:
    with database.transaction() as connection:
        old, new = ended(connection, State.DISCARDED, [NOW - 1, NOW], outcome=Result.ERROR)
        cancelled = add(connection)
        control.cancel(connection, [cancelled], NOW - 5)
        (done,) = ended(connection, State.COMPLETED, [NOW - 9])
        assert retention.strip_dead(connection, NOW) == 2
        assert retention.strip_dead(connection, NOW) == 0
        kept = payloads(connection)
        assert (kept[old], kept[new], kept[cancelled], kept[done]) == (False, True, False, True)
        assert [job.has_payload for job in control.retryable(connection, [old, new])] == [False, True]


def test_of_failed_executions_the_latest_of_each_module_keep_their_details(database: Database) -> None:
    with database.transaction() as connection:
        ended(connection, State.DISCARDED, [NOW, NOW + 1, NOW + 2], outcome=Result.ERROR, traceback="t", log="l")
        ended(connection, State.DISCARDED, [NOW], outcome=Result.ERROR, traceback="t", module_type="info")
        ended(connection, State.COMPLETED, [NOW])
        assert retention.drop_details(connection, 2) == 1
        assert retention.drop_details(connection, 2) == 0
        assert number_of(connection, "executions") == 5
        left = connection.execute(
            text("SELECT finished_at FROM executions JOIN execution_details ON execution_id = id ORDER BY id")
        )
        assert list(left.scalars()) == [NOW + 1, NOW + 2, NOW]


def test_old_executions_go_with_their_details(database: Database) -> None:
    with database.transaction() as connection:
        ended(connection, State.DISCARDED, [NOW - 2, NOW], outcome=Result.ERROR, traceback="t")
        ended(connection, State.COMPLETED, [NOW - 1], module_type="info")
        assert retention.drop_executions(connection, NOW) == 2
        assert retention.drop_executions(connection, NOW) == 0
        assert number_of(connection, "executions") == number_of(connection, "execution_details") == 1


def test_old_finished_jobs_go_with_payload_and_key(database: Database) -> None:
    with database.transaction() as connection:
        old = add(connection, key="k")
        control.cancel(connection, [old], NOW - 1)
        kept = ended(connection, State.COMPLETED, [NOW])
        waiting = add_many(connection, [{"queued_at": 0, "due_at": 0}, {"state": State.SCHEDULED, "due_at": 0}])
        assert retention.drop_jobs(connection, NOW) == 1
        assert retention.drop_jobs(connection, NOW) == 0
        assert sorted(payloads(connection)) == sorted([*kept, *waiting])
        assert insert.keyed(connection, ["k"]) == {}
        assert add(connection, key="k") > old


def test_forgetting_goes_in_chunks(database: Database) -> None:
    with database.transaction() as connection:
        ids = add_many(connection, [{}] * (retention.CHUNK + 5))
        control.cancel(connection, ids, NOW - 1)
        assert [retention.strip_dead(connection, NOW) for _ in range(3)] == [retention.CHUNK, 5, 0]
        assert [retention.drop_jobs(connection, NOW) for _ in range(3)] == [retention.CHUNK, 5, 0]


def test_leftovers_are_swept_up(database: Database) -> None:
    with database.transaction() as connection:
        workers.sample(connection, "h", NOW - 2, cpu=1.0, memory=None, network=2.5)
        workers.sample(connection, "h", NOW, cpu=1.0, memory=2.0, network=3.0)
        for stopped_at in (None, NOW - 1, NOW):
            workers.register(connection, worker(stopped_at=stopped_at))
        for name, until in (("a", NOW - 1), ("b", NOW + 1), ("c", None)):
            control.pause(connection, control.Pause("module", name, None, "me", NOW, until))
        insert.save_tags(connection, {("email", 1, "a"): NOW - 1, ("email", 1, "b"): NOW + 1})
        assert retention.drop_leftovers(connection, now=NOW, samples_before=NOW - 1, workers_before=NOW) == 4
        counts = [number_of(connection, t) for t in ("host_samples", "workers", "pauses", "supplier_tags")]
    assert counts == [1, 2, 2, 1]
