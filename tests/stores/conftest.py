"""One database of each dialect for all store tests, empty at the start of each."""

import uuid
from collections.abc import Iterator

import pytest

from tests.stores import databases
from wedsync_ops.db import Database


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A migrated database, once of each dialect."""
    home = tmp_path_factory.mktemp("stores")
    yield from databases.opened(request.param, request, home, f"stores_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared_database: Database) -> Database:
    """The same, without a row."""
    return databases.emptied(shared_database)
