"""The info module: pages that stand alone and run nothing."""

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.handlers.hostile import HOSTILE
from tests.handlers.mailing import CONTEXT, attempt, mails, order
from tests.handlers.mailing import site_in as site_with
from wedsync_ops.handlers.contract import Site
from wedsync_ops.instants import parse_instant
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt, Verdict

SECRET = "00" * 32


def site_in(folder: Path, secret: str = SECRET) -> Site:
    return site_with(folder, link_secret=secret)


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(folder: Path) -> str:
    [file] = (folder / "outbox").rglob("*.html")
    return file.read_text()


@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_a_page_runs_nothing_and_loads_nothing(tmp_path: Path, kind: str) -> None:
    content = "<script>alert(1)</script> <img src='http://evil.example/x' onerror=x> **bold** [go](javascript:alert(1))"
    config = {"title": "Rain <plan>", "content": content, "content_type": kind}
    assert attempt(site_in(tmp_path), config, module="info")[0] is Result.OK
    tags = Tags(page(tmp_path)).found
    assert not [tag for tag, _ in tags if tag in ("script", "iframe", "object", "link")]
    for _, attributes in tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert not (attributes.get("src") or "").startswith("http")
        assert not (attributes.get("href") or "").startswith("javascript:")
    assert "<plan>" not in page(tmp_path)


def test_markdown_and_fields_are_rendered(tmp_path: Path) -> None:
    config = {"title": "For {{ couple_name }}", "content": "## Hello {{ couple_name }}", "content_type": "markdown"}
    assert attempt(site_in(tmp_path), config, module="info")[0] is Result.OK
    assert "Hello Ada &amp; Grace</h2>" in page(tmp_path)


