"""Customisations laid over each other: schema < vendor type < supplier < the job's own config. Pure.

A top-level key of a config is replaced whole, but a map is merged with the map below it, key by key. Priorities and
weights: the supplier's word goes before the vendor type's. Limits: the tightest of all counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

from wedsync_ops.modules.model import Customisation, Limits, Resources

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class Overrides:
    """What the customisations that hold for a job come to, the vendor type's first; compared by identity."""

    layers: tuple[Customisation, ...]
    config: Mapping[str, Any]
    priority: str | None
    priority_boost: int
    weight: float
    limits: Limits

    def by(self, *fields: str) -> str:
        """Whose customisations say anything of these fields, in words: ``vendor type venue and supplier s1``."""
        return " and ".join(layer.owner for layer in self.layers if any(getattr(layer, name) for name in fields))

    def completed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A job's own config over these defaults."""
        return merged(self.config, config)

    def tightened(self, resources: Resources) -> Resources:
        """A module type's limits, lowered to these where these are lower."""
        lower = {
            name: value
            for name, value in self.limits.model_dump(exclude_none=True).items()
            if value < getattr(resources, name)
        }
        return resources.model_copy(update=lower)


def overrides_of(layers: Sequence[Customisation]) -> Overrides:
    """Lay customisations over each other, the first lowest."""
    defaults: dict[str, Any] = reduce(merged, (layer.config for layer in layers), {})
    return Overrides(
        layers=tuple(layers),
        config=defaults,
        priority=_last(layer.priority for layer in layers),
        priority_boost=_last(layer.priority_boost for layer in layers) or 0,
        weight=_last(layer.weight for layer in layers) or 1.0,
        limits=Limits(**{name: _tightest(layers, name) for name in Limits.model_fields}),
    )


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """One config over another; neither is changed."""
    result = {**lower, **upper}
    for key, value in upper.items():
        below = lower.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = {**below, **value}
    return result


def _last(values: Iterable[_T | None]) -> _T | None:
    found = None
    for value in values:
        if value is not None:
            found = value
    return found


def _tightest(layers: Sequence[Customisation], name: str) -> Any:
    given = (getattr(layer.limits, name) for layer in layers)
    return min((value for value in given if value is not None), default=None)
