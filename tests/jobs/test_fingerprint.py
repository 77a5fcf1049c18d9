import pytest

from wedsync_ops.jobs.fingerprint import fingerprint, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ConnectionError: attempt 1 of 3", "ConnectionError: attempt 2 of 3"),
        ("no template 'hello'", 'no template "good bye"'),
        ("550 refused: ann@example.org", "550 refused: bo.b+x@other.example"),
        ("GET https://a.example/x?y=1 failed", "GET http://b.example failed"),
        ("no order 7f3a9c1e-0b2d-4c6e-9f00-aabbccddeeff", "no order 00000000-0b2d-4c6e-9f00-aabbccddeeff"),
        ("object at 0x7f8e16f26bd0", "object at 0x7f8e16f26c00"),
        ("blob deadbeefcafe is gone", "blob 0123456789ab is gone"),
        ("down at 10.0.0.3:25", "down at 192.168.1.77:587"),
        ("KeyError: c-17", "KeyError: c-18"),
        ("Timed  out\nafter 3 s", "timed out after 30 s"),
    ],
)
def test_what_is_particular_to_one_job_does_not_count(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ConnectionError: refused", "ConnectionError: reset"),
        ("ValueError: no", "TypeError: no"),
        ("it couldn't find the couple's file", "it couldn't read the couple's file"),
        ("", "no"),
    ],
)
def test_what_is_said_does(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_it_is_eight_hex_digits_and_stays_what_it_is() -> None:
    assert fingerprint("SMTP 550: no such user 'ann'") == "2d81f164"
    assert fingerprint(None) == fingerprint("")
    assert int(fingerprint("lone \ud800 surrogate"), 16) >= 0
