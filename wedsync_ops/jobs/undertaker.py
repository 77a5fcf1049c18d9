"""No orphans: what becomes of the processes that a dead slot leaves behind.

The worker is their child subreaper, so they all turn up as its children. They are told from children that are none of
ours by the dead slot's session, or by the mark that every program of a pool has in its environment.
"""

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Callable, Collection
from time import monotonic

from wedsync_ops.jobs.forkserver import ForkServer
from wedsync_ops.jobs.kernel import children_of, session_of, started_with

_AGAIN_S = 0.01
_AT_LONGEST_S = 2.0
"""How long a child that cannot be told yet is looked at again, in seconds."""


class Undertaker:
    """Kills and reaps strays; ``known`` names the processes that are accounted for."""

    def __init__(self, epoll: select.epoll, server: ForkServer, known: Callable[[], Collection[int]]) -> None:
        self._epoll = epoll
        self._server = server
        self._known = known
        self._sessions: set[int] = set()
        self._strays: dict[int, int] = {}
        self._untold_since: float | None = None
        self.look_at = math.inf
        """The monotonic second at which to sweep again, because there is a child that could not be told."""

    def __len__(self) -> int:
        return len(self._strays)

    def __contains__(self, pidfd: int) -> bool:
        return pidfd in self._strays

    def sweep(self, session: int = 0) -> None:
        """Kill what is left of a session, and whatever else was started by a slot and is nobody's."""
        self._sessions.add(session)
        children = children_of(os.getpid())  # before asking who is known: a slot names itself before it turns up here
        children.difference_update(self._known(), self._strays.values(), (self._server.pid or 0,))
        untold = False
        for pid in children:
            is_ours = session_of(pid) in self._sessions or started_with(pid, self._server.mark)
            if is_ours:
                self._kill(pid)
            untold = untold or is_ours is None
        self._look_again(untold=untold)
        if not self._strays and not untold:
            self._sessions.clear()  # from here on the number may come to mean somebody else's session

    def _look_again(self, *, untold: bool) -> None:
        now = monotonic()
        since = self._untold_since
        self._untold_since = (now if since is None else since) if untold else None
        is_soon = untold and (since is None or now - since < _AT_LONGEST_S)
        self.look_at = now + _AGAIN_S if is_soon else math.inf

    def died(self, pidfd: int) -> None:
        """A stray is dead: reap it, and look for what it leaves in turn."""
        if not is_dead(self._strays[pidfd]):
            return
        reap(self._strays.pop(pidfd))
        self._epoll.unregister(pidfd)
        os.close(pidfd)
        self.sweep()

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            self._strays[pidfd] = pid
            self._epoll.register(pidfd, select.EPOLLIN)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def is_dead(pid: int) -> bool:
    """Whether a child is dead; it is not reaped by this."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def reap(pid: int) -> int:
    """The wait status of a dead child; 0 when somebody else took it."""
    for _ in range(100):
        try:
            return os.waitpid(pid, os.WNOHANG)[1]
        except ChildProcessError:  # it died before the stub that forked it: not handed over to us yet
            time.sleep(0.0005)
    return 0
