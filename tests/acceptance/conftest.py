"""A home with its own database, and the real command line run in child processes against it."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from wedsync_ops.cli.main import run

ROOT = Path(__file__).parents[2]


def definition(name: str, function: str, properties: str = "{}", **fields: str) -> str:
    """A module type of these tests as YAML; ``fields`` are further lines."""
    more = "".join(f"    {key}: {value}\n" for key, value in fields.items())
    return (
        f"  - id: {name}\n    display_name: {name}\n    category: test\n"
        f"    handler: tests.acceptance.handlers:{function}\n{more}"
        f"    config_schema: {{type: object, additionalProperties: false, properties: {properties}}}\n"
    )


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


class Home:
    """One home, its command line, and the workers that were started in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("WEDSYNC_OPS_")},
            "WEDSYNC_OPS_HOME": str(path),
            "PYTHONPATH": str(ROOT),
        }
        self.workers: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, stdin: str | None = None, code: int | None = 0) -> Answer:
        """Run a command to its end: a worker in a process of its own, what only looks or asks in this one."""
        answer = self._child(arguments) if "run-worker" in arguments else self._here(arguments, stdin or "")
        assert code is None or answer.returncode == code, (answer.returncode, answer.stdout[-2000:], answer.stderr)
        return answer

    def _child(self, arguments: tuple[str, ...]) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "wedsync_ops", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            cwd=self.path,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def _here(self, arguments: tuple[str, ...], stdin: str) -> Answer:
        streams = [io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8") for raw in (stdin.encode(), b"", b"")]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.path)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
                patch.setattr(sys, name, stream)
            code = run(arguments)
            for stream in streams[1:]:
                stream.flush()
        out, err = (stream.buffer.getvalue().decode() for stream in streams[1:])
        return Answer(code, out, err)

    def json(self, *arguments: str, stdin: str | None = None, code: int | None = 0) -> Any:
        """Run a command with --json and read what it answers."""
        return json.loads(self.run(*arguments, "--json", stdin=stdin, code=code).stdout)

    def register(self, *definitions: str) -> Any:
        """Register module types."""
        file = self.path / "test-modules.yaml"
        file.write_text("schema_version: 1\nmodules:\n" + "".join(definitions))
        return self.json("register", str(file))

    def register_shipped(self) -> Any:
        """Register the module types that are shipped."""
        return self.json("register", str(ROOT / "modules.yaml"))

    def enqueue(self, module: str, config: dict[str, Any], *options: str, **context: Any) -> Any:
        """Queue one job."""
        whole = {"client_id": "c1", "supplier_id": "s1", "journey_instance_id": "j1", **context}
        return self.json("enqueue", module, "--config", json.dumps(config), "--context", json.dumps(whole), *options)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start a worker."""
        return self.follow("run-worker", *options)

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that goes on until it is ended."""
        worker = subprocess.Popen(
            [sys.executable, "-m", "wedsync_ops", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.path,
        )
        self.workers.append(worker)
        return worker

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Hold the database's write lock: no transaction is under way meanwhile."""
        file = Path(self.environment["WEDSYNC_OPS_HOME"]) / "wedsync-ops.db"
        with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    def suspend(self, worker: subprocess.Popen[str]) -> None:
        """Suspend a worker while it waits or does nothing, never in the middle of a transaction."""
        with self.write_lock():
            worker.send_signal(signal.SIGSTOP)
            eventually(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)

    def close(self) -> None:
        """End what still runs."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
            worker.communicate()


def eventually(condition: Callable[[], bool], within_s: float = 30) -> None:
    """Wait for another process to bring something about."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def descendants(pid: int) -> list[psutil.Process]:
    """Every process that a process has started, itself left out."""
    return psutil.Process(pid).children(recursive=True)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home."""
    path = tmp_path / "home"
    path.mkdir()
    made = Home(path)
    yield made
    made.close()
