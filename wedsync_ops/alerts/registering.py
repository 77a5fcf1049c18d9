"""Own rules, registered with the module types of a definition file: all of the file, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from wedsync_ops.alerts.definitions import parse, to_text
from wedsync_ops.alerts.store import silences as store
from wedsync_ops.modules.model import Problem
from wedsync_ops.modules.registry import Registry


@dataclass(frozen=True, slots=True)
class RegisteredRule:
    """A rule of a file, or one that the file no longer has, and what it came to: added, changed, unchanged, removed."""

    name: str
    change: str


class RuleBatch:
    """The rules of a definition file.

    A file that says ``alerts:`` names all of one's own that there are; one that doesn't leaves them as they are.
    """

    def __init__(self, raw: bytes, now: int) -> None:
        self._now = now
        self._parsed = parse(raw)
        self.registered: tuple[RegisteredRule, ...] = ()
        """What it came to, once it is stored."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the rules by themselves."""
        return () if self._parsed is None else self._parsed.problems

    def check(self, registry: Registry) -> Sequence[Problem]:  # noqa: ARG002 - a rule may wait for its module type
        """Nothing: a rule may name module types that are registered later."""
        return ()

    def store(self, connection: Connection, *, dry_run: bool) -> None:
        """Write them; on a dry run only find out what would change."""
        if self._parsed is None:
            return
        known = store.own_rules(connection)
        given = {one.name: to_text(one) for one in self._parsed.definitions}
        gone = [name for name in known if name not in given]
        changed = {name: text for name, text in given.items() if known.get(name) != text}
        if not dry_run:
            for name, text in changed.items():
                store.save_rule(connection, name, text, self._now)
            store.delete_rules(connection, gone)
        self.registered = (
            *(RegisteredRule(name, _change(name in known, name in changed)) for name in given),
            *(RegisteredRule(name, "removed") for name in gone),
        )


def _change(is_known: bool, is_changed: bool) -> str:  # noqa: FBT001 - both say what they are by their names
    if not is_known:
        return "added"
    return "changed" if is_changed else "unchanged"
