"""How messages name what they are about."""

import pytest

from wedsync_ops.errors import quoted, shortened


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("short", "'short'"),
        ("it's", '"it\'s"'),
        ("a\nb\x1b", r"'a\nb\x1b'"),
        ("x" * 60, f"'{'x' * 60}'"),
        ("x" * 61, f"'{'x' * 60}…'"),
        (3.5, "3.5"),
        (["a", 1], "['a', 1]"),
        (["x" * 61], f'"[\'{"x" * 58}…"'),
    ],
)
def test_a_quotation_is_closed_and_tells_when_it_is_cut(value: object, written: str) -> None:
    assert quoted(value) == written


def test_a_text_that_is_cut_ends_in_an_ellipsis() -> None:
    assert (shortened("abc", 3), shortened("abcd", 3)) == ("abc", "abc…")
