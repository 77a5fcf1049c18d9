"""Every mail offers to unsubscribe, by a token that names the recipient without their address."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.handlers.mailing import CONTEXT, attempt, mails, site_in
from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers import unsubscribe
from wedsync_ops.handlers.contract import Site, recipient_digest
from wedsync_ops.jobs.model import Result

SECRET = "00" * 32
DIGEST = recipient_digest("mailto:couple@example.org")


def site(folder: Path = Path("nowhere")) -> Site:
    return site_in(folder, link_secret=SECRET)


@pytest.mark.parametrize(
    ("module", "config"),
    [
        ("email", {"template_id": "thank-you"}),
        ("form", {"form_id": "guests"}),
        ("info", {"title": "t", "content": "c", "display_in": "both"}),
    ],
)
def test_every_mail_carries_the_headers_of_rfc_8058(tmp_path: Path, module: str, config: dict[str, str]) -> None:
    at = site(tmp_path)
    assert attempt(at, config, module=module)[0] is Result.OK
    [mail] = mails(at)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link, mailto = re.findall(r"<([^>]*)>", mail["List-Unsubscribe"])
    assert link.startswith("http://x.example/u/")
    assert unsubscribe.digest_in(at, link) == DIGEST
    assert mailto.startswith("mailto:a@b.c?subject=unsubscribe%20")
    assert unsubscribe.digest_in(at, mailto.rpartition("%20")[2]) == DIGEST
    assert "couple" not in mail["List-Unsubscribe"]


def test_the_token_is_that_of_the_address_whatever_its_case(tmp_path: Path) -> None:
    at = site(tmp_path)
    context = {**CONTEXT, "client_data": {"email": "Couple@Example.ORG"}}
    attempt(at, {"template_id": "thank-you"}, context)
    [mail] = mails(at)
    assert unsubscribe.token_for(at, DIGEST) in mail["List-Unsubscribe"]


def test_without_a_secret_there_is_no_header(tmp_path: Path) -> None:
    attempt(site_in(tmp_path), {"template_id": "thank-you"})
    assert mails(site_in(tmp_path))[0]["List-Unsubscribe"] is None


def test_an_international_public_url_makes_a_plain_header(tmp_path: Path) -> None:
    at = Site(tmp_path, "UTC", "https://hochzeit.example/für uns", "a@b.c", link_secret=SECRET)
    link = unsubscribe.headers(at, "couple@example.org", "o'k%1@b.c")["List-Unsubscribe"]
    assert link.isascii()
    assert "https://hochzeit.example/f%C3%BCr%20uns/u/" in link
    assert "mailto:o%27k%251@b.c?" in link


class TestToken:
    @given(st.binary(min_size=16, max_size=16))
    def test_gives_the_digest_back_and_is_no_option(self, raw: bytes) -> None:
        token = unsubscribe.token_for(site(), raw.hex())
        assert unsubscribe.digest_in(site(), token) == raw.hex()
        assert token.isascii()
        assert not token.startswith("-")

    @given(st.integers(min_value=1, max_value=42), st.sampled_from("AB-_09"))
    def test_is_refused_when_a_letter_is_changed(self, place: int, letter: str) -> None:
        token = unsubscribe.token_for(site(), DIGEST)
        changed = token[:place] + letter + token[place + 1 :]
        if changed != token:
            with pytest.raises(InvalidInput):
                unsubscribe.digest_in(site(), changed)

    @pytest.mark.parametrize("text", ["", "u", "u!", "x", DIGEST, "u" + "A" * 43, "ué", "u\ud800", "u" * 100_000])
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            unsubscribe.digest_in(site(), text)

    def test_of_another_platform_is_refused(self) -> None:
        token = unsubscribe.token_for(site_in(Path("nowhere"), link_secret="11" * 32), DIGEST)
        with pytest.raises(InvalidInput):
            unsubscribe.digest_in(site(), token)
        with pytest.raises(InvalidInput):
            unsubscribe.digest_in(site_in(Path("nowhere")), token)
