"""``db``: the database itself, and the move from SQLite to PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.frozen import Override, Reason, reason_of
from wedsync_ops.cli.inputs import DryRun, Json, Yes, confirm
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import Interrupted, SettingError, UsageError

if TYPE_CHECKING:
    from wedsync_ops.db import Database
    from wedsync_ops.emergencies.freezing import Freeze
    from wedsync_ops.moves import Move
    from wedsync_ops.operations.move import Plan, Site

app = group("See and prepare the database; move the platform to PostgreSQL.")
_TELL_S = 1.0
"""Seconds between two lines of progress."""


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show which database this is, its schema, and whether the platform moves, has moved, or comes here."""
    from wedsync_ops import migrate, moves
    from wedsync_ops.cli.render import emit, facts

    with _database(context) as database:
        revision = migrate.revision(database)
        marks: list[Move] = []
        if revision is not None:
            with database.reading() as connection:
                marks = moves.read_any(connection)
        state, other = _state(revision, marks)
        size = database.file.stat().st_size if database.file is not None and database.file.exists() else None
        document = {
            "database": database.where,
            "dialect": "sqlite" if database.is_sqlite else "postgresql",
            "state": state,
            "revision": revision,
            "newest_revision": migrate.HEAD,
            "size_bytes": size,
            "other": other,
        }
    if json:
        emit("db-status", document)
    else:
        facts((name.replace("_", " "), value) for name, value in document.items())


def _state(revision: str | None, marks: "list[Move]") -> tuple[str, str | None]:
    """What the database is, in a word, and the other side of a move that matters to it."""
    from wedsync_ops import migrate

    for mark in marks:
        if mark.side == "source":
            return ("moving" if mark.finished_at is None else "moved"), mark.other
        if mark.finished_at is None:
            return "arriving", mark.other
    if revision is None:
        return "empty", None
    return ("current" if revision == migrate.HEAD else "older"), None


@app.command("migrate")
def migrate_schema(
    context: typer.Context, override: Override = False, reason: Reason = None, json: Json = False
) -> None:
    """Bring the database to this version's schema, as every other command does at its start."""
    from wedsync_ops import migrate
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.jobs.guard import Change

    why, change = reason_of(override, reason), Change("db migrate")
    with _database(context) as database:
        before = migrate.revision(database)
        frozen = _freeze(context, database).allow(change, why) if _is_older(before) else None
    with opened(context) as opened_app:
        where = opened_app.database.where
        if frozen is not None and why is not None:
            opened_app.freeze().keep(change, why, frozen)
    if json:
        emit("db-migrate", {"database": where, "before": before, "revision": migrate.HEAD})
    else:
        was = "" if before == migrate.HEAD else f", it was {before or 'empty'}"
        say(f"{where}: the schema is {migrate.HEAD}{was}")


def _is_older(revision: str | None) -> bool:
    """Whether there is something to bring up to date, in tables that can tell of weddings."""
    from wedsync_ops import migrate

    return revision is not None and "0005" <= revision < migrate.HEAD


def _freeze(context: typer.Context, database: "Database") -> "Freeze":
    """What forbids changes while weddings are near, by a database that is of an older version."""
    from wedsync_ops.app import calendar_of
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.emergencies.freezing import Freeze
    from wedsync_ops.instants import zone_named

    settings = load_settings(context).settings
    zone = calendar_of(settings).zone
    return Freeze(database, database.server_clock(), settings, lambda name: zone if name is None else zone_named(name))


@app.command("migrate-to")
def migrate_to(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Argument(metavar="POSTGRES_URL", help="An empty database of PostgreSQL's.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a move that was broken off.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Take back a move that is not done; stay here.")] = False,
    json: Json = False,
) -> None:
    """Move the platform from SQLite to PostgreSQL, verify it, and refuse every later use of the old database."""
    from wedsync_ops.operations import move as moving

    if abandon:
        if url is not None or resume or dry_run:
            raise UsageError("--abandon stands alone: the database knows where it was to move")
        _abandon(context, json=json)
        return
    if url is None:
        raise UsageError("POSTGRES_URL is missing", hint="write postgresql+psycopg://user@host/name")
    with _site(context, url) as site:
        plan = moving.plan(site, resume=resume)
        if dry_run:
            _show(site, plan, json=json)
            return
        question = f"Move {plan.rows:,} rows from {site.source.where} to {site.target.where}, for good?"
        confirm(question, yes=yes)
        _move(site, resume=resume, json=json)


