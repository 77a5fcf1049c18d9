"""Moves a platform from SQLite to PostgreSQL: checked before, copied in batches, verified, and nothing lost on the way.

The source is frozen first, for good: from then on it refuses every write and names the new database. The target refuses
everybody until all is there and verified. Whenever the process dies, both marks stay, and the move can be resumed; or
abandoned, as long as the source was not told that it is done. That is told before the target opens, so that never
both are in use.
"""

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from wedsync_ops import migrate, moves
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, DatabaseMoved, MoveRefused, UsageError, WedsyncError
from wedsync_ops.jobs.rescue import is_dead
from wedsync_ops.jobs.store import workers
from wedsync_ops.moves import Move, Progress
from wedsync_ops.operations import copying
from wedsync_ops.operations.copying import Table

_SAMPLE = 1_000
"""How many rows of each table are read for the estimate."""
_FACTOR = 3.5
"""How many times as long as reading and digesting a row it takes to move it: written, and read back; as measured."""
_GO_ON = "go on with --resume, or stay here with --abandon"
_MADE_BY_LOOKING = {"secrets"}
"""Tables in which whoever only looks at an empty platform leaves a row: a secret that nothing was signed with yet."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a move is between: the SQLite source, the PostgreSQL target; ``lease_s`` tells a dead worker there."""

    source: Database
    target: Database
    clock: Clock
    lease_s: float


@dataclass(frozen=True, slots=True)
class Planned:
    """A table that a move would copy: its rows, and how many of them a move that was broken off has copied."""

    table: str
    rows: int
    copied: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a move would copy, and about how long that takes, in seconds."""

    tables: Sequence[Planned]
    estimated_s: float

    @property
    def rows(self) -> int:
        """How many rows the source has."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that is done: how many rows of each table were copied and verified, and the sums of their digests."""

    id: str
    tables: Mapping[str, Progress]


Told = Callable[[str, int, int], None]
"""Hears of progress: the table, rows copied, rows in all."""


def plan(site: Site, *, resume: bool) -> Plan:
    """What a move would do; nothing is changed. Raises what ``move`` would refuse it with."""
    _check(site, resume=resume)
    with site.source.reading() as source:
        found = copying.tables(source)
        counts = {table.name: copying.count(source, table) for table in found}
        estimated_s = sum(_estimate_s(site, source, table, counts[table.name]) for table in found)
    done = _copied(site) if resume else {}
    listed = [Planned(t.name, counts[t.name], done[t.name].copied if t.name in done else 0) for t in found]
    return Plan(listed, estimated_s)


def _estimate_s(site: Site, source: Connection, table: Table, rows: int) -> float:
    started = site.clock.monotonic()
    seen = copying.sample(source, table, _SAMPLE)
    return (site.clock.monotonic() - started) / seen * rows * _FACTOR if seen else 0.0


def move(site: Site, *, resume: bool, told: Told) -> Moved:
    """Move the platform, or go on with a move that was broken off.

    Raises MoveRefused with nothing changed (workers alive, target not empty, another schema, no such move to resume),
    DatabaseMoved when it was done before; later on DatabaseError, and then the move can be resumed.
    """
    with _alone(site.source):
        _check(site, resume=resume)
        if migrate.revision(site.target) is None:
            migrate.ensure(site.target)
        begun = _freeze(site)
        try:
            _open_target(site, begun)
            copied = _copy(site, told)
            _finish(site, begun, copied)
        except WedsyncError as error:
            error.advice = f"{error.advice}; {_GO_ON}" if error.advice else _GO_ON
            raise
    return Moved(begun.id, {table.name: progress for table, progress in copied.items()})


def abandon(source: Database) -> Move:
    """Take a move back that is not done: the source can be used again. What was copied is of no use any more.

    Raises MoveRefused when there is none, or when it is done.
    """
    _require_sqlite(source)
    _require_file(source)
    with _alone(source), source.transaction() as connection:
        mark = next((mark for mark in moves.read_any(connection) if mark.side == "source"), None)
        if mark is None:
            raise MoveRefused(f"{source.where}: there is no move to abandon")
        if mark.finished_at is not None:
            raise MoveRefused(f"{source.where}: the move to {mark.other} is done", hint="point --db there")
        moves.thaw(connection, [table.name for table in copying.tables(connection)])
        moves.forget(connection, mark.id)
    return mark


def _require_sqlite(source: Database) -> None:
    if not source.is_sqlite:
        raise UsageError(f"{source.where} is no SQLite database; only such a one can be moved")


def _require_file(source: Database) -> None:
    if source.file is None or not source.file.exists():
        raise MoveRefused(f"{source.where}: there is no such database", hint="name the source: --db sqlite:///FILE")


def _check(site: Site, *, resume: bool) -> None:
    _require_sqlite(site.source)
    _require_file(site.source)
    if site.target.is_sqlite:
        raise UsageError(
            "the platform can be moved to PostgreSQL only", hint="give postgresql+psycopg://user@host/name"
        )
    for database, advice in ((site.source, "run 'db migrate' first"), (site.target, "run 'db migrate' there first")):
        revision = migrate.revision(database)
        if revision not in (migrate.HEAD, None if database is site.target else migrate.HEAD):
            have = "is empty" if revision is None else f"has revision {revision}"
            raise MoveRefused(f"{database.where}: the schema {have}, not {migrate.HEAD}", hint=advice)
    with site.source.reading() as connection:
        mark = moves.read(connection, "source")
        if mark is None:
            _refuse_living(site, connection)
    _check_marks(site, mark, _target_mark(site), resume=resume)


