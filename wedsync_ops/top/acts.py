"""What somebody who watches can do: each act says in words what it would do, and then what came of it."""

from collections.abc import Callable

from wedsync_ops.errors import UnknownJob, quoted
from wedsync_ops.jobs import actions, dead_letters
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dead_letters import Wanted
from wedsync_ops.jobs.explaining import explained
from wedsync_ops.jobs.store import control
from wedsync_ops.top.port import Alerts

_LARGEST = 2**63 - 1


class Acts:
    """The acts, on the queue as it is judged at that moment. Each raises the WedsyncError that refuses it."""

    def __init__(self, queue: Callable[[], Queue], alerts: Alerts) -> None:
        self._queue = queue
        self._alerts = alerts

    def is_closed(self, module_type: str) -> bool:
        """Whether a module type is paused or drained, itself."""
        queue = self._queue()
        with queue.database.reading() as connection:
            found = control.closed(connection, queue.clock.now())
        return any(
            pause.scope == "module" and pause.name == module_type and not pause.is_of_emergency for pause in found
        )

    def pause(self, module_type: str) -> str:
        """Stop jobs of a module type from starting."""
        actions.pause(self._queue(), "module", module_type, reason="paused in top")
        return f"{module_type} is paused"

    def resume(self, module_type: str) -> str:
        """Let jobs of a module type start again."""
        changed = actions.resume(self._queue(), "module", module_type)
        return f"{module_type} goes on" if changed else f"{module_type} was not paused"

    def dead(self, module_type: str, fingerprint: str) -> int:
        """How many dead letters of a module type went wrong in the same way, all of them counted."""
        found = dead_letters.failures(self._queue(), Wanted(module=module_type, fingerprint=fingerprint))
        return sum(one.count for one in found)

    def retry(self, module_type: str, fingerprint: str) -> str:
        """Queue those again, with all their attempts."""
        done = dead_letters.retry(self._queue(), Wanted(module=module_type, fingerprint=fingerprint))
        left = f", {done.taken} were not: other jobs have their unique keys" if done.taken else ""
        return f"{done.count:,} jobs of {module_type} are queued again{left}"

    def cancel(self, job_id: int) -> str:
        """Cancel a job that waits, or have one broken off that runs."""
        (refusal,) = actions.stop(self._queue(), [job_id])
        if refusal is not None:
            raise refusal
        return f"job {job_id} is cancelled, or will be as soon as its worker has noticed"

    def explain(self, job_id: int) -> str:
        """Why a job is where it is, in a few lines."""
        job, why = explained(self._queue(), job_id)
        lines = [f"job {job.job_id} ({job.module_type}), {job.state}", "", why.summary, ""]
        lines += [f"• {one.words}" for one in why.reasons[1:]]
        lines += [f"Sooner: {one.sooner}" for one in why.reasons if one.sooner]
        if why.position is not None:
            lines.append(f"Position {why.position:,}")
        priority = "; ".join(why.priority_reasons)
        lines.append(f"Priority {job.priority_applied.word}" + (f": {priority}" if priority else ""))
        if job.error:
            lines.append(f"Error: {job.error}")
        return "\n".join(lines)

    def acknowledge(self, alert_id: int) -> str:
        """Take care of an alert."""
        return self._alerts.acknowledge(alert_id)


def job_number(text: str) -> int:
    """The job that a text names. Raises UnknownJob."""
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit() and 0 < int(stripped[:20]) <= _LARGEST):
        raise UnknownJob(f"there is no job {quoted(stripped)}")
    return int(stripped)
