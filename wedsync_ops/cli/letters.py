"""Dead letters on the command line: the filters that several commands share, and how their answers look."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import instant_of
from wedsync_ops.errors import UsageError, quoted

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from wedsync_ops.jobs.dead_letters import Failure, Retried, Wanted

Module = Annotated[str | None, typer.Option(metavar="MODULE", help="Of the dead letters, only this module type.")]
Error = Annotated[str | None, typer.Option(metavar="TEXT", help="Only those with this in the error.")]
Fingerprint = Annotated[
    str | None, typer.Option(metavar="F", help="Only those whose error has this fingerprint; see 'jobs failures'.")
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Only what was discarded since then.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only what was discarded before then.")]
Supplier = Annotated[str | None, typer.Option(metavar="ID", help="Only this supplier.")]

_FINGERPRINT = re.compile(r"[0-9a-f]{8}")
_RATE = re.compile(r"([0-9]{1,7})(?:/min)?")


@dataclass(frozen=True, slots=True)
class Given:
    """The filters as they were given."""

    module: str | None
    error: str | None
    fingerprint: str | None
    since: str | None
    until: str | None
    supplier: str | None

    @property
    def is_any(self) -> bool:
        """Whether there is a filter."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def wanted(self, zone: "ZoneInfo") -> "Wanted":
        """The filters as the queue takes them. Raises UsageError."""
        from wedsync_ops.jobs.dead_letters import Wanted

        if self.error is not None and self.fingerprint is not None:
            raise UsageError("--error and --fingerprint exclude each other")
        if self.fingerprint is not None and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise UsageError(f"{quoted(self.fingerprint)} is no fingerprint", hint="see 'wedsync-ops jobs failures'")
        return Wanted(
            module=self.module,
            supplier=self.supplier,
            error=self.error,
            fingerprint=self.fingerprint,
            since=instant_of(self.since, "--since", zone),
            until=instant_of(self.until, "--until", zone),
        )


def per_minute(rate: str | None) -> int | None:
    """A rate such as ``60`` or ``60/min``. Raises UsageError."""
    if rate is None:
        return None
    found = _RATE.fullmatch(rate)
    if found is None or int(found[1]) == 0:
        raise UsageError(f"--rate {quoted(rate)} is no rate", hint="write how many a minute, such as 60/min")
    return int(found[1])


def left_of(done: "Retried") -> tuple[dict[str, int], str]:
    """What of the letters is not queued again, as JSON and in words."""
    parts = [
        (done.taken, "because other jobs have their unique keys"),
        (done.draining, "because they are being drained"),
    ]
    words = "".join(f"; {count} not, {why}" for count, why in parts if count)
    return {"unique_conflicts": done.taken, "draining": done.draining}, words


def show_counts(
    command: str, found: "Sequence[Failure]", verb: str, *, json: bool, left: Mapping[str, int] | None = None
) -> None:
    """Say what a dry run has counted, by module type and fingerprint, and what of it is left."""
    from wedsync_ops.cli.render import emit, say, table

    count = sum(one.count for one in found)
    if json:
        groups = [
            {"module_type": one.module_type, "error_fingerprint": one.fingerprint, "count": one.count} for one in found
        ]
        emit(f"jobs-{command}", {"count": count, **(left or {}), "dry_run": True, "groups": groups})
        return
    if found:
        rows = [(one.module_type, one.fingerprint, one.count, one.error) for one in found]
        table(("Module", "Fingerprint", ">Jobs", "Latest error"), rows)
    say(f"{count} jobs {verb}")


def show_done(command: str, document: Mapping[str, Any], done: str, *, json: bool) -> None:
    """Say what was done."""
    from wedsync_ops.cli.render import answering, emit, say

    with answering(done):
        if json:
            emit(f"jobs-{command}", {**document, "dry_run": False})
        else:
            say(done)


def show_failures(found: "Sequence[Failure]", *, json: bool) -> None:
    """Show dead letters by what went wrong."""
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.instants import iso

    if json:
        failures = [
            {
                "module_type": one.module_type,
                "error_fingerprint": one.fingerprint,
                "count": one.count,
                "first_seen": iso(one.first_seen),
                "last_seen": iso(one.last_seen),
                "soonest_wedding": None if one.soonest_wedding is None else one.soonest_wedding.isoformat(),
                "error": one.error,
            }
            for one in found
        ]
        emit("jobs-failures", {"failures": failures})
        return
    columns = ("Module", "Fingerprint", ">Jobs", "Last seen", "Next wedding", "Latest error")
    rows = [
        (one.module_type, one.fingerprint, one.count, moment(one.last_seen), one.soonest_wedding or "-", one.error)
        for one in found
    ]
    table(columns, rows)
