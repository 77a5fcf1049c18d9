"""What a slot and everything that it started take while a job runs: resident memory, as the kernel counts it."""

import os
from dataclasses import dataclass
from pathlib import Path

from wedsync_ops.jobs.kernel import children_of

_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
_OWN = ("Pss_Anon:", "Pss_Shmem:")
"""What counts of a process among others: its own pages and shared memory, each divided by its users. Pages of files
are left out, since the kernel takes them back."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A slot with all its descendants. ``whole_kb`` is its memory where that had to be counted exactly."""

    pids: tuple[int, ...]
    whole_kb: int | None


def resident_kb(pid: int) -> int:
    """The resident size of a process; 0 when there is none any more."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KB
    except (OSError, ValueError, IndexError):
        return 0


def tree_of(pid: int, most_kb: int) -> Tree:
    """A slot's tree. It is counted exactly where it has children, or could be over ``most_kb``.

    Resident sizes count what processes share once for each, so they only tell that a tree is surely small.
    """
    pids = (pid, *_descendants(pid))
    if len(pids) == 1 and resident_kb(pid) <= most_kb:
        return Tree(pids, None)
    return Tree(pids, sum(map(_share_kb, pids)))


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    level = children_of(pid)
    while level:
        found += sorted(level)
        level = {grandchild for child in level for grandchild in children_of(child)}
    return found


def _share_kb(pid: int) -> int:
    """A process's part of what it shares, and all that is its own; the resident size where a kernel can't tell."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return resident_kb(pid)
    parts = [line.split() for line in text.splitlines() if line.startswith(_OWN)]
    return sum(int(part[1]) for part in parts) if parts else resident_kb(pid)
