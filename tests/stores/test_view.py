"""Jobs as people look at them."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.stores.rows import NOW, add, add_many, ending, take
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Priority, Result, State
from wedsync_ops.jobs.store import finish, insert, lanes, view
from wedsync_ops.jobs.store.view import POSITION_CAP, Filter, JobView


class TestList:
    @pytest.fixture
    def ids(self, database: Database) -> list[int]:
        with database.transaction() as connection:
            return add_many(
                connection,
                [
                    {"queued_at": NOW},
                    {"queued_at": NOW + 1, "module_type": "info", "supplier_id": "s2"},
                    {"queued_at": NOW + 2, "state": State.SCHEDULED, "rank": None, "client_id": "c'2"},
                    {"queued_at": NOW + 3, "state": State.RETRYABLE, "client_id": "c'2", "supplier_id": "s2"},
                ],
            )

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ({}, [3, 2, 1, 0]),
            ({"limit": 0}, [3, 2, 1, 0]),
            ({"limit": 2}, [3, 2]),
            ({"states": [State.AVAILABLE]}, [1, 0]),
            ({"states": [State.SCHEDULED, State.RETRYABLE]}, [3, 2]),
            ({"states": [State.RUNNING]}, []),
            ({"module": "info"}, [1]),
            ({"module": "sms"}, []),
            ({"client": "c'2"}, [3, 2]),
            ({"supplier": "s2"}, [3, 1]),
            ({"since": NOW + 1}, [3, 2, 1]),
            ({"since": NOW + 1, "supplier": "s2", "client": "c'2", "states": [State.RETRYABLE], "limit": 5}, [3]),
            ({"client": "c1", "supplier": "s2", "module": "email"}, []),
        ],
    )
    def test_holds_what_fits_newest_first(
        self, database: Database, ids: list[int], wanted: dict[str, Any], expected: list[int]
    ) -> None:
        with database.reading() as connection:
            found = view.list_jobs(connection, Filter(**wanted))
        assert [job.job_id for job in found] == [ids[n] for n in expected]

    def test_shows_a_job_like_state_of(self, database: Database, ids: list[int]) -> None:
        with database.reading() as connection:
            listed = view.list_jobs(connection, Filter(limit=1))[0]
            assert view.state_of(connection, ids[3]) == listed
            assert view.state_of(connection, 10**12) is None
        assert listed == JobView(
            ids[3],
            "email",
            1,
            State.RETRYABLE,
            Priority.NORMAL,
            Priority.NORMAL,
            0,
            3,
            NOW + 3,
            NOW,
            None,
            None,
            None,
        )

    def test_a_hundred_unless_told(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{}] * 120)
            assert len(view.list_jobs(connection, Filter())) == 100
            assert len(view.list_jobs(connection, Filter(limit=0))) == 120


class TestShow:
    def test_has_everything_with_executions_oldest_first(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(
                connection,
                key="k",
                config='{"a":[1,2.5,null,"ü"]}',
                context='{"client_id":"c1"}',
                expires_at=NOW + 1,
                deadline_at=NOW + 2,
            )
            (job,) = take(connection)
            finish.apply(connection, [ending(job, State.AVAILABLE, outcome=Result.ERROR, error="no", log="l")])
            (job,) = take(connection)
            finish.apply(connection, [ending(job, State.COMPLETED, data=b'{"ok":true}')])
            add(connection)
            found = view.show_job(connection, job_id)
        assert found is not None
        assert (found.config, found.context) == ({"a": [1, 2.5, None, "ü"]}, {"client_id": "c1"})
        assert (found.result_data, found.key, found.client_id, found.supplier_id) == ({"ok": True}, "k", "c1", "s1")
        assert (found.rank, found.deadline_at, found.expires_at, found.losses, found.kills) == (
            NOW,
            NOW + 2,
            NOW + 1,
            0,
            0,
        )
        assert (found.priority_reasons, found.due_reasons) == (["asked for: normal"], ["at once"])
        assert [(e.attempt, e.outcome, e.error, e.log) for e in found.executions] == [
            (1, "error", "no", "l"),
            (2, "ok", None, None),
        ]
        assert (found.job.state, found.job.attempt) == (State.COMPLETED, 2)

    def test_of_an_unknown_job_is_none(self, database: Database) -> None:
        with database.reading() as connection:
            assert view.show_job(connection, 10**12) is None


class TestPosition:
    def test_counts_higher_priorities_and_those_before_in_its_lane(self, database: Database) -> None:
        with database.transaction() as connection:
            second, third = add_many(connection, [{"rank": NOW}] * 2)
            first = add(connection, rank=NOW - 1)
            low = add(connection, priority=0, rank=0)
            info = add(connection, module_type="info", rank=NOW + 99)
            high = add(connection, module_type="info", priority=2)
            scheduled = add(connection, state=State.SCHEDULED, rank=None)
            places = [view.position(connection, job_id) for job_id in (high, first, second, third, info, low)]
            assert places == [1, 2, 3, 4, 2, 6]
            assert view.position(connection, scheduled) is None
            assert view.position(connection, 10**12) is None
            (running,) = take(connection, 1, priority=2, module_type="info")
            assert view.position(connection, running.id) is None

    def test_is_none_beyond_the_cap(self, database: Database) -> None:
        with database.transaction() as connection:
            last, beyond = add_many(connection, [{}] * 2)
            moves = lanes.Moves()
            moves.enter("info", 2, State.AVAILABLE, POSITION_CAP - 1)
            moves.save(connection)
            assert view.position(connection, last) == POSITION_CAP
            assert view.position(connection, beyond) is None

    def test_counts_no_further_than_the_cap_in_its_lane(self, database: Database) -> None:
        with database.transaction() as connection:
            template = add(connection)
            columns = "module_type, module_version, state, priority, priority_requested, due_at, queued_at, attempt,"
            columns += " max_attempts, losses, kills, token, payload_hash"
            connection.execute(
                text(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)"
                    f" INSERT INTO jobs (rank, {columns}) SELECT i, {columns} FROM n, jobs WHERE id = :id"
                ),
                {"many": POSITION_CAP, "id": template},
            )
            assert view.position(connection, template) is None
            assert insert.allocate_ids(connection, 1)[0] > template + POSITION_CAP
