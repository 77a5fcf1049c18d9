"""Customising: from a file of customisations to stored ones, all of them or none; removing; what holds for whom."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from wedsync_ops import codec
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput, UnknownModule, UsageError
from wedsync_ops.modules import reading, store
from wedsync_ops.modules.discovery import boost_of, vendor_named
from wedsync_ops.modules.model import Customisation, Limits, ModuleVersion, Problem, Scope
from wedsync_ops.modules.overrides import merged
from wedsync_ops.modules.reading import problem, words
from wedsync_ops.modules.registry import CustomisationKey, Registry
from wedsync_ops.vendors import SHIPPED, VendorType
from wedsync_ops.yamldoc import Document, Path

Vendors = Mapping[str, VendorType]

_SCOPES: tuple[Scope, ...] = ("supplier", "vendor_type")
_KEYS = (*_SCOPES, "module", "config", "priority", "priority_boost", "weight", "limits")
_SPELT = {"name": "supplier", "module_id": "module"}
_OWN = frozenset(("scope", "name", "module_id"))


@dataclass(frozen=True, slots=True)
class Customised:
    """One customisation of a file, and what it came to: added, changed or unchanged."""

    customisation: Customisation
    change: str


@dataclass(frozen=True, slots=True)
class Customising:
    """What customising by a file came to: either every customisation, or nothing and the problems."""

    source: str
    customised: tuple[Customised, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """A value that holds, and what it comes from: schema, module_type, vendor_type or supplier."""

    path: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds for a vendor type and a supplier: config defaults, priority and limits, each with its origin."""

    config: tuple[Origin, ...]
    priority: tuple[Origin, ...]
    limits: tuple[Origin, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return {
            part: [{"path": one.path, "value": one.value, "from": one.source} for one in origins]
            for part, origins in (("config", self.config), ("priority", self.priority), ("limits", self.limits))
        }


def customise(
    database: Database,
    raw: bytes,
    source: str,
    *,
    now: int,
    dry_run: bool = False,
    vendors: Vendors = SHIPPED,
) -> Customising:
    """Store every customisation of a file, or none when any has a problem. ``dry_run`` writes nothing.

    What the file does not name stays as it is.
    """
    if dry_run:
        with database.reading() as connection:
            return _customise(connection, raw, source, now, vendors, dry_run=True)
    with database.transaction() as connection:
        store.lock(connection)
        return _customise(connection, raw, source, now, vendors, dry_run=False)


def _customise(
    connection: Connection, raw: bytes, source: str, now: int, vendors: Vendors, *, dry_run: bool
) -> Customising:
    registry = store.load(connection)
    found, problems = parse(raw, registry, vendors)
    if problems:
        return Customising(source, (), problems)
    done = []
    for one in found:
        key = (one.scope, one.name, one.module_id)
        content = codec.canonical(one.model_dump(mode="json", exclude=set(_OWN), exclude_defaults=True)).decode()
        before = registry.customisations.get(key)
        done.append(Customised(one, "added" if before is None else "unchanged" if before == content else "changed"))
        if content != before and not dry_run:
            store.customise(connection, key, content, now)
    return Customising(source, tuple(done), ())


def remove(
    database: Database,
    scope: Scope,
    name: str,
    module_id: str,
    *,
    dry_run: bool = False,
    vendors: Vendors = SHIPPED,
) -> Customisation:
    """Take a customisation back; returns what it was. Jobs that are queued keep the config they were queued with.

    Raises UnknownModule, or NotFound when there is none.
    """
    if dry_run:
        with database.reading() as connection:
            return _stored(connection, scope, name, module_id, vendors)[1]
    with database.transaction() as connection:
        store.lock(connection)
        key, found = _stored(connection, scope, name, module_id, vendors)
        store.uncustomise(connection, key)
    return found


def _stored(
    connection: Connection, scope: Scope, name: str, module_id: str, vendors: Vendors
) -> tuple[CustomisationKey, Customisation]:
    registry = store.load(connection)
    registry.pointer(module_id)
    key = (scope, vendor_named(name, vendors).name if scope == "vendor_type" else name, module_id)
    return key, registry.customisation(key)


def parse(
    raw: bytes, registry: Registry, vendors: Vendors = SHIPPED
) -> tuple[tuple[Customisation, ...], tuple[Problem, ...]]:
    """Read a file of customisations: every problem at once, with its line. Never raises for bad content."""
    document, items, problems = reading.read(raw, "customisations", "customisation")
    found: list[Customisation] = []
    lines: dict[CustomisationKey, int] = {}
    for index, item in enumerate(items):
        path: Path = ("customisations", index)
        one, wrong = _entry(document, path, item, vendors)
        problems += [*wrong, *_misfits(document, path, item, registry)]
        if one is None:
            continue
        key = (one.scope, one.name, one.module_id)
        if key in lines:
            what = f"{one.owner} customises {one.module_id} already in line {lines[key]}"
            problems.append(problem(document, path, what))
        lines.setdefault(key, document.line_of(path))
        found.append(one)
    return tuple(found), reading.in_order(document, problems)


def _entry(document: Document, path: Path, item: Any, vendors: Vendors) -> tuple[Customisation | None, list[Problem]]:
    if not isinstance(item, dict):
        return None, [problem(document, path, f"a customisation must be a mapping, not {codec.kind_of(item)}")]
    problems = []
    scopes = [scope for scope in _SCOPES if scope in item]
    if len(scopes) != 1:
        problems.append(problem(document, path, "needs either supplier or vendor_type, and not both"))
    scope = scopes[0] if scopes else "supplier"
    try:
        name = _name(scope, item.get(scope, "?"), vendors)
    except (InvalidInput, UsageError) as error:
        problems.append(problem(document, (*path, scope), str(error)))
        name = "?"
    values = {key: value for key, value in item.items() if key in _KEYS[3:]}
    values |= {"scope": scope, "name": name, **({"module_id": item["module"]} if "module" in item else {})}
    problems += [
        problem(document, (*path, key), f"there is no such field{reading.near(key, _KEYS)}")
        for key in item
        if key not in _KEYS
    ]
    if all(item.get(key) in (None, {}) for key in _KEYS[3:]):
        problems.append(problem(document, path, f"changes nothing; give one of {', '.join(_KEYS[3:])}"))
    try:
        one = Customisation.model_validate(values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=True):
            first, *rest = fault["loc"]
            place = (*path, scope if first == "name" else _SPELT.get(str(first), first), *rest)
            problems.append(problem(document, place, words(fault, tuple(Limits.model_fields))))
        return None, problems
    return (None if problems else one), problems


def _name(scope: Scope, value: Any, vendors: Vendors) -> Any:
    """A supplier's id as contexts give it (whole numbers are texts there, too), a vendor type in the singular."""
    if scope == "vendor_type":
        return vendor_named(value, vendors).name if isinstance(value, str) else value
    name = str(value) if type(value) is int else value
    if isinstance(name, str) and name.isspace():
        raise InvalidInput("must not be blank")
    return name


def _misfits(document: Document, path: Path, item: Any, registry: Registry) -> Iterator[Problem]:
    """What an entry says that its module type does not allow, however much else is wrong with it."""
    module_id = item.get("module") if isinstance(item, dict) else None
    if not isinstance(module_id, str):
        return
    try:
        module = registry.current(module_id)
    except UnknownModule as error:
        yield problem(document, (*path, "module"), error.message)
        return
    config, limits = item.get("config"), item.get("limits")
    for place, message in registry.default_faults(module, config) if isinstance(config, dict) else ():
        yield problem(document, (*path, "config", *place), message)
    most = module.definition.resource_requirements.model_dump()
    for name, value in limits.items() if isinstance(limits, dict) else ():
        if name in most and isinstance(value, int | float) and value > most[name]:
            what = f"must be at most {most[name]:g}, which {module_id} has; a limit can only be tightened"
            yield problem(document, (*path, "limits", name), what)


def effective(
    registry: Registry,
    module: ModuleVersion,
    *,
    vendor_type: str | None = None,
    supplier: str | None = None,
    vendors: Vendors = SHIPPED,
) -> Effective:
    """What holds of a module type for a vendor type and a supplier. Raises InvalidInput for an unknown vendor type."""
    vendor = None if vendor_type is None else vendor_named(vendor_type, vendors).name
    overrides = registry.overrides(module.module_id, vendor, supplier)
    layers = () if overrides is None else overrides.layers
    rules = module.definition.wedding_optimizations
    return Effective(
        _config_origins(module, layers),
        _priority_origins(0 if vendor is None else boost_of(rules, vendor), layers),
        _limit_origins(module, layers),
    )


def _config_origins(module: ModuleVersion, layers: Sequence[Customisation]) -> tuple[Origin, ...]:
    properties = module.definition.config_schema.get("properties", {})
    defaults = {
        key: value["default"] for key, value in properties.items() if isinstance(value, dict) and "default" in value
    }
    sources = [("schema", defaults), *((layer.scope, layer.config) for layer in layers)]
    origins = {path: source for source, config in sources for path in _flat(config)}
    together: Mapping[str, Any] = reduce(merged, (config for _, config in sources))
    return tuple(Origin(path, value, origins[path]) for path, value in _flat(together).items())


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config's values by path; those of a map one by one, for maps are merged key by key."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = {f"{key}.{name}": item for name, item in value.items()} if isinstance(value, dict) else {}
        found |= inner or {key: value}
    return found


def _priority_origins(own_boost: int, layers: Sequence[Customisation]) -> tuple[Origin, ...]:
    least = Origin("priority", None, "module_type")
    boost = Origin("priority_boost", 0, "module_type")
    weight = Origin("weight", 1.0, "module_type")
    for layer in layers:
        if layer.weight is not None:
            weight = Origin("weight", layer.weight, layer.scope)
        if layer.priority is not None:
            least = Origin("priority", layer.priority, layer.scope)
        if layer.priority_boost is not None:
            boost = Origin("priority_boost", layer.priority_boost, layer.scope)
    if boost.value <= own_boost:
        boost = Origin("priority_boost", own_boost, "module_type")
    return least, boost, weight


def _limit_origins(module: ModuleVersion, layers: Sequence[Customisation]) -> tuple[Origin, ...]:
    resources = module.definition.resource_requirements
    found = {name: Origin(name, value, "module_type") for name, value in resources.model_dump().items()}
    for layer in layers:
        for name, value in layer.limits.model_dump(exclude_none=True).items():
            if value < found[name].value:
                found[name] = Origin(name, value, layer.scope)
    return tuple(found.values())
