"""Forecasts as they are stored: read by hour, replaced in chunks, forgotten when they are old or overtaken."""

import pytest

from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError
from wedsync_ops.instants import HOUR, parse_instant
from wedsync_ops.scaling.forecast_model import Expected, Method, Quality
from wedsync_ops.scaling.store import forecasts

NOON = parse_instant("2027-06-19T12:00:00Z")


def hours(count: int, *, of: float = 4.0, module_type: str = "email") -> list[Expected]:
    return [Expected(NOON + place * HOUR, module_type, of, of / 2, of * 2, 1) for place in range(count)]


def test_what_is_expected_is_read_by_hour(database: Database) -> None:
    both = [*hours(5), *hours(5, module_type="sms")]
    with database.transaction() as connection:
        forecasts.replace(connection, both, NOON)
    with database.reading() as connection:
        assert forecasts.expected(connection, NOON, NOON + 9 * HOUR) == sorted(both)
        found = forecasts.expected(connection, NOON + HOUR, NOON + 2 * HOUR)
    assert [(one.hour, one.module_type) for one in found] == [(NOON + HOUR, "email"), (NOON + HOUR, "sms")]
    assert found[0] == Expected(NOON + HOUR, "email", 4.0, 2.0, 8.0, 1)


def test_a_later_forecast_takes_the_place_of_an_earlier(database: Database) -> None:
    with database.transaction() as connection:
        forecasts.replace(connection, hours(3), NOON)
        forecasts.replace(connection, hours(2, of=8.0), NOON + 1)
        assert [one.expected for one in forecasts.expected(connection, NOON, NOON + 9 * HOUR)] == [8.0, 8.0, 4.0]
        assert forecasts.drop(connection, before=NOON, since=NOON, made_at=NOON + 1) == 1
        assert [one.expected for one in forecasts.expected(connection, NOON, NOON + 9 * HOUR)] == [8.0, 8.0]


def test_old_hours_are_dropped_chunk_by_chunk(database: Database) -> None:
    many = forecasts.CHUNK + 20
    with database.transaction() as connection:
        forecasts.replace(connection, hours(many + 5), NOON)
        dropped = [
            forecasts.drop(connection, before=NOON + many * HOUR, since=NOON + many * HOUR, made_at=NOON)
            for _ in range(3)
        ]
    assert dropped == [forecasts.CHUNK, 20, 0]
    with database.reading() as connection:
        assert len(forecasts.expected(connection, NOON, NOON + 2 * many * HOUR)) == 5


def test_how_module_types_are_foretold(database: Database) -> None:
    email = Quality("email", Method.RIDGE, 1095, 250_000, 0.21, 0.66, 0.81)
    sms = Quality("sms", Method.SEASON, 0, None, None, None, None)
    with database.transaction() as connection:
        assert forecasts.made_at(connection) is None
        forecasts.replace_quality(connection, [sms, email], NOON)
        assert forecasts.quality(connection) == [email, sms]
        forecasts.replace_quality(connection, [email], NOON + 1)
        assert forecasts.quality(connection) == [email]
        assert forecasts.made_at(connection) == NOON + 1


def test_nothing_is_written_of_nothing(database: Database) -> None:
    with database.transaction() as connection:
        forecasts.replace(connection, [], NOON)
        assert forecasts.expected(connection, 0, 2 * NOON) == []


def test_bounds_are_in_order(database: Database) -> None:
    with pytest.raises(DatabaseError), database.transaction() as connection:
        forecasts.replace(connection, [Expected(NOON, "email", 4.0, 5.0, 6.0, 0)], NOON)
