"""Handlers and values that the tests of this room register."""

from collections.abc import Mapping
from typing import Any

import yaml

not_callable = 5


def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Any) -> Mapping[str, Any]:
    return {"config": dict(config)}


def takes_too_little(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config


class Handlers:
    inner = staticmethod(handle)


NAME = "tests.modules.sample:handle"


def definition(module_id: str = "greeting", **fields: Any) -> dict[str, Any]:
    """A small, valid definition, changed by the fields given."""
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["text"],
        "properties": {"text": {"type": "string", "minLength": 1}, "times": {"type": "integer", "minimum": 0}},
    }
    base = {"id": module_id, "display_name": "Greeting", "category": "communication", "handler": NAME}
    return {**base, "config_schema": schema, **fields}


def file_of(*definitions: Any, version: Any = 1) -> bytes:
    """A definition file, as an editor would save it."""
    text: str = yaml.safe_dump({"schema_version": version, "modules": list(definitions)}, sort_keys=False)
    return text.encode()
