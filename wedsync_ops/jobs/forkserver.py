"""The fork server: a small single-threaded process that has the handlers imported and forks slots on request.

Forking a process that has threads can deadlock the child, and starting Python anew for every slot costs half a second;
so the worker asks this one. A slot is forked twice, server → stub → slot, and the stub ends at once: that makes the
slot a child of the worker (its child subreaper), which can then wait for it and whose death takes it along.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wedsync_ops.handlers import warm
from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs import protocol, slot
from wedsync_ops.jobs.kernel import die_with
from wedsync_ops.jobs.run import handler_named

MARK = "WEDSYNC_OPS_SLOT"
"""The variable in the environment of every process of a pool; it names the pool."""
_PROGRAM = "import sys; sys.path[:] = {path!r}; from {name} import main; main(int(sys.argv[1]), int(sys.argv[2]))"
_REQUEST = b"slot"
_LONGEST = 200_000
_PATHS = ("outbox", "templates_dir", "attachments_dir")


class ForkServer:
    """The pool's side: starts the server, asks it for slots, and starts another when it has died."""

    def __init__(self, setup: slot.Setup, preload: Sequence[str], name: str) -> None:
        self._setup = setup
        self._preload = tuple(preload)
        self._mark = f"{MARK}={name}"
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._proven = False

    @property
    def mark(self) -> str:
        """``NAME=value`` as it stands in the environment of every process that descends from this server."""
        return self._mark

    @property
    def pid(self) -> int | None:
        """The server's process id, None when none was started."""
        return None if self._process is None else self._process.pid

    def request(self, end: socket.socket, orders: int) -> None:
        """Have a slot forked that serves these ends of a pipe and a channel. Raises OSError when none can be."""
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._control is None:
            self._control = self._start()
        try:
            socket.send_fds(self._control, [_REQUEST], [end.fileno(), orders])
        except OSError:  # it died just now
            self.close()
            self._control = self._start()
            socket.send_fds(self._control, [_REQUEST], [end.fileno(), orders])

    def proven(self) -> None:
        """A slot came to life, so the handlers can be imported without harm."""
        self._proven = True

    def close(self) -> None:
        """End the server, when there is one. A server that never gave a slot is restarted without the handlers."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            if not self._proven:
                self._preload = ()
            self._proven = False

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # Not by -m, which looks for modules in the current folder first: the search path is this process's own.
            command = [sys.executable, "-P", *_options(), "-c", _PROGRAM.format(path=sys.path, name=__name__)]
            command += [str(theirs.fileno()), str(os.getpid())]
            name, _, value = self._mark.partition("=")
            self._process = subprocess.Popen(  # its own session: Ctrl-C in a terminal is not for it
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, name: value},
                start_new_session=True,
            )
        try:
            ours.send(_introduction(self._setup, self._preload))
        except OSError:
            ours.close()
            raise
        return ours


def _options() -> list[str]:
    """The options of this interpreter that its children should run with."""
    extra = [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]  # noqa: SLF001 - documented, and the only way to know them
    return [*(f"-W{option}" for option in sys.warnoptions), *extra]


def _introduction(setup: slot.Setup, preload: Sequence[str]) -> bytes:
    said = {"setup": asdict(setup), "preload": list(preload)}
    raw = json.dumps(said, default=str).encode()
    if len(raw) > _LONGEST:
        raise OSError(f"the settings measure {len(raw):,} bytes, too many for the fork server")
    return raw


def _read_introduction(raw: bytes) -> tuple[slot.Setup, list[str]]:
    said: dict[str, Any] = json.loads(raw)
    given = said["setup"]
    site: dict[str, Any] = given.pop("site")
    site |= {name: Path(site[name]) for name in _PATHS if site[name] is not None}
    return slot.Setup(site=Site(**site), **given), said["preload"]


def main(fd: int, worker: int) -> None:
    """Be the fork server: answer requests on a socket until its other end closes."""
    die_with(worker)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=fd)
    control.set_inheritable(False)
    introduction = control.recv(_LONGEST, socket.MSG_PEEK)
    if not introduction:
        return
    setup, preload = _read_introduction(introduction)
    if "--plain" not in sys.argv:
        _preload(preload, setup.site, control)
    control.recv(_LONGEST)
    gc.collect()
    gc.freeze()  # a collection in a slot must not touch, and so copy, the pages that all slots share
    while True:
        message, fds, _, _ = socket.recv_fds(control, len(_REQUEST), 2)
        if not message:
            return
        end, orders = fds
        _fork(end, orders, control, setup)


def _preload(handlers: Sequence[str], site: Site, control: socket.socket) -> None:
    """Import handlers. What cannot be imported is reported by the slot that is told to run it."""
    for name in handlers:
        try:
            handler_named(name)
        except BaseException:  # noqa: BLE001, S112 - third-party code at import; see above
            continue
    with contextlib.suppress(ImportError):
        warm.load(handlers, site)
    if len(list(Path("/proc/self/task").iterdir())) > 1:  # a handler's module started threads: forking is unsafe now
        control.set_inheritable(True)
        os.execv(sys.executable, [*sys.orig_argv, "--plain"])  # noqa: S606 - this very program, without the handlers


def _fork(end: int, orders: int, control: socket.socket, setup: slot.Setup) -> None:
    try:
        stub = os.fork()
    except OSError:  # no more processes or memory: the closed end tells the pool
        os.close(end)
        os.close(orders)
        return
    if stub == 0:
        try:
            pid = os.fork()
            if pid == 0:
                control.close()
                slot.main(socket.socket(fileno=end), orders, setup)
            os.write(end, protocol.hello(pid))  # before the stub ends, so before the worker can meet the slot
        finally:
            os._exit(0)
    os.close(end)
    os.close(orders)
    os.waitpid(stub, 0)
