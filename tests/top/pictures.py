"""The pictures of the how-to pages: the live screen and a daily report, of a day that never was.

    python -m tests.top.pictures [FOLDER]

draws one frame on Textual's own screen, makes a report on a temporary database, and photographs both with Chromium.
"""

import asyncio
import math
import random
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from tests.metrics import rows
from tests.pictures import BROWSERS, OPTIONS, ROOT
from tests.png import cut
from tests.stores.queues import queue_on
from tests.stores.rows import add_many
from wedsync_ops import db, migrate
from wedsync_ops.errors import WedsyncError
from wedsync_ops.instants import HOUR, MINUTE, SECOND, parse_instant
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Lane, Priority
from wedsync_ops.operations.report.measure import make
from wedsync_ops.operations.report.page import to_html
from wedsync_ops.operations.report.period import period
from wedsync_ops.settings import Settings
from wedsync_ops.top import model
from wedsync_ops.top.acts import Acts
from wedsync_ops.top.gather import Watcher
from wedsync_ops.top.port import NoAlerts
from wedsync_ops.top.screen import Top

FOLDER = ROOT / "docs" / "how-to" / "pictures"
NOW = parse_instant("2027-06-18T14:03:20Z")
_SIZE = (104, 30)


class Still(Watcher):
    """A watcher that sees the same frame again and again, and no database."""

    def __init__(self, frame: model.Frame) -> None:
        self.frame = frame

    def look(self) -> model.Frame:
        """The frame."""
        return self.frame


def _running() -> list[model.Running]:
    running = [
        (48_211, "email", 0.4, "w1"),
        (48_219, "sms", 0.2, "w1"),
        (48_102, "meeting", 3.1, "w1"),
        (48_223, "email", 0.1, "w2"),
        (48_190, "form", 1.2, "w2"),
    ]
    return [
        model.Running(job, name, Priority.HIGH, NOW - round(ago * SECOND), worker, "s1")
        for job, name, ago, worker in running
    ]


def _pace() -> model.Pace:
    waves = [18 + 6 * math.sin(step / 4) + step % 3 for step in range(30)]
    return model.Pace(
        per_s=19.6,
        lately_per_s=22.4,
        error_rate=1.3,
        p50_ms=38.2,
        p95_ms=212.0,
        p99_ms=640.0,
        wait_p95_ms=1900.0,
        rates=waves,
        error_rates=[1.0 + (step % 7 == 0) * 4 for step in range(30)],
        p50s_ms=[38.0] * 30,
        p95s_ms=[150 + 60 * math.cos(step / 3) for step in range(30)],
    )


def frame() -> model.Frame:
    """A busy Friday in June."""
    lanes = [
        ("email", Priority.CRITICAL, 14, 61),
        ("sms", Priority.CRITICAL, 5, 22),
        ("email", Priority.HIGH, 212, 1430),
        ("form", Priority.HIGH, 31, 204),
        ("meeting", Priority.NORMAL, 18, 377),
        ("email", Priority.NORMAL, 640, 18_240),
        ("review", Priority.LOW, 96, 4_113),
    ]
    return model.Frame(
        at=NOW,
        season=model.Season("peak", 5.0, is_weekend=False),
        pace=_pace(),
        next_wedding=model.NextWedding(date(2027, 6, 18), 0, 48_102, "meeting"),
        lanes=[model.LaneLine(Lane(name, priority), ready, waiting) for name, priority, ready, waiting in lanes],
        closed=[model.Closed("module", "review", "the provider is down", "mara", None)],
        workers=[
            model.Worker("w1", "ops-1", "ops-1", "alive", 8, 3),
            model.Worker("w2", "ops-2", "ops-2", "silent", 8, 2),
        ],
        running=_running(),
        dead=[
            model.DeadGroup("review", "1f0c22aa", 41, NOW - MINUTE, "GatewayError: 503 from the review platform"),
            model.DeadGroup("email", "9be012c4", 3, NOW - HOUR, "PermanentError: template 'rsvp' was deleted"),
        ],
        alerts=[
            model.OpenAlert(
                12, "high_error_rate", "critical", "firing", "review", NOW - 4 * MINUTE, "review: 62 % failed in 5 min"
            ),
            model.OpenAlert(
                11, "queue_length", "warning", "firing", None, NOW - 22 * MINUTE, "24,447 jobs wait, more than 1,000"
            ),
        ],
        database="postgresql+psycopg://ops@db.internal/wedsync",
    )


