"""A queue over a test's database, with module types of its own and a clock that the test sets."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.app import calendar_of, site_of
from wedsync_ops.db import Database
from wedsync_ops.instants import parse_instant
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Request
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

NOW = parse_instant("2027-01-13T12:00:00Z")
"""A Wednesday in the off season."""
UTC = ZoneInfo("UTC")

DEFINITIONS = b"""
schema_version: 1
modules:
  - id: email
    display_name: E-mail
    category: messages
    handler: tests.stores.handlers:nothing
    config_schema: &s
      type: object
      additionalProperties: false
      properties:
        n: {type: integer}
        send_delay: {type: number}
        send_time: {type: string}
        send_at: {type: string}
    performance_targets: {max_execution_time: 1000}
  - id: info
    display_name: Page
    category: pages
    handler: tests.stores.handlers:particular
    retry: {attempts: 5, backoff: fixed, delay: 1000}
    config_schema: {type: object, additionalProperties: false, properties: {n: {type: integer}}}
  - id: review
    display_name: Review
    category: messages
    handler: tests.stores.handlers:nothing
    config_schema: {type: object, additionalProperties: false, properties: {days_after_wedding: {type: integer}}}
  - id: free
    display_name: A third party's
    category: messages
    handler: tests.stores.handlers:touchy
    config_schema: {type: object}
  - id: idle
    display_name: Not yet
    category: messages
    handler: nothing.here:handle
    is_active: false
    config_schema: {type: object, additionalProperties: false}
""".replace(b" &s", b"")
CONTEXT = {"client_id": "c1", "supplier_id": "s1", "journey_instance_id": "j1"}


def queue_on(database: Database, home: Path, **options: Any) -> Queue:
    """A queue with the module types above registered; options are settings."""
    registration = modules.register(database, DEFINITIONS, "test", now=NOW)
    assert registration.problems == ()
    settings = Settings(home=home, **options)
    with database.reading() as connection:
        rules = Rules(store.load(connection), calendar_of(settings), site_of(settings), settings)
    return Queue(database, FakeClock(NOW), rules)


def later(queue: Queue, us: int) -> Queue:
    """The same queue some microseconds later."""
    return replace(queue, clock=FakeClock(queue.clock.now() + us))


def request(module_type: Any = "email", config: Any = None, **values: Any) -> Request:
    """A request that is fine but for ``values``: fields of a request, else keys of the context."""
    own = {name: values.pop(name) for name in list(values) if name in Request._fields}
    return Request(**{"module_type": module_type, "config": config or {}, "context": {**CONTEXT, **values}, **own})
