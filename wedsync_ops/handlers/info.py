"""The info module: a page of information for one couple, published as one file that needs nothing else."""

import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from wedsync_ops import codec
from wedsync_ops.errors import InvalidTime
from wedsync_ops.handlers.checks import attachment_faults, recipient, recipient_fault, reply_address, text_faults
from wedsync_ops.handlers.contract import Mail, Page, PermanentError, Run, Site, checked_by
from wedsync_ops.handlers.fields import text_of
from wedsync_ops.instants import DAY, parse_instant, zone_named

_ADDRESSES = ("http://", "https://")
_MAILED = ("email", "both")


def check(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What keeps this page from ever being published, each in one line that begins with where it is."""
    yield from text_faults(config, context, site, "title", "content")
    yield from attachment_faults(_files(config), site)
    if config.get("display_in") in _MAILED:
        fault = recipient_fault(context)
        if fault:
            yield fault


@checked_by(check)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Render the page and publish it; with ``display_in`` email or both it is mailed to the couple as well."""
    # What renders takes a tenth of a second to import, which queueing should not wait for.
    from wedsync_ops.handlers import attachments, page, render

    _refuse_expired(config, run)
    values = render.values_for(context, run.site)
    title = " ".join(render.fill(config["title"], values, what="title").split())
    body = page.body(config["content"], config.get("content_type", "text"), values)
    files = attachments.read(_files(config), run.site.attachments_dir)
    page_id = _page_id(config, context, run)
    important = config.get("priority") in ("high", "critical")
    content = page.Content(
        title=title,
        body=body,
        supplier=text_of(values, "supplier_name"),
        files=files,
        links=[name for name in config.get("attachments") or () if name.startswith(_ADDRESSES)],
        important=important,
        expires_at=config.get("expires_at"),
    )
    run.deliver(Page(page_id, page.html(content, page_id)))
    url = f"{run.site.public_url.rstrip('/')}/pages/{page_id}"
    if config.get("display_in") in _MAILED:
        _mail(content, url, config, context, run, values)
    return {"info_shared": True, "page_id": page_id, "page_url": url}


def _mail(
    content: Any, url: str, config: Mapping[str, Any], context: Mapping[str, Any], run: Run, values: Mapping[str, Any]
) -> None:
    from wedsync_ops.handlers import compose, plaintext, render

    body = f'{content.body}\n<p><a href="{escape(url)}">Read this on its own page</a></p>'
    html = render.notice(content.title, body, values, run.site)
    letter = compose.Letter(
        to=recipient(context),
        to_name=text_of(values, "couple_name"),
        from_name=text_of(values, "supplier_name"),
        reply_to=reply_address(config, context),
        subject=content.title,
        html=html,
        text=plaintext.from_html(html),
        attachments=content.files,
        important=content.important,
    )
    run.deliver(Mail(compose.message_from(letter, site=run.site, key=run.idempotency_key, now=run.now)))


def _files(config: Mapping[str, Any]) -> list[Any]:
    names = config.get("attachments") or ()
    return [name for name in names if not (isinstance(name, str) and name.startswith(_ADDRESSES))]


def _page_id(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> str:
    """The same for every attempt at the job, and not to be guessed by who knows only the job's id."""
    told = codec.canonical([run.idempotency_key, dict(config), dict(context)])
    return "page-" + hashlib.blake2b(told, digest_size=16).hexdigest()


def _refuse_expired(config: Mapping[str, Any], run: Run) -> None:
    text = config.get("expires_at")
    if not text:
        return
    try:
        expires = parse_instant(text, zone=zone_named(run.site.timezone))
    except InvalidTime as error:
        raise PermanentError(f"expires_at: {error.message}") from error
    if expires + (DAY if len(text) == 10 else 0) <= run.now:
        raise PermanentError(f"the page expired at {text}, before it could be published")
