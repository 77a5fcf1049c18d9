"""Which module types there are for whom: by category, capability, subscription tier and vendor type. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from wedsync_ops.errors import InvalidContext, TierRefused, UsageError, quoted
from wedsync_ops.modules.model import ModuleVersion, Pointer, WeddingRules
from wedsync_ops.modules.registry import Registry
from wedsync_ops.vendors import SHIPPED, VendorType, singular

TIERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "free": ("email",),
        "starter": ("form",),
        "professional": ("sms", "meeting", "info"),
        "scale": ("review",),
        "enterprise": ("referral",),
    }
)
"""The subscription tiers from the smallest up, each with the module types that it adds to those before."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A module type in a list. ``tier`` is the smallest that includes it, ``None`` for a third party's: all do."""

    module: ModuleVersion
    pointer: Pointer
    is_usable: bool
    tier: str | None
    priority_boost: int


def vendor_named(vendor_type: str, vendors: Mapping[str, VendorType] = SHIPPED) -> VendorType:
    """A vendor type by its name, singular or plural. Raises UsageError for one that is not among ``vendors``."""
    known = vendors.get(singular(vendor_type))
    if known is None:
        raise UsageError(
            f"there is no vendor type {quoted(vendor_type)}", hint=f"the vendor types are {', '.join(vendors)}"
        )
    return known


def tier_of(module_id: str) -> str | None:
    """The smallest tier that includes a module type; ``None`` when tiers say nothing of it."""
    return next((tier for tier, added in TIERS.items() if module_id in added), None)


def tier_includes(tier: str | None, module_id: str) -> bool:
    """Whether a supplier of a tier may use a module type; without a tier everything is allowed.

    Raises UsageError for a tier that is none.
    """
    if tier is None:
        return True
    names = tuple(TIERS)
    if tier not in names:
        raise UsageError(f"there is no tier {quoted(tier)}", hint=f"the tiers are {', '.join(names)}")
    needed = tier_of(module_id)
    return needed is None or names.index(needed) <= names.index(tier)


def require_tier(tier: str, module_id: str) -> None:
    """Refuse a module type that a supplier's tier does not include.

    Raises TierRefused, naming the tier that is needed, or InvalidContext for a tier that is none.
    """
    try:
        included = tier_includes(tier, module_id)
    except UsageError as error:
        raise InvalidContext(f"context.subscription_tier: {error.message}", hint=error.advice) from error
    if not included:
        raise TierRefused(
            f"the subscription tier {tier!r} does not include {module_id}; it needs {tier_of(module_id)!r}",
            hint="the tier stands in the context as subscription_tier",
        )


def boost_of(rules: WeddingRules, vendor_type: str) -> int:
    """The steps of priority that a module type adds for a vendor type, given in the singular; 0 without a rule."""
    found = (rule for name, rule in rules.vendor_type_optimization.items() if singular(name) == vendor_type)
    return max((rule.priority_boost for rule in found), default=0)


def discover(
    registry: Registry,
    *,
    category: str | None = None,
    capability: str | None = None,
    tier: str | None = None,
    vendor_type: str | None = None,
    include_all: bool = False,
    vendors: Mapping[str, VendorType] = SHIPPED,
) -> tuple[Listed, ...]:
    """The module types that fit every condition given, by id; a vendor type's preferred ones come first.

    Inactive and retired ones only with ``include_all``. Raises UsageError for an unknown tier or vendor type.
    """
    tier_includes(tier, "")
    defaults = None if vendor_type is None else vendor_named(vendor_type, vendors)
    found = [
        _listed(registry, module, defaults)
        for module in registry.modules()
        if (include_all or registry.is_usable(module.module_id))
        and (category is None or module.definition.category == category)
        and (capability is None or capability in module.definition.capabilities)
        and tier_includes(tier, module.module_id)
    ]
    first = () if defaults is None else defaults.first_modules
    ranks = {name: index for index, name in enumerate(first)}
    return tuple(sorted(found, key=lambda item: ranks.get(item.module.module_id, len(first))))


def _listed(registry: Registry, module: ModuleVersion, defaults: VendorType | None) -> Listed:
    rules = module.definition.wedding_optimizations
    boost = 0 if defaults is None else boost_of(rules, defaults.name)
    module_id = module.module_id
    return Listed(module, registry.pointer(module_id), registry.is_usable(module_id), tier_of(module_id), boost)
