"""The priority rules for every combination, against an oracle written from the specification's words."""

from datetime import timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.weddings.calendars import ZONES, calendar, local, wedding
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, to_datetime
from wedsync_ops.jobs.model import Decision, Priority
from wedsync_ops.jobs.priority import boost_for, decide
from wedsync_ops.modules.model import VendorRule, WeddingRules
from wedsync_ops.weddings.model import Wedding

AGE = 15 * MINUTE
LOW, NORMAL, HIGH, CRITICAL = Priority
WEEKDAY_OFF, WEEKDAY_PEAK = local("2026-01-14T12:00"), local("2026-06-10T12:00")
SATURDAY_OFF, SATURDAY_PEAK = local("2026-01-17T12:00"), local("2026-06-13T12:00")
MOMENTS = (WEEKDAY_OFF, WEEKDAY_PEAK, SATURDAY_OFF, SATURDAY_PEAK)
DAYS = (None, -400, -1, 0, 1, 2, 7, 8, 30, 31, 400)


def rules(*, week: bool = True, seasonal: bool = True) -> WeddingRules:
    return WeddingRules(wedding_week_priority=week, seasonal_scaling=seasonal)


def choose(
    requested: Priority = NORMAL,
    at: int = WEEKDAY_OFF,
    day: Wedding | None = None,
    *,
    rule: WeddingRules | None = None,
    boost: int = 0,
    waited_us: int = 0,
    zone: str = "UTC",
) -> Decision:
    return decide(
        requested,
        at,
        wedding=day,
        calendar=calendar(zone),
        rules=rule or rules(),
        boost=boost,
        waited_us=waited_us,
        ageing_us=AGE,
    )


