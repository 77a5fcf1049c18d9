"""Situations, pasts and decisions as JSON and back: what is kept of a decision is enough to make it again. Pure."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from wedsync_ops.errors import InvalidInput, InvalidTime
from wedsync_ops.instants import iso, parse_instant
from wedsync_ops.scaling.model import Decision, Past, Pin, Seen, Situation, Waiting

_OPTIONAL = {"memory_slots", "expected", "week_busy", "cpu_percent"}
_WHOLE = {"slots", "least", "most", "memory_slots", "fixed", "priority", "jobs"}
_PLAIN = tuple(item.name for item in fields(Situation) if item.name not in ("waiting", "pins", "past"))
_NUMBERS = tuple(name for name in _PLAIN if name not in ("expected_by", "is_weekend"))
_MOST = 1e12


def situation_document(situation: Situation) -> dict[str, Any]:
    """A situation as the inputs that are kept with a decision; the past is left out."""
    return {
        **{name: _rounded(getattr(situation, name)) for name in _PLAIN},
        "waiting": [
            {"priority": one.priority, "jobs": one.jobs, "work_s": _rounded(one.work_s)} for one in situation.waiting
        ],
        "pins": [{**one._asdict(), "until": iso(one.until)} for one in situation.pins],
    }


def situation_from(document: Mapping[str, Any]) -> Situation:
    """The situation that a document tells of, what it leaves out being nothing. Raises InvalidInput."""
    unknown = sorted(set(document) - set(_PLAIN) - {"waiting", "pins"})
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} is no input of a decision", hint=f"inputs are {', '.join(_PLAIN)}, waiting")
    given: dict[str, Any] = {"slots": 0, "least": 1, "most": 50}
    given |= {name: _number(document[name], name) for name in _NUMBERS if name in document}
    given |= {name: document[name] for name in ("expected_by", "is_weekend") if name in document}
    if not isinstance(given.get("expected_by", ""), str) or not isinstance(given.get("is_weekend", False), bool):
        raise InvalidInput("expected_by must be text, and is_weekend true or false")
    if not 0 <= given["least"] <= given["most"]:
        raise InvalidInput("least must be 0 or more, and at most most")
    given["waiting"] = tuple(_waiting(each) for each in _list(document, "waiting"))
    given["pins"] = tuple(_pin(each) for each in _list(document, "pins"))
    return Situation(**given)


def decision_document(decision: Decision) -> dict[str, Any]:
    """A decision as JSON tells it."""
    return {
        "wanted": decision.wanted,
        "recommended": decision.recommended,
        "demanded": decision.demanded,
        "demand": _rounded(decision.demand),
        "load": _rounded(decision.load),
        "reason": decision.reason,
        "limits": list(decision.limits),
        "said": decision.said,
    }


def past_document(past: Past) -> dict[str, Any]:
    """A past as it is kept between decisions."""
    seen = {"highs": [[*one] for one in past.highs], "lows": [[*one] for one in past.lows]}
    return {"since": past.since, **seen, "raised_at": past.raised_at, "lowered_at": past.lowered_at}


def past_from(document: Mapping[str, Any]) -> Past:
    """The past that was kept."""
    return Past(
        since=document["since"],
        highs=tuple(Seen(*each) for each in document["highs"]),
        lows=tuple(Seen(*each) for each in document["lows"]),
        raised_at=document["raised_at"],
        lowered_at=document["lowered_at"],
    )


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _number(value: Any, name: str) -> float | int | None:
    if value is None and name in _OPTIONAL:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        raise InvalidInput(f"{name} must be a number of 0 or more")
    if name in _WHOLE:
        if value != int(value):
            raise InvalidInput(f"{name} must be a whole number")
        return int(value)
    return float(value)


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    found = document.get(name, [])
    if not isinstance(found, list):
        raise InvalidInput(f"{name} must be a list")
    return found


def _waiting(value: Any) -> Waiting:
    if not isinstance(value, Mapping) or set(value) != {"priority", "jobs", "work_s"}:
        raise InvalidInput("each entry of waiting must have priority, jobs and work_s")
    priority, jobs = (_number(value[name], name) for name in ("priority", "jobs"))
    return Waiting(int(priority or 0), int(jobs or 0), float(_number(value["work_s"], "work_s") or 0.0))


def _pin(value: Any) -> Pin:
    if not isinstance(value, Mapping) or set(value) != set(Pin._fields):
        raise InvalidInput(f"each entry of pins must have {', '.join(Pin._fields)}")
    slots, at_least, said = _number(value["slots"], "slots"), value["at_least"], value["said"]
    if not isinstance(at_least, bool) or not isinstance(said, str):
        raise InvalidInput("at_least of a pin must be true or false, and said must be text")
    return Pin(int(slots or 0), at_least, _until(value["until"]), said)


def _until(value: Any) -> int | None:
    if value is None or type(value) is int:  # as rows of before have it
        return value
    if not isinstance(value, str):
        raise InvalidInput("until of a pin must be a time, or null")
    try:
        return parse_instant(value)
    except InvalidTime as error:
        raise InvalidInput(f"until of a pin: {error.message}", hint=error.advice) from error
