"""Jobs queued and drained in this process, on the clock that the test sets."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.testing.handlers import WRITE, definition, flaky
from wedsync_ops.errors import (
    InputFileError,
    InvalidConfig,
    InvalidContext,
    InvalidDefinitions,
    InvalidInput,
    InvalidJson,
    InvalidTime,
    KeyConflict,
    SettingError,
    UnknownJob,
    UnknownModule,
    WrongState,
)
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.model import Request, Result, State
from wedsync_ops.testing import draining
from wedsync_ops.testing.clock import FakeClock
from wedsync_ops.testing.draining import EndlessDrain
from wedsync_ops.testing.harness import Harness

NOON = datetime(2027, 1, 13, 12, tzinfo=UTC)


class TestQueueing:
    def test_answers_the_job_as_the_database_has_it(self, harness: Harness) -> None:
        job = harness.enqueue("write", {"n": 1}, {"wedding_date": "2027-01-14"}, key="k")
        assert (job.state, job.priority, job.due_at, job.key) == (State.AVAILABLE, "critical", NOON, "k")
        assert job.context["supplier_id"] == job.supplier_id == "supplier-1"

    def test_is_refused_as_in_production(self, harness: Harness) -> None:
        with pytest.raises(InvalidConfig):
            harness.enqueue("write", {"n": "one"})
        with pytest.raises(InvalidContext):
            harness.enqueue("write", {}, {"client_id": ""})
        with pytest.raises(UnknownModule):
            harness.enqueue("wright")
        with pytest.raises(InvalidInput):
            harness.enqueue("write", priority="urgent")
        with pytest.raises(InvalidTime):
            harness.enqueue("write", at="soon")
        with pytest.raises(InvalidJson):
            harness.enqueue("write", {"n": {1, 2}})
        with pytest.raises(TypeError, match="no option 'prio'"):
            harness.enqueue("write", prio="high")

    def test_a_key_names_one_job(self, harness: Harness) -> None:
        first = harness.enqueue("write", {"n": 1}, key="k")
        assert harness.enqueue("write", {"n": 1}, key="k").job_id == first.job_id
        with pytest.raises(KeyConflict):
            harness.enqueue("write", {"n": 2}, key="k")

    def test_replaces_what_waits(self, harness: Harness) -> None:
        first = harness.enqueue("write", {"n": 1}, key="k", delay="3d")
        again = harness.enqueue("write", {"n": 2}, key="k", replace=True)
        assert (again.job_id, again.config) == (first.job_id, {"n": 2})
        harness.drain()
        with pytest.raises(WrongState, match="is completed, and so cannot be replaced"):
            harness.enqueue("write", {"n": 3}, key="k", replace=True)

    def test_takes_due_times_in_every_form(self, harness: Harness) -> None:
        moment = NOON + timedelta(days=3)
        jobs = [
            harness.enqueue("write", at="2027-01-16T12:00:00Z"),
            harness.enqueue("write", at=moment),
            harness.enqueue("write", delay="3d"),
            harness.enqueue("write", delay=timedelta(days=3)),
            harness.enqueue("write", delay=3 * 24 * 60),
        ]
        assert {job.due_at for job in jobs} == {moment}

    def test_of_a_service_that_uses_the_queue_itself(self, harness: Harness) -> None:
        context = {"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"}
        actions.enqueue(harness.queue, Request("write", {"n": 4}, context))
        harness.assert_queued("write", config={"n": 4}, supplier_id="s")


class TestDraining:
    def test_what_is_not_due_waits(self, harness: Harness) -> None:
        harness.enqueue("write", {"n": 1}, delay="3d")
        assert len(harness.drain()) == 0
        assert len(harness.drain(until="2d")) == 0
        [ran] = harness.drain(until="1d").executions
        assert (ran.module_type, ran.outcome, ran.at) == ("write", Result.OK, NOON + timedelta(days=3))
        assert harness.clock.moment == NOON + timedelta(days=3)

    def test_the_clock_goes_from_due_time_to_due_time(self, harness: Harness) -> None:
        for days in (5, 1, 3):
            harness.enqueue("write", {"n": days}, delay=f"{days}d")
        harness.drain(until="2027-02-01T00:00:00Z")
        done = harness.jobs(State.COMPLETED)
        seen = {job.result["n"]: job.executions[0].at for job in done if job.result}
        assert seen == {days: NOON + timedelta(days=days) for days in (1, 3, 5)}
        assert [page.html for page in harness.outbox.pages] == ["<p>1</p>", "<p>3</p>", "<p>5</p>"]
        assert harness.clock.moment == datetime(2027, 2, 1, tzinfo=UTC)

    def test_the_most_urgent_runs_first(self, harness: Harness) -> None:
        for priority in ("low", "critical", "normal", "high"):
            harness.enqueue("write", priority=priority)
        assert [ran.job_id for ran in harness.drain().executions] == [2, 4, 3, 1]

    def test_retries_run_when_they_are_due(self, harness: Harness) -> None:
        harness.enqueue("flaky", {"until": 3})
        assert len(harness.drain(raising=False).failures) == 1
        harness.assert_queued("flaky", within="90s")
        drained = harness.drain(until="1h", raising=False)
        assert [(one.attempt, one.outcome) for one in drained.executions] == [(2, Result.ERROR), (3, Result.OK)]
        job = harness.job(1)
        assert (job.state, job.result, len(job.executions)) == (State.COMPLETED, {"attempt": 3}, 3)
        waits = [after.at - before.at for before, after in zip(job.executions, job.executions[1:], strict=False)]
        assert all(timedelta(seconds=40) < wait < timedelta(seconds=80) for wait in waits)
        assert job.executions[0].log == "trying attempt=1\n"

    def test_jobs_that_a_handler_queues_run_in_the_same_drain(self, harness: Harness) -> None:
        harness.enqueue("chain", {"left": 4})
        times = [one.at for one in harness.drain(until="1d").executions]
        assert times == [NOON + timedelta(hours=hours) for hours in range(5)]

    def test_the_reminders_of_a_form_come_in_order(self, tmp_path: Path) -> None:
        with Harness(tmp_path / "home") as harness:
            harness.register()
            ann = {"client_data": {"email": "ann@example.org", "couple_name": "Ann and Bo"}}
            harness.enqueue("form", {"form_id": "f", "reminder_enabled": True, "reminder_frequency": 2}, ann)
            harness.drain(until="1d")
            assert len(harness.outbox.mails) == 1
            drained = harness.drain(until="7d")
            assert [ran.at for ran in drained.executions] == [NOON + timedelta(days=days) for days in (2, 4, 6, 8)]
            assert all(mail.to == ("ann@example.org",) for mail in harness.outbox.mails)

    def test_a_night_without_a_worker_is_caught_up_at_once(self, harness: Harness) -> None:
        harness.enqueue("chain", {"left": 1}, delay="1h")
        harness.advance("8h")
        harness.refute_queued("chain", config={"left": 0})
        [ran] = harness.drain().executions
        assert ran.at == NOON + timedelta(hours=8)

    def test_what_is_paused_stays(self, harness: Harness) -> None:
        harness.enqueue("write")
        harness.enqueue("chain", {"left": 0})
        actions.pause(harness.queue, "module", "write")
        assert [one.module_type for one in harness.drain(until="3d").executions] == ["chain"]
        actions.resume(harness.queue, "module", "write")
        assert [one.module_type for one in harness.drain().executions] == ["write"]

    def test_what_expires_is_not_run(self, harness: Harness) -> None:
        harness.enqueue("write", expires="2027-01-13T12:30:00Z")
        harness.advance("1h")
        assert len(harness.drain()) == 0
        assert harness.job(1).state is State.EXPIRED

    @pytest.mark.parametrize("until", ["2027-01-13T11:59:59Z", NOON - timedelta(seconds=1)])
    def test_does_not_go_back_in_time(self, harness: Harness, until: Any) -> None:
        with pytest.raises(InvalidTime, match="has passed"):
            harness.drain(until=until)

    def test_is_the_same_in_every_run(self, tmp_path: Path) -> None:
        seen = []
        for name in ("one", "other"):
            with Harness(tmp_path / name) as harness:
                harness.register(definition(flaky))
                for _ in range(5):
                    harness.enqueue("flaky", {"until": 3})
                seen.append(harness.drain("1h", raising=False))
        assert seen[0] == seen[1]


class TestFailures:
    def test_are_raised_as_they_are(self, harness: Harness) -> None:
        harness.enqueue("flaky", {"until": 2})
        with pytest.raises(ConnectionError, match="down at attempt 1") as caught:
            harness.drain()
        assert [entry.name for entry in caught.traceback][-1] == "flaky"
        assert caught.value.__notes__ == ["in attempt 1 at job 1, by tests.testing.handlers:flaky"]

    def test_are_on_record_when_they_are_raised(self, harness: Harness) -> None:
        harness.enqueue("flaky", {"until": 2}, priority="high")
        untouched = harness.enqueue("write")
        with pytest.raises(ConnectionError):
            harness.drain()
        job = harness.job(1)
        assert (job.state, job.error) == (
            State.RETRYABLE,
            "ConnectionError: the server is down at attempt 1",
        )
        assert harness.job(untouched.job_id).state is State.AVAILABLE
        assert len(harness.drain(until="2m")) == 2

    def test_for_good_are_raised_too(self, harness: Harness) -> None:
        harness.enqueue("never")
        with pytest.raises(Exception, match="this couple has cancelled"):
            harness.drain()
        assert harness.job(1).state is State.DISCARDED

    def test_that_ask_for_a_retry_are_none_for_the_test(self, harness: Harness) -> None:
        harness.enqueue("later")
        drained = harness.drain(until="1h")
        assert [one.outcome for one in drained.executions] == [Result.ERROR, Result.OK]
        assert drained.executions[1].at == NOON + timedelta(minutes=10)

    @pytest.mark.parametrize("raising", [True, False])
    def test_pytest_s_own_go_through(self, harness: Harness, raising: bool) -> None:
        harness.enqueue("skips")
        with pytest.raises(pytest.skip.Exception):
            harness.drain(raising=raising)

    def test_a_handler_that_leaves_fails_like_any_other(self, harness: Harness) -> None:
        harness.enqueue("leaves")
        harness.drain(raising=False)
        assert harness.job(1).error == "SystemExit: 3"

    def test_a_further_job_that_is_refused_fails_its_job(self, harness: Harness) -> None:
        harness.enqueue("broken-chain")
        harness.drain()
        assert "a further job was refused" in str(harness.job(1).error)

    def test_a_job_that_puts_itself_off_for_ever_ends(self, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(draining, "MOST_OF_ONE", 25)
        harness.enqueue("not-now")
        with pytest.raises(EndlessDrain, match=r"25 executions and no end at .* has run 25 times"):
            harness.drain(until="365d")

    def test_a_handler_cannot_drain(self, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.testing.handlers.Page", lambda *_: harness.drain())
        harness.enqueue("write")
        with pytest.raises(RuntimeError, match="a handler cannot drain"):
            harness.drain()


class TestRegistering:
    def test_takes_files_text_and_definitions(self, tmp_path: Path) -> None:
        file = tmp_path / "own.yaml"
        file.write_text(json.dumps({"schema_version": 1, "modules": [{**WRITE, "handler": "email", "id": "own"}]}))
        file.write_text(file.read_text().replace('"email"', '"tests.testing.handlers:write"'))
        with Harness(tmp_path / "home") as harness:
            raw = file.read_bytes().replace(b'"own"', b'"other"')
            assert harness.register(file, str(file), raw, WRITE) == ["own", "own", "other", "write"]
            assert "email" in harness.register()

    def test_says_everything_that_is_wrong(self, harness: Harness) -> None:
        with pytest.raises(InvalidDefinitions) as caught:
            harness.register({**WRITE, "category": 4, "retry": {"attempts": 0}})
        assert len(caught.value.details) == 2
        with pytest.raises(InputFileError):
            harness.register("nowhere.yaml")

    def test_needs_handlers_that_a_worker_can_find(self, harness: Harness) -> None:
        def local(config: Any, context: Any, run: Any) -> dict[str, Any]:
            return {}

        with pytest.raises(InvalidDefinitions, match="local cannot be found by name"):
            harness.register({**WRITE, "handler": local})


class TestTheHarness:
    def test_two_know_nothing_of_each_other(self, harness: Harness, tmp_path: Path) -> None:
        with Harness(tmp_path / "second", clock=FakeClock("2027-06-19T12:00:00Z")) as second:
            second.register(WRITE)
            second.enqueue("write")
            assert harness.jobs() == []
            assert len(second.drain()) == 1
            assert harness.clock.moment == NOON
            assert len(harness.outbox) == 0

    def test_reads_nothing_from_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEDSYNC_OPS_TIMEZONE", "Asia/Tokyo")
        with Harness(tmp_path / "home", public_url="https://us.example") as harness:
            assert (harness.app.settings.timezone, harness.app.settings.public_url) == ("UTC", "https://us.example")

    def test_refuses_what_it_cannot_be(self, tmp_path: Path) -> None:
        with pytest.raises(SettingError, match="the mode is inline or slots"):
            Harness(tmp_path, mode="eager")  # type: ignore[arg-type]
        with pytest.raises(SettingError, match="no webhook"):
            Harness(tmp_path, webhook_url="https://example.org/hook")
        with pytest.raises(SettingError, match="there is no setting 'timezon'; did you mean 'timezone'"):
            Harness(tmp_path, timezon="UTC")

    def test_an_unknown_job(self, harness: Harness) -> None:
        with pytest.raises(UnknownJob):
            harness.job(7)

    def test_the_command_line_sees_the_same_platform(self, harness: Harness) -> None:
        harness.enqueue("write")
        harness.drain()
        environment = {**os.environ, "WEDSYNC_OPS_HOME": str(harness.app.settings.home)}
        command = [sys.executable, "-m", "wedsync_ops", "jobs", "list", "--json"]
        answer = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert [job["state"] for job in json.loads(answer.stdout)["jobs"]] == ["completed"]
