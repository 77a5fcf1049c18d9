"""The SQL of emergencies, their steps and their breakers. Rows stay when all is over: they are the history."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.emergencies.breaker import Breaker, BreakerState, Key
from wedsync_ops.emergencies.model import Emergency, Scope, Step, StepState
from wedsync_ops.emergencies.protocols import StepPlan, plan_from, plan_text

_LOCK = 0x57454D45
_NAMES = tuple(item.name for item in fields(Emergency))
_COLUMNS = ", ".join(_NAMES)
_WRITTEN = tuple(name for name in _NAMES if name != "id")
_INSERT = (
    f"INSERT INTO emergencies ({', '.join(_WRITTEN)}) VALUES ({', '.join(f':{name}' for name in _WRITTEN)})"
    " RETURNING id"
)
_UPDATE = f"UPDATE emergencies SET {', '.join(f'{name} = :{name}' for name in _WRITTEN)} WHERE id = :id"
_STEP = tuple("step" if item.name == "plan" else item.name for item in fields(Step))
_STEPS = f"SELECT {', '.join(_STEP)} FROM emergency_steps"
_PLAN = "INSERT INTO emergency_steps (emergency_id, position, step, state) VALUES (:id, :position, :step, 'pending')"
_STEP_SET = ", ".join(f"{name} = :{name}" for name in _STEP[3:])
_STEP_UPDATE = f"UPDATE emergency_steps SET {_STEP_SET} WHERE emergency_id = :emergency_id AND position = :position"
_BREAKER = ("scope", "name", "emergency_id", "state", "opened_at", "changed_at", "until", "times", "said")
_BREAKERS = f"SELECT {', '.join(_BREAKER)} FROM breakers ORDER BY scope, name"
_BREAKER_PUT = (
    f"INSERT INTO breakers ({', '.join(_BREAKER)}) VALUES ({', '.join(f':{name}' for name in _BREAKER)})"
    " ON CONFLICT (scope, name) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _BREAKER[2:])
)
_CLOSED = (
    "SELECT scope, subject, max(resolved_at) FROM emergencies WHERE name = :name AND resolved_at IS NOT NULL"
    " GROUP BY scope, subject"
)
_ALL = 2**62


def lock(connection: Connection) -> None:
    """Let one transaction at a time change emergencies; on SQLite there is but one writer."""
    if connection.dialect.name == "postgresql":
        db.run(connection, "SELECT pg_advisory_xact_lock(:lock)", {"lock": _LOCK})


def insert(connection: Connection, emergency: Emergency, plans: Iterable[StepPlan]) -> int:
    """Write a new emergency with its steps, none of them taken; returns its id."""
    made = int(db.run(connection, _INSERT, _row(emergency)).scalar_one())
    rows = [{"id": made, "position": place, "step": plan_text(plan)} for place, plan in enumerate(plans, 1)]
    db.run(connection, _PLAN, rows)
    return made


def update(connection: Connection, emergency: Emergency) -> None:
    """Write an emergency in place of what was known of it."""
    db.run(connection, _UPDATE, {"id": emergency.id, **_row(emergency)})


def get(connection: Connection, emergency_id: int) -> Emergency | None:
    """One emergency; ``None`` when there is none of this id."""
    found = _emergencies(connection, "WHERE id = :id", {"id": emergency_id})
    return found[0] if found else None


def active(connection: Connection) -> list[Emergency]:
    """The emergencies that are not over, in the order in which they were declared."""
    return _emergencies(connection, "WHERE resolved_at IS NULL ORDER BY id", {})


def latest(connection: Connection, limit: int) -> list[Emergency]:
    """The latest emergencies, over or not, at most ``limit`` (0: all), the newest first."""
    return _emergencies(connection, "ORDER BY id DESC LIMIT :limit", {"limit": limit or _ALL})


def last_resolved(connection: Connection, name: str) -> Mapping[Key, int]:
    """When the last emergency of a name was over, for each that it was about."""
    rows = db.run(connection, _CLOSED, {"name": name})
    return {Key(scope, subject): int(at) for scope, subject, at in map(tuple, rows)}


def steps(connection: Connection, ids: Collection[int]) -> list[Step]:
    """The steps of these emergencies, in order."""
    statement = f"{_STEPS} WHERE emergency_id IN {db.ids_source(connection)} ORDER BY emergency_id, position"
    return [_step(dict(row)) for row in db.run(connection, statement, {"ids": db.many(sorted(ids))}).mappings()]


def save_step(connection: Connection, step: Step) -> None:
    """Write how far a step is."""
    values = {name: getattr(step, name) for name in _STEP if name != "step"}
    db.run(connection, _STEP_UPDATE, {**values, "state": str(step.state)})


def breakers(connection: Connection) -> list[Breaker]:
    """Every breaker that is not closed."""
    return [
        Breaker(
            key=Key(row.scope, row.name),
            emergency_id=row.emergency_id,
            state=BreakerState(row.state),
            opened_at=row.opened_at,
            changed_at=row.changed_at,
            until=row.until,
            times=row.times,
            said=row.said,
        )
        for row in db.run(connection, _BREAKERS)
    ]


def put_breaker(connection: Connection, breaker: Breaker) -> None:
    """Write a breaker in place of what was known of it."""
    values = {name: getattr(breaker, name) for name in _BREAKER[2:]}
    values |= {"scope": breaker.key.scope, "name": breaker.key.name, "state": str(breaker.state)}
    db.run(connection, _BREAKER_PUT, values)


def drop_breakers(connection: Connection, emergency_id: int) -> None:
    """Close the breakers of an emergency."""
    db.run(connection, "DELETE FROM breakers WHERE emergency_id = :id", {"id": emergency_id})


def _row(emergency: Emergency) -> dict[str, Any]:
    return {**{name: getattr(emergency, name) for name in _WRITTEN}, "scope": str(emergency.scope)}


def _emergencies(connection: Connection, tail: str, values: Mapping[str, Any]) -> list[Emergency]:
    rows = db.run(connection, f"SELECT {_COLUMNS} FROM emergencies {tail}", values).mappings()
    return [Emergency(**{**row, "scope": Scope(row["scope"]), "by_rule": bool(row["by_rule"])}) for row in rows]


def _step(row: Mapping[str, Any]) -> Step:
    values: dict[str, Any] = {name: value for name, value in row.items() if name != "step"}
    values |= {"plan": plan_from(row["step"]), "state": StepState(row["state"])}
    values["check_ok"] = None if row["check_ok"] is None else bool(row["check_ok"])
    return Step(**values)
