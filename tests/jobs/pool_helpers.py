"""What the tests of the pool share: orders, and waiting for outcomes."""

import json
import os
import select
from pathlib import Path
from typing import Any

from wedsync_ops.clock import SystemClock
from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.model import Order, Outcome
from wedsync_ops.jobs.pool import Pool

HANDLERS = "tests.jobs.pool_handlers"
LONG_S = 60.0


def site(folder: Path) -> Site:
    return Site(outbox=folder / "outbox", timezone="UTC", public_url="http://localhost", mail_from="us@example.com")


def pool(folder: Path, size: int = 1, **options: Any) -> Pool:
    return Pool(size=size, site=site(folder), clock=SystemClock(), **options)


def order(handler: str, config: dict[str, Any] | None = None, job_id: int = 1, **changes: Any) -> Order:
    given: dict[str, Any] = {
        "job_id": job_id,
        "token": 11,
        "attempt": 2,
        "handler": handler if ":" in handler else f"{HANDLERS}:{handler}",
        "config": json.dumps(config or {}).encode(),
        "context": b'{"client_id": "c1"}',
        "idempotency_key": f"key-{job_id}",
        "timeout_s": 30.0,
        "memory_mb": 512,
        "cpu_s": 30.0,
    }
    return Order(**(given | changes))


def outcomes(slots: Pool, count: int = 1) -> list[Outcome]:
    """The next outcomes, as many as asked for."""
    found: list[Outcome] = []
    while len(found) < count:
        got, _ = slots.wait(LONG_S)
        assert got, "no outcome in a minute"
        found += got
    return found


def run(slots: Pool, wanted: Order) -> Outcome:
    slots.start(wanted)
    return outcomes(slots)[0]


def result(outcome: Outcome) -> dict[str, Any]:
    assert outcome.data is not None, outcome
    value = json.loads(outcome.data)
    assert isinstance(value, dict)
    return value


def watch(pid: int) -> int:
    """A descriptor that tells of a process's death, to be taken while it lives."""
    return os.pidfd_open(pid)


def dies(pidfd: int, slots: Pool | None = None) -> bool:
    """Whether a watched process dies, while the pool is at work or on its own."""
    if slots is not None:
        return pidfd in slots.wait(LONG_S, (pidfd,))[1]
    return bool(select.select([pidfd], [], [], LONG_S)[0])


def gone(pid: int) -> bool:
    """Whether there is no such process any more, not even a dead one that nobody waited for."""
    return not Path(f"/proc/{pid}").exists()
