"""Clocks: the machine's, and a server's reckoned from it."""

import time

from wedsync_ops.clock import OffsetClock, SystemClock
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND


def test_the_system_clock_is_the_machine_s() -> None:
    clock = SystemClock()
    before = time.time_ns() // 1000
    assert before <= clock.now() <= time.time_ns() // 1000
    first = clock.monotonic()
    assert first <= clock.monotonic() <= time.monotonic()


def test_an_offset_clock_goes_on_from_the_server_s_instant() -> None:
    for start in (0, 5_000_000_000_000_000):
        clock = OffsetClock(start)
        first = clock.now()
        assert start <= first <= clock.now() < start + 60 * SECOND
        assert abs(clock.monotonic() - time.monotonic()) < 60


def test_the_server_s_clock_agrees_with_this_machine_s_when_it_runs_here(database: Database) -> None:
    clock = database.server_clock()
    assert isinstance(clock, SystemClock if database.is_sqlite else OffsetClock)
    assert abs(clock.now() - SystemClock().now()) < 5 * SECOND
