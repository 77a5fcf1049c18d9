"""Bringing a database to this version's schema: fresh, again, together, and what is refused untouched."""

import importlib.util
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseLocked,
    DatabaseNewer,
    DatabaseReadOnly,
    DatabaseUnreachable,
    StorageFull,
    WedsyncError,
)
from wedsync_ops.settings import Settings

TABLES = {
    "alembic_version",
    "alert_cursors",
    "alert_deliveries",
    "alert_events",
    "alert_marks",
    "alert_points",
    "alert_rules",
    "alert_silences",
    "alerts",
    "calls_made",
    "clients",
    "customisations",
    "drains",
    "durations",
    "events",
    "execution_details",
    "executions",
    "forecast_methods",
    "forecasts",
    "form_answers",
    "limit_gauges",
    "slot_requests",
    "stops",
    "host_samples",
    "jobs",
    "journeys",
    "lane_counts",
    "module_versions",
    "modules",
    "move_progress",
    "moves",
    "pauses",
    "payloads",
    "plan_steps",
    "plans",
    "referral_codes",
    "rollup_series",
    "rollup_state",
    "rollups",
    "scale_decisions",
    "scale_states",
    "schedule_fires",
    "schedules",
    "secrets",
    "supplier_tags",
    "suppressions",
    "terms",
    "webhook_cursors",
    "wedding_moves",
    "workers",
}
INDEXES = {
    "jobs_by_key",
    "jobs_unique",
    "jobs_dead",
    "jobs_held",
    "jobs_leased",
    "jobs_to_claim",
    "jobs_to_claim_in_region",
    "jobs_to_promote",
    "jobs_to_reconsider",
}
ENSURE = """
import sys
from pathlib import Path
from wedsync_ops import db, migrate
from wedsync_ops.settings import Settings
database = db.connect(Settings(home=Path(sys.argv[1]), db=sys.argv[2]))
if "ready" in sys.argv:
    print(flush=True)
    sys.stdin.readline()
migrate.ensure(database)
database.close()
print("done")
"""
FULL = (
    """
import resource, sys
from wedsync_ops.errors import WedsyncError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
"""
    + "".join(f"    {line}\n" for line in ENSURE.strip().splitlines())
    + """
except WedsyncError as error:
    print(type(error).__name__)
"""
)


def refused(file: Path, kind: type[WedsyncError], query: str = "", busy_s: float = 5.0) -> WedsyncError:
    """The error with which a file is refused; the file's bytes are what they were."""
    before = file.read_bytes()
    url = f"sqlite:///file:{file}?{query}" if query else f"sqlite:///{file}"
    database = db.connect(Settings(home=file.parent, db=url, busy_timeout_s=busy_s))
    try:
        with pytest.raises(kind) as caught:
            migrate.ensure(database)
    finally:
        database.close()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == before
    return caught.value


def migrated(home: Path) -> Path:
    database = db.connect(Settings(home=home))
    migrate.ensure(database)
    database.close()
    assert database.file is not None
    return database.file


def test_an_empty_database_gets_every_table_and_index(database: Database) -> None:
    with database.reading() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == TABLES
        assert {index["name"] for index in found.get_indexes("jobs")} == INDEXES
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [migrate.HEAD]


