"""``journeys``: what couples are promised, and planning it."""

import re
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import DryRun, Json
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import Interrupted, InvalidInput, PartlyDone, UsageError, WedsyncError, quoted

if TYPE_CHECKING:
    from wedsync_ops.jobs.actions import Queue
    from wedsync_ops.planning.actions import Chosen, Listed, Tally
    from wedsync_ops.planning.apply import CouplePlan, Outcome
    from wedsync_ops.planning.definitions import Step

app = group("See the journeys that couples are on, and plan them.")
MOST_ERRORS = 1000
"""The most refused steps that are listed; all are counted."""
_WITHIN = re.compile(r"([0-9]{1,4})d", re.ASCII)
_BLINK_S = 0.2


@app.command("list")
def list_journeys(context: typer.Context, json: Json = False) -> None:
    """List the journeys in force, and how many steps were planned of each."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, table
    from wedsync_ops.planning import actions

    with opened(context) as opened_app:
        found = actions.list_journeys(opened_app.queue())
    if json:
        emit("journeys-list", {"journeys": [_summary(one) for one in found]})
        return
    rows = [
        (one.journey.id, one.journey.name, one.version, len(one.journey.steps), _whose(one), one.planned)
        for one in found
    ]
    table(("Journey", "Name", ">Version", ">Steps", "Applies to", ">Planned"), rows)


@app.command()
def show(
    context: typer.Context,
    journey: Annotated[str, typer.Argument(metavar="ID", help="A journey's id.")],
    json: Json = False,
) -> None:
    """Show a journey with its steps. Exit code 4 when there is none of that id."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, facts, table
    from wedsync_ops.planning import actions

    with opened(context) as opened_app:
        found = actions.show_journey(opened_app.queue(), journey)
    steps = found.journey.steps
    if json:
        emit("journeys-show", {"journey": {**_summary(found), "steps": [one.model_dump(mode="json") for one in steps]}})
        return
    told = {**_summary(found), "applies_to": _whose(found), "steps": len(steps)}
    facts((name.replace("_", " "), value) for name, value in told.items())
    rows = [(one.id, one.module, f"{one.offset} {one.anchor}", one.at, _skips(one), one.config) for one in steps]
    table(("Step", "Module", "When", "At", "Skips", "Config"), rows)


