"""A command line to call in this process, and one in a child, each on a home of the test's own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from wedsync_ops.cli.main import run

ROOT = Path(__file__).resolve().parents[2]

SCHEMA = """\
      type: object
      additionalProperties: false
      required: [text]
      properties:
        text: {type: string, minLength: 1}
        count: {type: integer}
"""


def definitions(**changes: str) -> str:
    """A definition file of two module types, ``note`` and ``refuse``, and ``idle``, which is not active."""
    text = "schema_version: 1\nmodules:\n"
    for name, extra in (("note", ""), ("refuse", ""), ("idle", "    is_active: false\n")):
        text += (
            f"  - id: {name}\n    display_name: {name.title()}\n    category: testing\n    capabilities: [write]\n"
            f"    handler: tests.cli.handlers:{'note' if name == 'idle' else name}\n{extra}{changes.get(name, '')}"
            f"    config_schema:\n{SCHEMA}"
        )
    return text


CONFIG = '{"text": "hello"}'
CONTEXT = '{"client_id": "c1", "supplier_id": "s1", "journey_instance_id": "j1"}'


@dataclass(frozen=True)
class Answer:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error on the last line of standard error."""
        found: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return found


Cli = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own, in the environment."""
    folder = tmp_path / "home"
    monkeypatch.setenv("WEDSYNC_OPS_HOME", str(folder))
    return folder


@pytest.fixture
def cli(home: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command line in this process."""

    def call(*arguments: str, stdin: bytes | None = None) -> Answer:
        source = home.parent / "stdin"
        source.write_bytes(stdin or b"")
        capfdbinary.readouterr()
        with monkeypatch.context() as patch, source.open(encoding="utf-8") as opened:
            patch.setattr("sys.stdin", opened)
            code = run(arguments)
        captured = capfdbinary.readouterr()
        return Answer(code, captured.out.decode(), captured.err.decode())

    return call


@pytest.fixture
def registered(cli: Cli, tmp_path: Path) -> Cli:
    """The same, with this test's module types registered."""
    file = tmp_path / "definitions.yaml"
    file.write_text(definitions())
    answer = cli("register", str(file), "--json")
    assert answer.code == 0, answer.err
    return cli


def enqueue(cli: Cli, *more: str, module: str = "note", config: str = CONFIG, context: str = CONTEXT) -> Answer:
    """Queue a job with --json."""
    return cli("enqueue", module, "--config", config, "--context", context, "--json", *more)


def child(home: Path, *arguments: str | bytes, stdin: bytes = b"", **environment: str) -> Answer:
    """Run a command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "wedsync_ops", *arguments],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=environment_for(home, environment),
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def environment_for(home: Path, more: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The environment of a child with a home, and with none of this process's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEDSYNC_OPS_", "_WEDSYNC"))}
    return {**kept, "WEDSYNC_OPS_HOME": str(home), **more}
