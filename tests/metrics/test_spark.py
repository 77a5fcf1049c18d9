"""Figures as a line of blocks."""

import pytest

from wedsync_ops.metrics.spark import spark


@pytest.mark.parametrize(
    ("counts", "line"),
    [([0, 1, 4, 8], "▁▂▅█"), ([5], "█"), ([0, 0], "▁▁"), ([], ""), ([1, 10**9], "▂█"), ([None, 8], " █")],
)
def test_each_block_is_as_high_as_its_share_of_the_highest(counts: list[int | None], line: str) -> None:
    assert spark(counts) == line
