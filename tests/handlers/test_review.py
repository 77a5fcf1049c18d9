"""The review module: asks after the wedding, on the platforms that the supplier is on, and reminds once."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.handlers.hostile import HOSTILE
from tests.handlers.mailing import CONTEXT, mails, order, site_in
from tests.handlers.test_info import Tags
from wedsync_ops.handlers import links
from wedsync_ops.handlers.contract import Site, problems
from wedsync_ops.handlers.review import FEEDBACK_DAYS, handle
from wedsync_ops.instants import DAY, parse_instant
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt, Verdict

NOW = parse_instant("2027-06-26T10:00:00Z")
ABOUT: dict[str, Any] = {
    **CONTEXT,
    "supplier_data": {
        **CONTEXT["supplier_data"],
        "review_links": {"google": "https://g.page/r/lumen/review"},
        "yelp_review_url": "https://yelp.example/writeareview/lumen",
    },
}
CONFIG = {"platforms": ["google", "yelp", "internal"]}


def site(folder: Path) -> Site:
    return site_in(folder, link_secret="5e" * 32)


def perform(
    where: Site, config: dict[str, Any] = CONFIG, about: dict[str, Any] = ABOUT, now: int = NOW, **more: Any
) -> Verdict:
    return Attempt(order(config, about, module="review", **more), where, now, lambda _: None).perform()


def result_of(verdict: Verdict) -> dict[str, Any]:
    assert verdict.result is Result.OK, verdict.error
    answer: dict[str, Any] = json.loads(verdict.data or b"")
    return answer


def bodies(where: Site) -> tuple[str, str]:
    html, text = (mails(where)[-1].get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert text is not None
    return html.get_content(), text.get_content()


def test_every_platform_has_its_link_and_the_suppliers_own_page_a_signed_one(tmp_path: Path) -> None:
    where = site(tmp_path)
    answer = result_of(perform(where))
    assert answer["review_requested"] is True
    assert answer["links"]["google"] == "https://g.page/r/lumen/review"
    assert answer["links"]["yelp"] == "https://yelp.example/writeareview/lumen"
    own = answer["links"]["internal"]
    assert own.startswith("http://x.example/feedback/")
    assert links.verify(where, own, NOW) == {}
    with pytest.raises(links.LinkRefused):
        links.verify(where, own, NOW + FEEDBACK_DAYS * DAY)
    html, text = bodies(where)
    addresses = {attributes["href"] for tag, attributes in Tags(html).found if tag == "a"}
    assert addresses == set(answer["links"].values())
    assert [address for address in answer["links"].values() if address not in text] == []
    assert "src=" not in html


def test_the_suppliers_own_words_are_filled_in_and_the_incentive_is_told(tmp_path: Path) -> None:
    where = site(tmp_path)
    config = {**CONFIG, "custom_message": "{{ couple_name }}, how was <it>?", "incentive": "a free print {{ 7*7 }}"}
    result_of(perform(where, config))
    html, text = bodies(where)
    assert "Ada &amp; Grace, how was &lt;it&gt;?" in html
    assert "Ada & Grace, how was <it>?" in text
    assert "a free print {{ 7*7 }}" in text


class TestFollowUp:
    def test_is_one_review_job_a_week_later(self, tmp_path: Path) -> None:
        (row,) = json.loads(perform(site(tmp_path)).enqueue or b"")
        assert (row["module_type"], row["config"], row["delay"]) == ("review", CONFIG, 7 * 24 * 60)
        assert row["context"]["step_data"] == {"review_follow_up": True}

    def test_has_one_key_however_often_the_job_runs(self, tmp_path: Path) -> None:
        keys = [json.loads(perform(site(tmp_path), key=key).enqueue or b"")[0]["key"] for key in ("a", "a", "b")]
        assert keys[0] == keys[1] != keys[2]
        (long,) = json.loads(perform(site(tmp_path), key="x" * 255).enqueue or b"")
        assert len(long["key"]) <= 255

    def test_says_so_and_asks_for_no_other(self, tmp_path: Path) -> None:
        where = site(tmp_path)
        (row,) = json.loads(perform(where).enqueue or b"")
        verdict = perform(where, row["config"], row["context"], key=row["key"])
        assert verdict.enqueue is None
        assert result_of(verdict)["follow_up"] is True
        assert {mail["Subject"] for mail in mails(where)} == {
            "How was it, Ada & Grace?",
            "A last question, Ada & Grace",
        }


class TestWedding:
    @pytest.mark.parametrize(
        ("zone", "now"),
        [
            ("UTC", "2027-06-19T23:59:59Z"),
            ("UTC", "2027-05-01T10:00:00Z"),
            ("America/New_York", "2027-06-20T03:59:59Z"),
        ],
    )
    def test_that_is_not_over_is_waited_for(self, tmp_path: Path, zone: str, now: str) -> None:
        verdict = perform(site(tmp_path), CONFIG, {**ABOUT, "timezone": zone}, parse_instant(now))
        assert (verdict.result, verdict.permanent, verdict.enqueue) == (Result.ERROR, False, None)
        wanted = parse_instant("2027-06-26T00:00" + ("-04:00" if zone.startswith("America") else "Z"))
        assert verdict.retry_after_s == pytest.approx((wanted - parse_instant(now)) / 1e6)
        assert mails(site(tmp_path)) == []

    @pytest.mark.parametrize(("zone", "now"), [("UTC", "2027-06-20T00:00Z"), ("Australia/Sydney", "2027-06-19T14:00Z")])
    def test_that_is_over_is_asked_about(self, tmp_path: Path, zone: str, now: str) -> None:
        result_of(perform(site(tmp_path), CONFIG, {**ABOUT, "timezone": zone}, parse_instant(now)))


@pytest.mark.parametrize(
    ("supplier", "place"),
    [
        ({}, "review_links.google: the address of the supplier's page is missing"),
        ({"review_links": "x"}, "review_links.google: the address"),
        ({"review_links": {"google": "javascript:alert(1)"}}, "review_links.google: must be an http or https"),
        ({"google_review_url": "https://x.example/ a"}, "google_review_url: must be"),
        ({"google_review_url": 5}, "google_review_url: must be text"),
    ],
)
def test_a_platform_without_a_good_link_is_refused_when_queued(
    tmp_path: Path, supplier: dict[str, Any], place: str
) -> None:
    found = problems(
        handle, {"platforms": ["google", "internal"]}, {**ABOUT, "supplier_data": supplier}, site(tmp_path)
    )
    assert [fault.startswith(f"context.supplier_data.{place}") for fault in found] == [True]


@pytest.mark.parametrize(
    ("config", "about", "place"),
    [
        (CONFIG, {**ABOUT, "wedding_date": None}, "context.wedding_date: is missing"),
        (CONFIG, {**ABOUT, "client_data": {}}, "context.client_data.email: "),
        ({**CONFIG, "custom_message": "{{ 1/0 }}"}, ABOUT, "config.custom_message: "),
    ],
)
def test_what_can_never_be_asked_is_refused_when_queued(
    tmp_path: Path, config: dict[str, Any], about: dict[str, Any], place: str
) -> None:
    (found,) = problems(handle, config, about, site(tmp_path))
    assert found.startswith(place)


def test_a_suppressed_couple_gets_nothing_and_no_reminder(tmp_path: Path) -> None:
    verdict = perform(site(tmp_path), suppressed="complaint")
    answer = result_of(verdict)
    assert (answer["review_requested"], answer["suppressed"]) == (False, "complaint")
    assert verdict.enqueue is None
    assert mails(site(tmp_path)) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(couple=HOSTILE, supplier=HOSTILE, incentive=HOSTILE, journey=HOSTILE)
def test_hostile_text_stays_text(
    tmp_path_factory: pytest.TempPathFactory, couple: str, supplier: str, incentive: str, journey: str
) -> None:
    where = site(tmp_path_factory.mktemp("hostile"))
    about = {
        **ABOUT,
        "journey_instance_id": journey,
        "client_data": {"email": "couple@example.org", "couple_name": couple},
        "supplier_data": {**ABOUT["supplier_data"], "name": supplier},
    }
    answer = result_of(perform(where, {**CONFIG, "incentive": incentive}, about))
    [mail] = mails(where)
    tags = Tags(bodies(where)[0]).found
    assert not [tag for tag, _ in tags if tag in ("script", "img")]
    assert {attributes["href"] for tag, attributes in tags if tag == "a"} == set(answer["links"].values())
    assert mail["Bcc"] is None


@pytest.mark.parametrize("size", [600_000, 1_040_000])
def test_the_reminder_of_a_context_of_nearly_a_mebibyte_carries_what_it_needs(tmp_path: Path, size: int) -> None:
    where = site(tmp_path)
    about = {**ABOUT, "step_data": {"id": 7, "long": "x" * size}}
    config = {**CONFIG, "custom_message": "y" * 10_000}
    verdict = perform(where, config, about)
    assert result_of(verdict)["review_requested"] is True
    [row] = json.loads(verdict.enqueue or b"")
    assert list(problems(handle, row["config"], row["context"], where)) == []
    assert row["context"]["step_data"]["review_follow_up"] is True
    again = result_of(perform(where, row["config"], row["context"], key="again"))
    public = ("google", "yelp")
    assert [again["links"][name] for name in public] == [result_of(verdict)["links"][name] for name in public]
    assert "Dear Ada & Grace" in bodies(where)[1]


def test_the_buttons_have_the_suppliers_colour(tmp_path: Path) -> None:
    where = site(tmp_path)
    result_of(perform(where, CONFIG, {**ABOUT, "supplier_data": {**ABOUT["supplier_data"], "brand_color": "#f0e040"}}))
    html, _ = bodies(where)
    assert html.count("background-color:#f0e040;color:#2b2522") == 2
    assert "#7a3b4e" not in html
