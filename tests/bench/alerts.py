"""What an evaluation of 100 rules over 7 module types costs, with an hour of executions behind it.

    python -m tests.bench.alerts [EXECUTIONS_PER_SECOND]

Prints the median and the longest of 20 evaluations in ms, 30 s apart while executions go on, compares with the bound,
and how long the process itself was busy, which other load on the machine changes less; and the same of processes that
have just begun, as from cron. The latest executions are read each time (by one that has just begun those of a minute or
two); all that went before is added up.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import text

from tests.bench.platform import open_platform
from wedsync_ops.alerts.alerter import Alerter
from wedsync_ops.alerts.definitions import Definition, to_text
from wedsync_ops.alerts.rules import BUILT_IN
from wedsync_ops.alerts.store import silences
from wedsync_ops.app import App
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.modules import actions as modules
from wedsync_ops.testing.clock import FakeClock

BOUND_MS = 50.0
RULES = 100
ROUNDS = 20
STEP_S = 30
"""How far apart evaluations are, in seconds: the default of ``alerts_every_s``."""
COLD = 5
SPAN_US = 60 * MINUTE
TYPES = ("email", "sms", "form", "meeting", "info", "review", "referral")
METRICS = ("error_rate", "average_execution", "volume", "queue_length")


def fill(app: App, now: int, per_second: int) -> None:
    """An hour of executions and those to come, evenly over the module types, one in fifty failed."""
    count = per_second * (SPAN_US // SECOND + (ROUNDS + COLD) * STEP_S)
    rows = [
        {
            "type": TYPES[n % len(TYPES)],
            "outcome": "error" if n % 50 == 0 else "ok",
            "at": now - SPAN_US + n * SECOND // per_second,
            "days": n % 40,
        }
        for n in range(count)
    ]
    names = (
        "job_id, attempt, module_type, module_version, worker_id, priority, outcome, started_at, finished_at,"
        " duration_us, wedding_days, in_peak"
    )
    statement = f"INSERT INTO executions ({names}) VALUES (1, 1, :type, 1, 'w', 1, :outcome, :at, :at, 5000, :days, 0)"
    with app.database.transaction() as connection:
        connection.execute(text(statement), rows)


def add_rules(app: App) -> None:
    """Own rules up to a hundred in all, each for every module type."""
    with app.database.transaction() as connection:
        for n in range(RULES - len(BUILT_IN)):
            definition = Definition(name=f"own{n}", metric=METRICS[n % len(METRICS)], above=1e6 + n)
            silences.save_rule(connection, definition.name, to_text(definition), 0)


def measured(clock: FakeClock, alerters: Sequence[Alerter]) -> tuple[list[float], list[float]]:
    """How long evaluations took that came one after the other, and how long the process worked, in ms."""
    took, worked = [], []
    for alerter in alerters:
        clock.advance(f"{STEP_S}s")
        began, busy = time.perf_counter(), time.process_time()
        done = alerter.evaluate()
        took.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (time.process_time() - busy))
        assert done.rules == RULES, done
        alerter.leave()
    return took, worked


def main(per_second: int) -> int:
    """Print the figures; the exit code is 1 when the median is over the bound."""
    with tempfile.TemporaryDirectory() as folder:
        app = open_platform(Path(folder))
        modules.register(app.database, Path("modules.yaml").read_bytes(), "modules.yaml", now=app.clock.now())
        clock = FakeClock(app.clock.now())
        fill(app, clock.now(), per_second)
        add_rules(app)
        rules: Rules = replace(app.rules(), settings=app.settings)
        alerter = Alerter(app.database, clock, lambda: rules)
        for _ in range(45):  # the first ones write down the weeks before
            alerter.evaluate()
        took, worked = measured(clock, [alerter] * ROUNDS)
        cold, _ = measured(clock, [Alerter(app.database, clock, lambda: rules) for _ in range(COLD)])
        app.close()
    median = statistics.median(took)
    print(f"{RULES} rules, {len(TYPES)} module types, {per_second:,} executions/s over an hour")
    print(f"an evaluation takes {median:.1f} ms (median), {max(took):.1f} ms (longest); bound {BOUND_MS:g} ms")
    print(f"of it this process works {statistics.median(worked):.1f} ms (median)")
    print(f"one by a process that has just begun takes {statistics.median(cold):.1f} ms (median)")
    return 0 if median < BOUND_MS else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
