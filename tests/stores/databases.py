"""Databases that a module's tests share: migrated once, emptied for each test (ids go on, as they must)."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from wedsync_ops import db, migrate
from wedsync_ops.settings import Settings

TABLES = (
    "forecast_methods",
    "forecasts",
    "rollups",
    "rollup_series",
    "rollup_state",
    "alert_cursors",
    "alert_deliveries",
    "alert_events",
    "alert_marks",
    "alert_points",
    "alert_rules",
    "alert_silences",
    "alerts",
    "execution_details",
    "executions",
    "payloads",
    "jobs",
    "lane_counts",
    "supplier_tags",
    "durations",
    "pauses",
    "drains",
    "scale_decisions",
    "scale_states",
    "slot_requests",
    "workers",
    "host_samples",
    "modules",
    "module_versions",
    "secrets",
    "suppressions",
    "referral_codes",
    "customisations",
    "plan_steps",
    "plans",
    "wedding_moves",
    "calls_made",
    "journeys",
    "clients",
    "events",
    "webhook_cursors",
    "form_answers",
    "limit_gauges",
    "stops",
    "schedule_fires",
    "schedules",
    "terms",
    "move_progress",
    "moves",
)


def opened(dialect: str, request: pytest.FixtureRequest, home: Path, name: str) -> Iterator[db.Database]:
    """A migrated database, closed and dropped afterwards."""
    options: dict[str, Any] = {"home": home}
    if dialect == "sqlite":
        yield from _migrated(Settings(**options))
        return
    server: str = request.getfixturevalue("postgres_server")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    base, _, query = server.partition("?")
    options["db"] = base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    yield from _migrated(Settings(**options))
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def _migrated(settings: Settings) -> Iterator[db.Database]:
    database = db.connect(settings)
    migrate.ensure(database)
    yield database
    database.close()


def emptied(database: db.Database, keep: Collection[str] = ()) -> db.Database:
    """The database without a row, but for the tables to keep."""
    with database.transaction() as connection:
        for table in TABLES:
            if table not in keep:
                connection.execute(text(f"DELETE FROM {table}"))
    return database
