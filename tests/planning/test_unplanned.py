"""What couples without a plan are promised, by the hour."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.planning.scene import couples, plan, scene
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, HOUR, parse_instant
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.metrics.model import Range
from wedsync_ops.planning import unplanned as module
from wedsync_ops.planning.unplanned import unplanned
from wedsync_ops.scaling.forecaster import predict

JANUARY = parse_instant("2027-01-13T12:00:00Z")
WEEK_BEFORE = parse_instant("2027-06-12T08:00:00Z")
"""The hour of half past nine in London."""


def steps(queue: Queue, since: int, until: int) -> Counter[tuple[int, str]]:
    return unplanned(queue.database, queue.rules, Range(since, until), lambda: None)


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return scene(database, tmp_path)


def test_steps_fall_into_their_hours(queue: Queue) -> None:
    couples(queue, {}, {"client_id": "c2"}, {"client_id": "c3", "timezone": "America/New_York"})
    found = steps(queue, WEEK_BEFORE, WEEK_BEFORE + 9 * DAY)
    assert found == {
        (WEEK_BEFORE, "info"): 2,
        (WEEK_BEFORE + 5 * HOUR, "info"): 1,
        (parse_instant("2027-06-20T09:00:00Z"), "email"): 2,
        (parse_instant("2027-06-20T14:00:00Z"), "email"): 1,
    }


def test_what_is_planned_is_no_longer_among_them(queue: Queue) -> None:
    couples(queue, {}, {"client_id": "c2"})
    plan(queue, "c1")
    assert steps(queue, WEEK_BEFORE, WEEK_BEFORE + HOUR) == {(WEEK_BEFORE, "info"): 1}


def test_a_forecast_counts_the_same_before_and_after_planning(queue: Queue) -> None:
    couples(queue, *({"client_id": f"c{n}"} for n in range(5)))
    over = Range(WEEK_BEFORE - DAY, WEEK_BEFORE + DAY)

    def booked() -> dict[tuple[int, str], int]:
        found = predict(queue.database, queue.rules, JANUARY, over, promised=unplanned)
        return {(hour.hour, hour.module_type): hour.booked for one in found for hour in one.hours}

    before = booked()
    assert before == {(WEEK_BEFORE, "info"): 5}
    plan(queue)
    assert booked() == before


def test_a_booking_s_steps_count_for_weddings_far_ahead(queue: Queue) -> None:
    couples(queue, {"wedding_on": date(2029, 6, 16), "booked_on": date(2027, 1, 20)})
    at = parse_instant("2027-01-21T10:00:00Z")
    assert steps(queue, JANUARY, JANUARY + 14 * DAY) == {(at, "email"): 1}


def test_couples_on_no_journey_are_promised_nothing(queue: Queue) -> None:
    couples(queue, {"vendor_type": "florist"})
    assert not steps(queue, JANUARY, JANUARY + 300 * DAY)


def test_without_journeys_nothing_is_promised(database: Database, tmp_path: Path) -> None:
    from tests.stores.queues import queue_on

    queue = queue_on(database, tmp_path)
    couples(queue, {})
    assert not steps(queue, JANUARY, JANUARY + 300 * DAY)


def test_many_couples_are_read_page_by_page_up_to_a_bound(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    many: list[dict[str, Any]] = [{"client_id": f"c{n:04}"} for n in range(450)]
    couples(queue, *many)
    pages: list[int] = []
    found = unplanned(queue.database, queue.rules, Range(WEEK_BEFORE, WEEK_BEFORE + HOUR), lambda: pages.append(1))
    assert found == {(WEEK_BEFORE, "info"): 450}
    assert len(pages) == 3
    monkeypatch.setattr(module, "MOST_COUPLES", 400)
    assert steps(queue, WEEK_BEFORE, WEEK_BEFORE + HOUR) == {(WEEK_BEFORE, "info"): 400}
