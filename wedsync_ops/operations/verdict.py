"""What a check comes to, for monitoring: a status, a line of why, and the figures behind it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """How it is, in monitoring's own numbers, which are exit codes, too."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        """The status as a check says it."""
        return self.name.lower()

    @property
    def health(self) -> str:
        """The status as ``health`` says it: ok, degraded or critical."""
        return "degraded" if self is Status.WARNING else self.word


@dataclass(frozen=True, slots=True)
class Bounds:
    """From which value on a figure is a warning, and from which it is critical; with ``below`` it must not be less."""

    warning: float
    critical: float
    below: bool = False

    def judge(self, value: float) -> Status:
        """What a value comes to."""
        if self.below:
            return Bounds(-self.warning, -self.critical).judge(-value)
        if value >= self.critical:
            return Status.CRITICAL
        return Status.WARNING if value >= self.warning else Status.OK

    @property
    def is_in_order(self) -> bool:
        """Whether what is critical is no better than what is a warning."""
        return self.critical <= self.warning if self.below else self.critical >= self.warning


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is not well: a stable word for it, and what it is."""

    status: Status
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value, its unit (``s``, ``ms``, ``MB``, ``%`` or none), and its bounds where it has any."""

    label: str
    value: float
    unit: str = ""
    bounds: Bounds | None = None

    @property
    def perfdata(self) -> str:
        """The figure as monitoring plugins write it: ``label=value[unit];warning;critical``."""
        written = f"{self.label}={self.value:.6g}{self.unit}"
        if self.bounds is None:
            return written
        # A range that ends in a colon is one that the value must not be below.
        end = ":" if self.bounds.below else ""
        return f"{written};{self.bounds.warning:.6g}{end};{self.bounds.critical:.6g}{end}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to. ``usual`` is what it says when nothing is wrong."""

    name: str
    usual: str
    reasons: Sequence[Reason] = ()
    figures: Sequence[Figure] = ()

    @property
    def status(self) -> Status:
        """The worst of its reasons."""
        return max((reason.status for reason in self.reasons), default=Status.OK)

    @property
    def message(self) -> str:
        """The reasons, the worst first; what is usual when there are none."""
        worst_first = sorted(self.reasons, key=lambda reason: -reason.status)
        return "; ".join(reason.words for reason in worst_first) or self.usual


def judged(figure: Figure, code: str, words: str) -> list[Reason]:
    """The reason that a figure beyond its bounds is; none within them."""
    status = Status.OK if figure.bounds is None else figure.bounds.judge(figure.value)
    return [] if status is Status.OK else [Reason(status, code, words)]
