"""What a further job takes along of a context that is too large to be kept once more."""

from collections.abc import Mapping
from typing import Any

from wedsync_ops import codec
from wedsync_ops.handlers import branding
from wedsync_ops.handlers.addresses import one_line
from wedsync_ops.handlers.fields import couple_name, part, supplier_name

_LONGEST_NAME = 255
_SHORT = 1024  # bytes of JSON of a value that is kept whatever else must go
_NEEDED = {
    "": (
        "client_id", "supplier_id", "journey_instance_id", "wedding_date", "timezone", "vendor_type", "location",
        "subscription_tier", "couple_name", "supplier_name", "supplier_email",
    ),
    "client_data": (
        "email", "couple_name", "wedding_date", "timezone", "location", "vendor_type", "venue_name", "venue",
    ),
    "supplier_data": (
        "name", "email", "signature", "review_links", "brand_color", "logo", "vendor_type", "subscription_tier",
    ),
    "step_data": ("form_name", "review_follow_up"),
}  # fmt: skip
_LONGER = {"signature": 4 * _SHORT, "review_links": 9 * _SHORT}


def within(context: Mapping[str, Any], room: int) -> dict[str, Any]:
    """The context, cut when its JSON takes more than ``room`` bytes: the largest values go first.

    Names of couple and supplier are put together before, and what a mail needs stays although there is no room for
    it: ids, addresses, names, the signature, the form's name, the places of reviews, what times depend on.
    """
    if len(codec.canonical(dict(context))) <= room:
        return dict(context)
    groups = {name: dict(part(context, name)) for name in _NEEDED if name}
    _name(groups, context)
    groups[""] = {name: value for name, value in context.items() if name not in groups}
    sizes = {
        (group, name): len(name) + 4 + len(codec.canonical(value))
        for group, values in groups.items()
        for name, value in values.items()
    }
    total = sum(sizes.values()) + 64  # the braces and the names of the groups
    for (group, name), size in sorted(sizes.items(), key=lambda item: -item[1]):
        if total <= room:
            break
        if name not in _NEEDED[group] or size > _LONGER.get(name, _SHORT):
            del groups[group][name]
            total -= size
    top = groups.pop("")
    return {**top, **{name: values for name, values in groups.items() if values}}


def _name(groups: dict[str, dict[str, Any]], context: Mapping[str, Any]) -> None:
    """Say in one value each what may be put together from many, as long as names and signatures are."""
    client, supplier = groups["client_data"], groups["supplier_data"]
    for values, name in ((client, couple_name(context, client)), (supplier, supplier_name(context, supplier))):
        if name is not None:
            values["couple_name" if values is client else "name"] = one_line(name, _LONGEST_NAME)
    lines = branding.fields({"supplier": supplier})["supplier_signature"]
    if lines:
        supplier["signature"] = "\n".join(lines)
