"""New jobs: ids, keys, tags, rows in bulk."""

import threading

import pytest
from sqlalchemy import text

from tests.stores.rows import BARE, NOW, add, add_many, number_of, row
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError
from wedsync_ops.jobs.model import Priority, State
from wedsync_ops.jobs.store import insert


class TestIds:
    def test_grow_within_and_across_transactions(self, database: Database) -> None:
        with database.transaction() as connection:
            first = add_many(connection, [{}] * 20)
        with database.transaction() as connection:
            second = add_many(connection, [{}] * 20)
        assert first + second == sorted(set(first + second))

    def test_are_never_used_again_even_when_every_job_is_deleted(self, database: Database) -> None:
        with database.transaction() as connection:
            last = add_many(connection, [{}] * 5)[-1]
        with database.transaction() as connection:
            connection.execute(text("DELETE FROM payloads"))
            connection.execute(text("DELETE FROM jobs"))
        with database.transaction() as connection:
            assert add(connection) > last

    def test_of_a_transaction_that_failed_do_no_harm(self, database: Database) -> None:
        def fail() -> None:
            with database.transaction() as connection:
                add_many(connection, [{}] * 5)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        with database.transaction() as connection:
            add_many(connection, [{}] * 5)
            assert number_of(connection, "jobs") == 5

    def test_none_are_allocated_when_none_are_asked_for(self, database: Database) -> None:
        with database.transaction() as connection:
            assert list(insert.allocate_ids(connection, 0)) == []

    def test_of_two_writers_at_once_are_distinct(self, database: Database) -> None:
        found: list[int] = []

        def write() -> None:
            for _ in range(10):
                with database.transaction() as connection:
                    ids = add_many(connection, [{}] * 3)
                found.extend(ids)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == len(found) == 120


class TestKeys:
    def test_the_database_refuses_a_second_job_with_a_key(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection, key="k")
        with pytest.raises(DatabaseError), database.transaction() as connection:
            add(connection, key="k")
        with database.reading() as connection:
            assert number_of(connection, "jobs") == 1

    def test_jobs_without_a_key_do_not_clash(self, database: Database) -> None:
        with database.transaction() as connection:
            add_many(connection, [{"key": None}] * 3)
            assert number_of(connection, "jobs") == 3

    @pytest.mark.parametrize("key", ["k", "ключ ☃ 💍", "a'b\"c\\d", "%_?:x", " spaced ", "x" * 255])
    def test_are_found_as_they_were_written(self, database: Database, key: str) -> None:
        with database.transaction() as connection:
            job_id = add(connection, key=key, payload_hash="aa", priority=2)
            add(connection, key=key + "2")
        with database.transaction() as connection:
            found = insert.keyed(connection, [key, "other"])
        assert set(found) == {key}
        assert found[key].payload_hash == "aa"
        job = found[key].job
        assert (job.job_id, job.state, job.priority_applied, job.duplicate) == (
            job_id,
            State.AVAILABLE,
            Priority.HIGH,
            True,
        )
        assert (job.priority_requested, job.priority_reasons, job.due_reasons, job.rank, job.due_at) == (
            Priority.NORMAL,
            ("asked for: normal",),
            ("at once",),
            NOW,
            NOW,
        )

    def test_no_key_finds_nothing(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection)
            assert insert.keyed(connection, []) == {}
            assert insert.keyed(connection, [""]) == {}

    def test_writers_with_one_key_take_turns(self, database: Database) -> None:
        """Who asks for a key first holds it until it has committed; the next then finds its job."""
        found: list[set[str]] = []
        answered = threading.Event()

        def ask() -> None:
            with database.transaction() as connection:
                found.append(set(insert.keyed(connection, ["two", "one"])))
            answered.set()

        second = threading.Thread(target=ask)
        with database.transaction() as connection:
            assert insert.keyed(connection, ["one"]) == {}
            second.start()
            assert not answered.wait(0.2)
            add(connection, key="one")
        second.join()
        assert found == [{"one"}]


class TestTags:
    def test_are_remembered_per_lane_and_supplier(self, database: Database) -> None:
        latest = {("email", 1, "s1"): 10, ("email", 2, "s1"): 20, ("info", 1, "s1"): 30, ("email", 1, "s'2"): 40}
        with database.transaction() as connection:
            insert.save_tags(connection, latest)
        with database.transaction() as connection:
            insert.save_tags(connection, {("email", 1, "s1"): 11})
            assert insert.tags(connection, [*latest, ("sms", 1, "s1")]) == {**latest, ("email", 1, "s1"): 11}
            assert insert.tags(connection, []) == {}
            insert.save_tags(connection, {})


class TestRows:
    def test_hold_what_was_written(self, database: Database) -> None:
        written = {
            "module_type": "info",
            "module_version": 7,
            "state": State.SCHEDULED,
            "priority": 3,
            "priority_requested": 0,
            "rank": None,
            "due_at": 2**53 + 1,
            "queued_at": NOW + 1,
            "next_change_at": NOW + 2,
            "expires_at": NOW + 3,
            "deadline_at": NOW + 4,
            "max_attempts": 9,
            "supplier_id": "s 'ü'",
            "wedding_on": "2027-06-19",
            "timezone": "Europe/London",
            "vendor_type": "venue",
            "key": "k",
            "payload_hash": "ff",
        }
        with database.transaction() as connection:
            job_id = add(connection, **written, client_id="c'ü", config='{"a":"ü%s?:b"}', context='{"b":[1]}')
            found = row(connection, job_id)
            payload = connection.execute(text("SELECT * FROM payloads WHERE job_id = :id"), {"id": job_id}).one()
        assert {name: found[name] for name in written} == written
        fresh = {
            "attempt": 0,
            "losses": 0,
            "kills": 0,
            "token": 0,
            "leased_by": None,
            "started_at": None,
            "error": None,
        }
        assert {name: found[name] for name in fresh} == fresh
        assert (payload.client_id, payload.config, payload.context) == ("c'ü", '{"a":"ü%s?:b"}', '{"b":[1]}')
        assert (payload.reasons, payload.result) == (BARE.reasons, None)

    def test_none_is_fine(self, database: Database) -> None:
        with database.transaction() as connection:
            insert.insert(connection, [], [])
            assert number_of(connection, "jobs") == 0

    def test_a_thousand_are_written_at_once(self, database: Database) -> None:
        with database.transaction() as connection:
            assert len(add_many(connection, [{}] * 1000)) == 1000
            assert number_of(connection, "payloads") == 1000
