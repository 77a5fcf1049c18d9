"""Handlers are asked to stop: they see it when they look, and what comes later is not meant."""

from pathlib import Path

import pytest

from tests.jobs.pool_helpers import order, outcomes, pool, result, run


@pytest.mark.parametrize("filling", [0, 200_000], ids=["small", "large"])
@pytest.mark.parametrize("in_thread", [False, True], ids=["process", "thread"])
def test_a_running_handler_sees_it_and_how_long_it_has(tmp_path: Path, filling: int, in_thread: bool) -> None:
    config = {"folder": str(tmp_path), "waits": True, "filling": "x" * filling}
    with pool(tmp_path) as slots:
        slots.start(order("heed", config, in_thread=in_thread))
        slots.wait(0.0)
        while not (tmp_path / "running").exists():
            slots.wait(0.01)
        slots.ask_to_stop(5.0)
        told = result(outcomes(slots)[0])
    assert told["stopping"] is True
    assert 0 < told["time_left"] <= 5


@pytest.mark.parametrize("filling", [0, 200_000], ids=["small", "large"])
def test_the_next_job_of_the_slot_was_not_asked(tmp_path: Path, filling: int) -> None:
    with pool(tmp_path) as slots:
        slots.start(order("heed", {"folder": str(tmp_path), "waits": True}))
        while not (tmp_path / "running").exists():
            slots.wait(0.01)
        slots.ask_to_stop(5.0)
        assert result(outcomes(slots)[0])["stopping"] is True
        told = result(run(slots, order("heed", {"filling": "x" * filling}, job_id=2)))
    assert (told["stopping"], told["time_left"] > 5) == (False, True)


def test_asking_when_nothing_runs_or_the_slot_is_gone_does_nothing(tmp_path: Path) -> None:
    with pool(tmp_path) as slots:
        slots.ask_to_stop(5.0)
        assert result(run(slots, order("heed")))["stopping"] is False
