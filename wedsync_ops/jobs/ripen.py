"""What time does to waiting jobs: they fall due, age, near their wedding, or expire. In bounded chunks."""

from sqlalchemy import Connection

from wedsync_ops.jobs import priority, rank
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.model import Decision, State
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import claim, durations, insert
from wedsync_ops.jobs.store.claim import Change, Ripe
from wedsync_ops.weddings.model import Wedding


def promote(connection: Connection, rules: Rules, now: int) -> int:
    """Make available what has fallen due: its priority is decided for this moment, its rank fixed. At most 120 jobs."""
    jobs = claim.due(connection, now)
    if not jobs:
        return 0
    decisions = {job.id: _decide(rules, job, now) for job in jobs}
    wanted = {
        (job.module_type, int(decisions[job.id].priority), job.supplier_id)
        for job in jobs
        if job.rank is None and job.supplier_id is not None
    }
    tags = insert.tags(connection, wanted)
    expected = durations.read(connection)
    changes = []
    for job in jobs:
        decision = decisions[job.id]
        place = job.rank
        if place is None:
            overrides = rules.registry.overrides(job.module_type, job.vendor_type, job.supplier_id)
            place = rank.ranked(
                tags,
                (job.module_type, int(decision.priority), job.supplier_id or ""),
                expected_of(expected, rules.registry.version(job.module_type, job.module_version)),
                deadline_at=job.deadline_at,
                attempts_left=job.attempts_left,
                now=now,
                weight=1.0 if overrides is None else overrides.weight,
            )
        changes.append(_changed(job, decision, place, now))
    claim.change(connection, changes, now)
    insert.save_tags(connection, {key: tags[key] for key in wanted if key in tags})
    return len(jobs)


def reconsider(connection: Connection, rules: Rules, now: int) -> int:
    """Decide anew for jobs that have aged, neared their wedding or expired while waiting. At most 120 jobs."""
    jobs = claim.changing(connection, now)
    changes = [_changed(job, _decide(rules, job, now), job.rank, now) for job in jobs]
    claim.change(connection, changes, now)
    return len(jobs)


def _decide(rules: Rules, job: Ripe, now: int) -> Decision:
    definition = rules.registry.version(job.module_type, job.module_version).definition
    overrides = rules.registry.overrides(job.module_type, job.vendor_type, job.supplier_id)
    return priority.decide(
        priority.raised(job.priority_requested, overrides),
        now,
        wedding=None if job.wedding_on is None else Wedding(job.wedding_on, rules.zone(job.timezone)),
        calendar=rules.calendar,
        rules=definition.wedding_optimizations,
        boost=priority.boost_for(definition.wedding_optimizations, job.vendor_type),
        waited_us=max(0, now - job.due_at),
        ageing_us=rules.ageing_us,
    )


def _changed(job: Ripe, decision: Decision, place: int | None, now: int) -> Change:
    if job.expires_at is not None and job.expires_at <= now:
        return Change(job, State.EXPIRED, job.priority, place, None)
    change_at = decision.next_change_at
    if job.expires_at is not None and (change_at is None or job.expires_at < change_at):
        change_at = job.expires_at
    return Change(job, State.AVAILABLE, decision.priority, place, change_at)
