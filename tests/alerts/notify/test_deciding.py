"""Who is told of an event, over which channel, when."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.notify.telling import NOW, WEEK, an_alert, an_event, wedding
from wedsync_ops.alerts.model import Alert, AlertState, AlertType, EventKind, Severity
from wedsync_ops.alerts.notify import LONGEST_WAIT_US, decide, is_urgent, retry_us, routes_for
from wedsync_ops.alerts.notify_model import CALLS, Kind, Plan, Planned
from wedsync_ops.alerts.notify_reading import read
from wedsync_ops.instants import MINUTE, SECOND, parse_instant

CHANNELS = """\
schema_version: 1
channels:
  pager: {type: pagerduty, routing_key: {env: KEY}}
  team: {type: console}
  mail: {type: smtp, to: oncall@example.org, server: {env: SERVER}}
routes:
"""


def plan(routes: str, zone: str = "UTC") -> Plan:
    found = read((CHANNELS + routes).encode(), ZoneInfo(zone))
    assert found.problems == ()
    assert found.plan is not None
    return found.plan


PLAN = plan(
    "  - {name: critical, match: {severity: critical}, channels: [pager, team], repeat_min: 10,"
    " escalate: [{after_min: 5, channels: mail}, {after_min: 15, channels: [pager, mail]}]}\n"
    "  - {name: rest, channels: [team, pager]}\n"
)


def planned(alert: Alert, kind: EventKind = EventKind.OPENED, told: tuple[str, ...] = (), by: Plan = PLAN) -> Any:
    return decide(an_event(alert, kind), by, told, NOW).planned


@pytest.mark.parametrize(
    ("match", "changes", "matches"),
    [
        ("severity: warning", {}, True),
        ("severity: critical", {}, False),
        ("severity: [warning, critical]", {}, True),
        ("type: queue_length", {}, True),
        ("type: expired", {}, False),
        ("module: [sms, email]", {}, True),
        ("module: sms", {}, False),
        ("module: sms", {"module_type": None}, False),
        ("rule: mine", {"rule": "mine"}, True),
        ("rule: mine", {}, False),
        ("{severity: warning, type: queue_length, module: email}", {}, True),
        ("{severity: warning, type: queue_length, module: sms}", {}, False),
    ],
)
def test_a_route_matches_by_what_it_names(match: str, changes: dict[str, Any], matches: bool) -> None:
    match = match if match.startswith("{") else f"{{{match}}}"
    by = plan(f"  - {{name: first, match: {match}, channels: team}}\n  - {{name: last, channels: team}}\n")
    found = [route.name for route in routes_for(an_alert(**changes), NOW, by)]
    assert found == (["first"] if matches else ["last"])


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "matches"),
    [
        ("between: 08:00-18:00", "UTC", "2027-06-14T08:00:00Z", True),
        ("between: 08:00-18:00", "UTC", "2027-06-14T17:59:59Z", True),
        ("between: 08:00-18:00", "UTC", "2027-06-14T18:00:00Z", False),
        ("between: 08:00-18:00", "America/New_York", "2027-06-14T12:30:00Z", True),
        ("between: 08:00-18:00", "America/New_York", "2027-06-14T08:30:00Z", False),
        ("between: 22:00-06:00", "UTC", "2027-06-14T23:00:00Z", True),
        ("between: 22:00-06:00", "UTC", "2027-06-15T05:59:00Z", True),
        ("between: 22:00-06:00", "UTC", "2027-06-15T06:00:00Z", False),
        ("days: [mon]", "UTC", "2027-06-14T00:00:00Z", True),
        ("days: [mon]", "UTC", "2027-06-15T00:00:00Z", False),
        ("days: [mon]", "Asia/Tokyo", "2027-06-13T16:00:00Z", True),
        # The night that begins on Friday ends on Saturday morning.
        ("days: fri, between: 22:00-06:00", "UTC", "2027-06-19T05:00:00Z", True),
        ("days: sat, between: 22:00-06:00", "UTC", "2027-06-19T05:00:00Z", False),
        ("days: sat, between: 22:00-06:00", "UTC", "2027-06-19T23:00:00Z", True),
    ],
)
def test_hours_and_days_are_those_of_the_platforms_zone(hours: str, zone: str, moment: str, matches: bool) -> None:
    by = plan(f"  - {{name: first, match: {{{hours}}}, channels: team}}\n  - {{name: last, channels: team}}\n", zone)
    found = [route.name for route in routes_for(an_alert(), parse_instant(moment), by)]
    assert found == (["first"] if matches else ["last"])


def test_the_first_route_ends_it_unless_it_goes_on() -> None:
    by = plan(
        "  - {name: a, channels: team, continue: true}\n  - {name: b, match: {severity: critical}, channels: team}\n"
        "  - {name: c, match: {severity: warning}, channels: pager}\n  - {name: d, channels: team}\n"
    )
    assert [route.name for route in routes_for(an_alert(), NOW, by)] == ["a", "c"]


@pytest.mark.parametrize(
    ("alert", "urgent"),
    [
        (an_alert(WEEK), True),
        (an_alert(AlertType.CAPACITY), True),
        (an_alert(WEEK, severity=Severity.WARNING), False),
        (an_alert(AlertType.EXPIRED, severity=Severity.CRITICAL), False),
        (an_alert(AlertType.EXPIRED, severity=Severity.CRITICAL, weddings=(wedding("2027-06-21"),)), True),
        (an_alert(AlertType.EXPIRED, severity=Severity.CRITICAL, weddings=(wedding("2027-06-14"),)), True),
        (an_alert(AlertType.EXPIRED, severity=Severity.CRITICAL, weddings=(wedding("2027-06-22"),)), False),
        (an_alert(AlertType.EXPIRED, severity=Severity.CRITICAL, weddings=(wedding("2027-06-13"),)), False),
        (an_alert(AlertType.EXPIRED, severity=Severity.WARNING, weddings=(wedding("2027-06-15"),)), False),
    ],
)
def test_what_is_critical_in_the_wedding_week_is_urgent(alert: Alert, urgent: bool) -> None:
    assert is_urgent(alert, NOW, PLAN) is urgent
    at = {page.at for page in planned(replace(alert, severity=alert.severity)) if page.channel == "team"}
    assert at == {NOW if urgent else NOW + 30 * SECOND}


def test_an_urgent_alert_goes_out_at_once_and_escalates() -> None:
    assert planned(an_alert(WEEK)) == (
        Planned("pager", Kind.OPENED, NOW, "critical", 10 * MINUTE),
        Planned("team", Kind.OPENED, NOW, "critical", 10 * MINUTE),
        Planned("mail", Kind.ESCALATED, NOW + 5 * MINUTE, "critical", 10 * MINUTE),
        Planned("pager", Kind.ESCALATED, NOW + 15 * MINUTE, "critical", 10 * MINUTE),
    )


def test_others_wait_for_company_but_not_on_their_way_to_an_incident_tracker() -> None:
    assert planned(an_alert()) == (
        Planned("pager", Kind.OPENED, NOW, "rest"),
        Planned("team", Kind.OPENED, NOW + 30 * SECOND, "rest", None, "rest opened"),
    )


def test_a_window_of_nothing_waits_for_nobody() -> None:
    by = plan("  - {channels: team, group_window_s: 0}\n")
    assert planned(an_alert(), by=by) == (Planned("team", Kind.OPENED, NOW, "route-1"),)


def test_a_channel_of_two_routes_is_told_once_at_the_earlier_time() -> None:
    by = plan(
        "  - {name: a, channels: team, continue: true}\n  - {name: b, channels: [team, mail], group_window_s: 0}\n"
    )
    assert planned(an_alert(), by=by) == (
        Planned("team", Kind.OPENED, NOW, "b"),
        Planned("mail", Kind.OPENED, NOW, "b"),
    )


def test_nobody_is_a_choice() -> None:
    assert planned(an_alert(), by=plan("  - {channels: []}\n")) == ()


@pytest.mark.parametrize("kind", [EventKind.ACKNOWLEDGED, EventKind.RESOLVED])
def test_only_who_was_told_hears_of_the_end(kind: EventKind) -> None:
    assert planned(an_alert(WEEK), kind) == ()
    told = ("mail", "pager")
    found = [(page.channel, page.kind.value, page.at) for page in planned(an_alert(WEEK), kind, told)]
    heard = [("mail", "resolved", NOW), ("pager", "resolved", NOW)]
    assert found == (heard if kind is EventKind.RESOLVED else [("pager", "acknowledged", NOW)])


def test_a_channel_that_is_configured_no_more_is_not_told_of_the_end() -> None:
    assert planned(an_alert(WEEK), EventKind.RESOLVED, ("gone",)) == ()


def test_a_rule_s_own_repeat_reaches_who_was_told_where_the_route_sets_none() -> None:
    assert planned(an_alert(), EventKind.REPEATED, ("team",)) == (
        Planned("team", Kind.REPEATED, NOW + 30 * SECOND, "rest", None, "rest repeated"),
    )
    assert planned(an_alert(WEEK), EventKind.REPEATED, ("team", "pager")) == ()


def test_after_a_silence_it_is_told_as_what_it_is() -> None:
    assert {page.kind for page in planned(an_alert(), EventKind.UNSILENCED)} == {Kind.OPENED}
    assert {page.kind for page in planned(an_alert(), EventKind.UNSILENCED, ("team",))} == {Kind.REPEATED}


QUIET = (AlertState.ACKNOWLEDGED, AlertState.SILENCED, AlertState.RESOLVED, AlertState.PENDING)


@given(
    kind=st.sampled_from(EventKind),
    state=st.sampled_from(QUIET),
    type_=st.sampled_from(AlertType),
    severity=st.sampled_from(Severity),
    told=st.sets(st.sampled_from(["pager", "team", "mail"])),
)
def test_nobody_is_called_for_what_is_acknowledged_silenced_or_over(
    kind: EventKind, state: AlertState, type_: AlertType, severity: Severity, told: set[str]
) -> None:
    alert = an_alert(type_, severity=severity, state=state)
    assert [page for page in decide(an_event(alert, kind), PLAN, told, NOW).planned if page.kind in CALLS] == []


@given(
    kind=st.sampled_from(EventKind),
    state=st.sampled_from(AlertState),
    type_=st.sampled_from(AlertType),
    told=st.sets(st.sampled_from(["pager", "team", "mail"])),
)
def test_a_decision_names_each_page_once_and_never_the_past(
    kind: EventKind, state: AlertState, type_: AlertType, told: set[str]
) -> None:
    decision = decide(an_event(an_alert(type_, state=state), kind), PLAN, told, NOW)
    assert len({(page.channel, page.kind) for page in decision.planned}) == len(decision.planned)
    assert all(page.at >= NOW for page in decision.planned)
    if kind in (EventKind.ACKNOWLEDGED, EventKind.SILENCED, EventKind.RESOLVED):
        assert decision.calls_off


@given(attempts=st.integers(1, 10_000), rand=st.floats(0, 1, exclude_max=True), asked=st.none() | st.floats(0, 1e6))
def test_no_page_waits_for_more_than_a_minute(attempts: int, rand: float, asked: float | None) -> None:
    assert SECOND / 2 <= retry_us(attempts, rand, asked) <= LONGEST_WAIT_US


def test_a_receiver_s_wish_is_heard() -> None:
    assert retry_us(1, 0.0) == SECOND
    assert retry_us(1, 0.0, 20) == 20 * SECOND
