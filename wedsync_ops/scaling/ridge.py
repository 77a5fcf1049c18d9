"""Least squares that lean on what was believed before: ridge regression, in a few dozen columns. Pure.

Some thousand days of thirty columns take tens of milliseconds in plain Python, so that a forecast needs no library
and every installation has one.
"""

from collections.abc import Sequence
from math import sqrt
from operator import mul

Columns = Sequence[Sequence[float]]


def gram(columns: Columns, weights: Sequence[float]) -> list[list[float]]:
    """The lower half of X'WX."""
    weighted = [list(map(mul, column, weights)) for column in columns]
    return [[sum(map(mul, weighted[i], columns[j])) for j in range(i + 1)] for i in range(len(columns))]


def moments(columns: Columns, weights: Sequence[float], values: Sequence[float]) -> list[float]:
    """X'Wy."""
    weighted = list(map(mul, values, weights))
    return [sum(map(mul, column, weighted)) for column in columns]


def solve(
    half: Sequence[Sequence[float]], right: Sequence[float], penalties: Sequence[float], beliefs: Sequence[float]
) -> list[float]:
    """The coefficients that fit best while each is held to what was believed of it, by its penalty (over 0)."""
    size = len(right)
    lower = [list(row) for row in half]
    for i in range(size):
        lower[i][i] += penalties[i]
    values = [right[i] + penalties[i] * beliefs[i] for i in range(size)]
    _factorise(lower)
    for i in range(size):
        row = lower[i]
        values[i] = (values[i] - sum(map(mul, row[:i], values))) / row[i]
    for i in reversed(range(size)):
        values[i] = (values[i] - sum(lower[k][i] * values[k] for k in range(i + 1, size))) / lower[i][i]
    return values


def _factorise(lower: list[list[float]]) -> None:
    """Cholesky, in place."""
    for i, row in enumerate(lower):
        for j in range(i):
            other = lower[j]
            row[j] = (row[j] - sum(map(mul, row[:j], other))) / other[j]
        row[i] = sqrt(max(row[i] - sum(map(mul, row[:i], row)), 1e-12))


def fitted(columns: Columns, coefficients: Sequence[float]) -> list[float]:
    """X times the coefficients."""
    found = [0.0] * len(columns[0])
    for column, factor in zip(columns, coefficients, strict=True):
        found = [value + factor * x for value, x in zip(found, column, strict=True)]
    return found
