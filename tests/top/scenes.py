"""A platform to watch: lanes, a worker, what it runs, dead letters, a pause, alerts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from tests.stores.queues import CONTEXT, NOW, request
from tests.stores.rows import ending, take, worker
from wedsync_ops.errors import WrongState
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Queued, Result, State
from wedsync_ops.jobs.store import finish, workers
from wedsync_ops.top.model import OpenAlert

LONG = "gallery '0213' was deleted\x1b[2J by\nits photographer, who has not said why, and whom nobody can ask any more"


@dataclass
class OneAlert:
    """A port with one alert that can be acknowledged once."""

    acknowledged: list[int] = field(default_factory=list)

    def current(self, connection: Connection, now: int) -> Sequence[OpenAlert]:
        """The alert, in the state that it is in."""
        state = "acknowledged" if self.acknowledged else "firing"
        message = "6.1 % of the executions of email failed"
        return [OpenAlert(7, "high_error_rate", "warning", state, "email", now - 3 * MINUTE, message)]

    def acknowledge(self, alert_id: int) -> str:
        """Note who was acknowledged; a second time is refused."""
        if alert_id in self.acknowledged:
            raise WrongState(f"alert {alert_id} was acknowledged before")
        self.acknowledged.append(alert_id)
        return f"alert {alert_id} is yours"


def enqueue(queue: Queue, module: str = "email", *, wedding: str | None = None, key: str | None = None) -> int:
    answer = actions.enqueue(queue, request(module, context={**CONTEXT, "wedding_date": wedding}, key=key))
    assert isinstance(answer, Queued)
    return answer.job_id or 0


def scene(queue: Queue) -> dict[str, list[int]]:
    """A worker that runs one job of ``free`` and has two discarded ones behind it; two of ``email`` wait."""
    waiting = [enqueue(queue, wedding="2027-01-16"), enqueue(queue, wedding="2027-06-19")]
    dead = [enqueue(queue, "free"), enqueue(queue, "free")]
    with queue.database.transaction() as connection:
        workers.register(connection, worker(id="w1", name="barn", host="elsewhere", heartbeat_at=NOW, busy=1))
        for job in take(connection, module_type="free"):
            end = ending(job, State.DISCARDED, outcome=Result.ERROR, at=NOW - 5 * SECOND, error=LONG, worker_id="w1")
            finish.apply(connection, [end])
    running = [enqueue(queue, "free")]
    with queue.database.transaction() as connection:
        (job,) = take(connection, module_type="free")
        finish.mark_started(connection, [(job.id, job.token, NOW - 90 * SECOND)])
    return {"waiting": waiting, "dead": dead, "running": running}
