"""Queueing many jobs from a file or standard input, a thousand a transaction, and the report of it."""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import open_input
from wedsync_ops.cli.ndjson import Line, read_lines
from wedsync_ops.cli.render import answering, emit_raw, one_line, say, schema, to_json
from wedsync_ops.cli.whole import whole
from wedsync_ops.errors import Interrupted, InvalidInput, PartlyDone, WedsyncError
from wedsync_ops.jobs import actions

if TYPE_CHECKING:
    from wedsync_ops.jobs.actions import Queue
    from wedsync_ops.jobs.model import Queued

CHUNK = 1000
"""Lines per transaction."""
_IN_MEMORY = 8 * 1024 * 1024
_COPIED = 64 * 1024


class Report:
    """What became of each line, kept beside the counts (on disk when it grows) and told at the end.

    Nothing is printed while lines are queued: a reader who leaves, or a full standard output, stops no work.
    """

    def __init__(self, *, json: bool, quiet: bool, dry_run: bool) -> None:
        self.queued = 0
        self.duplicates = 0
        self.refused = 0
        self.last_line = 0
        self._json = json
        self._quiet = quiet
        self._dry_run = dry_run
        self._jobs = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._errors = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115

    def close(self) -> None:
        """Forget the lines."""
        self._jobs.close()
        self._errors.close()

    def add(self, lines: Sequence[Line], answers: "Sequence[Queued | WedsyncError]") -> None:
        """Note the answers to some lines."""
        placed = (answer for answer in answers if not isinstance(answer, WedsyncError))
        rolled_back = {answer.job_id for answer in placed if answer.queued_as == "new"}
        unknown = rolled_back if self._dry_run else set()
        for line, answer in zip(lines, answers, strict=True):
            self.last_line = line.number
            if isinstance(answer, WedsyncError):
                self.refuse(line.number, answer)
                continue
            self.queued += 1
            self.duplicates += answer.duplicate
            if self._json and not self._quiet:
                job_id = None if answer.job_id in unknown else answer.job_id
                entry = {
                    "line": line.number,
                    "job_id": job_id,
                    "duplicate": answer.duplicate,
                    "queued_as": answer.queued_as,
                }
                self._jobs.write((b"," if self._jobs.tell() else b"") + to_json(entry))

    def refuse(self, number: int, error: WedsyncError) -> None:
        """Note that a line was refused."""
        self.refused += 1
        message = one_line(str(error))
        if self._json:
            entry = {"line": number, "code": error.code, "message": message}
            self._errors.write((b"," if self._errors.tell() else b"") + to_json(entry))
        else:
            self._errors.write(f"line {number}: {message}\n".encode("utf-8", "replace"))

    def show(self, failure: WedsyncError | None) -> None:
        """Print the report, then raise the failure that it tells of, if any."""
        with answering(None if self._dry_run else f"{self.queued} jobs were queued", failure):
            if self._json:
                emit_raw(self._parts())
                return
            emit_raw(_content(self._errors))
            verb = "would be queued" if self._dry_run else "queued"
            doubles = f" ({self.duplicates} of them had been queued before)" if self.duplicates else ""
            say(f"{self.queued} {verb}{doubles}, {self.refused} refused")

    def _parts(self) -> Iterator[bytes]:
        head = {"schema": schema("enqueue-file"), "queued": self.queued, "refused": self.refused}
        yield to_json(head)[:-1]
        if not self._quiet:
            yield b',"jobs":['
            yield from _content(self._jobs)
            yield b"]"
        yield b',"errors":['
        yield from _content(self._errors)
        yield b'],"dry_run":' + to_json(self._dry_run) + b"}\n"


def enqueue_file(queue: "Queue", file: str, *, atomic: bool, quiet: bool, dry_run: bool, json: bool) -> int:
    """Queue every line of a file that can be queued (``atomic``: all or nothing), and report.

    Raises PartlyDone when some were refused, InvalidInput when nothing was queued, Interrupted after a Ctrl-C.
    """
    report = Report(json=json, quiet=quiet, dry_run=dry_run)
    try:
        failure = _queued(queue, file, report, atomic=atomic, dry_run=dry_run)
        report.show(failure or _failure(report))
    except KeyboardInterrupt:
        raise _interrupted(report, dry_run=dry_run) from None
    finally:
        report.close()
    return exits.DONE


def _queued(queue: "Queue", file: str, report: Report, *, atomic: bool, dry_run: bool) -> WedsyncError | None:
    """Queue the lines; what broke it off, if anything."""
    try:
        with open_input(file) as stream:
            if not atomic:
                return _in_chunks(queue, read_lines(stream), report, dry_run=dry_run)
            lines = list(read_lines(stream))
            with whole():
                _all_or_nothing(queue, lines, report, dry_run=dry_run)
    except KeyboardInterrupt:
        return _interrupted(report, dry_run=dry_run)
    return None


def _interrupted(report: Report, *, dry_run: bool) -> Interrupted:
    if dry_run or not report.queued:
        return Interrupted("interrupted; nothing was queued", hint="send the file again")
    return Interrupted(
        f"interrupted after line {report.last_line}; {report.queued} jobs were queued",
        hint="send the lines after that one, or the whole file again if each line has a key",
    )


def _all_or_nothing(queue: "Queue", lines: Sequence[Line], report: Report, *, dry_run: bool) -> None:
    requests = [line.request for line in lines]
    answers = actions.enqueue_many(queue, requests, atomic=True, dry_run=dry_run)
    if not any(isinstance(answer, WedsyncError) for answer in answers):
        report.add(lines, answers)
        return
    # In that answer the good lines are errors too ("another line is wrong"); a dry run tells which are the bad ones.
    judged = actions.enqueue_many(queue, requests, dry_run=True)
    if not any(isinstance(answer, WedsyncError) for answer in judged):
        judged = answers
    for line, answer in zip(lines, judged, strict=True):
        if isinstance(answer, WedsyncError):
            report.refuse(line.number, answer)


def _in_chunks(queue: "Queue", lines: Iterator[Line], report: Report, *, dry_run: bool) -> PartlyDone | None:
    """Queue a chunk a transaction; what broke off after the first, if anything."""
    try:
        while chunk := list(islice(lines, CHUNK)):
            requests = [line.request for line in chunk]
            with whole():
                report.add(chunk, actions.enqueue_many(queue, requests, dry_run=dry_run))
    except WedsyncError as error:
        if not report.queued:
            raise
        rest = f"{report.queued} were queued; send the rest again"
        return PartlyDone(f"it stopped after line {report.last_line}: {error}", hint=rest)
    return None


def _failure(report: Report) -> WedsyncError | None:
    total = report.queued + report.refused
    if not total:
        return InvalidInput("the input holds no job", hint="write one JSON object a line")
    if not report.queued:
        return InvalidInput(f"nothing was queued: {report.refused} of the lines cannot be", hint="each is named above")
    if report.refused:
        return PartlyDone(f"{report.refused} of {total} lines were refused", hint="each is named above")
    return None


def _content(file: "tempfile.SpooledTemporaryFile[bytes]") -> Iterator[bytes]:
    file.seek(0)
    while part := file.read(_COPIED):
        yield part
