"""Maintenance: one command for cron. Each task works in short transactions and can be repeated at any time."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import UsageError, quoted
from wedsync_ops.instants import DAY
from wedsync_ops.jobs.rescue import rescue
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations, events, lanes, retention
from wedsync_ops.jobs.store.retention import Key, Policy, Sweep
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
        raise UsageError(f"there is no maintenance task {quoted(unknown[0])}", hint=f"use one of {', '.join(TASKS)}")
    return [Done(name, TASKS[name].run(site)) for name in names or TASKS]


@dataclass(frozen=True, slots=True)
class Task:
    """A task, what it is for, and how it is run."""

    about: str
    run: Callable[[Site], Mapping[str, int]]


def _rescue(site: Site) -> Mapping[str, int]:
    return {"jobs": rescue(site.database, site.rules, site.clock.now())}


def _counters(site: Site) -> Mapping[str, int]:
    with site.database.reading() as connection:
        errors = lanes.errors(connection)
    corrected = 0
    if errors:
        with site.database.transaction() as connection:
            corrected = lanes.correct(connection, errors)
    with site.database.transaction() as connection:
        durations.measure(connection, site.clock.now())
    return {"lanes_corrected": corrected}


def _webhooks(site: Site) -> Mapping[str, int]:
    came_to = deliver(site.database, site.clock, site.rules.settings)
    return {"delivered": came_to.delivered, "failed": int(came_to.error is not None)}


def _events(site: Site, before: int) -> int:
    total = 0
    while True:
        with site.database.transaction() as connection:
            done = events.drop(connection, before, webhook=site.rules.settings.webhook_url is not None)
        total += done
        if done < retention.CHUNK:
            return total


def _retention(site: Site) -> Mapping[str, int]:
    settings, now = site.rules.settings, site.clock.now()
    policy = Policy(
        now=now,
        old=now - settings.retention_days * DAY,
        dead=now - settings.dead_letter_days * DAY,
        samples=now - DAY,
        workers=now - 7 * DAY,
        keep_completed=settings.keep_completed,
        keep_failed=settings.keep_failed,
    )
    with site.database.reading() as connection:
        module_types = retention.module_types(connection)
        untold = None if settings.webhook_url is None else events.Untold(connection)
    counts = dict.fromkeys(retention.COUNTS, 0)
    for one in retention.sweeps(policy, module_types, untold or retention.nothing_held):
        for name, count in sweep(site.database, one).items():
            counts[name] += count
    counts["events_dropped"] = _events(site, policy.old)
    counts["events_untold"] = 0 if untold is None else untold.count
    return counts


def sweep(database: Database, one: Sweep) -> Mapping[str, int]:
    """Forget all that a sweep finds; returns how much, by name. Looks while it reads, and writes only in between."""
    counts: Counter[str] = Counter()
    after: Key | None = ()
    while after is not None:
        with database.reading() as connection:
            keys, after = one.look(connection, after)
        if keys:
            with database.transaction() as connection:
                counts.update(one.forget(connection, keys))
    return counts


TASKS: Mapping[str, Task] = {
    "rescue": Task("take up the jobs of workers that died", _rescue),
    "counters": Task("check the lane counters against the jobs, and measure expected durations", _counters),
    "webhooks": Task("post finished jobs to the webhook, as workers do while they run", _webhooks),
    "retention": Task("forget what has been kept for long enough", _retention),
}
