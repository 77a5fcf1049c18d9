"""The form module: a signed link for one couple, reminders until the deadline, and nothing that hostile text can do."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.handlers.hostile import HOSTILE
from tests.handlers.mailing import CONTEXT, mails, order, site_in
from wedsync_ops.handlers import form, links
from wedsync_ops.handlers.contract import Site, problems
from wedsync_ops.instants import DAY, HOUR, parse_instant
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt, Verdict

NOW = parse_instant("2027-03-01T15:00:00Z")
SECRET = "00" * 32
NEW_YORK = {**CONTEXT, "timezone": "America/New_York"}
RESULT_KEYS = {"form_sent", "form_invitation_id", "form_url", "deadline", "reminder_scheduled"}


def site(folder: Path, **fields: Any) -> Site:
    return site_in(folder, link_secret=SECRET, **fields)


def run_form(
    at: Site,
    config: Mapping[str, Any],
    context: Mapping[str, Any] = CONTEXT,
    *,
    suppressed: str | None = None,
    now: int = NOW,
) -> Verdict:
    wanted = order({"form_id": "guests", **config}, context, module="form", suppressed=suppressed)
    return Attempt(wanted, at, now, lambda _: None).perform()


def result_of(verdict: Verdict) -> dict[str, Any]:
    assert verdict.result is Result.OK, verdict.error
    data: dict[str, Any] = json.loads(verdict.data or b"")
    return data


def queued(verdict: Verdict) -> list[dict[str, Any]]:
    assert verdict.result is Result.OK, verdict.error
    rows: list[dict[str, Any]] = json.loads(verdict.enqueue or b"[]")
    return rows


def test_the_couple_gets_a_mail_with_their_own_signed_link(tmp_path: Path) -> None:
    at = site(tmp_path)
    data = result_of(run_form(at, {"completion_redirect": "https://lumen.example/thanks?a=1&b=2"}))
    assert data.keys() >= RESULT_KEYS
    assert data["form_sent"] is True
    assert data["deadline"] is None
    [mail] = mails(at)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert data["form_url"] in text.get_content()
    assert data["form_url"].replace("&", "&amp;") in html.get_content()
    assert urlsplit(data["form_url"]).path == f"/forms/{data['form_invitation_id']}"
    told = links.verify(at, data["form_url"], NOW)
    assert told == {"form": "guests", "redirect": "https://lumen.example/thanks?a=1&b=2"}
    assert form.job_of(at, data["form_invitation_id"]) == 1


def test_every_attempt_makes_the_same_link_and_one_mail(tmp_path: Path) -> None:
    at = site(tmp_path)
    config = {"deadline": "2027-05-01"}
    one, other = (result_of(run_form(at, config, now=NOW + later)) for later in (0, HOUR))
    assert one["form_url"] == other["form_url"]
    assert len(mails(at)) == 1


class TestLink:
    def test_is_refused_once_it_has_expired(self, tmp_path: Path) -> None:
        at = site(tmp_path)
        url = result_of(run_form(at, {"deadline": "2027-03-05"}, NEW_YORK))["form_url"]
        end = parse_instant("2027-03-06T00:00:00-05:00")
        assert links.verify(at, url, end - 1)["form"] == "guests"
        with pytest.raises(links.LinkRefused, match="expired"):
            links.verify(at, url, end)

    def test_without_a_deadline_lasts_for_90_days(self, tmp_path: Path) -> None:
        at = site(tmp_path)
        url = result_of(run_form(at, {}))["form_url"]
        links.verify(at, url, NOW + 90 * DAY - 1)
        with pytest.raises(links.LinkRefused):
            links.verify(at, url, NOW + 90 * DAY)

    @pytest.mark.parametrize(
        "change",
        [
            ("form=guests", "form=budget"),
            ("form-1-", "form-2-"),
            ("/forms/", "/pages/"),
            ("expires=", "expires=9"),
            ("redirect=https", "redirect=https%3A%2F%2Fevil.example%2F"),
            ("sig=", "sig=0"),
            ("&sig=", "&x=1&sig="),
            ("sig=", "sig=é"),
        ],
    )
    def test_is_refused_when_anything_in_it_is_changed(self, tmp_path: Path, change: tuple[str, str]) -> None:
        at = site(tmp_path)
        url = result_of(run_form(at, {"completion_redirect": "https://lumen.example/x"}))["form_url"]
        changed = url.replace(*change)
        assert changed != url
        with pytest.raises(links.LinkRefused, match="not made here"):
            links.verify(at, changed, NOW)

    def test_is_refused_under_another_secret(self, tmp_path: Path) -> None:
        url = result_of(run_form(site(tmp_path), {}))["form_url"]
        with pytest.raises(links.LinkRefused):
            links.verify(site_in(tmp_path, link_secret="01" * 32), url, NOW)

    @pytest.mark.parametrize("link", ["", "/", "http://[", "/forms/x?signature=", "/f?expires=1&sig=\ud800"])
    def test_what_is_none_is_refused(self, tmp_path: Path, link: str) -> None:
        with pytest.raises(links.LinkRefused):
            links.verify(site(tmp_path), link, NOW)

    def test_is_found_below_a_public_url_with_a_path(self, tmp_path: Path) -> None:
        below = Site(tmp_path, "UTC", "https://x.example/app/", "a@b.c", link_secret=SECRET)
        url = links.signed(below, "/forms/f", {"a": "ä b&c"}, NOW + DAY)
        assert url.startswith("https://x.example/app/forms/f?")
        assert links.verify(below, url, NOW) == {"a": "ä b&c"}
        assert links.verify(below, url.removeprefix("https://x.example/app"), NOW) == {"a": "ä b&c"}

    def test_is_never_made_without_a_secret(self, tmp_path: Path) -> None:
        verdict = run_form(site_in(tmp_path), {})
        assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
        assert "secret" in (verdict.error or "")


class TestDeadline:
    def test_is_the_end_of_its_day_where_the_couple_is(self, tmp_path: Path) -> None:
        late = parse_instant("2027-03-01T23:59:59-05:00")
        data = result_of(run_form(site(tmp_path), {"deadline": "2027-03-01"}, NEW_YORK, now=late))
        assert data["deadline"] == "2027-03-01"
        assert data["expires_at"] == "2027-03-02T05:00:00.000000Z"

    def test_once_over_is_final(self, tmp_path: Path) -> None:
        at = site(tmp_path)
        over = parse_instant("2027-03-02T00:00:00-05:00")
        verdict = run_form(at, {"deadline": "2027-03-01"}, NEW_YORK, now=over)
        assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
        assert "2027-03-01" in (verdict.error or "")
        assert mails(at) == []


class TestReminders:
    def test_come_every_so_many_days_until_the_deadline_at_the_same_time_of_day(self, tmp_path: Path) -> None:
        config = {"reminder_enabled": True, "reminder_frequency": 5, "deadline": "2027-03-20"}
        verdict = run_form(site(tmp_path), config, NEW_YORK)
        data, rows = result_of(verdict), queued(verdict)
        assert data["reminder_scheduled"] is True
        # New York's clocks go forward on 14 March: 10:00 is 15:00 UTC before, 14:00 UTC after.
        times = ["2027-03-06T15:00:00.000000Z", "2027-03-11T15:00:00.000000Z", "2027-03-16T14:00:00.000000Z"]
        assert [row["at"] for row in rows] == times
        assert {row["module_type"] for row in rows} == {"email"}
        assert {row["config"]["template_id"] for row in rows} == {"form-reminder"}
        assert {row["expires"] for row in rows} == {data["expires_at"]}
        assert [row["key"] for row in rows] == form.reminder_keys(data["form_invitation_id"])[:3]

    def test_are_five_at_most_without_a_deadline(self, tmp_path: Path) -> None:
        assert len(queued(run_form(site(tmp_path), {"reminder_enabled": True}))) == 5

    def test_never_come_after_the_link_has_expired(self, tmp_path: Path) -> None:
        assert queued(run_form(site(tmp_path), {"reminder_enabled": True, "reminder_frequency": 80})) != []
        verdict = run_form(site(tmp_path), {"reminder_enabled": True, "reminder_frequency": 90})
        assert queued(verdict) == []
        assert result_of(verdict)["reminder_scheduled"] is False

    def test_are_a_hundred_at_most(self, tmp_path: Path) -> None:
        config = {"reminder_enabled": True, "reminder_frequency": 1, "deadline": "2029-01-01"}
        assert len(queued(run_form(site(tmp_path), config))) == form.MOST_REMINDERS

    def test_are_none_unless_wanted(self, tmp_path: Path) -> None:
        verdict = run_form(site(tmp_path), {"deadline": "2027-05-01"})
        assert queued(verdict) == []
        assert result_of(verdict)["reminder_scheduled"] is False

    def test_of_a_context_of_a_mebibyte_carry_what_they_need_of_it(self, tmp_path: Path) -> None:
        context = {**NEW_YORK, "step_data": {"long": "x" * 1_000_000}}
        config = {"reminder_enabled": True, "reminder_frequency": 1, "deadline": "2028-01-01"}
        rows = queued(run_form(site(tmp_path), config, context))
        assert len(rows) == form.MOST_REMINDERS
        assert rows[0]["context"]["client_data"]["email"] == "couple@example.org"
        assert rows[0]["context"]["timezone"] == "America/New_York"

    def test_of_a_large_context_are_as_personal_as_the_invitation(self, tmp_path: Path) -> None:
        at = site(tmp_path)
        context = {
            **CONTEXT,
            "client_data": {"email": "couple@example.org", "partner1_name": "Ada", "partner2_name": "Grace"},
            "supplier_data": {"business_name": "Lumen & Oak", "signature": "Jo\nLumen & Oak\n" + "x" * 400},
            "step_data": {"form_name": "Guest list", "history": ["a note"] * 1000},
        }
        config = {"reminder_enabled": True, "reminder_frequency": 1, "deadline": "2028-01-01"}
        [first, *_] = queued(run_form(at, config, context))
        assert "history" not in first["context"]["step_data"]
        wanted = order(first["config"], first["context"], key=first["key"])
        assert Attempt(wanted, at, NOW, lambda _: None).perform().result is Result.OK
        [body] = [mail.get_body(("plain",)) for mail in mails(at) if mail["Subject"].startswith("A gentle reminder")]
        assert body is not None
        told = body.get_content()
        assert "Dear Ada & Grace," in told
        assert "the form “Guest list”" in told
        assert "Lumen & Oak\nJo\nLumen & Oak\nxxx" in told.replace("\r\n", "\n")

    @pytest.mark.parametrize(
        ("form_id", "redirect", "name", "left"),
        [
            ("guests", "https://lumen.example/" + "x" * 1878, "Ada", 100),
            ("guests", "https://lumen.example/" + "?" * 1978, "Ada", 100),
            ("\N{BRIDE WITH VEIL}" * 200, "https://lumen.example/" + "?" * 1968, "\N{BRIDE WITH VEIL}" * 250, 97),
        ],
    )
    def test_that_are_too_large_are_cut_before_the_invitation_is_sent(
        self, tmp_path: Path, form_id: str, redirect: str, name: str, left: int
    ) -> None:
        client = {"email": "couple@example.org", "couple_name": name, "notes": "x" * 5_000}
        config = {
            "form_id": form_id,
            "completion_redirect": redirect,
            "reminder_enabled": True,
            "reminder_frequency": 1,
            "deadline": "2028-01-01",
        }
        verdict = run_form(site(tmp_path), config, {**CONTEXT, "client_data": client})
        assert len(queued(verdict)) == result_of(verdict)["reminders"] == left
        assert queued(verdict)[0]["context"]["client_data"]["couple_name"] == name

    def test_lead_to_the_same_link(self, tmp_path: Path) -> None:
        at = site(tmp_path)
        verdict = run_form(at, {"reminder_enabled": True, "deadline": "2027-04-01"})
        [first, *_] = queued(verdict)
        wanted = order(first["config"], first["context"], key=first["key"])
        assert Attempt(wanted, at, NOW, lambda _: None).perform().result is Result.OK
        url = result_of(verdict)["form_url"]
        bodies = [mail.get_body(("plain",)) for mail in mails(at)]
        assert [body is not None and url in body.get_content() for body in bodies] == [True, True]


def test_a_suppressed_couple_gets_no_form_and_no_reminders(tmp_path: Path) -> None:
    at = site(tmp_path)
    verdict = run_form(at, {"reminder_enabled": True}, suppressed="complaint")
    data = result_of(verdict)
    assert data.keys() >= RESULT_KEYS
    assert (data["form_sent"], data["suppressed"]) == (False, "complaint")
    assert queued(verdict) == []
    assert mails(at) == []


@pytest.mark.parametrize(
    ("config", "client", "where"),
    [
        ({"completion_redirect": "javascript:alert(1)"}, {"email": "a@example.org"}, "config.completion_redirect"),
        ({"completion_redirect": "https://good@evil.example/"}, {"email": "a@example.org"}, "config.completion"),
        ({"completion_redirect": "https:\\\\evil.example"}, {"email": "a@example.org"}, "config.completion_redirect"),
        ({"completion_redirect": "http://x\r\nBcc: y"}, {"email": "a@example.org"}, "config.completion_redirect"),
        ({"completion_redirect": "http://["}, {"email": "a@example.org"}, "config.completion_redirect"),
        ({"completion_redirect": "//evil.example"}, {"email": "a@example.org"}, "config.completion_redirect"),
        ({"deadline": "2027-02-29"}, {"email": "a@example.org"}, "config.deadline"),
        ({}, {}, "context.client_data.email"),
        ({}, {"email": "a@example.org\r\nBcc: b@c.d"}, "context.client_data.email"),
    ],
)
def test_what_can_never_be_sent_is_refused_when_queued(
    tmp_path: Path, config: dict[str, Any], client: dict[str, Any], where: str
) -> None:
    found = problems(form.handle, {"form_id": "f", **config}, {**CONTEXT, "client_data": client}, site(tmp_path))
    assert found
    assert found[0].startswith(where)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form_id=HOSTILE.filter(bool), name=HOSTILE, supplier=HOSTILE, step=HOSTILE)
def test_hostile_text_is_only_ever_data(
    tmp_path_factory: pytest.TempPathFactory, form_id: str, name: str, supplier: str, step: str
) -> None:
    at = site(tmp_path_factory.mktemp("hostile"))
    context = {
        **CONTEXT,
        "client_data": {"email": "couple@example.org", "couple_name": name, "venue_name": name},
        "supplier_data": {"name": supplier, "signature": supplier, "brand_color": supplier},
        "step_data": {"form_name": step, "deadline": step, "form_url": step},
    }
    verdict = run_form(at, {"form_id": form_id, "reminder_enabled": True}, context)
    url = result_of(verdict)["form_url"]
    told = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert told["form"] == [form_id]
    [mail] = mails(at)
    assert mail["Bcc"] is None
    assert [address.addr_spec for address in mail["To"].addresses] == ["couple@example.org"]
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert "<img src=x" not in html.get_content()
    [row, *_] = queued(verdict)
    assert problems_of(row) == ()


def problems_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    from wedsync_ops.handlers.email import handle

    return tuple(problems(handle, row["config"], row["context"], site_in(Path("nowhere"))))


@pytest.mark.parametrize("wrong", ["", "form-1-", "form-x-00", "form-²-" + "0" * 32, "form-1-" + "é" * 32, "1"])
def test_an_invitation_that_was_not_made_here_is_known_as_such(tmp_path: Path, wrong: str) -> None:
    assert form.job_of(site(tmp_path), wrong) is None
    assert form.job_of(site(tmp_path), form.invitation_id_for(site(tmp_path), 7)) == 7


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_an_invitation_names_its_job(job_id: int) -> None:
    at = site(Path("nowhere"))
    assert form.job_of(at, form.invitation_id_for(at, job_id)) == job_id
