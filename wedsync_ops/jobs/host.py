"""How busy this host is: cores, memory, network, as its own counters tell."""

import logging
from dataclasses import dataclass

import psutil

from wedsync_ops.clock import Clock

_LOG = logging.getLogger(__name__)
_BITS_PER_BYTE = 8
_MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class HostSample:
    """A host's load at an instant: percent of all cores and Mbps since the sample before, percent of memory.

    ``None`` where there was no sample before, or the host does not tell.
    """

    sampled_at: int
    cpu_percent: float | None
    memory_percent: float | None
    network_mbps: float | None


@dataclass(frozen=True, slots=True)
class Counters:
    """What a host has counted since it started: seconds of all its cores together, bytes over its network.

    ``at_s`` is a monotonic time.
    """

    at_s: float
    busy_s: float
    cores_s: float
    received: int
    sent: int


def cpu_percent(before: Counters, after: Counters) -> float | None:
    """The share of all cores that was busy in between; ``None`` when no time passed."""
    passed = after.cores_s - before.cores_s
    if passed <= 0:
        return None
    return min(max(100 * (after.busy_s - before.busy_s) / passed, 0.0), 100.0)


def network_mbps(before: Counters, after: Counters) -> float | None:
    """Mbps of the busier direction, since a link carries its capacity each way.

    ``None`` when no time passed, or an interface went away and took its counts along.
    """
    seconds = after.at_s - before.at_s
    received, sent = after.received - before.received, after.sent - before.sent
    if seconds <= 0 or received < 0 or sent < 0:
        return None
    return max(received, sent) * _BITS_PER_BYTE / _MEGA / seconds


class HostSampler:
    """Samples this host; rates are taken against the sample before, so each sampler keeps its own count."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: Counters | None = None

    def sample(self) -> HostSample:
        """The host's load now. The first sample has no rates; one that cannot be taken has nothing."""
        before, self._last = self._last, None
        now = self._clock.now()
        try:
            after, memory = _read(self._clock.monotonic()), float(psutil.virtual_memory().percent)
        except Exception as error:  # noqa: BLE001 - whatever a kernel's counters say: it is a measurement, no more
            _LOG.warning("this host cannot be sampled: %s: %s", type(error).__name__, error)
            return HostSample(now, None, None, None)
        self._last = after
        return HostSample(
            sampled_at=now,
            cpu_percent=None if before is None else cpu_percent(before, after),
            memory_percent=memory,
            network_mbps=None if before is None else network_mbps(before, after),
        )


def _read(at_s: float) -> Counters:
    cpu = psutil.cpu_times()._asdict()
    # Linux counts the time of virtual machines in "user" too.
    cores_s = sum(cpu.values()) - cpu.get("guest", 0.0) - cpu.get("guest_nice", 0.0)
    interfaces = [
        counted
        for name, counted in (psutil.net_io_counters(pernic=True) or {}).items()
        if name.rstrip("0123456789") != "lo"
    ]
    return Counters(
        at_s=at_s,
        busy_s=cores_s - cpu["idle"] - cpu.get("iowait", 0.0),
        cores_s=cores_s,
        received=sum(counted.bytes_recv for counted in interfaces),
        sent=sum(counted.bytes_sent for counted in interfaces),
    )
