"""The info module: pages that stand alone and run nothing."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.handlers.test_email import CONTEXT, attempt, mails, site_in
from wedsync_ops.jobs.model import Result


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
