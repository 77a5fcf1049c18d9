"""``demo``: the whole system at work, told to people."""

from pathlib import Path

import pytest

from tests.cli.conftest import child


@pytest.mark.slow
def test_what_the_demo_tells_fits_80_columns(tmp_path: Path) -> None:
    answer = child(tmp_path, "demo", "--jobs", "10", "--folder", str(tmp_path / "d"))
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= 80
    starts = [line[:2] for line in lines if line[1:2] == "."]
    assert starts == ["1.", "2.", "3.", "4.", "5.", "6.", "7."]
    ready = {line.split()[1]: line.split()[5] for line in lines if " couple-" in line}
    assert ready == {"couple-1": "ok", "couple-2": "critical", "couple-3": "ok", "couple-4": "ok"}
