"""Waking idle workers: a datagram on each worker's Unix socket in the home, or NOTIFY on PostgreSQL.

A worker that misses it looks by itself four times a second, so a failure here costs a moment and is not reported.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, text

from wedsync_ops.db import Database

CHANNEL = "wedsync_ops_jobs"
_NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', '')")


def folder(home: Path) -> Path:
    """Where the sockets of this home's workers lie."""
    return home / "wake"


def notify(connection: Connection) -> None:
    """Wake the listening workers when this transaction commits (PostgreSQL only)."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY)


def ring(database: Database, home: Path) -> None:
    """Wake this home's workers now, after the commit (SQLite only)."""
    if not database.is_sqlite:
        return
    with contextlib.suppress(OSError):  # no folder, or no descriptor left to this process
        names = os.listdir(folder(home))  # noqa: PTH208 - plain names, for the short paths below
        if names:
            _ring(folder(home), names)


def _ring(place: Path, names: Sequence[str]) -> None:
    with _inside(place) as prefix, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0)
        for name in names:
            try:
                sender.sendto(b"\x01", f"{prefix}/{name}")
            except ConnectionRefusedError:  # its worker died without taking the socket along
                with contextlib.suppress(OSError):
                    (place / name).unlink()
            except OSError:
                continue


class Bell:
    """The socket on which a worker is woken; ``fileno`` becomes readable."""

    def __init__(self, home: Path, worker_id: str) -> None:
        place = folder(home)
        place.mkdir(parents=True, exist_ok=True)
        self._path = place / worker_id
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        with _inside(place) as prefix:
            self._socket.bind(f"{prefix}/{worker_id}")

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Take every waiting datagram; whether there was one."""
        rung = False
        try:
            while self._socket.recv(16):
                rung = True
        except BlockingIOError:
            return rung
        return rung

    def close(self) -> None:
        """Close and remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def _inside(place: Path) -> Iterator[str]:
    """A short name for a folder: a Unix socket's path may have 107 bytes, a home's may have more."""
    descriptor = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