def expected(
    requested: int, at: int, day: Wedding | None, platform: str, rule: WeddingRules, boost: int, waited_us: int
) -> tuple[int, bool]:
    """Number of the priority (0 low to 3 critical) and whether the weekend raised it, as the specification says."""
    here = to_datetime(at, ZoneInfo(platform))
    candidates = [requested]
    week = False
    if rule.wedding_week_priority and day is not None:
        left = day.on.toordinal() - to_datetime(at, day.zone).date().toordinal()
        week = left in range(8)
        candidates += [3] if left in (0, 1) else [2] if left in range(2, 8) else [1] if left in range(8, 31) else []
    if rule.seasonal_scaling and here.strftime("%B") in ("May", "June", "July", "August", "September"):
        candidates.append(min(requested + 1, 3))
    candidates.append(requested if requested >= 2 else min(requested + boost, 2))
    level = max(candidates)
    raised = week and here.strftime("%a") in ("Sat", "Sun") and level < 3
    level += raised
    if level < 2:
        level = min(2, level + waited_us // AGE)
    return level, raised


def test_every_combination_of_rules() -> None:
    ages = (0, AGE - 1, AGE, 2 * AGE, 9 * AGE)
    switches = [rules(week=week, seasonal=seasonal) for week, seasonal in product((True, False), repeat=2)]
    for requested, at, days, rule, boost, waited in product(Priority, MOMENTS, DAYS, switches, range(4), ages):
        day = None if days is None else Wedding(to_datetime(at).date() + timedelta(days=days), ZoneInfo("UTC"))
        made = choose(requested, at, day, rule=rule, boost=boost, waited_us=waited)
        assert (int(made.priority), made.weekend_raised) == expected(requested, at, day, "UTC", rule, boost, waited)
        assert made.priority >= requested


instants = st.integers(local("2024-01-01T00:00"), local("2030-01-01T00:00"))
requests = st.sampled_from(Priority)
switched = st.builds(rules, week=st.booleans(), seasonal=st.booleans())
zones = st.sampled_from(ZONES)
left_days = st.none() | st.integers(-3, 40)
waits = st.integers(0, 3 * HOUR)


@settings(max_examples=400)
@given(requests, instants, left_days, zones, zones, switched, st.integers(0, 3), waits)
@example(NORMAL, local("2026-03-29T01:30", "Europe/London"), 2, "Europe/London", "Europe/London", rules(), 0, 0)
@example(LOW, local("2026-10-25T01:30", "Europe/London", 1), 7, "UTC", "Europe/London", rules(), 1, AGE)
@example(LOW, local("2026-11-01T01:30", "America/New_York", 1), 1, "America/New_York", "Asia/Tokyo", rules(), 0, 0)
@example(HIGH, local("2026-04-05T01:45", "Australia/Lord_Howe", 1), 0, "Australia/Lord_Howe", "UTC", rules(), 3, 0)
def test_the_rules_hold_in_every_zone_at_every_time(
    requested: Priority,
    at: int,
    left: int | None,
    platform: str,
    place: str,
    rule: WeddingRules,
    boost: int,
    waited: int,
) -> None:
    here = ZoneInfo(place)
    day = None if left is None else Wedding(to_datetime(at, here).date() + timedelta(days=left), here)
    made = choose(requested, at, day, rule=rule, boost=boost, waited_us=waited, zone=platform)
    assert (int(made.priority), made.weekend_raised) == expected(requested, at, day, platform, rule, boost, waited)
    assert made.priority >= requested
    assert made.reasons[0] == f"asked for: {requested.word}"
    assert any(reason.endswith(made.priority.word) for reason in made.reasons)
    for lower in Priority:
        if lower < requested:
            below = choose(lower, at, day, rule=rule, boost=boost, waited_us=waited, zone=platform)
            assert below.priority <= made.priority
    without = choose(requested, at, None, rule=rule, boost=boost, waited_us=waited, zone=platform)
    assert without.priority <= made.priority


@settings(max_examples=200)
@given(requests, instants, left_days, zones, switched, st.integers(0, 3), waits)
def test_until_the_next_change_only_season_and_weekend_can_change_it(
    requested: Priority, at: int, left: int | None, place: str, rule: WeddingRules, boost: int, waited: int
) -> None:
    here = ZoneInfo(place)
    day = None if left is None else Wedding(to_datetime(at, here).date() + timedelta(days=left), here)

    def then(instant: int) -> Decision:
        return choose(requested, instant, day, rule=rule, boost=boost, waited_us=waited + instant - at, zone=place)

    made = then(at)
    if made.next_change_at is None:
        assert made.priority >= HIGH
        return
    assert made.next_change_at > at
    last = made.next_change_at - 1
    before, start, end = then(last), to_datetime(at, here).date(), to_datetime(last, here).date()
    if (start.weekday() >= 5, start.month) == (end.weekday() >= 5, end.month):
        assert before.priority == made.priority
    assert before.next_change_at in (made.next_change_at, None)


@pytest.mark.parametrize(
    ("days", "level"),
    [
        (0, CRITICAL),
        (1, CRITICAL),
        (2, HIGH),
        (7, HIGH),
        (8, NORMAL),
        (30, NORMAL),
        (31, LOW),
        (-1, LOW),
    ],
)
def test_nearness_on_an_off_season_weekday(days: int, level: Priority) -> None:
    day = Wedding(to_datetime(WEEKDAY_OFF).date() + timedelta(days=days), ZoneInfo("UTC"))
    assert choose(LOW, WEEKDAY_OFF, day).priority is level


def test_critical_stays_critical_a_month_before_the_wedding() -> None:
    assert choose(CRITICAL, WEEKDAY_OFF, wedding("2026-02-03")).priority is CRITICAL


def test_reasons_name_every_rule_that_contributes() -> None:
    made = choose(LOW, SATURDAY_PEAK, wedding("2026-06-18"), boost=2)
    assert made == Decision(
        CRITICAL,
        (
            "asked for: low",
            "wedding in 5 days (2026-06-18): high",
            "peak season: raised one step to normal",
            "vendor type's boost of 2 steps, up to high: high",
            "weekend in wedding week: raised one step to critical",
        ),
        weekend_raised=True,
        next_change_at=local("2026-06-17T00:00"),
    )


def test_a_rule_that_adds_nothing_gives_no_reason() -> None:
    assert choose(CRITICAL, SATURDAY_PEAK, wedding("2026-06-18"), boost=3).reasons == ("asked for: critical",)
    assert choose(HIGH, WEEKDAY_OFF, wedding("2026-02-03"), boost=3).reasons == ("asked for: high",)


@pytest.mark.parametrize(("on", "words"), [("2026-01-14", "wedding on the same day"), ("2026-01-15", "in 1 day (")])
def test_the_nearest_days_in_words(on: str, words: str) -> None:
    assert words in choose(LOW, WEEKDAY_OFF, wedding(on)).reasons[1]


def test_the_weekend_raises_only_what_is_not_yet_critical() -> None:
    made = choose(LOW, SATURDAY_OFF, wedding("2026-01-18"))
    assert made.priority is CRITICAL
    assert not made.weekend_raised


def test_the_weekend_is_the_platforms_and_the_days_are_the_weddings() -> None:
    friday_night = local("2026-01-16T20:00", "America/Los_Angeles")  # Saturday in UTC, 7 days before in California
    day = wedding("2026-01-23", "America/Los_Angeles")
    assert choose(LOW, friday_night, day, zone="UTC").priority is CRITICAL
    assert choose(LOW, friday_night, day, zone="America/Los_Angeles").priority is HIGH


@pytest.mark.parametrize(("waited", "level"), [(0, LOW), (AGE - 1, LOW), (AGE, NORMAL), (2 * AGE, HIGH), (DAY, HIGH)])
def test_waiting_raises_a_step_per_age_up_to_high(waited: int, level: Priority) -> None:
    assert choose(LOW, waited_us=waited).priority is level


def test_waiting_says_so_and_never_lowers() -> None:
    assert choose(LOW, waited_us=32 * MINUTE).reasons[-1] == "waited 32 minutes: raised 2 steps to high"
    assert choose(CRITICAL, waited_us=DAY).priority is CRITICAL
    assert choose(NORMAL, SATURDAY_OFF, wedding("2026-01-22"), waited_us=DAY).priority is CRITICAL


def test_the_next_change_is_the_nearer_of_the_next_age_and_the_next_boundary() -> None:
    waited = 20 * MINUTE
    assert choose(LOW, waited_us=waited).next_change_at == WEEKDAY_OFF + 10 * MINUTE
    late = local("2026-01-14T23:59")
    assert choose(LOW, late, wedding("2026-01-22")).next_change_at == local("2026-01-15T00:00")
    assert choose(HIGH, late, wedding("2026-03-01")).next_change_at == local("2026-01-30T00:00")
    assert choose(HIGH).next_change_at is None
    assert choose(HIGH, late, wedding("2026-01-22"), rule=rules(week=False)).next_change_at is None
    assert choose(CRITICAL, late, wedding("2026-01-22")).next_change_at is None


def test_the_boost_of_a_vendor_type_is_found_in_either_number() -> None:
    both = WeddingRules(
        vendor_type_optimization={
            "photographers": VendorRule(priority_boost=1),
            "venue": VendorRule(priority_boost=2),
            "DJ": VendorRule(priority_boost=3),
        }
    )
    found = [boost_for(both, name) for name in ("photographer", "Photographers", "venues", "venue", "dj", "florist")]
    assert found == [1, 1, 2, 2, 3, 0]
    assert boost_for(both, None) == 0
    assert boost_for(WeddingRules(), "venue") == 0


def test_an_age_is_counted_in_the_unit_that_is_given() -> None:
    made = decide(
        LOW,
        WEEKDAY_OFF,
        wedding=None,
        calendar=calendar(),
        rules=rules(),
        boost=0,
        waited_us=2 * SECOND,
        ageing_us=SECOND,
    )
    assert made.priority is HIGH
