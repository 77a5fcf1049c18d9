"""When breakers open, are tried, open again for longer, and close."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.emergencies.breaker import (
    IDLE_US,
    Breaker,
    BreakerState,
    Key,
    Policy,
    Ran,
    advance,
    failing,
    opened,
)
from wedsync_ops.instants import MINUTE, SECOND

NOW = 1_800_000_000 * SECOND
POLICY = Policy(80.0, 20, 60 * SECOND, 30 * SECOND, 10 * MINUTE, 3)
OVER = {"email": "smtp", "form": "smtp", "sms": "gateway", "page": None}


def ran(*well: bool, ago_s: float = 1) -> list[Ran]:
    at = NOW - round(ago_s * SECOND)
    return [Ran(at - 1000, at, ok) for ok in well]


def test_a_module_type_that_fails_is_named_with_the_share() -> None:
    found = failing(NOW, {"email": ran(*[False] * 17, *[True] * 3)}, OVER, [], POLICY)
    assert found == {Key("module", "email"): "85 % of the latest 20 executions of email failed"}


def test_a_few_failures_or_too_few_executions_open_nothing() -> None:
    assert failing(NOW, {"email": ran(*[False] * 15, *[True] * 5)}, OVER, [], POLICY) == {}
    assert failing(NOW, {"email": ran(*[False] * 19)}, OVER, [], POLICY) == {}


def test_what_is_longer_ago_than_the_window_does_not_count() -> None:
    assert failing(NOW, {"email": ran(*[False] * 20, ago_s=61)}, OVER, [], POLICY) == {}


def test_a_provider_is_named_where_all_that_ran_over_it_fails() -> None:
    found = failing(NOW, {"email": ran(*[False] * 15), "form": ran(*[False] * 5)}, OVER, [], POLICY)
    assert list(found) == [Key("provider", "smtp")]


def test_only_the_module_type_is_named_where_another_over_the_same_provider_goes_well() -> None:
    found = failing(NOW, {"email": ran(*[False] * 20), "form": ran(*[True] * 5)}, OVER, [], POLICY)
    assert list(found) == [Key("module", "email")]


def test_what_a_breaker_covers_already_opens_no_second_one() -> None:
    known = opened(Key("provider", "smtp"), 1, "x", NOW, POLICY)
    assert failing(NOW, {"email": ran(*[False] * 20)}, OVER, [known], POLICY) == {}


def breaker(**values: Any) -> Breaker:
    return replace(opened(Key("module", "email"), 1, "x", NOW, POLICY), **values)


def test_an_open_breaker_is_tried_after_its_cool_down_and_not_before() -> None:
    first = breaker()
    assert advance(first, NOW + 29 * SECOND, [], POLICY)[0] == first
    tried, _ = advance(first, NOW + 30 * SECOND, [], POLICY)
    assert tried is not None
    assert tried.state is BreakerState.HALF_OPEN


def test_probes_that_go_well_close_it_and_those_from_before_do_not_count() -> None:
    half = breaker(state=BreakerState.HALF_OPEN, changed_at=NOW, until=None)
    before = ran(True, True, True)
    assert advance(half, NOW + SECOND, before, POLICY)[0] == half
    after = [Ran(NOW + 1, NOW + 2, ok=True)] * 3
    assert advance(half, NOW + SECOND, after, POLICY) == (None, "3 probes in a row went well")


def test_each_probe_that_fails_opens_it_for_twice_as_long_up_to_the_longest() -> None:
    current, at, pauses = breaker(), NOW, []
    for _ in range(8):
        assert current.until is not None
        at = current.until
        half, _ = advance(current, at, [], POLICY)
        assert half is not None
        again, _ = advance(half, at + SECOND, [Ran(at + 1, at + 2, ok=False)], POLICY)
        assert again is not None
        assert again.until is not None
        pauses.append((again.until - again.changed_at) // SECOND)
        current = again
    assert pauses == [60, 120, 240, 480, 600, 600, 600, 600]


def test_a_breaker_that_nothing_comes_to_try_is_closed_in_the_end() -> None:
    half = breaker(state=BreakerState.HALF_OPEN, changed_at=NOW, until=None)
    assert advance(half, NOW + IDLE_US - 1, [], POLICY)[0] == half
    assert advance(half, NOW + IDLE_US, [], POLICY)[0] is None


@given(st.lists(st.booleans(), max_size=60), st.integers(5, 40))
def test_a_breaker_opens_if_and_only_if_the_share_is_reached(well: list[bool], latest: int) -> None:
    policy = POLICY._replace(latest=latest)
    seen = well[:latest]
    bad = len(seen) == latest and sum(not ok for ok in seen) * 100 >= 80 * latest
    assert bool(failing(NOW, {"page": ran(*well)}, OVER, [], policy)) == bad


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_looking_twice_at_one_moment_changes_nothing_more(well: list[bool]) -> None:
    probes = [Ran(NOW + place, NOW + place + 1, ok=ok) for place, ok in enumerate(well)]
    half = breaker(state=BreakerState.HALF_OPEN, changed_at=NOW, until=None)
    first, _ = advance(half, NOW + SECOND, probes, POLICY)
    if first is not None:
        assert advance(first, NOW + SECOND, probes, POLICY)[0] == first
