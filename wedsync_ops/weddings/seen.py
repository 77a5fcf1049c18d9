"""Which couples a file has named so far, on which row: in a temporary database, so that memory stays bounded."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from hashlib import blake2b
from typing import NamedTuple, Self

import orjson

_SCHEMA = "CREATE TABLE seen (key INTEGER PRIMARY KEY, row INTEGER NOT NULL, digest INTEGER NOT NULL)"
_FIND = "SELECT key, row, digest FROM seen WHERE key IN (SELECT value FROM json_each(?))"
_ADD = "INSERT INTO seen (key, row, digest) VALUES (?, ?, ?)"


class Mark(NamedTuple):
    """The row that named a couple first, and the digest of what it said."""

    row: int
    digest: int


class Seen:
    """The couples that were named; close it when the file is read."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # a file that SQLite makes, and removes at the end
        for statement in ("PRAGMA cache_size = -16000", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"):
            self._database.execute(statement)
        self._database.execute(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget them."""
        self._database.close()

    def note(self, named: Sequence[tuple[str, Mark]]) -> list[Mark | None]:
        """Note who is named, in the order of the rows; for each the mark of an earlier row, ``None`` for the first."""
        keys = [_key(client_id) for client_id, _ in named]
        with closing(self._database.execute(_FIND, (orjson.dumps(keys).decode(),))) as rows:
            known = {key: Mark(row, digest) for key, row, digest in rows}
        answers: list[Mark | None] = []
        added = []
        for key, (_, mark) in zip(keys, named, strict=True):
            answers.append(known.get(key))
            if key not in known:
                known[key] = mark
                added.append((key, *mark))
        self._database.execute("BEGIN")
        self._database.executemany(_ADD, added)
        self._database.execute("COMMIT")
        return answers


def _key(client_id: str) -> int:
    return int.from_bytes(blake2b(client_id.encode(), digest_size=8).digest(), signed=True)
