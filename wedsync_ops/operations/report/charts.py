"""Charts as SVG text, drawn by hand: no script, no font and no picture from elsewhere. Pure.

Colours are classes of the page's style, so that a chart follows its reader's light or dark setting and its printer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 900, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 8, 10, 26
Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """Values under a name, one for each label; ``kind`` is the class that gives the colour."""

    name: str
    kind: str
    values: Sequence[float | None]


def scale(highest: float) -> tuple[float, float]:
    """The top of an axis and the step of its lines: 1, 2 or 5 times a power of ten, at most five steps."""
    if highest <= 0 or not math.isfinite(highest):
        return 1.0, 0.5
    power = 10.0 ** math.floor(math.log10(highest / 5))
    step = next(size * power for size in (1, 2, 5, 10, 20) if math.ceil(round(highest / (size * power), 9)) <= 5)
    return math.ceil(round(highest / step, 9)) * step, step


def legend(series: Sequence[Series]) -> str:
    """Which colour is which, as HTML."""
    items = "".join(f'<span><i class="{one.kind}"></i>{escape(one.name)}</span>' for one in series)
    return f'<p class="legend">{items}</p>'


def bars(title: str, labels: Sequence[str], series: Sequence[Series], written: Format) -> str:
    """Stacked bars; a bar's tip says what it is made of."""
    totals = [sum(one.values[place] or 0 for one in series) for place in range(len(labels))]
    top, lined = scale(max(totals, default=0))
    step = _plot_width() / max(1, len(labels))
    width = max(1.0, step * 0.78)
    parts = []
    for place, label in enumerate(labels):
        tip = "; ".join(f"{one.name} {written(one.values[place] or 0)}" for one in series if one.values[place])
        parts.append(f"<g><title>{escape(f'{label}: {tip or 0}')}</title>")
        parts.append(_rect("hover", _LEFT + place * step, _TOP, step, _plot_height()))
        base = 0.0
        for one in series:
            value = one.values[place] or 0
            if value > 0:
                high = _y(base + value, top)
                parts.append(
                    _rect(one.kind, _LEFT + place * step + (step - width) / 2, high, width, _y(base, top) - high)
                )
                base += value
        parts.append("</g>")
    return _svg(title, labels, _grid(top, lined, written), "".join(parts))


def lines(
    title: str, labels: Sequence[str], series: Sequence[Series], written: Format, *, least_top: float = 0.0
) -> str:
    """Lines; where a value is not known there is a gap, and a value between two gaps is a dot."""
    known = [value for one in series for value in one.values if value is not None]
    top, lined = scale(max([*known, least_top], default=0))
    step = _plot_width() / max(1, len(labels))
    parts = []
    for one in series:
        for run in _runs(one.values):
            points = [(_LEFT + (place + 0.5) * step, _y(value, top)) for place, value in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            if len(points) > 1:
                parts.append(f'<polyline class="line {one.kind}" points="{path}"/>')
            parts += [f'<circle class="{one.kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in points]
    for place, label in enumerate(labels):
        said = [f"{one.name} {written(value)}" for one in series if (value := one.values[place]) is not None]
        tip = f"{label}: {'; '.join(said) or 'nothing measured'}"
        hover = _rect("hover", _LEFT + place * step, _TOP, step, _plot_height())
        parts.append(f"<g><title>{escape(tip)}</title>{hover}</g>")
    return _svg(title, labels, _grid(top, lined, written), "".join(parts))


def share(value: float, most: float, kind: str) -> str:
    """A small bar for a table's cell: a value against the greatest of its column."""
    width = 0.0 if most <= 0 else 100 * value / most
    return (
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{kind}" width="{width:.1f}" height="8"/></svg>'
    )


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    runs: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place, value))
    return [run for run in runs if run]


def _svg(title: str, labels: Sequence[str], grid: str, inside: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{grid}{inside}{_axis(labels)}</svg>"
    )


def _grid(top: float, step: float, written: Format) -> str:
    parts = []
    for number in range(round(top / step) + 1):
        y = _y(step * number, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        said = escape(written(step * number))
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{said}</text>')
    return "".join(parts)


def _axis(labels: Sequence[str]) -> str:
    step = _plot_width() / max(1, len(labels))
    every = max(1, math.ceil(len(labels) * 62 / _plot_width()))
    return "".join(
        f'<text x="{_LEFT + (place + 0.5) * step:.1f}" y="{_HEIGHT - 7}" text-anchor="middle">{escape(label)}</text>'
        for place, label in enumerate(labels)
        if place % every == 0
    )


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(0.0, height):.1f}"/>'


def _y(value: float, top: float) -> float:
    return _TOP + _plot_height() * (1 - min(1.0, value / top))


def _plot_width() -> float:
    return _WIDTH - _LEFT - _RIGHT


def _plot_height() -> float:
    return _HEIGHT - _TOP - _BOTTOM
