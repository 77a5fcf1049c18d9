"""Why a job is where it is: a job that waits always has a reason, and the first is what it waits for now."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import HOUR, MINUTE, SECOND
from wedsync_ops.jobs.explain import Crew, Estimate, Facts, Held, Paused, explain
from wedsync_ops.jobs.model import FINISHED, Priority, State
from wedsync_ops.limits import Limit

NOW = 1_800_000_000_000_000
BUSY = Crew(workers=1, slots=4, busy=4)
LIMIT = Limit(name="gateway", kind="concurrent", count=2, per="supplier")


def facts(**values: Any) -> Facts:
    blank: dict[str, Any] = {
        "now": NOW,
        "id": 7,
        "state": State.AVAILABLE,
        "module_type": "email",
        "priority": Priority.NORMAL,
        "priority_reasons": ("asked for: normal",),
        "due_reasons": ("at once",),
        "due_at": NOW,
        "rank": NOW,
        "deadline_at": None,
        "expires_at": None,
        "next_change_at": None,
        "attempt": 0,
        "max_attempts": 3,
        "error": None,
        "p50_us": SECOND,
        "p95_us": 2 * SECOND,
        "crew": Crew(workers=1, slots=4, busy=0),
    }
    return Facts(**{**blank, **values})


def codes(**values: Any) -> list[str]:
    return [reason.code for reason in explain(facts(**values)).reasons]


def test_what_keeps_a_job_from_running() -> None:
    pause = Paused(what="supplier s1", by="ada", reason="asked for it", until=None)
    held = Held(name="gateway", key="s1", wake_at=NOW + SECOND, limit=LIMIT)
    assert codes(state=State.SCHEDULED, due_at=NOW + HOUR) == ["not_due"]
    assert codes(state=State.RETRYABLE, due_at=NOW + HOUR, error="no route") == ["retry"]
    assert codes(pauses=[pause]) == ["paused"]
    assert codes(held=held) == ["limit"]
    assert codes(crew=Crew()) == ["no_worker"]
    assert codes(crew=Crew(others=2)) == ["no_worker"]
    assert codes(crew=BUSY) == ["slots"]
    assert codes() == ["next"]
    assert codes(before=7, crew=BUSY) == ["behind"]
    assert codes(before=7, supplier_waits=8, supplier_id="s1", crew=BUSY) == ["fairness"]
    assert codes(before=7, higher=1, supplier_waits=8, supplier_id="s1", crew=BUSY) == ["behind"]
    assert codes(before=None, crew=BUSY) == ["behind"]
    assert codes(state=State.RUNNING, leased_by="w1") == []
    assert codes(state=State.RUNNING, leased_by="w1", asked_by="ada") == ["asked_to_stop"]
    assert codes(state=State.RUNNING, leased_by="w1", lease_is_alive=False) == ["worker_gone"]
    assert codes(state=State.SCHEDULED, due_at=NOW + HOUR, pauses=[pause], crew=Crew()) == [
        "not_due",
        "paused",
        "no_worker",
    ]


def test_the_words_name_what_to_do() -> None:
    pause = Paused(what="supplier s1", by="ada", reason="asked for it", until=NOW + HOUR)
    (reason,) = explain(facts(pauses=[pause])).reasons
    assert reason.words == "supplier s1 is paused until 2027-01-15T09:00:00.000000Z, by ada: asked for it"
    assert reason.sooner == "wedsync-ops queue resume --supplier s1"
    pause = Paused(what="module email", by="ada", reason=None, until=None)
    assert explain(facts(pauses=[pause])).reasons[0].sooner == "wedsync-ops queue resume email"
    pause = Paused(what="all", by="ada", reason=None, until=None)
    assert explain(facts(pauses=[pause])).reasons[0].sooner == "wedsync-ops queue resume --all"
    (reason,) = explain(facts(state=State.SCHEDULED, due_at=NOW + HOUR)).reasons
    assert reason.sooner == "wedsync-ops jobs reschedule 7 --at TIME"
    (reason,) = explain(facts(held=Held(name="gateway", key="s1", wake_at=None, limit=LIMIT))).reasons
    assert reason.words == "the limit gateway for s1 is used up (2 at once for each supplier)"
    assert reason.sooner == "raise the limit in the config file, or give the job a higher priority"
    for kind in ("rate", "window"):
        rate = Limit(name="gateway", kind=kind, count=2, span_us=HOUR)
        (reason,) = explain(facts(held=Held(name="gateway", key="", wake_at=NOW + HOUR, limit=rate))).reasons
        assert reason.words.endswith("is used up (2 in 3600 s); it has room again at 2027-01-15T09:00:00.000000Z")
        assert reason.sooner == "raise the limit in the config file"


def test_what_its_order_comes_from() -> None:
    deadline = NOW + HOUR
    hurried = explain(facts(deadline_at=deadline, rank=deadline - 3 * 2 * SECOND))
    assert hurried.rank_reason is not None
    assert "to be done by its deadline" in hurried.rank_reason
    fair = explain(facts(deadline_at=deadline, rank=NOW, supplier_id="s1")).rank_reason
    assert fair is not None
    assert fair.startswith("the fair turn of s1")


def test_when_it_will_start() -> None:
    assert explain(facts()).estimate == Estimate(NOW, NOW, NOW + 2 * SECOND)
    assert explain(facts(before=8, crew=BUSY)).estimate == Estimate(NOW + 3 * SECOND, NOW + SECOND, NOW + 8 * SECOND)
    due = NOW + HOUR
    assert explain(facts(state=State.SCHEDULED, due_at=due)).estimate == Estimate(due, due, due + 2 * SECOND)
    ending = Paused(what="all", by="ada", reason=None, until=NOW + MINUTE)
    found = explain(facts(pauses=[ending])).estimate
    assert found is not None
    assert found.at == NOW + MINUTE


def test_nobody_knows_when_a_job_starts_that_is_stopped_without_an_end() -> None:
    endless = Paused(what="all", by="ada", reason=None, until=None)
    for values in ({"pauses": [endless]}, {"crew": Crew()}, {"before": None, "crew": BUSY}):
        assert explain(facts(**values)).estimate is None


def test_what_has_ended_says_so() -> None:
    ended = explain(facts(state=State.DISCARDED, error="ValueError: no"))
    assert ended.summary == "it has ended: discarded, because: ValueError: no"
    assert ended.reasons == ()


WAITING = {
    "state": st.sampled_from([state for state in State if state not in FINISHED and state is not State.RUNNING]),
    "due_at": st.integers(NOW - HOUR, NOW + HOUR),
    "higher": st.integers(0, 10**6),
    "before": st.none() | st.integers(0, 10_000),
    "crew": st.builds(Crew, workers=st.just(1), slots=st.integers(1, 50), busy=st.integers(0, 60)) | st.just(Crew()),
    "supplier_waits": st.integers(0, 10_000),
    "supplier_id": st.none() | st.just("s1"),
    "pauses": st.just(()) | st.just([Paused(what="all", by="ada", reason=None, until=NOW + HOUR)]),
    "held": st.none() | st.just(Held(name="gateway", key="", wake_at=None, limit=LIMIT)),
}


@given(values=st.fixed_dictionaries(WAITING))
def test_nothing_that_waits_is_without_a_reason_or_starts_in_the_past(values: dict[str, Any]) -> None:
    why = explain(facts(**values))
    assert why.reasons
    assert why.summary.startswith("it waits: ")
    if why.estimate is not None:
        assert NOW <= why.estimate.earliest <= why.estimate.at <= why.estimate.latest
