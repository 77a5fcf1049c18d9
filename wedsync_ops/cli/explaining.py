"""How ``jobs explain`` answers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wedsync_ops.jobs.explain import Explanation
    from wedsync_ops.jobs.store.view import JobView
    from wedsync_ops.planning.admission import Promise


def promise_document(promise: "Promise | None") -> dict[str, Any] | None:
    """What can be promised of a job, as JSON; ``None`` where nothing is left to promise."""
    from wedsync_ops.instants import iso

    if promise is None:
        return None
    return {
        "verdict": promise.verdict.value,
        "slack_ms": None if promise.slack_us is None else promise.slack_us / 1000,
        "earliest_feasible_at": iso(promise.earliest_feasible_at),
        "helps": [one._asdict() for one in promise.helps],
    }


def promised(found: dict[str, Any] | None) -> str | None:
    """The same in words."""
    if found is None:
        return None
    from wedsync_ops.cli.render import length

    words = {"accept": "will be kept", "at_risk": "at risk", "refuse": "cannot be kept"}[found["verdict"]]
    if found["slack_ms"] is None:
        return "no deadline"
    told = f"{words}; slack {length(round(found['slack_ms'] * 1000))}"
    helps = ", or ".join(one["message"] for one in found["helps"])
    return f"{told}; what would help: {helps}" if helps else told


def document(job: "JobView", why: "Explanation", promise: "Promise | None") -> dict[str, Any]:
    """The answer as JSON."""
    from wedsync_ops.instants import iso

    estimate = why.estimate
    return {
        "job_id": job.job_id,
        "module_type": job.module_type,
        "state": job.state.value,
        "priority_requested": job.priority_requested.word,
        "priority_applied": job.priority_applied.word,
        "summary": why.summary,
        "reasons": [{"code": one.code, "message": one.words, "sooner": one.sooner} for one in why.reasons],
        "priority_reasons": list(why.priority_reasons),
        "due_at": iso(job.due_at),
        "due_reasons": list(why.due_reasons),
        "rank_reason": why.rank_reason,
        "queue_position": why.position,
        "promise": promise_document(promise),
        "estimated_start": None
        if estimate is None
        else {"at": iso(estimate.at), "earliest": iso(estimate.earliest), "latest": iso(estimate.latest)},
    }


def show(job: "JobView", why: "Explanation", promise: "Promise | None") -> None:
    """The answer for people."""
    from wedsync_ops.cli.render import moment, say, table

    say(f"job {job.job_id} ({job.module_type}), {job.state}: {why.summary}")
    rows = [("why", one.words) for one in why.reasons[1:]]
    rows += [("sooner", one.sooner) for one in why.reasons if one.sooner]
    asked = job.priority_requested.word
    rows += [(f"priority {job.priority_applied.word}", "; ".join(why.priority_reasons) or f"asked for: {asked}")]
    rows += [(f"due {moment(job.due_at)}", "; ".join(why.due_reasons))]
    if why.rank_reason:
        rows.append(("order", why.rank_reason))
    if why.position is not None:
        rows.append(("position", f"{why.position:,}"))
    if promise is not None and promise.slack_us is not None:
        rows.append(("deadline", promised(promise_document(promise)) or ""))
    if why.estimate is not None:
        band = f"between {moment(why.estimate.earliest)} and {moment(why.estimate.latest)}"
        rows.append(("starts", f"about {moment(why.estimate.at)}, {band}"))
    table(("What", "Why"), rows)
