"""Clocks: the machine's, and a server's reckoned from it."""

import time

import pytest

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


class SetMonotonic:
    """A monotonic source that the test sets, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> int:
        return round(self.seconds * 1_000_000_000)


class TestAdjust:
    @pytest.fixture
    def source(self) -> SetMonotonic:
        return SetMonotonic()

    @pytest.fixture
    def clock(self, source: SetMonotonic) -> OffsetClock:
        return OffsetClock(500 * SECOND, source)

    def test_after_a_suspension_the_time_is_the_server_s_again(self, clock: OffsetClock, source: SetMonotonic) -> None:
        source.seconds += 1
        assert (clock.now(), clock.monotonic()) == (501 * SECOND, 1001.0)
        clock.adjust(541 * SECOND, within_us=1000)
        assert clock.now() == 541 * SECOND
        source.seconds += 2
        assert clock.now() == 543 * SECOND

    def test_what_may_be_right_is_left_alone(self, clock: OffsetClock, source: SetMonotonic) -> None:
        """The server said it at some moment between asking and hearing; a slow answer proves nothing."""
        source.seconds += 3
        for server_now in (503 * SECOND, 501 * SECOND, 500 * SECOND):
            clock.adjust(server_now, within_us=3 * SECOND)
            assert clock.now() == 503 * SECOND
        source.seconds += 1
        assert clock.now() == 504 * SECOND

    def test_a_time_that_is_ahead_never_runs_backwards_but_half_as_fast(
        self, clock: OffsetClock, source: SetMonotonic
    ) -> None:
        clock.adjust(490 * SECOND, within_us=0)
        said = []
        for _ in range(30):
            said.append(clock.now() / SECOND)
            source.seconds += 1
        assert said[:20] == [500 + n / 2 for n in range(20)]
        assert said[20:] == [490.0 + n for n in range(20, 30)]

    def test_it_is_adjusted_time_and_again(self, clock: OffsetClock, source: SetMonotonic) -> None:
        """A server whose clock runs 1 % slow, then is put forward."""
        server = 500 * SECOND
        before = clock.now()
        for _ in range(1000):
            source.seconds += 0.1
            server += 99_000
            clock.adjust(server, within_us=0)
            assert before <= clock.now() <= server + 2000
            before = clock.now()
        clock.adjust(server + SECOND, within_us=0)
        assert clock.now() == server + SECOND


def test_the_server_s_clock_agrees_with_this_machine_s_when_it_runs_here(database: Database) -> None:
    clock = database.server_clock()
    assert isinstance(clock, SystemClock if database.is_sqlite else OffsetClock)
    assert abs(clock.now() - SystemClock().now()) < 5 * SECOND
