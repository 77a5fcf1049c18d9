import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from wedsync_ops.clock import SystemClock
from wedsync_ops.jobs.host import Counters, HostSampler, cpu_percent, network_mbps
from wedsync_ops.testing.clock import FakeClock

BEFORE = Counters(at_s=100.0, busy_s=50.0, cores_s=200.0, received=1_000_000, sent=5_000_000)


def test_the_first_sample_has_no_rates_because_nothing_came_before() -> None:
    sample = HostSampler(SystemClock()).sample()
    assert sample.cpu_percent is None
    assert sample.network_mbps is None
    assert sample.memory_percent is not None
    assert 0 < sample.memory_percent <= 100


def test_a_later_sample_has_rates_of_the_time_between() -> None:
    clock = FakeClock()
    sampler = HostSampler(clock)
    sampler.sample()
    clock.advance("1s")
    sum(i * i for i in range(2_000_000))  # long enough for the kernel's 10 ms ticks to move
    sample = sampler.sample()
    assert sample.sampled_at == clock.now()
    assert sample.cpu_percent is not None
    assert 0 < sample.cpu_percent <= 100
    assert sample.network_mbps is not None
    assert sample.network_mbps >= 0


def test_two_samplers_do_not_disturb_each_other() -> None:
    one, other = HostSampler(SystemClock()), HostSampler(SystemClock())
    one.sample()
    assert other.sample().cpu_percent is None


def test_cpu_is_the_busy_share_of_all_cores() -> None:
    assert cpu_percent(BEFORE, replace(BEFORE, busy_s=53.0, cores_s=204.0)) == 75.0


@pytest.mark.parametrize(("busy_s", "expected"), [(49.0, 0.0), (60.0, 100.0)])
def test_counters_that_stagger_stay_within_a_percentage(busy_s: float, expected: float) -> None:
    assert cpu_percent(BEFORE, replace(BEFORE, busy_s=busy_s, cores_s=204.0)) == expected


def test_without_time_between_nothing_is_known() -> None:
    assert cpu_percent(BEFORE, BEFORE) is None
    assert network_mbps(BEFORE, BEFORE) is None


def test_the_network_is_measured_by_its_busier_direction() -> None:
    after = replace(BEFORE, at_s=102.0, received=1_500_000, sent=15_000_000)
    assert network_mbps(BEFORE, after) == 40.0


def test_an_interface_that_went_away_leaves_the_network_unknown() -> None:
    assert network_mbps(BEFORE, replace(BEFORE, at_s=101.0, received=0)) is None


def test_a_host_that_cannot_be_read_has_no_figures_and_later_has_them_again() -> None:
    sampler = HostSampler(SystemClock())
    sampler.sample()
    with no_descriptors_left():
        sample = sampler.sample()
    assert (sample.cpu_percent, sample.memory_percent, sample.network_mbps) == (None, None, None)
    sample = sampler.sample()
    assert sample.memory_percent is not None
    assert sample.cpu_percent is None


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """This process can open no file, as when it has too many open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
