"""Dead letters on both databases: found, grouped, retried at a rate and only once, discarded."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from tests.jobs.notes import note, queued, run, with_unique
from tests.stores.queues import NOW, queue_on, request
from tests.stores.queues import later as later_than
from tests.stores.rows import counted, ending, row, take
from wedsync_ops import db
from wedsync_ops.db import Database
from wedsync_ops.errors import UnknownJob, UnknownModule, WrongState
from wedsync_ops.instants import HOUR, MINUTE, SECOND
from wedsync_ops.jobs import actions, dead_letters, draining
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dead_letters import Discarded, Retried, Wanted
from wedsync_ops.jobs.fingerprint import fingerprint
from wedsync_ops.jobs.model import Priority, Result, State
from wedsync_ops.jobs.store import dead, finish

ALL = Wanted()


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


def die(queue: Queue, *jobs: tuple[str, dict[str, Any]], at: int = NOW, module: str = "email") -> list[int]:
    """Queue jobs that fail for good: each its error and the keys of its context."""
    answers = actions.enqueue_many(queue, [request(module, **context) for _, context in jobs])
    ids = [getattr(answer, "job_id") for answer in answers]  # noqa: B009 - none was refused
    errors = dict(zip(ids, (error for error, _ in jobs), strict=True))
    with queue.database.transaction() as connection:
        for priority in Priority:
            taken = take(connection, len(jobs), module_type=module, priority=priority)
            finish.apply(
                connection,
                [
                    ending(one, State.DISCARDED, outcome=Result.ERROR, error=errors[one.id], at=at + place - 1000)
                    for place, one in enumerate(taken)
                ],
            )
    return ids


def states(queue: Queue) -> dict[int, tuple[str, int]]:
    with queue.database.reading() as connection:
        return {r.id: (r.state, r.due_at) for r in connection.execute(text("SELECT id, state, due_at FROM jobs"))}


class TestFinding:
    def test_by_every_filter(self, queue: Queue) -> None:
        one, two, three = die(queue, ("SMTP 550", {}), ("smtp 421", {"supplier_id": "s2"}), ("timeout", {}))
        (page,) = die(queue, ("SMTP 550", {}), at=NOW + HOUR, module="free")
        actions.enqueue(queue, request())

        def found(**wanted: Any) -> list[int]:
            return [letter.id for letter in dead_letters.find(queue, Wanted(**wanted))]

        assert found() == [one, two, three, page]
        assert found(error="SmTp") == [one, two, page]
        assert found(fingerprint=fingerprint("smtp 7")) == [one, two, page]
        assert found(module="email", error="smtp") == [one, two]
        assert found(supplier="s2") == [two]
        assert found(since=NOW + 1) == [two, three, page]
        assert found(until=NOW + 1) == [one]
        assert found(since=NOW + HOUR, until=NOW + HOUR) == []
        assert found(error="100%") == []
        with pytest.raises(UnknownModule):
            found(module="emial")

    def test_page_by_page(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dead, "CHUNK", 2)
        ids = die(queue, *[("down", {})] * 7)
        actions.cancel(queue, [actions.enqueue(queue, request()).job_id or 0])
        assert [letter.id for letter in dead_letters.find(queue, ALL)] == ids

    def test_grouped_by_what_went_wrong(self, queue: Queue) -> None:
        die(queue, ("no song 1", {}), ("down", {"wedding_date": "2027-02-01"}), ("no song 2", {}))
        die(queue, ("down", {"wedding_date": "2027-01-20"}), ("down", {"wedding_date": "2026-01-01"}), at=NOW + 50)
        die(queue, ("no song 3", {"wedding_date": "2027-01-19"}), module="free")
        groups = dead_letters.failures(queue, ALL)
        seen = [(g.module_type, g.count, g.error, str(g.soonest_wedding)) for g in groups]
        assert seen == [
            ("free", 1, "no song 3", "2027-01-19"),
            ("email", 3, "down", "2027-01-20"),
            ("email", 2, "no song 2", "None"),
        ]
        assert {g.fingerprint for g in groups} == {fingerprint("down"), fingerprint("no song 9")}
        assert groups[1].first_seen < groups[1].last_seen == NOW + 50


class TestRetrying:
    def test_what_fits_is_due_now(self, queue: Queue) -> None:
        one, two = die(queue, ("down", {}), ("wrong", {}))
        later = later_than(queue, HOUR)
        assert dead_letters.retry(later, Wanted(error="down")).count == 1
        assert states(queue)[one] == ("scheduled", NOW + HOUR)
        assert states(queue)[two][0] == "discarded"
        assert dead_letters.retry(later, ALL).count == 1
        assert dead_letters.retry(later, ALL).count == 0

    def test_the_most_urgent_wedding_comes_first_at_a_rate(self, queue: Queue) -> None:
        past, none, far, soon, today = die(
            queue,
            ("down", {"wedding_date": "2026-12-01"}),
            ("down", {}),
            ("down", {"wedding_date": "2027-09-01"}),
            ("down", {"wedding_date": "2027-01-15"}),
            ("down", {"wedding_date": "2027-01-13"}),
        )
        assert dead_letters.retry(queue, ALL, per_minute=30).count == 5
        due = {job_id: (at - NOW) // SECOND for job_id, (_, at) in states(queue).items()}
        assert due == {today: 0, soon: 2, far: 4, none: 6, past: 8}

    def test_a_rate_goes_on_from_chunk_to_chunk(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dead_letters, "CHUNK", 3)
        ids = die(queue, *[("down", {})] * 8)
        assert dead_letters.retry(queue, ALL, per_minute=1).count == 8
        assert [states(queue)[job_id][1] for job_id in ids] == [NOW + place * MINUTE for place in range(8)]
        with queue.database.reading() as connection:
            assert sum(number for lane in counted(connection).values() for number in lane) == 8

    def test_an_expiry_that_passes_before_it_is_due_is_dropped(self, queue: Queue) -> None:
        first, second = die(queue, ("down", {}), ("down", {}))
        with queue.database.transaction() as connection:
            connection.execute(text(f"UPDATE jobs SET expires_at = {NOW + 30 * SECOND}"))
        dead_letters.retry(queue, ALL, per_minute=1)
        with queue.database.reading() as connection:
            assert [row(connection, each)["expires_at"] for each in (first, second)] == [NOW + 30 * SECOND, None]

    def test_twice_at_once_doubles_nothing(self, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dead_letters, "CHUNK", 7)
        ids = die(queue, *[("down", {"wedding_date": f"2027-02-{day:02}"}) for day in range(1, 26)] * 4)
        both = Barrier(2)

        def go(_: int) -> int:
            own = db.connect(replace(queue.rules.settings, db=_url(queue.database)))
            try:
                both.wait(20)
                return dead_letters.retry(replace(queue, database=own), ALL).count
            finally:
                own.close()

        with ThreadPoolExecutor(2) as threads:
            assert sum(threads.map(go, range(2))) == len(ids)
        with queue.database.reading() as connection:
            assert sum(number for lane in counted(connection).values() for number in lane) == len(ids)

    def test_one_that_failed_again_meanwhile_is_another_letter(self, queue: Queue) -> None:
        (job_id,) = die(queue, ("down", {}))
        with queue.database.transaction() as connection:
            assert list(dead.still_dead(connection, [(job_id, NOW)])) == [job_id]
            assert dead.still_dead(connection, [(job_id, NOW - 1)]) == {}


class TestDiscarding:
    def test_forgets_what_a_retry_needs_and_keeps_the_job(self, queue: Queue) -> None:
        one, two = die(queue, ("down", {}), ("wrong", {}))
        assert dead_letters.discard(queue, Wanted(error="down")) == Discarded(1, 0)
        assert [letter.id for letter in dead_letters.find(queue, ALL)] == [two]
        assert states(queue)[one][0] == "discarded"
        (refused,) = actions.retry(queue, [one])
        assert "no config and context any more" in str(refused)
        assert dead_letters.discard(queue, ALL) == Discarded(1, 0)
        assert dead_letters.discard(queue, ALL) == Discarded(0, 0)

    def test_by_id_says_why_not(self, queue: Queue) -> None:
        one, two = die(queue, ("down", {}), ("down", {}))
        waiting = actions.enqueue(queue, request()).job_id or 0
        dead_letters.discard_each(queue, [two])
        answers = dead_letters.discard_each(queue, [one, two, waiting, 10**12])
        assert [type(answer) for answer in answers] == [type(None), WrongState, WrongState, UnknownJob]
        assert [str(answer) for answer in answers[1:3]] == [
            f"job {two} has no config and context any more",
            f"job {waiting} is available, and so no dead letter",
        ]

    def test_keeps_what_the_webhook_has_yet_to_be_told(self, database: Database, tmp_path: Path) -> None:
        options = {"webhook_url": "https://example.org/hook", "webhook_secret": "s" * 16}
        queue = queue_on(database, tmp_path, **options)
        (one,) = die(queue, ("down", {}))
        assert dead_letters.discard(queue, ALL) == Discarded(0, 1)
        (refused,) = dead_letters.discard_each(queue, [one])
        assert "the webhook has yet to be told of it" in str(refused)
        assert [letter.id for letter in dead_letters.find(queue, ALL)] == [one]


class TestWhatIsLeft:
    def test_of_what_is_drained_is_counted_in_the_rehearsal_too(self, queue: Queue) -> None:
        die(queue, ("down", {}), ("down", {"supplier_id": "s2"}), ("up", {}))
        draining.begin(queue, "supplier", "s1")
        rehearsed, (group,) = dead_letters.rehearse(queue, ALL)
        assert (rehearsed, group.fingerprint, group.count) == (Retried(1, 0, 2), fingerprint("down"), 1)
        assert dead_letters.retry(queue, ALL) == rehearsed

    def test_of_unique_jobs_is_counted_in_the_rehearsal_too(self, queue: Queue) -> None:
        unique = with_unique(queue)
        for form_id in ("f", "f", "g", "h", "h"):
            queued(unique, note(form_id))
            run(unique, State.DISCARDED, error="down")
        queued(unique, note("g"))
        draining.begin(unique, "supplier", "s2")
        rehearsed, (group,) = dead_letters.rehearse(unique, ALL)
        assert (rehearsed, group.count) == (Retried(2, 3, 0), 2)
        assert list(states(queue).values()).count(("discarded", NOW)) == 5
        assert dead_letters.retry(unique, ALL) == rehearsed


def _url(database: Database) -> str:
    return database.writer.url.render_as_string(hide_password=False)
