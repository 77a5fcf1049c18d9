"""On SQLite evaluation walks neither the jobs nor the executions: it costs the same with a million of them waiting."""

import pytest

from tests.alerts.conftest import Watch
from tests.stores import rows
from tests.stores.test_plans import plans
from wedsync_ops.alerts.store import facts, points
from wedsync_ops.instants import MINUTE, local_date

_FEW = ("SCAN bad", "SCAN ahead", "SCAN lane_counts USING INDEX sqlite_autoindex_lane_counts_1")


def test_every_statement_goes_through_an_index(watch: Watch) -> None:
    if not watch.database.is_sqlite:
        pytest.skip("the plans are SQLite's")
    now = watch.clock.now()
    with watch.database.transaction() as connection:
        rows.add(connection, deadline_at=now)
        held = rows.add(connection, deadline_at=now)
        connection.exec_driver_sql(f"UPDATE jobs SET held_by = 'pause:s1' WHERE id = {held}")
    with watch.database.transaction() as connection, plans(watch.database) as found:
        facts.ended(connection, now - MINUTE, now)
        facts.weddings(connection, "email", now - MINUTE, local_date(now, watch.queue.rules.calendar.zone))
        facts.late(connection, now)
        assert facts.broken(connection, now, {"email": MINUTE}) == {"email": 2}
        points.executed(connection, ["email"], MINUTE, now - MINUTE, now)
        points.added(connection, now - MINUTE, now)
        points.hours(connection, [now])
        points.kept(connection, MINUTE, now - MINUTE, now)
    walked = [plan for plan in found if plan.startswith("SCAN") and plan not in _FEW]
    assert [plan for plan in walked if "VIRTUAL TABLE" not in plan] == []
    assert len([plan for plan in found if "jobs_to_claim" in plan]) == 4
    assert any("jobs_dead" in plan for plan in found)
    assert any("jobs_held" in plan for plan in found)
