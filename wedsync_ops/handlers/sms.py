"""The sms module: a text for one couple by SMS or WhatsApp, through a gateway or into the outbox."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wedsync_ops.handlers.checks import is_template, text_faults
from wedsync_ops.handlers.contract import (
    NotNow,
    PermanentError,
    Receipt,
    Run,
    Site,
    Text,
    addressed_by,
    checked_by,
)
from wedsync_ops.handlers.fields import part
from wedsync_ops.handlers.phone import number_from, regions_from
from wedsync_ops.handlers.segments import segments
from wedsync_ops.instants import SECOND, iso, parse_span, zone_named
from wedsync_ops.weddings.context import wedding_in, zone_from
from wedsync_ops.weddings.quiet import in_words, quiet_until

LONGEST = {"sms": 1600, "whatsapp": 4096}
"""The most characters of a rendered text, by channel."""
_OPTED_OUT = "opted_out"
# Control characters but the line's end and the tab, and what reorders the text after it; joiners stay, emoji need them.
_REMOVED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def check(config: Mapping[str, Any], context: Mapping[str, Any], _site: Site) -> Iterator[str]:
    """What keeps this message from ever being sent, each in one line that begins with where it is."""
    number, fault = number_from(_client(context).get("phone") or "", regions_from(context))
    if number is None:
        yield f"context.client_data.phone: {fault}"
    channel = config["channel"]
    if config.get("require_opt_in") and _client(context).get(f"{channel}_opt_in") is None:
        yield f"context.client_data.{channel}_opt_in: is missing, and the config requires the client's consent"


def check_texts(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What of the text and the fields cannot be rendered for this job, and whether it is too long then."""
    yield from list(text_faults(config, context, site)) or _body_faults(config, context, site)


def address(_config: Mapping[str, Any], context: Mapping[str, Any], _site: Site) -> str:
    """Whom this message goes to, for the suppression list."""
    return f"tel:{_recipient(context)}"


@addressed_by(address)
@checked_by(check, check_texts)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Render the text and deliver it; with ``fallback_to_sms`` by SMS when WhatsApp cannot deliver it.

    ``segments`` counts the parts of an SMS; a WhatsApp message is one. A recipient who is suppressed, or has not
    agreed although that is required, gets nothing, and that is no failure: trying again would not help. Raises NotNow
    in the recipient's quiet hours, whatever has brought the job there: a retry, a full queue.
    """
    if run.suppressed is not None:
        return {**_NOT_SENT, "reason": "suppressed", "suppressed": run.suppressed}
    channel: str = config["channel"]
    if not _agreed(config, context, channel):
        return {**_NOT_SENT, "reason": "no_opt_in"}
    if run.site.quiet_hours is not None:
        _wait_for_quiet(run.site.quiet_hours, context, run)
    body = _body(config, context, run.site)
    _refuse(_faults_of(body, channel))
    text = Text(channel, _recipient(context), body, config.get("media_url"), job_id=run.job_id)
    if channel == "whatsapp" and config.get("fallback_to_sms"):
        text, receipt = _with_fallback(text, config, context, run)
    else:
        receipt = run.deliver(text)
    counted = segments(text.body) if text.channel == "sms" else None
    return {
        "message_sent": True,
        "channel_used": text.channel,
        "message_id": receipt.delivery_id,
        "segments": counted.count if counted else 1,
        "encoding": counted.encoding if counted else None,
    }


_NOT_SENT: Mapping[str, Any] = {"message_sent": False, "channel_used": None, "message_id": None, "segments": 0}


def _with_fallback(text: Text, config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> tuple[Text, Receipt]:
    """Deliver by WhatsApp, else by SMS: only when WhatsApp is refused for good, and never past a recipient's no."""
    from wedsync_ops.handlers.gateway import GatewayRefused

    try:
        return text, run.deliver(text)
    except GatewayRefused as refused:
        if refused.code == _OPTED_OUT or not _agreed(config, context, "sms"):
            raise
        _refuse(f"{refused}; and by SMS: {fault}" for fault in _faults_of(text.body, "sms"))
        run.log("sent by SMS instead", refusal=str(refused))
    sms = Text("sms", text.to, text.body, is_fallback=True, job_id=run.job_id)
    return sms, run.deliver(sms)


def _wait_for_quiet(hours: str, context: Mapping[str, Any], run: Run) -> None:
    span, zone = parse_span(hours), zone_from(context, zone_named(run.site.timezone))
    until = quiet_until(run.now, span, zone, wedding_in(context, zone))
    if until is not None:
        raise NotNow((until - run.now) / SECOND, f"held until {iso(until)} for {in_words(span, zone)}")


def instead_of_whatsapp(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of the SMS that takes the place of a message that WhatsApp took and did not deliver, if one is wanted.

    It is a job of its own: due at once, with the same text, and never past a recipient's no.
    """
    if config.get("channel") != "whatsapp" or config.get("fallback_to_sms") is not True:
        return None
    same = ("message_text", "personalization", "require_opt_in")
    return {"channel": "sms", **{name: config[name] for name in same if name in config}}


def _client(context: Mapping[str, Any]) -> Mapping[str, Any]:
    return part(context, "client_data")


def _agreed(config: Mapping[str, Any], context: Mapping[str, Any], channel: str) -> bool:
    return not config.get("require_opt_in") or _client(context).get(f"{channel}_opt_in") is True


def _recipient(context: Mapping[str, Any]) -> str:
    number, fault = number_from(_client(context).get("phone") or "", regions_from(context))
    if number is None:
        raise PermanentError(f"context.client_data.phone: {fault}")
    return number


def _body(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> str:
    """The text as it is sent. Raises PermanentError when it cannot be rendered."""
    text: str = config["message_text"]
    if is_template(text):
        from wedsync_ops.handlers.render import fill, values_for

        text = fill(text, values_for(context, site, config.get("personalization")), what="config.message_text")
    return _REMOVED.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _body_faults(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    try:
        body = _body(config, context, site)
    except PermanentError as error:
        yield str(error)
        return
    yield from (f"config.{fault}" for fault in _faults_of(body, config["channel"]))


def _faults_of(body: str, channel: str) -> Iterator[str]:
    if not body:
        yield "message_text: nothing is left of it when it is rendered"
    elif len(body) > LONGEST[channel]:
        yield (
            f"message_text: makes {len(body):,} characters when it is rendered;"
            f" at most {LONGEST[channel]:,} can be sent by {channel}"
        )


def _refuse(faults: Iterator[str]) -> None:
    for fault in faults:
        raise PermanentError(fault)
