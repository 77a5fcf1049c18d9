"""What stands in headers: nothing that breaks a line, reorders text, or hides in it."""

import pytest

from wedsync_ops.handlers.addresses import named_address, one_line


@pytest.mark.parametrize(
    "sign", ["\r\n", "\x00", "\u061c", "\u180e", "\u200b", "\u202e", "\u2066", "\ufeff", "\U000e0001", "\U000e0061"]
)
def test_a_sign_that_cannot_be_seen_is_dropped(sign: str) -> None:
    assert one_line(f"Ada{sign}Grace{sign}") == "Ada Grace"
    assert named_address(f"Ada{sign}Grace <a@example.org>")[0] == "Ada Grace"


def test_a_flag_made_of_tags_keeps_its_black_one() -> None:
    assert one_line("From \U0001f3f4\U000e0067\U000e0062\U000e007f with love") == "From \U0001f3f4 with love"
