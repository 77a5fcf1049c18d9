"""The e-mail module: a template filled for one couple, sent in their supplier's name."""

from collections.abc import Iterator, Mapping
from typing import Any

from wedsync_ops.handlers import catalogue
from wedsync_ops.handlers.addresses import address_fault
from wedsync_ops.handlers.checks import attachment_faults, couple_address, recipient_fault, text_faults
from wedsync_ops.handlers.contract import Mail, Run, Site, addressed_by, checked_by

address = couple_address
"""The name under which the how-to gave it to third parties."""


def check(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What keeps this e-mail from ever being sent, each in one line that begins with where it is."""
    fault = recipient_fault(context)
    if fault:
        yield fault
    unknown = catalogue.problem(config.get("template_id"), site.templates_dir)
    if unknown:
        yield f"config.template_id: {unknown}"
    if len(config) > 1:
        yield from _option_faults(config, site)


def check_texts(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What of the subject and the fields cannot be rendered for this job, and whether its own template is none."""
    yield from text_faults(config, context, site, "subject_override")
    template_id = config["template_id"]
    if catalogue.is_own(template_id, site.templates_dir):
        from wedsync_ops.handlers.render import template_fault

        fault = template_fault(template_id, site)
        if fault:
            yield f"config.template_id: {fault}"


@addressed_by(couple_address)
@checked_by(check, check_texts)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Render the template and deliver it. ``actual_delay`` is in minutes: ``send_delay`` as the wedding week cut it."""
    # What renders takes a tenth of a second to import, which queueing should not wait for.
    from wedsync_ops.handlers import attachments, compose, render

    if run.suppressed is not None:
        return _not_sent(config, run.suppressed)
    personalization = config.get("personalization") or {}
    values = render.values_for(context, run.site, personalization)
    template_id = config["template_id"]
    rendered = render.mail(template_id, values, run.site, config.get("subject_override"))
    files = attachments.read(config.get("attachments"), run.site.attachments_dir)
    letter = compose.to_couple(rendered, config, context, values, attachments=files)
    message = compose.message_from(letter, site=run.site, key=run.idempotency_key, now=run.now)
    receipt = run.deliver(Mail(message))
    return {
        "email_sent": True,
        "message_id": receipt.delivery_id,
        "template_used": template_id,
        "personalization_applied": bool(personalization),
        "actual_delay": (config.get("send_delay") or 0) if run.send_delay_min is None else run.send_delay_min,
    }


def _not_sent(config: Mapping[str, Any], reason: str) -> Mapping[str, Any]:
    """The result for a couple that must not be written to: no failure, for trying again would not help."""
    return {
        "email_sent": False,
        "message_id": None,
        "template_used": config["template_id"],
        "personalization_applied": False,
        "actual_delay": 0,
        "suppressed": reason,
    }


def _option_faults(config: Mapping[str, Any], site: Site) -> Iterator[str]:
    subject = config.get("subject_override")
    if subject is not None and (not isinstance(subject, str) or "\n" in subject or "\r" in subject):
        yield "config.subject_override: must be text of one line"
    reply_to = config.get("reply_to")
    if reply_to:
        fault = address_fault(reply_to)
        if fault:
            yield f"config.reply_to: {fault}"
    yield from attachment_faults(config.get("attachments"), site)
