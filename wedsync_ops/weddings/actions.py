"""Taking couples in: judged row by row, compared with what is known, written a batch a transaction.

Taking the same rows in again changes nothing, so whoever was interrupted begins anew.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from functools import partial
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from wedsync_ops import db
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput, WedsyncError
from wedsync_ops.weddings import store
from wedsync_ops.weddings.intake import client_from
from wedsync_ops.weddings.model import Client
from wedsync_ops.weddings.seen import Mark, Seen
from wedsync_ops.weddings.sheet import Row
from wedsync_ops.weddings.store import Written

BATCH = 500
"""The most rows that are taken together; when they are done they are on the disk."""
PART = 100
"""The most rows of a transaction where everybody else who writes waits for it, which is SQLite."""
MOST_AT_ONCE = 100_000
"""The most rows that are taken all or none: they are held in memory, and written in one transaction."""
MOST_LISTED = 1000
"""How many errors, and how many changes, are listed; all are counted."""
_NAMES = {item.name: item.name for item in fields(Client)} | {"wedding_on": "wedding_date"}
"""The facts of a couple, as a record names them."""


class Fault(NamedTuple):
    """Why a row was refused; rows and lines count from 1."""

    row: int
    line: int
    message: str


class Change(NamedTuple):
    """What a row changed of a couple that was known: by field, what it was and what it is."""

    row: int
    client_id: str
    fields: Mapping[str, tuple[str | None, str | None]]


@dataclass(slots=True)
class Report:
    """What became of the rows. ``moved`` counts the weddings whose date changed; lists hold the first few only."""

    imported: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    moved: int = 0
    last_row: int = 0
    errors: list[Fault] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    changed_fields: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """The rows that are kept as they were given."""
        return self.imported + self.updated + self.unchanged

    def refuse(self, row: Row, why: str) -> None:
        """Note that a row was refused."""
        self.refused += 1
        if len(self.errors) < MOST_LISTED:
            self.errors.append(Fault(row.number, row.line, why))


class _Taken(NamedTuple):
    row: Row
    client: Client
    digest: int


@dataclass(frozen=True, slots=True)
class Judge:
    """What rows are judged by: the platform's zone, and what says what is wrong with an e-mail address."""

    zone: ZoneInfo
    address_fault: Callable[[object], str | None]


