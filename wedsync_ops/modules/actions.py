"""What can be done with module types: register, roll back, retire, compare, validate. Each is one transaction."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from wedsync_ops.codec import MAX_BYTES
from wedsync_ops.db import Database
from wedsync_ops.errors import InputFileError, Refused
from wedsync_ops.modules import store
from wedsync_ops.modules.model import Definition, ModuleVersion, Pointer, Problem, Registered, Validation
from wedsync_ops.modules.registry import Found, Registry, VersionRow, parse
from wedsync_ops.modules.resolve import resolve

FILE_NAME = "modules.yaml"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Registration:
    """What registering a file came to: either every definition, or nothing and the problems."""

    source: str
    registered: tuple[Registered, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A module type's pointer moved (or ``changed`` is false: it was held there already)."""

    module_id: str
    from_version: int
    version: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Retired:
    """A module type retired, with the jobs that wait: all of them, and those that could start now."""

    module_id: str
    version: int
    waiting_jobs: int
    available_jobs: int
    changed: bool


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a module type, and whether new jobs get it and are kept on it."""

    module: ModuleVersion
    is_current: bool
    is_held: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; ``before`` or ``after`` is ``None`` where the field is absent (see ``kind``)."""

    path: str
    kind: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from one version of a module type to another."""

    module_id: str
    from_version: int
    to_version: int
    changes: tuple[Change, ...]


class Beside(Protocol):
    """What else a definition file holds, registered in the same transaction (a port: its room lies downstream)."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with it by itself."""
        ...

    def check(self, registry: Registry) -> Sequence[Problem]:
        """What is wrong with it once the module types of the file are registered."""
        ...

    def store(self, connection: Connection, *, dry_run: bool) -> None:
        """Register it; on a dry run only find out what would change."""
        ...


@dataclass(frozen=True, slots=True)
class _Step:
    """What registering a definition takes: perhaps a new version, perhaps another pointer."""

    module: ModuleVersion
    is_new: bool
    before: Pointer | None
    after: Pointer

    @property
    def result(self) -> Registered:
        """What it comes to."""
        changed = self.is_new or self.after != self.before
        return Registered(self.module, changed, self.after.is_held, self.after.version)


def register(
    database: Database,
    raw: bytes,
    source_name: str,
    *,
    now: int,
    force: bool = False,
    dry_run: bool = False,
    beside: Sequence[Beside] = (),
) -> Registration:
    """Register every definition of a file and what stands ``beside`` them, or nothing when any has a problem.

    A definition that differs from every version gets a new one; one seen before gets its own version in force again,
    also when the type was retired. A pointer held by a rollback stays, unless ``force``. ``dry_run`` writes nothing.
    """
    parsed = parse(raw)
    problems = _by_line(parsed.problems, *(one.problems for one in beside))
    if problems:
        return Registration(source_name, (), problems, parsed.warnings)
    with database.reading() if dry_run else database.transaction() as connection:
        if not dry_run:
            store.lock(connection)
        registry = store.load(connection)
        steps = [_step(registry, found, now, force=force) for found in parsed.definitions]
        after = _after(registry, steps)
        problems = _by_line(*(one.check(after) for one in beside))
        if problems:
            return Registration(source_name, (), problems, parsed.warnings)
        if not dry_run:
            _write(connection, steps, now)
        for one in beside:
            one.store(connection, dry_run=dry_run)
    return Registration(source_name, tuple(step.result for step in steps), (), parsed.warnings)


def _by_line(*several: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted((problem for problems in several for problem in problems), key=lambda problem: problem.line))


def _step(registry: Registry, found: Found, now: int, *, force: bool) -> _Step:
    module, is_new = _version_of(registry, found, now)
    before = registry.pointers.get(module.module_id)
    return _Step(module, is_new, before, _moved(before, module.version, force=force))


def _after(registry: Registry, steps: Sequence[_Step]) -> Registry:
    """The registry as it will be."""
    pointers, rows = dict(registry.pointers), dict(registry.rows)
    for step in steps:
        module = step.module
        pointers[module.module_id] = step.after
        if step.is_new:
            content = module.definition.model_dump_json()
            rows[module.module_id, module.version] = VersionRow(
                module.module_id, module.version, module.content_hash, content, module.created_at
            )
    return Registry(pointers, rows, registry.customisations)


def _write(connection: Connection, steps: Sequence[_Step], now: int) -> None:
    for step in steps:
        if step.is_new:
            store.insert_version(connection, step.module)
        if step.after != step.before:
            store.set_pointer(connection, step.module.module_id, step.after, now)


def _version_of(registry: Registry, found: Found, now: int) -> tuple[ModuleVersion, bool]:
    """The version that a definition is, and whether it is new."""
    module_id = found.definition.id
    latest = 0
    for (name, number), row in registry.rows.items():
        if name == module_id:
            if row.content_hash == found.content_hash:
                return registry.version(name, number), False
            latest = max(latest, number)
    return ModuleVersion(module_id, latest + 1, found.content_hash, found.definition, now), True


def _moved(before: Pointer | None, version: int, *, force: bool) -> Pointer:
    if before is not None and before.is_held and not force:
        return replace(before, retired_at=None)
    return Pointer(version, is_held=False, retired_at=None)


