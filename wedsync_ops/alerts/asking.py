"""An alert that wedding-week jobs take too much of the capacity asks for slots; whoever decides on them reads that."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from wedsync_ops.alerts.model import Alert, Rule
from wedsync_ops.instants import MINUTE
from wedsync_ops.jobs.store import requests
from wedsync_ops.jobs.store.requests import EVERY, Kind, Request

SOURCE = "alert capacity"
"""Who asks."""
LASTS_US = 5 * MINUTE
"""How long a request holds that no evaluation renews, in microseconds."""
_METRIC = "wedding_week_load"
_PERCENT = 100


def ask(connection: Connection, watched: Sequence[Rule], open_alerts: Iterable[Alert], slots: int, now: int) -> None:
    """Ask for slots as long as such an alert is open, by the share of ``slots`` that it was opened for."""
    names = {rule.name for rule in watched if rule.metric == _METRIC}
    loads = [alert.value for alert in open_alerts if alert.rule in names and alert.is_open and alert.value is not None]
    if not loads:
        requests.withdraw(connection, SOURCE)
        return
    busy = max(loads) / _PERCENT * slots
    said = f"wedding-week jobs take {max(loads):.0f} % of {slots} slots"
    requests.ask(connection, Request(EVERY, SOURCE, Kind.BUSY, busy, said, None, now, now + LASTS_US))
