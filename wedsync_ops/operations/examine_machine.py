"""Examines this machine: folders and their rights, space, limits, time zones, and what slots need of the kernel."""

import importlib.metadata
import os
import resource
import shlex
import socket
import stat
import sys
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wedsync_ops import __version__
from wedsync_ops.jobs.kernel import usable_cores
from wedsync_ops.jobs.memory import group_limits_kb, machine_kb
from wedsync_ops.operations.findings import Examined, Finding, problem, warning
from wedsync_ops.operations.health import check_disk, places
from wedsync_ops.operations.verdict import Status
from wedsync_ops.settings import Settings

FILES_PER_SLOT = 8
"""Open files of a worker for each of its slots: pipes, and a memory file each for a while."""
_FILES = 100
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "glusterfs", "fuse.glusterfs", "afs")
_ZONES = ("UTC", "Europe/London", "America/New_York", "Australia/Sydney")
_OTHERS_MAY = stat.S_IROTH | stat.S_IWOTH
_PROC: tuple[tuple[str, int, str], ...] = (
    ("/proc/self/clear_refs", os.O_WRONLY, "the peak memory of a job would be that of all jobs of its slot"),
    ("/proc/self/smaps_rollup", os.O_RDONLY, "memory that processes share is counted once for each"),
    (
        "/proc/self/task/{pid}/children",
        os.O_RDONLY,
        "what children of a job use is not counted, and they may outlive it",
    ),
    ("/proc/self/mountinfo", os.O_RDONLY, "file systems over a network are not noticed"),
)


def examine(settings: Settings, database_file: Path | None) -> Examined:
    """Look at everything of this machine that the platform rests on. Nothing is made or written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    cores = usable_cores()
    facts: dict[str, object] = {
        "version": __version__,
        "python": sys.version.split()[0],
        "host": socket.gethostname(),
        "kernel": os.uname().release,
        "cores": len(cores) or None,
        "memory_mb": machine_kb(settings.memory_mb) // 1024,
        "control_group_memory_mb": _group_mb(),
        "open_files": soft,
        "time_zone_data": _zone_data(),
        "home": str(settings.home),
        "outbox": str(settings.outbox),
    }
    where = places(settings)
    findings = [
        *_folders(where, database_file),
        *_disks(where),
        *_open_files(settings, soft, hard),
        *_zones(settings),
        *_kernel(cores),
    ]
    return Examined(facts, findings)


def _group_mb() -> int | None:
    """What the control groups of this process allow of memory; ``None`` without a limit."""
    try:
        limits_kb = group_limits_kb(Path("/proc/self/cgroup").read_text(), Path("/sys/fs/cgroup"))
    except (OSError, ValueError):
        return None
    return min(limits_kb) // 1024 if limits_kb else None


def _folders(where: dict[str, Path], database_file: Path | None) -> Iterator[Finding]:
    files = [] if database_file is None else [Path(f"{database_file}{end}") for end in ("", "-wal", "-shm")]
    named = [*where.items(), *((path.name, path) for path in files)]
    seen: set[Path] = set()
    for name, path in named:
        if path not in seen and os.path.exists(path):  # noqa: PTH110 - False where no look is permitted
            yield from _rights(name, path, is_kept=path.parent in seen)
            seen.add(path)
    mounts = _mounts()
    for name, folder in where.items():
        kind = _kind_of(folder, mounts)
        if kind in _REMOTE:
            why = "file locks and SQLite don't work there: put it on a local disk"
            yield problem("network_file_system", f"{folder} ({name}) is on {kind}", why)


def _rights(name: str, path: Path, *, is_kept: bool) -> Iterator[Finding]:
    """What is wrong with the rights of a path; one that ``is_kept`` in a folder that is looked at is shut with that."""
    told = path.stat()
    quoted = shlex.quote(str(path))
    wanted = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
    if not os.access(path, wanted):
        mend = f"sudo chown {os.getuid()} {quoted} && chmod u+rwX {quoted}"
        yield problem("permissions", f"{path} ({name}) can't be read and written", "workers need to", mend)
    elif told.st_uid != os.getuid():
        words = f"{path} ({name}) belongs to user {told.st_uid}, and this is user {os.getuid()}"
        why = "a command that another user once ran made it; whoever starts workers should own it"
        yield warning("owner", words, why, f"sudo chown {os.getuid()} {quoted}")
    if told.st_mode & _OTHERS_MAY and not is_kept and not _is_shut(path.parent):
        why = "configs, contexts and mails hold personal data"
        mend = f"chmod o-rwx {quoted}"
        yield warning("open_to_all", f"everybody on this machine may read {path} ({name})", why, mend)


def _is_shut(folder: Path) -> bool:
    """Whether a folder or one above it keeps others out, so that what is in it need not."""
    with suppress(OSError):
        return any(not part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))
    return False


def _disks(where: dict[str, Path]) -> Iterator[Finding]:
    for reason in check_disk(where).reasons:
        made = problem if reason.status is Status.CRITICAL else warning
        why = "when it is full nothing can be queued, and what has run can't be recorded"
        yield made(f"disk_{reason.code}", reason.words, why, "wedsync-ops maintenance run retention")


def _mounts() -> list[tuple[Path, str]]:
    """Every mounted file system: where, and of which kind."""
    found = []
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            found.append((Path(before.split()[4].replace("\\040", " ")), after.split()[0]))
    return found


def _kind_of(folder: Path, mounts: list[tuple[Path, str]]) -> str | None:
    """The kind of the file system that a folder is on, or will be."""
    holding = [(len(point.parts), kind) for point, kind in mounts if folder.is_relative_to(point)]
    return max(holding)[1] if holding else None


def _open_files(settings: Settings, soft: int, hard: int) -> Iterator[Finding]:
    needed = settings.max_slots * FILES_PER_SLOT + _FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        words = f"{soft} files may be open at once, and {settings.max_slots} slots (max_slots) may need {needed}"
        limit = f"hard limit {hard}; in a unit of systemd: LimitNOFILE={needed}"
        yield warning("open_files", words, f"slots could not be started ({limit})", f"ulimit -n {needed}")


def _zone_data() -> str:
    folders = [path for path in zoneinfo.TZPATH if Path(path).is_dir()]
    with suppress(importlib.metadata.PackageNotFoundError):
        packaged = f"tzdata {importlib.metadata.version('tzdata')}"
        return f"{folders[0]}, then {packaged}" if folders else packaged
    return folders[0] if folders else "none"


def _zones(settings: Settings) -> Iterator[Finding]:
    for name in dict.fromkeys((settings.timezone, *_ZONES)):
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            why = "times of weddings there would be refused"
            yield problem("time_zones", f"the time zone {name} is not known", why, "pip install --upgrade tzdata")


def _kernel(cores: frozenset[int]) -> Iterator[Finding]:
    for name, way, why in _PROC:
        path = name.format(pid=os.getpid())
        try:
            os.close(os.open(path, way | os.O_CLOEXEC))
        except OSError as error:
            yield warning("proc", f"{path} can't be used: {error.strerror}", why)
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))  # to what it is
    except (AttributeError, OSError):
        yield warning("affinity", "processes can't be kept on cores", "cpu_limit is only watched, not held")
    if not cores:
        yield warning(
            "cores", "the system does not tell which cores may be used", "workers start with the fewest slots"
        )
