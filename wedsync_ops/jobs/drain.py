"""What a drain is, what it covers, and how it refuses new jobs. Pure; instants in microseconds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from wedsync_ops.errors import Draining
from wedsync_ops.instants import SECOND, iso
from wedsync_ops.jobs.model import Priority
from wedsync_ops.jobs.scope import covers
from wedsync_ops.weddings.model import Wedding
from wedsync_ops.weddings.proximity import days_until, in_wedding_week


@dataclass(frozen=True, slots=True)
class Drain:
    """A drain of everything, a module type or a supplier; all ``_at`` and ``until`` are instants.

    ``drained_at`` is since when nothing of it was under way any more: from then on nothing of it starts.
    """

    scope: str
    name: str
    reason: str | None
    begun_by: str
    begun_at: int
    until: int | None
    drained_at: int | None = None

    @property
    def words(self) -> str:
        """Its scope in words."""
        return "everything" if self.scope == "all" else f"{self.scope} {self.name}"

    @property
    def resume(self) -> str:
        """The command that ends it."""
        what = {"all": "--all", "module": self.name}.get(self.scope, f"--supplier {self.name}")
        return f"wedsync-ops queue resume {what}"

    def covers(self, module_type: str, supplier_id: str | None) -> bool:
        """Whether a job belongs to its scope."""
        return covers(self.scope, self.name, module_type, supplier_id)


def covering(drains: Iterable[Drain], module_type: str, supplier_id: str | None) -> Drain | None:
    """The drain that keeps a job out, if any: of several the one that lasts longest."""
    found = [drain for drain in drains if drain.covers(module_type, supplier_id)]
    return max(found, key=lambda drain: math.inf if drain.until is None else drain.until, default=None)


def refused(drain: Drain, now: int, applied: Priority | None = None, wedding: Wedding | None = None) -> Draining:
    """The refusal of a job: who drains what and why, when to come back, and whether its wedding can wait for that.

    ``applied`` is the priority that it would have, ``None`` when that is not decided.
    """
    why = f": {drain.reason}" if drain.reason else ""
    message = f"{drain.words} is being drained by {drain.begun_by}{why}; no new job of it is accepted"
    wait_s = None if drain.until is None else max(1, math.ceil((drain.until - now) / SECOND))
    days = None if wedding is None else days_until(wedding, now)
    urgent = applied is Priority.CRITICAL or in_wedding_week(days)
    if urgent:
        whose = "the job is critical" if wedding is None or days is None else f"its wedding is on {wedding.on}"
        message += f". {whose[0].upper()}{whose[1:]}, and a wedding date cannot be moved"
        hint = f"don't wait: '{drain.resume}', or do without this job what it was for"
    elif wait_s is None:
        hint = f"nobody has said until when; ask {drain.begun_by}, or '{drain.resume}'"
    else:
        hint = f"come back in about {wait_s} s, at {iso(drain.until)}"
    details = {"scope": drain.scope, "name": drain.name or None, "retry_after_s": wait_s, "urgent": urgent}
    return Draining(message, hint=hint, details=[details])
