"""Cron expressions are read as cron reads them, whatever APScheduler makes of the same text."""

from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from wedsync_ops.errors import InvalidInput
from wedsync_ops.instants import parse_instant, to_datetime
from wedsync_ops.jobs.cron import parse_cron
from wedsync_ops.jobs.recurrence import Timing, next_after, upcoming

UTC = ZoneInfo("UTC")
FRIDAY = parse_instant("2027-01-01T00:00:00Z")


def weekdays(field: str) -> set[str]:
    """The days on which an expression with this day of the week fires, over three weeks."""
    fires = islice(upcoming(Timing(cron=f"0 0 * * {field}", zone=UTC), FRIDAY), 60)
    return {f"{to_datetime(fire.at):%a}" for fire in fires}


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("sun", "Sun"),
        ("SUN", "Sun"),
        ("1", "Mon"),
        ("6", "Sat"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("mon-fri", "Mon Tue Wed Thu Fri"),
        ("5-7", "Fri Sat Sun"),
        ("fri-sun", "Fri Sat Sun"),
        ("0-1", "Sun Mon"),
        ("sun-mon", "Sun Mon"),
        ("0,6", "Sun Sat"),
        ("sat,7", "Sat Sun"),
        ("*/2", "Sun Tue Thu Sat"),
        ("1-5/2", "Mon Wed Fri"),
        ("3/2", "Wed Fri"),
        ("*", "Mon Tue Wed Thu Fri Sat Sun"),
        ("0-7", "Mon Tue Wed Thu Fri Sat Sun"),
    ],
)
def test_days_of_the_week_are_counted_from_sunday(field: str, days: str) -> None:
    assert weekdays(field) == set(days.split())


def test_either_day_will_do_when_both_are_given() -> None:
    fires = [
        f"{to_datetime(fire.at):%a %d}" for fire in islice(upcoming(Timing(cron="0 0 13 * 5", zone=UTC), FRIDAY), 4)
    ]
    assert fires == ["Fri 08", "Wed 13", "Fri 15", "Fri 22"]


def test_a_star_with_a_step_restricts_as_in_cron() -> None:
    fires = [
        f"{to_datetime(fire.at):%a %d}" for fire in islice(upcoming(Timing(cron="0 0 */10 * 1", zone=UTC), FRIDAY), 2)
    ]
    assert fires == ["Mon 11", "Mon 01"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 9 * * *", "2027-01-01T09:30"),
        ("*/20 * * * *", "2027-01-01T00:20"),
        ("5,50 8-10 * * *", "2027-01-01T08:05"),
        ("0 12 last * *", "2027-01-31T12:00"),
        ("0 0 1 jun *", "2027-06-01T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
    ],
)
def test_fields_mean_what_they_mean_in_cron(expression: str, expected: str) -> None:
    found = next_after(Timing(cron=expression, zone=UTC), FRIDAY)
    assert found is not None
    assert f"{to_datetime(found.at):%Y-%m-%dT%H:%M}" == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * 5-1",
        "* * * * fri-mon",
        "* * * * noday",
        "* * * * 1-",
        "* * * * */0",
        "*/0 * * * *",
        "x * * * *",
        "* last * * *",
        "* * mon * *",
        "* * L * *",
        "٣ * * * *",
        "* * * * 2nd",
        "30-10 * * * *",
    ],
)
def test_what_is_none_is_refused_in_one_line(expression: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        next_after(Timing(cron=expression, zone=UTC), FRIDAY)
    assert "\n" not in str(caught.value)


def test_a_day_that_there_is_not_never_fires() -> None:
    assert next_after(Timing(cron="0 0 31 2 *", zone=UTC), FRIDAY) is None


def test_an_open_hour_is_known() -> None:
    assert parse_cron("*/5 * * * *").is_every_hour
    assert not parse_cron("*/5 0-23 * * *").is_every_hour
