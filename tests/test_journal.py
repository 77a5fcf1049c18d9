"""The log's lines: complete in both forms, with ids, and without the words of exceptions or of rows."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from wedsync_ops import journal
from wedsync_ops.cli.logged import JsonLines, TextLines
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError

ROOT = Path(__file__).parents[1]
MARK = "Zyxmark"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    logger = logging.getLogger("wedsync_ops")
    before = (logger.handlers, logger.level, logging.lastResort)
    yield
    logger.handlers, logger.level, logging.lastResort = before
    journal.unbind()


def record(level: int = logging.INFO, **ids: journal.Value) -> logging.LogRecord:
    kept: list[logging.LogRecord] = []
    logger = logging.Logger("wedsync_ops.jobs.test")
    logger.addFilter(lambda made: not kept.append(made))  # type: ignore[func-returns-value]
    journal.tell(logger, level, "execution_ended", "an execution has ended", **ids)
    return kept[0]


def test_a_line_of_json_is_complete() -> None:
    journal.bind("w-1")
    entry = json.loads(JsonLines().format(record(job_id=7, attempt=2, error_fingerprint=None)))
    assert entry.pop("at").endswith("Z")
    assert entry == {
        "level": "info",
        "logger": "wedsync_ops.jobs.test",
        "message": "an execution has ended",
        "event": "execution_ended",
        "worker_id": "w-1",
        "job_id": 7,
        "attempt": 2,
    }


def test_a_line_of_text_names_the_same() -> None:
    line = TextLines().format(record(job_id=7))
    assert line.endswith("INFO wedsync_ops.jobs.test: an execution has ended event=execution_ended job_id=7")


def raised() -> journal.ExcInfo:
    try:
        try:
            raise KeyError(MARK)
        except KeyError as error:
            raise ValueError(f"no such couple: {MARK}") from error
    except ValueError as error:
        return type(error), error, error.__traceback__


@pytest.mark.parametrize("form", [JsonLines(), TextLines()])
def test_a_traceback_tells_types_and_places_and_no_words(form: logging.Formatter) -> None:
    made = logging.LogRecord("x", logging.ERROR, "f", 1, "it failed", None, raised())
    line = form.format(made)
    assert MARK not in line
    assert line.index("KeyError") < line.index("ValueError")
    assert "test_journal.py" in line


def test_libraries_and_python_warn_in_the_same_form() -> None:
    program = (
        "import logging, warnings; from wedsync_ops.cli.logged import log_to_stderr; log_to_stderr('debug', 'json');"
        "logging.getLogger('asyncio').warning('it hangs'); logging.getLogger('asyncio').info('no');"
        "warnings.warn('it is odd'); logging.getLogger('wedsync_ops.x').debug('here')"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["asyncio", "py.warnings", "wedsync_ops.x"]


def test_a_statement_that_fails_tells_nothing_of_what_it_was_given(database: Database) -> None:
    statement = text("INSERT INTO pauses VALUES (:scope, :name, :reason, 'me', 1, NULL)")
    with pytest.raises(DatabaseError) as caught, database.transaction() as connection:
        connection.execute(statement, {"scope": f"{MARK}-scope", "name": f"{MARK}-name", "reason": f"{MARK}-reason"})
    assert MARK not in str(caught.value)
    assert f"{MARK}-reason" not in str(caught.value.__cause__).partition("DETAIL")[0]
    assert MARK not in journal.places((DatabaseError, caught.value, caught.value.__traceback__))
