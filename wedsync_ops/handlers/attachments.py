"""Files that may be attached: those inside the configured ``attachments_dir``, and no others."""

import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wedsync_ops.errors import quoted
from wedsync_ops.handlers.addresses import one_line
from wedsync_ops.handlers.contract import PermanentError

MAX_BYTES = 10 * 1024 * 1024
"""The most that all attachments of one job may measure together, in bytes."""

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file's name as the recipient sees it, its media type and content."""

    name: str
    media_type: str
    content: bytes


def faults(names: Any, folder: Path | None) -> Iterator[str]:
    """What is wrong with the attachments of a config, each in one line."""
    if not isinstance(names, list | tuple):
        yield "attachments must be a list of file names"
        return
    size = 0
    for place, name in enumerate(names):
        found = _find(name, folder)
        if isinstance(found, str):
            yield f"attachments[{place}]: {found}"
        elif not _is_readable(found):
            yield f"attachments[{place}]: {quoted(name, 80)} cannot be read"
        else:
            size += found.stat().st_size
    if size > MAX_BYTES:
        yield f"attachments: together {size:,} bytes; at most {MAX_BYTES:,} can be sent"


def read(names: Sequence[Any] | None, folder: Path | None) -> list[Attachment]:
    """The attachments of a config. Raises PermanentError for one that may not be attached, or when they are too big."""
    found: list[Attachment] = []
    left = MAX_BYTES
    for name in names or ():
        path = _find(name, folder)
        if isinstance(path, str):
            raise PermanentError(f"attachments: {path}")
        content = _content(path, name, left + 1)
        left -= len(content)
        if left < 0:
            raise PermanentError(f"attachments: together more than {MAX_BYTES:,} bytes")
        found.append(Attachment(one_line(path.name, 200), _media_type(path.name), content))
    return found


def picture(name: object, folder: Path | None, most: int) -> Attachment | None:
    """A PNG, JPEG or GIF inside ``attachments_dir``, told by its first bytes; ``None`` for whatever else is named.

    ``most`` is the most that it may measure, in bytes. SVG is none of them: it can hold scripts and links.
    """
    path = _find(name, folder)
    if isinstance(path, str):
        return None
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError:
        return None
    kind = next((kind for start, kind in _PICTURES.items() if content.startswith(start)), None)
    if kind is None or len(content) > most:
        return None
    return Attachment(one_line(path.name, 200), kind, content)


def _content(path: Path, name: object, most: int) -> bytes:
    """The file's first bytes. No error names the folder: whoever reads errors need not know it."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except (PermissionError, FileNotFoundError) as error:
        raise PermanentError(f"attachments: {quoted(name, 80)} cannot be read: {error.strerror}") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror) from None


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _media_type(name: str) -> str:
    """The media type that a file's name tells; messages must not be sent as base64 (RFC 2046, 5.2.1)."""
    kind, encoding = mimetypes.guess_type(name)
    if kind is None or encoding or kind.startswith(("message/", "multipart/")):
        return "application/octet-stream"
    return kind


def _find(name: object, folder: Path | None) -> Path | str:
    """The file of that name, or why it cannot be attached."""
    if not isinstance(name, str) or not name.strip() or "\x00" in name:
        return "the name of a file is needed"
    if folder is None:
        return f"{quoted(name, 80)} cannot be attached: the setting attachments_dir is not set"
    try:
        root = folder.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            return f"{quoted(name, 80)} lies outside attachments_dir"
        return path if path.is_file() else f"there is no file {quoted(name, 80)} in attachments_dir"
    except (OSError, RuntimeError):
        return f"{quoted(name, 80)} cannot be read"