def test_a_second_time_changes_nothing(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO supplier_tags VALUES ('email', 1, 's', 5)"))
    migrate.ensure(database)
    with database.reading() as connection:
        assert connection.execute(text("SELECT tag FROM supplier_tags")).scalars().all() == [5]


def test_a_start_with_nothing_to_do_does_not_import_alembic(tmp_path: Path) -> None:
    file = migrated(tmp_path)
    code = ENSURE + "print('alembic' in sys.modules)"
    child = _run(code, str(tmp_path), f"sqlite:///{file}")
    assert child.stdout == "done\nFalse\n"


def test_head_is_the_newest_of_the_migrations() -> None:
    folder = Path(migrate.__file__).parent / "migrations" / "versions"
    revisions = {}
    for file in sorted(folder.glob("[0-9]*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        revisions[module.revision] = module.down_revision
    assert set(revisions) - set(revisions.values()) == {migrate.HEAD}
    assert set(migrate.KNOWN) == set(revisions)


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_processes_that_meet_an_empty_home_take_turns(
    dialect: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}" if dialect == "sqlite" else request.getfixturevalue("postgres_url")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE, str(tmp_path), url, "ready"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    answers = [child.communicate(timeout=60) for child in children]
    assert answers == [("done\n", "")] * 3
    database = db.connect(Settings(home=tmp_path, db=url))
    migrate.ensure(database)
    with database.reading() as connection:
        assert set(inspect(connection).get_table_names()) == TABLES
    database.close()


class TestRefused:
    @pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
    def test_a_newer_database(self, dialect: str, request: pytest.FixtureRequest) -> None:
        name = "sqlite_database" if dialect == "sqlite" else "postgres_url"
        fixture = request.getfixturevalue(name)
        database = fixture if dialect == "sqlite" else db.connect(Settings(db=fixture))
        migrate.ensure(database)
        with database.transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            connection.execute(text("DROP TABLE durations"))
        with pytest.raises(DatabaseNewer, match="9999") as caught:
            migrate.ensure(database)
        assert "upgrade wedsync-ops" in str(caught.value)
        with database.reading() as connection:
            assert set(inspect(connection).get_table_names()) == TABLES - {"durations"}
        database.close()

    def test_another_program_s_database(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            other.execute("CREATE TABLE customers (id INTEGER)")
        error = refused(tmp_path / "other.db", DatabaseCorrupt)
        assert "another program" in str(error)

    def test_another_program_s_database_that_alembic_made(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            other.execute("CREATE TABLE customers (id INTEGER)")
            other.execute("CREATE TABLE alembic_version (version_num TEXT)")
            other.execute("INSERT INTO alembic_version VALUES ('ab12cd34')")
            other.commit()
        assert "another program" in str(refused(tmp_path / "other.db", DatabaseCorrupt))

    def test_another_program_s_jobs_on_postgres(self, postgres_url: str) -> None:
        database = db.connect(Settings(db=postgres_url))
        with database.transaction() as connection:
            connection.execute(text("CREATE TABLE jobs (id bigint)"))
        with pytest.raises(DatabaseCorrupt):
            migrate.ensure(database)
        database.close()

    def test_a_text_file(self, tmp_path: Path) -> None:
        file = tmp_path / "notes.db"
        file.write_text("Dear diary, " * 500)
        refused(file, DatabaseCorrupt)

    def test_a_damaged_database(self, tmp_path: Path) -> None:
        file = migrated(tmp_path)
        raw = file.read_bytes()
        file.write_bytes(raw[:100] + b"\xff" * (len(raw) - 100))
        refused(file, DatabaseCorrupt)

    def test_a_read_only_file_without_the_schema(self, tmp_path: Path) -> None:
        file = tmp_path / "empty.db"
        file.touch()
        refused(file, DatabaseReadOnly, "mode=ro&uri=true")

    def test_a_folder(self, tmp_path: Path) -> None:
        database = db.connect(Settings(home=tmp_path, db=f"sqlite:///{tmp_path}"))
        with pytest.raises(DatabaseUnreachable):
            migrate.ensure(database)
        database.close()

    def test_a_home_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        database = db.connect(Settings(home=tmp_path / "file" / "home"))
        with pytest.raises(DatabaseUnreachable, match="file/home"):
            migrate.ensure(database)
        database.close()

    def test_a_database_that_is_locked(self, tmp_path: Path) -> None:
        file = tmp_path / "x.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("BEGIN IMMEDIATE")
            refused(file, DatabaseLocked, busy_s=0.05)
            other.execute("ROLLBACK")
        assert migrated_tables(file) == set()
        database = db.connect(Settings(home=tmp_path, db=f"sqlite:///{file}"))
        migrate.ensure(database)
        database.close()
        assert migrated_tables(file) >= TABLES


def test_a_read_only_database_can_be_read_but_not_written(tmp_path: Path) -> None:
    file = migrated(tmp_path)
    database = db.connect(Settings(home=tmp_path, db=f"sqlite:///file:{file}?mode=ro&uri=true"))
    migrate.ensure(database)
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar() == 0
    with pytest.raises(DatabaseReadOnly), database.transaction() as connection:
        connection.execute(text("DELETE FROM jobs"))
    database.close()


@pytest.mark.parametrize("limit", [0, 4096, 40_000, 100_000])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, limit: int) -> None:
    file = tmp_path / "x.db"
    child = _run(FULL, str(tmp_path), f"sqlite:///{file}", str(limit))
    assert child.stdout == "StorageFull\n"
    assert migrated_tables(file) == set()
    database = db.connect(Settings(home=tmp_path, db=f"sqlite:///{file}"))
    migrate.ensure(database)
    database.close()
    assert migrated_tables(file) >= TABLES


def test_a_disk_that_fills_up_later_keeps_what_was_committed(tmp_path: Path) -> None:
    file = migrated(tmp_path)
    code = """
import resource, sys
from pathlib import Path
from sqlalchemy import text
from wedsync_ops import db
from wedsync_ops.errors import StorageFull
from wedsync_ops.settings import Settings
database = db.connect(Settings(home=Path(sys.argv[1])))
def write(size):
    with database.transaction() as connection:
        for n in range(size):
            values = {"n": n + size, "text": "x" * 1000}
            connection.execute(text("INSERT INTO supplier_tags VALUES (:text, 1, :n, 1)"), values)
write(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    write(1000)
except StorageFull as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write(2)
"""
    child = _run(code, str(tmp_path))
    assert child.stdout.startswith(f"{file}: the disk is full")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM supplier_tags").fetchone() == (3,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_storage_full_is_no_database_error() -> None:
    """They have different exit codes."""
    assert not issubclass(StorageFull, DatabaseError)


def migrated_tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    child = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert child.stderr == ""
    assert child.returncode == 0
    return child
