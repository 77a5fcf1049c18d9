"""Handlers for tests of the queue: one does nothing, one has a check of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from wedsync_ops.handlers.contract import Run, Site, checked_by, claims

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


@checked_by(_fails)
def touchy(config: Json, context: Json, run: Run) -> Json:
    return {}


def _code(config: Json, context: Json, site: Site) -> str:
    return str(config["code"])


@claims(_code)
def forgetful(config: Json, context: Json, run: Run) -> Json:
    return {}
