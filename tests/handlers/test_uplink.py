"""Bandwidth: the bucket by itself with a clock of its own, and what really leaves for a mail server and a gateway."""

import asyncio
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.handlers import gateways
from tests.handlers.mailing import order, site_in
from tests.handlers.test_smtp import THANKS, Taking, serving
from wedsync_ops.handlers import gateway, smtp
from wedsync_ops.handlers.bucket import Bucket
from wedsync_ops.handlers.contract import Mail, RetryAfter, Site, Text
from wedsync_ops.handlers.uplink import LEAST_BURST, RETRY_S, Uplink
from wedsync_ops.jobs.run import Attempt

MBPS = 0.8  # 100,000 bytes a second


class Clock:
    """A clock that moves by what was slept."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@given(
    st.floats(1, 1e6),
    st.floats(1, 1e6),
    st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 100)), min_size=1, max_size=30),
)
def test_no_more_leaves_than_the_rate_and_one_burst(rate: float, burst: float, sends: list[tuple[int, float]]) -> None:
    bucket = Bucket(rate, burst, 0.0)
    now, total = 0.0, 0
    for size, pause in sends:
        now += pause + bucket.wait_s(size, now + pause)
        bucket.take(size, now)
        total += size
        assert total <= (burst + rate * now) * (1 + 1e-6) + 1e-3


def test_a_quiet_time_fills_the_bucket_no_further_than_its_burst() -> None:
    bucket = Bucket(10.0, 50.0, 0.0)
    bucket.take(50, 0.0)
    assert bucket.wait_s(20, 0.0) == 2.0
    assert bucket.wait_s(20, 1.0) == 1.0
    assert bucket.wait_s(50, 1000.0) == 0.0
    assert bucket.wait_s(60, 1000.0) == 1.0


def test_pieces_leave_whole_in_order_and_no_faster_than_allowed() -> None:
    clock = Clock()
    uplink = Uplink(MBPS, clock, clock.sleep)
    raw = bytes(range(256)) * 800
    uplink.begin(len(raw), clock.now + 60)
    assert b"".join(uplink.pieces(raw)) == raw
    assert uplink.sent == len(raw)
    assert clock.now - 1000.0 == pytest.approx((len(raw) - LEAST_BURST) / 100_000)


def test_what_cannot_leave_in_time_is_refused_before_a_byte_has_left() -> None:
    clock = Clock()
    uplink = Uplink(MBPS, clock, clock.sleep)
    with pytest.raises(
        RetryAfter, match=r"1,000,000 bytes take 9\.8 s at the network_bandwidth of 0\.8 Mbps"
    ) as raised:
        uplink.begin(1_000_000, clock.now + 5)
    assert raised.value.seconds == RETRY_S
    assert (uplink.sent, clock.now) == (0, 1000.0)


def test_nobody_sleeps_past_the_end_of_the_attempt() -> None:
    clock = Clock()
    uplink = Uplink(MBPS, clock, clock.sleep)
    uplink.begin(1, clock.now + 0.5)
    with pytest.raises(RetryAfter):
        for _ in uplink.pieces(bytes(200_000)):
            pass
    assert clock.now <= 1000.5
    assert 0 < uplink.sent < 200_000


def test_without_a_limit_nothing_waits_and_all_is_counted() -> None:
    clock = Clock()
    uplink = Uplink(clock=clock, sleep=clock.sleep)
    uplink.begin(10**12, clock.now)

    async def later() -> bytes:
        return b"".join([piece async for piece in uplink.pieces_later(bytes(300_000))])

    assert asyncio.run(later()) == bytes(300_000)
    assert (uplink.sent, clock.now) == (300_000, 1000.0)


def _attempt(site: Site, **limits: Any) -> Attempt:
    return Attempt(order(THANKS)._replace(**limits), site, 1_700_000_000_000_000, lambda _: None)


def _mail(size: int) -> Mail:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "us@example.com", "ada@example.com", "Photos"
    message.set_content(("x" * 70 + "\n") * (size // 71))
    return Mail(message)


def test_a_mail_takes_as_long_as_the_bandwidth_says_and_all_its_bytes_are_counted(tmp_path: Path) -> None:
    taking = Taking()
    with serving(taking) as port:
        attempt = _attempt(site_in(tmp_path, smtp_url=f"smtp://127.0.0.1:{port}"), network_mbps=MBPS)
        started = time.monotonic()
        attempt.deliver(_mail(60_000))
        took = time.monotonic() - started
        smtp.close()
    size = len(taking.taken[0])
    assert took >= (size - LEAST_BURST) / 100_000
    assert size < (attempt.bytes_sent or 0) < size + 500  # the commands beside it


def test_a_mail_for_which_there_is_no_time_is_tried_again_and_not_sent(tmp_path: Path) -> None:
    taking = Taking()
    with serving(taking) as port:
        site = site_in(tmp_path, smtp_url=f"smtp://127.0.0.1:{port}")
        attempt = _attempt(site, network_mbps=MBPS, timeout_s=2.0)
        with pytest.raises(RetryAfter, match="network_bandwidth"):
            attempt.deliver(_mail(400_000))
    assert taking.taken == []
    assert attempt.bytes_sent == 0


def test_a_kept_connection_obeys_each_job_s_own_limit(tmp_path: Path) -> None:
    taking = Taking()
    with serving(taking) as port:
        site = site_in(tmp_path, smtp_url=f"smtp://127.0.0.1:{port}")
        _attempt(site, network_mbps=MBPS).deliver(_mail(1_000))
        fast = _attempt(site, network_mbps=10_000.0)
        started = time.monotonic()
        fast.deliver(_mail(1_000_000))
        assert time.monotonic() - started < 9  # at the first one's limit it would take ten
        smtp.close()
    assert len(taking.taken) == 2


def test_a_text_is_counted_and_waits_for_its_turn(tmp_path: Path) -> None:
    with gateways.running() as server:
        site = site_in(tmp_path, sms_url=server.url)
        attempt = _attempt(site, network_mbps=MBPS)
        started = time.monotonic()
        attempt.deliver(Text("sms", "+441632960001", "x" * 50_000))
        took = time.monotonic() - started
        gateway.close()
    [(_, headers, body)] = server.requests
    assert len(body["body"]) == 50_000
    assert attempt.bytes_sent == int(headers["Content-Length"])
    assert took >= (attempt.bytes_sent - LEAST_BURST) / 100_000


def test_what_a_failed_delivery_has_sent_is_counted(tmp_path: Path) -> None:
    with gateways.running() as server:
        server.answers = [gateways.Answer(503)]
        attempt = _attempt(site_in(tmp_path, sms_url=server.url))
        with pytest.raises(gateway.GatewayFailed):
            attempt.deliver(Text("sms", "+441632960001", "hi"))
        gateway.close()
    assert (attempt.bytes_sent or 0) > 50
