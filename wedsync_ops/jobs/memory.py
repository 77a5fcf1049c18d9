"""How much memory this machine has for jobs: physical, or what the control groups allow."""

from pathlib import Path, PurePosixPath

import psutil

_ROOT = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")


def machine_kb(memory_mb: float | None = None) -> int:
    """The memory that jobs may expect, in KB: ``memory_mb`` where that is set, else the machine's or its group's."""
    if memory_mb is not None:
        return int(memory_mb * 1024)
    physical_kb = int(psutil.virtual_memory().total) // 1024
    try:
        groups = _GROUPS.read_text()
    except OSError:
        return physical_kb
    return min(physical_kb, *group_limits_kb(groups, _ROOT), physical_kb)


def group_limits_kb(groups: str, root: Path) -> list[int]:
    """The limits of the control groups named in ``/proc/self/cgroup``, and of those that they are in, in KB."""
    found = []
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            limit = _number_in(base / group / name)
            if limit is not None:
                found.append(limit // 1024)
    return found


def _number_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no such group in here, or "max"
        return None
