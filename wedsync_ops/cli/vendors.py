"""``vendors``: the vendor types, as shipped and as configured."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import group

if TYPE_CHECKING:
    from wedsync_ops.modules.registry import Registry
    from wedsync_ops.settings import Settings
    from wedsync_ops.vendors import VendorType

app = group("See the vendor types: peak hours, resources, what comes first.")


@app.command("list")
def list_vendors(context: typer.Context, json: Json = False) -> None:
    """List the vendor types, those of the setting vendor_types included."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, table

    with opened(context) as opened_app:
        settings, registry = opened_app.settings, opened_app.registry()
    documents = [_document(settings, registry, each) for each in settings.vendors.values()]
    if json:
        emit("vendors-list", {"vendor_types": documents})
        return
    rows = [
        (one["vendor_type"], _hours(one), f"x {one['peak_factor']:g}", one["resource_profile"], _first(one))
        for one in documents
    ]
    table(("Vendor type", "Peak hours", "Load", "Resources", "First"), rows)


@app.command("show")
def show_vendor(
    context: typer.Context,
    vendor_type: Annotated[str, typer.Argument(metavar="NAME", help="Such as photographer or photographers.")],
    json: Json = False,
) -> None:
    """Show a vendor type, and the steps of priority that module types add for it."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, facts
    from wedsync_ops.errors import NotFound, quoted
    from wedsync_ops.vendors import singular

    with opened(context) as opened_app:
        settings, registry = opened_app.settings, opened_app.registry()
    vendor = settings.vendors.get(singular(vendor_type))
    if vendor is None:
        known = ", ".join(settings.vendors)
        raise NotFound(f"there is no vendor type {quoted(vendor_type)}", hint=f"the vendor types are {known}")
    document = _document(settings, registry, vendor)
    if json:
        emit("vendors-show", {"vendor_type": document})
        return
    boosts = ", ".join(f"{module} {steps}" for module, steps in document["priority_boosts"].items())
    shown = {**document, "peak_hours": _hours(document), "first_modules": _first(document), "priority_boosts": boosts}
    facts((name.replace("_", " "), value) for name, value in shown.items())


def _document(settings: "Settings", registry: "Registry", vendor: "VendorType") -> dict[str, Any]:
    from wedsync_ops.modules.discovery import boost_of

    boosts = {
        module.module_id: boost_of(module.definition.wedding_optimizations, vendor.name)
        for module in registry.modules()
        if registry.is_usable(module.module_id)
    }
    configured = {each.name for each in settings.vendor_types}
    return {
        "vendor_type": vendor.name,
        "peak_hours": list(vendor.peak_hours),
        "peak_factor": vendor.peak_factor,
        "resource_profile": vendor.resource_profile,
        "memory_factor": vendor.profile.memory_factor,
        "core_share": vendor.profile.core_share,
        "first_modules": list(vendor.first_modules),
        "priority_boosts": {module: steps for module, steps in boosts.items() if steps},
        "is_configured": vendor.name in configured,
    }


def _hours(document: dict[str, Any]) -> str:
    return ", ".join(f"{hour:02}:00" for hour in document["peak_hours"])


def _first(document: dict[str, Any]) -> str:
    return ", ".join(document["first_modules"])
