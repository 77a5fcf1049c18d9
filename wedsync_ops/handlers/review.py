"""The review module: asks a couple for a review once their wedding is over, and reminds them once."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from wedsync_ops.handlers import carrying, links
from wedsync_ops.handlers.checks import couple_address, recipient_fault, text_faults
from wedsync_ops.handlers.contract import Mail, RetryAfter, Run, Site, addressed_by, checked_by
from wedsync_ops.handlers.fields import part
from wedsync_ops.instants import DAY, SECOND, local_midnight, zone_named
from wedsync_ops.weddings.context import wedding_from

FEEDBACK_DAYS = 60
"""Days for which the link to the supplier's own feedback page is good."""
FOLLOW_UP_DAYS = 7
"""Days after which the couple is asked once more."""
_NAMES = {"google": "Google", "facebook": "Facebook", "yelp": "Yelp", "weddingwire": "WeddingWire"}
_INTERNAL = "internal"
_FOLLOW_UP = "review_follow_up"
_ROOM = 512 * 1024  # bytes of the context that a reminder takes along


def check(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What keeps this request from ever being sent, each in one line that begins with where it is."""
    fault = recipient_fault(context)
    if fault:
        yield fault
    if wedding_from(context, zone_named(site.timezone)) is None:
        yield "context.wedding_date: is missing; a review is asked for after the wedding"
    for platform in config["platforms"]:
        fault = None if platform == _INTERNAL else _link_fault(platform, context)
        if fault:
            yield fault


def check_texts(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """Whether the supplier's own words cannot be rendered for this job."""
    return text_faults(config, context, site, "custom_message")


@addressed_by(couple_address)
@checked_by(check, check_texts)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Send the request with its links, and queue the reminder. Raises RetryAfter while the wedding is not over."""
    from wedsync_ops.handlers import compose, render

    _wait_for_the_end(config, context, run)
    again = part(context, "step_data").get(_FOLLOW_UP) is True
    addresses = {platform: _address(platform, context, run) for platform in config["platforms"]}
    result = {"review_requested": run.suppressed is None, "links": addresses, "follow_up": again}
    if run.suppressed is not None:
        return result | {"suppressed": run.suppressed}
    values = render.values_for(context, run.site)
    message = render.fill(config["custom_message"], values, what="custom_message") if "custom_message" in config else ""
    public = [
        {"name": _NAMES[platform], "url": address} for platform, address in addresses.items() if platform != _INTERNAL
    ]
    values |= {
        "review_links": public,
        "feedback_url": addresses.get(_INTERNAL, ""),
        "custom_message": message.strip(),
        "incentive": config.get("incentive", ""),
        "follow_up": again,
    }
    letter = compose.to_couple(render.mail("review-request", values, run.site), config, context, values)
    mail = Mail(compose.message_from(letter, site=run.site, key=run.idempotency_key, now=run.now))
    if not again:
        _queue_follow_up(config, context, run)  # first: what is refused leaves no mail behind
    run.deliver(mail)
    return result


def _wait_for_the_end(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> None:
    """A job is due after the wedding; when clocks or zones differ from those it was queued with, it waits again."""
    wedding = wedding_from(context, zone_named(run.site.timezone))
    if wedding is None:
        return
    over_at = local_midnight(wedding.on + timedelta(days=1), wedding.zone)
    if run.now < over_at:
        due_at = local_midnight(wedding.on + timedelta(days=config.get("days_after_wedding", 7)), wedding.zone)
        raise RetryAfter((max(due_at, over_at) - run.now) / SECOND, f"the wedding ({wedding.on}) is not over yet")


def _queue_follow_up(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> None:
    """One reminder. Its key follows from this job's, so that it is queued once however often this job runs."""
    key = hashlib.blake2b(run.idempotency_key.encode("utf-8", "replace"), digest_size=16).hexdigest()
    links_of = {platform: _given(platform, context)[1] for platform in config["platforms"] if platform != _INTERNAL}
    told = {
        **context,
        "step_data": {**part(context, "step_data"), _FOLLOW_UP: True},
        "supplier_data": {**part(context, "supplier_data"), "review_links": links_of},
    }
    run.enqueue(
        "review",
        config,
        context=carrying.within(told, _ROOM),
        key=f"review-follow-up-{key}",
        delay=FOLLOW_UP_DAYS * 24 * 60,
    )


def _address(platform: str, context: Mapping[str, Any], run: Run) -> str:
    if platform != _INTERNAL:
        return str(_given(platform, context)[1])
    names = (str(context.get(name)) for name in ("supplier_id", "client_id", "journey_instance_id"))
    place = links.digest(run.site, "feedback", *names).hex()
    return links.signed(run.site, f"/feedback/{place}", {}, run.now + FEEDBACK_DAYS * DAY)


def _link_fault(platform: str, context: Mapping[str, Any]) -> str | None:
    place, address = _given(platform, context)
    if address is None:
        return f"context.supplier_data.review_links.{platform}: the address of the supplier's page is missing"
    fault = links.web_address_fault(address)
    return f"context.supplier_data.{place}: {fault}" if fault else None


def _given(platform: str, context: Mapping[str, Any]) -> tuple[str, Any]:
    """Where in supplier_data a platform's address is, and the address: ``review_links.x``, else ``x_review_url``."""
    supplier = part(context, "supplier_data")
    address = part(supplier, "review_links").get(platform)
    if address is not None:
        return f"review_links.{platform}", address
    return f"{platform}_review_url", supplier.get(f"{platform}_review_url")