@app.command()
def plan(
    context: typer.Context,
    *,
    client: Annotated[list[str] | None, typer.Option(metavar="ID", help="This couple; may be given again.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every couple with steps to come.")] = False,
    within: Annotated[str | None, typer.Option(metavar="DAYS", help="Who marries within so many days, as 90d.")] = None,
    moved: Annotated[bool, typer.Option("--moved", help="Who was planned for other dates than now.")] = False,
    journey: Annotated[str | None, typer.Option(metavar="ID", help="Only this journey.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Queue the steps that couples are promised. What was queued before stays, and moves when the couple's dates have.

    Exit codes: 0 all done, 6 some steps were refused, 3 nothing but refusals.
    """
    from wedsync_ops.cli.opening import opened

    chosen = _chosen(client, everybody=everybody, within=within, moved=moved)
    with opened(context) as opened_app:
        return _planned(opened_app.queue(), chosen, journey, dry_run=dry_run, json=json)


def _chosen(client: list[str] | None, *, everybody: bool, within: str | None, moved: bool) -> "Chosen":
    from wedsync_ops.planning.actions import Chosen

    given = [name for name, is_given in (("--client", client), ("--within", within)) if is_given]
    given += [name for name, is_given in (("--all", everybody), ("--moved", moved)) if is_given]
    if len(given) != 1:
        problem = "exclude each other" if given else "is needed"
        named = " and ".join(given) if given else "one of --client, --all, --within and --moved"
        raise UsageError(f"{named} {problem}")
    return Chosen(tuple(client or ()), None if within is None else days_of(within), moved)


def days_of(text: str) -> int:
    """The days of an option such as ``14d``. Raises UsageError."""
    found = _WITHIN.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--within: {quoted(text)} is not a number of days", hint="write it as 14d")
    return int(found[1])


def _planned(queue: "Queue", chosen: "Chosen", journey: str | None, *, dry_run: bool, json: bool) -> int:
    from wedsync_ops.cli.render import answering
    from wedsync_ops.planning import actions

    tally = actions.Tally()
    refused: list[tuple[Outcome, WedsyncError]] = []
    listed: list[CouplePlan] = []
    shown = _Progress()
    try:
        for done in actions.plan(queue, chosen, journey_id=journey, dry_run=dry_run):
            found = tally.add(done)
            refused += found[: MOST_ERRORS - len(refused)]
            listed += done if chosen.client_ids else ()
            shown.show(tally.couples)
    except KeyboardInterrupt:
        shown.clear()
        hint = "the same command goes on"
        raise Interrupted(f"interrupted; {tally.couples} couples were planned", hint=hint) from None
    shown.clear()
    failure = _failure(tally)
    with answering(None if dry_run else f"{tally.couples} couples were planned", failure):
        if json:
            _print_json(tally, refused, listed if chosen.client_ids else None, dry_run=dry_run)
        else:
            _print(tally, refused, listed, dry_run=dry_run)
    return exits.DONE


def _failure(tally: "Tally") -> WedsyncError | None:
    from wedsync_ops.planning.model import Change

    count = tally.changes[Change.REFUSED]
    if not count:
        return None
    said = f"{count} step{'s' if count > 1 else ''} could not be queued"
    if tally.changes.total() == count:
        return InvalidInput(said, hint="see what is listed")
    return PartlyDone(said, hint="mend what is listed, and plan again")


def _print_json(
    tally: "Tally",
    refused: "list[tuple[Outcome, WedsyncError]]",
    listed: "list[CouplePlan] | None",
    *,
    dry_run: bool,
) -> None:
    from wedsync_ops.cli.render import emit, one_line
    from wedsync_ops.planning.model import Change

    document: dict[str, Any] = {
        "couples": tally.couples,
        "moved": tally.moved,
        "steps": {change.value: tally.changes[change] for change in Change},
        "errors": [
            {
                "client_id": step.client_id,
                "journey_id": step.decided.journey_id,
                "step_id": step.decided.step_id,
                "code": error.code,
                "message": one_line(str(error)),
            }
            for step, error in refused
        ],
        "errors_not_listed": tally.changes[Change.REFUSED] - len(refused),
        "dry_run": dry_run,
    }
    if listed is not None:
        document["plans"] = [plan_document(one) for one in listed]
    emit("journeys-plan", document)


def _print(
    tally: "Tally",
    refused: "list[tuple[Outcome, WedsyncError]]",
    listed: "list[CouplePlan]",
    *,
    dry_run: bool,
) -> None:
    from wedsync_ops.cli.render import say
    from wedsync_ops.planning.model import Change

    for one in listed:
        print_plan(one, title=f"{one.client.client_id}: {one.client.couple_name}, {one.client.wedding_on}")
    if not listed:
        for step, error in refused:
            say(f"{step.client_id}: {step.decided.journey_id}/{step.decided.step_id}: {error}")
    missing = tally.changes[Change.REFUSED] - len(refused)
    if missing:
        say(f"and {missing} further steps that were refused")
    counts = ", ".join(f"{tally.changes[change]} {change.value}" for change in Change if tally.changes[change])
    moved = f" ({tally.moved} with other dates than before)" if tally.moved else ""
    verb = "would be planned" if dry_run else "planned"
    who = "1 couple" if tally.couples == 1 else f"{tally.couples} couples"
    say(f"{who} {verb}{moved}: {counts or 'no step is to be done'}")


def plan_document(one: "CouplePlan") -> dict[str, Any]:
    """What planning came to for a couple, as JSON."""
    return {
        "client_id": one.client.client_id,
        "wedding_date": one.client.wedding_on.isoformat(),
        "steps": [
            {
                "journey_id": step.decided.journey_id,
                "step_id": step.decided.step_id,
                **_outcome(step),
            }
            for step in one.steps
        ],
        "other_jobs": [_outcome(step) for step in one.others],
    }


def print_plan(one: "CouplePlan", *, title: str) -> None:
    """What planning came to for a couple, as a table: refusals under it, each on its line."""
    from wedsync_ops.cli.render import moment, say, table

    several = len({step.decided.journey_id for step in one.steps}) > 1
    rows = [
        (
            _named(step, with_journey=several),
            step.decided.job_id,
            moment(step.was_due_at),
            moment(step.due_at),
            step.decided.change.value,
        )
        for step in (*one.steps, *one.others)
    ]
    if not rows:
        say(f"{title}: nothing is planned")
        return
    table(("Step", ">Job", "Was due", "Due", "Came to"), rows, title=title)
    for step in one.steps:
        if step.error is not None:
            say(f"{step.decided.journey_id}/{step.decided.step_id}: {step.error}")


def _named(step: "Outcome", *, with_journey: bool) -> str:
    decided = step.decided
    if not decided.step_id:
        return f"({decided.module_type})"
    return f"{decided.journey_id}/{decided.step_id}" if with_journey else decided.step_id


def _outcome(step: "Outcome") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "module_type": step.decided.module_type,
        "job_id": step.decided.job_id,
        "change": step.decided.change.value,
        "was_due_at": iso(step.was_due_at),
        "due_at": iso(step.due_at),
        "reason": step.decided.reason,
        "error": None if step.error is None else step.error.code,
    }


def _summary(one: "Listed") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    journey = one.journey
    return {
        "id": journey.id,
        "display_name": journey.name,
        "version": one.version,
        "applies_to": journey.applies_to.model_dump(mode="json"),
        "holiday_country": journey.holiday_country,
        "holidays": list(journey.holidays),
        "steps": len(journey.steps),
        "planned_steps": one.planned,
        "registered_at": iso(one.registered_at),
    }


def _whose(one: "Listed") -> str:
    rule = one.journey.applies_to
    parts = [
        f"{word} {', '.join(names)}"
        for word, names in (("", rule.vendor_types), ("suppliers", rule.suppliers), ("in", rule.regions))
        if names
    ]
    return "; ".join(part.strip() for part in parts) or "everybody"


def _skips(step: "Step") -> str:
    names = [("weekends", step.skip_weekends), ("holidays", step.skip_holidays)]
    return ", ".join(f"{name} ({way})" for name, way in names if way)


class _Progress:
    """How many couples were planned: on standard error, when that is a terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._shown_at = 0.0

    def show(self, couples: int) -> None:
        """Tell it, a few times a second."""
        if self._is_shown and time.monotonic() - self._shown_at >= _BLINK_S:
            self._shown_at = time.monotonic()
            sys.stderr.write(f"\r\x1b[K{couples:,} couples")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave the line empty for what comes."""
        if self._is_shown and self._shown_at:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
