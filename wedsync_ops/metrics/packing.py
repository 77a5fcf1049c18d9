"""The bytes of a sketch: its sum, its smallest and largest value, and how often each bin was hit. Pure.

There are two forms. A sketch of few values is written *sparse*, as varints: sum, low, high - low, then each bin in
ascending order as its distance to the one before and its count, in one number while the count is small. One whose bins
lie close together is written *dense*: a header, then the counts of all bins from the first to the last in a row, each
in as many bytes as the largest needs. Rows add up as long integers do, a whole sketch at a time, which is what makes
months of them quick to read. A dense sketch begins with a varint that no sparse one has, a zero of two bytes.

A bin's *place* is its number plus one, which is never below 0.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import NamedTuple

PLACES = 4096
"""More than 64 bits have."""
_DENSE = b"\x80\x00"
_HEADER = struct.Struct("<2sQQQHB")
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_CROWD = 16
"""Bins from which a sketch may be dense."""
_SPARE = 2
"""How many bytes a bin may take in a dense sketch beyond its count: a varint takes as many, about."""
_LANE = 8
_MORE = 7
_BITS = 3
_BYTE = 0x80
_CUT = "a sketch is cut off"


class Packed(NamedTuple):
    """What sketches come to: their sum, low, high, and the count at each place that was hit."""

    total: int
    low: int
    high: int
    counts: Iterable[tuple[int, int]]


def pack(total: int, low: int, high: int, counts: Mapping[int, int]) -> bytes:
    """A sketch as bytes; ``counts`` are by place, and not empty."""
    if len(counts) >= _CROWD:
        first, last = min(counts), max(counts)
        width = _width(max(counts.values()))
        if (last - first + 1) * width <= (width + _SPARE) * len(counts) and total < 1 << 64:
            row = [0] * (last - first + 1)
            for place, many in counts.items():
                row[place - first] = many
            head = _HEADER.pack(_DENSE, total, low, high, first, width)
            return head + struct.pack(f"<{len(row)}{_FORMATS[width]}", *row)
    return _sparse(total, low, high, sorted(counts.items()))


def pack_few(total: int, low: int, high: int, places: Iterable[int]) -> bytes:
    """A sketch of a few values as bytes, of the place of each."""
    counts: dict[int, int] = {}
    for place in places:
        counts[place] = counts.get(place, 0) + 1
    return _sparse(total, low, high, sorted(counts.items()))


def unpack(several: Iterable[bytes]) -> Packed | None:
    """All that these sketches hold, ``None`` when all are empty. Raises ValueError for what is none."""
    found = [0] * PLACES  # a list takes a count in half the time of a dictionary
    rows, total, lows, highs = 0, 0, [], []
    for encoded in several:
        if encoded[:2] == _DENSE:
            added, low, high, first, row = _row(encoded)
            rows += row << 8 * _LANE * first
        elif encoded:
            added, low, high = _scatter(encoded, found)
        else:
            continue
        total += added
        lows.append(low)
        highs.append(high)
    if not lows:
        return None
    if rows:
        found = list(map(add, found, struct.unpack(f"<{PLACES}Q", rows.to_bytes(PLACES * _LANE, "little"))))
    return Packed(total, min(lows), max(highs), ((place, many) for place, many in enumerate(found) if many))


def unpack_one(encoded: bytes) -> Packed | None:
    """What one sketch holds, faster than ``unpack`` does; ``None`` when it is empty. Raises ValueError."""
    if encoded[:2] == _DENSE:
        _, total, low, high, first, width = _header(encoded)
        row = struct.unpack(f"<{(len(encoded) - _HEADER.size) // width}{_FORMATS[width]}", encoded[_HEADER.size :])
        return Packed(total, low, high, ((place, many) for place, many in enumerate(row, first) if many))
    if not encoded:
        return None
    numbers = _numbers(encoded)
    return Packed(numbers[0], numbers[1], numbers[1] + numbers[2], _pairs(numbers))


# -- dense -----------------------------------------------------------------------------------------------------------


def _width(largest: int) -> int:
    return next(width for width in _FORMATS if largest < 1 << 8 * width)


def _header(encoded: bytes) -> tuple[bytes, int, int, int, int, int]:
    if len(encoded) <= _HEADER.size:
        raise ValueError(_CUT)
    head: tuple[bytes, int, int, int, int, int] = _HEADER.unpack_from(encoded)
    width = head[-1]
    many, rest = divmod(len(encoded) - _HEADER.size, width if width in _FORMATS else len(encoded))
    if rest or head[-2] + many > PLACES:
        raise ValueError(_CUT)
    return head


def _row(encoded: bytes) -> tuple[int, int, int, int, int]:
    """Sum, low, high, first place, and the row as one integer with 64 bits a place."""
    _, total, low, high, first, width = _header(encoded)
    wide = bytearray((len(encoded) - _HEADER.size) // width * _LANE)
    for byte in range(width):
        wide[byte::_LANE] = encoded[_HEADER.size + byte :: width]
    return total, low, high, first, int.from_bytes(wide, "little")


# -- sparse ----------------------------------------------------------------------------------------------------------


def _sparse(total: int, low: int, high: int, pairs: Iterable[tuple[int, int]]) -> bytes:
    out = bytearray()
    for number in (total, low, high - low):
        _put(out, number)
    before = -1
    for place, many in pairs:
        code = (place - before - 1) << _BITS | min(many - 1, _MORE)
        before = place
        if code < _BYTE:
            out.append(code)
        else:
            _put(out, code)
        if many > _MORE:
            _put(out, many - _MORE - 1)
    return bytes(out)


def _pairs(numbers: Sequence[int]) -> Iterable[tuple[int, int]]:
    place, rest = -1, iter(numbers[3:])
    for number in rest:
        place += (number >> _BITS) + 1
        many = number & _MORE
        yield place, many + 1 if many < _MORE else _MORE + 1 + next(rest, 0)


def _scatter(encoded: bytes, found: list[int]) -> tuple[int, int, int]:
    numbers = _numbers(encoded)
    place, rest = -1, iter(numbers[3:])
    for number in rest:  # ``_pairs`` again: what a generator takes is half of all here
        place += (number >> _BITS) + 1
        many = number & _MORE
        found[place] += many + 1 if many < _MORE else _MORE + 1 + next(rest, 0)
    return numbers[0], numbers[1], numbers[1] + numbers[2]


def _put(out: bytearray, number: int) -> None:
    while number >= _BYTE:
        out.append(number & (_BYTE - 1) | _BYTE)
        number >>= 7
    out.append(number)


def _numbers(encoded: bytes) -> Sequence[int]:
    numbers: Sequence[int] = encoded if max(encoded) < _BYTE else _varints(encoded)
    if len(numbers) < 4:
        raise ValueError(_CUT)
    return numbers


def _varints(encoded: bytes) -> list[int]:
    numbers, number, shift = [], 0, 0
    for byte in encoded:
        if byte < _BYTE:
            numbers.append(number | byte << shift if shift else byte)
            number = shift = 0
        else:
            number |= (byte & (_BYTE - 1)) << shift
            shift += 7
    if shift:
        raise ValueError(_CUT)
    return numbers
