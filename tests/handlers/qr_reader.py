"""A reader of small QR codes (ISO/IEC 18004), of our own, so that what an encoder wrote is not judged by itself."""

import re
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

Matrix = list[list[bool]]
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_Q, _H = 0b11, 0b10
_MASKS: list[Callable[[int, int], bool]] = [
    lambda y, x: (y + x) % 2 == 0,
    lambda y, _: y % 2 == 0,
    lambda _, x: x % 3 == 0,
    lambda y, x: (y + x) % 3 == 0,
    lambda y, x: (y // 2 + x // 3) % 2 == 0,
    lambda y, x: y * x % 2 + y * x % 3 == 0,
    lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0,
    lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0,
]


def text_of(modules: Matrix) -> str:
    """What a code of versions 1 to 3 says; errors are not corrected, so none are forgiven."""
    size = len(modules)
    assert size in (21, 25, 29)
    # Format information (level, mask), beside the upper left finder, unmasked by its own constant.
    level_and_mask = [modules[8][x] for x in range(5)]
    number = sum(bit << (4 - place) for place, bit in enumerate(level_and_mask)) ^ 0b10101
    bits = "".join("01"[modules[y][x] ^ _MASKS[number & 7](y, x)] for y, x in _path(size))
    words = [int(bits[place : place + 8], 2) for place in range(0, len(bits) - 7, 8)]
    each = {_Q: 17, _H: 13}.get(number >> 3)
    if size == 29 and each is not None:  # in version 3 these levels have two blocks, which lie interleaved
        words = words[: 2 * each : 2] + words[1 : 2 * each : 2]
    data = "".join(f"{word:08b}" for word in words)
    return "".join(_segments(data))


def _segments(data: str) -> Iterator[str]:
    """The texts of the segments of a bit stream, up to its terminator (ISO/IEC 18004, 7.4, lengths of versions 1-9)."""
    bits = iter(data)

    def take(count: int) -> int:
        return int("".join(islice(bits, count)), 2)

    while (mode := "".join(islice(bits, 4))).strip("0"):
        if mode == "0100":  # bytes
            length = take(8)
            yield bytes(take(8) for _ in range(length)).decode()
        elif mode == "0010":  # pairs of an alphabet of 45
            length = take(9)
            for _ in range(length // 2):
                first, second = divmod(take(11), 45)
                yield _ALPHANUMERIC[first] + _ALPHANUMERIC[second]
            yield _ALPHANUMERIC[take(6)] if length % 2 else ""
        else:
            assert mode == "0001", mode  # digits in threes
            length = take(10)
            for _ in range(length // 3):
                yield f"{take(10):03}"
            rest = length % 3
            yield f"{take(3 * rest + 1):0{rest}}" if rest else ""


def _path(size: int) -> Iterator[tuple[int, int]]:
    """Where the data lies: upwards and downwards in columns of two, from the lower right."""
    upwards = True
    for right in [*range(size - 1, 6, -2), 5, 3, 1]:
        for step in range(size):
            y = size - 1 - step if upwards else step
            for x in (right, right - 1):
                if not _is_function(y, x, size):
                    yield y, x
        upwards = not upwards


def _is_function(y: int, x: int, size: int) -> bool:
    finder = (y < 9 and x < 9) or (y < 9 and x >= size - 8) or (y >= size - 8 and x < 9)
    centre = size - 7
    alignment = size > 21 and abs(y - centre) <= 2 and abs(x - centre) <= 2
    return finder or alignment or y == 6 or x == 6


def from_png(raw: bytes, border: int = 4) -> Matrix:
    """The modules of a PNG of one bit a dot, black on white."""
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(raw):
        length, kind = int.from_bytes(raw[place : place + 4], "big"), raw[place + 4 : place + 8]
        chunks[kind] = chunks.get(kind, b"") + raw[place + 8 : place + 8 + length]
        assert int.from_bytes(raw[place + 8 + length : place + 12 + length], "big") == zlib.crc32(kind + chunks[kind])
        place += length + 12
    width, depth = int.from_bytes(chunks[b"IHDR"][:4], "big"), chunks[b"IHDR"][8]
    assert depth == 1
    row_bytes = (width + 7) // 8 + 1
    data = zlib.decompress(chunks[b"IDAT"])
    row, rows = bytes(row_bytes - 1), []
    for start in range(0, len(data), row_bytes):
        kind_of_filter, told = data[start], data[start + 1 : start + row_bytes]
        assert kind_of_filter in (0, 2)  # none, or the difference to the row above
        row = bytes((new + old) & 255 for new, old in zip(told, row, strict=True)) if kind_of_filter else told
        rows.append(row)
    dots = [[not row[x // 8] >> (7 - x % 8) & 1 for x in range(width)] for row in rows]
    return _modules(dots, border)


def _modules(dots: Matrix, border: int) -> Matrix:
    """One module of each square of dots; the quiet border is cut off, and is quiet."""
    scale = next(y for y, row in enumerate(dots) if any(row)) // border
    grid = [row[::scale] for row in dots[::scale]]
    assert not any(any(row) for row in (*grid[:border], *grid[-border:]))
    return [row[border:-border] for row in grid[border:-border]]


def from_svg(text: str, border: int = 4) -> Matrix:
    """The modules of an SVG that draws them as strokes, each through the middle of one row."""
    drawn = re.findall(r' stroke="#000" .*?d="((?:M\d+ \d+\.5H\d+)+)"', text)
    dark = {
        (int(y), x)
        for start, y, end in re.findall(r"M(\d+) (\d+)\.5H(\d+)", "".join(drawn))
        for x in range(int(start), int(end))
    }
    size = max(row for row, _ in dark) + 1
    return [[(row, column) in dark for column in range(border, size)] for row in range(border, size)]
