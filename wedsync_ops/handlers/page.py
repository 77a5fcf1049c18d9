"""The HTML of an info page: sanitised, readable, and complete in itself (no script, no address that is loaded)."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt

from wedsync_ops import codec
from wedsync_ops.errors import InvalidTime
from wedsync_ops.handlers.attachments import Attachment
from wedsync_ops.handlers.controls import without_controls
from wedsync_ops.handlers.fields import date_in_words
from wedsync_ops.handlers.render import fill

_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3",
    "h4", "h5", "h6", "hr", "i", "ins", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_SCHEMES = {"http", "https", "mailto", "tel"}
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;background:#f7f4f1;color:#2b2522;"
    "font:1.0625rem/1.6 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}"
    "main{max-width:40rem;margin:2.5rem auto;padding:2.5rem;background:#fff;border-radius:.6rem;"
    "border-top:5px solid var(--brand);overflow-wrap:break-word;overflow-x:auto}"
    "h1,h2,h3{font-family:Georgia,'Times New Roman',serif;font-weight:normal;line-height:1.25}"
    "h1{margin:0 0 1.25rem;font-size:2rem}h2{margin:2rem 0 .5rem;font-size:1.5rem}h3{font-size:1.2rem}"
    "p{margin:0 0 1rem}a{color:var(--link)}"
    "table{width:100%;margin:0 0 1.25rem;border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "td,th{border-bottom:1px solid #e0d7d0;padding:.6rem 1rem .6rem 0;text-align:left;vertical-align:top}"
    "th{color:#6b615b;font-weight:normal}td:last-child,th:last-child{padding-right:0}"
    "blockquote{margin:0 0 1rem;padding-left:1rem;border-left:.25rem solid var(--brand)}pre{overflow:auto}"
    ".note{display:inline-block;margin:0 0 1rem;padding:.2rem .8rem;border-radius:1rem;background:#f8e6ea;"
    "color:#7a1f3a;font-size:.9rem;font-weight:600}"
    "footer{max-width:40rem;margin:0 auto 2.5rem;padding:0 2.5rem;color:#6b615b;font-size:.9rem}"
    "@media (max-width:44rem){main{margin:0;border-radius:0;padding:1.75rem 1.5rem}"
    "footer{margin:1.5rem 0;padding:0 1.5rem}}"
    "@media (prefers-color-scheme:dark){body{background:#1d1a19;color:#f0eae5}main{background:#2a2625}"
    "a{color:inherit}.note{background:#4a2c35;color:#fbe4ea}footer,th{color:#bfb4ad}td,th{border-color:#4a4340}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a page shows. ``body`` is sanitised HTML; ``links`` are addresses; the colours are checked ones.

    ``expires_at`` is ISO 8601 as configured, ``expires_iso`` the instant that it means.
    """

    title: str
    body: str
    supplier: str | None
    files: Sequence[Attachment]
    links: Sequence[str]
    important: bool
    expires_at: str | None
    expires_iso: str | None
    brand_color: str
    link_color: str


def body(source: str, content_type: str, values: Mapping[str, Any]) -> str:
    """The content, filled and made safe; ``content_type`` text, markdown or html. Raises PermanentError."""
    if content_type == "markdown":
        return _clean(_MARKDOWN.render(fill(source, values, "markdown", "content")))
    if content_type == "html":
        return _clean(fill(source, values, "html", "content"))
    return _paragraphs(fill(source, values, "text", "content"))


def html(content: Content, page_id: str) -> str:
    """The whole page."""
    title = escape(without_controls(content.title))
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="robots" content="noindex">\n<meta name="referrer" content="no-referrer">\n',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
        f'<meta name="page-id" content="{escape(page_id)}">\n',
        f'<meta name="page-version" content="{version(content)}">\n',
        f'<meta name="page-expires" content="{content.expires_iso}">\n' if content.expires_iso else "",
        f"<title>{title}</title>\n<style>{_colors(content)}{_STYLE}</style>\n</head>\n<body>\n<main>\n",
        '<p class="note">Important</p>\n' if content.important else "",
        f"<h1>{title}</h1>\n{content.body}\n{_attached(content)}</main>\n{_footer(content)}</body>\n</html>\n",
    ]
    return "".join(parts)


def version(content: Content) -> str:
    """The page's version: the same for the same content, another as soon as anything that it shows has changed."""
    files = [[file.name, hashlib.blake2b(file.content, digest_size=16).hexdigest()] for file in content.files]
    shown = [content.title, content.body, content.supplier, files, list(content.links), content.important]
    told = codec.canonical([*shown, content.expires_at, content.expires_iso, content.brand_color])
    return hashlib.blake2b(told, digest_size=8).hexdigest()


def _colors(content: Content) -> str:
    return f":root{{--brand:{escape(content.brand_color)};--link:{escape(content.link_color)}}}"


def _clean(text: str) -> str:
    """Safe HTML; references such as ``&#x202e;`` have become the signs themselves then."""
    safe = nh3.clean(text, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener noreferrer")
    return without_controls(safe)


def _paragraphs(text: str) -> str:
    blocks = [block.strip("\n") for block in text.replace("\r\n", "\n").split("\n\n")]
    return "\n".join("<p>" + escape(block).replace("\n", "<br>\n") + "</p>" for block in blocks if block.strip())


def _attached(content: Content) -> str:
    items = [
        f'<li><a download="{escape(file.name)}" href="data:{escape(file.media_type)};base64,'
        f'{base64.b64encode(file.content).decode("ascii")}">{escape(file.name)}</a></li>'
        for file in content.files
    ]
    items += [
        _clean(f'<li><a href="{escape(address)}">{escape(address)}</a></li>').strip() for address in content.links
    ]
    return "<h2>Attached</h2>\n<ul>\n" + "\n".join(items) + "\n</ul>\n" if items else ""


def _footer(content: Content) -> str:
    lines = []
    if content.supplier:
        lines.append(f"From {escape(without_controls(content.supplier))}")
    if content.expires_at:
        lines.append(f"Valid until {escape(_day(content.expires_at))}")
    return "<footer>" + " · ".join(lines) + "</footer>\n" if lines else ""


def _day(text: str) -> str:
    try:
        return date_in_words(text)
    except InvalidTime:
        return text


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_MARKDOWN.disable("image")
