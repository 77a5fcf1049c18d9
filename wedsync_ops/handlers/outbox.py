"""The outbox folder: artefacts written once each, whole or not at all, and made durable before anybody relies on them.

A slot writes the content through to the disk and then gives it its name. The name reaches the disk with the next
``settle``, which a worker calls once for many jobs, before it commits that they have ended: a job whose end was not
committed runs again, and finds what it had delivered or delivers it again.
"""

import contextlib
import errno
import os
from pathlib import Path

from wedsync_ops.handlers.contract import Receipt

_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EPERM})


def settle(outbox: Path) -> None:
    """Make the names of all that was put into the outbox durable. Raises OSError; then they may not be."""
    try:
        folder = os.open(outbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # then nothing can have been put into it either
        return
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def put(outbox: Path, name: str, content: bytes, delivery_id: str) -> tuple[Receipt, int]:
    """Write a file once and whole; its name is durable after ``settle``. Raises OSError; then there is no such file."""
    place = str(outbox / name)
    try:
        folder = os.open(outbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(outbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made = not _exists(folder, name) and _write_new(outbox, folder, name, content)
    finally:
        os.close(folder)
    return Receipt(delivery_id, place, repeated=not made), len(content) if made else 0


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write_new(outbox: Path, folder: int, name: str, content: bytes) -> bool:
    """Write to a nameless file and give it its name at the end; false when the name was taken meanwhile."""
    try:
        file = os.open(outbox, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
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
    """The same where the file system knows no nameless files: a dotfile first, which is never an artefact."""
    hidden = f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        try:
            _write_all(file, content)
        finally:
            os.close(file)
        os.link(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(hidden, dir_fd=folder)
    return True


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)
