"""The platform as the benchmarks use it: a home of its own and no-op module types in both isolations."""

from pathlib import Path

from wedsync_ops.app import App, open_app
from wedsync_ops.jobs.actions import enqueue_many
from wedsync_ops.jobs.model import Request
from wedsync_ops.modules.actions import register
from wedsync_ops.settings import load


def definitions() -> bytes:
    """Two no-op module types: one in isolated processes, one in threads."""
    items = "".join(
        f"""
  - id: noop-{isolation}
    display_name: No-op
    category: bench
    isolation: {isolation}
    handler: tests.bench.handlers:noop
    resource_requirements: {{cpu_limit: 4, memory_limit: 1024, execution_timeout: 60}}
    config_schema:
      type: object
      additionalProperties: false
      required: [template_id]
      properties:
        template_id: {{type: string, minLength: 1}}
        send_delay: {{type: integer, minimum: 0}}
"""
        for isolation in ("process", "thread")
    )
    return f"schema_version: 1\nmodules:{items}".encode()


def open_platform(home: Path, **options: object) -> App:
    """An opened platform with both module types registered."""
    app = open_app(load({"home": home, "max_slots": 64, **options}, environment={}))
    registration = register(app.database, definitions(), "bench", now=app.clock.now())
    if registration.problems:
        raise RuntimeError(str(registration.problems))
    return app


def requests(isolation: str, count: int) -> list[Request]:
    """Realistic requests: a config to validate, a context with a wedding."""
    return [
        Request(
            module_type=f"noop-{isolation}",
            config={"template_id": "welcome-email", "send_delay": 0},
            context={
                "client_id": f"c{number}",
                "supplier_id": f"s{number % 40}",
                "journey_instance_id": f"j{number}",
                "client_data": {"email": f"couple{number}@example.org", "couple_name": "Ada & Grace"},
                "wedding_date": "2027-06-19",
                "timezone": "Europe/London",
            },
        )
        for number in range(count)
    ]


def fill(app: App, isolation: str, count: int, chunk: int = 1000) -> None:
    """Queue so many jobs in bulk."""
    queue = app.queue()
    wishes = requests(isolation, count)
    for start in range(0, count, chunk):
        enqueue_many(queue, wishes[start : start + chunk])
