"""Executions, added up while time goes on: the minutes and hours that are over are written down, once each."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from wedsync_ops.alerts.anomaly import WEEKS, same_hours
from wedsync_ops.alerts.definitions import LONGEST_WINDOW_US
from wedsync_ops.alerts.facts import NOTHING, Sums, Usual, by_span, windows_of
from wedsync_ops.alerts.recent import Recent
from wedsync_ops.alerts.store import points
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, HOUR, MINUTE
from wedsync_ops.metrics.store import present as metrics

SETTLED_US = MINUTE
"""A minute is written down this long after its end: by then whatever finished in it can be seen."""
_HOURS_A_TIME = 24
_KEPT_MINUTES_US = DAY
_KEPT_HOURS_US = (WEEKS + 1) * 7 * DAY
_MINUTES, _HOURS = "minutes", "hours"
_MINUTES_AN_HOUR = 60
_US_PER_MS = 1000


class Watching:
    """Writes points down, and reads windows from them and from the executions that no point has yet."""

    def __init__(self, database: Database, writing: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._database = database
        self._writing = writing
        self._recent = Recent()

    def catch_up(self, now: int) -> None:
        """Write down the minutes and hours that are over by now, hour by hour. Raises TermOver, DatabaseError."""
        settled = (now - SETTLED_US) // MINUTE * MINUTE
        while self._advance(_MINUTES, MINUTE, settled, settled - LONGEST_WINDOW_US, HOUR):
            pass
        hour = settled // HOUR * HOUR
        if self._advance(_HOURS, HOUR, hour, hour - WEEKS * 7 * DAY, _HOURS_A_TIME * HOUR):
            with self._writing() as connection:
                points.drop(connection, MINUTE, now - _KEPT_MINUTES_US)
                points.drop(connection, HOUR, now - _KEPT_HOURS_US)

    def _advance(self, name: str, span_us: int, until: int, earliest: int, most_us: int) -> bool:
        """Write the next points; whether there were any to write. Time that is too long ago is left out.

        A mark that lies ahead is from before the clock was set back: what comes after it has to be counted again.
        """
        with self._database.reading() as connection:
            mark = points.mark(connection, name) or 0
            since = min(max(mark, earliest), until)
            to = min(until, since + most_us)
            if to == mark:
                return False
            types = metrics.executed_types(connection)
            if span_us == MINUTE:
                found = by_span(self._recent.read(connection, types, since, to), span_us)
            else:
                found = points.executed(connection, types, span_us, since, to)
        with self._writing() as connection:
            points.write(connection, span_us, [point for point in found if point.sums.ran])
            points.set_mark(connection, name, to)
        return True

    def windows(self, connection: Connection, now: int, lengths: Collection[int]) -> Mapping[int, Mapping[str, Sums]]:
        """The executions of every window that ends at ``now``, by its length and by module type."""
        mark = points.mark(connection, _MINUTES) or now
        types = metrics.executed_types(connection)
        latest = self._recent.read(connection, types, mark, now)
        self._recent.remember(types, latest, mark, now)
        tail = windows_of(latest, now, lengths)
        found: dict[int, Mapping[str, Sums]] = {}
        for length in lengths:
            before = points.added(connection, now - length, mark)
            found[length] = {
                name: before.get(name, NOTHING).plus(tail[length].get(name, NOTHING))
                for name in {*before, *tail[length]}
            }
        return found


def usual(connection: Connection, now: int, zone: ZoneInfo) -> Mapping[str, Usual]:
    """What this hour of this weekday usually is for each module type, by the weeks before."""
    weeks: dict[str, list[Sums]] = {}
    for point in points.hours(connection, same_hours(now, zone)):
        weeks.setdefault(point.module_type, []).append(point.sums)
    return {name: _usual(several) for name, several in weeks.items()}


def _usual(weeks: list[Sums]) -> Usual:
    ran = [one for one in weeks if one.ran]
    return Usual(
        volume=tuple(one.ran / _MINUTES_AN_HOUR for one in ran),
        error_rate=tuple(100 * one.failed / one.ran for one in ran),
        execution_ms=tuple(one.total_us / one.ran / _US_PER_MS for one in ran),
    )
