"""``check``, ``health``, ``doctor`` and ``logs`` as scripts and monitoring see them."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Cli, child, enqueue, environment_for

CHECKS = ("queue", "workers", "database", "disk")


def execute(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "wedsync-ops.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


class TestCheck:
    @pytest.mark.parametrize("name", CHECKS)
    def test_a_line_with_figures_that_monitoring_reads(self, registered: Cli, name: str) -> None:
        answer = registered("check", name, *(["--least", "0"] if name == "workers" else []))
        assert (answer.code, answer.err) == (0, "")
        said, _, figures = answer.out.rstrip("\n").partition(" | ")
        assert said.startswith(f"{name.upper()} OK: ")
        plugin = re.compile(r"[a-z_]+=[-\d.e+]+(?:s|ms|MB|%)?(?:;[-\d.e+]+:?;[-\d.e+]+:?)?")
        assert all(plugin.fullmatch(figure) for figure in figures.split(" ")), figures

    @pytest.mark.parametrize("name", CHECKS)
    def test_the_document(self, registered: Cli, name: str) -> None:
        document = registered("check", name, "--json").document
        assert document["schema"] == f"wedsync-ops/check-{name}@1"
        assert set(document) == {"schema", "status", "message", "reasons", "figures"}

    def test_each_status_has_its_exit_code(self, registered: Cli) -> None:
        enqueue(registered)
        for options, code, word in (
            ((), 0, "ok"),
            (("--warning-waiting", "1"), 1, "warning"),
            (("--warning-waiting", "1", "--critical-waiting", "1"), 2, "critical"),
        ):
            answer = registered("check", "queue", *options, "--json")
            assert (answer.code, answer.document["status"]) == (code, word)

    @pytest.mark.parametrize(
        "arguments",
        [
            ("queue", "--warning", "10", "--critical", "5"),
            ("queue", "--warning-waiting", "10", "--critical-waiting", "5"),
            ("database", "--warning-wal", "10", "--critical-wal", "5"),
            ("disk", "--warning", "5", "--critical", "10"),
            ("disk", "--warning", "nan"),
            ("workers", "--stuck-after", "-1"),
            ("nothing",),
        ],
    )
    def test_wrong_usage_is_unknown(self, registered: Cli, arguments: tuple[str, ...]) -> None:
        answer = registered("check", *arguments)
        assert (answer.code, answer.out, len(answer.err.splitlines())) == (3, "", 1)

    def test_without_a_database_the_queue_is_unknown_and_the_database_critical(self, cli: Cli, home: Path) -> None:
        answer = cli("check", "queue", "--json")
        assert (answer.code, answer.error["code"]) == (3, "database_unreachable")
        answer = cli("check", "database", "--json")
        assert (answer.code, answer.document["reasons"][0]["code"]) == (2, "database_unreachable")
        assert not home.exists()

    @pytest.mark.parametrize("what", ["schedule", "alerts", "notify"])
    def test_a_mistyped_home_is_unknown_and_not_made(self, cli: Cli, home: Path, what: str) -> None:
        answer = cli("check", what, "--json")
        assert (answer.code, answer.out, answer.error["code"]) == (3, "", "database_unreachable")
        assert not home.exists()

    def test_a_file_that_is_no_database(self, cli: Cli, home: Path) -> None:
        home.mkdir()
        (home / "wedsync-ops.db").write_bytes(b"nothing of the kind" * 99)
        assert cli("check", "database").out.startswith("DATABASE CRITICAL: ")


class TestHealth:
    def test_ok(self, registered: Cli) -> None:
        answer = registered("health", "--least-workers", "0")
        assert (answer.code, answer.out.startswith("ok: "), answer.out.count("\n")) == (0, True, 1)

    def test_critical_says_why(self, registered: Cli) -> None:
        answer = registered("health", "--json")
        assert answer.code == 2
        assert answer.document == {
            "schema": "wedsync-ops/health@1",
            "status": "critical",
            "reasons": [
                {
                    "check": "workers",
                    "status": "critical",
                    "code": "too_few",
                    "message": "0 workers live, 1 are wanted",
                }
            ],
            "checks": {
                "database": "ok",
                "queue": "ok",
                "workers": "critical",
                "schedule": "ok",
                "alerts": "ok",
                "disk": "ok",
            },
        }

    def test_degraded(self, registered: Cli, home: Path) -> None:
        enqueue(registered)
        execute(home, "UPDATE jobs SET due_at = due_at - 400000000")
        answer = registered("health", "--least-workers", "0")
        assert (answer.code, answer.out) == (
            1,
            "degraded: queue: the next job of a lane has been due for 400 s\n",
        )

    def test_without_a_database_it_is_critical_and_nothing_is_made(self, cli: Cli, home: Path) -> None:
        answer = cli("health", "--json")
        assert (answer.code, answer.document["checks"]) == (2, {"database": "critical", "disk": "ok"})
        assert not home.exists()

    def test_wrong_usage_is_unknown(self, cli: Cli) -> None:
        assert cli("health", "--least-workers", "-1").code == 3
        assert cli("--db", "mysql://x", "health").code == 3


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
class TestAHomeThatKeepsUsOut:
    """Root may read everything unless it gives that up."""

    RIGHTS = "-dac_override,-dac_read_search"

    def run(self, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        dropped = [f"--bounding-set={self.RIGHTS}", f"--inh-caps={self.RIGHTS}"] if os.getuid() == 0 else []
        command = ["setpriv", *dropped, sys.executable, "-m", "wedsync_ops", *arguments, "--json"]
        home.chmod(0)
        try:
            return subprocess.run(
                command, env=environment_for(home), cwd=ROOT, capture_output=True, text=True, timeout=60
            )
        finally:
            home.chmod(0o700)

    def test_health_is_critical(self, registered: Cli, home: Path) -> None:
        answer = self.run(home, "health")
        document = json.loads(answer.stdout)
        assert (answer.returncode, document["checks"]) == (2, {"database": "critical", "disk": "ok"})
        assert document["reasons"][0]["code"] == "database_unreachable"

    def test_the_disk_can_be_checked(self, registered: Cli, home: Path) -> None:
        assert self.run(home, "check", "disk").returncode == 0

    def test_the_doctor_finds_the_rights(self, registered: Cli, home: Path) -> None:
        answer = self.run(home, "doctor")
        found = {finding["code"]: finding for finding in json.loads(answer.stdout)["findings"]}
        assert answer.returncode == 1
        assert "chmod u+rwX" in found["permissions"]["mend"]
        assert "no_database" not in found


class TestDoctor:
    def test_it_finds_explains_and_mends(self, registered: Cli, home: Path) -> None:
        enqueue(registered)
        execute(home, "UPDATE lane_counts SET waiting = 9")
        answer = registered("doctor", "--json")
        found = {finding["code"]: finding for finding in answer.document["findings"]}
        assert answer.code == 1
        assert not answer.document["is_well"]
        assert found["counters"]["mend"] == "wedsync-ops maintenance run counters"
        assert registered("maintenance", "run", "counters").code == 0
        again = registered("doctor", "--json").document
        assert "counters" not in [finding["code"] for finding in again["findings"]]

    def test_a_platform_without_anything_to_mend(self, registered: Cli, home: Path) -> None:
        home.chmod(0o700)
        answer = registered("doctor", "--json")
        if not answer.document["findings"]:
            assert (answer.code, answer.document["is_well"]) == (0, True)
        assert {finding["code"] for finding in answer.document["findings"]} <= {"open_files", "proc", "affinity"}

    def test_people_read_it_too(self, registered: Cli, home: Path) -> None:
        execute(home, "DROP INDEX jobs_to_claim")
        out = registered("doctor").out
        assert "problem: the index jobs_to_claim of jobs is missing (index_missing)" in " ".join(out.split())
        assert re.search(r"^   \$ sqlite3 \S+wedsync-ops.db 'CREATE INDEX jobs_to_claim ON jobs", out, re.MULTILINE)

    def test_it_works_where_nothing_is_and_makes_nothing(self, tmp_path: Path) -> None:
        home = tmp_path / "none"
        answer = child(home, "doctor", "--json", WEDSYNC_OPS_LEASES="1", WEDSYNC_OPS_SMS_TOKEN="sesame")
        codes = [finding["code"] for finding in answer.document["findings"]]
        assert (answer.code, {"no_database", "unknown_variable"} <= set(codes)) == (1, True)
        settings = {each["name"]: each for each in answer.document["settings"]}
        assert settings["sms_token"] == {"name": "sms_token", "value": "***", "source": "environment"}
        assert not home.exists()

    def test_a_setting_that_is_wrong_is_told_as_everywhere(self, cli: Cli) -> None:
        assert cli("--db", "mysql://x", "doctor").code == 2


class TestLogs:
    def test_lines_for_people(self, registered: Cli) -> None:
        enqueue(registered, module="refuse")
        assert registered("run-worker", "--drain").code == 0
        lines = registered("logs").out.splitlines()
        told = [re.sub(r"^\S+ \S+Z ", "", line) for line in lines]
        assert "warning job 1 try 1 refuse execution_ended: error: PermanentError: no room for hello" in told
        assert "error job 1 try 1 refuse job_discarded: discarded: PermanentError: no room for hello" in told
        assert next(line.split(":")[0] for line in told if line.startswith("info")) == "info worker_started"

    def test_the_document_and_its_filters(self, registered: Cli) -> None:
        for module in ("note", "refuse"):
            enqueue(registered, module=module)
        registered("run-worker", "--drain")

        def events(*options: str) -> list[str]:
            return [line["event"] for line in registered("logs", "--json", *options).document["lines"]]

        assert events("--module", "note") == ["execution_ended"]
        assert events("--job", "2") == ["execution_ended", "job_discarded"]
        assert events("--level", "error") == ["job_discarded"]
        assert events("--since", "2999-01-01T00:00:00Z") == []
        assert len(events("--limit", "2")) == 2
        first = registered("logs", "--json", "--job", "1").document["lines"][0]
        assert list(first) == [
            *("at", "level", "event", "message", "job_id", "attempt", "module_type", "worker_id", "outcome"),
            "duration_ms",
        ]

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [(("--job", "9"), 4), (("--module", "nothing"), 4), (("--since", "soon"), 2), (("--level", "loud"), 2)],
    )
    def test_what_is_not_there(self, registered: Cli, arguments: tuple[str, ...], code: int) -> None:
        answer = registered("logs", *arguments, "--json")
        assert answer.code == code
        assert json.loads(answer.err.splitlines()[-1])["error"]["message"]
