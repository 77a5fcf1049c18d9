"""The doctor, on both databases: each ailment is made, found, explained, and mended by the command that is printed."""

import os
import shlex
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import queue_on, request
from tests.stores.rows import add, take, worker
from wedsync_ops import db, migrate
from wedsync_ops.clock import SystemClock
from wedsync_ops.db import Database
from wedsync_ops.instants import HOUR, MINUTE
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.store import workers
from wedsync_ops.operations import doctor, examine_database, examine_links, examine_machine
from wedsync_ops.operations.drift import POSTGRES_ONLY, _wanted, drift, server_parts
from wedsync_ops.operations.findings import Examined, Finding
from wedsync_ops.settings import Settings, load, strangers
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("doctor")
    yield from databases.opened(request.param, request, home, f"doctor_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def rows(shared: Database) -> Database:
    """A database to put wrong rows into."""
    return databases.emptied(shared)


def examined(database: Database, **options: Any) -> Examined:
    settings = Settings(home=Path("/nowhere"), **options)
    return examine_database.examine(database, settings, SystemClock())


def codes(found: Examined) -> list[str]:
    return [finding.code for finding in found.findings]


def only(found: Examined) -> Finding:
    (finding,) = found.findings
    return finding


def execute(database: Database, *statements: str) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def mend(database: Database, command: str | None) -> None:
    """Send what a printed command of a database's own client would send."""
    assert command is not None
    words = shlex.split(command)
    assert words[0] == ("sqlite3" if database.is_sqlite else "psql")
    execute(database, *(part for part in words[-1].split("; ") if part))


class TestSchema:
    def test_a_fresh_one_is_well(self, database: Database) -> None:
        found = examined(database)
        assert codes(found) == []
        assert (found.facts["revision"], found.facts["newest_revision"]) == (migrate.HEAD, migrate.HEAD)

    def test_what_the_migrations_make_is_what_there_is(self, database: Database) -> None:
        """Both ways: so nothing that they make on PostgreSQL alone is forgotten here."""
        if database.is_sqlite:
            return
        with database.reading() as connection:
            found = {key for key in server_parts(connection) if key[0] in ("table", "column")}
        wanted = {part.key for part in _wanted()} | POSTGRES_ONLY
        assert found == {key for key in wanted if key[0] in ("table", "column")}

    def test_a_missing_index_is_mended_by_what_is_printed(self, database: Database) -> None:
        execute(database, "DROP INDEX jobs_to_claim")
        finding = only(examined(database))
        assert (finding.severity, finding.code) == ("problem", "index_missing")
        assert "jobs_to_claim of jobs" in finding.words
        mend(database, finding.mend)
        assert codes(examined(database)) == []

    def test_a_missing_column(self, database: Database) -> None:
        execute(database, "ALTER TABLE workers DROP COLUMN memory_kb")
        with database.reading() as connection:
            (part,) = drift(connection).missing
        assert part.key == ("column", "workers", "memory_kb")
        assert part.sql is not None
        execute(database, part.sql)
        assert codes(examined(database)) == []

    def test_a_missing_table_and_nothing_of_what_it_held(self, database: Database) -> None:
        execute(database, "DROP TABLE form_answers")
        finding = only(examined(database))
        assert (finding.code, finding.mend) == ("table_missing", None)
        assert "restore a backup" in finding.why

    @pytest.mark.parametrize("table", ["workers", "lane_counts", "payloads"])
    def test_a_table_without_which_nothing_more_can_be_told(self, database: Database, table: str) -> None:
        execute(database, f"DROP TABLE {table}")
        assert codes(examined(database)) == ["table_missing"]

    def test_an_index_that_is_not_the_same(self, sqlite_database: Database) -> None:
        execute(sqlite_database, "DROP INDEX jobs_to_promote", "CREATE INDEX jobs_to_promote ON jobs (id)")
        finding = only(examined(sqlite_database))
        assert finding.code == "index_changed"
        mend(sqlite_database, finding.mend)
        assert codes(examined(sqlite_database)) == []

    def test_an_older_one(self, database: Database) -> None:
        execute(database, "UPDATE alembic_version SET version_num = '0009'")
        assert (only(examined(database)).code, only(examined(database)).mend) == (
            "schema_older",
            "wedsync-ops db migrate",
        )


class TestDatabase:
    def test_none_is_there_and_none_is_made(self, tmp_path: Path) -> None:
        database = db.connect(Settings(home=tmp_path))
        assert codes(examined(database)) == ["no_database"]
        assert list(tmp_path.iterdir()) == []

    def test_it_is_another_programs(self, tmp_path: Path) -> None:
        (tmp_path / "wedsync-ops.db").write_bytes(b"no database at all" * 100)
        assert codes(examined(db.connect(Settings(home=tmp_path)))) == ["database_corrupt"]

    def test_no_server_answers(self, tmp_path: Path) -> None:
        url = "postgresql+psycopg://user:sesame@localhost:1/name"
        finding = only(examined(db.connect(Settings(home=tmp_path, db=url))))
        assert finding.code == "database_unreachable"
        assert "sesame" not in str(finding)

    def test_what_it_can_do(self, database: Database) -> None:
        facts = examined(database).facts
        if database.is_sqlite:
            assert (facts["journal_mode"], facts["synchronous"], facts["page_size"]) == ("wal", "full", 4096)
        else:
            assert (facts["is_standby"], facts["may_create"], facts["synchronous_commit"]) == (False, True, "on")

    def test_rights_that_a_role_lacks(self, database: Database, postgres_url: str, tmp_path: Path) -> None:
        if database.is_sqlite:
            return
        role = f"clerk_{uuid.uuid4().hex[:8]}"
        execute(database, f"CREATE ROLE {role} LOGIN", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        clerk = db.connect(Settings(home=tmp_path, db=postgres_url.replace("//postgres:", f"//{role}:", 1)))
        try:
            found = [finding for finding in examined(clerk).findings if finding.severity == "problem"]
            assert [finding.code for finding in found] == ["rights"]
            assert f"{role} may not read and write alembic_version, " in found[0].words
            mend_by_owner = shlex.split(found[0].mend or "")[-1]
            execute(database, mend_by_owner)
            assert "rights" not in [one.code for one in examined(clerk).findings if one.severity == "problem"]
        finally:
            clerk.close()
            execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    def test_a_journal_mode_that_makes_everybody_wait(self, settings: Settings, sqlite_database: Database) -> None:
        sqlite_database.close()
        with closing(sqlite3.connect(settings.home / "wedsync-ops.db")) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        with sqlite_database.reading() as connection:
            facts = examine_database.abilities(connection, sqlite_database)
        assert facts["journal_mode"] == "delete"
        assert codes(examined(sqlite_database)) == ["journal_mode"]

    def test_a_server_whose_clock_is_another(self, database: Database) -> None:
        fast = FakeClock(SystemClock().now() + HOUR)
        found = list(examine_database.clocks(database, fast))
        assert [finding.code for finding in found] == ([] if database.is_sqlite else ["clock"])
        if found:
            assert "s ahead of the database's" in found[0].words
        assert list(examine_database.clocks(database, SystemClock())) == []


class TestRows:
    def test_leases_of_a_worker_that_is_gone(self, rows: Database) -> None:
        with rows.transaction() as connection:
            add(connection)
            take(connection, 1, worker="gone")
        finding = only(examined(rows))
        assert (finding.code, finding.mend) == ("stuck_leases", "wedsync-ops maintenance run rescue")

    def test_leases_of_a_worker_that_died(self, rows: Database) -> None:
        now = rows.server_clock().now()
        with rows.transaction() as connection:
            workers.register(connection, worker(id="w1", heartbeat_at=now - MINUTE, host="elsewhere"))
            add(connection)
            take(connection, 1, worker="w1")
        assert codes(examined(rows)) == ["stuck_leases"]
        with rows.transaction() as connection:
            workers.beat(connection, "w1", now=now, slots=2, busy=1)
        assert codes(examined(rows)) == []

    def test_a_heartbeat_of_the_future(self, rows: Database) -> None:
        with rows.transaction() as connection:
            ahead = worker(heartbeat_at=rows.server_clock().now() + HOUR, host="elsewhere", name="fast")
            workers.register(connection, ahead)
        finding = only(examined(rows))
        assert finding.code == "clock_worker"
        assert "the heartbeat of worker fast is 3," in finding.words

    def test_counters_that_are_wrong(self, rows: Database, tmp_path: Path) -> None:
        actions.enqueue_many(queue_on(rows, tmp_path), [request()] * 3)
        assert codes(examined(rows)) == []
        execute(rows, "UPDATE lane_counts SET waiting = waiting + 2")
        finding = only(examined(rows))
        assert finding.code == "counters"
        assert "off by 0 available and 2 waiting" in finding.words

    def test_orphans_are_mended_by_what_is_printed(self, rows: Database) -> None:
        execute(rows, "INSERT INTO execution_details (execution_id, log) VALUES (99, 'x')")
        finding = only(examined(rows))
        assert finding.code == "orphaned_execution_details"
        mend(rows, finding.mend)
        assert codes(examined(rows)) == []

    def test_payloads_of_no_job(self, settings: Settings, sqlite_database: Database) -> None:
        with closing(sqlite3.connect(settings.home / "wedsync-ops.db")) as connection, connection:
            connection.execute("INSERT INTO payloads (job_id, client_id, reasons) VALUES (7, 'c', '{}')")
        finding = only(examined(sqlite_database))
        assert (finding.code, finding.words) == ("orphaned_payloads", "1 rows of payloads belong to nothing")
        mend(sqlite_database, finding.mend)
        assert codes(examined(sqlite_database)) == []


class TestMachine:
    def found(self, settings: Settings, file: Path | None = None) -> dict[str, Finding]:
        return {finding.code: finding for finding in examine_machine.examine(settings, file).findings}

    def test_facts(self, settings: Settings) -> None:
        facts = examine_machine.examine(settings, None).facts
        assert facts["python"] == sys.version.split()[0]
        assert int(str(facts["memory_mb"])) > 0
        assert "tzdata" in str(facts["time_zone_data"])

    def test_what_everybody_may_read(self, settings: Settings, sqlite_database: Database) -> None:
        settings.home.chmod(0o700)
        assert "open_to_all" not in self.found(settings, sqlite_database.file)
        for folder in (settings.home, *settings.home.parents[:-2]):
            folder.chmod(folder.stat().st_mode | 0o755)
        finding = self.found(settings, sqlite_database.file)["open_to_all"]
        assert finding.mend is not None
        subprocess.run(shlex.split(finding.mend), check=True)
        again = examine_machine.examine(settings, sqlite_database.file).findings
        assert finding.words not in [one.words for one in again]

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
    def test_what_belongs_to_somebody_else(self, settings: Settings, sqlite_database: Database) -> None:
        assert sqlite_database.file is not None
        os.chown(sqlite_database.file, 12345, -1)
        finding = self.found(settings, sqlite_database.file)["owner"]
        assert finding.mend == f"sudo chown {os.getuid()} {sqlite_database.file}"

    def test_too_few_open_files(self, settings: Settings) -> None:
        many = Settings(home=settings.home, max_slots=10_000_000)
        assert "ulimit -n 80000100" in str(self.found(many)["open_files"].mend)
        assert "open_files" not in self.found(Settings(home=settings.home, max_slots=2))

    def test_the_kind_of_a_file_system_is_that_of_the_innermost_mount(self) -> None:
        mounts = [(Path("/"), "ext4"), (Path("/srv"), "nfs4"), (Path("/srv/local"), "xfs")]
        kinds = [examine_machine._kind_of(Path(path), mounts) for path in ("/home/x", "/srv/ops", "/srv/local/ops")]
        assert kinds == ["ext4", "nfs4", "xfs"]


class TestNetwork:
    def test_nothing_is_configured(self, settings: Settings) -> None:
        assert examine_links.examine(settings) == Examined({}, [])

    def test_who_answers_is_sent_nothing(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            found = examine_links.examine(Settings(home=settings.home, smtp_url=f"smtp://u:sesame@127.0.0.1:{port}"))
            peer, _ = server.accept()
            with peer:
                assert peer.recv(100) == b""
        assert (found.findings, found.facts) == ([], {"smtp_url": f"127.0.0.1:{port} answers"})

    def test_nobody_answers(self, settings: Settings) -> None:
        hook = "http://127.0.0.1:1/hooks/sesame"
        found = examine_links.examine(Settings(home=settings.home, sms_url="http://127.0.0.1:1", webhook_url=hook))
        assert [finding.code for finding in found.findings] == ["unreachable", "unreachable"]
        assert "127.0.0.1:1 (sms_url): Connection refused" in found.findings[0].words
        assert "nc -vz 127.0.0.1 1" in found.findings[0].why
        assert "sesame" not in str(found)

    def test_a_server_that_speaks_no_tls_and_one_that_is_silent(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            silent = examine_links.examine(Settings(home=settings.home, smtp_url=f"smtps://127.0.0.1:{port}"), 0.2)
        assert "no answer within 0.2 s" in silent.findings[0].words


class TestReport:
    def test_a_variable_that_is_no_setting(self, settings: Settings) -> None:
        environment = {"WEDSYNC_OPS_LEASES": "3", "WEDSYNC_OPS_LEASE_S": "30", "PATH": "x"}
        found = doctor.examine(load({"home": settings.home}, environment), strangers(environment))
        (finding,) = [each for each in found.findings if each.code == "unknown_variable"]
        assert "WEDSYNC_OPS_LEASES is no setting; did you mean 'lease_s'?" in finding.words
        assert next(each.source for each in found.settings if each.name == "lease_s") == "environment"

    def test_secrets_are_hidden_and_problems_come_first(self, settings: Settings) -> None:
        options = {"home": settings.home, "sms_token": "sesame", "sms_url": "http://u:sesame@127.0.0.1:1/sesame"}
        found = doctor.examine(load(options, {}), {})
        assert "sesame" not in str(found)
        severities = [each.severity.value for each in found.findings]
        assert severities == sorted(severities)
        assert severities[0] == "problem"

    def test_a_setting_that_handlers_cannot_use(self, settings: Settings) -> None:
        found = doctor.examine(load({"home": settings.home, "mail_from": "nobody"}, {}), {})
        assert "setting" in [each.code for each in found.findings]
