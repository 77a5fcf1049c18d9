"""What fairness, limits and ageing cost, and what small suppliers get of them.

python -m tests.bench.fairness [COUNT]
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from tests.bench.platform import at_percent, drain, fill, open_platform, requests
from wedsync_ops.app import App
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.actions import enqueue_many

ROUNDS = 5
SMALL = 10
LIMITS = [
    {"name": "supplier", "concurrent": 64, "per": "supplier"},
    {"name": "noop", "modules": ["noop-process"], "rate": "1000000/1s"},
]


def cost(count: int) -> float:
    """Drain with everything over drain with nothing: many suppliers, limits that are met by every job, and ageing."""
    ratios = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            plain = open_platform(Path(folder, "plain"), ageing_s=1e9)
            fill(plain, "noop-process", count, suppliers=1, wedding=None)
            whole = open_platform(Path(folder, "whole"), ageing_s=2, limits=json.dumps(LIMITS))
            fill(whole, "noop-process", count, suppliers=40, wedding=None, priority="low")
            rates = [drain(app) for app in (plain, whole)]
            ratios.append(rates[1] / rates[0])
            print(f"without {rates[0]:,.0f}/s, with fairness, limits and ageing {rates[1]:,.0f}/s: {ratios[-1]:.2f} x")
            for app in (plain, whole):
                app.close()
    return at_percent(ratios, 50)


def first_starts(app: App, big: int) -> list[float]:
    """Queue for a big supplier and then for small ones, drain, and say when each small one's first job began."""
    queue = app.queue()
    if big:
        fill(app, "five-ms", big, suppliers=1, wedding=None)
    wishes = requests("five-ms", SMALL * 5, start=10_000_000, suppliers=SMALL, wedding=None)
    small = [
        wish._replace(context={**wish.context, "supplier_id": f"small{i % SMALL}"}) for i, wish in enumerate(wishes)
    ]
    queued = enqueue_many(queue, small)
    began = time.time_ns() // 1000
    drain(app, max_jobs=len(queued) * 3)
    query = text(
        "SELECT supplier_id, min(started_at) AS at FROM jobs WHERE supplier_id LIKE 'small%' GROUP BY supplier_id"
    )
    with app.database.reading() as connection:
        return [(row.at - began) / SECOND for row in connection.execute(query)]


def main(count: int) -> None:
    """Print both."""
    print(f"median {cost(count):.2f} x")
    with tempfile.TemporaryDirectory() as folder:
        alone, among = (open_platform(Path(folder, name)) for name in ("alone", "among"))
        by_themselves, with_the_big = first_starts(alone, 0), first_starts(among, 10 * count)
        ratio = at_percent(with_the_big, 100) / at_percent(by_themselves, 100)
        print(f"{SMALL} small suppliers, their first jobs: alone all within {max(by_themselves):.3f} s,")
        print(f"behind one that has queued {10 * count:,} within {max(with_the_big):.3f} s: {ratio:.2f} x")
        for app in (alone, among):
            app.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
