"""What couples are promised and nobody has planned yet, by the hour: what a forecast adds to the jobs that wait."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

from wedsync_ops.db import Database
from wedsync_ops.instants import HOUR, local_date
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.metrics.model import Range
from wedsync_ops.planning import frame
from wedsync_ops.planning.couples import couple_of
from wedsync_ops.planning.frame import Frame
from wedsync_ops.planning.journeys import step_time
from wedsync_ops.planning.reconcile import Versioned
from wedsync_ops.planning.store import unplanned as store
from wedsync_ops.planning.store.unplanned import Place
from wedsync_ops.weddings import store as clients
from wedsync_ops.weddings.model import Client

MOST_COUPLES = 20_000
"""The most couples that are looked at, those who marry first: planning them is what would help."""
_PAGE = 200
_ZONES = timedelta(days=1)
_LONGEST_ENGAGEMENT = timedelta(days=3 * 366)


def unplanned(database: Database, rules: Rules, over: Range, between: Callable[[], object]) -> Counter[tuple[int, str]]:
    """How many steps of couples without a plan fall into each hour of a range, by hour and module type.

    ``between`` is called after each page of couples. Raises DatabaseError, and for journeys' holidays ExtraMissing and
    InvalidInput.
    """
    with database.reading() as connection:
        journeys = frame.load(connection, rules)
    current = journeys.current()
    found: Counter[tuple[int, str]] = Counter()
    if not current:
        return found
    first, last = _weddings(current, journeys, rules, over)
    for page in _pages(database, first, last, between):
        for client in page:
            found.update(_steps(client, journeys.applying(client, current), rules, over))
    return found


def _weddings(current: Sequence[Versioned], journeys: Frame, rules: Rules, over: Range) -> tuple[date, date]:
    """The first and the last day of the weddings of which steps may lie in a range."""
    zone = rules.calendar.zone
    steps = [step for one in current for step in one.journey.steps]
    before = max([0, *(-step.days for step in steps if step.anchor == "wedding")])
    ahead = timedelta(days=before) + timedelta(days=journeys.days_after())
    if any(step.anchor == "booking" for step in steps):
        ahead = max(ahead, _LONGEST_ENGAGEMENT)
    first = local_date(over.from_at, zone) - timedelta(days=journeys.days_after()) - _ZONES
    return first, local_date(over.to_at, zone) + ahead + _ZONES


def _pages(database: Database, first: date, last: date, between: Callable[[], object]) -> Iterator[list[Client]]:
    after: Place | None = None
    for _ in range(MOST_COUPLES // _PAGE):
        with database.reading() as connection:
            places = store.page(connection, first, last, after, _PAGE)
            known = clients.find_many(connection, [place.client_id for place in places])
        yield [one.client for one in known.values()]
        between()
        if len(places) < _PAGE:
            return
        after = places[-1]


def _steps(client: Client, mine: Sequence[Versioned], rules: Rules, over: Range) -> Iterator[tuple[int, str]]:
    couple = couple_of(client, rules.calendar.zone)
    for version in mine:
        for step in version.journey.steps:
            time = step_time(step, couple, version.is_holiday)
            if time is not None and over.from_at <= time.at < over.to_at:
                yield time.at // HOUR * HOUR, step.module