def _queue() -> Queue:
    raise WedsyncError("nothing can be done in a picture")


async def screen() -> str:
    """The screen as SVG, without the fonts that Textual would have fetched."""
    top = Top(Still(frame()), Acts(_queue, NoAlerts()), 60)
    async with top.run_test(size=_SIZE) as pilot:
        await pilot.pause(0.5)
        drawn = top.export_screenshot(title="wedsync-ops top")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")


def report(folder: Path) -> str:
    """A report on a day with an outage of a provider in the afternoon, as a page."""
    database = db.connect(Settings(home=folder))
    migrate.ensure(database)
    rules = queue_on(database, folder).rules
    over = period("daily", NOW, rules.calendar.zone)
    chance = random.Random(7)
    with database.transaction() as connection:
        weddings = [{"client_id": f"c{n}", "wedding_on": "2027-06-18", "state": "available"} for n in range(160)]
        ids = add_many(connection, weddings)
    usual = {"email": 11.5, "info": 9.0, "review": 12.4, "free": 10.8}
    made = []
    for _ in range(9000):
        hour = chance.triangular(0, 24, 14)
        outage = 13 < hour < 14.6
        at = over.from_at + round(hour * HOUR)
        module = chance.choice(["email"] * 5 + ["free"] * 3 + ["info", "review"])
        outcomes = ["ok", "error", "timeout", "lost", "cancelled"]
        failing = outage and module == "review"
        outcome = chance.choices(outcomes, [40, 40, 20, 0, 0] if failing else [985, 8, 4, 1, 2])[0]
        error = "GatewayError: 503 from the review platform" if failing else "PermanentError: the template was deleted"
        duration = round(chance.lognormvariate(usual[module], 0.6) * (3 if outage else 1))
        days = chance.choice([None, 0, 1, 1, 2, 3, 3, 4, 5, 6, 7, 30])
        made.append(
            {
                "job_id": chance.choice(ids),
                "module_type": module,
                "outcome": outcome,
                "error": None if outcome in ("ok", "cancelled") else error,
                "finished_at": at,
                "started_at": at - duration,
                "duration_us": duration,
                "queue_wait_us": round(chance.lognormvariate(11, 1) * (12 if outage else 1)),
                "wedding_days": days,
                "in_peak": 1,
            }
        )
    rows.executions(database, made)
    page = to_html(make(database, rules, over, NOW))
    database.close()
    return page


def photograph(page: Path, width: int, height: int, folder: Path) -> bytes:
    """A page as a PNG of that size, by Chromium without a network."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        sys.exit("Chromium is needed: install the package chromium")
    made = folder / f"{page.stem}.png"
    size = f"--window-size={width},{height + 300}"
    command = [program, *OPTIONS, f"--user-data-dir={folder / 'profile'}", size, f"--screenshot={made}", page.as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    return cut(made.read_bytes(), height)


def main(folder: Path) -> None:
    """Make both pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        style = "body{margin:0;background:#fff}svg{width:1000px;height:auto;display:block}"
        drawn = asyncio.run(screen())
        (work / "top.html").write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{drawn}")
        (work / "report.html").write_text(report(work))
        for page, height in (("top", 625), ("report", 900)):
            picture = photograph(work / f"{page}.html", 1000, height, work)
            (folder / f"{page}.png").write_bytes(picture)
            sys.stdout.write(f"{page}.png  {len(picture):,} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
