"""Counting the parts of a text message: the alphabet of GSM 03.38, UCS-2, and pairs that are never split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.handlers.segments import GSM_BASIC, GSM_EXTENSION, segments

PLAIN = [sign for sign in GSM_BASIC if sign != "\x1b"]


@pytest.mark.parametrize(
    ("text", "encoding", "units", "count"),
    [
        ("", "gsm-7", 0, 1),
        ("a" * 160, "gsm-7", 160, 1),
        ("a" * 161, "gsm-7", 161, 2),
        ("a" * 306, "gsm-7", 306, 2),
        ("a" * 307, "gsm-7", 307, 3),
        ("€" * 80, "gsm-7", 160, 1),
        ("€" * 81, "gsm-7", 162, 2),
        ("a" * 152 + "€" * 77, "gsm-7", 306, 3),  # the euro at 153 moves whole into the second part
        ("a" * 153 + "€" * 76, "gsm-7", 305, 2),
        ("Ω" * 160, "gsm-7", 160, 1),
        ("ç", "ucs-2", 1, 1),  # only the capital is in the alphabet
        ("`", "ucs-2", 1, 1),
        ("я" * 70, "ucs-2", 70, 1),
        ("я" * 71, "ucs-2", 71, 2),
        ("я" * 134, "ucs-2", 134, 2),
        ("я" * 135, "ucs-2", 135, 3),
        ("😀" * 35, "ucs-2", 70, 1),
        ("😀" * 36, "ucs-2", 72, 2),
        ("я" * 66 + "😀" + "я" * 66, "ucs-2", 134, 3),  # the pair at 67 moves whole
        ("\x1b", "ucs-2", 1, 1),  # the escape itself is no sign
    ],
)
def test_known_lengths(text: str, encoding: str, units: int, count: int) -> None:
    found = segments(text)
    assert (found.encoding, found.units, found.count) == (encoding, units, count)


def test_the_alphabet_is_that_of_the_standard() -> None:
    assert len(GSM_BASIC) == len(set(GSM_BASIC)) == 128
    codes = {"@": 0x00, "\n": 0x0A, "\r": 0x0D, "Δ": 0x10, "_": 0x11, "É": 0x1F, " ": 0x20, "¤": 0x24, "?": 0x3F}
    codes |= {"¡": 0x40, "A": 0x41, "Z": 0x5A, "Ä": 0x5B, "§": 0x5F, "¿": 0x60, "a": 0x61, "z": 0x7A, "à": 0x7F}
    assert {sign: GSM_BASIC.index(sign) for sign in codes} == codes
    assert set(GSM_EXTENSION) == set("\f^{}\\[~]|€")


def _parts(text: str, encoding: str, room: int) -> list[int]:
    """The parts made one by one, as a phone's sender would: the units that each holds."""
    parts = [0]
    for sign in text:
        width = (2 if sign in GSM_EXTENSION else 1) if encoding == "gsm-7" else len(sign.encode("utf-16-be")) // 2
        if parts[-1] + width > room:
            parts.append(0)
        parts[-1] += width
    return parts


@given(
    st.one_of(
        st.text(alphabet=st.sampled_from([*PLAIN, *GSM_EXTENSION]), max_size=700),
        st.text(max_size=400),
        st.text(alphabet="aя😀€", max_size=400),
    )
)
def test_every_part_holds_what_it_may_and_no_sign_is_split(text: str) -> None:
    found = segments(text)
    assert (found.encoding == "gsm-7") is all(sign in PLAIN or sign in GSM_EXTENSION for sign in text)
    whole, room = (160, 153) if found.encoding == "gsm-7" else (70, 67)
    parts = _parts(text, found.encoding, room)
    assert found.units == sum(parts)
    assert found.count == (1 if found.units <= whole else len(parts))


@given(st.text(max_size=300), st.text(max_size=300))
def test_more_text_never_takes_fewer_parts(first: str, second: str) -> None:
    assert segments(first + second).count >= max(segments(first).count, 1)
