"""``metrics``: what it says of executions that are rolled up and of those that are not, and where it puts it."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.conftest import ROOT, Cli, environment_for
from tests.metrics import rows
from wedsync_ops import db
from wedsync_ops.settings import Settings


@pytest.fixture
def measured(registered: Cli, home: Path) -> Cli:
    """A platform with a few executions of a minute ago, most of them rolled up."""
    database = db.connect(Settings(home=home))
    now = time.time_ns() // 1000
    ago = {"finished_at": now - 60_000_000, "duration_us": 5000, "queue_wait_us": 70_000_000}
    rows.executions(database, [{**ago, "module_type": "note", "vendor_type": "venue", "priority": 3}] * 2)
    rows.executions(database, [{**ago, "module_type": "refuse", "outcome": "error"}])
    assert registered("maintenance", "run", "rollup").code == 0
    rows.executions(database, [{**ago, "module_type": "note", "vendor_type": "venue"}])
    database.close()
    return registered


def test_figures_are_told_apart_by_vendor_type(measured: Cli) -> None:
    document = measured("metrics", "--by", "vendor-type", "--json").document
    assert (document["by"], document["platform"]["total_executions"]) == ("vendor-type", 4)
    groups = [(group["name"], group["total_executions"], group["availability"]) for group in document["groups"]]
    assert groups == [("venue", 3, 0.0), (None, 1, None)]
    narrowed = measured("metrics", "--by", "vendor-type", "--module", "refuse", "--json").document
    assert [group["failed_executions"] for group in narrowed["groups"]] == [1]


@pytest.mark.parametrize("by", ["priority", "region", "supplier"])
def test_figures_are_told_apart_by_other_things(measured: Cli, by: str) -> None:
    groups = measured("metrics", "--by", by, "--json").document["groups"]
    assert sum(group["total_executions"] for group in groups) == 4
    assert measured("metrics", "--by", by).code == 0


def test_what_figures_cannot_be_told_apart_by_is_wrong_usage(measured: Cli) -> None:
    assert measured("metrics", "--by", "weather").code == 2
    assert measured("metrics", "--by", "region", "--prometheus").code == 2


def test_people_see_when_executions_were(measured: Cli) -> None:
    out = measured("metrics", "--by", "priority").out
    assert "█" in out
    assert "critical" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_textfile_is_replaced_at_once_and_readable(measured: Cli, tmp_path: Path) -> None:
    file = tmp_path / "ops.prom"
    file.write_text("old")
    before = file.stat().st_ino
    answer = measured("metrics", "--textfile", str(file))
    assert (answer.code, answer.out) == (0, "")
    assert file.stat().st_ino != before
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".ops", "ops"))] == ["ops.prom"]
    found = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    counted = {
        (s.labels["module"], s.labels["outcome"]): s.value for s in found["wedsync_ops_finished_executions"].samples
    }
    assert (counted["note", "ok"], counted["refuse", "error"]) == (3, 1)
    assert found["wedsync_ops_execution_time_seconds"].type == "histogram"


def test_a_textfile_that_cannot_be_written_is_an_error_of_one_line(measured: Cli, tmp_path: Path) -> None:
    answer = measured("metrics", "--textfile", str(tmp_path / "nowhere" / "ops.prom"))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1
    assert "cannot be written" in answer.err
    assert measured("metrics", "--textfile", str(tmp_path / "x"), "--json").code == 2


def test_watching_on_a_terminal_begins_a_fresh_screen_each_time(registered: Cli, home: Path) -> None:
    command = [sys.executable, "-m", "wedsync_ops", "metrics", "--watch", "--interval", "0.1"]
    ours, theirs = os.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, cwd=ROOT, env=environment_for(home))
    os.close(theirs)
    seen = b""
    while seen.count(b"\x1b[H\x1b[2J") < 3:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    os.close(ours)
    assert (process.returncode, err) == (130, b"")
    assert seen.count(b"executions:") >= 2


def test_openmetrics_ends_in_its_mark_and_excludes_the_other_format(measured: Cli, tmp_path: Path) -> None:
    answer = measured("metrics", "--openmetrics")
    assert (answer.code, answer.out.endswith("\n# EOF\n")) == (0, True)
    assert list(openmetrics_families(answer.out))  # type: ignore[no-untyped-call]
    for other in (("--prometheus",), ("--json",), ("--by", "region"), ("--textfile", str(tmp_path / "x"))):
        assert measured("metrics", "--openmetrics", *other).code == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_of(measured: Cli) -> None:
    text = measured("metrics", "--prometheus").out
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stderr) == (0, "")
