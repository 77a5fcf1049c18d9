"""The outbox folder: artefacts written once each, whole or not at all, and durable before anybody relies on them.

A slot writes a file whole before it gives it its name, but does not wait for the disk. A worker does that for many jobs
together with ``settle``, before it commits that they have ended; until then the file is read-only. A job whose end was
not committed runs again. What it finds read-only may have been cut short with the power: where it has another length
than what is to be written it takes its place, and is otherwise what was delivered.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

from wedsync_ops.handlers.contract import Receipt

_WRITERS = 8
_UNSETTLED, _SETTLED = 0o400, 0o600
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EPERM})
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def settle(outbox: Path, names: Iterable[str]) -> None:
    """Make these files of the outbox durable. What somebody has taken out of it meanwhile is theirs. Raises OSError.

    They are written side by side: the file system's journal takes all who wait along with its next commit.
    """
    try:
        folder = os.open(outbox, _FOLDER)
    except FileNotFoundError:
        return
    try:
        list(_writers().map(partial(_settle, folder), names))
        os.fsync(folder)
    finally:
        os.close(folder)


def put(outbox: Path, name: str, content: bytes, delivery_id: str) -> tuple[Receipt, int]:
    """Write a file once and whole; it is durable after ``settle``. Raises OSError; then there is no such file."""
    place = str(outbox / name)
    try:
        folder = os.open(outbox, _FOLDER)
    except FileNotFoundError:
        outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(outbox, _FOLDER)
    try:
        made = _put(outbox, folder, name, content)
    finally:
        os.close(folder)
    return Receipt(delivery_id, place, repeated=not made, file_name=name), len(content) if made else 0


@lru_cache(maxsize=1)
def _writers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WRITERS, thread_name_prefix="outbox")


def _settle(folder: int, name: str) -> None:
    try:
        file = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        if stat.S_IMODE(os.fstat(file).st_mode) == _UNSETTLED:
            os.fsync(file)
            os.fchmod(file, _SETTLED)  # only now: whatever is writable is whole
    finally:
        os.close(file)


def _put(outbox: Path, folder: int, name: str, content: bytes) -> bool:
    """Whether the file was written now, and not before."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return _write_new(outbox, folder, name, content)
    is_whole = stat.S_IMODE(found.st_mode) != _UNSETTLED or found.st_size == len(content)
    if is_whole:
        return False
    with _hidden(folder, name, content) as hidden:
        os.replace(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def _write_new(outbox: Path, folder: int, name: str, content: bytes) -> bool:
    """Write to a nameless file and give it its name at the end; false when the name was taken meanwhile."""
    try:
        file = os.open(outbox, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, _UNSETTLED)
    except OSError as error:
        if error.errno not in _NO_NAMELESS_FILES:
            raise
        return _write_hidden(folder, name, content)
    try:
        _write_all(file, content)
        os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        return False
    finally:
        os.close(file)
    return True


def _write_hidden(folder: int, name: str, content: bytes) -> bool:
    """The same where the file system knows no nameless files."""
    try:
        with _hidden(folder, name, content) as hidden:
            os.link(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return False
    return True


@contextlib.contextmanager
def _hidden(folder: int, name: str, content: bytes) -> Iterator[str]:
    """A whole dotfile, which is never an artefact, until the end."""
    hidden = f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _UNSETTLED, dir_fd=folder)
        try:
            _write_all(file, content)
        finally:
            os.close(file)
        yield hidden
    finally:
        with contextlib.suppress(OSError):
            os.unlink(hidden, dir_fd=folder)


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
