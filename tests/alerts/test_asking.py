"""An alert on wedding-week load asks for slots as long as it is open; the autoscaler answers."""

from tests.alerts.conftest import Watch
from tests.alerts.scene import worker
from wedsync_ops.alerts.asking import SOURCE
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs.store import requests, workers
from wedsync_ops.jobs.store.requests import Kind, Request
from wedsync_ops.scaling.autoscaler import Autoscaler


def asked(watch: Watch) -> list[Request]:
    with watch.database.reading() as connection:
        return requests.in_force(connection, watch.clock.now())


def load(watch: Watch) -> None:
    """Ten slots, of which wedding-week jobs have kept nine busy for five minutes."""
    worker(watch, id="w", slots=10, min_slots=2, max_slots=50, memory_kb=2**30)
    watch.run(*["ok"] * 9, wedding_days=3, duration_us=300 * SECOND)


def test_it_asks_for_what_the_jobs_keep_busy_and_the_autoscaler_answers_at_once(watch: Watch) -> None:
    load(watch)
    watch.evaluate()
    (request,) = asked(watch)
    assert (request.source, request.kind, request.slots) == (SOURCE, Kind.BUSY, 9.0)
    assert request.said == "wedding-week jobs take 90 % of 10 slots"
    done = Autoscaler(watch.database, watch.clock, lambda: watch.queue.rules).decide()
    assert done.decisions["all"].reason == "wedding_week"
    with watch.database.reading() as connection:
        assert workers.wanted(connection, "w") == 15


def test_more_slots_do_not_make_for_more_being_asked(watch: Watch) -> None:
    load(watch)
    watch.evaluate()
    with watch.database.transaction() as connection:
        workers.resized(connection, "w", slots=15, busy=9)
    watch.evaluate("20s")
    (request,) = asked(watch)
    assert request.slots == 9.0
    done = Autoscaler(watch.database, watch.clock, lambda: watch.queue.rules).decide()
    assert done.decisions["all"].wanted == 15


def test_it_asks_no_longer_than_it_lasts(watch: Watch) -> None:
    load(watch)
    watch.evaluate()
    watch.clock.advance("5m")
    assert asked(watch) == [], "nobody has evaluated since"
    watch.evaluate()
    for _ in range(12):
        with watch.database.transaction() as connection:
            workers.beat(connection, "w", now=watch.clock.now() + MINUTE, slots=10, busy=0)
        watch.evaluate("1m")
    with watch.database.reading() as connection:
        assert requests.in_force(connection, 0) == []
