"""The info module: a page of information for one couple, published as one file that needs nothing else."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from wedsync_ops import codec
from wedsync_ops.handlers import expiry, links
from wedsync_ops.handlers.addresses import one_line
from wedsync_ops.handlers.checks import attachment_faults, recipient, recipient_fault, reply_address, text_faults
from wedsync_ops.handlers.contract import Mail, Page, PermanentError, Run, Site, addressed_by, checked_by, ends_by
from wedsync_ops.handlers.fields import part, text_of
from wedsync_ops.instants import iso

_ADDRESSES = ("http://", "https://")
_MAILED = ("email", "both")


def check(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What keeps this page from ever being published, each in one line that begins with where it is."""
    yield from attachment_faults(_files(config), site)
    wrong = expiry.fault(config, context, site)
    if wrong:
        yield wrong
    if config.get("display_in") in _MAILED:
        fault = recipient_fault(context)
        if fault:
            yield fault


def check_texts(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What of the title and the content cannot be rendered for this job."""
    return text_faults(config, context, site, "title", "content")


def address(config: Mapping[str, Any], context: Mapping[str, Any], _site: Site) -> str | None:
    """Whom the page is mailed to, for the suppression list; ``None`` when it is only published."""
    return f"mailto:{recipient(context)}" if config.get("display_in") in _MAILED else None


@addressed_by(address)
@ends_by(expiry.ends_at, expiry.PLACE)
@checked_by(check, check_texts)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Render the page and publish it; with ``display_in`` email or both it is mailed to the couple as well.

    A suppressed couple still gets its page, and no mail. Raises PermanentError when the page has expired, and when the
    platform has no secret to make its id with.
    """
    # What renders takes a tenth of a second to import, which queueing should not wait for.
    from wedsync_ops.handlers import page

    expires_at = expiry.ends_at(config, context, run.site)
    if expires_at is not None and expires_at <= run.now:
        raise PermanentError(f"the page expired at {config['expires_at']}, before it could be published")
    page_id = _page_id(config, context, run)
    content, values = _content(config, context, run, expires_at)
    html = page.html(content, page_id)
    run.deliver(Page(page_id, html))
    url = f"{run.site.public_url.rstrip('/')}/pages/{page_id}"
    is_mailed = config.get("display_in") in _MAILED and run.suppressed is None
    if is_mailed:
        _mail(content, url, config, context, run, values)
    result = {
        "info_shared": True,
        "page_id": page_id,
        "page_url": url,
        "version": page.version(content),
        "expires_at": iso(expires_at),
        "mail_sent": is_mailed,
    }
    return result if run.suppressed is None else {**result, "suppressed": run.suppressed}


def _content(
    config: Mapping[str, Any], context: Mapping[str, Any], run: Run, expires_at: int | None
) -> tuple[Any, Mapping[str, Any]]:
    """What the page shows, and the fields that it was filled with."""
    from wedsync_ops.handlers import attachments, branding, page, render

    values = render.values_for(context, run.site)
    colors = branding.fields(values)
    content = page.Content(
        title=one_line(render.fill(config["title"], values, what="title")),
        body=page.body(config["content"], config.get("content_type", "text"), values),
        supplier=text_of(values, "supplier_name"),
        files=attachments.read(_files(config), run.site.attachments_dir),
        links=[name for name in config.get("attachments") or () if name.startswith(_ADDRESSES)],
        important=config.get("priority") in ("high", "critical"),
        expires_at=None if expires_at is None else expiry.last_day(expires_at, context, run.site).isoformat(),
        expires_iso=iso(expires_at),
        brand_color=colors["brand_color"],
        link_color=colors["brand_on_white"],
    )
    return content, values


def _mail(
    content: Any, url: str, config: Mapping[str, Any], context: Mapping[str, Any], run: Run, values: Mapping[str, Any]
) -> None:
    from wedsync_ops.handlers import compose, render

    body = f'{content.body}\n<p><a href="{escape(url)}">Read this on its own page</a></p>'
    rendered = render.notice(content.title, body, values, run.site)
    letter = compose.Letter(
        to=recipient(context),
        to_name=text_of(values, "couple_name"),
        from_name=text_of(values, "supplier_name"),
        reply_to=reply_address(config, context),
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        attachments=content.files,
        important=content.important,
        logo=rendered.logo,
    )
    run.deliver(Mail(compose.message_from(letter, site=run.site, key=run.idempotency_key, now=run.now)))


def _files(config: Mapping[str, Any]) -> list[Any]:
    names = config.get("attachments") or ()
    return [name for name in names if not (isinstance(name, str) and name.startswith(_ADDRESSES))]


def _page_id(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> str:
    """The page's id, which cannot be guessed without the platform's secret: of a step that has an id always the same,
    so that later content replaces it; else the job's own, the same for every attempt.
    """
    step = part(context, "step_data")
    step_id = context.get("step_id") or step.get("step_id") or step.get("id")
    names = (context.get("supplier_id"), context.get("client_id"), context.get("journey_instance_id"), step_id)
    if isinstance(step_id, str | int) and all(names):
        told = codec.canonical(["step", *names])
    else:
        told = codec.canonical(["job", run.idempotency_key, dict(config), dict(context)])
    return f"page-{links.digest(run.site, 'info-page', told.decode()).hex()}"
