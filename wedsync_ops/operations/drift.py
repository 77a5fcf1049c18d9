"""How a live schema differs from what the migrations make: what is missing, and on SQLite what is not the same.

What the migrations make is made, in a scratch database that nobody else sees; so there is no second list of tables to
keep. Names are compared on both databases; what a server has beside them is its administrator's.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text

from wedsync_ops import db, migrate
from wedsync_ops.settings import Settings

POSTGRES_ONLY = frozenset({("column", "events", "txid"), ("index", "events", "events_in_order")})
"""What migrations make on PostgreSQL alone; a test compares it with a fresh one."""
_NAMED = re.compile(r"CONSTRAINT (\w+) (?:CHECK|UNIQUE)")
_SPACE = re.compile(r"\s+")
_TYPES = {
    "BIGINT": "bigint",
    "INTEGER": "bigint",
    "SMALLINT": "smallint",
    "TEXT": "text",
    "FLOAT": "double precision",
    "BOOLEAN": "boolean",
}
"""The spelling on PostgreSQL of what the scratch database calls a column's type."""
_COLUMNS = (
    'SELECT m.name AS held_by, c.name, c.type, c."notnull" FROM sqlite_master m, pragma_table_info(m.name) c'
    " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
)
_SERVER = (
    "SELECT 'table' AS kind, tablename AS held_by, tablename AS name FROM pg_tables WHERE schemaname = current_schema()"
    " UNION ALL SELECT 'column', table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = current_schema()"
    " UNION ALL SELECT 'index', tablename, indexname FROM pg_indexes WHERE schemaname = current_schema()"
    " UNION ALL SELECT 'constraint', conrelid::regclass::text, conname FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace AND contype IN ('c', 'u')"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A table, column, index or constraint; ``held_by`` is its table, ``sql`` a statement that makes it, if one can."""

    kind: str
    held_by: str
    name: str
    sql: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it."""
        return self.kind, self.held_by, self.name

    @property
    def words(self) -> str:
        """The part as messages name it."""
        return f"{self.kind} {self.name}" + ("" if self.kind == "table" else f" of {self.held_by}")


@dataclass(frozen=True, slots=True)
class Drift:
    """What a live schema lacks, and the indexes that it has otherwise than the migrations make them."""

    missing: tuple[Part, ...]
    changed: tuple[Part, ...] = ()


def drift(connection: Connection) -> Drift:
    """How the schema behind a connection differs from this version's."""
    wanted = _wanted()
    if connection.dialect.name == "sqlite":
        live = {part.key: part for part in _sqlite(connection)}
        changed = [
            part for part in wanted if part.kind == "index" and part.key in live and live[part.key].sql != part.sql
        ]
        return Drift(_most_of(part for part in wanted if part.key not in live), tuple(changed))
    found = server_parts(connection)
    lost = [Part(*key) for key in sorted(POSTGRES_ONLY - found)]
    return Drift(_most_of([*(_on_server(part) for part in wanted if part.key not in found), *lost]))


def server_parts(connection: Connection) -> set[tuple[str, str, str]]:
    """What there is on PostgreSQL, as kind, table and name."""
    return {(row.kind, row.held_by, row.name) for row in connection.execute(text(_SERVER))}


def _most_of(missing: Iterable[Part]) -> tuple[Part, ...]:
    """Of a table that is missing only the table: all that it holds is missing with it."""
    parts = list(missing)
    tables = {part.name for part in parts if part.kind == "table"}
    return tuple(part for part in parts if part.kind == "table" or part.held_by not in tables)


def _on_server(part: Part) -> Part:
    sql = part.sql
    if part.kind == "column" and sql is not None:
        head, _, kind = sql.rpartition(" ")
        sql = f"{head} {_TYPES[kind]}" if kind in _TYPES else None
    return Part(part.kind, part.held_by, part.name, sql)


@cache
def _wanted() -> tuple[Part, ...]:
    """What this version's migrations make on SQLite."""
    with tempfile.TemporaryDirectory(prefix="wedsync-ops-") as folder:
        scratch = db.connect(Settings(home=Path(folder), durability="normal"))
        try:
            migrate.ensure(scratch)
            with scratch.reading() as connection:
                return tuple(_sqlite(connection))
        finally:
            scratch.close()


def _sqlite(connection: Connection) -> Iterator[Part]:
    made = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    for kind, name, table, sql in made:
        if kind == "table" and not name.startswith("sqlite_"):
            yield Part("table", name, name)
            yield from (Part("constraint", name, found) for found in _NAMED.findall(sql))
        elif kind == "index":
            yield Part("index", table, name, _SPACE.sub(" ", sql))
    for table, name, kind, is_needed in connection.execute(text(_COLUMNS)):
        yield Part("column", table, name, None if is_needed else f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