def rollback(database: Database, module_id: str, version: int, *, now: int) -> RolledBack:
    """Put a version in force and hold it there until ``register`` is forced. Jobs already queued keep theirs.

    Raises UnknownModule, NotFound for the version, Refused for a retired type, InvalidInput when the version's handler
    no longer exists.
    """
    with database.transaction() as connection:
        store.lock(connection)
        registry = store.load(connection)
        before = registry.pointer(module_id)
        target = registry.version(module_id, version)
        if before.retired_at is not None:
            raise Refused(f"the module type {module_id!r} is retired", hint="register it again first")
        if target.definition.is_active:
            resolve(target.definition.handler)
        after = Pointer(version, is_held=True, retired_at=None)
        if after != before:
            store.set_pointer(connection, module_id, after, now)
    return RolledBack(module_id, before.version, version, after != before)


def retire(database: Database, module_id: str, *, now: int, dry_run: bool = False) -> Retired:
    """Accept no further jobs of a module type, until it is registered again. Jobs that wait still run.

    ``dry_run`` only counts. Raises UnknownModule.
    """
    if dry_run:
        with database.reading() as connection:
            return _retired(connection, module_id)
    with database.transaction() as connection:
        store.lock(connection)
        answer = _retired(connection, module_id)
        if answer.changed:
            pointer = store.load(connection).pointer(module_id)
            store.set_pointer(connection, module_id, replace(pointer, retired_at=now), now)
    return answer


def _retired(connection: Connection, module_id: str) -> Retired:
    pointer = store.load(connection).pointer(module_id)
    waiting, available = store.waiting_jobs(connection, module_id)
    return Retired(module_id, pointer.version, waiting, available, pointer.retired_at is None)


def versions(registry: Registry, module_id: str) -> tuple[VersionInfo, ...]:
    """Every version of a module type, the newest first. Raises UnknownModule."""
    pointer = registry.pointer(module_id)
    return tuple(
        VersionInfo(registry.version(module_id, number), is_current, is_current and pointer.is_held)
        for number in reversed(registry.numbers(module_id))
        for is_current in (number == pointer.version,)
    )


def diff(registry: Registry, module_id: str, from_version: int | None = None, to_version: int | None = None) -> Diff:
    """Compare two versions field by field. ``to`` is the newest unless given, ``from`` the one before ``to``.

    Raises UnknownModule, or NotFound for a version.
    """
    numbers = registry.numbers(module_id)
    to_number = numbers[-1] if to_version is None else to_version
    after = registry.version(module_id, to_number).definition.model_dump(mode="json")
    if from_version is None:
        from_version = max((number for number in numbers if number < to_number), default=to_number)
    before = registry.version(module_id, from_version).definition.model_dump(mode="json")
    return Diff(module_id, from_version, to_number, tuple(_changes("", before, after)))


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            place = f"{path}.{key}" if path else key
            yield from _changes(place, before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else _ABSENT
            new = after[index] if index < len(after) else _ABSENT
            yield from _changes(f"{path}[{index}]", old, new)
    elif before is _ABSENT:
        yield Change(path, "added", None, after)
    elif after is _ABSENT:
        yield Change(path, "removed", before, None)
    elif before != after or type(before) is not type(after):
        yield Change(path, "changed", before, after)


def validate(registry: Registry, module_id: str, config: Any, version: int | None = None) -> Validation:
    """Check a config against the schema of a module type, inactive and retired ones too.

    Raises UnknownModule, or NotFound for a version.
    """
    module = registry.current(module_id) if version is None else registry.version(module_id, version)
    found = registry.config_errors(module, config)
    if registry.is_usable(module_id):
        return found
    return Validation(found.errors, (*found.warnings, f"the module type {module_id!r} is not in use: jobs are refused"))


def resource_allocation(definition: Definition) -> dict[str, float]:
    """What one execution may use: cpu_limit cores, memory_limit MB, network_bandwidth Mbps, execution_timeout s."""
    return definition.resource_requirements.model_dump()


def monitoring_endpoints(module_id: str) -> Mapping[str, str]:
    """The commands that show how a module type is doing."""
    return {
        "metrics": f"wedsync-ops metrics --module {module_id} --json",
        "prometheus": f"wedsync-ops metrics --module {module_id} --prometheus",
        "jobs": f"wedsync-ops jobs list --module {module_id} --json",
        "queue": "wedsync-ops queue status --json",
    }


def shipped_file() -> Path:
    """The definitions that come with the platform: in the package when installed, beside it in a source checkout."""
    package = Path(str(files("wedsync_ops")))
    inside = package / FILE_NAME
    return inside if inside.is_file() else package.parent / FILE_NAME


def find_file(explicit: Path | None, cwd: Path) -> Path:
    """The definition file to read: the one named, else the one in the current folder, else the shipped one."""
    if explicit is not None:
        return cwd / explicit
    local = cwd / FILE_NAME
    return local if os.path.lexists(local) else shipped_file()


def read_file(path: Path) -> bytes:
    """The content of a definition file, cut off just above the limit that ``register`` refuses.

    Raises InputFileError when it is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputFileError(f"the file {path} cannot be read: {reason}", hint="name a file of definitions") from error
