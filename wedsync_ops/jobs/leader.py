"""Doing what only one may do: a term is taken, renewed and fenced here; who does it need not know how.

A term lasts three times as long as the pause between two renewals. When its holder stops in good order or is declared
dead it ends at once.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from sqlalchemy import Connection

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.store import terms
from wedsync_ops.jobs.store.terms import Term


class Leadership(Protocol):
    """Who decides which one process does what only one may do."""

    def lead(self, name: str, holder: str) -> Term | None:
        """The right to do this now, taken or renewed; ``None`` while it is somebody else's. Raises DatabaseError."""
        ...

    def writing(self, term: Term) -> AbstractContextManager[Connection]:
        """A transaction that takes place only while the term is still its holder's. Raises TermOver, DatabaseError."""
        ...


class Leader:
    """Terms in the database, by its clock (on PostgreSQL the server's)."""

    def __init__(self, database: Database, clock: Clock, length_s: float) -> None:
        self._database = database
        self._clock = clock
        self._length_us = round(length_s * SECOND)

    def lead(self, name: str, holder: str) -> Term | None:
        """Take or renew a term; ``None`` while somebody else holds it. Raises DatabaseError."""
        now = self._clock.now()
        with self._database.transaction() as connection:
            return terms.take(connection, name, holder, now=now, until=now + self._length_us)

    @contextmanager
    def writing(self, term: Term) -> Iterator[Connection]:
        """A transaction that is undone unless the term is still its holder's. Raises TermOver, DatabaseError."""
        with self._database.transaction() as connection:
            terms.fence(connection, term)
            yield connection
