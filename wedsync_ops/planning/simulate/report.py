"""What is told of a simulation: a document with every figure, and the gates that it must pass. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from wedsync_ops.instants import HOUR, MINUTE, iso
from wedsync_ops.jobs.model import Priority
from wedsync_ops.metrics.sketch import Sketch
from wedsync_ops.planning.simulate.model import Alarm, Answer, Sample, Scaled, Turn

FLAP_US = 10 * MINUTE
"""A change of the slots that takes back the one before it within this is one too many, in microseconds."""
_MOST_SAMPLES = 1_500
_US_PER_MS = 1000

Subject = Literal["wedding_week", "all", "critical_wait_ms", "flaps"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit that a simulation must keep to: missed deadlines, the p99 of critical waits, changes taken back."""

    subject: Subject
    limit: float


def document(answer: Answer, starts: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
    """Every figure of a simulation; ``starts`` lists each execution, too."""
    found: dict[str, Any] = {
        "from": iso(answer.since),
        "to": iso(answer.until),
        "jobs": {
            "arrived": answer.arrived,
            "wedding_week": answer.week_arrived,
            "completed": answer.done,
            "discarded": answer.failed,
            "wedding_week_discarded": answer.week_failed,
            "waiting": answer.waiting,
        },
        "executions": {
            "total": answer.executions,
            "failed": answer.failed_executions,
            "lost": answer.lost_executions,
        },
        "missed_deadlines": {"all": answer.missed, "wedding_week": answer.missed_in_week},
        "waits": [{"priority": step.word, **_wait(sketch)} for step, sketch in answer.waits.items()],
        "waits_not_held": [{"priority": step.word, **_wait(sketch)} for step, sketch in answer.free_waits.items()],
        "breakers": [_turn(one) for one in answer.turns],
        "slots": {
            "at_start": answer.slots_at_start,
            "lowest": min((sample.slots for sample in answer.samples), default=answer.slots_at_start),
            "highest": max((sample.slots for sample in answer.samples), default=answer.slots_at_start),
            "most_running": answer.most_running,
            "utilisation_percent": None if answer.utilisation is None else round(100 * answer.utilisation, 2),
            "changes": len(answer.scaled),
            "reversals": reversals(answer.scaled),
            "flaps": reversals(answer.scaled, FLAP_US),
        },
        "scale_decisions": [_decision(one) for one in answer.scaled],
        "series": [_sample(one) for one in thinned(answer.samples)],
        "alerts": [_alarm(one) for one in answer.alarms],
    }
    if starts:
        found["starts"] = [
            {"at": iso(one.at), "job": one.job_id, "label": one.label, "wait_ms": one.wait_us / _US_PER_MS}
            for one in answer.started
        ]
    return found


def reversals(scaled: Sequence[Scaled], within_us: int | None = None) -> int:
    """How often the slots went the other way than at the change before, at all or within a time."""
    count = 0
    for before, after in pairwise(scaled):
        was, now = before.decision.wanted - before.before, after.decision.wanted - after.before
        if was * now < 0 and (within_us is None or after.at - before.at <= within_us):
            count += 1
    return count


def thinned(samples: Sequence[Sample], most: int = _MOST_SAMPLES) -> list[Sample]:
    """The minutes, or as many equal parts of the time as are at most wanted: the most slots, jobs waiting and work."""
    size = -(-len(samples) // most) if samples else 1
    parts = (samples[at : at + size] for at in range(0, len(samples), size))
    return [
        Sample(
            part[-1].at,
            max(one.slots for one in part),
            max(one.busy for one in part),
            max(one.waiting for one in part),
        )
        for part in parts
    ]


def judged(gates: Iterable[Gate], answer: Answer) -> list[dict[str, Any]]:
    """What every gate comes to."""
    values: Mapping[str, float] = {
        "wedding_week": answer.missed_in_week,
        "all": answer.missed,
        "critical_wait_ms": (answer.free_waits[Priority.CRITICAL].percentile(99) or 0.0) / _US_PER_MS,
        "flaps": reversals(answer.scaled, FLAP_US),
    }
    return [
        {
            "gate": gate.subject,
            "limit": gate.limit,
            "value": round(values[gate.subject], 3),
            "passed": values[gate.subject] <= gate.limit,
        }
        for gate in gates
    ]


def grouped(alarms: Sequence[Alarm], until: int) -> list[tuple[str, str | None, str, int, int, int]]:
    """Alerts of one rule and module type together: rule, type, severity, how many, when first, how long in all (µs)."""
    found: dict[tuple[str, str | None], list[Alarm]] = {}
    for alarm in alarms:
        found.setdefault((alarm.rule, alarm.module_type), []).append(alarm)
    return [
        (
            rule,
            module_type,
            several[0].severity,
            len(several),
            several[0].opened_at,
            sum((one.resolved_at or until) - one.opened_at for one in several),
        )
        for (rule, module_type), several in found.items()
    ]


def hourly(samples: Sequence[Sample], most: int) -> list[Sample]:
    """For a line of blocks: at most so many parts, none shorter than a quarter of an hour."""
    quarter = max(1, HOUR // 4 // MINUTE)
    return thinned(samples, max(1, min(most, -(-len(samples) // quarter))))


def _wait(sketch: Sketch) -> dict[str, Any]:
    shown = {f"p{percent}_ms": _ms(sketch.percentile(percent)) for percent in (50, 95, 99)}
    return {"executions": sketch.count, **shown, "max_ms": _ms(sketch.high)}


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value / _US_PER_MS, 3)


def _sample(one: Sample) -> dict[str, Any]:
    return {"at": iso(one.at), "slots": one.slots, "busy": round(one.busy, 3), "waiting": one.waiting}


def _turn(one: Turn) -> dict[str, Any]:
    return {
        "at": iso(one.at),
        "breaker": one.breaker,
        "state": one.state,
        "module_types": list(one.module_types),
        "waiting": one.waiting,
        "said": one.said,
    }


def _decision(one: Scaled) -> dict[str, Any]:
    decision = one.decision
    return {
        "at": iso(one.at),
        "slots_before": one.before,
        "wanted": decision.wanted,
        "reason": decision.reason.value,
        "limits": [limit.value for limit in decision.limits],
        "said": decision.said,
    }


def _alarm(one: Alarm) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "module_type": one.module_type,
        "severity": one.severity,
        "opened_at": iso(one.opened_at),
        "resolved_at": iso(one.resolved_at),
        "message": one.message,
    }
