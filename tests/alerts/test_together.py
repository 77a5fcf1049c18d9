"""Evaluation beside others: two at once, maintenance, rules that cannot be read, a webhook, weddings of what waits."""

import logging
import threading
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.alerts.conftest import Watch
from tests.alerts.scene import one
from tests.stores.rows import add
from wedsync_ops.alerts.alerter import TERM, TERM_S, Evaluated
from wedsync_ops.alerts.model import AlertType, Severity
from wedsync_ops.alerts.store import silences
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.operations import maintenance
from wedsync_ops.operations.maintenance import Site


def test_many_that_evaluate_at_once_open_one_alert(watch: Watch) -> None:
    watch.run(*["error"] * 10)
    begin = threading.Barrier(4)
    found: list[Evaluated] = []

    def evaluate() -> None:
        alerter = watch.alerter()
        begin.wait(30)
        found.append(alerter.evaluate())

    threads = [threading.Thread(target=evaluate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert [one.skipped for one in found].count(None) == 1
    assert watch.told() == [("high_error_rate/email", "opened")]


def test_even_without_a_term_the_same_alert_is_not_opened_twice(watch: Watch) -> None:
    watch.run(*["error"] * 10)
    watch.evaluate()
    names = (
        "key, group_key, rule, type, severity, state, since, opened_at, updated_at, message, runbook, command, weddings"
    )
    twice = text(f"INSERT INTO alerts ({names}) SELECT {names} FROM alerts")
    with watch.database.writer.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(twice)


class TestMaintenance:
    def test_it_evaluates_and_says_what_came_of_it(self, watch: Watch) -> None:
        watch.run(*["error"] * 10)
        site = Site(watch.database, watch.clock, watch.queue.rules)
        (_, done) = maintenance.run(site, ["alerts"])
        assert (done.counts, done.skipped) == ({"rules": 16, "opened": 1, "resolved": 0}, None)
        (_, again) = maintenance.run(site, ["alerts"])
        assert again.counts == {"rules": 16, "opened": 0, "resolved": 0}

    def test_while_a_worker_evaluates_it_is_left_out(self, watch: Watch) -> None:
        assert Leader(watch.database, watch.clock, TERM_S).lead(TERM, "a worker") is not None
        (_, done) = maintenance.run(Site(watch.database, watch.clock, watch.queue.rules), ["alerts"])
        assert (done.counts, done.skipped) == ({}, "another process evaluates the alerts")


def test_a_stored_rule_that_cannot_be_read_is_reported_and_the_others_are_evaluated(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    with watch.database.transaction() as connection:
        silences.save_rule(connection, "odd", '{"name": "odd", "colour": "red"}', 0)
    watch.run(*["error"] * 10)
    with caplog.at_level(logging.ERROR):
        assert watch.evaluate().rules == 16
    assert "the alert rule odd is not evaluated" in caplog.text
    assert one(watch, AlertType.HIGH_ERROR_RATE).module_type == "email"


def test_a_webhook_that_fails_again_and_again(watch: Watch) -> None:
    settings = replace(watch.queue.rules.settings, webhook_url="https://hooks.example", webhook_secret="s" * 16)
    watch.queue = replace(watch.queue, rules=replace(watch.queue.rules, settings=settings))
    fail = (
        "INSERT INTO webhook_cursors (name, after_id, failures, next_at, error)"
        " VALUES ('webhook', 0, 4, 0, 'it answered 500')"
    )
    with watch.database.transaction() as connection:
        connection.execute(text(fail))
    watch.evaluate()
    assert watch.alerts() == []
    for failures, severity in ((5, Severity.WARNING), (21, Severity.CRITICAL)):
        with watch.database.transaction() as connection:
            connection.execute(text("UPDATE webhook_cursors SET failures = :n"), {"n": failures})
        watch.evaluate(after="30s")
        assert one(watch, AlertType.WEBHOOK_FAILING).severity is severity
    assert "it answered 500" in one(watch, AlertType.WEBHOOK_FAILING).message
    with watch.database.transaction() as connection:
        connection.execute(text("UPDATE webhook_cursors SET failures = 0"))
    watch.evaluate(after="30s")
    assert [kind for _, kind in watch.told()] == ["opened", "worsened", "resolved"]


def test_the_weddings_of_what_waits_are_named_too(watch: Watch) -> None:
    with watch.database.transaction() as connection:
        late = add(connection, wedding_on="2027-02-19", priority=1)
        soon = add(connection, wedding_on="2027-01-14", priority=3)
        connection.execute(text("UPDATE lane_counts SET available = 2000 WHERE priority = 1"))
    watch.evaluate()
    weddings = one(watch, AlertType.QUEUE_LENGTH).weddings
    assert [(w.wedding_on, w.job_id) for w in weddings] == [("2027-01-14", soon), ("2027-02-19", late)]