def _target_mark(site: Site) -> Move | None:
    """The mark of the target; raises MoveRefused when it holds anything that did not come with it."""
    if migrate.revision(site.target) is None:
        return None
    with site.source.reading() as source:
        names = {table.name for table in copying.tables(source)}
    with site.target.reading() as target:
        mark = moves.read(target, "target")
        if mark is None or mark.finished_at is not None:
            filled = [name for name in sorted(names - _MADE_BY_LOOKING) if not copying.is_empty(target, name)]
            if filled and (mark is None or not _is_ours(site, mark)):
                raise MoveRefused(
                    f"{site.target.where}: the database is not empty ({', '.join(filled)})", hint="move to an empty one"
                )
        return mark


def _is_ours(site: Site, mark: Move) -> bool:
    with site.source.reading() as connection:
        own = moves.read(connection, "source")
    return own is not None and own.id == mark.id


def _check_marks(site: Site, own: Move | None, there: Move | None, *, resume: bool) -> None:
    if own is None and resume:
        raise MoveRefused(f"{site.source.where}: there is no move to resume", hint="leave --resume out")
    same = own is not None and there is not None and own.id == there.id
    if own is not None and own.finished_at is not None and (not same or there is None or there.finished_at is not None):
        raise DatabaseMoved(f"{site.source.where}: this platform has moved to {own.other}")
    if there is not None and there.finished_at is None and not same:
        raise MoveRefused(
            f"{site.target.where}: it holds part of another move, of {there.other}", hint="move to an empty database"
        )
    if own is not None and not resume:
        raise MoveRefused(f"{site.source.where}: a move to {own.other} was begun at this database", hint=_GO_ON)
    if own is not None and not same and own.other != site.target.where:
        raise MoveRefused(f"{site.source.where}: the move that was begun goes to {own.other}", hint=_GO_ON)


def _refuse_living(site: Site, connection: Connection) -> None:
    now = site.clock.now()
    alive = [one.name for one in workers.living(connection) if not is_dead(one, now, site.lease_s)]
    if alive:
        said = f"worker{'s are' if len(alive) > 1 else ' is'} alive ({', '.join(alive)})"
        raise MoveRefused(f"{site.source.where}: {len(alive)} {said}", hint="stop them first")


def _freeze(site: Site) -> Move:
    """Mark the source and refuse every write to it, unless that was done before."""
    with site.source.transaction() as connection:
        known = moves.read(connection, "source")
        if known is not None:
            return known
        _refuse_living(site, connection)  # again: this is the moment from which no worker can begin
        begun = Move(uuid.uuid4().hex, "source", site.target.where, site.clock.now(), None)
        moves.begin(connection, begun)
        moves.freeze(connection, [table.name for table in copying.tables(connection)], begun.other)
        return begun


def _open_target(site: Site, begun: Move) -> None:
    """Mark the target as the other side of this move, unless that was done before."""
    with site.target.transaction() as connection:
        connection.execute(text("LOCK TABLE moves IN EXCLUSIVE MODE"))
        there = moves.read(connection, "target")
        if there is not None and there.id == begun.id:
            return
        if there is not None and there.finished_at is None:
            raise MoveRefused(f"{site.target.where}: another move to it was begun a moment ago, of {there.other}")
        for table in _MADE_BY_LOOKING:
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - a constant
        connection.execute(text("DELETE FROM move_progress"))
        moves.begin(connection, begun._replace(side="target", other=site.source.where))


def _copied(site: Site) -> dict[str, Progress]:
    if migrate.revision(site.target) is None:
        return {}
    with site.target.reading() as connection:
        return moves.progress(connection)


def _copy(site: Site, told: Told) -> dict[Table, Progress]:
    done = _copied(site)
    with site.source.reading() as source:
        found = copying.tables(source)
        counts = {table: copying.count(source, table) for table in found}
    reached: dict[Table, Progress] = {}
    for table in found:
        last = done.get(table.name)
        more: Progress | None = last
        while more is not None or last is None:
            with site.source.reading() as source, site.target.transaction() as target:
                more = copying.copy_batch(source, target, table, last)
            if more is None:
                break
            last = more
            told(table.name, last.copied, counts[table])
        reached[table] = last or Progress(0, 0, 0)
        if reached[table].copied != counts[table]:
            raise DatabaseError(f"{table.name}: {reached[table].copied} rows were copied of {counts[table]}")
    return reached


def _finish(site: Site, begun: Move, copied: Mapping[Table, Progress]) -> None:
    """Verify every table, let ids go on, tell the source, open the target."""
    for table, expected in copied.items():
        with site.target.reading() as target:
            found = copying.verify(target, table)
        if (found.copied, found.digest) != (expected.copied, expected.digest):
            raise DatabaseError(
                f"{site.target.where}: the table {table.name} is not what was copied: {found.copied} rows with digest"
                f" {found.digest:016x} instead of {expected.copied} with {expected.digest:016x}",
                hint="--abandon, and move to an empty database",
            )
    with site.source.reading() as source, site.target.transaction() as target:
        copying.raise_sequences(source, target, list(copied))
    copying.analyse(site.target)
    with site.source.transaction() as source:
        if begun.finished_at is None and not moves.finish(source, begun.id, site.clock.now()):
            raise MoveRefused(f"{site.source.where}: the move was abandoned meanwhile")
    with site.target.transaction() as target:
        moves.finish(target, begun.id, site.clock.now())


@contextmanager
def _alone(source: Database) -> Iterator[None]:
    """One move of a source at a time; the kernel ends it with the process. Raises MoveRefused while another runs."""
    path = Path(f"{source.file}.move")
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MoveRefused(f"the folder {path.parent} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MoveRefused(f"{source.where}: a move of it is under way in another process") from error
        yield
    finally:
        os.close(descriptor)