def test_both_sends_the_page_by_mail_as_well(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    config = {"title": "Parking", "content": "Behind the barn.", "display_in": "both"}
    assert attempt(site, config, module="info")[0] is Result.OK
    assert page(tmp_path)
    assert len(mails(site)) == 1


def test_context_values_are_never_templates(tmp_path: Path) -> None:
    context = {**CONTEXT, "client_data": {"email": "a@example.org", "couple_name": "{{ 7*7 }}"}}
    config = {"title": "Hi", "content": "Dear {{ couple_name }}"}
    attempt(site_in(tmp_path), config, context, module="info")
    assert "49" not in page(tmp_path).partition("<body")[2]


def publish(
    site: Site,
    config: Mapping[str, Any],
    context: Mapping[str, Any] = CONTEXT,
    *,
    key: str = "k",
    now: str = "2027-01-01T00:00:00Z",
    suppressed: str | None = None,
) -> Verdict:
    wanted = order({"title": "t", "content": "c", **config}, context, key=key, module="info", suppressed=suppressed)
    return Attempt(wanted, site, parse_instant(now), lambda _: None).perform()


def published(site: Site, config: Mapping[str, Any], context: Mapping[str, Any] = CONTEXT, **more: Any) -> Any:
    verdict = publish(site, config, context, **more)
    assert verdict.result is Result.OK, verdict.error
    return json.loads(verdict.data or b"")


STEP: dict[str, Any] = {**CONTEXT, "step_data": {"id": "step-7"}}


class TestVersions:
    def site(self, folder: Path) -> Site:
        return site_in(folder)

    def test_a_step_keeps_its_page_and_new_content_is_a_new_version(self, tmp_path: Path) -> None:
        site = self.site(tmp_path)
        first, second = (published(site, {"content": text}, STEP, key=text) for text in ("one", "two"))
        assert first["page_id"] == second["page_id"]
        assert first["version"] != second["version"]
        pages = sorted(file.read_text() for file in site.outbox.glob("*.html"))
        assert [first["version"] in text or second["version"] in text for text in pages] == [True, True]

    def test_the_same_content_is_the_same_version(self, tmp_path: Path) -> None:
        site = self.site(tmp_path)
        versions = {published(site, {"content": "same"}, STEP, key=key)["version"] for key in ("a", "b")}
        assert len(versions) == 1

    @pytest.mark.parametrize("other", ["supplier_id", "client_id", "journey_instance_id", "step_id"])
    def test_nobody_else_gets_the_same_page(self, tmp_path: Path, other: str) -> None:
        site = self.site(tmp_path)
        own = published(site, {}, STEP)["page_id"]
        assert published(site, {}, {**STEP, other: "another"}, key="o")["page_id"] != own

    def test_without_a_step_every_job_has_its_own(self, tmp_path: Path) -> None:
        site = self.site(tmp_path)
        ids = [published(site, {}, key=key)["page_id"] for key in ("a", "a", "b")]
        assert ids[0] == ids[1] != ids[2]

    def test_a_page_cannot_be_guessed_without_the_secret(self, tmp_path: Path) -> None:
        for about in (CONTEXT, STEP):
            pages = {published(site_in(tmp_path, secret), {}, about)["page_id"] for secret in (SECRET, "11" * 32)}
            assert len(pages) == 2

    def test_without_a_secret_there_is_no_page(self, tmp_path: Path) -> None:
        verdict = publish(site_in(tmp_path, ""), {})
        assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
        assert "secret" in (verdict.error or "")
        assert list(site_in(tmp_path).outbox.glob("*")) == []


class TestExpiry:
    @pytest.mark.parametrize(
        ("expires", "last"),
        [
            ("2027-06-19", "2027-06-20T03:59:59.999999Z"),
            ("2027-11-07", "2027-11-08T04:59:59.999999Z"),
            ("2027-06-19T12:00:00Z", "2027-06-19T11:59:59.999999Z"),
        ],
    )
    def test_a_date_is_the_end_of_its_day_where_the_couple_is(self, tmp_path: Path, expires: str, last: str) -> None:
        context = {**CONTEXT, "timezone": "America/New_York"}
        data = published(site_in(tmp_path), {"expires_at": expires}, context, now=last)
        assert f'<meta name="page-expires" content="{data["expires_at"]}">' in page(tmp_path)
        verdict = publish(site_in(tmp_path), {"expires_at": expires}, context, key="late", now=data["expires_at"])
        assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
        assert len(list((tmp_path / "outbox").iterdir())) == 1


@pytest.mark.parametrize(("where", "sent"), [("page", 0), ("email", 1), ("both", 1)])
def test_display_in_says_whether_it_is_mailed(tmp_path: Path, where: str, sent: int) -> None:
    site = site_in(tmp_path)
    data = published(site, {"display_in": where})
    assert data["mail_sent"] is (sent == 1)
    assert len(mails(site)) == sent
    assert page(tmp_path)


def test_a_suppressed_couple_has_its_page_and_no_mail(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    data = published(site, {"display_in": "both"}, suppressed="bounce")
    assert (data["info_shared"], data["mail_sent"], data["suppressed"]) == (True, False, "bounce")
    assert mails(site) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=HOSTILE, name=HOSTILE, link=HOSTILE)
@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_hostile_values_are_only_ever_data(
    tmp_path_factory: pytest.TempPathFactory, kind: str, title: str, name: str, link: str
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    site = site_in(folder)
    context = {
        **CONTEXT,
        "client_data": {"email": "couple@example.org", "couple_name": name},
        "supplier_data": {"name": name, "signature": name},
        "step_data": {"id": name, "title": title},
    }
    config = {
        "title": "{{ step.title }}",
        "content": "Dear {{ couple_name }}, <a href='{{ couple_name }}'>x</a> [y]({{ couple_name }})",
        "content_type": kind,
        "display_in": "both",
        "attachments": [f"https://x.example/{link}"],
    }
    published(site, config, context)
    for tag, attributes in Tags(page(folder)).found:
        assert tag not in ("script", "iframe", "object", "link", "img")
        assert not [attribute for attribute in attributes if attribute.startswith("on")]
        assert not (attributes.get("href") or "").lower().startswith(("javascript:", "data:text"))
    assert "34033699" not in page(folder)
    [mail] = mails(site)
    assert mail["Bcc"] is None
    assert [address.addr_spec for address in mail["To"].addresses] == ["couple@example.org"]


def test_a_mebibyte_of_content_is_published_or_refused_for_good(tmp_path: Path) -> None:
    context = {**CONTEXT, "client_data": {"couple_name": "<" * 1_000_000, "email": "a@example.org"}}
    verdict = publish(site_in(tmp_path), {"content": "{{ couple_name }}", "content_type": "html"}, context)
    assert verdict.result is Result.OK or verdict.permanent


@pytest.mark.parametrize(
    ("expires_at", "told"),
    [
        ("9999-12-31", None),
        ("2027-06-20", "Valid until Sunday, 20 June 2027"),
        ("2027-06-21t02:00:00z", "Valid until Sunday, 20 June 2027"),
    ],
)
def test_the_last_day_is_told_where_the_couple_is(tmp_path: Path, expires_at: str, told: str | None) -> None:
    published(site_in(tmp_path), {"expires_at": expires_at}, {**CONTEXT, "timezone": "America/New_York"})
    assert (told or "<footer>From Lumen &amp; Oak</footer>") in page(tmp_path)
