"""What people are told of an event, over which channels, when: routes, groups, escalations, repeats. Pure."""

from collections.abc import Collection, Iterable, Iterator
from datetime import date

from wedsync_ops.alerts.model import Alert, AlertEvent, AlertState, AlertType, EventKind, Severity
from wedsync_ops.alerts.notify_model import CALLS, Decision, Kind, Match, Plan, Planned, Route
from wedsync_ops.instants import MINUTE, SECOND, local_date, to_datetime
from wedsync_ops.jobs import events

WEEK_DAYS = 7
"""Days before a wedding in which what is critical is told at once."""
LONGEST_WAIT_US = MINUTE
"""A channel that fails is tried again after this at the latest, in microseconds: a page must not wait for long."""
GIVE_UP_US = 24 * 60 * MINUTE
"""How long a page is tried, in microseconds; nobody wants yesterday's."""
_MOST_DOUBLED = 7
_OF_THE_WEEK = (AlertType.WEDDING_WEEK_ERRORS, AlertType.CAPACITY)
_CALLS_OFF = frozenset(
    {EventKind.WORSENED, EventKind.ACKNOWLEDGED, EventKind.SILENCED, EventKind.UNSILENCED, EventKind.RESOLVED}
)
"""After these, what was planned before is not so any more."""
_CALLING = frozenset({EventKind.OPENED, EventKind.WORSENED, EventKind.UNSILENCED})
"""After these somebody is asked to act, unless the alert is acknowledged or silenced."""
_AT_WORK = (AlertState.FIRING, AlertState.NO_DATA)


def decide(event: AlertEvent, plan: Plan, told: Collection[str], now: int) -> Decision:
    """What follows from an event at the instant ``now``; ``told`` are the channels that were told of the alert."""
    alert, kind = event.alert, event.kind
    routes = list(routes_for(alert, now, plan))
    planned: tuple[Planned, ...] = ()
    if kind in _CALLING and alert.state in _AT_WORK:
        planned = _calls(alert, routes, plan, now, _words_for(kind, told))
    elif kind is EventKind.REPEATED and alert.state in _AT_WORK:
        planned = _repeats(alert, routes, plan, told, now)
    elif kind is EventKind.ACKNOWLEDGED or kind is EventKind.RESOLVED:
        planned = _ends(alert, routes, plan, told, now, Kind(kind.value))
    return Decision(calls_off=kind in _CALLS_OFF, planned=planned)


def _words_for(kind: EventKind, told: Collection[str]) -> Kind:
    if kind is EventKind.UNSILENCED:
        return Kind.REPEATED if told else Kind.OPENED
    return Kind(kind.value)


def routes_for(alert: Alert, at: int, plan: Plan) -> Iterator[Route]:
    """The routes that an alert takes at an instant: the first that matches, and on as long as they go on."""
    for route in plan.routes:
        if _matches(route.match, alert, at, plan):
            yield route
            if not route.goes_on:
                return


def is_urgent(alert: Alert, at: int, plan: Plan) -> bool:
    """Whether an alert is told at once, by itself: it is critical, and about the wedding week."""
    if alert.severity is not Severity.CRITICAL:
        return False
    if alert.type in _OF_THE_WEEK:
        return True
    today = local_date(at, plan.zone)
    return any(0 <= (date.fromisoformat(one.wedding_on) - today).days <= WEEK_DAYS for one in alert.weddings)


def retry_us(attempts: int, rand: float, asked_s: float | None = None) -> int:
    """How long a page waits after so many failed attempts, in microseconds; at least what its receiver asked for."""
    asked = 0 if asked_s is None else round(min(asked_s, LONGEST_WAIT_US / SECOND) * SECOND)
    return max(asked, min(events.wait_us(min(attempts, _MOST_DOUBLED), None, rand), LONGEST_WAIT_US))


def _matches(match: Match, alert: Alert, at: int, plan: Plan) -> bool:
    wanted = (
        (match.severities, alert.severity.value),
        (match.types, alert.type.value),
        (match.modules, alert.module_type),
        (match.rules, alert.rule),
    )
    if any(words is not None and word not in words for words, word in wanted):
        return False
    local = to_datetime(at, plan.zone)
    if match.between is None:
        return match.days is None or local.weekday() in match.days
    start, end = match.between
    clock = local.time()
    is_after = clock >= start
    is_within = is_after and clock < end if start < end else is_after or clock < end
    # The hours after midnight belong to the night that began the day before.
    day = local.weekday() if start < end or is_after else (local.weekday() - 1) % 7
    return is_within and (match.days is None or day in match.days)


def _calls(alert: Alert, routes: Iterable[Route], plan: Plan, now: int, kind: Kind) -> tuple[Planned, ...]:
    """Who is asked to act, and who is when nobody does."""
    planned: list[Planned] = []
    for route in routes:
        repeat_us = route.repeat_us or None
        for name in route.channels:
            at, group = _when(alert, route, name, plan, now, kind)
            planned.append(Planned(name, kind, at, route.name, repeat_us, group))
        for step in route.steps:
            planned += [
                Planned(name, Kind.ESCALATED, now + step.after_us, route.name, repeat_us) for name in step.channels
            ]
    return _once_each(planned, plan)


def _repeats(alert: Alert, routes: Iterable[Route], plan: Plan, told: Collection[str], now: int) -> tuple[Planned, ...]:
    planned: list[Planned] = []
    for route in routes:
        names = [*route.channels, *(name for step in route.steps for name in step.channels)]
        for name in names if route.repeat_us is None else ():
            if name in told:
                at, group = _when(alert, route, name, plan, now, Kind.REPEATED)
                planned.append(Planned(name, Kind.REPEATED, at, route.name, None, group))
    return _once_each(planned, plan)


def _ends(
    alert: Alert, routes: list[Route], plan: Plan, told: Collection[str], now: int, kind: Kind
) -> tuple[Planned, ...]:
    """Whoever was told of the alert hears that it is over, or that somebody is at it; over whichever route."""
    planned: list[Planned] = []
    for name in sorted(told) if routes else ():
        route = next((route for route in routes if name in route.channels), routes[0])
        at, group = _when(alert, route, name, plan, now, kind) if kind is Kind.RESOLVED else (now, None)
        planned.append(Planned(name, kind, at, route.name, None, group))
    return _once_each(planned, plan)


def _when(alert: Alert, route: Route, name: str, plan: Plan, now: int, kind: Kind) -> tuple[int, str | None]:
    """When a page goes over a channel, and with which others. Whoever takes each by itself gets it at once."""
    channel = plan.channel(name)
    is_alone = channel is not None and not channel.is_grouping
    if is_alone or not route.group_window_us or is_urgent(alert, now, plan):
        return now, None
    return now + route.group_window_us, group_of(route.name, kind)


def group_of(route: str, kind: Kind) -> str:
    """What pages of a route and a kind that may go together have in common."""
    return f"{route} {kind}"


def _once_each(planned: Iterable[Planned], plan: Plan) -> tuple[Planned, ...]:
    """The first page of each kind over each channel, where the channel is told of such."""
    first: dict[tuple[str, Kind], Planned] = {}
    for page in sorted(planned, key=lambda page: page.at):
        channel = plan.channel(page.channel)
        wanted = Kind.OPENED if page.kind in CALLS else page.kind
        if channel is not None and wanted in channel.events:
            first.setdefault((page.channel, page.kind), page)
    return tuple(first.values())
