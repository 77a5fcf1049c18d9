"""The platform as the benchmarks use it: a home of its own, module types that do nothing or wait, timed commits."""

import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, text

from wedsync_ops.app import App, open_app
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.actions import enqueue_many
from wedsync_ops.jobs.model import Options, Request
from wedsync_ops.jobs.worker import Worker
from wedsync_ops.modules.actions import register
from wedsync_ops.settings import load


def definitions() -> bytes:
    """No-op module types, one in isolated processes, one in threads, and two that wait for 5 ms, or for too long."""
    items = "".join(
        f"""
  - id: {name}
    display_name: {name}
    category: bench
    isolation: {isolation}
    handler: tests.bench.handlers:{function}
    resource_requirements: {{cpu_limit: 4, memory_limit: 1024, execution_timeout: 60}}
    config_schema:
      type: object
      additionalProperties: false
      required: [template_id]
      properties:
        template_id: {{type: string, minLength: 1}}
        send_delay: {{type: integer, minimum: 0}}
"""
        for name, isolation, function in (
            ("noop-process", "process", "noop"),
            ("noop-thread", "thread", "noop"),
            ("five-ms", "process", "five_ms"),
        )
    )
    return f"schema_version: 1\nmodules:{items}".encode()


def open_platform(home: Path, **options: object) -> App:
    """An opened platform with both module types registered."""
    app = open_app(load({"home": home, "max_slots": 64, **options}, environment={}))
    registration = register(app.database, definitions(), "bench", now=app.clock.now())
    if registration.problems:
        raise RuntimeError(str(registration.problems))
    return app


def requests(
    module_type: str,
    count: int,
    *,
    start: int = 0,
    suppliers: int = 40,
    wedding: str | None = "2027-06-19",
    **values: Any,
) -> list[Request]:
    """Realistic requests: a config to validate, a context with a wedding. ``values`` are fields of a request."""
    return [
        Request(
            module_type=module_type,
            config={"template_id": "welcome-email", "send_delay": 0},
            context={
                "client_id": f"c{number}",
                "supplier_id": f"s{number % suppliers}",
                "journey_instance_id": f"j{number}",
                "client_data": {"email": f"couple{number}@example.org", "couple_name": "Ada & Grace"},
                "wedding_date": wedding,
                "timezone": "Europe/London",
            },
            **values,
        )
        for number in range(start, start + count)
    ]


def fill(app: App, module_type: str, count: int, *, start: int = 0, chunk: int = 1000, **values: Any) -> None:
    """Queue so many jobs in bulk."""
    queue = app.queue()
    for done in range(0, count, chunk):
        enqueue_many(queue, requests(module_type, min(chunk, count - done), start=start + done, **values))


def drain(app: App, slots: int = 4, max_jobs: int | None = None) -> float:
    """Let a worker run what is due, or so many jobs of it; executions a second from first start to last end."""
    since = _last_execution(app)
    options = Options(slots=slots, drain=True, max_jobs=max_jobs)
    Worker(app.database, app.clock, app.rules, options, random.Random(1)).run()
    query = "SELECT count(*), min(started_at), max(finished_at) FROM executions WHERE id > :since"
    with app.database.reading() as connection:
        count, first, last = connection.execute(text(query), {"since": since}).one()
    return float(count / ((last - first) / SECOND))


def _last_execution(app: App) -> int:
    with app.database.reading() as connection:
        return int(connection.execute(text("SELECT coalesce(max(id), 0) FROM executions")).scalar_one())


@contextmanager
def worker_beside(app: App, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own."""
    environment = {**os.environ, "WEDSYNC_OPS_HOME": str(app.settings.home), "WEDSYNC_OPS_DB": app.settings.db}
    command = [sys.executable, "-m", "wedsync_ops", "run-worker", *options]
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(60)


class TimedDatabase(Database):
    """Remembers how long each write transaction took, from its beginning to the end of its commit, in seconds."""

    __slots__ = ()
    spans: ClassVar[list[float]] = []

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Connection]:
        """As of the database itself."""
        with Database.transaction(self, durable=durable) as connection:
            begun = time.perf_counter()
            yield connection
        self.spans.append(time.perf_counter() - begun)


def timed(app: App) -> App:
    """The platform with transactions that are timed."""
    database = app.database
    return replace(
        app, database=TimedDatabase(**{field.name: getattr(database, field.name) for field in fields(database)})
    )


def at_percent(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
