"""Who may forbid a change for a while: a port. Whoever knows of weddings that are near answers; ``app`` puts it in."""

from typing import NamedTuple, Protocol


class Change(NamedTuple):
    """A change that could keep jobs from being done: the command, and what it is of (all, module or supplier)."""

    what: str
    scope: str = "all"
    name: str = ""

    @property
    def words(self) -> str:
        """The change in words."""
        return f"{self.what} of {'everything' if self.scope == 'all' else f'{self.scope} {self.name}'}"


class Guard(Protocol):
    """Who may forbid a change."""

    def check(self, change: Change, override: str | None = None) -> None:
        """Raise ChangeFrozen where a change has to wait. With ``override``, the reason, it need not, and is kept."""
        ...


class Unguarded:
    """Where nobody forbids anything."""

    def check(self, change: Change, override: str | None = None) -> None:
        """Every change may be made."""
