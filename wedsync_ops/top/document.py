"""A frame as the JSON document of ``top``. Pure."""

from typing import Any

from wedsync_ops.instants import iso
from wedsync_ops.top.model import DeadGroup, Frame, OpenAlert, Pace


def to_document(frame: Frame) -> dict[str, Any]:
    """The document, without its schema."""
    wedding = frame.next_wedding
    return {
        "at": iso(frame.at),
        "season": {
            "current_season": frame.season.word,
            "expected_load_multiplier": frame.season.multiplier,
            "weekend_surge_active": frame.season.is_weekend,
        },
        "next_wedding": None
        if wedding is None
        else {
            "wedding_date": wedding.on.isoformat(),
            "days": wedding.days,
            "job_id": wedding.job_id,
            "module_type": wedding.module_type,
            "client_id": wedding.client_id,
        },
        "last_minute": _pace(frame.pace),
        "lanes": [
            {
                "module_type": count.lane.module_type,
                "priority": count.lane.priority.word,
                "available": count.available,
                "waiting": count.waiting,
            }
            for count in frame.lanes
        ],
        "closed": [
            {"scope": pause.scope, "name": pause.name or None, "reason": pause.reason, "until": iso(pause.until)}
            for pause in frame.closed
        ],
        "workers": [_worker(frame, place) for place in range(len(frame.workers))],
        "dead_letters": {
            "is_all": frame.dead_is_all,
            "groups": [_group(group) for group in frame.dead],
        },
        "alerts": [_alert(alert) for alert in frame.alerts],
    }


def _group(group: DeadGroup) -> dict[str, Any]:
    return {
        "module_type": group.module_type,
        "error_fingerprint": group.fingerprint,
        "count": group.count,
        "last_seen": iso(group.last_seen),
        "error": group.error,
    }


def _alert(alert: OpenAlert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "type": alert.type,
        "severity": alert.severity,
        "state": alert.state,
        "module_type": alert.module_type,
        "since": iso(alert.since),
        "message": alert.message,
    }


def _pace(pace: Pace) -> dict[str, Any]:
    return {
        "executions_per_s": pace.per_s,
        "error_rate": pace.error_rate,
        "p50_execution_time_ms": pace.p50_ms,
        "p95_execution_time_ms": pace.p95_ms,
        "p99_execution_time_ms": pace.p99_ms,
        "p95_queue_wait_ms": pace.wait_p95_ms,
    }


def _worker(frame: Frame, place: int) -> dict[str, Any]:
    worker = frame.workers[place]
    return {
        "id": worker.id,
        "name": worker.name,
        "host": worker.host,
        "state": worker.state,
        "slots": worker.slots,
        "busy": worker.busy,
        "jobs": [
            {
                "job_id": job.job_id,
                "module_type": job.module_type,
                "priority": job.priority.word,
                "supplier_id": job.supplier_id,
                "started_at": iso(job.started_at),
            }
            for job in frame.running
            if job.worker_id == worker.id
        ],
    }
