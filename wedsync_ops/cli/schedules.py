"""``schedules``: recurring schedules, as they stand, as they will fire, as they have fired; pause, resume, run now."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import Json, instant_of, read_input
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import InvalidDefinitions, InvalidInput, Refused, UnknownSchedule, quoted

if TYPE_CHECKING:
    from wedsync_ops.jobs.recurrence import Occurrence
    from wedsync_ops.jobs.schedule import Schedule
    from wedsync_ops.jobs.schedules import Standing
    from wedsync_ops.jobs.store.schedules import Fire

app = group("See recurring schedules; preview, pause, resume and run them.")

ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="A schedule's id.")]


@app.command("list")
def list_schedules(context: typer.Context, json: Json = False) -> None:
    """List the schedules: when each fired last, when it fires next, and whether it is late."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.jobs import schedules

    with opened(context) as opened_app:
        found = schedules.standings(opened_app.queue())
    if json:
        emit("schedules", {"schedules": [_standing(one) for one in found]})
        return
    rows = [
        (
            one.schedule.id,
            one.schedule.module_type,
            one.state,
            moment(one.stored.next_fire_at),
            moment(one.last.queued_at if one.last else None),
            one.last.fire.outcome.value if one.last else None,
            _seconds(one.lag_us),
        )
        for one in found
    ]
    table(("Schedule", "Module", "State", "Next", "Last fired", "Last", ">Lag s"), rows)


@app.command()
def preview(
    context: typer.Context,
    schedule_id: ScheduleId,
    file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="A definition file that is not registered yet.")
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many fires.")] = 10,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="After when; default: now.")] = None,
    json: Json = False,
) -> None:
    """Show when a schedule will fire, in its own zone and in UTC, with what clock changes do. Writes nothing."""
    from itertools import islice

    from wedsync_ops.clock import SystemClock
    from wedsync_ops.instants import zone_named
    from wedsync_ops.jobs.recurrence import upcoming

    schedule = _registered(context, schedule_id) if file is None else _in_file(schedule_id, file)
    after = instant_of(start, "--from", zone_named(schedule.timezone))
    after = SystemClock().now() if after is None else after - 1
    fires = list(islice(upcoming(schedule.recurrence().timing, after), count))
    _print_preview(schedule, fires, json=json)


@app.command()
def history(
    context: typer.Context,
    schedule_id: ScheduleId,
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="At most so many; 0 = all.")] = 100,
    json: Json = False,
) -> None:
    """List the fires of a schedule, the latest first: what each came to, and why."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.jobs import schedules

    with opened(context) as opened_app:
        fires = schedules.history(opened_app.queue(), schedule_id, limit)
    if json:
        emit("schedules-history", {"id": schedule_id, "fires": [_fire(one) for one in fires]})
        return
    table(
        ("Fire", "Kind", "Outcome", ">Job", "Reason"),
        [(moment(one.fire_at), one.kind, one.outcome.value, one.job_id, one.reason) for one in fires],
    )


@app.command()
def run(context: typer.Context, schedule_id: ScheduleId, json: Json = False) -> int:
    """Fire a schedule now, beside its times; also while it is paused. Exit code 5 when its job is refused."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.jobs import schedules

    with opened(context) as opened_app:
        made = schedules.run(opened_app.queue(), schedule_id)
    failure = None
    if made.job_id is None:
        failure = Refused(f"{schedule_id} was not run ({made.outcome.value}): {made.reason}", hint="")
    with answering(f"job {made.job_id} was queued", failure):
        if json:
            emit("schedules-run", {"id": schedule_id, "fire": _fire(made)})
        elif failure is None:
            say(f"{schedule_id}: queued job {made.job_id}" + (f" ({made.reason})" if made.reason else ""))
    return exits.DONE


@app.command()
def pause(
    context: typer.Context,
    schedule_id: ScheduleId,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for others to read.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when (ISO 8601).")] = None,
    json: Json = False,
) -> None:
    """Let a schedule fire no more. What would have fired meanwhile is not made up for."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.jobs import schedules

    with opened(context) as opened_app:
        end = instant_of(until, "--until", opened_app.calendar.zone)
        done = schedules.pause(opened_app.queue(), schedule_id, reason=reason, until=end)
    with answering(f"{schedule_id} was paused"):
        if json:
            emit("schedules-pause", {"schedule": _standing(done)})
        else:
            say(f"paused: {schedule_id}")


@app.command()
def resume(context: typer.Context, schedule_id: ScheduleId, json: Json = False) -> None:
    """Let a schedule fire again, from now on: a paused one, or one that a clock has fired ahead of time."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, moment, say
    from wedsync_ops.jobs import schedules

    with opened(context) as opened_app:
        done, changed = schedules.resume(opened_app.queue(), schedule_id)
    with answering(f"{schedule_id} {'was resumed' if changed else 'needed no resuming'}"):
        if json:
            emit("schedules-resume", {"schedule": _standing(done), "changed": changed})
        else:
            ahead = moment(done.stored.next_fire_at) or "never"
            say(f"{'resumed' if changed else 'was not paused'}: {schedule_id}; next fire: {ahead}")


