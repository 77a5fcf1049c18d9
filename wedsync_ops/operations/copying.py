"""Copies a SQLite database's tables to PostgreSQL: bounded batches, each row once, and a digest of what was copied.

A batch and the note of how far it came are one transaction of the target, so that a copy that is killed goes on where
it was. Rows are read and written one at a time; what is in memory is a row and the drivers' buffers.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Boolean, Connection, inspect, text

from wedsync_ops import moves
from wedsync_ops.db import Database
from wedsync_ops.errors import MoveRefused
from wedsync_ops.moves import Progress

ROWS = 5_000
"""The most rows of a batch."""
BYTES = 8 * 1024 * 1024
"""A batch ends with the row that makes it larger than this, in bytes of its canonical rows."""
_MODULUS = 2**64
_NOT_COPIED = {"alembic_version", *moves.TABLES}
_ANALYSE = "ANALYZE"


class Table(NamedTuple):
    """A table of the source: its columns, and the places among them of those that are booleans."""

    name: str
    columns: tuple[str, ...]
    booleans: frozenset[int]

    @property
    def listed(self) -> str:
        """The columns as SQL lists them."""
        return ", ".join(f'"{column}"' for column in self.columns)


def tables(connection: Connection) -> list[Table]:
    """Every table that is moved, those before it that it refers to."""
    found = inspect(connection)
    names = [name for name, _ in found.get_sorted_table_and_fkc_names() if name is not None]
    return [_table(name, found.get_columns(name)) for name in names if name not in _NOT_COPIED]


def _table(name: str, columns: Sequence[Mapping[str, Any]]) -> Table:
    booleans = frozenset(place for place, column in enumerate(columns) if isinstance(column["type"], Boolean))
    return Table(name, tuple(str(column["name"]) for column in columns), booleans)


def count(connection: Connection, table: Table) -> int:
    """How many rows a table has."""
    return int(connection.execute(text(f'SELECT count(*) FROM "{table.name}"')).scalar_one())


def is_empty(connection: Connection, table: str) -> bool:
    """Whether a table has no row."""
    return connection.execute(text(f'SELECT 1 FROM "{table}" LIMIT 1')).first() is None


def copy_batch(source: Connection, target: Connection, table: Table, before: Progress | None) -> Progress | None:
    """Copy the next rows of a table and note how far it came; ``None`` when there were no more.

    Raises MoveRefused when somebody else copies at the same time.
    """
    start = before or Progress(-(2**63), 0, 0)
    after, copied, digest, size = start.after_row, 0, start.digest, 0
    # psycopg takes the columns' types from the table: what is sent is text.
    with (
        closing(_rows(source, table, start.after_row)) as rows,
        _raw(target).cursor() as cursor,
        cursor.copy(f'COPY "{table.name}" ({table.listed}) FROM STDIN') as copy,
    ):
        for number, values in rows:
            copy.write_row(values)
            written = canonical(values)
            digest = (digest + digest_of(written)) % _MODULUS
            after, copied, size = number, copied + 1, size + len(written)
            if copied == ROWS or size > BYTES:
                break
    if not copied:
        return None
    reached = Progress(after, start.copied + copied, digest)
    if not moves.advance(target, table.name, before, reached):
        raise MoveRefused(f"somebody else copies {table.name} at the same time; nothing was copied twice")
    return reached


def sample(source: Connection, table: Table, most: int) -> int:
    """Read and digest the first rows of a table, as copying does; returns how many."""
    seen = 0
    with closing(_rows(source, table, -(2**63))) as rows:
        for _, values in rows:
            digest_of(canonical(values))
            seen += 1
            if seen == most:
                break
    return seen


def _rows(source: Connection, table: Table, after: int) -> Generator[tuple[int, list[Any]], None, None]:
    statement = f'SELECT rowid, {table.listed} FROM "{table.name}" WHERE rowid > ? ORDER BY rowid'
    with closing(_raw(source).execute(statement, (after,))) as cursor:
        for number, *values in cursor:
            for place in table.booleans:
                values[place] = None if values[place] is None else bool(values[place])
            yield number, [_kept(value) for value in values]


def _kept(value: Any) -> Any:
    """A value as PostgreSQL can keep it: its texts hold no NUL (which a handler's log line may)."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) and "\x00" in value else value


def canonical(values: Iterable[Any]) -> bytes:
    """A row in the one form that is digested, the same from both databases."""
    return orjson.dumps(list(values), default=bytes.hex)  # sketches are bytes


def digest_of(row: bytes) -> int:
    """The digest of a canonical row, 64 bits. The sum of all of a table's does not depend on their order."""
    return int.from_bytes(blake2b(row, digest_size=8).digest())


def verify(target: Connection, table: Table) -> Progress:
    """Read a whole table of PostgreSQL back: rows and digest."""
    copied, digest = 0, 0
    with _raw(target).cursor() as cursor:
        cursor.execute(f'SELECT {table.listed} FROM "{table.name}" LIMIT 0')
        types = [column.type_code for column in cursor.description]
        with cursor.copy(f'COPY "{table.name}" ({table.listed}) TO STDOUT') as copy:
            copy.set_types(types)
            for values in copy.rows():
                digest = (digest + digest_of(canonical(values))) % _MODULUS
                copied += 1
    return Progress(0, copied, digest)


def raise_sequences(source: Connection, target: Connection, copied: Sequence[Table]) -> None:
    """Let PostgreSQL's ids go on above every id that SQLite ever gave, those of rows that are gone included."""
    given = {row.name: row.seq for row in source.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    found = inspect(target)
    for table in copied:
        key = found.get_pk_constraint(table.name)["constrained_columns"]
        if len(key) != 1:
            continue
        values = {"table": table.name, "column": key[0]}
        sequence = target.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), values).scalar()
        if sequence is None:
            continue
        highest = target.execute(text(f'SELECT max("{key[0]}") FROM "{table.name}"')).scalar() or 0
        last = max(highest, given.get(table.name, 0))
        if last > 0:
            target.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})


def analyse(target: Database) -> None:
    """Have PostgreSQL look at what has come, so that its first plans are good ones."""
    with target.transaction() as connection:
        connection.execute(text(_ANALYSE))


def _raw(connection: Connection) -> Any:
    """The driver's own connection, within the transaction that is under way."""
    return connection.connection.driver_connection