def _abandon(context: typer.Context, *, json: bool) -> None:
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.operations import move as moving

    with _database(context) as database:
        taken_back = moving.abandon(database)
    if json:
        emit("db-migrate-to", {"source": database.where, "target": taken_back.other, "state": "abandoned"})
    else:
        say(f"{database.where} is in use again; what was copied to {taken_back.other} is of no use any more")


def _move(site: "Site", *, resume: bool, json: bool) -> None:
    from wedsync_ops.cli.render import answering, emit, say, table
    from wedsync_ops.operations import move as moving

    started = site.clock.monotonic()
    try:
        done = moving.move(site, resume=resume, told=_Teller(site))
    except KeyboardInterrupt as error:
        raise Interrupted("the move was broken off", hint="see 'db status'; go on with --resume") from error
    duration_s = site.clock.monotonic() - started
    rows = [(name, at.copied, f"{at.digest:016x}") for name, at in done.tables.items()]
    with answering(f"the platform has moved to {site.target.where}"):
        if json:
            listed = [{"table": name, "rows": copied, "digest": digest} for name, copied, digest in rows]
            emit("db-migrate-to", {**_sides(site), "state": "moved", "tables": listed, "duration_s": duration_s})
            return
        table(("Table", ">Rows", "Digest"), [(name, f"{copied:,}", digest) for name, copied, digest in rows])
        say(f"The platform has moved to {site.target.where}, verified, in {duration_s:,.1f} s. Set --db everywhere.")


def _show(site: "Site", plan: "Plan", *, json: bool) -> None:
    """What a move would do."""
    from wedsync_ops.cli.render import emit, say, table

    if json:
        listed = [{"table": each.table, "rows": each.rows, "copied": each.copied} for each in plan.tables]
        emit("db-migrate-to", {**_sides(site), "state": "planned", "tables": listed, "estimated_s": plan.estimated_s})
        return
    table(("Table", ">Rows", ">Copied"), [(each.table, f"{each.rows:,}", f"{each.copied:,}") for each in plan.tables])
    say(f"{plan.rows:,} rows would move to {site.target.where}, in about {plan.estimated_s:,.0f} s. Nothing changed.")


def _sides(site: "Site") -> dict[str, Any]:
    return {"source": site.source.where, "target": site.target.where}


class _Teller:
    """Tells of progress on standard error, once a second at most."""

    def __init__(self, site: "Site") -> None:
        self._clock = site.clock
        self._told_at = site.clock.monotonic()

    def __call__(self, table: str, copied: int, rows: int) -> None:
        """Tell how far a table is copied."""
        now = self._clock.monotonic()
        if now - self._told_at >= _TELL_S:
            self._told_at = now
            typer.echo(f"{table}: {copied:,} of {rows:,} rows", err=True)


@contextmanager
def _database(context: typer.Context) -> "Iterator[Database]":
    """The configured database as it is: nothing is created, and one that has moved is not refused."""
    from wedsync_ops import db
    from wedsync_ops.cli.opening import load_settings

    with closing(db.connect(load_settings(context).settings)) as database:
        yield database


@contextmanager
def _site(context: typer.Context, url: str) -> "Iterator[Site]":
    """The two databases of a move."""
    from dataclasses import replace

    from wedsync_ops import db
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.clock import SystemClock
    from wedsync_ops.operations.move import Site

    settings = load_settings(context).settings
    with closing(db.connect(settings)) as source:
        try:
            opened = db.connect(replace(settings, db=url))
        except SettingError as error:  # it speaks of the URL as if it were the option's
            raise UsageError(error.message.replace("database URL (--db)", "POSTGRES_URL"), hint=error.advice) from error
        with closing(opened) as target:
            yield Site(source, target, SystemClock(), settings.lease_s)
