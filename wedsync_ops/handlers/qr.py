"""QR codes of links, as pictures that stand alone."""

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from wedsync_ops.handlers.attachments import Attachment

_SCALE = 8
"""Dots a module, both ways: then a byte of the code's rows is a module's byte in a picture of one bit a dot."""
_DARK = re.compile(rb"\x00+")
_SVG = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<svg xmlns="http://www.w3.org/2000/svg" width="{pixels}" height="{pixels}" viewBox="0 0 {size} {size}">'
    '<title>{name}</title><path fill="#fff" d="M0 0h{size}v{size}H0z"/>'
    '<path stroke="#000" shape-rendering="crispEdges" d="{dark}"/></svg>\n'
)


@lru_cache(maxsize=256)
def pictures(link: str, name: str) -> tuple[Attachment, Attachment]:
    """The QR code (ISO/IEC 18004, error correction M: 15 %) of a link, as ``name``.png and ``name``.svg."""
    import zxingcpp

    code = zxingcpp.create_barcode(link, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    image: Any = code.to_image()  # a buffer of one byte a module, 0 where it is dark, quiet zone included
    size, whole = image.shape[0], bytes(image)
    rows = [whole[start : start + size] for start in range(0, size * size, size)]
    return (
        Attachment(f"{name}.png", "image/png", _png(rows)),
        Attachment(f"{name}.svg", "image/svg+xml", _svg(rows, name)),
    )


def _svg(rows: Sequence[bytes], name: str) -> bytes:
    """The code as one path: a stroke for every run of dark modules."""
    spans = [(y, *run.span()) for y, row in enumerate(rows) for run in _DARK.finditer(row)]
    dark = "".join([f"M{start} {y}.5H{end}" for y, start, end in spans])
    return _SVG.format(size=len(rows), pixels=len(rows) * _SCALE, name=name, dark=dark).encode()


def _png(rows: Sequence[bytes]) -> bytes:
    """The code as a PNG (ISO/IEC 15948) of one bit a dot; dots in rows that repeat are told as no change (filter 2)."""
    same = (b"\2" + bytes(len(rows))) * (_SCALE - 1)
    lines = b"".join([b"\0" + row + same for row in rows])
    header = (len(rows) * _SCALE).to_bytes(4, "big") * 2 + bytes((1, 0, 0, 0, 0))  # one bit of grey
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
