"""Evaluation against a real database: what opens, what resolves, once; restarts, two at once, acknowledgements."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.alerts.conftest import Watch
from tests.alerts.scene import one, own_rule, schedule, worker
from tests.metrics import rows
from tests.stores.rows import add
from wedsync_ops.alerts import actions
from wedsync_ops.alerts.alerter import TERM, TERM_S
from wedsync_ops.alerts.model import AlertState, AlertType, EventKind, Severity
from wedsync_ops.alerts.store import alerts, points
from wedsync_ops.alerts.watching import Watching
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.store import control

RATE = ("high_error_rate/email", "opened"), ("high_error_rate/email", "resolved")


class TestTenFailures:
    def test_they_raise_a_high_error_rate_within_one_evaluation(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        assert watch.evaluate().events == {EventKind.OPENED: 1}
        alert = one(watch, AlertType.HIGH_ERROR_RATE)
        assert (alert.module_type, alert.value, alert.threshold) == ("email", 100.0, 5.0)
        assert (alert.severity, alert.state) == (Severity.WARNING, AlertState.FIRING)
        assert alert.message.startswith("email: 10 of 10 executions of the last 5 minutes failed")

    def test_nine_do_not(self, watch: Watch) -> None:
        watch.run(*["error"] * 9)
        assert watch.evaluate().events == {}
        assert watch.alerts() == []

    def test_lost_and_cancelled_executions_are_none(self, watch: Watch) -> None:
        watch.run(*["error"] * 9, *["lost"] * 5, *["cancelled"] * 5)
        assert watch.evaluate().events == {}

    def test_it_stays_one_alert_and_resolves_once_by_itself(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        for _ in range(8):
            watch.evaluate(after="30s")
        watch.run(*["ok"] * 300)
        for _ in range(20):
            watch.evaluate(after="30s")
            watch.run("ok")
        assert tuple(watch.told()) == RATE
        assert watch.alerts() == []

    def test_while_nothing_runs_any_more_it_is_not_over(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        for _ in range(30):
            watch.evaluate(after="1m")
        assert watch.told() == [RATE[0], ("high_error_rate/email", "no_data")]
        assert one(watch, AlertType.HIGH_ERROR_RATE).state is AlertState.NO_DATA

    def test_an_acknowledged_one_is_not_told_again(self, watch: Watch) -> None:
        own_rule(watch, "{name: high_error_rate, repeat: 1m}")
        watch.run(*["error"] * 10)
        watch.evaluate()
        actions.acknowledge(watch.database, watch.clock, [one(watch, AlertType.HIGH_ERROR_RATE).id], by="ann")
        for _ in range(6):
            watch.run("error")
            watch.evaluate(after="30s")
        assert [kind for _, kind in watch.told()] == ["opened", "acknowledged"]
        assert one(watch, AlertType.HIGH_ERROR_RATE).acknowledged_by == "ann"

    def test_one_that_nobody_acknowledged_is(self, watch: Watch) -> None:
        own_rule(watch, "{name: high_error_rate, repeat: 1m}")
        watch.run(*["error"] * 10)
        for _ in range(5):
            watch.evaluate(after="30s")
            watch.run("error")
        assert [kind for _, kind in watch.told()] == ["opened", "repeated", "repeated"]


class TestRestart:
    def test_neither_loses_nor_repeats(self, watch: Watch) -> None:
        """Every evaluation is by a new process; one in the middle comes late, one comes twice at the same moment."""
        watch.run(*["error"] * 10)
        watch.evaluate()
        watch.evaluate()
        watch.run(*["error"] * 10)
        watch.evaluate(after="4m")
        watch.run(*["ok"] * 400)
        watch.evaluate(after="30s")
        watch.evaluate(after="3m")
        watch.evaluate(after="3m")
        watch.evaluate()
        assert tuple(watch.told()) == RATE

    def test_a_pending_alert_goes_on_where_it_was(self, watch: Watch) -> None:
        own_rule(watch, "{name: high_error_rate, for: 5m}")
        for _ in range(6):
            watch.run(*["error"] * 10)
            watch.evaluate(after="1m")
        assert [kind for _, kind in watch.told()] == ["opened"]
        assert one(watch, AlertType.HIGH_ERROR_RATE).since == watch.clock.now() - 5 * MINUTE

    def test_another_process_that_evaluates_is_left_alone(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        assert Leader(watch.database, watch.clock, TERM_S).lead(TERM, "another") is not None
        done = watch.evaluate()
        assert (done.skipped, watch.events()) == ("another process evaluates the alerts", [])
        assert watch.evaluate(after="46s").events == {EventKind.OPENED: 1}

    def test_whoever_lost_the_term_meanwhile_writes_nothing(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        slow = watch.alerter()
        rules = watch.queue.rules

        def overtaken() -> Any:
            watch.clock.advance("91s")
            assert Leader(watch.database, watch.clock, TERM_S).lead(TERM, "another") is not None
            return rules

        slow._load_rules = overtaken
        assert slow.evaluate().skipped is not None
        assert watch.events() == []


class TestConditions:
    def test_a_slow_execution(self, watch: Watch) -> None:
        watch.run("ok", duration_us=1_000_000)
        watch.evaluate()
        assert watch.alerts() == []
        watch.run("ok", duration_us=1_000_001)
        watch.evaluate()
        alert = one(watch, AlertType.HIGH_RESPONSE_TIME)
        assert (alert.module_type, alert.threshold) == ("email", 1000.0)

    def test_a_long_queue(self, watch: Watch) -> None:
        rows.lanes(watch.database, ("email", 1, 0, 700), ("info", 1, 0, 300))
        watch.evaluate()
        assert [a.type for a in watch.alerts() if a.is_open] == []
        rows.lanes(watch.database, ("review", 1, 0, 1))
        watch.evaluate()
        alert = one(watch, AlertType.QUEUE_LENGTH)
        assert (alert.value, alert.module_type, alert.severity) == (1001.0, None, Severity.WARNING)
        assert "email (700), info (300), review (1)" in alert.message

    def test_a_failure_in_a_wedding_week_is_critical(self, watch: Watch) -> None:
        watch.run(*["ok"] * 10, wedding_days=8)
        watch.run("error", wedding_days=8)
        watch.run(*["ok"] * 10, wedding_days=7)
        watch.evaluate()
        assert [a for a in watch.alerts() if a.type == AlertType.WEDDING_WEEK_ERRORS] == []
        watch.run("timeout", wedding_days=0)
        watch.evaluate()
        assert one(watch, AlertType.WEDDING_WEEK_ERRORS).severity is Severity.CRITICAL

    def test_wedding_weeks_that_take_the_slots(self, watch: Watch) -> None:
        worker(watch, slots=2)
        watch.run("ok", duration_us=480 * SECOND, wedding_days=3)
        watch.evaluate()
        assert [a for a in watch.alerts() if a.type == AlertType.CAPACITY] == []
        watch.run("ok", duration_us=1 * SECOND, wedding_days=3)
        watch.evaluate()
        assert one(watch, AlertType.CAPACITY).severity is Severity.CRITICAL

    def test_expired_and_quarantined_jobs(self, watch: Watch) -> None:
        at = watch.clock.now() - SECOND
        rows.jobs(watch.database, [{"state": "expired", "finished_at": at, "module_type": "email"}])
        with watch.database.transaction() as connection:
            add(connection, module_type="info")
            connection.execute(
                text(
                    "UPDATE jobs SET state = 'discarded', finished_at = :at, error = 'quarantined: it killed 3 times',"
                    " attempt = 1 WHERE module_type = 'info'"
                ),
                {"at": at},
            )
        watch.evaluate()
        assert one(watch, AlertType.EXPIRED).severity is Severity.CRITICAL
        assert one(watch, AlertType.JOB_QUARANTINED).module_type == "info"
        watch.evaluate(after="16m")
        watch.evaluate(after="3m")
        assert [kind for _, kind in watch.told()].count("resolved") == 2

    def test_jobs_that_are_due_while_no_worker_lives(self, watch: Watch) -> None:
        rows.lanes(watch.database, ("email", 1, 0, 3))
        watch.evaluate()
        watch.evaluate(after="4m")
        assert watch.events() == []
        watch.evaluate(after="1m")
        assert one(watch, AlertType.NO_WORKER).severity is Severity.CRITICAL
        worker(watch)
        watch.evaluate(after="1s")
        assert watch.told() == [("no_worker", "opened"), ("no_worker", "resolved")]

    def test_a_worker_that_died_until_another_takes_its_place(self, watch: Watch) -> None:
        worker(watch, died=True, stopped_at=watch.clock.now(), heartbeat_at=watch.clock.now() - MINUTE)
        watch.evaluate()
        watch.evaluate(after="1m")
        assert "died" in one(watch, AlertType.WORKER_SILENT).message
        worker(watch)
        watch.evaluate(after="1s")
        assert watch.told() == [("worker_silent", "opened"), ("worker_silent", "resolved")]

    def test_a_worker_that_stopped_in_good_order_is_no_matter(self, watch: Watch) -> None:
        worker(watch, stopped_at=watch.clock.now())
        watch.evaluate()
        watch.evaluate(after="2m")
        assert watch.alerts() == []

    def test_jobs_that_cannot_be_done_by_their_deadline_any_more(self, watch: Watch) -> None:
        with watch.database.transaction() as connection:
            fine = add(connection, deadline_at=watch.clock.now() + 3600 * SECOND, rank=1)
            late = add(connection, deadline_at=watch.clock.now() + SECOND // 2, rank=2)
        watch.evaluate()
        assert watch.events() == []
        watch.evaluate(after="1m")
        alert = one(watch, AlertType.PROMISE_BROKEN)
        assert (alert.module_type, alert.severity, alert.value) == ("email", Severity.CRITICAL, 1.0)
        assert alert.command == "wedsync-ops weddings calls"
        with watch.database.transaction() as connection:
            assert control.cancel(connection, [late], watch.clock.now()) == {late}
        watch.evaluate(after="1s")
        assert watch.told() == [("promise_broken/email", "opened"), ("promise_broken/email", "resolved")]
        assert fine

    def test_what_a_pause_holds_past_its_deadline_is_told_too(self, watch: Watch) -> None:
        with watch.database.transaction() as connection:
            add(connection, deadline_at=watch.clock.now() + 3600 * SECOND, rank=1)
            add(connection, deadline_at=watch.clock.now() + SECOND // 2, rank=2)
            connection.exec_driver_sql("UPDATE jobs SET held_by = 'pause:s1'")
        watch.evaluate()
        watch.evaluate(after="1m")
        assert one(watch, AlertType.PROMISE_BROKEN).value == 1.0

    def test_a_schedule_that_nobody_fires(self, watch: Watch) -> None:
        schedule(watch, next_due_at=watch.clock.now() - 61 * SECOND)
        watch.evaluate()
        alert = one(watch, AlertType.SCHEDULE_LATE)
        assert (alert.subject, alert.severity) == ("nightly", Severity.WARNING)
        watch.evaluate(after="5m")
        assert one(watch, AlertType.SCHEDULE_LATE).severity is Severity.CRITICAL
        with watch.database.transaction() as connection:
            connection.execute(text("DELETE FROM schedules"))
        watch.evaluate(after="1s")
        assert [kind for _, kind in watch.told()] == ["opened", "worsened", "resolved"]

    def test_less_than_its_target_while_jobs_wait(self, watch: Watch) -> None:
        own_rule(watch, "{name: low_throughput, below: 2, for: 15m}")
        rows.lanes(watch.database, ("email", 1, 0, 3))
        for _ in range(16):
            watch.run("ok")
            watch.evaluate(after="1m")
        assert one(watch, AlertType.LOW_THROUGHPUT).module_type == "email"
        with watch.database.transaction() as connection:
            connection.execute(text("UPDATE lane_counts SET available = 0"))
        watch.evaluate(after="1m")
        watch.evaluate(after="2m")
        assert [kind for key, kind in watch.told() if key == "low_throughput/email"] == ["opened", "resolved"]

    def test_errors_that_use_up_the_budget(self, watch: Watch) -> None:
        watch.run(*["ok"] * 90, *["error"] * 30)
        watch.evaluate()
        (burn,) = [a for a in watch.alerts() if a.rule == "fast_burn"]
        assert burn.value == pytest.approx(25.0)
        assert burn.severity is Severity.CRITICAL

    def test_a_few_failures_of_a_quiet_hour_do_not(self, watch: Watch) -> None:
        watch.run(*["error"] * 4, *["ok"] * 6)
        watch.evaluate()
        assert [a for a in watch.alerts() if a.type == AlertType.ERROR_BUDGET_BURN] == []

    def test_what_this_hour_of_this_weekday_is_not(self, watch: Watch) -> None:
        hour = watch.clock.now() // HOUR * HOUR
        for weeks in range(1, 5):
            at = hour - weeks * 7 * DAY + MINUTE
            rows.executions(watch.database, [{"finished_at": at, "started_at": at - 1, "module_type": "email"}] * 600)
        watch.clock.advance("20m")
        watch.run(*["ok"] * 150, seconds_ago=60)
        for _ in range(42):  # a day of hours is written down at a time
            watch.evaluate()
        assert watch.alerts() == []
        watch.run(*["ok"] * 450, seconds_ago=30)
        watch.evaluate(after="30s")
        watch.evaluate(after="5m")
        alert = one(watch, AlertType.ANOMALY)
        assert (alert.module_type, alert.subject) == ("email", "volume")
        assert "expected" in alert.message


class TestWeddings:
    def test_those_affected_are_named_the_soonest_first(self, watch: Watch) -> None:
        with watch.database.transaction() as connection:
            late = add(connection, wedding_on="2027-06-19", supplier_id="s9")
            soon = add(connection, wedding_on="2027-01-15")
            past = add(connection, wedding_on="2027-01-12")
        for job in (late, soon, past):
            watch.run(*["error"] * 4, job_id=job)
        watch.evaluate()
        named = one(watch, AlertType.HIGH_ERROR_RATE).weddings
        assert [(w.wedding_on, w.job_id, w.client_id) for w in named] == [
            ("2027-01-15", soon, "c1"),
            ("2027-06-19", late, "c1"),
        ]

    def test_the_event_keeps_them(self, watch: Watch) -> None:
        with watch.database.transaction() as connection:
            job = add(connection, wedding_on="2027-01-15")
        watch.run(*["error"] * 10, job_id=job)
        watch.evaluate()
        (event,) = watch.events()
        assert event.alert == one(watch, AlertType.HIGH_ERROR_RATE)
        assert [w.wedding_on for w in event.alert.weddings] == ["2027-01-15"]


class TestPoints:
    def test_every_execution_counts_once_whatever_was_written_down(self, watch: Watch) -> None:
        for minute in range(12):
            watch.run("ok", "error", module_type="free")
            watch.run("ok", module_type="free", seconds_ago=30)
            watch.evaluate(after="1m" if minute else None)
            now = watch.clock.now()
            with watch.database.reading() as connection:
                window = Watching(watch.database, watch.database.transaction).windows(connection, now, [5 * MINUTE])
                counted = connection.execute(
                    text("SELECT count(*) FROM executions WHERE finished_at >= :at"), {"at": now - 5 * MINUTE}
                ).scalar()
            assert window[5 * MINUTE]["free"].ran == counted
        with watch.database.reading() as connection:
            kept = points.kept(connection, MINUTE, 0, now)
            mark = points.mark(connection, "minutes")
        assert mark is not None
        assert sum(point.sums.ran for point in kept) == 3 * 12
        assert max(point.from_at for point in kept) < mark

    def test_events_appear_in_the_order_of_their_ids(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        watch.evaluate()
        with watch.database.reading() as connection:
            (event,) = alerts.read_events(connection, 0, 10)
            assert alerts.read_events(connection, event.id, 10) == []
            assert alerts.last_event(connection) == event.id


class TestTheClockIsSetBack:
    def test_what_fails_then_is_seen_at_once(self, watch: Watch) -> None:
        watch.run("ok")
        watch.evaluate()
        watch.clock.set(watch.clock.now() - HOUR)
        watch.run(*["error"] * 10)
        assert watch.evaluate().events == {EventKind.OPENED: 1}

    def test_an_alert_that_is_over_resolves_as_if_it_had_not_been(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        watch.evaluate()
        watch.clock.advance("6m")
        watch.run("ok")
        watch.evaluate()
        assert one(watch, AlertType.HIGH_ERROR_RATE).clear_since is not None
        watch.clock.set(watch.clock.now() - 5 * HOUR)
        watch.run("ok")
        watch.evaluate()
        watch.evaluate(after="2m1s")
        assert watch.told() == list(RATE)

    def test_an_evaluation_that_lies_ahead_is_no_news_of_now(self, watch: Watch) -> None:
        watch.evaluate()
        assert not actions.standing(watch.database, watch.clock).is_stale
        watch.clock.set(watch.clock.now() - HOUR)
        assert actions.standing(watch.database, watch.clock).is_stale
