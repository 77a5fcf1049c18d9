"""Signed links: good for one path, one set of parameters and a time; nothing else passes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.handlers import links
from wedsync_ops.handlers.contract import PermanentError, Site
from wedsync_ops.handlers.links import LinkRefused, signed, verify
from wedsync_ops.instants import SECOND

SITE = Site(
    outbox=Path("outbox"), timezone="UTC", public_url="https://x.example/wed", mail_from="a@b.c", link_secret="ab" * 32
)
NOW = 1_800_000_000 * SECOND
LATER = NOW + 60 * SECOND


def test_a_link_gives_its_parameters_back_until_it_expires() -> None:
    link = signed(SITE, "/meetings/m1", {"duration": "60", "note": "a & b = ü"}, LATER)
    assert link.startswith("https://x.example/wed/meetings/m1?duration=60&note=")
    assert verify(SITE, link, NOW) == {"duration": "60", "note": "a & b = ü"}
    assert verify(SITE, link, LATER - 1) == {"duration": "60", "note": "a & b = ü"}
    with pytest.raises(LinkRefused, match="expired at 2027-01-15T08:01:00"):
        verify(SITE, link, LATER)


def test_a_link_survives_a_move_of_the_public_url() -> None:
    moved = Site(**{**{name: getattr(SITE, name) for name in Site.__slots__}, "public_url": "https://y.example"})
    link = signed(SITE, "/m/1", {}, LATER).replace("https://x.example/wed", "https://y.example")
    assert verify(moved, link, NOW) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/meetings/", "/forms/"),
        ("duration=60", "duration=61"),
        ("duration=60", "Duration=60"),
        ("duration=60&", ""),
        ("duration=60", "duration=60&duration=60"),
        ("duration=60", "duration=60&more=1"),
        ("expires=18", "expires=19"),
        ("expires=18", "expires=-18"),
        ("expires=", "expires=0"),
        ("expires=", "expires=%C2%B2"),
        ("sig=", "sig=A"),
        ("sig=", "sig=%ED%A0%80"),
        ("sig=", "gis="),
        ("expires=", "gone="),
        ("?", "?&&=;"),
    ],
)
def test_a_changed_link_is_refused(old: str, new: str) -> None:
    link = signed(SITE, "/meetings/m1", {"duration": "60"}, LATER)
    assert old in link
    changed = link.replace(old, new, 1)
    if old == "expires=" and new == "expires=0":
        assert verify(SITE, changed, NOW) == {"duration": "60"}  # the same number
        return
    with pytest.raises(LinkRefused):
        verify(SITE, changed, NOW)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4), st.text(max_size=30))
def test_no_made_up_parameters_pass(params: dict[str, str], signature: str) -> None:
    with pytest.raises(LinkRefused):
        verify(SITE, ("/meetings/m1", {**params, "expires": "1900000000", "sig": signature}), NOW)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_different_texts_have_different_digests(one: list[str], other: list[str]) -> None:
    assert (links.digest(SITE, *one) == links.digest(SITE, *other)) == (one == other)


def test_another_secret_makes_another_link_and_none_makes_no_link() -> None:
    other = Site(**{**{name: getattr(SITE, name) for name in Site.__slots__}, "link_secret": "cd" * 32})
    with pytest.raises(LinkRefused):
        verify(other, signed(SITE, "/m/1", {}, LATER), NOW)
    without = Site(**{**{name: getattr(SITE, name) for name in Site.__slots__}, "link_secret": ""})
    with pytest.raises(PermanentError):
        signed(without, "/m/1", {}, LATER)


@pytest.mark.parametrize("path", ["", "m", "/m?x", "/m/../%41", "//x.example", "/m/\n", "/m/é"])
def test_a_path_that_needs_escaping_is_a_mistake_of_the_caller(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        signed(SITE, path, {}, LATER)


@pytest.mark.parametrize("name", ["expires", "sig"])
def test_the_links_own_parameters_cannot_be_given(name: str) -> None:
    with pytest.raises(ValueError, match="own parameters"):
        signed(SITE, "/m", {name: "1"}, LATER)


@pytest.mark.parametrize("address", ["https://g.page/r/abc?x=1#y", "http://example.com", "https://x.example:8443/a"])
def test_a_plain_web_address_is_good(address: str) -> None:
    assert links.web_address_fault(address) is None


@pytest.mark.parametrize(
    "address",
    [
        None, 5, "", "javascript:alert(1)", "https://", "https://good.example@evil.example/", "https://x.example/a b",
        "https://x.example/\u202egpj", 'https://x.example/"><script>', "https://x.example/\n", "ftp://x.example",
        "https://x.example/" + "a" * 2000, "http\u017f://x.example", "https://\u212aing.example", "https://x.example/\u017f",
    ],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_refused(address: object) -> None:
    assert links.web_address_fault(address)
