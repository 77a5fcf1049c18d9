"""How ``jobs list`` and ``jobs show`` answer."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wedsync_ops.jobs.store.view import ExecutionView, JobDetail, JobView


def job_document(job: "JobView") -> dict[str, Any]:
    """A job of a list as JSON."""
    from wedsync_ops.instants import iso
    from wedsync_ops.jobs.fingerprint import fingerprint

    return {
        "job_id": job.job_id,
        "module_type": job.module_type,
        "module_version": job.module_version,
        "state": job.state.value,
        "priority_requested": job.priority_requested.word,
        "priority_applied": job.priority_applied.word,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "queued_at": iso(job.queued_at),
        "due_at": iso(job.due_at),
        "started_at": iso(job.started_at),
        "finished_at": iso(job.finished_at),
        "error": job.error,
        "error_fingerprint": None if job.error is None else fingerprint(job.error),
    }


def detail_document(detail: "JobDetail") -> dict[str, Any]:
    """A job whole as JSON."""
    from wedsync_ops.instants import iso

    return {
        **job_document(detail.job),
        "client_id": detail.client_id,
        "supplier_id": detail.supplier_id,
        "region": detail.region,
        "key": detail.key,
        "deadline_at": iso(detail.deadline_at),
        "expires_at": iso(detail.expires_at),
        "priority_reasons": detail.priority_reasons,
        "due_reasons": detail.due_reasons,
        "losses": detail.losses,
        "kills": detail.kills,
        "config": detail.config,
        "context": detail.context,
        "result_data": detail.result_data,
        "executions": [_execution(execution, detail.result_data) for execution in detail.executions],
    }


def _execution(execution: "ExecutionView", result_data: Any) -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "attempt": execution.attempt,
        "outcome": str(execution.outcome),
        "started_at": iso(execution.started_at),
        "finished_at": iso(execution.finished_at),
        "duration_ms": _divided(execution.duration_us, 1000),
        "queue_wait_ms": _divided(execution.queue_wait_us, 1000),
        "cpu_ms": _divided(execution.cpu_us, 1000),
        "memory_mb": _divided(execution.memory_kb, 1024),
        "bytes_sent": execution.bytes_sent,
        "error": execution.error,
        "result_data": result_data if execution.outcome == "ok" else None,
        "worker_id": execution.worker_id,
        "traceback": execution.traceback,
        "log": execution.log,
    }


def _divided(value: int | None, by: int) -> float | None:
    return None if value is None else value / by


def print_detail(detail: "JobDetail") -> None:
    """A job whole for people."""
    from wedsync_ops.cli.render import facts, moment, say, table

    document = detail_document(detail)
    for name in ("priority_reasons", "due_reasons"):
        document[name] = "; ".join(document[name])
    facts((name.replace("_", " "), value) for name, value in document.items() if name != "executions")
    if not detail.executions:
        say("not executed yet")
        return
    rows = [
        (e.attempt, e.outcome, moment(e.started_at), _divided(e.duration_us, 1000), _divided(e.cpu_us, 1000), e.error)
        for e in detail.executions
    ]
    table((">Try", "Outcome", "Started", ">ms", ">CPU ms", "Error"), rows, title="Executions")
