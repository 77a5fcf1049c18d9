"""A supplier's logo in mails: inside the mail, named by its content, and never a reason for a mail to fail."""

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.mailing import CONTEXT, attempt, mails, site_in
from wedsync_ops.handlers import catalogue
from wedsync_ops.handlers.branding import MAX_LOGO_BYTES
from wedsync_ops.handlers.plaintext import from_html
from wedsync_ops.jobs.model import Result

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
GIF = b"GIF89a" + bytes(100)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "attachments"
    made.mkdir()
    return made


def sent(folder: Path, logo: Any, template: str = "thank-you", module: str = "email", **config: Any) -> Any:
    """The mail that a job makes whose supplier has this logo."""
    site = site_in(folder.parent, attachments_dir=folder, templates_dir=folder.parent / "templates", link_secret="00")
    context = {**CONTEXT, "supplier_data": {"name": 'Lumen "&" Oak', "logo": logo}}
    whole = {"template_id": template, **config} if module == "email" else config
    assert attempt(site, whole, context, module=module)[0] is Result.OK
    [mail] = mails(site)
    return mail


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("related", "html"))
    assert body is not None
    part = body.get_body(("html",)) if body.is_multipart() else body
    assert isinstance(part, EmailMessage)
    content: str = part.get_content()
    return content


def pictures(mail: EmailMessage) -> list[EmailMessage]:
    return [part for part in mail.walk() if part.get_content_maintype() == "image" and isinstance(part, EmailMessage)]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("logo.png", PNG, "image/png"), ("logo.jpg", JPEG, "image/jpeg"), ("logo", GIF, "image/gif")],
)
def test_it_travels_inside_the_mail_and_the_html_shows_it(folder: Path, name: str, content: bytes, kind: str) -> None:
    (folder / name).write_bytes(content)
    mail = sent(folder, name)
    (shown,) = pictures(mail)
    assert (shown.get_content_type(), shown.get_content()) == (kind, content)
    assert (shown.get_content_disposition(), shown.get_filename()) == ("inline", name)
    assert shown["Content-ID"].startswith("<")
    html = html_of(mail)
    assert f'src="cid:{shown["Content-ID"][1:-1]}" alt="Lumen &#34;&amp;&#34; Oak"' in html
    assert "http://" not in html.replace("http://x.example", "")
    related = mail.get_payload()[1]
    assert (mail.get_content_type(), related.get_content_type()) == ("multipart/alternative", "multipart/related")
    assert related.get_param("type") == "text/html"
    assert [part.get_content_type() for part in related.iter_parts()] == ["text/html", kind]


@pytest.mark.parametrize("template", sorted(catalogue.known(None)))
def test_every_shipped_template_shows_it(folder: Path, template: str) -> None:
    (folder / "logo.png").write_bytes(PNG)
    assert len(pictures(sent(folder, "logo.png", template))) == 1


def test_the_mails_of_other_modules_show_it_too(folder: Path) -> None:
    (folder / "logo.png").write_bytes(PNG)
    page = sent(folder, "logo.png", module="info", title="t", content="c", display_in="email")
    assert len(pictures(page)) == 1


@pytest.mark.parametrize(
    "logo",
    [
        "none.png", "../secret.png", "link.png", "logo.svg", "large.png", "empty.png", "sub", "/etc/passwd", "",
        "https://evil.example/logo.png", 7, ["logo.png"], None, {"a": 1}, "x" * 5000,
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_passed_over(folder: Path, logo: Any) -> None:
    (folder.parent / "secret.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "logo.svg").write_bytes(SVG)
    (folder / "large.png").write_bytes(PNG + bytes(MAX_LOGO_BYTES))
    (folder / "empty.png").write_bytes(b"")
    (folder / "sub").mkdir()
    mail = sent(folder, logo)
    assert pictures(mail) == []
    html = html_of(mail)
    assert "<img" not in html
    assert "Lumen &#34;&amp;&#34; Oak</td>" in html


def test_the_largest_fits(folder: Path) -> None:
    (folder / "logo.png").write_bytes(PNG + bytes(MAX_LOGO_BYTES - len(PNG)))
    assert len(pictures(sent(folder, "logo.png"))) == 1


def test_attachments_stay_beside_it(folder: Path) -> None:
    (folder / "logo.png").write_bytes(PNG)
    (folder / "plan.pdf").write_bytes(b"%PDF")
    mail = sent(folder, "logo.png", attachments=["plan.pdf"])
    assert mail.get_content_type() == "multipart/mixed"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["plan.pdf"]
    assert len(pictures(mail)) == 1


def test_a_template_that_does_not_show_it_sends_none_along(folder: Path) -> None:
    (folder / "logo.png").write_bytes(PNG)
    own = folder.parent / "templates" / "own"
    own.mkdir(parents=True)
    (own / "subject.txt").write_text("s")
    (own / "body.html").write_text("<p>plain</p>")
    assert pictures(sent(folder, "logo.png", "own")) == []


def test_personalization_cannot_put_another_in_its_place(folder: Path) -> None:
    mail = sent(folder, None, personalization={"supplier_logo": "https://evil.example/x.png"})
    assert "evil.example" not in html_of(mail)


def test_a_text_that_is_made_from_the_html_says_the_alternative_text() -> None:
    assert from_html('<p><img src="cid:x" alt="Lumen"> <img src="y">hello</p>') == "Lumen hello\n"
