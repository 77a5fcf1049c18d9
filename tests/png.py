"""PNG files (ISO/IEC 15948) as the pictures need them: their size, and the upper part of one."""

import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height. Raises ValueError when it is no PNG."""
    if not picture.startswith(SIGNATURE) or picture[12:16] != b"IHDR":
        raise ValueError("no PNG")
    return int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")


def cut(picture: bytes, height: int) -> bytes:
    """The first rows of a picture that is not interlaced. A row's filter needs none below it, so they stay."""
    width, rows = size_of(picture)
    parts = dict[bytes, bytes]()
    for kind, data in _chunks(picture):
        parts[kind] = parts.get(kind, b"") + data
    head = parts[b"IHDR"]
    bits = head[8] * _SAMPLES[head[9]]
    row = 1 + -(-width * bits // 8)
    height = min(height, rows)
    head = head[:4] + height.to_bytes(4, "big") + head[8:]
    lines = zlib.decompress(parts[b"IDAT"])[: row * height]
    kept = [(b"IHDR", head), (b"PLTE", parts.get(b"PLTE", b"")), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in kept if data or kind == b"IEND")


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        yield picture[place + 4 : place + 8], picture[place + 8 : place + 8 + length]
        place += length + 12


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
