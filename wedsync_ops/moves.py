"""The marks of a move to another database, on both sides, and what they forbid.

A source is marked before the first row is copied: triggers then refuse every write, whichever version or process tries
it, so that nothing can be queued that the copy would miss. A target is marked until all is there and verified. Nobody
works on a database that is marked; the source's mark stays when the move is done, and names the new database.
"""

from typing import NamedTuple

from sqlalchemy import Connection, inspect

from wedsync_ops import db
from wedsync_ops.errors import DatabaseMoved

TABLES = ("moves", "move_progress")
"""The tables that tell of moves, and are not moved themselves."""
_COLUMNS = "id, side, other, started_at, finished_at"
_TRIGGER = "moved_{table}_{event}"
_EVENTS = ("INSERT", "UPDATE", "DELETE")


class Move(NamedTuple):
    """A move as one side knows it: source or target, the other side's address, when it began and when it was done."""

    id: str
    side: str
    other: str
    started_at: int
    finished_at: int | None


class Progress(NamedTuple):
    """How far a table is copied: the last row's number in the source, rows, and the sum of their digests."""

    after_row: int
    copied: int
    digest: int


def read(connection: Connection, side: str) -> Move | None:
    """The latest move of which this database is that side; ``None`` when there is none."""
    statement = f"SELECT {_COLUMNS} FROM moves WHERE side = :side ORDER BY started_at DESC LIMIT 1"
    row = db.run(connection, statement, {"side": side}).first()
    return None if row is None else Move._make(row)


def read_any(connection: Connection) -> list[Move]:
    """The latest move of each side, also where the database knows nothing of moves yet."""
    if not inspect(connection).has_table(TABLES[0]):
        return []
    return [move for move in (read(connection, "source"), read(connection, "target")) if move is not None]


def check(connection: Connection, where: str) -> None:
    """Refuse a database that moves, has moved, or is not yet filled. Raises DatabaseMoved."""
    source, target = read(connection, "source"), read(connection, "target")
    if source is not None and source.finished_at is not None:
        raise DatabaseMoved(f"{where}: this platform has moved to {source.other}", hint="point --db there")
    if source is not None:
        raise DatabaseMoved(
            f"{where}: {db.MOVING}{source.other}, and the move is not done",
            hint="finish it with 'db migrate-to URL --resume', or stay with 'db migrate-to URL --abandon'",
        )
    if target is not None and target.finished_at is None:
        raise DatabaseMoved(
            f"{where}: the move of {target.other} to this database is not done",
            hint="finish it with 'db migrate-to URL --resume' there",
        )


def begin(connection: Connection, move: Move) -> None:
    """Mark a side."""
    db.run(
        connection,
        f"INSERT INTO moves ({_COLUMNS}) VALUES (:id, :side, :other, :started_at, :finished_at)",
        move._asdict(),
    )


def finish(connection: Connection, move_id: str, now: int) -> bool:
    """Note that a move is done on one side; ``False`` when there is no such move any more."""
    statement = "UPDATE moves SET finished_at = :now WHERE id = :id AND finished_at IS NULL"
    return db.run(connection, statement, {"id": move_id, "now": now}).rowcount == 1


def forget(connection: Connection, move_id: str) -> None:
    """Remove a mark."""
    db.run(connection, "DELETE FROM moves WHERE id = :id", {"id": move_id})


def freeze(connection: Connection, tables: list[str], other: str) -> None:
    """Refuse every write to these tables of a SQLite database from now on."""
    said = f"{db.MOVING}{other}".replace("'", "''")
    for table in tables:
        for event in _EVENTS:
            name = _TRIGGER.format(table=table, event=event.lower())
            refusal = f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
            db.run(connection, f"CREATE TRIGGER {name} BEFORE {event} ON {table} {refusal}")


def thaw(connection: Connection, tables: list[str]) -> None:
    """Let these tables be written again."""
    for table in tables:
        for event in _EVENTS:
            db.run(connection, f"DROP TRIGGER IF EXISTS {_TRIGGER.format(table=table, event=event.lower())}")


def progress(connection: Connection) -> dict[str, Progress]:
    """How far each table is copied, by name; those that are not begun are left out."""
    rows = db.run(connection, "SELECT table_name, after_row, copied, digest FROM move_progress")
    return {row.table_name: Progress(row.after_row, row.copied, int(row.digest, 16)) for row in rows}


def advance(connection: Connection, table: str, before: Progress | None, after: Progress) -> bool:
    """Note how far a table is copied; ``False`` when somebody else has copied meanwhile."""
    values = {"table": table, "after_row": after.after_row, "copied": after.copied, "digest": f"{after.digest:016x}"}
    if before is None:
        statement = (
            "INSERT INTO move_progress (table_name, after_row, copied, digest)"
            " VALUES (:table, :after_row, :copied, :digest) ON CONFLICT (table_name) DO NOTHING"
        )
    else:
        values["before"] = before.after_row
        statement = (
            "UPDATE move_progress SET after_row = :after_row, copied = :copied, digest = :digest"
            " WHERE table_name = :table AND after_row = :before"
        )
    return db.run(connection, statement, values).rowcount == 1
