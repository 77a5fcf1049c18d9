"""Promises of jobs that are queued, on both databases."""

import pytest

from tests.planning.scene import jobs
from tests.stores.queues import NOW, request
from wedsync_ops.errors import DeadlineMissed
from wedsync_ops.instants import HOUR, SECOND, iso
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.planning import promising


def test_a_deadline_that_cannot_be_kept_is_refused_and_nothing_is_queued(queue: Queue) -> None:
    with pytest.raises(DeadlineMissed) as caught:
        promising.enqueue(queue, request(deadline=iso(NOW + SECOND // 2)))
    assert caught.value.details[0]["earliest_feasible_at"] == iso(NOW + SECOND)
    with pytest.raises(DeadlineMissed):
        promising.enqueue(queue, request(deadline=iso(NOW + SECOND // 2)), dry_run=True)
    assert jobs(queue) == []


def test_one_that_leaves_no_room_for_retries_is_at_risk(queue: Queue) -> None:
    queued, promise = promising.enqueue(queue, request(deadline=iso(NOW + 2 * SECOND)))
    assert promise is not None
    assert (promise.verdict, promise.slack_us) == ("at_risk", -SECOND)
    assert [one.code for one in promise.helps] == ["later_deadline"]
    assert promising.of_job(queue, queued.job_id or 0) == promise


def test_a_wedding_that_is_too_near_is_at_risk_and_its_job_is_queued(queue: Queue) -> None:
    near = request(wedding_date="2027-01-14", at="2027-01-13T23:59:59.500000Z")
    queued, promise = promising.enqueue(queue, near)
    assert promise is not None
    assert (promise.verdict, promise.slack_us) == ("at_risk", -5 * SECOND // 2)
    assert promising.of_job(queue, queued.job_id or 0) == promise
    on_the_day, promise = promising.enqueue(queue, near._replace(at="2027-01-14T00:00:00Z"))
    assert promise is not None
    assert promise.verdict == "accept"  # it must be done by the end of the day
    assert on_the_day.job_id is not None


def test_what_waits_before_it_counts(queue: Queue) -> None:
    _, alone = promising.enqueue(queue, request(deadline=iso(NOW + HOUR)), dry_run=True)
    actions.enqueue_many(queue, [request() for _ in range(100)])
    _, behind = promising.enqueue(queue, request(deadline=iso(NOW + HOUR)), dry_run=True)
    _, before = promising.enqueue(queue, request(deadline=iso(NOW + HOUR), priority="critical"), dry_run=True)
    assert alone is not None
    assert behind is not None
    assert (alone.slack_us or 0) - (behind.slack_us or 0) == 50 * SECOND  # a hundred seconds of work for two slots
    assert before == alone


def test_without_a_deadline_only_the_earliest_end_is_told(queue: Queue) -> None:
    _, promise = promising.enqueue(queue, request())
    assert promise is not None
    assert (promise.verdict, promise.slack_us, promise.earliest_feasible_at) == ("accept", None, NOW + SECOND)


def test_a_request_that_is_sent_again_is_never_refused(queue: Queue) -> None:
    asked = request(key="k", deadline=iso(NOW + HOUR))
    first, _ = promising.enqueue(queue, asked)
    again, _ = promising.enqueue(queue, asked._replace(deadline=iso(NOW - HOUR)))
    assert (again.job_id, again.duplicate) == (first.job_id, True)
    actions.cancel(queue, [first.job_id or 0])
    ended, promise = promising.enqueue(queue, asked)
    assert (ended.job_id, promise) == (first.job_id, None)
