"""Waking idle workers."""

import os
import resource
import select
from pathlib import Path

from wedsync_ops.db import Database
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.wakeup import Bell
from wedsync_ops.jobs.watch import watch


def rung(bell: Bell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_a_ring_reaches_every_worker_of_the_home(sqlite_database: Database, tmp_path: Path) -> None:
    bells = [Bell(tmp_path, name) for name in ("a", "b")]
    assert not any(map(rung, bells))
    wakeup.ring(sqlite_database, tmp_path)
    assert all(map(rung, bells))
    assert [bell.drain() for bell in bells] == [True, True]
    assert not any(map(rung, bells))
    assert not bells[0].drain()
    for bell in bells:
        bell.close()
    assert list(wakeup.folder(tmp_path).iterdir()) == []


def test_a_home_with_a_long_path_is_no_hindrance(sqlite_database: Database, tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120) / ("y" * 120)
    bell = Bell(home, "w" * 16)
    wakeup.ring(sqlite_database, home)
    assert bell.drain()
    bell.close()


def test_sockets_of_dead_workers_and_other_files_do_no_harm(sqlite_database: Database, tmp_path: Path) -> None:
    wakeup.ring(sqlite_database, tmp_path)
    bell, dead = Bell(tmp_path, "b"), Bell(tmp_path, "a")
    dead._socket.close()
    (wakeup.folder(tmp_path) / "file").touch()
    wakeup.ring(sqlite_database, tmp_path)
    assert bell.drain()
    names = {path.name for path in wakeup.folder(tmp_path).iterdir()}
    assert "a" not in names
    assert "b" in names
    bell.close()


def test_more_rings_than_a_socket_holds_do_not_block(sqlite_database: Database, tmp_path: Path) -> None:
    bell = Bell(tmp_path, "a")
    for _ in range(2000):
        wakeup.ring(sqlite_database, tmp_path)
    assert bell.drain()
    assert not bell.drain()
    bell.close()


def test_where_nothing_is_a_folder_nothing_happens(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "wake").touch()
    wakeup.ring(sqlite_database, tmp_path)
    wakeup.ring(sqlite_database, tmp_path / "nowhere")
    assert (tmp_path / "wake").read_bytes() == b""
    assert not (tmp_path / "nowhere").exists()


def test_postgres_tells_with_the_commit_and_sqlite_with_a_ring(database: Database, tmp_path: Path) -> None:
    bell, watching = Bell(tmp_path, "a"), watch(database)
    with database.transaction() as connection:
        wakeup.notify(connection)
    told = watching.fileno()
    assert told is None or select.select([told], [], [], 10)[0]
    assert not bell.drain()
    wakeup.ring(database, tmp_path)
    assert bell.drain() is database.is_sqlite
    watching.close()
    bell.close()


def test_a_process_without_a_descriptor_left_rings_nobody_and_goes_on(
    sqlite_database: Database, tmp_path: Path
) -> None:
    bell = Bell(tmp_path, "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    for left in (0, 1):
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + left, hard))
        try:
            wakeup.ring(sqlite_database, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not bell.drain()
    bell.close()
