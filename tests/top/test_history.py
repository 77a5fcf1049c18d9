"""The last minute of executions: each counted once, whatever a look can read."""

import pytest

from wedsync_ops.instants import SECOND
from wedsync_ops.metrics.spark import spark
from wedsync_ops.top.history import LOOK, OVERLAP, Execution, History

NOW = 1_800_000_000 * SECOND


def ran(number: int, ago_s: float, *, outcome: str = "ok", duration_us: int | None = 1000) -> Execution:
    return Execution(number, round(NOW - ago_s * SECOND), outcome, duration_us, 5000)


def test_nothing_known_is_not_zero_but_for_the_rate() -> None:
    pace = History().pace(NOW)
    assert (pace.per_s, pace.lately_per_s) == (0, 0)
    assert (pace.error_rate, pace.p50_ms, pace.p95_ms, pace.p99_ms, pace.wait_p95_ms) == (None,) * 5
    assert list(pace.rates) == [0] * 30
    assert list(pace.p95s_ms) == [None] * 30


def test_what_two_looks_see_is_counted_once() -> None:
    history = History()
    history.add([ran(2, 3), ran(1, 4)], NOW - SECOND)
    history.add([ran(3, 2.5), ran(2, 3), ran(1, 4)], NOW)
    assert history.pace(NOW).per_s == pytest.approx(3 / 60)


def test_an_execution_that_was_committed_late_is_counted_although_its_id_is_smaller() -> None:
    history = History()
    history.add([ran(3, 3)], NOW - SECOND)
    history.add([ran(3, 3), ran(2, 3)], NOW)
    assert history.pace(NOW).per_s == pytest.approx(2 / 60)


def test_a_look_need_not_read_again_what_is_long_counted() -> None:
    history = History()
    assert history.after < 0
    history.add([ran(n, 3) for n in range(500, 0, -1)], NOW - SECOND)
    assert history.after == 500 - OVERLAP
    history.add([ran(n, 3) for n in range(505, history.after, -1)], NOW)
    assert history.pace(NOW).per_s == pytest.approx(505 / 60)
    history.add([], NOW)
    assert history.after == 505 - OVERLAP


def test_lost_and_cancelled_ones_are_in_no_rate_and_no_time() -> None:
    history = History()
    outcomes = ("ok", "ok", "ok", "timeout", "lost", "cancelled")
    history.add([ran(n, 5, outcome=outcome, duration_us=(n + 1) * 1000) for n, outcome in enumerate(outcomes)], NOW)
    pace = history.pace(NOW)
    assert pace.per_s == pytest.approx(4 / 60)
    assert pace.error_rate == pytest.approx(25)
    assert (pace.p50_ms, pace.p99_ms, pace.wait_p95_ms) == (2.0, 4.0, 5.0)


def test_only_the_last_minute_counts_and_steps_are_in_order() -> None:
    history = History()
    history.add([ran(3, 1.5, duration_us=9000), ran(2, 59.5), ran(1, 61)], NOW)
    pace = history.pace(NOW)
    assert pace.per_s == pytest.approx(2 / 60)
    assert (pace.rates[0], pace.rates[-1]) == (0.5, 0.5)
    assert (pace.p95s_ms[0], pace.p95s_ms[-1]) == (1.0, 9.0)
    assert pace.lately_per_s == pytest.approx(0.1)


def test_more_than_a_look_reads_is_counted_by_ids() -> None:
    history = History()
    history.add([ran(1, 10)], NOW - 4 * SECOND)
    newest = [ran(n, 1) for n in range(3001, 3001 - LOOK, -1)]
    history.add(newest, NOW)
    assert history.pace(NOW + 2 * SECOND).per_s == pytest.approx(3001 / 60)


def test_what_is_old_is_forgotten() -> None:
    history = History()
    history.add([ran(n, 0) for n in range(50)], NOW)
    history.add([], NOW + 300 * SECOND)
    assert history.pace(NOW).per_s == 0


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([None, 1.0, None], " █ "),
        ([0, 1, 2, 4, 8], "▁▂▃▅█"),
        ([0.0001, 8], "▂█"),
    ],
)
def test_a_sparkline_is_as_high_as_its_values(values: list[float | None], drawn: str) -> None:
    assert spark(values) == drawn


def test_a_sparkline_in_ascii_and_against_a_given_top() -> None:
    assert spark([0, 50, 100], top=100, ascii_only=True) == "_=#"
    assert spark([1], top=100) == "▂"
