"""Vendor types: when their suppliers work most, what their jobs are like, which module types they use first.

They are data: the five that are shipped, changed and added to by the setting ``vendor_types``. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from wedsync_ops.errors import quoted


@dataclass(frozen=True, slots=True)
class Profile:
    """What kind of resources jobs take, and what admission makes of that.

    ``memory_factor`` multiplies the peak of memory that is expected of a job that runs; ``core_share`` is what a job
    counts when cores are shared out, 2 being usual.
    """

    memory_factor: float = 1.0
    core_share: int = 2


BALANCED = "balanced"
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        BALANCED: Profile(),
        "cpu_optimized": Profile(core_share=4),
        "memory_optimized": Profile(memory_factor=1.5),
        "network_optimized": Profile(core_share=1),
    }
)
"""The resource profiles. What computes keeps others off its cores; what waits for the network lets them in."""


@dataclass(frozen=True, slots=True)
class VendorType:
    """A vendor type, in the singular.

    In its peak hours (0 to 23, local time) ``peak_factor`` times the load is expected; they never delay a job.
    ``first_modules`` are the module types that come first where they are listed.
    """

    name: str
    peak_hours: tuple[int, ...] = ()
    peak_factor: float = 1.5
    resource_profile: str = BALANCED
    first_modules: tuple[str, ...] = ()

    @property
    def profile(self) -> Profile:
        """What admission makes of its jobs."""
        return PROFILES[self.resource_profile]


SHIPPED: Mapping[str, VendorType] = MappingProxyType(
    {
        each.name: each
        for each in (
            VendorType("photographer", (9, 17), 1.5, "cpu_optimized", ("email", "form", "review")),
            VendorType("venue", (8, 16), 1.5, "memory_optimized", ("meeting", "form", "info")),
            VendorType("florist", (7, 15), 1.5, BALANCED, ("info", "form", "email")),
            VendorType("caterer", (10, 15), 1.5, BALANCED, ("form", "meeting", "info")),
            VendorType("planner", (10, 18), 1.5, "network_optimized", ("email", "meeting", "info")),
        )
    }
)
"""The vendor types that are known without any setting."""
_PLURALS = {f"{name}s": name for name in SHIPPED}
_KEYS = ("peak_hours", "peak_factor", "resource_profile", "first_modules")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_MOST_HOURS, _MOST_MODULES, _MOST_TYPES, _MOST_FACTOR = 24, 20, 100, 20


@lru_cache(maxsize=256)
def singular(vendor_type: str) -> str:
    """A vendor type as it is kept: lower case, and the five known plurals in the singular."""
    name = vendor_type.strip().lower()
    return _PLURALS.get(name, name)


@lru_cache(maxsize=16)
def known(configured: tuple[VendorType, ...]) -> Mapping[str, VendorType]:
    """Every vendor type by name: those shipped, with those configured in their places and after them."""
    return MappingProxyType({**SHIPPED, **{each.name: each for each in configured}})


def profile_of(vendor_type: str | None, types: Mapping[str, VendorType]) -> Profile:
    """The profile of a job's vendor type; the balanced one without a type, and for one that is not known."""
    found = None if vendor_type is None else types.get(vendor_type)
    return PROFILES[BALANCED] if found is None else found.profile


def expected_factor(mix: Mapping[str, float], hour: int, types: Mapping[str, VendorType]) -> float:
    """How many times the usual load is expected in an hour of the local day, by whose jobs there are.

    ``mix`` weighs vendor types, by their jobs or weddings, say; those that are not known have no peak hours. An empty
    mix gives 1.
    """
    total = sum(mix.values())
    if total <= 0:
        return 1.0
    return sum(weight * _factor(types.get(singular(name)), hour) for name, weight in mix.items()) / total


def _factor(vendor_type: VendorType | None, hour: int) -> float:
    return vendor_type.peak_factor if vendor_type is not None and hour in vendor_type.peak_hours else 1.0


def vendor_types_from(value: object) -> tuple[VendorType, ...]:
    """Read the setting ``vendor_types``: a mapping from names to what is different.

    Raises ValueError with a message that names the place.
    """
    if not isinstance(value, Mapping) or len(value) > _MOST_TYPES:
        raise ValueError(f"must be a mapping of at most {_MOST_TYPES} vendor types")
    found = [_vendor_type(name, item) for name, item in value.items()]
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the vendor type {twice!r} stands there twice")
    return tuple(found)


def _vendor_type(name: object, item: object) -> VendorType:
    if not isinstance(name, str) or not _NAME.fullmatch(singular(name)):
        raise ValueError(f"{quoted(name)} is no name of a vendor type: letters, digits, - and _, as photographer")
    if not isinstance(item, Mapping):
        raise ValueError(f"{name} must be a mapping with some of {', '.join(_KEYS)}")
    stranger = next((key for key in item if key not in _KEYS), None)
    if stranger is not None:
        raise ValueError(f"{name} has no key {quoted(stranger)}; known: {', '.join(_KEYS)}")
    changes: dict[str, Any] = {}
    if "peak_hours" in item:
        changes["peak_hours"] = _hours(item["peak_hours"], f"{name}.peak_hours")
    if "peak_factor" in item:
        changes["peak_factor"] = _number(item["peak_factor"], f"{name}.peak_factor")
    if "resource_profile" in item:
        changes["resource_profile"] = _profile(item["resource_profile"], f"{name}.resource_profile")
    if "first_modules" in item:
        changes["first_modules"] = _modules(item["first_modules"], f"{name}.first_modules")
    return replace(SHIPPED.get(singular(name), VendorType(singular(name))), **changes)


def _hours(value: object, place: str) -> tuple[int, ...]:
    hours = _list(value, _MOST_HOURS, place, "hours from 0 to 23")
    if any(isinstance(hour, bool) or not isinstance(hour, int) or not 0 <= hour <= 23 for hour in hours):
        raise ValueError(f"{place} must be a list of hours from 0 to 23")
    return tuple(sorted(set(hours)))


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _MOST_FACTOR:
        raise ValueError(f"{place} must be a number from 1 to {_MOST_FACTOR}")
    return float(value)


def _profile(value: object, place: str) -> str:
    if not isinstance(value, str) or value not in PROFILES:
        raise ValueError(f"{place} must be one of {', '.join(PROFILES)}")
    return value


def _modules(value: object, place: str) -> tuple[str, ...]:
    names = _list(value, _MOST_MODULES, place, "module types")
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"{place} must be a list of module types")
    return tuple(dict.fromkeys(names))


def _list(value: object, most: int, place: str, what: str) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{place} must be a list of at most {most} {what}")
    return value
