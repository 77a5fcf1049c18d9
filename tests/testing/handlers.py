"""Handlers of the tests of the test harness, and their definitions."""

from collections.abc import Mapping
from typing import Any

import pytest

from wedsync_ops.handlers.contract import NotNow, Page, PermanentError, RetryAfter, Run, Text
from wedsync_ops.testing.harness import Harness

Json = Mapping[str, Any]


def write(config: Json, context: Json, run: Run) -> Json:
    """Write down what it was given, and deliver a page."""
    run.deliver(Page(f"page-{run.job_id}", f"<p>{config.get('n', 0)}</p>"))
    return {"n": config.get("n", 0), "now": run.now, "attempt": run.attempt}


def text(config: Json, context: Json, run: Run) -> Json:
    run.deliver(Text("sms", config["to"], config["body"]))
    return {}


def flaky(config: Json, context: Json, run: Run) -> Json:
    """Fail until the attempt that the config names."""
    run.log("trying", attempt=run.attempt)
    if run.attempt < config["until"]:
        raise ConnectionError(f"the server is down at attempt {run.attempt}")
    return {"attempt": run.attempt}


def never(config: Json, context: Json, run: Run) -> Json:
    raise PermanentError("this couple has cancelled")


def later(config: Json, context: Json, run: Run) -> Json:
    if run.attempt == 1:
        raise RetryAfter(600)
    return {}


def not_now(config: Json, context: Json, run: Run) -> Json:
    raise NotNow(1)


def chain(config: Json, context: Json, run: Run) -> Json:
    """Queue the next of a chain, an hour later."""
    if config["left"]:
        run.enqueue("chain", {"left": config["left"] - 1}, delay=60)
    return {}


def broken_chain(config: Json, context: Json, run: Run) -> Json:
    run.enqueue("chain", {"left": "many"})
    return {}


def skips(config: Json, context: Json, run: Run) -> Json:
    pytest.skip("from inside a handler")


def leaves(config: Json, context: Json, run: Run) -> Json:
    raise SystemExit(3)


def dies(config: Json, context: Json, run: Run) -> Json:
    import os

    os._exit(7)


def sleeps(config: Json, context: Json, run: Run) -> Json:
    import time

    time.sleep(30)
    return {}


_OPEN = {"type": "object", "additionalProperties": True}
_RETRY = {"attempts": 3, "backoff": "fixed", "delay": 60_000}


def definition(handler: Any, **fields: Any) -> dict[str, Any]:
    """A definition of a module type with the handler's name."""
    name = handler.__name__.replace("_", "-")
    common = {"id": name, "display_name": name, "category": "test", "config_schema": _OPEN, "retry": _RETRY}
    return {**common, "handler": handler, **fields}


WRITE = definition(
    write, config_schema={"type": "object", "additionalProperties": False, "properties": {"n": {"type": "integer"}}}
)
CHAIN = definition(
    chain,
    config_schema={
        "type": "object",
        "additionalProperties": False,
        "required": ["left"],
        "properties": {"left": {"type": "integer"}},
    },
)


def all_of(harness: Harness) -> Harness:
    """Register every module type of this file."""
    others = (text, flaky, never, later, not_now, broken_chain, skips, leaves)
    harness.register(WRITE, CHAIN, *(definition(one) for one in others))
    harness.register(definition(dies), definition(sleeps, resource_requirements={"execution_timeout": 0.2}))
    return harness
