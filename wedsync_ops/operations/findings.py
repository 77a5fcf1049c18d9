"""What an examination finds: what is wrong, why it matters, and the command that mends it. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import URL

from wedsync_ops.db import Database
from wedsync_ops.errors import WedsyncError


class Severity(StrEnum):
    """How bad a finding is."""

    PROBLEM = "problem"
    """Something does not work, or will not."""
    WARNING = "warning"
    """It works, and may not tomorrow, or not as it should."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``mend`` is a command for a shell, ``None`` where no command can mend it."""

    severity: Severity
    code: str
    words: str
    why: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """What an examination saw: facts by name, and what is wrong."""

    facts: Mapping[str, object] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


def problem(code: str, words: str, why: str, mend: str | None = None) -> Finding:
    """Something that does not work."""
    return Finding(Severity.PROBLEM, code, words, why, mend)


def warning(code: str, words: str, why: str, mend: str | None = None) -> Finding:
    """Something that works, but should not be as it is."""
    return Finding(Severity.WARNING, code, words, why, mend)


def advised(why: str, error: WedsyncError) -> str:
    """Why an error matters, with the advice that it carries."""
    return f"{why}; {error.advice}" if error.advice else why


def client(database: Database, sql: str) -> str:
    """The command that sends a statement to a database by its own client, without what is secret."""
    if database.file is not None:
        return f"sqlite3 {shlex.quote(str(database.file))} {shlex.quote(sql)}"
    return f"psql {_options(database.writer.url)} -c {shlex.quote(sql)}"


def _options(url: URL) -> str:
    host = url.host or url.query.get("host")
    given = (("-h", host), ("-p", url.port), ("-U", url.username), ("-d", url.database))
    return " ".join(f"{option} {shlex.quote(str(value))}" for option, value in given if value)
