"""The further jobs that finished ones ask for: queued in the transaction that finishes them, all of one's or none."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs import intake
from wedsync_ops.jobs.conclude import Conclusion
from wedsync_ops.jobs.model import Queued
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import answers, control, finish, unique


def settle(
    connection: Connection,
    rules: Rules,
    concluded: Sequence[Conclusion],
    *,
    now: int,
    refuse: Callable[[Conclusion, WedsyncError], Conclusion],
) -> list[Conclusion]:
    """Queue what the conclusions ask for, where their leases still hold; ``refuse`` makes a failure of a refusal."""
    asking = [c for c in concluded if c.further]
    if not asking:
        return list(concluded)
    # All keys and codes are locked before any lane is, as when callers queue: whoever locks both does so in one order.
    intake.lock_keys(connection, [p for c in asking for p in c.further])
    held = finish.held(connection, [(c.finish.execution.job_id, c.finish.token) for c in asking])
    # Read under the keys' locks: whoever notes an answer takes them, too, and afterwards cancels what it finds.
    answered = answers.answered(connection, list(held))

    def settled(one: Conclusion) -> Conclusion:
        job_id = one.finish.execution.job_id
        if job_id not in held:
            return one
        return _settled(connection, rules, one, now, refuse, useless=job_id in answered)

    return [settled(one) for one in concluded]


def _settled(
    connection: Connection,
    rules: Rules,
    concluded: Conclusion,
    now: int,
    refuse: Callable[[Conclusion, WedsyncError], Conclusion],
    *,
    useless: bool,
) -> Conclusion:
    """Queue what one conclusion asks for; ``useless`` reminders, of a form that is answered, are cancelled at once."""
    if not concluded.further:
        return concluded
    with connection.begin_nested() as savepoint:
        if any(p.unique is not None for p in concluded.further):
            # It ends here, and may be followed by one with its unique key.
            unique.release(connection, concluded.finish.execution.job_id)
        placed = intake.place(connection, rules, concluded.further, now=now, bounded=False)
        refusal = next((answer for answer in placed if isinstance(answer, WedsyncError)), None)
        if refusal is None:
            if useless:
                own = [one for one in placed if isinstance(one, Queued) and one.queued_as != "kept"]
                ids = [one.job_id for one in own if one.job_id is not None]
                control.cancel(connection, ids, now)
            return concluded
        savepoint.rollback()
    return refuse(concluded, refusal)
