"""Examines a database: whether it can be used, what it can do, whether it is as migrations made it, and its rows."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from wedsync_ops import migrate, moves
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import WedsyncError
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.rescue import is_dead
from wedsync_ops.jobs.store import lanes, workers
from wedsync_ops.operations.drift import drift
from wedsync_ops.operations.findings import Examined, Finding, advised, client, problem, warning
from wedsync_ops.operations.health import wal_bytes
from wedsync_ops.settings import Settings

SKEW_S = 2.0
"""How far the clocks of this machine and the database, and of workers, may be apart, in seconds."""
WAL_MB = 64
_MB = 1024 * 1024
_OLDEST_SQLITE = (3, 38)
_MIGRATE = "wedsync-ops db migrate"
_RESCUE = "wedsync-ops maintenance run rescue"
_PRAGMAS = ("journal_mode", "synchronous", "page_size", "page_count", "freelist_count", "auto_vacuum")
_SYNCHRONOUS = {0: "off", 1: "normal", 2: "full", 3: "extra"}
_ORPHANS = {
    "payloads": ("job_id", "jobs", "config and context of jobs that are no more stay, with the personal data in them"),
    "execution_details": ("execution_id", "executions", "tracebacks and logs of executions that are no more stay"),
}
_SERVER = (
    "SELECT current_setting('server_version') AS version, current_database() AS name,"
    " current_setting('max_connections')::int AS max_connections, current_setting('synchronous_commit') AS"
    " synchronous_commit, pg_is_in_recovery() AS is_standby, pg_database_size(current_database()) AS size_bytes,"
    " has_schema_privilege(current_schema(), 'CREATE') AS may_create, current_user AS role"
)
_RIGHTS = (
    "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND NOT ("
    "has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'SELECT')"
    " AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'INSERT')"
    " AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'UPDATE')"
    " AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'DELETE')) ORDER BY 1"
)
_INVALID = (
    "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace ORDER BY 1"
)


def examine(database: Database, settings: Settings, machine: Clock) -> Examined:
    """Look at everything that can be looked at; ``machine`` is this machine's own clock. Nothing is written."""
    facts: dict[str, object] = {"database": database.where, "revision": None, "newest_revision": migrate.HEAD}
    findings: list[Finding] = []
    try:
        for found in _examine(database, settings, machine, facts):
            findings.append(found)  # noqa: PERF402 - what was found before a failure counts
    except WedsyncError as error:
        if not any(found.code.endswith("_missing") for found in findings):  # else it follows from that
            why = "without it nothing can be queued, run or looked up"
            findings.append(problem(error.code, error.message, advised(why, error)))
    return Examined(facts, findings)


def _examine(database: Database, settings: Settings, machine: Clock, facts: dict[str, object]) -> Iterator[Finding]:
    revision = migrate.revision(database)
    facts["revision"] = revision
    if revision is None:
        why = "nothing was ever queued here; or home or db name another place than the workers'"
        yield warning("no_database", f"{database.where}: no database yet", why, _MIGRATE)
        return
    with database.reading() as connection:
        facts |= abilities(connection, database)
        yield from _moved(connection)
        yield from _able(connection, database, settings, facts)
        if revision == migrate.HEAD:
            yield from schema(connection, database)
            yield from rows(connection, database, settings)
        else:
            words = f"the schema is {revision}, and this version works with {migrate.HEAD}"
            yield warning("schema_older", words, "commands bring it there", _MIGRATE)
    yield from clocks(database, machine)


def abilities(connection: Connection, database: Database) -> dict[str, object]:
    """What this database is and can do."""
    if database.file is None:
        return dict(connection.execute(text(_SERVER)).mappings().one())
    found: dict[str, Any] = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _PRAGMAS}
    found["synchronous"] = _SYNCHRONOUS.get(found["synchronous"], found["synchronous"])
    version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
    return {"version": version, "size_bytes": found["page_size"] * found["page_count"], **found}


def _able(
    connection: Connection, database: Database, settings: Settings, facts: dict[str, object]
) -> Iterator[Finding]:
    if database.file is None:
        yield from _server(connection, database, facts)
        return
    if tuple(int(part) for part in str(facts["version"]).split(".")[:2]) < _OLDEST_SQLITE:
        yield problem("sqlite_old", f"SQLite {facts['version']} is too old", "statements use JSON as of 3.38")
    if facts["journal_mode"] != "wal":
        why = "readers and the writer wait for each other"
        mend = client(database, "PRAGMA journal_mode = WAL")
        yield warning("journal_mode", f"the journal mode is {facts['journal_mode']}, not wal", why, mend)
    wal_mb = wal_bytes(database.file) / _MB
    facts["wal_mb"] = round(wal_mb, 1)
    if wal_mb > WAL_MB:
        why = "a reader that never ends keeps it from being copied back; it fills the disk and slows every start"
        mend = client(database, "PRAGMA wal_checkpoint(TRUNCATE)")
        yield warning("wal", f"the write-ahead log holds {wal_mb:,.0f} MB", why, mend)
    if settings.durability == "full" and facts["synchronous"] not in ("full", "extra"):
        yield warning("synchronous", f"commits are {facts['synchronous']}, not full", "power loss may undo commits")


