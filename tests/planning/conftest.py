"""One database of each dialect for the tests of this package, empty at the start of each."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planning.scene import scene
from tests.stores import databases
from wedsync_ops.db import Database
from wedsync_ops.jobs.actions import Queue


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A migrated database, once of each dialect."""
    home = tmp_path_factory.mktemp("planning")
    yield from databases.opened(request.param, request, home, f"planning_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared_database: Database) -> Database:
    """The same, without a row."""
    return databases.emptied(shared_database)


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    """A queue with a journey of four steps for photographers."""
    return scene(database, tmp_path)
