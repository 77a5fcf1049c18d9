"""How a range is put together: without a gap, without an overlap, from what is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import DAY, HOUR, MINUTE
from wedsync_ops.metrics.levels import WIDTHS, Kept, Level, Piece, answerable, levels_of, pieces
from wedsync_ops.metrics.model import Range
from wedsync_ops.metrics.trend import divided, level_for

INSTANTS = st.integers(0, 40 * DAY)
KEPT = st.builds(lambda *days: Kept(*(day * DAY for day in days)), *([st.integers(0, 30)] * 4))


@given(INSTANTS, st.integers(0, 40 * DAY), KEPT)
def test_pieces_cover_the_range_once_from_what_is_kept(start: int, length: int, kept: Kept) -> None:
    end = max(start + length, *kept)
    over = answerable(Range(start, end), kept)
    found = pieces(over, kept)
    edges = [over.from_at, *(piece.to_at for piece in found)]
    assert [piece.from_at for piece in found] == edges[:-1]
    assert edges[-1] == end
    for piece in found:
        if piece.level is None:
            assert piece.from_at >= kept.raw
        else:
            width = WIDTHS[piece.level]
            assert piece.from_at >= kept.floor(piece.level)
            assert (piece.from_at % width, piece.to_at % width, piece.from_at < piece.to_at) == (0, 0, True)
    assert over.from_at == start or start < kept.raw


def test_the_widest_buckets_are_taken() -> None:
    start, end = DAY - HOUR - MINUTE - 7, 3 * DAY + 2 * HOUR + 5
    assert pieces(Range(start, end), Kept()) == [
        Piece(None, start, DAY - HOUR - MINUTE),
        Piece(Level.MINUTE, DAY - HOUR - MINUTE, DAY - HOUR),
        Piece(Level.HOUR, DAY - HOUR, DAY),
        Piece(Level.DAY, DAY, 3 * DAY),
        Piece(Level.HOUR, 3 * DAY, 3 * DAY + 2 * HOUR),
        Piece(None, 3 * DAY + 2 * HOUR, end),
    ]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (Kept(), 5 * DAY + 3 * HOUR + 61),
        (Kept(raw=6 * DAY), 5 * DAY + 3 * HOUR),
        (Kept(raw=6 * DAY, minute=6 * DAY), 5 * DAY + 3 * HOUR),
        (Kept(raw=6 * DAY, minute=6 * DAY, hour=6 * DAY), 5 * DAY),
        (Kept(raw=6 * DAY, minute=6 * DAY, hour=6 * DAY, day=6 * DAY), 6 * DAY),
    ],
)
def test_a_range_starts_where_it_can_be_told(kept: Kept, expected: int) -> None:
    assert answerable(Range(5 * DAY + 3 * HOUR + 61, 7 * DAY), kept) == Range(expected, 7 * DAY)


def test_what_is_older_than_a_width_is_kept_has_no_bucket_of_it() -> None:
    kept = Kept(minute=9 * DAY, hour=5 * DAY, day=2 * DAY)
    assert list(levels_of(9 * DAY, kept)) == [Level.EVER, Level.MINUTE, Level.HOUR, Level.DAY]
    assert list(levels_of(9 * DAY - 1, kept)) == [Level.EVER, Level.HOUR, Level.DAY]
    assert list(levels_of(5 * DAY - 1, kept)) == [Level.EVER, Level.DAY]
    assert list(levels_of(2 * DAY - 1, kept)) == [Level.EVER]


def test_counts_are_shown_in_equal_parts() -> None:
    over = Range(10 * MINUTE + 30, 12 * MINUTE + 1)
    assert divided({10 * MINUTE: 1, 11 * MINUTE: 2, 12 * MINUTE: 4}, over, Level.MINUTE) == [1, 2, 4]
    assert divided({MINUTE * n: 1 for n in range(60)}, Range(0, HOUR), Level.MINUTE) == [3] * 20
    assert level_for(Range(0, HOUR), Kept()) is Level.MINUTE
    assert level_for(Range(0, HOUR), Kept(minute=DAY)) is Level.HOUR
    assert level_for(Range(0, 30 * DAY), Kept()) is Level.DAY
