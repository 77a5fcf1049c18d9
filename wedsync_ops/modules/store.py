"""The SQL of module types: their immutable versions, the pointer to the one in force, and customisations."""

from sqlalchemy import Connection, text

from wedsync_ops import codec
from wedsync_ops.modules.model import ModuleVersion, Pointer
from wedsync_ops.modules.registry import CustomisationKey, Registry, VersionRow

_VERSIONS = text("SELECT module_id, version, content_hash, definition, created_at FROM module_versions")
_POINTERS = text("SELECT module_id, version, is_held, retired_at FROM modules")
_CUSTOMISATIONS = text("SELECT scope, name, module_id, content FROM customisations")
_CUSTOMISE = text(
    "INSERT INTO customisations (scope, name, module_id, content, updated_at)"
    " VALUES (:scope, :name, :module_id, :content, :now)"
    " ON CONFLICT (scope, name, module_id) DO UPDATE SET content = excluded.content, updated_at = excluded.updated_at"
)
_UNCUSTOMISE = text(
    "DELETE FROM customisations WHERE scope = :scope AND name = :name AND module_id = :module_id RETURNING name"
)
_INSERT_VERSION = text(
    "INSERT INTO module_versions (module_id, version, content_hash, definition, created_at)"
    " VALUES (:module_id, :version, :content_hash, :definition, :created_at)"
)
_POINT = text(
    "INSERT INTO modules (module_id, version, is_held, retired_at, updated_at)"
    " VALUES (:module_id, :version, :is_held, :retired_at, :now)"
    " ON CONFLICT (module_id) DO UPDATE SET version = excluded.version, is_held = excluded.is_held,"
    " retired_at = excluded.retired_at, updated_at = excluded.updated_at"
)
# Readers go on; a second writer waits, so that two registrations never give the same number.
_LOCK = text("LOCK TABLE modules IN SHARE ROW EXCLUSIVE MODE")
_WAITING = text(
    "SELECT coalesce(sum(available), 0) AS available, coalesce(sum(waiting), 0) AS waiting"
    " FROM lane_counts WHERE module_type = :module_id"
)


def load(connection: Connection) -> Registry:
    """Everything registered, at this moment. Definitions are read when asked for."""
    rows = (VersionRow(*row) for row in connection.execute(_VERSIONS))
    pointers = {
        row.module_id: Pointer(row.version, bool(row.is_held), row.retired_at) for row in connection.execute(_POINTERS)
    }
    customisations: dict[CustomisationKey, str] = {
        (row.scope, row.name, row.module_id): row.content for row in connection.execute(_CUSTOMISATIONS)
    }
    return Registry(pointers, {(row.module_id, row.version): row for row in rows}, customisations)


def lock(connection: Connection) -> None:
    """Let no other transaction change modules until this one ends (SQLite's write transactions are alone anyway)."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)


def insert_version(connection: Connection, module: ModuleVersion) -> None:
    """Store a new version; it is never changed afterwards."""
    connection.execute(
        _INSERT_VERSION,
        {
            "module_id": module.module_id,
            "version": module.version,
            "content_hash": module.content_hash,
            "definition": codec.dumps(module.definition.model_dump(mode="json")).decode(),
            "created_at": module.created_at,
        },
    )


def set_pointer(connection: Connection, module_id: str, pointer: Pointer, now: int) -> None:
    """Say which version is in force, whether it is held there, and whether the type is retired."""
    connection.execute(
        _POINT,
        {
            "module_id": module_id,
            "version": pointer.version,
            "is_held": pointer.is_held,
            "retired_at": pointer.retired_at,
            "now": now,
        },
    )


def customise(connection: Connection, key: CustomisationKey, content: str, now: int) -> None:
    """Store a customisation in place of the one that there was."""
    scope, name, module_id = key
    values = {"scope": scope, "name": name, "module_id": module_id, "content": content, "now": now}
    connection.execute(_CUSTOMISE, values)


def uncustomise(connection: Connection, key: CustomisationKey) -> bool:
    """Delete a customisation; whether there was one."""
    scope, name, module_id = key
    values = {"scope": scope, "name": name, "module_id": module_id}
    return connection.execute(_UNCUSTOMISE, values).first() is not None


def waiting_jobs(connection: Connection, module_id: str) -> tuple[int, int]:
    """How many jobs of a module type wait in all, and how many of those could start now."""
    row = connection.execute(_WAITING, {"module_id": module_id}).one()
    return int(row.waiting), int(row.available)
