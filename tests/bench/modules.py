"""The seven shipped modules end to end: mixed jobs, queued in bulk, through real slots into the outbox.

    python -m tests.bench.modules [COUNT]

prints jobs per second from the first start to the last finish, what each module type takes, what a job costs in the
loop and in its slot, and how the memory of the slots grows from the first half of the run to the second.
"""

import random
import resource
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import text

from wedsync_ops.app import App, open_app
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.actions import enqueue_many
from wedsync_ops.jobs.model import Options, Queued, Request
from wedsync_ops.jobs.worker import Worker
from wedsync_ops.modules.actions import register
from wedsync_ops.settings import load

SLOTS = 4
CHUNK = 1000
ROOT = Path(__file__).parents[2]
CONFIGS: dict[str, dict[str, Any]] = {
    "email": {"template_id": "welcome-email"},
    "sms": {"message_text": "Hi {{ couple_name }}, see you soon!", "channel": "sms"},
    "form": {"form_id": "wedding-questionnaire"},
    "meeting": {"meeting_type": "consultation", "duration": 60},
    "info": {
        "title": "For {{ couple_name }}",
        "content": "## Morning\n\nWe arrive at **9**.",
        "content_type": "markdown",
    },
    "review": {"platforms": ["google", "internal"]},
    "referral": {"reward_type": "discount", "reward_amount": 10},
}


def wish(number: int) -> Request:
    """One job of one couple; module types take turns. Weddings are over, so that reviews are due."""
    module = list(CONFIGS)[number % len(CONFIGS)]
    return Request(
        module_type=module,
        config=CONFIGS[module],
        context={
            "client_id": f"c{number}",
            "supplier_id": f"s{number % 40}",
            "journey_instance_id": f"j{number}",
            "client_data": {
                "email": f"couple{number}@example.org",
                "couple_name": "Ada & Grace",
                "phone": f"+4416329{number % 100_000:05}",
            },
            "supplier_data": {
                "name": "Lumen & Oak",
                "email": "hello@lumen.example",
                "review_links": {"google": "https://g.example/lumen"},
            },
            "step_data": {"starts_at": "2099-06-01T10:00:00"} if number % 2 else {},
            "wedding_date": "2024-06-15",
            "timezone": "Europe/London",
        },
    )


def open_platform(home: Path) -> App:
    """A platform with the shipped module types."""
    app = open_app(load({"home": home, "max_slots": 64}, environment={}))
    registration = register(app.database, (ROOT / "modules.yaml").read_bytes(), "bench", now=app.clock.now())
    if registration.problems:
        raise RuntimeError(str(registration.problems))
    return app


def cpu_s() -> tuple[float, float]:
    """The CPU seconds of this process and of its children that have ended."""
    usages = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    own, children = (usage.ru_utime + usage.ru_stime for usage in usages)
    return own, children


def report(app: App) -> None:
    """Print what the executions say."""
    columns = "module_type, outcome, started_at, finished_at, cpu_us, memory_kb"
    with app.database.reading() as connection:
        rows = connection.execute(text(f"SELECT {columns} FROM executions ORDER BY id")).all()
    span = max(row.finished_at for row in rows) - min(row.started_at for row in rows)
    print(f"{len(rows):,} executions, {len(rows) / (span / SECOND):,.0f} per second")
    for module in CONFIGS:
        own = [row for row in rows if row.module_type == module]
        good = sum(row.outcome == "ok" for row in own)
        cpu_ms = statistics.median(row.cpu_us for row in own) / 1000
        print(f"  {module:<9} {good:>6,} of {len(own):,} ok, {cpu_ms:.2f} ms of CPU")
    halves = (rows[: len(rows) // 2], rows[len(rows) // 2 :])
    before, after = (statistics.median(row.memory_kb for row in half) / 1024 for half in halves)
    print(f"  memory of a slot: {before:.0f} MB in the first half, {after:.0f} MB in the second")


def main(count: int) -> None:
    """Queue, drain, print."""
    with tempfile.TemporaryDirectory() as folder:
        app = open_platform(Path(folder))
        queue = app.queue()
        for start in range(0, count, CHUNK):
            answers = enqueue_many(queue, [wish(number) for number in range(start, min(start + CHUNK, count))])
            refused = [answer for answer in answers if not isinstance(answer, Queued)]
            if refused:
                raise RuntimeError(str(refused[0]))
        before = cpu_s()
        Worker(app.database, app.clock, app.rules, Options(slots=SLOTS, drain=True), random.Random(1)).run()
        loop_ms, slots_ms = ((after - start) * 1000 / count for after, start in zip(cpu_s(), before, strict=True))
        report(app)
        print(f"  CPU for each job: {loop_ms:.2f} ms in the loop, {slots_ms:.2f} ms in the slots, their start included")
        artefacts = sum(1 for _ in (Path(folder) / "outbox").iterdir())
        print(f"  {artefacts:,} artefacts")
        app.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
