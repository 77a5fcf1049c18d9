"""Maintenance: one command for cron. Each task works in short transactions and can be repeated at any time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import UsageError
from wedsync_ops.instants import DAY
from wedsync_ops.jobs.rescue import rescue
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations, events, lanes, retention
from wedsync_ops.jobs.webhooks import deliver


@dataclass(frozen=True, slots=True)
class Site:
    """What maintenance works on."""

    database: Database
    clock: Clock
    rules: Rules


@dataclass(frozen=True, slots=True)
class Done:
    """What a task came to: counts by the name of what it did."""

    task: str
    counts: Mapping[str, int]


def run(site: Site, names: Sequence[str]) -> list[Done]:
    """Run the named tasks in order, all of them when none is named. Raises UsageError for an unknown name."""
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        raise UsageError(f"there is no maintenance task {unknown[0]!r}", hint=f"use one of {', '.join(TASKS)}")
    return [Done(name, TASKS[name].run(site)) for name in names or TASKS]


@dataclass(frozen=True, slots=True)
class Task:
    """A task, what it is for, and how it is run."""

    about: str
    run: Callable[[Site], Mapping[str, int]]


def _rescue(site: Site) -> Mapping[str, int]:
    return {"jobs": rescue(site.database, site.rules, site.clock.now())}


def _counters(site: Site) -> Mapping[str, int]:
    with site.database.transaction() as connection:
        corrected = lanes.recount(connection)
        durations.measure(connection, site.clock.now())
    return {"lanes_corrected": corrected}


def _webhooks(site: Site) -> Mapping[str, int]:
    came_to = deliver(site.database, site.clock, site.rules.settings)
    return {"delivered": came_to.delivered, "failed": int(came_to.error is not None)}


def _retention(site: Site) -> Mapping[str, int]:
    settings, now = site.rules.settings, site.clock.now()
    old, dead = now - settings.retention_days * DAY, now - settings.dead_letter_days * DAY
    steps: dict[str, Callable[[Connection], int]] = {
        "completed_stripped": lambda c: retention.strip_completed(c, settings.keep_completed),
        "dead_letters_stripped": lambda c: retention.strip_dead(c, dead),
        "details_dropped": lambda c: retention.drop_details(c, settings.keep_failed),
        "executions_dropped": lambda c: retention.drop_executions(c, old),
        "events_dropped": lambda c: events.drop(c, old, webhook=settings.webhook_url is not None),
        "jobs_dropped": lambda c: retention.drop_jobs(c, min(old, dead)),
    }
    counts = {name: _in_chunks(site, step) for name, step in steps.items()}
    with site.database.transaction() as connection:
        counts["leftovers_dropped"] = retention.drop_leftovers(
            connection, now=now, samples_before=now - DAY, workers_before=now - 7 * DAY
        )
    return counts


def _in_chunks(site: Site, step: Callable[[Connection], int]) -> int:
    total = 0
    while True:
        with site.database.transaction() as connection:
            done = step(connection)
        total += done
        if done < retention.CHUNK:
            return total


TASKS: Mapping[str, Task] = {
    "rescue": Task("take up the jobs of workers that died", _rescue),
    "counters": Task("check the lane counters against the jobs, and measure expected durations", _counters),
    "webhooks": Task("post finished jobs to the webhook, as workers do while they run", _webhooks),
    "retention": Task("forget what has been kept for long enough", _retention),
}
