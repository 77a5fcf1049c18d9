"""``top`` where there is no terminal to draw on."""

import sys

import pytest

from tests.cli.conftest import Cli, enqueue


def test_off_a_terminal_it_is_one_page(registered: Cli) -> None:
    enqueue(registered)
    answer = registered("top")
    assert (answer.code, answer.err) == (0, "")
    assert "note  normal    1      1" in answer.out
    assert "\x1b" not in answer.out
    assert registered("top", "--once").out.splitlines()[2:] == answer.out.splitlines()[2:]


def test_one_look_as_json(registered: Cli) -> None:
    enqueue(registered)
    document = registered("top", "--json").document
    assert document["schema"] == "wedsync-ops/top@1"
    assert document["lanes"] == [{"module_type": "note", "priority": "normal", "available": 1, "waiting": 1}]


@pytest.mark.parametrize("given", ["0", "-1", "nan", "x"])
def test_an_interval_that_is_none_is_wrong_usage(registered: Cli, given: str) -> None:
    assert registered("top", "--interval", given).code == 2


def test_without_its_extra_the_live_screen_says_what_to_install(
    registered: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wedsync_ops.cli.top._can_draw", lambda: True)
    monkeypatch.setitem(sys.modules, "textual", None)
    answer = registered("top")
    assert answer.code == 1
    assert answer.err.startswith("error: the live screen needs textual, which is not installed (pip install")
    assert len(answer.err.splitlines()) == 1
    assert registered("top", "--once").code == 0
