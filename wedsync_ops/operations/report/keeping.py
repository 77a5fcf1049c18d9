"""Writes the reports that have become due into a folder, and forgets those that were kept for long enough."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from wedsync_ops import codec
from wedsync_ops.db import Database
from wedsync_ops.errors import ReportsUnwritable
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.operations.report.document import to_document
from wedsync_ops.operations.report.measure import make
from wedsync_ops.operations.report.page import to_html
from wedsync_ops.operations.report.period import KINDS, name, period


def keep(database: Database, rules: Rules, now: int) -> Mapping[str, int]:
    """Write the last hour's and the last day's report, unless they are there; counts by what was done.

    Raises ReportsUnwritable.
    """
    settings = rules.settings
    folder = settings.reports_dir or settings.home / "reports"
    written = removed = 0
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for kind in KINDS if settings.keep_reports else ():
            over = period(kind, now, rules.calendar.zone)
            page = folder / f"{name(over)}.html"
            if not page.exists():
                report = make(database, rules, over, now)
                document = {"schema": "wedsync-ops/report@1", **to_document(report)}
                write(page.with_suffix(".json"), codec.dumps(document) + b"\n")
                write(page, to_html(report).encode("utf-8", "replace"))  # last: it says that both are there
                written += 1
        for kind in KINDS:
            removed += _forget(folder, kind, settings.keep_reports)
    except OSError as error:
        raise ReportsUnwritable(f"the folder {folder} cannot be used: {error.strerror}") from error
    return {"written": written, "removed": removed}


def write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(file)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _forget(folder: Path, kind: str, kept: int) -> int:
    pages = sorted(folder.glob(f"{kind}-*.html"), key=lambda page: page.name, reverse=True)
    for page in pages[kept:]:
        page.with_suffix(".json").unlink(missing_ok=True)
        page.unlink(missing_ok=True)
    return len(pages[kept:])
