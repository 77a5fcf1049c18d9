"""Handlers for tests of the queue: one does nothing, one has a check of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from wedsync_ops.handlers.contract import Run, Site, addressed_by, checked_by, claims, ends_by

Json = Mapping[str, Any]


def nothing(config: Json, context: Json, run: Run) -> Json:
    return {}


def _needs(config: Json, context: Json, site: Site) -> Iterator[str]:
    if "email" not in context.get("client_data", {}):
        yield "context.client_data.email is missing"
    if config.get("n") == 13:
        yield "config.n brings bad luck"


@checked_by(_needs)
def particular(config: Json, context: Json, run: Run) -> Json:
    return {}


def _fails(config: Json, context: Json, site: Site) -> Iterator[str]:
    if config.get("touchy"):
        raise KeyError("nope")
    yield from ()


def _never_knows(config: Json, context: Json, site: Site) -> int | None:
    if config.get("endless"):
        raise KeyError("no end\nin sight")
    return None


def _address(config: Json, context: Json, site: Site) -> Any:
    if config["writes_to"] == "nobody":
        raise RuntimeError("no\nbody")
    return {"wrong": 5, "long": "x" * 2000, "lines": "a\nb", "lone": "\ud800", "empty": ""}.get(config["writes_to"])


def _code(config: Json, context: Json, site: Site) -> Any:
    return None if "code" not in config else config["codes"][config["code"]]


@ends_by(_never_knows, "config.endless")
@checked_by(_fails)
@addressed_by(lambda config, context, site: _address(config, context, site) if "writes_to" in config else None)
@claims(_code)
def touchy(config: Json, context: Json, run: Run) -> Json:
    return {}


def _required_code(config: Json, context: Json, site: Site) -> str:
    return str(config["code"])


@claims(_required_code)
def forgetful(config: Json, context: Json, run: Run) -> Json:
    return {}