class Importer:
    """Takes rows in, as they come or (``atomic``) all or none at the end; a context that forgets the rows at its end.

    With ``dry_run`` nothing is written, and the report says what would be.
    """

    def __init__(self, database: Database, clock: Clock, judge: Judge, *, atomic: bool, dry_run: bool) -> None:
        self.report = Report()
        self._database = database
        self._clock = clock
        self._judge = judge
        self._atomic = atomic
        self._dry_run = dry_run
        self._seen = Seen()
        self._held: list[_Taken] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._seen.close()

    def take(self, rows: Sequence[Row]) -> None:
        """Take some rows in, at most ``BATCH``. Raises InvalidInput when they are too many to be taken at once."""
        taken = self._new_ones([one for row in rows if (one := self._judged(row)) is not None])
        self.report.errors.sort()  # of a batch, those that contradict an earlier row were found last
        if rows:
            self.report.last_row = rows[-1].number
        if not self._atomic:
            self._keep(taken)
        elif not self.report.refused:
            self._held += taken
            if len(self._held) > MOST_AT_ONCE:
                raise InvalidInput(
                    f"more than {MOST_AT_ONCE:,} rows are too many to be taken all or none; nothing was written",
                    hint="leave --atomic out: what is interrupted can be repeated, and changes nothing twice",
                )
        else:
            self._held.clear()

    def finish(self) -> None:
        """Write what was held, in one transaction; nothing when a row was refused."""
        if not self._atomic:
            return
        if self.report.refused:
            self.report.unchanged = 0
        else:
            self._keep(self._held)
        self._held.clear()

    def _judged(self, row: Row) -> _Taken | None:
        try:
            if isinstance(row.record, WedsyncError):
                raise row.record
            client = client_from(row.record, self._judge.zone, self._judge.address_fault)
        except WedsyncError as error:
            self.report.refuse(row, str(error))
            return None
        return _Taken(row, client, store.digest_of(client))

    def _new_ones(self, taken: Sequence[_Taken]) -> list[_Taken]:
        """Those whose couple no earlier row has named; of the others those that say something else are refused."""
        marks = self._seen.note([(one.client.client_id, Mark(one.row.number, one.digest)) for one in taken])
        new = []
        for one, mark in zip(taken, marks, strict=True):
            if mark is None:
                new.append(one)
            elif mark.digest == one.digest:
                self.report.unchanged += 1
            else:
                self.report.refuse(one.row, f"row {mark.row} has this client_id, too, and says something else")
        return new

    def _keep(self, taken: Sequence[_Taken]) -> None:
        """Write what is new or different, and count."""
        before: dict[str, Client] = {}
        written: list[_Taken] = []
        for start in range(0, len(taken), BATCH):
            different, known = self._different(taken[start : start + BATCH])
            written += different
            before |= known
        ids = frozenset(one.client.client_id for one in written)
        done = Written(ids - before.keys(), ids & before.keys())
        if not self._dry_run and written:
            done = self._write(written)  # somebody else may have written some meanwhile
        self.report.imported += len(done.imported)
        self.report.updated += len(done.updated)
        self.report.unchanged += len(taken) - len(done.imported) - len(done.updated)
        for one in written:
            known_before = before.get(one.client.client_id)
            if known_before is not None and one.client.client_id in done.updated:
                self._note_change(one, known_before)

    def _different(self, taken: Sequence[_Taken]) -> tuple[list[_Taken], dict[str, Client]]:
        """Those that are new or say something else than what is known; and what was known of these."""
        with self._database.reading() as connection:
            digests = store.digests(connection, [one.client.client_id for one in taken])
            different = [one for one in taken if digests.get(one.client.client_id) != one.digest]
            changed = [one.client.client_id for one in different if one.client.client_id in digests]
            known = store.find_many(connection, changed) if changed else {}
        return different, {client_id: one.client for client_id, one in known.items()}

    def _write(self, taken: Sequence[_Taken]) -> Written:
        """Write couples: all in one transaction when asked, else in as many as keep others from waiting long."""
        size = len(taken) if self._atomic else PART if self._database.is_sqlite else BATCH
        done = Written(frozenset(), frozenset())
        for start in range(0, len(taken), size):
            part = partial(self._write_part, taken[start : start + size], durable=start + size >= len(taken))
            made = db.repeated(part)
            done = Written(done.imported | made.imported, done.updated | made.updated)
        return done

    def _write_part(self, taken: Sequence[_Taken], *, durable: bool) -> Written:
        done = Written(frozenset(), frozenset())
        now = self._clock.now()
        with self._database.transaction(durable=durable) as connection:
            for start in range(0, len(taken), BATCH):
                made = store.upsert(connection, [one.client for one in taken[start : start + BATCH]], now)
                done = Written(done.imported | made.imported, done.updated | made.updated)
        return done

    def _note_change(self, one: _Taken, before: Client) -> None:
        changed = {
            name: (_shown(getattr(before, place)), _shown(getattr(one.client, place)))
            for place, name in _NAMES.items()
            if getattr(before, place) != getattr(one.client, place)
        }
        self.report.moved += "wedding_date" in changed
        self.report.changed_fields.update(changed.keys())
        if len(self.report.changes) < MOST_LISTED:
            self.report.changes.append(Change(one.row.number, one.client.client_id, changed))


def _shown(value: object) -> str | None:
    if isinstance(value, date):
        return value.isoformat()
    return None if value is None else str(value)
