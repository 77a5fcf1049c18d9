from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.metrics import aggregate
from wedsync_ops.metrics.model import Counts, HostLoad, Range, Spread, Tally

MINUTE = 60_000_000
HOUR = Range(0, 60 * MINUTE)
DURATIONS = st.lists(st.integers(0, 10**10), max_size=60)


def spread(values: Sequence[int]) -> Spread:
    return Spread(sorted(values), None, sum(values))


def counted(values: Sequence[int]) -> Spread:
    distinct = sorted(set(values))
    return Spread(distinct, [list(values).count(value) for value in distinct], sum(values))


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 15), (5, 15), (20, 15), (21, 20), (30, 20), (40, 20), (50, 35), (95, 50), (100, 50)]
)
def test_a_percentile_is_the_nearest_rank_and_never_between_two_values(percent: int, expected: int) -> None:
    assert aggregate.percentile(spread([15, 20, 35, 40, 50]), percent) == expected


def test_ranks_are_reckoned_in_whole_numbers() -> None:
    # 0.55 * 100 is a little more than 55 as a float; its ceiling would be the 56th value.
    assert aggregate.percentile(spread(range(1, 101)), 55) == 55


def test_there_is_no_percentile_of_nothing() -> None:
    assert aggregate.percentile(Spread(), 50) is None
    assert aggregate.percentile(Spread([], []), 50) is None


@given(DURATIONS.filter(bool), st.integers(1, 100))
def test_at_least_so_many_percent_do_not_exceed_a_percentile_and_fewer_lie_below(values: list[int], p: int) -> None:
    found = aggregate.percentile(spread(values), p)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= p * len(values)
    assert 100 * sum(value < found for value in values) < p * len(values)


@given(DURATIONS, st.integers(1, 100))
def test_durations_give_the_same_percentile_counted_or_listed(values: list[int], percent: int) -> None:
    assert aggregate.percentile(counted(values), percent) == aggregate.percentile(spread(values), percent)


@given(st.lists(st.tuples(DURATIONS, st.booleans()), max_size=4))
def test_merged_spreads_say_what_one_spread_of_all_would(parts: list[tuple[list[int], bool]]) -> None:
    together = aggregate.merged([counted(values) if grouped else spread(values) for values, grouped in parts])
    everything = [value for values, _ in parts for value in values]
    assert aggregate.times(together) == aggregate.times(spread(everything))


def test_the_average_is_exact_where_values_are_rounded() -> None:
    assert aggregate.times(Spread([1005], [3], 3010)).average_ms == pytest.approx(3010 / 3 / 1000)


def test_lost_and_cancelled_count_in_neither_rate() -> None:
    counts = Counts(ok=6, error=1, timeout=1, oom=1, killed=1, lost=50, cancelled=40)
    assert (counts.failed, counts.ran, counts.total) == (4, 10, 100)
    assert aggregate.error_rate(counts) == 40.0
    assert aggregate.throughput(counts, HOUR) == pytest.approx(10 / 60)


def test_without_executions_there_are_no_rates() -> None:
    assert aggregate.error_rate(Counts()) is None
    assert aggregate.throughput(Counts(), HOUR) is None


def test_with_lost_executions_only_the_throughput_is_known_and_the_error_rate_is_not() -> None:
    assert aggregate.error_rate(Counts(lost=3)) is None
    assert aggregate.throughput(Counts(lost=3), HOUR) == 0.0


def test_a_range_without_length_has_no_throughput() -> None:
    assert aggregate.throughput(Counts(ok=1), Range(5, 5)) is None


def test_usage_is_in_the_units_of_the_contract() -> None:
    tally = Tally(cpu_us=500, cpu_wall_us=2000, memory_kb=2048.0, bytes_sent=512.0, queue_wait_us=1500.0)
    used = aggregate.usage(tally)
    assert (used.cpu_percent, used.memory_mb, used.network_kb, used.queue_wait_ms) == (25.0, 2.0, 0.5, 1.5)


def test_a_measured_zero_is_not_taken_for_unknown() -> None:
    used = aggregate.usage(Tally(cpu_us=0, cpu_wall_us=10, memory_kb=0.0, bytes_sent=0.0, queue_wait_us=0.0))
    assert (used.cpu_percent, used.memory_mb, used.network_kb, used.queue_wait_ms) == (0.0, 0.0, 0.0, 0.0)


def test_utilization_is_percent_of_what_there_is() -> None:
    found = aggregate.utilization(HostLoad(40.0, 60.0, 250.0), 30, seconds=60, network_capacity_mbps=500)
    assert (found.cpu_percent, found.memory_percent, found.network_percent) == (40.0, 60.0, 50.0)
    assert found.executions_per_s == 0.5


def test_utilization_without_samples_and_executions_is_unknown() -> None:
    found = aggregate.utilization(HostLoad(None, None, None), 0, seconds=60, network_capacity_mbps=500)
    assert found.network_percent is None
    assert found.executions_per_s is None
