"""Before retention removes jobs: how those of journeys ended is kept with their steps."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection

from wedsync_ops.db import Database
from wedsync_ops.planning.store import plans

_AT_ONCE = 500


def settle(database: Database, writing: Callable[[], AbstractContextManager[Connection]]) -> int:
    """Remember how the jobs of steps ended; returns how many are news. Looks while it reads, writes only in between."""
    settled, after = 0, 0
    while True:
        with database.reading() as connection:
            ended, last = plans.ended(connection, after, _AT_ONCE)
        if ended:
            with writing() as connection:
                settled += plans.settle(connection, ended)
        if last is None:
            return settled
        after = last