def _registered(context: typer.Context, schedule_id: str) -> "Schedule":
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import schedules

    with opened(context) as opened_app:
        return schedules.standing(opened_app.queue(), schedule_id).schedule


def _in_file(schedule_id: str, file: str) -> "Schedule":
    """A schedule as a file has it, without a database. Raises InvalidDefinitions, UnknownSchedule."""
    from wedsync_ops import yamldoc
    from wedsync_ops.clock import SystemClock
    from wedsync_ops.codec import MAX_BYTES
    from wedsync_ops.jobs.schedule import parse

    raw = read_input(file, MAX_BYTES)
    yamldoc.read(raw)
    parsed = parse(raw, SystemClock().now())
    if parsed is None:
        raise InvalidInput(f"{file} says nothing of schedules", hint="schedules: is a list beside modules:")
    if parsed.problems:
        first = parsed.problems[0]
        details = [{"line": one.line, "path": one.path, "message": one.message} for one in parsed.problems]
        raise InvalidDefinitions(f"{file}, line {first.line}: {first.path}: {first.message}", hint="", details=details)
    found = next((one.schedule for one in parsed.schedules if one.schedule.id == schedule_id), None)
    if found is None:
        raise UnknownSchedule(f"{file} has no schedule {quoted(schedule_id)}", hint="")
    return found


def _print_preview(schedule: "Schedule", fires: "list[Occurrence]", *, json: bool) -> None:
    from wedsync_ops.cli.render import emit, moment, say, table
    from wedsync_ops.instants import iso, to_datetime, zone_named

    zone, recurrence = zone_named(schedule.timezone), schedule.recurrence()
    local = [to_datetime(one.at, zone) for one in fires]
    if json:
        rows = [
            {
                "at": iso(one.at),
                "local": there.isoformat(),
                "due_at": iso(recurrence.due_at(one.at)),
                "remark": one.remark,
            }
            for one, there in zip(fires, local, strict=True)
        ]
        emit("schedules-preview", {"id": schedule.id, "timezone": schedule.timezone, "fires": rows})
        return
    table(
        (schedule.timezone, "UTC", "Remark"),
        [
            (f"{there:%a %Y-%m-%d %H:%M:%S}", moment(one.at), one.remark)
            for one, there in zip(fires, local, strict=True)
        ],
    )
    if schedule.paused:
        say("its definition pauses it")


def _standing(one: "Standing") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    schedule, stored, last = one.schedule, one.stored, one.last
    recurrence = schedule.recurrence()
    return {
        "id": schedule.id,
        "module_type": schedule.module_type,
        "state": one.state,
        "last_fired_at": iso(last.queued_at if last else None),
        "last_fire": None if last is None else _fire(last.fire),
        "next_fire_at": iso(stored.next_fire_at),
        "next_due_at": iso(stored.next_due_at),
        "lag_s": _seconds(one.lag_us),
        "cron": schedule.cron,
        "interval_s": recurrence.timing.interval_s,
        "timezone": schedule.timezone,
        "jitter_s": recurrence.jitter_s,
        "grace_s": recurrence.grace_s,
        "coalesce": schedule.coalesce,
        "overlap": schedule.overlap,
        "priority": schedule.priority,
        "start": iso(recurrence.timing.start),
        "end": iso(recurrence.timing.end),
        "registered_at": iso(stored.registered_at),
        "pause": _pause(one),
    }


def _pause(one: "Standing") -> dict[str, Any] | None:
    """The pause in force; one of the definition has nobody and no time."""
    from wedsync_ops.instants import iso

    if one.state != "paused":
        return None
    stored = one.stored
    return {
        "by_definition": one.schedule.paused,
        "reason": stored.pause_reason,
        "paused_by": stored.paused_by,
        "paused_at": iso(stored.paused_at),
        "until": iso(stored.paused_until),
    }


def _fire(one: "Fire") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "fire_at": iso(one.fire_at),
        "kind": one.kind,
        "due_at": iso(one.due_at),
        "decided_at": iso(one.decided_at),
        "decided_by": one.decided_by,
        "outcome": one.outcome.value,
        "job_id": one.job_id,
        "reason": one.reason,
    }


def _seconds(length_us: int) -> float:
    return length_us / 1_000_000
