"""What stands around an artefact in a picture: a mail's headers and files, a browser's bar, a telephone.

The artefact itself is shown as it is: a mail's HTML part and a page in a frame of their own, a text letter by letter.
"""

import base64
import email
import email.policy
import json
from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage
from html import escape
from pathlib import Path
from typing import Any

from icalendar import Calendar

from tests.png import size_of
from wedsync_ops.handlers.segments import segments

_STYLE = """
*{box-sizing:border-box}
body{margin:0;padding:20px;background:#e4e7eb;color:#1f2429;font:14px/1.5 "Liberation Sans",Arial,Helvetica,sans-serif}
.window{background:#fff;border:1px solid #c9ced6;border-radius:10px;overflow:hidden}
.bar{padding:9px 14px;background:#f3f4f6;border-bottom:1px solid #dde1e6;display:flex;gap:12px;align-items:center}
.dots{display:flex;gap:6px}.dots i{width:10px;height:10px;border-radius:50%;background:#c9ced6}
.address{flex:1;padding:3px 12px;border-radius:12px;background:#fff;border:1px solid #dde1e6;color:#4a525c;
font-size:12px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.head{padding:16px 22px 14px;border-bottom:1px solid #dde1e6}
.head h1{margin:0 0 8px;font-size:19px;line-height:1.3;font-weight:600}
.head dl{margin:0;display:grid;grid-template-columns:70px 1fr;row-gap:1px;font-size:13px}
.head dt{color:#5c6570}.head dd{margin:0}
.event{display:flex;gap:18px;padding:16px 22px;background:#f7f9fb;border-bottom:1px solid #dde1e6}
.leaf{width:64px;border:1px solid #c9ced6;border-radius:8px;overflow:hidden;text-align:center;background:#fff;
align-self:flex-start;flex:none}
.leaf b{display:block;background:#b3392f;color:#fff;font-size:12px;letter-spacing:1px;text-transform:uppercase}
.leaf strong{display:block;font-size:27px;line-height:1.35;font-weight:600}
.leaf span{display:block;font-size:12px;color:#5c6570;padding-bottom:4px}
.event h2{margin:0 0 3px;font-size:16px}.event p{margin:0;font-size:13px;color:#3d454e}
.answers{display:flex;gap:8px;margin-top:9px}
.answers span{border:1px solid #b9c0c9;border-radius:6px;padding:2px 14px;font-size:13px;background:#fff}
iframe{display:block;width:100%;height:0;border:0}
.files{padding:12px 22px 14px;border-top:1px solid #dde1e6;display:flex;flex-wrap:wrap;gap:12px}
.file{border:1px solid #dde1e6;border-radius:8px;padding:8px 12px;font-size:13px;display:flex;gap:12px;
align-items:center}
.file img{flex:none;outline:1px solid #eef0f2}
.file small{display:block;color:#5c6570}
.phone{width:400px;margin:0 auto;background:#fff;border:1px solid #c9ced6;border-radius:26px;overflow:hidden}
.phone .who{padding:14px;text-align:center;border-bottom:1px solid #e6e9ed;font-weight:600}
.phone .who small{display:block;font-weight:400;color:#5c6570}
.talk{padding:22px 18px 20px}
.bubble{max-width:310px;background:#e9ebee;border-radius:18px 18px 18px 5px;padding:11px 15px;font-size:16px;
line-height:1.4;white-space:pre-wrap;overflow-wrap:break-word}
.count{margin:8px 4px 0;font-size:12px;color:#5c6570}
"""
_MEASURE = """
addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) {
    frame.style.height = frame.contentDocument.documentElement.scrollHeight + "px";
  }
  document.documentElement.dataset.height = Math.ceil(document.body.getBoundingClientRect().height);
});
"""


def framed(artefact: Path) -> str:
    """The page that shows an artefact of the outbox: a mail, a page or a text."""
    show = _SHOWN[artefact.suffix]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Artefact</title><style>{_STYLE}</style>'
        f"<script>{_MEASURE}</script></head><body>{show(artefact)}</body></html>\n"
    )


def _mail(artefact: Path) -> str:
    message = email.message_from_bytes(artefact.read_bytes(), policy=email.policy.default)
    body = message.get_body(("html",))
    if body is None:
        raise ValueError(f"{artefact.name} has no HTML part")
    shown = {name: str(message[name]) for name in ("From", "To", "Reply-To") if message[name]}
    shown["Date"] = f"{message['Date'].datetime:%a, %d %b %Y, %H:%M} UTC"
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in shown.items())
    files = list(message.iter_attachments())
    calendars = [part.get_content() for part in message.walk() if part.get_content_type() == "text/calendar"]
    return (
        f'<div class="window"><div class="head"><h1>{escape(message["Subject"])}</h1><dl>{rows}</dl></div>'
        f"{''.join(_event(text) for text in calendars)}{_inner(body.get_content())}{_files(files)}</div>"
    )


def _page(artefact: Path) -> str:
    text = artefact.read_text()
    page_id = text.partition('<meta name="page-id" content="')[2].partition('"')[0]
    return (
        '<div class="window"><div class="bar"><span class="dots"><i></i><i></i><i></i></span>'
        f'<span class="address">https://wedsync.example/pages/{escape(page_id)}</span></div>{_inner(text)}</div>'
    )


def _text(artefact: Path) -> str:
    message: dict[str, str] = json.loads(artefact.read_bytes())
    counted = segments(message["body"])
    parts = "1 part" if counted.count == 1 else f"{counted.count} parts"
    told = f"{message['channel'].upper()} · {counted.units} places of {counted.encoding.upper()} · {parts}"
    return (
        f'<div class="phone"><div class="who">Text message<small>to {escape(message["to"])}</small></div>'
        f'<div class="talk"><div class="bubble">{escape(message["body"])}</div><p class="count">{told}</p></div></div>'
    )


_SHOWN: dict[str, Callable[[Path], str]] = {".eml": _mail, ".html": _page, ".json": _text}


def _inner(html: str) -> str:
    return f'<iframe title="the artefact" srcdoc="{escape(html)}"></iframe>'


def _event(text: str) -> str:
    """A calendar object as a mail program shows it above the mail."""
    event: Any = Calendar.from_ical(text).walk("VEVENT")[0]
    start: datetime = event["DTSTART"].dt
    end: datetime = event["DTEND"].dt
    return (
        f'<div class="event"><div class="leaf"><b>{start:%b}</b><strong>{start.day}</strong>'
        f"<span>{start:%a}</span></div><div><h2>{escape(event['SUMMARY'])}</h2>"
        f"<p>{start:%A}, {start.day} {start:%B} {start.year},"
        f" {start:%H:%M}–{end:%H:%M} ({start.tzname()})</p><p>{escape(event.get('LOCATION', ''))}</p>"
        '<div class="answers"><span>Yes</span><span>Maybe</span><span>No</span></div></div></div>'
    )


def _files(parts: list[EmailMessage]) -> str:
    shown = "".join(_file(part) for part in parts)
    return f'<div class="files">{shown}</div>' if shown else ""


def _file(part: EmailMessage) -> str:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    kind = part.get_content_type()
    picture = ""
    if kind == "image/png":
        side = size_of(raw)[0] // 2
        picture = f'<img alt="" width="{side}" src="data:image/png;base64,{base64.b64encode(raw).decode()}">'
    name = escape(part.get_filename() or "")
    return f'<div class="file">{picture}<span>{name}<small>{kind}, {len(raw):,} bytes</small></span></div>'
