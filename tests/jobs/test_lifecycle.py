"""What the end of an execution makes of its job, outcome by outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import DAY, SECOND
from wedsync_ops.jobs.lifecycle import interrupt, lose, resolve
from wedsync_ops.jobs.model import FAILED, Claimed, Outcome, Priority, Result, State, Transition
from wedsync_ops.modules.model import Retry

NOW = 1_800_000_000 * SECOND
JOB = Claimed(
    id=1,
    token=7,
    attempt=1,
    max_attempts=3,
    module_type="email",
    module_version=1,
    priority=Priority.NORMAL,
    rank=0,
    due_at=NOW - SECOND,
    expires_at=None,
    deadline_at=None,
    losses=2,
    kills=0,
    wedding_on=None,
    timezone=None,
    vendor_type=None,
    supplier_id=None,
    key=None,
    config=b"{}",
    context=b"{}",
)
RETRY = Retry(attempts=3, backoff="exponential", delay=2000.0)
FAILURE = Outcome(1, 7, 1, Result.ERROR, NOW - SECOND, SECOND, error="SMTP said no")


def settled(job: Claimed, outcome: Outcome) -> Transition:
    return resolve(job, outcome, now=NOW, retry=RETRY, rand=0.5, kill_limit=3)


def test_ok_completes() -> None:
    made = settled(JOB, FAILURE._replace(result=Result.OK, error=None))
    assert made == Transition(State.COMPLETED, 1, 2, 0, None, None, "completed")


def test_cancelled_stays_cancelled() -> None:
    made = settled(JOB, FAILURE._replace(result=Result.CANCELLED))
    assert (made.state, made.attempt, made.due_at, made.error) == (State.CANCELLED, 1, None, "SMTP said no")


@pytest.mark.parametrize(
    ("asked", "waited"), [(600.0, 600 * SECOND), (0.0, SECOND), (1e300, 7 * DAY), (float("nan"), SECOND)]
)
def test_what_its_handler_puts_off_is_due_later_and_gets_its_attempt_back(asked: float, waited: int) -> None:
    made = settled(JOB._replace(attempt=3), FAILURE._replace(result=Result.CANCELLED, retry_after_s=asked))
    assert made[:6] == (State.SCHEDULED, 2, 2, 0, NOW + waited, "SMTP said no")
    assert made.reason.startswith("put off by ")


def test_what_this_worker_cannot_run_waits_for_another_and_counts_for_nothing() -> None:
    made = settled(JOB, FAILURE._replace(result=Result.LOST, permanent=True, error="it has no handler"))
    assert made[:6] == (State.AVAILABLE, 0, 2, 0, None, "it has no handler")
    assert made.reason == "it has no handler; it waits for a worker that can, and the attempt is given back"


@pytest.mark.parametrize("result", FAILED)
def test_a_failure_is_retried_by_the_rule_and_keeps_its_error(result: Result) -> None:
    made = settled(JOB._replace(attempt=2), FAILURE._replace(result=result))
    assert (made.state, made.attempt, made.losses) == (State.RETRYABLE, 2, 2)
    assert made.due_at == NOW + 4 * SECOND
    assert made.error == "SMTP said no"
    assert made.reason == f"attempt 2 of 3 ended as {result.value}; retried after 4.0 s"


@pytest.mark.parametrize("result", FAILED)
def test_the_last_attempt_discards(result: Result) -> None:
    made = settled(JOB._replace(attempt=3), FAILURE._replace(result=result))
    assert (made.state, made.due_at, made.error) == (State.DISCARDED, None, "SMTP said no")
    assert made.reason == "all attempts are used up (3 of 3)"


def test_never_retry_discards_at_the_first_attempt() -> None:
    made = settled(JOB, FAILURE._replace(permanent=True, retry_after_s=5))
    assert (made.state, made.error) == (State.DISCARDED, "SMTP said no")
    assert "never to retry" in made.reason


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (0, 0),
        (90.5, 90_500_000),
        (-5, 0),
        (7 * 86_400, 7 * DAY),
        (1e300, 7 * DAY),
        (float("inf"), 7 * DAY),
        (float("nan"), 2 * SECOND),
    ],
)
def test_retry_after_waits_as_the_handler_asked_within_bounds(asked: float, waited: int) -> None:
    made = settled(JOB, FAILURE._replace(retry_after_s=asked))
    assert (made.state, made.due_at) == (State.RETRYABLE, NOW + waited)


def test_retry_after_costs_an_attempt() -> None:
    made = settled(JOB._replace(attempt=3), FAILURE._replace(retry_after_s=5))
    assert made.state is State.DISCARDED


def test_the_third_kill_quarantines_even_with_attempts_left() -> None:
    killed = FAILURE._replace(result=Result.KILLED, error=None)
    many = JOB._replace(max_attempts=10)
    second = settled(many._replace(kills=1), killed)
    assert (second.state, second.kills) == (State.RETRYABLE, 2)
    third = settled(many._replace(kills=2, attempt=3), killed)
    assert (third.state, third.kills) == (State.DISCARDED, 3)
    assert third.reason == "quarantined: its execution was killed 3 times"
    assert third.error == "the execution ended as killed"


def test_other_failures_are_no_kills() -> None:
    made = settled(JOB._replace(kills=2), FAILURE._replace(result=Result.TIMEOUT))
    assert (made.state, made.kills) == (State.RETRYABLE, 2)


def test_an_execution_that_a_stop_broke_off_costs_nothing() -> None:
    made = settled(JOB._replace(attempt=3, kills=1), FAILURE._replace(result=Result.LOST))
    assert made == interrupt(3, 2, 1)
    assert (made.state, made.attempt, made.losses, made.kills, made.due_at) == (State.AVAILABLE, 2, 2, 1, None)
    assert interrupt(0, 0, 0).attempt == 0


def test_a_lost_execution_gives_its_attempt_back_and_is_counted() -> None:
    made = lose(2, 4, 1, now=NOW, loss_limit=20)
    assert (made.state, made.attempt, made.losses, made.kills) == (State.AVAILABLE, 1, 5, 1)
    assert (made.due_at, made.error) == (None, None)
    assert "loss 5 of 20" in made.reason


def test_twenty_losses_quarantine() -> None:
    made = lose(1, 19, 0, now=NOW, loss_limit=20)
    assert (made.state, made.losses, made.due_at) == (State.DISCARDED, 20, None)
    assert made.reason.startswith("quarantined: its worker died 20 times")
    assert made.error == made.reason
    assert "died once" in lose(1, 0, 0, now=NOW, loss_limit=1).reason


@given(
    st.sampled_from(Result),
    st.integers(1, 60),
    st.integers(1, 50),
    st.integers(0, 5),
    st.booleans(),
    st.none() | st.floats(),
    st.floats(0, 1, exclude_max=True),
)
def test_every_outcome_has_one_sound_transition(
    result: Result,
    attempt: int,
    max_attempts: int,
    kills: int,
    permanent: bool,
    after: float | None,
    rand: float,
) -> None:
    job = JOB._replace(attempt=attempt, max_attempts=max_attempts, kills=kills)
    outcome = FAILURE._replace(result=result, permanent=permanent, retry_after_s=after)
    made = resolve(job, outcome, now=NOW, retry=RETRY, rand=rand, kill_limit=3)
    assert made.reason
    put_off = result is Result.CANCELLED and after is not None
    assert made.attempt == attempt - (result is Result.LOST or put_off)
    assert made.kills == kills + (result is Result.KILLED)
    assert (made.due_at is not None) is (made.state in (State.RETRYABLE, State.SCHEDULED))
    if made.due_at is not None:
        assert NOW <= made.due_at <= NOW + 7 * DAY
        if result is not Result.LOST and not put_off:
            assert attempt < max_attempts
            assert not permanent
    if result in FAILED:
        assert made.state in (State.RETRYABLE, State.DISCARDED)
        assert made.error == "SMTP said no"


class TestDeadline:
    def retried(self, deadline_in: int, *, p95_us: int = 10 * SECOND, **changes: object) -> Transition:
        job = JOB._replace(deadline_at=NOW + deadline_in)
        outcome = FAILURE._replace(**changes)  # type: ignore[arg-type]
        return resolve(job, outcome, now=NOW, retry=RETRY, rand=0.0, kill_limit=3, p95_us=p95_us)

    @pytest.mark.parametrize(
        ("deadline_in", "waited"),
        [
            (DAY, 1_800_000),  # far: as the rule says
            (11_800_000, 1_800_000),  # the last safe moment is just then
            (11 * SECOND, SECOND),  # brought forward to it
            (10 * SECOND, 0),  # now or never
            (SECOND, 0),  # the last safe moment is over, the deadline is not
            (0, 1_800_000),  # nothing left to hurry for
            (-DAY, 1_800_000),
        ],
    )
    def test_no_retry_is_planned_past_the_last_safe_moment(self, deadline_in: int, waited: int) -> None:
        assert self.retried(deadline_in).due_at == NOW + waited

    def test_it_says_so(self) -> None:
        assert self.retried(11 * SECOND).reason.endswith("retried after 1.0 s, before its deadline")
        assert self.retried(DAY, retry_after_s=60).reason.endswith("retried after 60.0 s, as the handler asked")
        assert self.retried(30 * SECOND, retry_after_s=60).due_at == NOW + 20 * SECOND

    @given(st.integers(-DAY, DAY), st.integers(0, DAY), st.floats(0, 0.999), st.floats(0, 90_000))
    def test_a_retry_never_waits_longer_and_ends_in_time_where_it_can(
        self, deadline_in: int, p95_us: int, rand: float, asked: float
    ) -> None:
        job = JOB._replace(deadline_at=NOW + deadline_in)
        outcome = FAILURE._replace(retry_after_s=asked)
        usual = resolve(JOB, outcome, now=NOW, retry=RETRY, rand=rand, kill_limit=3)
        made = resolve(job, outcome, now=NOW, retry=RETRY, rand=rand, kill_limit=3, p95_us=p95_us)
        assert made.due_at is not None
        assert NOW <= made.due_at <= (usual.due_at or 0)
        if p95_us < deadline_in:
            assert made.due_at + p95_us <= NOW + deadline_in
