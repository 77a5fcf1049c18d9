"""What emergencies ask of others without knowing who answers; ``app`` puts it together."""

from typing import Protocol

from sqlalchemy import Connection


class Sizing(Protocol):
    """Who decides how many slots there are."""

    def ask(
        self, connection: Connection, source: str, slots: int, *, at_least: bool, said: str, now: int, until: int | None
    ) -> None:
        """Ask for exactly or at least so many slots in all, until an instant or until it is withdrawn."""
        ...

    def withdraw(self, connection: Connection, source: str) -> None:
        """Ask for nothing any more."""
        ...


class NotSized:
    """Where nobody decides on slots: workers keep the number that they were started with."""

    def ask(
        self, connection: Connection, source: str, slots: int, *, at_least: bool, said: str, now: int, until: int | None
    ) -> None:
        """There is nobody to ask; the step's check says so."""

    def withdraw(self, connection: Connection, source: str) -> None:
        """Nothing was asked for."""
