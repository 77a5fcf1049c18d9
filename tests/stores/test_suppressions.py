"""The list of recipients that must not be written to, on both databases."""

from tests.stores.rows import NOW, add, take
from wedsync_ops.db import Database
from wedsync_ops.jobs.store import suppressions
from wedsync_ops.jobs.store.suppressions import Suppression


def test_the_first_reason_stays(database: Database) -> None:
    with database.transaction() as connection:
        assert suppressions.add(connection, "d1", "bounce", "550", NOW)
        assert not suppressions.add(connection, "d1", "manual", None, NOW + 1)
        assert suppressions.find(connection, "d1") == Suppression("d1", "bounce", "550", NOW)
        assert suppressions.find(connection, "d2") is None


def test_many_are_added_at_once_and_doubles_count_once(database: Database) -> None:
    with database.transaction() as connection:
        suppressions.add(connection, "d1", "manual", None, NOW)
        rows = [("d2", "bounce", None), ("d1", "bounce", None), ("d2", "complaint", "x"), ("d3", "unsubscribed", None)]
        assert suppressions.add_many(connection, rows, NOW) == {"d2", "d3"}
        assert suppressions.add_many(connection, [], NOW) == set()
        found = suppressions.find(connection, "d2")
        assert found is not None
        assert found.reason == "bounce"


def test_they_are_listed_latest_first(database: Database) -> None:
    with database.transaction() as connection:
        for place, digest in enumerate(("b", "a", "c")):
            suppressions.add(connection, digest, "manual", None, NOW + place // 2)
        assert [entry.recipient for entry in suppressions.list_all(connection)] == ["c", "a", "b"]
        assert [entry.recipient for entry in suppressions.list_all(connection, 1)] == ["c"]


def test_a_removed_one_may_be_written_to_again(database: Database) -> None:
    with database.transaction() as connection:
        suppressions.add(connection, "d1", "manual", None, NOW)
        assert suppressions.remove(connection, "d1")
        assert not suppressions.remove(connection, "d1")
        assert suppressions.list_all(connection) == []


def test_a_claimed_job_knows_why_its_recipient_is_suppressed(database: Database) -> None:
    with database.transaction() as connection:
        ids = [add(connection, recipient=recipient) for recipient in ("d1", "d2", None)]
        suppressions.add(connection, "d1", "complaint", None, NOW)
        assert [(job.id, job.suppressed) for job in take(connection)] == list(
            zip(ids, ["complaint", None, None], strict=True)
        )
