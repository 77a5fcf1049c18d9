"""What handlers check when a job is queued, and whom they write to. A fault is one line that begins with its place."""

from collections.abc import Iterator, Mapping
from typing import Any

from wedsync_ops.handlers.addresses import address_fault, ascii_address
from wedsync_ops.handlers.contract import PermanentError, Site
from wedsync_ops.handlers.fields import RESERVED, part


def recipient_fault(context: Mapping[str, Any]) -> str | None:
    """What is wrong with the address that a context gives for the couple, ``None`` when it is good."""
    client = context.get("client_data")
    address = client.get("email") if isinstance(client, Mapping) else None
    if address is None or address == "":
        return "context.client_data.email: the recipient's address is missing"
    fault = address_fault(address)
    return f"context.client_data.email: {fault}" if fault else None


def recipient(context: Mapping[str, Any]) -> str:
    """The couple's address. Raises PermanentError when there is none that can be written to."""
    fault = recipient_fault(context)
    if fault:
        raise PermanentError(fault)
    return ascii_address(part(context, "client_data")["email"])


def couple_address(_config: Mapping[str, Any], context: Mapping[str, Any], _site: Site) -> str:
    """Whom a mail to the couple goes to, for the suppression list. Raises PermanentError when there is nobody."""
    return f"mailto:{recipient(context)}"


def reply_address(config: Mapping[str, Any], context: Mapping[str, Any]) -> str | None:
    """Where answers go: ``reply_to`` of the config, else the supplier's address, when it is one."""
    for address in (config.get("reply_to"), part(context, "supplier_data").get("email")):
        if address and address_fault(address) is None:
            return ascii_address(address)
    return None


def text_faults(config: Mapping[str, Any], context: Mapping[str, Any], site: Site, *names: str) -> Iterator[str]:
    """Which of these texts of a config, and of its ``personalization``, cannot be rendered for this very job."""
    personal = config.get("personalization") or {}
    if not isinstance(personal, Mapping):
        yield "config.personalization: must be an object"
        return
    yield from _name_faults(personal)
    texts = {f"config.{name}": config.get(name) for name in names}
    own = {f"config.personalization.{name[:40]}": value for name, value in personal.items()}
    if not any(is_template(text) for text in (*texts.values(), *own.values())):
        return
    from wedsync_ops.handlers.render import faults_in, values_for

    faults = list(faults_in(own, values_for(context, site)))
    if not faults:
        faults += faults_in(texts, values_for(context, site, personal))
    yield from faults


def is_template(text: object) -> bool:
    """Whether a value is a text that holds anything of the template language."""
    return isinstance(text, str) and "{" in text and ("{{" in text or "{%" in text or "{#" in text)


def attachment_faults(names: object, site: Site) -> Iterator[str]:
    """What is wrong with the files that a config attaches."""
    if names:
        from wedsync_ops.handlers.attachments import faults

        yield from (f"config.{fault}" for fault in faults(names, site.attachments_dir))


def _name_faults(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        place = f"config.personalization.{name[:40]}"
        if name in RESERVED:
            yield f"{place}: the name is taken; choose another"
        if isinstance(value, Mapping | list):
            yield f"{place}: must be text, a number, true or false"
