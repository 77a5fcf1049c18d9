"""The doctor: examines the platform from the settings to the kernel, explains what is wrong and what mends it.

It changes nothing: the home is not made, the schema stays what it is, and no message leaves. So it also works where
nothing else does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wedsync_ops import db
from wedsync_ops.clock import Clock, SystemClock
from wedsync_ops.errors import SettingError
from wedsync_ops.handlers.site import check_settings
from wedsync_ops.operations import examine_database, examine_links, examine_machine
from wedsync_ops.operations.findings import Finding, Severity, advised, problem, warning
from wedsync_ops.settings import Loaded, names, shown


@dataclass(frozen=True, slots=True)
class SettingShown:
    """A setting, its value with what is secret left out, and where that came from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the doctor saw: what is wrong, the worst first, the facts by topic, and the settings."""

    findings: Sequence[Finding]
    facts: Mapping[str, Mapping[str, object]]
    settings: Sequence[SettingShown]


def examine(loaded: Loaded, strangers: Mapping[str, str], machine: Clock | None = None) -> Report:
    """Examine everything. ``strangers`` are variables of the environment that name no setting, with a hint each.

    Raises SettingError for a database URL that is none.
    """
    settings = loaded.settings
    database = db.connect(settings)
    try:
        parts = {
            "database": examine_database.examine(database, settings, machine or SystemClock()),
            "machine": examine_machine.examine(settings, database.file),
            "network": examine_links.examine(settings),
        }
    finally:
        database.close()
    found = [*_settings(loaded, strangers), *(one for part in parts.values() for one in part.findings)]
    found.sort(key=lambda one: one.severity is not Severity.PROBLEM)
    return Report(
        findings=found,
        facts={name: part.facts for name, part in parts.items()},
        settings=[SettingShown(name, shown(settings, name), loaded.sources[name]) for name in names()],
    )


def _settings(loaded: Loaded, strangers: Mapping[str, str]) -> list[Finding]:
    found = []
    try:
        check_settings(loaded.settings, loaded.sources)
    except SettingError as error:
        found.append(problem("setting", error.message, advised("no command but this one starts", error)))
    for name, hint in sorted(strangers.items()):
        words = f"the variable {name} is no setting{hint}"
        found.append(warning("unknown_variable", words, "what it was meant to set has another value", f"unset {name}"))
    return found
