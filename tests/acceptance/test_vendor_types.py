"""Vendor types, seen from outside: a real worker shares its cores by what kind of vendor a job is for."""

import os
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Home, definition, eventually

UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")


@pytest.fixture
def two_cores() -> Iterator[tuple[int, int]]:
    """Two cores, the only ones that what is started here may use."""
    everything = os.sched_getaffinity(0)
    if len(everything) < 2:
        pytest.skip("one core cannot be divided")
    first, second = sorted(everything)[:2]
    os.sched_setaffinity(0, {first, second})
    yield first, second
    os.sched_setaffinity(0, everything)


@pytest.mark.parametrize(
    ("vendors", "places"),
    [
        (("venue", "venue", "venue"), (0, 1, 0)),
        (("photographer", "venue", "venue"), (0, 1, 1)),  # what computes keeps the third off its core
        (("venue", "planner", "venue"), (0, 1, 1)),  # what waits for the network lets the third in
    ],
)
def test_cores_are_shared_by_what_kind_of_vendor_a_job_is_for(
    home: Home, two_cores: tuple[int, int], vendors: tuple[str, ...], places: tuple[int, ...]
) -> None:
    home.register(UNTIL_TOLD)
    worker = home.start("--concurrency", "4")
    for number, vendor in enumerate(vendors):
        home.enqueue("until-told", {"folder": str(home.path), "name": str(number)}, vendor_type=vendor)
        running = home.path / f"running-{number}"
        eventually(running.exists)
        process = int(running.read_text())
        core = {two_cores[places[number]]}
        eventually(lambda process=process: len(os.sched_getaffinity(process)) == 1)  # type: ignore[misc]
        assert os.sched_getaffinity(process) == core
    for number in range(len(vendors)):
        (home.path / f"go-{number}").touch()
    eventually(lambda: len(home.json("jobs", "list", "--state", "completed")["jobs"]) == len(vendors))
    worker.terminate()
    assert worker.wait(30) == 0
