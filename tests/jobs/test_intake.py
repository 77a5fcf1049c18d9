"""Queueing: what a request is checked for, and the place that it gets."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stores import databases
from tests.stores.queues import CONTEXT, NOW, queue_on, request
from tests.stores.rows import number_of, row
from wedsync_ops.db import Database
from wedsync_ops.errors import (
    CapacityReached,
    InvalidConfig,
    InvalidContext,
    InvalidInput,
    InvalidTime,
    KeyConflict,
    ModuleInactive,
    UnknownModule,
    UsageError,
    WedsyncError,
)
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.jobs import intake
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Lane, Priority, Queued, Request, State
from wedsync_ops.jobs.prepare import prepare
from wedsync_ops.jobs.store import durations, insert, lanes, view
from wedsync_ops.jobs.store.lanes import Moves


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    """Both dialects in turn, without a row."""
    return databases.emptied(shared)


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


def placed(queue: Queue, *requests: Request, now: int = NOW, **options: Any) -> list[Queued | WedsyncError]:
    prepared = [prepare(queue.rules, one) for one in requests]
    with queue.database.transaction() as connection:
        return intake.place(connection, queue.rules, prepared, now=now, **options)


def only(queue: Queue, one: Request, **options: Any) -> Queued:
    (answer,) = placed(queue, one, **options)
    assert isinstance(answer, Queued), answer
    return answer


class TestThirdParties:
    @pytest.mark.parametrize(
        "config", [{"send_delay": "5"}, {"send_time": ["x"]}, {"send_delay": True}, {"send_delay": {}, "send_time": 3}]
    )
    def test_may_mean_something_else_by_our_names(self, queue: Queue, config: dict[str, Any]) -> None:
        assert only(queue, request("free", config)).due_at == NOW

    def test_a_check_that_raises_refuses_the_job(self, queue: Queue) -> None:
        with pytest.raises(WedsyncError, match="the handler's check failed with KeyError: 'nope'"):
            prepare(queue.rules, request("free", {"touchy": True}))

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"writes_to": "nobody"}, "free: the handler's address failed with RuntimeError: no body"),
            ({"code": "mine"}, "free: the handler's code failed with KeyError: 'codes'"),
            ({"code": 0, "codes": [7]}, "free: the handler's code must be one line of text, or nothing"),
            ({"code": 0, "codes": ["a\x00"]}, "free: the handler's code must be one line of text, or nothing"),
            *(
                ({"writes_to": kind}, "free: the handler's address must be one line of text, or nothing")
                for kind in ("wrong", "long", "lines", "lone", "empty")
            ),
        ],
    )
    def test_an_address_or_a_code_that_fails_refuses_the_job(
        self, queue: Queue, config: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            prepare(queue.rules, request("free", config))
        assert refused.value.message == words

    def test_numbers_that_grow_when_they_are_written_out_are_counted_so(self, queue: Queue) -> None:
        fits = [1e15] * 40_000
        prepare(queue.rules, request("free", {"numbers": fits}))
        with pytest.raises(InvalidInput, match="the context measures 1,"):
            prepare(queue.rules, request("free", numbers=fits * 2))


class TestPrepare:
    @pytest.mark.parametrize(
        ("wrong", "kind"),
        [
            (request("emial"), UnknownModule),
            (request(""), UnknownModule),
            (request(5), InvalidInput),
            (request(["email"]), InvalidInput),
            (request(None), InvalidInput),
            (request("idle"), ModuleInactive),
            (request(config=[1]), InvalidInput),
            (request(config={"n": "one"}), InvalidConfig),
            (request(config={"m": 1}), InvalidConfig),
            (request(context=None), InvalidInput),
            (request(context="x"), InvalidInput),
            (request(client_id=None), InvalidContext),
            (request(client_id=""), InvalidContext),
            (request(client_id=" "), InvalidContext),
            (request(client_id=True), InvalidContext),
            (request(client_id=1.5), InvalidContext),
            (request(supplier_id=[]), InvalidContext),
            (request(supplier_id="x" * 256), InvalidContext),
            (request(journey_instance_id={}), InvalidContext),
            (request(wedding_date="soon"), InvalidContext),
            (request(wedding_date=20270619), InvalidContext),
            (request(timezone="Mars/Base"), InvalidContext),
            (request(vendor_type=5), InvalidContext),
            (request(client_data=5), InvalidContext),
            (request("info"), InvalidContext),
            (request("info", {"n": 13}, client_data={"email": "a@b.example"}), InvalidConfig),
            (request(priority="urgent"), InvalidInput),
            (request(priority=3), InvalidInput),
            (request(priority="HIGH"), InvalidInput),
            (request(key=""), InvalidInput),
            (request(key="x" * 256), InvalidInput),
            (request(key="a\nb"), InvalidInput),
            (request(key=5), InvalidInput),
            (request(at="tomorrow"), InvalidTime),
            (request(at=5), InvalidTime),
            (request(delay="5"), InvalidInput),
            (request(delay=True), InvalidInput),
            (request(deadline="x"), InvalidTime),
            (request(expires=[]), InvalidTime),
            (request(config={"send_time": "custom", "send_at": "x"}), InvalidTime),
        ],
    )
    def test_refuses_in_one_line(self, queue: Queue, wrong: Request, kind: type[WedsyncError]) -> None:
        with pytest.raises(kind) as caught:
            prepare(queue.rules, wrong)
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500

    def test_equal_payloads_have_one_hash(self, queue: Queue) -> None:
        one = prepare(queue.rules, request(config={"n": 1, "send_delay": 2}, a=1, b=2))
        two = prepare(queue.rules, request(config={"send_delay": 2, "n": 1}, b=2, a=1))
        assert one.payload_hash == two.payload_hash
        others = [request(config={"n": 2}), request(config={"n": 1}), request(config={"n": 1}, a=1), request("review")]
        hashes = {prepare(queue.rules, other).payload_hash for other in others}
        assert len(hashes | {one.payload_hash}) == 5

    def test_numbers_are_fine_as_ids(self, queue: Queue) -> None:
        prepared = prepare(queue.rules, request(client_id=7, supplier_id=8, journey_instance_id=9))
        assert (prepared.client_id, prepared.supplier_id) == ("7", "8")


class TestPlace:
    def test_a_job_due_now_is_available_with_a_rank(self, queue: Queue) -> None:
        answer = only(queue, request(config={"n": 1}))
        assert answer.job_id is not None
        assert (answer.state, answer.due_at, answer.rank) == (State.AVAILABLE, NOW, NOW + SECOND)
        assert (answer.priority_requested, answer.priority_applied) == (Priority.NORMAL, Priority.NORMAL)
        assert (answer.due_reasons, answer.duplicate) == (("at once",), False)
        with queue.database.reading() as connection:
            shown = view.show_job(connection, answer.job_id)
            found = row(connection, answer.job_id)
            assert lanes.read(connection) == [lanes.LaneCount(Lane("email", Priority.NORMAL), 1, 1)]
        assert shown is not None
        assert (shown.config, shown.context) == ({"n": 1}, CONTEXT)
        assert tuple(shown.priority_reasons) == answer.priority_reasons
        assert (found["queued_at"], found["max_attempts"], found["timezone"]) == (NOW, 3, "UTC")

    def test_a_job_due_later_is_scheduled_without_one(self, queue: Queue) -> None:
        answer = only(queue, request(delay=5))
        assert (answer.state, answer.due_at, answer.rank) == (State.SCHEDULED, NOW + 5 * MINUTE, None)
        with queue.database.reading() as connection:
            assert insert.tags(connection, [("email", 1, "s1")]) == {}
            assert [(c.available, c.waiting) for c in lanes.read(connection)] == [(0, 1)]

    def test_the_wedding_raises_the_priority_and_gives_a_deadline(self, queue: Queue) -> None:
        answer = only(queue, request(wedding_date="2027-01-15", timezone="Europe/London", vendor_type="Venues"))
        assert answer.priority_applied is Priority.HIGH
        assert any("wedding in 2 days" in reason for reason in answer.priority_reasons)
        with queue.database.reading() as connection:
            found = row(connection, answer.job_id or 0)
        assert (found["wedding_on"], found["timezone"], found["vendor_type"]) == (
            "2027-01-15",
            "Europe/London",
            "venue",
        )
        assert found["deadline_at"] == NOW - 12 * HOUR + 2 * DAY
        assert found["next_change_at"] == NOW + 12 * HOUR

    def test_a_supplier_s_jobs_line_up_behind_each_other(self, queue: Queue) -> None:
        many = placed(queue, *[request()] * 3, request(supplier_id="s2"), request(priority="high"))
        ranks = [answer.rank - NOW for answer in many if isinstance(answer, Queued) and answer.rank is not None]
        assert ranks == [SECOND, 2 * SECOND, 3 * SECOND, SECOND, SECOND]
        assert only(queue, request()).rank == NOW + 4 * SECOND
        assert only(queue, request(), now=NOW + HOUR).rank == NOW + HOUR + SECOND

    def test_a_deadline_that_nears_overtakes(self, queue: Queue) -> None:
        deadline = "2027-01-13T12:00:02Z"
        assert only(queue, request(deadline=deadline)).rank == NOW + 2 * SECOND - 3 * SECOND

    def test_measured_durations_decide_the_rank(self, queue: Queue) -> None:
        with queue.database.transaction() as connection:
            connection.exec_driver_sql(
                "INSERT INTO durations (module_type, p50_us, p95_us, measured_at) VALUES ('email', 10, 20, 1)"
            )
            assert durations.read(connection)
        assert only(queue, request()).rank == NOW + 10

    def test_an_expiry_before_the_due_time_is_refused(self, queue: Queue) -> None:
        answers = placed(
            queue,
            request(expires="2027-01-13T12:00:00Z"),
            request(delay=10, expires="2027-01-13T12:05:00Z"),
            request(delay=10, expires="2027-01-13T12:15:00Z"),
        )
        assert [type(answer) for answer in answers] == [InvalidTime, InvalidTime, Queued]

    def test_an_expiry_is_looked_at_when_it_comes(self, queue: Queue) -> None:
        answer = only(queue, request(expires="2027-01-13T12:01:00Z"))
        with queue.database.reading() as connection:
            found = row(connection, answer.job_id or 0)
        assert found["next_change_at"] == found["expires_at"] == NOW + MINUTE

    def test_what_is_wrong_with_the_time_is_the_request_s_own_error(self, queue: Queue) -> None:
        good, both, negative, undated = placed(
            queue, request(), request(at="2027-02-01", delay=5), request(delay=-1), request("review")
        )
        assert isinstance(good, Queued)
        assert isinstance(both, UsageError)
        assert isinstance(negative, UsageError)
        assert isinstance(undated, InvalidContext)

    def test_nothing_is_written_when_only_asked(self, queue: Queue) -> None:
        answer = only(queue, request(key="k"), write=False)
        assert (answer.job_id, answer.state, answer.rank) == (None, State.AVAILABLE, NOW + SECOND)
        with queue.database.reading() as connection:
            assert [number_of(connection, t) for t in ("jobs", "payloads", "lane_counts", "supplier_tags")] == [0] * 4

    def test_an_empty_batch_is_fine(self, queue: Queue) -> None:
        assert placed(queue) == []


class TestKeys:
    def test_the_same_again_is_a_duplicate(self, queue: Queue) -> None:
        first = only(queue, request(key="k", wedding_date="2027-01-14"))
        again = only(queue, request(key="k", wedding_date="2027-01-14", priority="low"), now=NOW + HOUR)
        assert again == first._replace(duplicate=True, queued_as="duplicate")

    def test_within_a_batch_too(self, queue: Queue) -> None:
        first, again, other = placed(queue, request(key="k"), request(key="k"), request(key="k", config={"n": 2}))
        assert isinstance(first, Queued)
        assert again == first._replace(duplicate=True, queued_as="duplicate")
        assert isinstance(other, KeyConflict)
        assert other.details == [{"job_id": first.job_id}]
        with queue.database.reading() as connection:
            assert number_of(connection, "jobs") == 1
            assert [(c.available, c.waiting) for c in lanes.read(connection)] == [(1, 1)]

    def test_another_payload_or_module_is_a_conflict(self, queue: Queue) -> None:
        first = only(queue, request(key="k", config={"n": 1}))
        for other in (request(key="k", config={"n": 2}), request(key="k", x=1), request("review", key="k")):
            (answer,) = placed(queue, other._replace(at="2027-02-01"))
            assert isinstance(answer, KeyConflict)
            assert str(first.job_id) in answer.message

    def test_the_same_again_is_a_duplicate_even_when_its_times_have_passed(self, queue: Queue) -> None:
        one = request(key="k", expires="2027-01-13T12:30:00Z")
        first = only(queue, one)
        assert only(queue, one, now=NOW + HOUR) == first._replace(duplicate=True, queued_as="duplicate")

    def test_a_finished_job_keeps_its_key(self, queue: Queue) -> None:
        first = only(queue, request(key="k"))
        with queue.database.transaction() as connection:
            connection.exec_driver_sql("UPDATE jobs SET state = 'cancelled', finished_at = 1")
        assert only(queue, request(key="k")) == first._replace(
            duplicate=True, queued_as="duplicate", state=State.CANCELLED
        )

    def test_a_request_whose_due_time_is_wrong_takes_no_key(self, queue: Queue) -> None:
        wrong, right = placed(queue, request(key="k", delay=-1), request(key="k"))
        assert isinstance(wrong, UsageError)
        assert isinstance(right, Queued)
        assert not right.duplicate


class TestCapacity:
    @pytest.fixture
    def queue(self, database: Database, tmp_path: Path) -> Queue:
        return queue_on(database, tmp_path, capacity=100)

    def fill(self, queue: Queue, count: int, module_type: str = "email") -> None:
        moves = Moves()
        moves.enter(module_type, 1, State.AVAILABLE, count)
        with queue.database.transaction() as connection:
            moves.save(connection)

    @pytest.mark.parametrize(
        ("waiting", "accepted"),
        [
            (89, ["low", "normal", "high", "critical"]),
            (90, ["normal", "high", "critical"]),
            (94, ["normal", "high", "critical"]),
            (95, ["high", "critical"]),
            (99, ["high", "critical"]),
            (100, ["critical"]),
            (10_000, ["critical"]),
        ],
    )
    def test_the_less_urgent_are_refused_first(self, queue: Queue, waiting: int, accepted: list[str]) -> None:
        self.fill(queue, waiting)
        found = []
        for word in ("low", "normal", "high", "critical"):
            (answer,) = placed(queue, request(priority=word), write=False)
            if isinstance(answer, Queued):
                found.append(word)
            else:
                assert isinstance(answer, CapacityReached)
                assert answer.details[0]["retry_after_s"] >= 60
                assert "come back" in str(answer)
        assert found == accepted

    def test_is_counted_per_module_and_within_a_batch(self, queue: Queue) -> None:
        self.fill(queue, 93)
        self.fill(queue, 5000, "review")
        answers = placed(queue, *[request()] * 4)
        assert [type(answer) for answer in answers] == [Queued, Queued, CapacityReached, CapacityReached]

    def test_is_larger_in_the_peak_season(self, queue: Queue) -> None:
        self.fill(queue, 900)
        june = NOW + 150 * DAY
        assert isinstance(placed(queue, request(priority="low"), now=june, write=False)[0], Queued)
        assert isinstance(placed(queue, request(priority="low"), write=False)[0], CapacityReached)

    def test_does_not_bind_what_finished_jobs_ask_for(self, queue: Queue) -> None:
        self.fill(queue, 10_000)
        assert isinstance(placed(queue, request(), bounded=False)[0], Queued)

    def test_never_refuses_a_duplicate(self, queue: Queue) -> None:
        only(queue, request(key="k"))
        self.fill(queue, 10_000)
        assert only(queue, request(key="k")).duplicate
