"""Has anybody else committed?"""

import select
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from wedsync_ops import db, migrate
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


class TestALostConnection:
    """Only PostgreSQL's can be lost."""

    @pytest.fixture
    def watching(self, postgres: Database) -> Iterator[Watch]:
        watching = marked(postgres)
        yield watching
        watching.close()

    def test_counts_as_a_change_until_a_mark_listens_anew(self, postgres: Database, watching: Watch) -> None:
        assert not watching.changed()
        cut(postgres)
        assert watching.changed()
        assert watching.changed()
        mark(postgres, watching)
        assert not watching.changed()

    def test_is_replaced_by_a_mark_that_is_the_first_to_notice(self, postgres: Database, watching: Watch) -> None:
        cut(postgres)
        mark(postgres, watching)
        assert not watching.changed()

    def test_wakes_who_waits_once_and_is_silent_then(self, postgres: Database, watching: Watch) -> None:
        descriptor = watching.fileno()
        assert descriptor is not None
        cut(postgres)
        assert select.select([descriptor], [], [], 5)[0]
        assert watching.changed()
        assert not select.select([descriptor], [], [], 0)[0]

    def test_who_waits_for_the_same_descriptor_hears_of_commits_again(
        self, postgres: Database, watching: Watch
    ) -> None:
        waiting = select.epoll()
        waiting.register(watching.fileno() or -1, select.EPOLLIN)
        for _ in range(3):
            cut(postgres)
            assert watching.changed()
            mark(postgres, watching)
            assert waiting.poll(0) == []
            commit(postgres)
            assert [fd for fd, _ in waiting.poll(5)] == [watching.fileno()]
            mark(postgres, watching)
        waiting.close()

    def test_that_cannot_be_replaced_leaves_the_transaction_alone(self, postgres: Database, watching: Watch) -> None:
        with postgres.transaction() as connection:
            name = connection.execute(text("SELECT current_database()")).scalar_one()
            others = "UPDATE pg_database SET datallowconn = :may WHERE datname = :name"
            connection.execute(text(others), {"may": False, "name": name})
        with postgres.transaction() as connection:
            cut(postgres, but=connection)
            watching.mark(connection)
            connection.execute(text(others), {"may": True, "name": name})
        assert watching.changed()
        mark(postgres, watching)
        assert not watching.changed()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    """A migrated database of PostgreSQL's."""
    opened = db.connect(replace(Settings(), db=postgres_url))
    migrate.ensure(opened)
    yield opened
    opened.close()


def mark(database: Database, watching: Watch) -> None:
    with database.transaction() as connection:
        watching.mark(connection)


def cut(database: Database, but: Connection | None = None) -> None:
    """End every connection to a database but the one that does it, as a restarted server would."""
    every = text(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    if but is not None:
        but.execute(every)
        return
    with database.transaction() as connection:
        connection.execute(every)
