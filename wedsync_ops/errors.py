"""Every error that the platform raises on purpose, as one small tree.

A class's docstring is its default message; ``hint`` says what to do about it. Each edge (the command line, later the
HTTP API) has one table from these classes to its exit codes or statuses; nothing else knows about those.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Self


def shortened(text: str, most: int = 300) -> str:
    """A text of at most ``most`` characters; what is cut off ends in an ellipsis."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(value: object, most: int = 60) -> str:
    """A value as messages name it: text in quotes, cut inside them when it is long; anything else as it is written."""
    if isinstance(value, str):
        return repr(shortened(value, most))
    written = repr(value)
    return written if len(written) <= most else repr(shortened(written, most))


class WedsyncError(Exception):
    """The operation failed."""

    code: ClassVar[str] = "failed"
    hint: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, *, hint: str | None = None, details: Sequence[Any] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.advice = hint if hint is not None else self.hint
        self.details = list(details)
        super().__init__(self.message)

    @classmethod
    def of(cls, where: str) -> Self:
        """The error with its default message, said of a file or a server."""
        said = (cls.__doc__ or "").strip().removesuffix(".")
        return cls(f"{where}: {said[:1].lower()}{said[1:]}")

    def __str__(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message


class UsageError(WedsyncError):
    """The command was used wrongly."""

    code = "usage"


class InputFileError(UsageError):
    """The file cannot be read."""

    code = "file"


class SettingError(UsageError):
    """A setting is wrong."""

    code = "setting"


class InvalidInput(WedsyncError):
    """The input is not valid."""

    code = "invalid"


class InvalidJson(InvalidInput):
    """The text is not acceptable JSON."""

    code = "invalid_json"


class InvalidYaml(InvalidInput):
    """The file is not acceptable YAML."""

    code = "invalid_yaml"


class InvalidDefinitions(InvalidInput):
    """The module definitions are not valid; nothing was registered."""

    code = "invalid_definition"


class InvalidCustomisations(InvalidInput):
    """The customisations are not valid; none was stored."""

    code = "invalid_customisation"


class InvalidConfig(InvalidInput):
    """The config does not fit the module's schema."""

    code = "invalid_config"


class InvalidContext(InvalidInput):
    """The context is not valid."""

    code = "invalid_context"


class InvalidTime(InvalidInput):
    """The time is not valid."""

    code = "invalid_time"
    hint = "give ISO 8601 with an offset, such as 2027-06-19T14:00:00Z"


class TemplateRefused(InvalidInput):
    """The template is not acceptable."""

    code = "invalid_template"


class NotFound(WedsyncError):
    """There is no such thing."""

    code = "not_found"


class UnknownModule(NotFound):
    """There is no such module type."""

    code = "unknown_module"
    hint = "see 'wedsync-ops modules list --all'"


class UnknownJob(NotFound):
    """There is no such job."""

    code = "unknown_job"
    hint = "see 'wedsync-ops jobs list'"


class UnknownClient(NotFound):
    """There is no such couple."""

    code = "unknown_client"
    hint = "see 'wedsync-ops weddings list'"


class UnknownSchedule(NotFound):
    """There is no such schedule."""

    code = "unknown_schedule"
    hint = "see 'wedsync-ops schedules list'"


class UnknownJourney(NotFound):
    """There is no such journey."""

    code = "unknown_journey"
    hint = "see 'wedsync-ops journeys list'"


class UnknownAlert(NotFound):
    """There is no such alert."""

    code = "unknown_alert"
    hint = "see 'wedsync-ops alerts list --all'"


class UnknownEmergency(NotFound):
    """There is no such emergency."""

    code = "unknown_emergency"
    hint = "see 'wedsync-ops emergency history'"


class Refused(WedsyncError):
    """The request was refused."""

    code = "refused"


class ModuleInactive(Refused):
    """The module type is not active."""

    code = "module_inactive"


class TierRefused(Refused):
    """The supplier's subscription tier does not include this module type."""

    code = "tier"


class CapacityReached(Refused):
    """The queue of this module type is full."""

    code = "capacity"


class DeadlineMissed(Refused):
    """The deadline cannot be kept."""

    code = "deadline"
    hint = "give a later deadline"


class Draining(Refused):
    """No new jobs are accepted: what the job belongs to is being drained."""

    code = "draining"


class KeyConflict(Refused):
    """The idempotency key is taken by a job with another payload."""

    code = "key_conflict"


class UniqueConflict(Refused):
    """Another job has the unique key."""

    code = "unique_conflict"


class CodeTaken(Refused):
    """The code belongs to another couple, or the couple has another code."""

    code = "code_taken"


class WrongState(Refused):
    """The job is not in a state that allows this."""

    code = "wrong_state"


class ChangeFrozen(Refused):
    """The change could harm a wedding that is near."""

    code = "frozen"
    hint = "wait, or give --override with --reason"


class TermOver(Refused):
    """Somebody else does now what only one may do."""

    code = "term_over"


class DatabaseMoved(Refused):
    """The platform has moved to another database."""

    code = "database_moved"
    hint = "point --db there"


class MoveRefused(Refused):
    """The platform cannot be moved there."""

    code = "move_refused"


class PartlyDone(WedsyncError):
    """Some of it was done; each failure is named."""

    code = "partly_done"


class DatabaseError(WedsyncError):
    """The database failed."""

    code = "database"


class DatabaseLocked(DatabaseError):
    """The database is locked by another process."""

    code = "database_locked"
    hint = "find the process that holds it, or try again"


class DatabaseReadOnly(DatabaseError):
    """The database cannot be written."""

    code = "database_read_only"
    hint = "check the permissions of the file and its folder"


class DatabaseCorrupt(DatabaseError):
    """This is not a database of wedsync-ops."""

    code = "database_corrupt"
    hint = "point --db at another file, or restore a backup"


class DatabaseNewer(DatabaseError):
    """The database was written by a newer version of wedsync-ops."""

    code = "database_newer"
    hint = "upgrade wedsync-ops on this machine; nothing was changed"


class DatabaseUnreachable(DatabaseError):
    """The database cannot be opened."""

    code = "database_unreachable"
    hint = "check --db and the permissions of its folder"


class DatabaseMissing(DatabaseUnreachable):
    """There is no database yet."""

    hint = "see the settings home and db"


class DatabaseIo(DatabaseError):
    """The database's file cannot be read or written."""

    code = "database_io"
    hint = "check that --db names a file on a disk, and that the disk is well"


class DatabaseConflict(DatabaseError):
    """Another transaction got in the way; this one was undone, and can be repeated."""

    code = "database_conflict"
    hint = "try again"


class StorageFull(WedsyncError):
    """The disk is full or a file-size limit was reached; nothing was changed."""

    code = "storage_full"
    hint = "free some space, then repeat the command"


class DrillFailed(WedsyncError):
    """A drill showed that an emergency would not be met in time."""

    code = "drill_failed"


class HomeUnusable(WedsyncError):
    """The home folder cannot be used."""

    code = "home"
    hint = "set WEDSYNC_OPS_HOME to a folder that can be written"


class ExtraMissing(WedsyncError):
    """A part of the package that this needs is not installed."""

    code = "extra_missing"


class ReportsUnwritable(WedsyncError):
    """Reports cannot be written."""

    code = "reports"
    hint = "check reports_dir and its permissions"


class OutputLost(WedsyncError):
    """Standard output cannot be written."""

    code = "output"


class Interrupted(WedsyncError):
    """It was interrupted."""

    code = "interrupted"


class GateFailed(WedsyncError):
    """A gate that was asked for was not kept to."""

    code = "gate_failed"


class WaitTimedOut(WedsyncError):
    """The job did not finish in time; it is still queued."""

    code = "wait_timeout"