def _server(connection: Connection, database: Database, facts: dict[str, object]) -> Iterator[Finding]:
    role = facts["role"]
    if facts["is_standby"]:
        yield problem(
            "standby", "the server is a standby", "it takes no writes", client(database, "SELECT pg_promote()")
        )
    if not facts["may_create"]:
        mend = client(database, f'GRANT CREATE ON SCHEMA public TO "{role}"')
        yield warning("rights", f"{role} may create no tables", "a newer version can't bring its schema", mend)
    lacking = list(connection.execute(text(_RIGHTS)).scalars())
    if lacking:
        mend = client(database, f'GRANT SELECT, INSERT, UPDATE, DELETE ON {", ".join(lacking)} TO "{role}"')
        yield problem("rights", f"{role} may not read and write {', '.join(lacking)}", "workers need to", mend)
    for name in connection.execute(text(_INVALID)).scalars():
        yield problem(
            "index_invalid",
            f"the index {name} is not valid",
            "it is not used",
            client(database, f"REINDEX INDEX {name}"),
        )


def _moved(connection: Connection) -> Iterator[Finding]:
    for mark in moves.read_any(connection):
        if mark.side == "source" and mark.finished_at is not None:
            words = f"this platform has moved to {mark.other}"
            yield problem("database_moved", words, "nothing is written here any more; point --db there")
        elif mark.finished_at is None:
            words = f"a move is under way, the other side is {mark.other}"
            yield problem("moving", words, "nobody may write until it is done, or given up: db migrate-to --resume")


def schema(connection: Connection, database: Database) -> Iterator[Finding]:
    """What is missing of the schema, and indexes that are not the same."""
    found = drift(connection)
    for part in found.missing:
        mend = None if part.sql is None else client(database, part.sql)
        slow = "statements that need it read whole tables, and what it forbids is possible"
        why = slow if part.kind == "index" else "statements that need it fail"
        if part.sql is None:
            why += "; restore a backup, for what it held is gone" if part.kind != "constraint" else "; restore a backup"
        yield problem(f"{part.kind}_missing", f"the {part.words} is missing", why, mend)
    for part in found.changed:
        why = "statements may not use it"
        mend = client(database, f"DROP INDEX {part.name}; {part.sql}")
        yield warning("index_changed", f"the {part.words} is not as it was made", why, mend)


def rows(connection: Connection, database: Database, settings: Settings) -> Iterator[Finding]:
    """Leases that nobody holds, counters that are wrong, rows that belong to nothing."""
    now = database.server_clock().now()
    living = workers.living(connection)
    dead = [one for one in living if is_dead(one, now, settings.lease_s)]
    stale = list(workers.holders_gone(connection)) + [one.id for one in dead if workers.orphans(connection, one.id, 1)]
    if stale:
        why = "its jobs wait until a worker, or maintenance, takes them up"
        yield problem("stuck_leases", f"workers that are gone hold jobs: {', '.join(sorted(stale)[:5])}", why, _RESCUE)
    ahead = [one for one in living if one.heartbeat_at - now > SKEW_S * SECOND]
    for one in ahead:
        words = f"the heartbeat of worker {one.name} is {(one.heartbeat_at - now) / SECOND:,.1f} s ahead of the clock"
        why = "its death would be noticed that much later; a clock was set back, or its machine's is ahead"
        yield warning("clock_worker", words, why, "timedatectl set-ntp true")
    for wrong in lanes.errors(connection):
        lane = f"{wrong.lane.module_type}, {wrong.lane.priority.word}"
        words = f"the counters of the lane {lane} are off by {-wrong.available} available and {-wrong.waiting} waiting"
        why = "capacity and the choice of lanes rest on them"
        yield problem("counters", words, why, "wedsync-ops maintenance run counters")
    for table, (column, owner, why) in _ORPHANS.items():
        lost = f"FROM {table} WHERE NOT EXISTS (SELECT 1 FROM {owner} WHERE {owner}.id = {table}.{column})"
        count = connection.execute(text(f"SELECT count(*) {lost}")).scalar_one()
        if count:
            words = f"{count:,} rows of {table} belong to nothing"
            yield warning(f"orphaned_{table}", words, why, client(database, f"DELETE {lost}"))


def clocks(database: Database, machine: Clock) -> Iterator[Finding]:
    """Whether this machine's clock is that of the database's server; on SQLite they are one."""
    if database.is_sqlite:
        return
    before = machine.now()
    server = database.server_clock().now()
    after = machine.now()
    apart = max(server - after, before - server, 0) / SECOND
    if apart > SKEW_S:
        way = "behind" if server > after else "ahead of"
        words = f"this machine's clock is {apart:,.1f} s {way} the database's"
        why = "jobs go by the database's clock; what handlers and logs say of time is off by as much"
        yield warning("clock", words, why, "timedatectl set-ntp true")
