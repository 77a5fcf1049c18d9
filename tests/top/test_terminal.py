"""The screen on a real terminal: tmux, the command line, a real database."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, environment_for
from tests.stores.queues import queue_on
from tests.top.scenes import enqueue
from wedsync_ops.db import Database
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.store import control

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


class Terminal:
    """A terminal of tmux's, with a command in it."""

    def __init__(self, home: Path, socket: Path, width: int = 80, height: int = 24, **environment: str) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self._environment = environment_for(home, {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"})
        self._environment.pop("TMUX", None)
        own = " ".join(f"{name}={value}" for name, value in environment.items())  # tmux sets TERM itself
        command = f"env {own} {sys.executable} -m wedsync_ops top --interval 0.2; echo ended $?; exec sleep 60"
        self._run("new-session", "-d", "-x", str(width), "-y", str(height), command)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], env=self._environment, capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout

    def keys(self, *names: str) -> None:
        """Press keys."""
        self._run("send-keys", *names)

    def screen(self, *options: str) -> str:
        """What is to be seen."""
        return self._run("capture-pane", "-p", *options)

    def shows(self, fits: str | Callable[[str], bool]) -> str:
        """Wait until something is to be seen."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found = self.screen()
            if fits in found if isinstance(fits, str) else fits(found):
                return found
            time.sleep(0.05)
        raise AssertionError(self.screen())

    def end(self) -> None:
        """End the terminal, and with it the command."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def queue(sqlite_database: Database, tmp_path: Path) -> Queue:
    return queue_on(sqlite_database, tmp_path)


@pytest.fixture
def open_terminal(queue: Queue, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []
    folder = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - a socket's path must be short

    def call(**options: str) -> Terminal:
        made = Terminal(tmp_path / "home", folder / f"top-{os.getpid()}-{len(opened)}", **options)  # type: ignore[arg-type]
        opened.append(made)
        return made

    yield call
    for each in opened:
        each.end()


def whole(seen: str) -> bool:
    return "email" in seen and "q Quit" in seen


def is_paused(queue: Queue) -> bool:
    with queue.database.reading() as connection:
        return bool(control.closed(connection, 0))


def test_a_lane_is_paused_by_keys_and_q_leaves(queue: Queue, open_terminal: Callable[..., Terminal]) -> None:
    enqueue(queue)
    terminal = open_terminal()
    shown = terminal.shows(whole).splitlines()
    assert shown[0].startswith("wedsync-ops  20")
    assert "q Quit" in shown[23]
    assert max(map(len, shown)) <= 80
    terminal.keys("p")
    terminal.shows("Pause email?")
    terminal.keys("y")
    terminal.shows(lambda seen: "paused" in seen and "email is paused" in seen)
    assert is_paused(queue)
    terminal.keys("q")
    terminal.shows("ended 0")


def test_without_colour_nothing_is_coloured_and_all_is_there(
    queue: Queue, open_terminal: Callable[..., Terminal]
) -> None:
    enqueue(queue)
    terminal = open_terminal(NO_COLOR="1", TERM="xterm-256color")
    terminal.shows(whole)
    colours = [part for part in terminal.screen("-e").split("\x1b[")[1:] if part.startswith(("38;", "48;"))]
    greys = [part for part in colours if len(set(part.partition("m")[0].split(";")[2:5])) == 1]
    assert greys == colours
    terminal.keys("C-c")
    terminal.shows("ended 130")


def test_a_terminal_that_can_draw_nothing_gets_one_page(queue: Queue, open_terminal: Callable[..., Terminal]) -> None:
    enqueue(queue)
    shown = open_terminal(TERM="dumb").shows("ended 0")
    assert "Workers: no worker runs" in shown
    assert "Pause" not in shown
