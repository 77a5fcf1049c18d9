"""What people do with alerts, on both databases: acknowledge, silence, look; and what is forgotten."""

import pytest

from tests.alerts.conftest import Watch
from tests.alerts.scene import one, schedule
from wedsync_ops.alerts import actions
from wedsync_ops.alerts.actions import Hush
from wedsync_ops.alerts.model import Alert, AlertState, AlertType
from wedsync_ops.errors import InvalidInput, Refused, UnknownAlert, WrongState
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.operations import maintenance
from wedsync_ops.operations.maintenance import Site


class TestActions:
    @pytest.fixture
    def alert(self, watch: Watch) -> Alert:
        watch.run(*["error"] * 10)
        watch.evaluate()
        return one(watch, AlertType.HIGH_ERROR_RATE)

    def test_acknowledging_twice_is_told_once(self, watch: Watch, alert: Alert) -> None:
        actions.acknowledge(watch.database, watch.clock, [alert.id], note="on it", by="ann")
        (again,) = actions.acknowledge(watch.database, watch.clock, [alert.id, alert.id], by="bob")
        assert (again.acknowledged_by, again.note, again.state) == ("ann", "on it", AlertState.ACKNOWLEDGED)
        assert [kind for _, kind in watch.told()] == ["opened", "acknowledged"]

    def test_all_or_none_are_acknowledged(self, watch: Watch, alert: Alert) -> None:
        with pytest.raises(UnknownAlert, match="no alert 99"):
            actions.acknowledge(watch.database, watch.clock, [alert.id, 99])
        assert one(watch, AlertType.HIGH_ERROR_RATE).acknowledged_at is None

    def test_what_is_over_cannot_be_acknowledged(self, watch: Watch, alert: Alert) -> None:
        watch.run(*["ok"] * 400)
        watch.evaluate(after="30s")
        watch.evaluate(after="3m")
        with pytest.raises(WrongState, match="resolved"):
            actions.acknowledge(watch.database, watch.clock, [alert.id])

    def test_somebody_can_say_that_it_is_over_and_what_still_holds_opens_anew(self, watch: Watch, alert: Alert) -> None:
        (over,) = actions.resolve(watch.database, watch.clock, [alert.id], note="mended", by="ann")
        assert (over.state, over.resolved_at) == (AlertState.RESOLVED, watch.clock.now())
        assert watch.alerts() == []
        with pytest.raises(WrongState, match="resolved"):
            actions.resolve(watch.database, watch.clock, [alert.id])
        watch.evaluate(after="1s")
        assert [kind for _, kind in watch.told()] == ["opened", "resolved", "opened"]
        assert [event.actor for event in watch.events()] == [None, "ann", None]

    def test_a_silence_hushes_at_once_and_its_end_is_told(self, watch: Watch, alert: Alert) -> None:
        until = watch.clock.now() + HOUR
        made, hushed = actions.silence(
            watch.database, watch.clock, Hush(module_type="email"), until=until, reason="deploy", by="ann"
        )
        assert [one.state for one in hushed] == [AlertState.SILENCED]
        assert actions.silences_in_force(watch.database, watch.clock) == [made]
        loud = actions.unsilence(watch.database, watch.clock, [made.id], by="bob")
        assert [one.state for one in loud] == [AlertState.FIRING]
        assert [kind for _, kind in watch.told()] == ["opened", "silenced", "unsilenced"]
        assert [event.actor for event in watch.events()] == [None, "ann", "bob"]
        with pytest.raises(Refused):
            actions.unsilence(watch.database, watch.clock, [made.id])

    def test_a_silence_that_runs_out_is_told_by_the_evaluation(self, watch: Watch, alert: Alert) -> None:
        until = watch.clock.now() + MINUTE
        actions.silence(watch.database, watch.clock, Hush(alert_id=alert.id), until=until, reason="x", by="ann")
        watch.evaluate(after="1m")
        assert [kind for _, kind in watch.told()] == ["opened", "silenced", "unsilenced"]

    def test_an_acknowledged_alert_under_a_silence_is_acknowledged_after_it(self, watch: Watch, alert: Alert) -> None:
        until = watch.clock.now() + MINUTE
        actions.silence(watch.database, watch.clock, Hush(alert_id=alert.id), until=until, reason="x", by="ann")
        (quiet,) = actions.acknowledge(watch.database, watch.clock, [alert.id], by="ann")
        assert quiet.state is AlertState.SILENCED
        watch.evaluate(after="1m")
        assert one(watch, AlertType.HIGH_ERROR_RATE).state is AlertState.ACKNOWLEDGED

    @pytest.mark.parametrize("length", [-1, 0, 31 * DAY])
    def test_a_silence_ends_in_the_future_and_within_reason(self, watch: Watch, alert: Alert, length: int) -> None:
        until = watch.clock.now() + length
        with pytest.raises(InvalidInput):
            actions.silence(watch.database, watch.clock, Hush(alert_id=alert.id), until=until, reason="x")

    def test_the_list_is_by_severity_and_age(self, watch: Watch, alert: Alert) -> None:
        watch.run("error", wedding_days=3, module_type="info", seconds_ago=0.5)
        watch.evaluate(after="10s")
        found = actions.list_alerts(watch.database)
        assert [(one.type, one.severity) for one in found] == [
            (AlertType.WEDDING_WEEK_ERRORS, "critical"),
            (AlertType.HIGH_ERROR_RATE, "warning"),
        ]

    def test_resolved_ones_are_listed_when_they_are_asked_for(self, watch: Watch, alert: Alert) -> None:
        watch.run(*["ok"] * 400)
        watch.evaluate(after="30s")
        watch.evaluate(after="3m")
        assert actions.list_alerts(watch.database) == ()
        assert [one.id for one in actions.list_alerts(watch.database, every=True)] == [alert.id]
        assert [one.id for one in actions.list_alerts(watch.database, states=[AlertState.RESOLVED])] == [alert.id]

    def test_without_evaluation_nobody_knows(self, watch: Watch) -> None:
        assert actions.standing(watch.database, watch.clock).is_stale
        watch.evaluate()
        assert not actions.standing(watch.database, watch.clock).is_stale
        watch.clock.advance("4m")
        assert actions.standing(watch.database, watch.clock).is_stale


def test_what_was_resolved_long_ago_is_forgotten_and_what_is_open_is_not(watch: Watch) -> None:
    watch.run(*["error"] * 10)
    watch.evaluate()
    watch.run(*["ok"] * 400)
    watch.evaluate(after="30s")
    watch.evaluate(after="3m")
    schedule(watch, next_due_at=watch.clock.now() - 61 * SECOND)
    watch.evaluate(after="1s")
    watch.clock.advance("91d")
    maintenance.run(Site(watch.database, watch.clock, watch.queue.rules), ["retention"])
    assert [alert.type for alert in actions.list_alerts(watch.database, every=True)] == [AlertType.SCHEDULE_LATE]
    assert watch.events() == []
