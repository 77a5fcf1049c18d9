"""How many parts a text message is sent in. Pure.

The alphabet is that of 3GPP TS 23.038 (GSM 03.38), section 6.2.1, with its extension table; a text that holds anything
else is sent as UCS-2. The sizes follow from a message's 140 bytes, of which a part of a longer one gives 6 to its
header (3GPP TS 23.040, section 9.2.3.24.1): 160 or 153 signs of 7 bits, 70 or 67 of 16 bits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The 128 signs of the default alphabet in the order of their codes; 27 is the escape to the extension."""
GSM_EXTENSION = "\f^{}\\[~]|€"
"""The signs of the extension table; each takes two of the alphabet's places, which are never parted."""
_WIDTHS = {sign: 1 for sign in GSM_BASIC if sign != "\x1b"} | dict.fromkeys(GSM_EXTENSION, 2)
_GSM_WHOLE, _GSM_PART = 160, 153
_UCS2_WHOLE, _UCS2_PART = 70, 67
_BEYOND_16_BITS = 0x10000


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text is sent: its encoding, its length in units of that encoding, and the number of parts (1 at least)."""

    encoding: Literal["gsm-7", "ucs-2"]
    units: int
    count: int


def segments(text: str) -> Segments:
    """The parts that a text is sent in. A sign of two units (an extension, a surrogate pair) is never split."""
    widths = [_WIDTHS.get(sign, 0) for sign in text]
    if all(widths):
        return Segments("gsm-7", sum(widths), _count(widths, _GSM_WHOLE, _GSM_PART))
    widths = [2 if ord(sign) >= _BEYOND_16_BITS else 1 for sign in text]
    return Segments("ucs-2", sum(widths), _count(widths, _UCS2_WHOLE, _UCS2_PART))


def _count(widths: Iterable[int], whole: int, part: int) -> int:
    count, used, total = 1, 0, 0
    for width in widths:
        total += width
        if used + width > part:
            count, used = count + 1, 0
        used += width
    return 1 if total <= whole else count
