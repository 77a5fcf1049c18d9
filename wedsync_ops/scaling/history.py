"""What ran, day by day and hour by hour, as the models take it; and how hours lie in the platform's week. Pure.

Days are whole days of UTC and counted since the epoch; so are hours. A day or an hour without executions is a zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from wedsync_ops.instants import HOUR, to_datetime

HOURS_A_DAY = 24
SLOTS = 7 * HOURS_A_DAY
"""The hours of a week."""
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class History:
    """The executions of a module type: ``days`` from ``first_day`` on, ``hours`` from the start of ``first_hour_day``.

    Both end with the same whole day. Hours are kept for a shorter time than days.
    """

    module_type: str
    first_day: int
    days: Sequence[int]
    first_hour_day: int
    hours: Sequence[int]

    @property
    def end(self) -> int:
        """The first day that is not in it."""
        return self.first_day + len(self.days)

    def until(self, end: int) -> "History":
        """What was known at the start of a day."""
        days, hours = max(0, end - self.first_day), max(0, end - self.first_hour_day) * HOURS_A_DAY
        return History(self.module_type, self.first_day, self.days[:days], self.first_hour_day, self.hours[:hours])

    def hours_of(self, day: int) -> Sequence[int] | None:
        """The 24 hours of a day; ``None`` when they are not known."""
        place = (day - self.first_hour_day) * HOURS_A_DAY
        return self.hours[place : place + HOURS_A_DAY] if 0 <= place < len(self.hours) else None

    def day(self, day: int) -> int | None:
        """The executions of a day; ``None`` when they are not known."""
        place = day - self.first_day
        return self.days[place] if 0 <= place < len(self.days) else None


def history_of(
    module_type: str, days: Mapping[int, int], hours: Mapping[int, int], *, hours_from: int, end: int
) -> History | None:
    """The history before the day ``end`` from counts by day and by hour; ``None`` when nothing ever ran.

    It begins with the first day on which something ran. Hours are known from the day ``hours_from`` on.
    """
    first = min((day for day, many in days.items() if many), default=end)
    if first >= end:
        return None
    from_day = min(max(first, hours_from), end)
    return History(
        module_type,
        first,
        [days.get(day, 0) for day in range(first, end)],
        from_day,
        [hours.get(hour, 0) for hour in range(from_day * HOURS_A_DAY, end * HOURS_A_DAY)],
    )


def date_of(day: int) -> date:
    """The calendar date of a day."""
    return date.fromordinal(_EPOCH + day)


class Week:
    """Which hour of the week, by the clock of a zone, each hour is: 0 is Monday from midnight to one."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._known: dict[int, tuple[int, ...]] = {}

    def of(self, day: int) -> tuple[int, ...]:
        """The hours of the week that the 24 hours of a day are."""
        found = self._known.get(day)
        if found is None:
            found = self._known[day] = tuple(self._slots(day))
        return found

    def _slots(self, day: int) -> Iterator[int]:
        for hour in range(day * HOURS_A_DAY, (day + 1) * HOURS_A_DAY):
            local = to_datetime(hour * HOUR, self._zone)
            yield local.weekday() * HOURS_A_DAY + local.hour
