"""On SQLite planning, moving and readiness walk neither the jobs nor the steps: they cost the same with a million."""

from dataclasses import replace
from datetime import date

import pytest

from tests.planning.scene import couples, plan
from tests.stores.test_plans import plans
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.planning import actions, calling, preparing
from wedsync_ops.planning.settling import settle

_LARGE = ("jobs", "payloads", "plan_steps", "clients", "executions")


def test_every_statement_goes_through_an_index(queue: Queue) -> None:
    if not queue.database.is_sqlite:
        pytest.skip("the plans are SQLite's")
    couples(queue, {}, {"client_id": "c2", "wedding_on": date(2027, 1, 20)})
    readers = replace(queue.database, writer=queue.database.reader)
    with plans(queue.database) as written, plans(readers) as read:
        plan(queue)
        actions.move(queue, "c1", date(2027, 8, 21))
        assert list(preparing.readiness(queue, within_days=14))
        assert list(calling.sheet(queue, within_days=14)) == []
        settle(queue.database, queue.database.transaction)
    found = [*written, *read]
    walked = [one for one in found if one.startswith("SCAN") and one.split()[1] in _LARGE]
    assert [one for one in walked if "INDEX" not in one] == []
    assert any("payloads_by_client" in one for one in found)
    assert any("plan_steps_unsettled" in one for one in found)
