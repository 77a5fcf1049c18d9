"""What Linux offers to keep processes together, and Python does not: prctl, and who is whose child."""

import ctypes
import os
import signal
from collections.abc import Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SESSION = 3  # fields of /proc/<pid>/stat after the command's name: state, ppid, pgrp, session

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, instead of process 1. Raises OSError."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exits at once when the parent is gone already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def children_of(pid: int) -> set[int]:
    """The process ids of a process's children, dead ones that were not reaped included."""
    found: set[int] = set()
    for task in tasks_of(pid):
        try:
            found.update(int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


def session_of(pid: int) -> int:
    """The session that a process belongs to, also of one that died and was not reaped; 0 when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[_SESSION])


def started_with(pid: int, variable: str) -> bool | None:
    """Whether a live process's program was started with ``NAME=value`` in its environment.

    ``None`` while it has none to show: it may be in the middle of starting another program.
    """
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return variable.encode() in environment.split(b"\0") if environment else None


def tasks_of(pid: int) -> list[str]:
    """The ids of a process's threads; none when it has ended."""
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names only, in a place that changes under us
    except OSError:
        return []


def usable_cores() -> frozenset[int]:
    """The cores that this process may use; none where the system does not tell."""
    try:
        return frozenset(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return frozenset()


def confine(pids: Iterable[int], cores: frozenset[int]) -> bool:
    """Keep every thread of these processes on these cores; those that are there already are not touched.

    Returns whether the system lets that be done.
    """
    return _keep(pids, cores, exactly=False)


def widen(pid: int, cores: frozenset[int]) -> None:
    """Let every thread of a process use all these cores again."""
    _keep((pid,), cores, exactly=True)


def _keep(pids: Iterable[int], cores: frozenset[int], *, exactly: bool) -> bool:
    done = True
    for task in (int(task) for pid in pids for task in tasks_of(pid)):
        try:
            now = os.sched_getaffinity(task)
            if now != cores and (exactly or not now <= cores):
                os.sched_setaffinity(task, cores)
        except ProcessLookupError:  # it has ended
            continue
        except (AttributeError, OSError):
            done = False
    return done


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
