"""The screen, driven by Textual's own pilot on a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from tests.stores.queues import queue_on
from tests.top.scenes import OneAlert, enqueue, scene
from wedsync_ops.db import Database
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store import control, view
from wedsync_ops.top.acts import Acts
from wedsync_ops.top.dialogs import Ask, Confirm, Reading
from wedsync_ops.top.gather import Watcher
from wedsync_ops.top.screen import Panel, Top

Script = Callable[[Pilot[int]], Awaitable[None]]


@pytest.fixture
def queue(sqlite_database: Database, tmp_path: Path) -> Queue:
    return queue_on(sqlite_database, tmp_path)


def drive(queue: Queue, script: Script, *, size: tuple[int, int] = (80, 24)) -> Top:
    """Run the screen, looking every 50 ms, and a script against it."""
    alerts = OneAlert()
    top = Top(Watcher(queue.database, queue.clock, queue.rules, alerts), Acts(lambda: queue, alerts), 0.05)

    async def play() -> None:
        async with top.run_test(size=size) as pilot:
            await until(pilot, lambda: bool(text(top, "#head")))
            await script(pilot)

    asyncio.run(play())
    return top


async def until(pilot: Pilot[int], fits: Callable[[], bool]) -> None:
    """Let the screen go on until something is so."""
    for _ in range(300):
        if fits():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came to be")


def text(top: Top, where: str) -> str:
    return str(top.screen_stack[0].query_one(where, Static).render())


def cells(top: Top, panel: str) -> list[list[str]]:
    table = top.screen_stack[0].query_one(f"#{panel}", Panel)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def said(top: Top) -> list[str]:
    return [notification.message for notification in top._notifications]


def is_paused(queue: Queue, module: str) -> bool:
    with queue.database.reading() as connection:
        return any(pause.name == module for pause in control.closed(connection, queue.clock.now()))


def state(queue: Queue, job_id: int) -> State | None:
    with queue.database.reading() as connection:
        job = view.state_of(connection, job_id)
    return None if job is None else job.state


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_everything_is_there_and_nothing_is_wider_than_the_terminal(queue: Queue, size: tuple[int, int]) -> None:
    jobs = scene(queue)

    async def script(pilot: Pilot[int]) -> None:
        top = pilot.app
        assert isinstance(top, Top)
        assert "next wedding in 3 days" in text(top, "#season")
        assert [row[:3] for row in cells(top, "lanes")] == [["email", "high", "1"], ["email", "normal", "1"]]
        assert cells(top, "crew") == [["barn", "1/2 busy", ""], [f"  {jobs['running'][0]}", "free", "90 s"]]
        assert [row[:2] for row in cells(top, "dead")] == [["2", "free"]]
        assert cells(top, "alerts")[0][:2] == ["warning", "3 min"]
        assert max(len(line) for line in text(top, "#pace").splitlines()) <= size[0]
        for panel in ("lanes", "crew"):
            table = top.query_one(f"#{panel}", Panel)
            assert table.virtual_size.width <= table.size.width, panel

    drive(queue, script, size=size)


def test_a_terminal_that_is_too_small_shows_what_fits(queue: Queue) -> None:
    scene(queue)

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("tab", "down", "question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, Reading))
        await pilot.press("escape")

    drive(queue, script, size=(24, 6))


def test_a_low_terminal_keeps_its_tables_and_leaves_the_figures_out(queue: Queue) -> None:
    scene(queue)

    async def script(pilot: Pilot[int]) -> None:
        for panel in ("lanes", "crew", "dead", "alerts"):
            assert pilot.app.query_one(f"#{panel}", Panel).size.height >= 2, panel
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: pilot.app.query_one("#pace", Static).size.height == 3)

    drive(queue, script, size=(40, 12))


def test_a_lane_is_paused_after_a_yes_and_goes_on_after_another(queue: Queue) -> None:
    enqueue(queue)

    async def script(pilot: Pilot[int]) -> None:
        top = pilot.app
        assert isinstance(top, Top)
        for answer, paused in (("n", False), ("enter", False), ("y", True), ("y", False)):
            await pilot.press("p")
            await until(pilot, lambda: isinstance(top.screen, Confirm))
            await pilot.press(answer)
            if answer == "enter":
                assert isinstance(top.screen, Confirm)
                await pilot.press("escape")
            await until(pilot, lambda: not isinstance(top.screen, Confirm))
            await until(pilot, lambda paused=paused: is_paused(queue, "email") is paused)  # type: ignore[misc]
        await until(pilot, lambda: "email goes on" in said(top))

    drive(queue, script)


def test_a_group_of_dead_letters_is_retried_once_it_is_counted(queue: Queue) -> None:
    jobs = scene(queue)

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert isinstance(pilot.app.screen, Confirm)
        assert "2 dead letters of free" in pilot.app.screen.question
        await pilot.press("y")
        await until(pilot, lambda: {state(queue, job) for job in jobs["dead"]} == {State.SCHEDULED})

    drive(queue, script)


def test_a_job_is_cancelled_by_its_id(queue: Queue) -> None:
    job_id = enqueue(queue)

    async def script(pilot: Pilot[int]) -> None:
        top = pilot.app
        assert isinstance(top, Top)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(top.screen, Ask))
        await pilot.press(*str(job_id), "enter")
        await until(pilot, lambda: isinstance(top.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: state(queue, job_id) is State.CANCELLED)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(top.screen, Ask))
        await pilot.press(*str(job_id), "enter")
        await until(pilot, lambda: isinstance(top.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: any("cannot be cancelled" in one for one in said(top)))

    drive(queue, script)


def test_a_running_job_is_explained_from_its_row(queue: Queue) -> None:
    jobs = scene(queue)

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("tab", "down", "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        assert isinstance(pilot.app.screen, Ask)
        assert pilot.app.screen.suggestion == str(jobs["running"][0])
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Reading))
        assert isinstance(pilot.app.screen, Reading)
        assert "running" in pilot.app.screen.text

    drive(queue, script)


def test_enter_shows_an_error_whole(queue: Queue) -> None:
    scene(queue)

    async def script(pilot: Pilot[int]) -> None:
        await pilot.press("tab", "tab", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Reading))
        assert isinstance(pilot.app.screen, Reading)
        assert pilot.app.screen.text.endswith("whom nobody can ask any more")
        assert "\x1b" not in pilot.app.screen.text

    drive(queue, script)


def test_an_alert_is_acknowledged(queue: Queue) -> None:
    async def script(pilot: Pilot[int]) -> None:
        top = pilot.app
        assert isinstance(top, Top)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(top.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: cells(top, "alerts")[0][0] == "warning (acknowledged)")

    drive(queue, script)


def test_keys_without_anything_to_act_on_say_so(queue: Queue) -> None:
    async def script(pilot: Pilot[int]) -> None:
        top = pilot.app
        assert isinstance(top, Top)
        for key, words in (("p", "there is no lane to pause"), ("r", "there are no dead letters")):
            await pilot.press(key)
            await until(pilot, lambda words=words: words in said(top))  # type: ignore[misc]
        await pilot.press("e")
        await until(pilot, lambda: isinstance(top.screen, Ask))
        await pilot.press("0", "enter")
        await until(pilot, lambda: any(one.startswith("there is no job '0'") for one in said(top)))

    drive(queue, script)


def test_the_cursor_stays_on_its_row_when_rows_come_before_it(queue: Queue) -> None:
    enqueue(queue, "email")
    enqueue(queue, "free")

    async def script(pilot: Pilot[int]) -> None:
        top = pilot.app
        assert isinstance(top, Top)
        await pilot.press("down")
        lanes = top.query_one("#lanes", Panel)
        assert lanes.selected == "free/normal"
        enqueue(queue, "email", wedding="2027-01-16")
        await until(pilot, lambda: lanes.row_count == 3)
        assert (lanes.selected, lanes.cursor_row) == ("free/normal", 2)

    drive(queue, script)


def test_a_database_that_goes_away_is_told_and_comes_back(queue: Queue) -> None:
    file = queue.database.file
    assert file is not None

    async def script(pilot: Pilot[int]) -> None:
        top = pilot.app
        assert isinstance(top, Top)
        away = file.with_name("away.db")
        file.rename(away)
        await until(pilot, lambda: "No such file" in text(top, "#trouble"))
        assert top.query_one("#trouble").display
        away.rename(file)
        await until(pilot, lambda: not top.query_one("#trouble").display)

    drive(queue, script)


def test_q_leaves_with_0_and_ctrl_c_as_every_interrupted_command(queue: Queue) -> None:
    for key, code in (("q", 0), ("ctrl+c", 130)):

        async def script(pilot: Pilot[int], key: str = key) -> None:
            await pilot.press(key)

        assert drive(queue, script).return_code == code
