"""Puts histories into a database as the rollup would have left them."""

from collections.abc import Iterator, Sequence
from itertools import islice

from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, HOUR
from wedsync_ops.metrics.levels import Kept, Level
from wedsync_ops.metrics.model import Bucket, Kind, Series, Sums
from wedsync_ops.metrics.sketch import Sketch
from wedsync_ops.metrics.store import buckets
from wedsync_ops.metrics.store.buckets import Place
from wedsync_ops.scaling.history import History

LENGTH_US = 400_000
"""How long every execution took."""
_CHUNK = 10_000


def fill(database: Database, histories: Sequence[History], *, kept: Kept | None = None) -> None:
    """Write the buckets of days and hours; ``kept`` says from when on there are any."""
    with database.transaction() as connection:
        numbers = buckets.name(connection, [Series(Kind.ALL, one.module_type, "") for one in histories])
        buckets.keep(connection, kept or Kept(hour=histories[0].first_hour_day * DAY))
        for one in histories:
            rows = _rows(one, numbers[Series(Kind.ALL, one.module_type, "")])
            while some := dict(islice(rows, _CHUNK)):
                buckets.save(connection, some)


def _rows(history: History, number: int) -> Iterator[tuple[Place, Bucket]]:
    for place, many in enumerate(history.days):
        if many:
            yield (number, Level.DAY, (history.first_day + place) * DAY), _bucket(many)
    for place, many in enumerate(history.hours):
        if many:
            yield (number, Level.HOUR, history.first_hour_day * DAY + place * HOUR), _bucket(many)


def _bucket(many: int) -> Bucket:
    sketch = Sketch()
    sketch.add_counted([(LENGTH_US, many)], LENGTH_US * many)
    return Bucket(Sums(ok=many), sketch.encode(), b"")
