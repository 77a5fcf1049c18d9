"""One attempt at a job, without a queue: what ``perform`` runs and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wedsync_ops import codec
from wedsync_ops.handlers.contract import Handler, Mail, Page, Site, Text
from wedsync_ops.jobs.model import Order, Result
from wedsync_ops.testing.clock import FakeClock
from wedsync_ops.testing.slots import SeenAttempt, is_for_pytest

_LONG_S = 3600.0


@dataclass(frozen=True, slots=True)
class Performed:
    """What one attempt came to.

    ``data`` is the result as JSON would give it back; ``error`` is the line that the execution would keep, ``raised``
    the exception itself. ``retry_after_s`` is what the handler asked for. ``delivered`` and ``queued`` are what it
    handed to ``run.deliver`` and ``run.enqueue``; a job is queued only when the attempt is ``ok``.
    """

    result: Result
    data: Mapping[str, Any] | None
    error: str | None
    raised: BaseException | None
    is_permanent: bool
    retry_after_s: float | None
    log: Sequence[str]
    delivered: Sequence[Mail | Page | Text]
    queued: Sequence[Mapping[str, Any]]

    @property
    def is_ok(self) -> bool:
        """Whether the handler did what it should."""
        return self.result is Result.OK


@dataclass(frozen=True, slots=True)
class Try:
    """What an attempt is made with. ``key`` is the idempotency key, ``suppressed`` why nobody may be written to."""

    job_id: int
    attempt: int
    key: str
    suppressed: str | None


def carried_out(
    target: Handler | str,
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    *,
    given: Try,
    site: Site,
    clock: FakeClock,
) -> Performed:
    """Run a handler, itself or by its name, as an attempt at a job. Raises InvalidJson for what no job could hold."""
    order = Order(
        job_id=given.job_id,
        token=1,
        attempt=given.attempt,
        handler=target if isinstance(target, str) else getattr(target, "__qualname__", "handler"),
        config=codec.dumps_checked(dict(config), "the config"),
        context=codec.dumps_checked(dict(context), "the context"),
        idempotency_key=given.key,
        timeout_s=_LONG_S,
        memory_mb=0,
        cpu_s=_LONG_S,
        suppressed=given.suppressed,
    )
    log: list[str] = []
    attempt = SeenAttempt(order, site, clock.now(), log.append, None if isinstance(target, str) else target)
    verdict = attempt.perform()
    if attempt.raised is not None and is_for_pytest(attempt.raised):
        raise attempt.raised
    return Performed(
        result=verdict.result,
        data=None if verdict.data is None else codec.load_object(verdict.data, "the result"),
        error=verdict.error,
        raised=attempt.raised,
        is_permanent=verdict.permanent,
        retry_after_s=verdict.retry_after_s,
        log=tuple(line.rstrip("\n") for line in log),
        delivered=tuple(attempt.delivered),
        queued=attempt.rows,
    )
