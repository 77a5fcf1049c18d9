"""Has anybody else committed?"""

import select
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from wedsync_ops import db
from wedsync_ops.db import Database
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.watch import Watch, watch
from wedsync_ops.settings import Settings


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """The same database as another process sees it."""
    url = database.writer.url.render_as_string(hide_password=False)
    opened = db.connect(replace(Settings(), db=url))
    yield opened
    opened.close()


def commit(database: Database, *, notify: bool = True) -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO pauses (scope, name, paused_by, paused_at) VALUES ('all', '', 'me', 1)"))
        if notify:
            wakeup.notify(connection)
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM pauses"))


def marked(database: Database) -> Watch:
    watching = watch(database)
    with database.transaction() as connection:
        watching.mark(connection)
    return watching


def test_before_the_first_mark_anything_may_have_changed(database: Database) -> None:
    watching = watch(database)
    assert watching.changed()
    watching.close()


def test_a_commit_of_another_is_seen_until_marked(database: Database, other: Database) -> None:
    watching = marked(database)
    assert not watching.changed()
    assert not watching.changed()
    commit(other)
    assert watching.changed()
    assert watching.changed()
    with database.transaction() as connection:
        watching.mark(connection)
    assert not watching.changed()
    watching.close()


def test_our_own_commits_and_their_rollbacks_are_not_seen(database: Database, other: Database) -> None:
    watching = marked(database)
    commit(database, notify=False)
    assert not watching.changed()
    with other.writer.connect() as connection:  # rolled back when it closes
        connection.execute(text("INSERT INTO pauses (scope, name, paused_by, paused_at) VALUES ('all', '', 'me', 1)"))
        wakeup.notify(connection)
    assert not watching.changed()
    watching.close()


def test_what_comes_before_the_mark_of_a_transaction_is_known(database: Database, other: Database) -> None:
    watching = marked(database)
    commit(other)
    with database.transaction() as connection:
        watching.mark(connection)
    assert not watching.changed()
    commit(other)
    assert watching.changed()
    watching.close()


def test_a_descriptor_tells_where_there_is_one(database: Database, other: Database) -> None:
    watching = marked(database)
    descriptor = watching.fileno()
    assert (descriptor is None) is database.is_sqlite
    if descriptor is not None:
        commit(other)
        assert select.select([descriptor], [], [], 5)[0]
    watching.close()


def test_a_closed_watch_of_a_file_cannot_tell(sqlite_database: Database) -> None:
    watching = marked(sqlite_database)
    watching.close()
    assert watching.changed()
