"""Charts: well-formed, to scale, with every text escaped."""

import xml.etree.ElementTree as ET

import pytest

from wedsync_ops.operations.report import words
from wedsync_ops.operations.report.charts import Series, bars, lines, scale

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("highest", "top", "step"),
    [
        (0, 1, 0.5),
        (1, 1, 0.2),
        (2300, 2500, 500),
        (9.4, 10, 2),
        (14.9, 15, 5),
        (2500, 2500, 500),
        (0.003, 0.003, 0.001),
    ],
)
def test_an_axis_has_round_steps(highest: float, top: float, step: float) -> None:
    assert scale(highest) == pytest.approx((top, step))


def test_no_axis_is_lower_than_its_highest_value_or_has_many_lines() -> None:
    for number in range(1, 4000):
        highest = number * 0.37
        top, step = scale(highest)
        assert top >= highest * (1 - 1e-9)
        assert 1 <= round(top / step) <= 5


def test_bars_are_stacked_to_scale_and_say_what_they_are_made_of() -> None:
    chart = drawn(bars("title", ["a", "b"], [Series("ok", "ok", [3, 0]), Series("bad", "error", [1, 0])], words.count))
    heights = {each.get("class"): float(each.get("height", "")) for each in chart.iter(f"{SVG}rect")}
    assert heights["ok"] == pytest.approx(3 * heights["error"], abs=0.2)
    assert [each.text for each in chart.iter(f"{SVG}title")] == ["a: ok 3; bad 1", "b: 0"]


def test_a_line_has_a_gap_where_nothing_is_known() -> None:
    chart = drawn(lines("t", list("abcde"), [Series("p", "p50", [1, 2, None, 3, None])], words.ms))
    assert len(list(chart.iter(f"{SVG}polyline"))) == 1
    assert len(list(chart.iter(f"{SVG}circle"))) == 3
    assert [each.text for each in chart.iter(f"{SVG}title")][2] == "c: nothing measured"


def test_nothing_at_all_is_drawn_too() -> None:
    assert drawn(bars("t", [], [], words.count)) is not None
    assert drawn(lines("t", ["a"], [Series("p", "p50", [None])], words.ms)) is not None


def test_every_text_is_escaped() -> None:
    hostile = "<script>\"'&"
    chart = drawn(bars(hostile, [hostile], [Series(hostile, "ok", [1])], words.count))
    assert chart.get("aria-label") == hostile
    assert not list(chart.iter(f"{SVG}script"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0"),
        (0.4567, "0.457 ms"),
        (999.4, "999 ms"),
        (1500, "1.5 s"),
        (150_000, "2.5 min"),
        (9e6, "2.5 h"),
    ],
)
def test_times_read_in_the_unit_that_fits(value: float | None, shown: str) -> None:
    assert words.ms(value) == shown
