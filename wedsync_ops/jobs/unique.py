"""Unique jobs: what the module type's paths say of a job, as one key. Pure."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from wedsync_ops import codec
from wedsync_ops.modules.model import IDENTITY, Definition


class Uniqueness(NamedTuple):
    """The key that no other job of the queue may have, and what happens when one has it: keep, replace or refuse.

    ``within_us`` is for how many microseconds a completed job still has its key, ``None`` for none.
    """

    key: str
    on_conflict: str
    within_us: int | None


def uniqueness(definition: Definition, config: Mapping[str, Any], context: Mapping[str, Any]) -> Uniqueness | None:
    """What makes a job of a module type unique, ``None`` when nothing does.

    What a path leads to and is not there counts as null. Only a digest is kept: values may be long, and personal.
    """
    unique = definition.unique
    if unique is None:
        return None
    found = [_found(path, config, context) for path in unique.key]
    # With the paths, so that a definition that names others makes other keys.
    raw = codec.canonical({"paths": unique.key, "values": found})
    return Uniqueness(
        f"{definition.id} {blake2b(raw, digest_size=16).hexdigest()}", unique.on_conflict, unique.within_us
    )


def _found(path: str, config: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    root, *names = path.split(".")
    if root in IDENTITY or (root == "context" and len(names) == 1 and names[0] in IDENTITY):
        return str(context.get(names[0] if names else root))  # a number is an id as its text is
    value: Any = config if root == "config" else context
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
