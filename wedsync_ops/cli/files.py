"""Files that commands write."""

import contextlib
import os
import tempfile
from pathlib import Path

from wedsync_ops.errors import OutputLost


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in another's place at once: whoever reads it sees the old content or the new, never a part.

    Everybody may read it. Raises OutputLost, and leaves the old file as it is.
    """
    temporary: str | None = None
    try:
        # A collector takes what ends in .prom, which this does not.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise OutputLost(f"the file {path} cannot be written: {error.strerror}") from error
