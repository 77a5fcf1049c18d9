"""From a definition file to definitions with every problem at once, and the frozen registry that jobs are read by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from wedsync_ops import codec
from wedsync_ops.errors import DatabaseError, InvalidInput, ModuleInactive, NotFound, UnknownModule, quoted
from wedsync_ops.modules import reading, schema
from wedsync_ops.modules.model import (
    Customisation,
    Definition,
    ModuleVersion,
    Pointer,
    Problem,
    Scope,
    Validation,
)
from wedsync_ops.modules.overrides import Overrides, overrides_of
from wedsync_ops.modules.reading import near, problem, words
from wedsync_ops.modules.resolve import resolve
from wedsync_ops.yamldoc import Document, Path

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator


_LATER = frozenset({"unique", "provider"})


@dataclass(frozen=True, slots=True)
class Found:
    """A definition as it stands in a file: valid, with the line where it starts and the hash of what it says."""

    definition: Definition
    line: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a definition file says. ``definitions`` may be used only when there are no problems."""

    definitions: tuple[Found, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def content_hash(definition: Definition) -> str:
    """The fingerprint of everything that a definition says, defaults included.

    Fields that came later count only where they are given: what was registered before they came has not changed.
    """
    said = definition.model_dump(mode="json")
    return codec.digest({name: value for name, value in said.items() if value is not None or name not in _LATER})


def parse(raw: bytes) -> Parsed:
    """Read a definition file: every problem at once, each with its line and path. Never raises for bad content.

    Its ``schedules``, ``alerts`` and ``journeys`` are left to the rooms that they are of.
    """
    document, items, problems = reading.read(raw, "modules", "definition", beside=("schedules", "alerts", "journeys"))
    found: list[Found] = []
    warnings: list[Problem] = []
    for index, item in enumerate(items):
        definition, wrong, doubtful = _definition(document, index, item)
        problems += wrong
        warnings += doubtful
        if definition is not None:
            found.append(Found(definition, document.line_of(("modules", index)), content_hash(definition)))
    problems += _duplicates(document, items)
    return Parsed(tuple(found), reading.in_order(document, problems), tuple(warnings))


def _definition(document: Document, index: int, item: Any) -> tuple[Definition | None, list[Problem], list[Problem]]:
    """A definition, when it can be read, with its problems and its warnings."""
    path: Path = ("modules", index)
    if not isinstance(item, dict):
        return None, [problem(document, path, f"a definition must be a mapping, not {codec.kind_of(item)}")], []
    problems: list[Problem] = []
    definition: Definition | None = None
    try:
        definition = Definition.model_validate(item)
    except ValidationError as error:
        problems += [
            problem(document, (*path, *fault["loc"]), words(fault, tuple(Definition.model_fields)))
            for fault in error.errors(include_url=False, include_context=True)
        ]
    problems += _handler_problems(document, path, item)
    config_schema = item.get("config_schema")
    if isinstance(config_schema, dict):
        wrong = [
            problem(document, (*path, "config_schema", *place), message)
            for place, message in schema.faults(config_schema)
        ]
        problems += wrong or _example_problems(document, path, config_schema, item.get("examples"))
        problems += _key_problems(document, path, config_schema, item.get("unique"))
    return definition, problems, list(_warnings(document, path, definition)) if definition else []


def _handler_problems(document: Document, path: Path, item: dict[str, Any]) -> list[Problem]:
    name = item.get("handler")
    if item.get("is_active", True) is not True or not isinstance(name, str):
        return []
    try:
        resolve(name)
    except InvalidInput as error:
        return [problem(document, (*path, "handler"), str(error))]
    return []


def _example_problems(document: Document, path: Path, config_schema: dict[str, Any], examples: Any) -> list[Problem]:
    validator = schema.compiled(config_schema)
    return [
        problem(document, (*path, "examples", index, "config", *place), f"the example does not fit: {message}")
        for index, example in enumerate(examples if isinstance(examples, list) else ())
        if isinstance(example, dict) and isinstance(example.get("config"), dict)
        for place, message in schema.located(validator, config_schema, example["config"])
    ]


def _key_problems(document: Document, path: Path, config_schema: dict[str, Any], unique: Any) -> list[Problem]:
    """Paths of a unique key that lead to what no config can hold: all jobs would be the same there."""
    known, paths = config_schema.get("properties", {}), unique.get("key") if isinstance(unique, dict) else None
    is_open = config_schema.get("additionalProperties") is not False or "patternProperties" in config_schema
    if is_open or not isinstance(known, dict) or not isinstance(paths, list):
        return []
    named = [(place, one.split(".")[1]) for place, one in enumerate(paths) if str(one).startswith("config.")]
    return [
        problem(
            document,
            (*path, "unique", "key", place),
            f"the config has no key {quoted(name)}{near(name, tuple(map(str, known)))}",
        )
        for place, name in named
        if name and name not in known
    ]


def _warnings(document: Document, path: Path, definition: Definition) -> Iterator[Problem]:
    if not schema.is_closed(definition.config_schema):
        yield problem(
            document,
            (*path, "config_schema"),
            "the schema is open: misspelt keys pass unseen; add additionalProperties: false",
        )
    if definition.isolation == "thread":
        yield problem(
            document,
            (*path, "isolation"),
            "in a thread limits are only observed: a job that overruns or crashes is not killed alone",
        )


def _duplicates(document: Document, items: list[Any]) -> list[Problem]:
    seen: dict[str, int] = {}
    problems = []
    for index, item in enumerate(items):
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            first = document.line_of(("modules", seen[name], "id"))
            problems.append(
                problem(document, ("modules", index, "id"), f"the id {quoted(name)} stands already in line {first}")
            )
        seen.setdefault(name, index)
    return problems


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A stored version, its definition still the JSON text that was stored."""

    module_id: str
    version: int
    content_hash: str
    definition: str
    created_at: int


CustomisationKey = tuple[Scope, str, str]
"""Scope, name and module type of a customisation."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Every module type, version and customisation at one moment; definitions and validators made when asked for."""

    pointers: Mapping[str, Pointer]
    rows: Mapping[tuple[str, int], VersionRow]
    customisations: Mapping[CustomisationKey, str]
    """What was stored of each customisation, as the JSON text that was stored."""
    _versions: dict[tuple[str, int], ModuleVersion] = field(default_factory=dict, repr=False, compare=False)
    _validators: dict[tuple[str, int], "Draft202012Validator"] = field(default_factory=dict, repr=False, compare=False)
    _usable: dict[str, ModuleVersion] = field(default_factory=dict, repr=False, compare=False)
    _overrides: dict[tuple[CustomisationKey, ...], Overrides] = field(default_factory=dict, repr=False, compare=False)

    def modules(self) -> tuple[ModuleVersion, ...]:
        """The version in force of every module type, inactive and retired ones included, by id."""
        return tuple(self.current(module_id) for module_id in sorted(self.pointers))

    def pointer(self, module_id: str) -> Pointer:
        """Which version of a module type is in force. Raises UnknownModule, naming the nearest."""
        try:
            return self.pointers[module_id]
        except KeyError:
            nearest = near(str(module_id), tuple(self.pointers))
            raise UnknownModule(f"there is no module type {quoted(str(module_id))}{nearest}") from None

    def current(self, module_id: str) -> ModuleVersion:
        """The version that new jobs of a module type get, be it usable or not. Raises UnknownModule."""
        return self.version(module_id, self.pointer(module_id).version)

    def is_usable(self, module_id: str) -> bool:
        """Whether jobs of a module type may be queued. Raises UnknownModule."""
        return self.pointer(module_id).retired_at is None and self.current(module_id).definition.is_active

    def usable(self, module_id: str) -> ModuleVersion:
        """The version that new jobs get. Raises UnknownModule, or ModuleInactive for a retired or inactive type."""
        known = self._usable.get(module_id)
        if known is not None:
            return known
        if self.pointer(module_id).retired_at is not None:
            raise ModuleInactive(f"the module type {module_id!r} is retired", hint="register it again to use it")
        module = self.current(module_id)
        if not module.definition.is_active:
            raise ModuleInactive(
                f"the module type {module_id!r} is not active",
                hint="set is_active: true in its definition, register it",
            )
        return self._usable.setdefault(module_id, module)

    def provider(self, module_id: str) -> str | None:
        """What the jobs of a module type are delivered over, as its version in force says; ``None`` when over nothing,
        or when there is no such module type.
        """
        return self.current(module_id).definition.provider if module_id in self.pointers else None

    def numbers(self, module_id: str) -> tuple[int, ...]:
        """The numbers of a module type's versions, ascending. Raises UnknownModule."""
        self.pointer(module_id)
        return tuple(sorted(number for name, number in self.rows if name == module_id))

    def version(self, module_id: str, number: int) -> ModuleVersion:
        """One version of a module type. Raises UnknownModule, or NotFound naming the versions that there are."""
        key = (module_id, number)
        known = self._versions.get(key)
        if known is not None:
            return known
        row = self.rows.get(key)
        if row is None:
            numbers = ", ".join(map(str, self.numbers(module_id)))
            raise NotFound(f"the module type {module_id!r} has no version {number}", hint=f"it has {numbers}")
        return self._versions.setdefault(key, to_version(row))

    def config_errors(self, module: ModuleVersion, config: Any) -> Validation:
        """Every error and warning of a config against a version's schema."""
        config_schema = module.definition.config_schema
        found = schema.errors(self._validator(module), config_schema, config)
        unnamed = schema.unnamed_keys(config_schema, config) if isinstance(config, dict) else []
        warnings = [f"{schema.written('config', (key,))}: is not a key that the schema names" for key in unnamed]
        return Validation(tuple(found), tuple(warnings))

    def first_config_error(self, module: ModuleVersion, config: Any) -> str | None:
        """The first error of a config in one line, or ``None``; some microseconds when it fits."""
        return schema.first_error(self._validator(module), module.definition.config_schema, config)

    def default_faults(self, module: ModuleVersion, config: Mapping[str, Any]) -> list[schema.Fault]:
        """What is wrong with the values of a config that need not be whole, each with its place in it."""
        found = schema.located(self._validator(module), module.definition.config_schema, config)
        return [(place, message) for place, message in found if place and place[0] in config]

    def overrides(self, module_id: str, vendor_type: str | None, supplier_id: str | None) -> Overrides | None:
        """What a supplier and its vendor type (in the singular) change of a module type, ``None`` when nothing."""
        known = self.customisations
        if not known:
            return None
        keys: tuple[CustomisationKey, ...] = (
            ("vendor_type", vendor_type or "", module_id),
            ("supplier", supplier_id or "", module_id),
        )
        layers = tuple(key for key in keys if key in known)
        if not layers:
            return None
        found = self._overrides.get(layers)
        if found is None:
            found = self._overrides.setdefault(layers, overrides_of([self.customisation(key) for key in layers]))
        return found

    def customisation(self, key: CustomisationKey) -> Customisation:
        """One customisation. Raises NotFound, or DatabaseError when it can no longer be read."""
        scope, name, module_id = key
        content = self.customisations.get(key)
        if content is None:
            owner = f"the {scope.replace('_', ' ')} {name[:60]!r}"
            raise NotFound(f"{owner} has no customisation of the module type {module_id!r}")
        try:
            values = codec.loads(content, "the customisation")
            return Customisation.model_validate({**values, "scope": scope, "name": name, "module_id": module_id})
        except (ValidationError, InvalidInput) as error:
            raise DatabaseError(f"the customisation of {module_id!r} by {name[:60]!r} cannot be read") from error

    def _validator(self, module: ModuleVersion) -> "Draft202012Validator":
        key = (module.module_id, module.version)
        known = self._validators.get(key)
        if known is None:
            known = self._validators.setdefault(key, schema.compiled(module.definition.config_schema))
        return known


def to_version(row: VersionRow) -> ModuleVersion:
    """A stored version as a value. Raises DatabaseError when its definition can no longer be read."""
    try:
        definition = Definition.model_validate_json(row.definition)
    except ValidationError as error:
        raise DatabaseError(
            f"version {row.version} of the module type {row.module_id!r} cannot be read: {error.errors()[0]['msg']}"
        ) from error
    return ModuleVersion(row.module_id, row.version, row.content_hash, definition, row.created_at)
