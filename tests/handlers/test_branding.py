"""A supplier's look in mails: a colour that stays readable, a signature, and nothing that is loaded or run."""

from pathlib import Path
from typing import Any

import pytest

from tests.handlers.mailing import CONTEXT, attempt, mails, site_in
from wedsync_ops.handlers import catalogue
from wedsync_ops.jobs.model import Result


def bodies(folder: Path, supplier: dict[str, Any], template: str = "form-invitation") -> tuple[str, str]:
    site = site_in(folder)
    context = {**CONTEXT, "supplier_data": supplier, "step_data": {"form_url": "https://x.example/f"}}
    assert attempt(site, {"template_id": template}, context)[0] is Result.OK
    [mail] = mails(site)
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    return html.get_content(), text.get_content()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("#1A2B3C", "background-color:#1a2b3c;color:#ffffff"),
        ("#f0e040", "background-color:#f0e040;color:#2b2522"),
    ],
)
def test_the_brand_colour_colours_the_button_and_its_text_stays_readable(
    tmp_path: Path, given: str, expected: str
) -> None:
    html, _ = bodies(tmp_path, {"name": "Lumen", "brand_color": given})
    assert expected in html


@pytest.mark.parametrize("template", sorted(catalogue.known(None)))
def test_no_mail_has_a_colour_of_ours_beside_the_suppliers(tmp_path: Path, template: str) -> None:
    html, _ = bodies(tmp_path, {"name": "Lumen", "brand_color": "#1a2b3c"}, template)
    assert "#7a3b4e" not in html


def test_a_bright_colour_is_not_used_for_text_on_white(tmp_path: Path) -> None:
    html, _ = bodies(tmp_path, {"name": "Lumen", "brand_color": "#f0e040"})
    assert "letter-spacing:1px;color:#2b2522;" in html


@pytest.mark.parametrize(
    "given", ["red", "#12345", "#12345g", "#123456;x:y", "#123456\n", '"><script>', 7, None, ["#1"]]
)
def test_a_colour_that_is_none_is_passed_over(tmp_path: Path, given: Any) -> None:
    html, _ = bodies(tmp_path, {"name": "Lumen", "brand_color": given})
    assert "background-color:#7a3b4e;color:#ffffff" in html
    assert "<script" not in html


@pytest.mark.parametrize("template", sorted(catalogue.known(None)))
def test_the_signature_stands_below_the_name_in_every_mail(tmp_path: Path, template: str) -> None:
    signature = "Ann <b>Lee</b>\r\n\r\n+44 1632 960001\n\u202eevil {{ 7*7 }}"
    html, text = bodies(tmp_path, {"name": "Lumen", "signature": signature}, template)
    assert "Lumen<br>Ann &lt;b&gt;Lee&lt;/b&gt;<br>+44 1632 960001<br>evil {{ 7*7 }}</p>" in html
    assert text.replace("\r\n", "\n").endswith("Lumen\nAnn <b>Lee</b>\n+44 1632 960001\nevil {{ 7*7 }}\n")


def test_a_signature_is_cut(tmp_path: Path) -> None:
    html, text = bodies(tmp_path, {"name": "Lumen", "signature": ("x" * 300 + "\n") * 2000})
    assert text.count("x" * 119) <= 6
    assert len(html) < 10_000


def test_personalization_cannot_touch_the_colours(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    config = {"template_id": "thank-you", "personalization": {"brand_color": "red;}", "supplier_signature": "no"}}
    assert attempt(site, config)[0] is Result.OK
    html = mails(site)[0].get_body(("html",))
    assert html is not None
    assert "red;}" not in html.get_content()


def test_the_buttons_of_a_review_request_have_the_brand_colour(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    supplier = {"name": "Lumen", "brand_color": "#1a2b3c", "review_links": {"yelp": "https://y.example/l"}}
    context = {**CONTEXT, "supplier_data": supplier, "wedding_date": "2023-06-17"}
    assert attempt(site, {"platforms": ["yelp"]}, context, module="review")[0] is Result.OK
    html = mails(site)[0].get_body(("html",))
    assert html is not None
    assert "background-color:#1a2b3c;color:#ffffff" in html.get_content()
    assert "#7a3b4e" not in html.get_content()


@pytest.mark.parametrize("template", sorted(catalogue.known(None)))
def test_every_mail_fits_a_telephone_and_a_dark_screen(tmp_path: Path, template: str) -> None:
    html, _ = bodies(tmp_path, {"name": "Lumen"}, template)
    assert '<html lang="en">' in html
    assert "@media (max-width: 480px)" in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "url(" not in html


def test_a_page_has_the_brand_colour_and_links_that_can_be_read(tmp_path: Path) -> None:
    context = {**CONTEXT, "supplier_data": {"name": "Lumen", "brand_color": "#f0e040"}}
    site = site_in(tmp_path, link_secret="ab" * 32)
    assert attempt(site, {"title": "Parking", "content": "x"}, context, module="info")[0] is Result.OK
    [page] = (tmp_path / "outbox").glob("*.html")
    assert ":root{--brand:#f0e040;--link:#2b2522}" in page.read_text()
