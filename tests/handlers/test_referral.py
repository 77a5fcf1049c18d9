"""The referral module: a code of the couple's own, a link, a QR code that leads there, a reward in words."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.handlers import qr_reader
from tests.handlers.hostile import HOSTILE
from tests.handlers.mailing import CONTEXT, mails, order, site_in
from tests.handlers.test_info import Tags
from wedsync_ops.handlers.contract import PermanentError, Site, claim_of, problems
from wedsync_ops.handlers.referral import handle
from wedsync_ops.instants import parse_instant
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt, Verdict

NOW = parse_instant("2027-07-13T12:00:00Z")
CODE = re.compile(r"[0-9BCDFGHJKMNPQRSTVWXYZ]{10}")


def site(folder: Path, **fields: Any) -> Site:
    return site_in(folder, **{"link_secret": "5e" * 32, **fields})


def perform(
    where: Site, config: dict[str, Any], about: dict[str, Any] = CONTEXT, now: int = NOW, **more: Any
) -> Verdict:
    return Attempt(order(config, about, module="referral", **more), where, now, lambda _: None).perform()


def result_of(verdict: Verdict) -> dict[str, Any]:
    assert verdict.result is Result.OK, verdict.error
    answer: dict[str, Any] = json.loads(verdict.data or b"")
    return answer


def body_of(where: Site) -> str:
    text = mails(where)[-1].get_body(("plain",))
    assert text is not None
    return str(text.get_content())


class TestCode:
    def test_is_made_of_signs_that_spell_nothing_and_is_always_the_same(self, tmp_path: Path) -> None:
        answers = [result_of(perform(site(tmp_path), {"reward_type": "gift"}, key=key)) for key in "abc"]
        assert {CODE.fullmatch(answer["tracking_code"]) is not None for answer in answers} == {True}
        assert len({answer["tracking_code"] for answer in answers}) == 1

    def test_another_couple_supplier_or_platform_has_another(self, tmp_path: Path) -> None:
        codes = {
            result_of(perform(where, {"reward_type": "gift"}, about))["tracking_code"]
            for where, about in [
                (site(tmp_path), CONTEXT),
                (site(tmp_path), {**CONTEXT, "client_id": "c2"}),
                (site(tmp_path), {**CONTEXT, "supplier_id": "s2"}),
                (site(tmp_path), {**CONTEXT, "supplier_id": "s", "client_id": "1c1"}),
                (site(tmp_path, link_secret="6f" * 32), CONTEXT),
            ]
        }
        assert len(codes) == 5

    def test_ids_that_are_numbers_are_the_same_as_text(self, tmp_path: Path) -> None:
        codes = [
            claim_of(handle, {"reward_type": "gift"}, {"supplier_id": a, "client_id": b}, site(tmp_path))
            for a, b in [(1, 2), ("1", "2")]
        ]
        assert codes[0] == codes[1]

    def test_is_claimed_as_it_is_given_whatever_its_case(self, tmp_path: Path) -> None:
        config = {"reward_type": "gift", "tracking_code": "Rose-Hall"}
        assert claim_of(handle, config, CONTEXT, site(tmp_path)) == "ROSE-HALL"
        answer = result_of(perform(site(tmp_path), config))
        assert answer["tracking_code"] == "Rose-Hall"
        assert answer["referral_url"] == "http://x.example/r/Rose-Hall"

    def test_without_a_secret_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(PermanentError, match="no secret"):
            claim_of(handle, {"reward_type": "gift"}, CONTEXT, site(tmp_path, link_secret=""))


def test_both_pictures_say_the_link(tmp_path: Path) -> None:
    where = site(tmp_path)
    url = result_of(perform(where, {"reward_type": "gift"}))["referral_url"]
    [mail] = mails(where)
    png, svg = (part.get_payload(decode=True) for part in mail.iter_attachments())
    assert isinstance(png, bytes)
    assert isinstance(svg, bytes)
    assert [part.get_content_type() for part in mail.iter_attachments()] == ["image/png", "image/svg+xml"]
    assert qr_reader.text_of(qr_reader.from_png(png)) == url
    assert qr_reader.text_of(qr_reader.from_svg(svg.decode())) == url
    drawing = Tags(svg.decode()).found
    assert {tag for tag, _ in drawing} == {"svg", "title", "path"}
    assert not [name for _, attributes in drawing for name in attributes if "href" in name or name.startswith("on")]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"reward_type": "discount"}, "a discount"),
        ({"reward_type": "discount", "reward_amount": 0}, "a discount"),
        ({"reward_type": "discount", "reward_amount": 12.5}, "a discount of 12.50%"),
        ({"reward_type": "discount", "reward_amount": 0.001}, "a discount of 0.001%"),
        ({"reward_type": "discount", "reward_amount": 99.999}, "a discount of 99.999%"),
        ({"reward_type": "discount", "reward_amount": 1e-7}, "a discount of 0.0000001%"),
        ({"reward_type": "credit", "reward_amount": 1234.567}, "a credit of 1,234.567 EUR"),
        ({"reward_type": "credit", "reward_amount": 1500}, "a credit of 1,500 EUR"),
        ({"reward_type": "gift", "reward_amount": 25.5}, "a gift worth 25.50 EUR"),
    ],
)
def test_the_reward_is_told_in_words(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    where = site(tmp_path)
    about = {**CONTEXT, "supplier_data": {"name": "Lumen & Oak", "currency": "EUR"}}
    assert result_of(perform(where, config, about))["reward"] == words
    assert f"there is {words} for you" in " ".join(body_of(where).split())


def test_money_without_a_currency_is_a_number(tmp_path: Path) -> None:
    about = {**CONTEXT, "supplier_data": {"currency": "<b>"}}
    config = {"reward_type": "credit", "reward_amount": 50}
    assert result_of(perform(site(tmp_path), config, about))["reward"] == "a credit of 50"


def test_a_discount_over_100_percent_is_refused_when_queued(tmp_path: Path) -> None:
    (found,) = problems(handle, {"reward_type": "discount", "reward_amount": 101}, CONTEXT, site(tmp_path))
    assert found.startswith("config.reward_amount: ")
    assert problems(handle, {"reward_type": "credit", "reward_amount": 101}, CONTEXT, site(tmp_path)) == ()


def test_a_couple_without_an_address_is_refused_when_queued(tmp_path: Path) -> None:
    (found,) = problems(handle, {"reward_type": "gift"}, {**CONTEXT, "client_data": {}}, site(tmp_path))
    assert found.startswith("context.client_data.email: ")


class TestExpiry:
    @pytest.mark.parametrize(
        ("expires_at", "zone", "now", "told"),
        [
            ("2027-07-13", "UTC", "2027-07-13T23:59:59Z", "Tuesday, 13 July 2027"),
            ("2027-07-13", "America/New_York", "2027-07-14T03:59:59Z", "Tuesday, 13 July 2027"),
            ("2027-07-13T22:00:00Z", "Australia/Sydney", "2027-07-13T21:00:00Z", "Wednesday, 14 July 2027"),
        ],
    )
    def test_the_offer_is_good_to_the_end_of_its_day_in_the_couples_zone(
        self, tmp_path: Path, expires_at: str, zone: str, now: str, told: str
    ) -> None:
        where = site(tmp_path)
        config = {"reward_type": "gift", "expires_at": expires_at}
        result_of(perform(where, config, {**CONTEXT, "timezone": zone}, parse_instant(now)))
        assert f"The offer is good until {told}." in body_of(where)

    def test_an_offer_without_end_says_none(self, tmp_path: Path) -> None:
        result_of(perform(site(tmp_path), {"reward_type": "gift", "expires_at": "9999-12-31"}))
        assert "good until" not in body_of(site(tmp_path))

    @pytest.mark.parametrize(
        ("expires_at", "zone", "now"),
        [
            ("2027-07-13", "UTC", "2027-07-14T00:00:00Z"),
            ("2027-07-13", "Australia/Sydney", "2027-07-13T14:00:00Z"),
            ("2027-07-13T12:00:00Z", "UTC", "2027-07-13T12:00:00Z"),
        ],
    )
    def test_an_offer_that_has_ended_is_never_sent(self, tmp_path: Path, expires_at: str, zone: str, now: str) -> None:
        config = {"reward_type": "gift", "expires_at": expires_at}
        verdict = perform(site(tmp_path), config, {**CONTEXT, "timezone": zone}, parse_instant(now))
        assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
        assert mails(site(tmp_path)) == []


def test_a_suppressed_couple_gets_nothing(tmp_path: Path) -> None:
    answer = result_of(perform(site(tmp_path), {"reward_type": "gift"}, suppressed="unsubscribed"))
    assert (answer["referral_sent"], answer["suppressed"]) == (False, "unsubscribed")
    assert mails(site(tmp_path)) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    couple=HOSTILE,
    supplier=HOSTILE,
    ident=HOSTILE,
    step=st.dictionaries(st.sampled_from(["reward", "tracking_code", "referral_url"]), HOSTILE),
)
def test_hostile_text_stays_text(
    tmp_path_factory: pytest.TempPathFactory, couple: str, supplier: str, ident: str, step: dict[str, str]
) -> None:
    where = site(tmp_path_factory.mktemp("hostile"))
    about = {
        **CONTEXT,
        "client_id": ident,
        "client_data": {"email": "couple@example.org", "couple_name": couple},
        "supplier_data": {"name": supplier, "currency": supplier},
        "step_data": step,
    }
    answer = result_of(perform(where, {"reward_type": "gift", "reward_amount": 5}, about))
    assert answer["reward"] == "a gift worth 5"
    [mail] = mails(where)
    html = mail.get_body(("html",))
    assert html is not None
    tags = Tags(html.get_content()).found
    assert not [tag for tag, _ in tags if tag in ("script", "img")]
    assert {attributes["href"] for tag, attributes in tags if tag == "a"} == {answer["referral_url"]}
    assert mail["Bcc"] is None
