"""How much memory this machine has for jobs."""

from pathlib import Path

import psutil
import pytest

from wedsync_ops.jobs.memory import group_limits_kb, machine_kb


def limit(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_tightest_of_the_groups_that_one_is_in_counts(tmp_path: Path) -> None:
    limit(tmp_path / "shop" / "memory.max", f"{900 << 20}\n")
    limit(tmp_path / "shop" / "ops" / "memory.max", "max\n")
    limit(tmp_path / "shop" / "ops" / "worker" / "memory.max", f"{2000 << 20}\n")
    assert min(group_limits_kb("0::/shop/ops/worker\n", tmp_path)) == 900 * 1024


def test_the_first_version_of_control_groups_has_a_controller_for_memory(tmp_path: Path) -> None:
    limit(tmp_path / "memory" / "worker" / "memory.limit_in_bytes", f"{300 << 20}\n")
    limit(tmp_path / "memory" / "other" / "memory.limit_in_bytes", f"{100 << 20}\n")
    assert group_limits_kb("5:cpu,cpuacct:/other\n4:memory:/worker\n", tmp_path) == [300 * 1024]


@pytest.mark.parametrize("groups", ["", "0::/nowhere\n", "1:cpu:/\n"])
def test_no_group_no_limit(tmp_path: Path, groups: str) -> None:
    assert group_limits_kb(groups, tmp_path) == []


def test_a_setting_comes_before_what_the_machine_has() -> None:
    assert machine_kb(1500.5) == 1_536_512
    assert 0 < machine_kb() <= psutil.virtual_memory().total // 1024
