"""How far a worker's stop has come: jobs may end, are asked to, and are broken off in the end. Pure.

Times are monotonic seconds.
"""

from enum import Enum


class Phase(Enum):
    """What a worker does about the jobs that run; but for the first nothing starts any more."""

    WORKING = "working"
    QUIET = "quiet"
    ENDING = "ending"
    ASKING = "asking"
    BREAKING = "breaking"

    @property
    def word(self) -> str:
        """What others are told: ``working``, ``quiet`` or ``ending``."""
        return self.value if self in (Phase.WORKING, Phase.QUIET) else Phase.ENDING.value


class Stopping:
    """A worker's stop. ``ask`` and ``quiet`` are called from signal handlers, so all they do is note it.

    Running jobs may go on for ``grace_s`` seconds; then their handlers are asked to stop, and have ``notice_s``.
    """

    def __init__(self, grace_s: float, notice_s: float) -> None:
        self._grace_s = grace_s
        self.notice_s = notice_s
        self._asked_at: float | None = None
        self._again = False
        self.is_quiet = False

    @property
    def is_asked(self) -> bool:
        """Whether the worker is to end."""
        return self._asked_at is not None

    def ask(self, now: float) -> None:
        """Ask for the end; the second time for a quick one."""
        if self._asked_at is None:
            self._asked_at = now
        else:
            self._again = True

    def quiet(self) -> None:
        """Start nothing any more, but stay."""
        self.is_quiet = True

    def phase(self, now: float) -> Phase:
        """How far it has come."""
        if self._again:
            return Phase.BREAKING
        if self._asked_at is None:
            return Phase.QUIET if self.is_quiet else Phase.WORKING
        elapsed_s = now - self._asked_at
        if elapsed_s < self._grace_s:
            return Phase.ENDING
        return Phase.ASKING if elapsed_s < self._grace_s + self.notice_s else Phase.BREAKING
