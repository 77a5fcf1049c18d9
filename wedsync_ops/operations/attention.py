"""What waits for somebody's attention, for ``health``: schedules that are late, and critical alerts that are open.

An open alert never makes the platform critical here: what is wrong behind it is checked on its own, and nothing should
be restarted because somebody has yet to acknowledge.
"""

from wedsync_ops.alerts.actions import standing
from wedsync_ops.alerts.model import AlertState, Severity
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.schedules import standings
from wedsync_ops.operations.maintenance import Site
from wedsync_ops.operations.verdict import Bounds, Figure, Reason, Status, Verdict

LATE_S = Bounds(60, 300)
"""Seconds that a schedule may be late."""
_GOES_ON = ("active", "late", "ahead")
_NAMED = 5
_UNSEEN = (AlertState.FIRING, AlertState.NO_DATA)


def check_schedules(site: Site) -> Verdict:
    """Whether recurring schedules fire in time."""
    found = standings(Queue(site.database, site.clock, site.rules))
    lags = sorted(((one.lag_us / SECOND, one.schedule.id) for one in found if one.state in _GOES_ON), reverse=True)
    reasons = [
        Reason(LATE_S.judge(lag_s), "schedule_late", f"{name} is {lag_s:,.0f} s late")
        for lag_s, name in lags[:_NAMED]
        if LATE_S.judge(lag_s) is not Status.OK
    ]
    most = Figure("late", lags[0][0] if lags else 0.0, "s", LATE_S)
    return Verdict("schedule", f"{len(found)} schedules, none of them late", reasons, (most,))


def check_open_alerts(site: Site) -> Verdict:
    """Whether a critical alert is open that nobody has acknowledged or silenced; that is a warning."""
    open_ = standing(site.database, site.clock).alerts
    unseen = [one for one in open_ if one.severity is Severity.CRITICAL and one.state in _UNSEEN]
    reasons = [
        Reason(Status.WARNING, "alert_open", f"alert {one.id}, {one.type}: {one.message}") for one in unseen[:_NAMED]
    ]
    figures = (Figure("critical", len(unseen)), Figure("open", len(open_)))
    return Verdict("alerts", f"{len(open_)} alerts are open, none of them critical and unseen", reasons, figures)
