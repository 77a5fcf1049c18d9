"""Where a drill takes place: a copy of the platform in a folder of its own, with a real worker; all else is left alone.

The copy keeps what the platform knows (module types, couples, what ran) and nothing that could act: its open jobs are
left out, it has no mail server, gateway, webhook or channel of the real one, and its worker runs the drill's own module
types only.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import text

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.emergencies.actions import Desk, protocols_of
from wedsync_ops.emergencies.faults import DEFINITIONS, MODULES
from wedsync_ops.emergencies.protocols import Protocols
from wedsync_ops.emergencies.sink import Sink, sinking
from wedsync_ops.errors import DatabaseError, DrillFailed
from wedsync_ops.jobs import actions as jobs
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Queued, Request
from wedsync_ops.modules.actions import register
from wedsync_ops.settings import Loaded, Settings, load, outside

_LOOK_S = 0.05
_STOP_S = 20.0
_START_S = 30.0
# In the copy nothing of the real queue may run, and nothing that was going on may stand in the way of the drill.
_OPEN = "state IN ('scheduled','available','running','retryable')"
_LEFT_OUT = (
    f"DELETE FROM payloads WHERE job_id IN (SELECT id FROM jobs WHERE {_OPEN})",
    f"DELETE FROM jobs WHERE {_OPEN}",
    "DELETE FROM lane_counts",
    "DELETE FROM pauses",
    "DELETE FROM drains",
    "DELETE FROM schedules",
    "DELETE FROM workers",
    "DELETE FROM host_samples",
    "DELETE FROM terms",
    "DELETE FROM limit_gauges",
    "DELETE FROM slot_requests",
    "DELETE FROM measures",
    "DELETE FROM breakers",
    "UPDATE emergencies SET resolved_at = declared_at WHERE resolved_at IS NULL",
)


class Platform(Protocol):
    """What a drill needs of an opened platform."""

    @property
    def database(self) -> Database:
        """Its database."""
        ...

    @property
    def clock(self) -> Clock:
        """Its clock."""
        ...

    def queue(self) -> Queue:
        """Its queue."""
        ...

    def desk(self) -> Desk:
        """Where its emergencies are dealt with."""
        ...

    def close(self) -> None:
        """Close its database."""
        ...


Open = Callable[[Loaded], Platform]


@dataclass(slots=True)
class Stage:
    """The copy, opened; its folder, its backup mail server, and its worker."""

    folder: Path
    platform: Platform
    sink: Sink
    worker: subprocess.Popen[bytes]
    said: str

    def enqueue(self, module_type: str, count: int, priority: str | None = None, day: str | None = None) -> list[int]:
        """Queue jobs of the drill; their ids."""
        context = {
            "client_id": "drill",
            "supplier_id": "drill",
            "journey_instance_id": "drill",
            "wedding_date": day,
            "client_data": {"email": "couple@wedsync.example"},
        }
        wanted = Request(module_type, {"folder": str(self.folder)}, context, priority=priority)
        answers = jobs.enqueue_many(self.platform.queue(), [wanted] * count)
        return [answer.job_id for answer in answers if isinstance(answer, Queued) and answer.job_id is not None]

    def count(self, sql: str, **values: Any) -> int:
        """What a query that counts gives."""
        with self.platform.database.reading() as connection:
            return int(connection.execute(text(sql), values).scalar_one() or 0)

    def run(self, sql: str, **values: Any) -> None:
        """Change something of the copy."""
        with self.platform.database.transaction() as connection:
            connection.execute(text(sql), values)

    def until(self, condition: Callable[[], bool], within_s: float) -> float | None:
        """The seconds until a condition holds; ``None`` when that takes longer than allowed."""
        began = time.monotonic()
        while time.monotonic() - began <= within_s:
            if condition():
                return time.monotonic() - began
            if self.worker.poll() is not None:
                said = (self.folder / "worker.log").read_text(errors="replace").strip().splitlines()
                raise DrillFailed(f"the drill's worker ended by itself: {said[-1] if said else 'without a word'}")
            time.sleep(_LOOK_S)
        return None

    def fault(self, name: str, *, there: bool) -> None:
        """Bring a fault about, or mend it."""
        if there:
            (self.folder / name).touch()
        else:
            (self.folder / name).unlink(missing_ok=True)


@contextmanager
def staged(loaded: Loaded, open_platform: Open, *, short: bool) -> Iterator[Stage]:
    """A stage, cleared away at the end. Raises DrillFailed when its worker does not start."""
    with tempfile.TemporaryDirectory(prefix="wedsync-drill-") as name, sinking() as sink:
        folder = Path(name)
        said = _copy(loaded.settings, folder / "wedsync-ops.db")
        config = _config(loaded.settings, folder, sink, short=short)
        platform = open_platform(load({"home": folder}, environment={}, config_file=config))
        try:
            _clear(platform)
            worker = _start(folder, config)
            try:
                stage = Stage(folder, platform, sink, worker, said)
                if stage.until(lambda: stage.count("SELECT count(*) FROM workers") > 0, _START_S) is None:
                    raise DrillFailed(f"the drill's worker did not start within {_START_S:g} s")
                yield stage
            finally:
                _end(worker)
        finally:
            platform.close()


def _copy(settings: Settings, to: Path) -> str:
    """Copy the database, which is only read; says what was copied."""
    place = settings.database_url.removeprefix("sqlite:///")
    file = Path(place.partition("?")[0])
    if not settings.database_url.startswith("sqlite:///") or not file.exists():
        return "an empty platform"
    try:
        with (
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(to)) as target,
        ):
            source.backup(target, pages=4096)
    except sqlite3.Error as error:
        raise DatabaseError(f"{file}: the database cannot be copied for the drill: {error}") from error
    return "a copy of the platform"


def _config(settings: Settings, folder: Path, sink: Sink, *, short: bool) -> Path:
    """The settings of the copy: those that decide, and none by which anything could leave it."""
    protocols = folder / "protocols.yaml"
    protocols.write_text(_protocols(protocols_of(settings), short=short))
    values = {
        "timezone": settings.timezone,
        "durability": "normal",
        "smtp_url": f"smtp://127.0.0.1:{_closed_port()}",
        "smtp_url_backup": sink.url,
        "min_slots": 2,
        "max_slots": 6,
        "autoscale_every_s": 1 if short else settings.autoscale_every_s,
        "emergencies": str(protocols),
        "emergency_auto": "all",
        "emergencies_every_s": 0.5 if short else settings.emergencies_every_s or 2,
        "freeze_days": -1,
    }
    file = folder / "config.yaml"
    file.write_text(json.dumps(values))
    return file


_SHORTER = {
    "failed_percent": {"cool_down": "2s", "longest_cool_down": "4s"},
    "critical_wait": {"critical_wait": "3s"},
    "memory_percent": {},
}


def _protocols(known: Protocols, *, short: bool) -> str:
    """The protocols as a file; in the short form their rules wait for less."""
    found: dict[str, Any] = {}
    for name, protocol in known.by_name.items():
        given = protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
        if short and "when" in given:
            for key, changes in _SHORTER.items():
                if key in given["when"]:
                    given["when"] |= changes
        found[name] = given
    return json.dumps({"protocols": found})


def _closed_port() -> int:
    """A port at which nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _clear(platform: Platform) -> None:
    with platform.database.transaction() as connection:
        for statement in _LEFT_OUT:
            connection.execute(text(statement))
    registered = register(platform.database, DEFINITIONS, "the drill", now=platform.clock.now())
    if registered.problems:
        raise DrillFailed(f"the drill's module types cannot be registered: {registered.problems[0].message}")


def _start(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "wedsync_ops", "--config", str(config), "--log-level", "error", "run-worker"]
    with (folder / "worker.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--modules", ",".join(MODULES)],
            cwd=folder,
            env={**outside(), "WEDSYNC_OPS_HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            worker.wait(1)
            return
        worker.send_signal(signal.SIGTERM)  # a second one breaks off what runs
        with suppress(subprocess.TimeoutExpired):
            worker.wait(_STOP_S)
            return
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
