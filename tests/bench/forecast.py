"""How well the forecast does on years of made demand, against last week and last year, and how long it takes.

python -m tests.bench.forecast                 three years, seven module types, three seeds
python -m tests.bench.forecast 90 [SEED...]    hours kept for 90 days, as by default
"""

import sys
import time
from collections import defaultdict
from zoneinfo import ZoneInfo

from tests.bench.seasons import Shape, histories
from wedsync_ops.scaling.backtest import backtest
from wedsync_ops.scaling.forecast_model import Method
from wedsync_ops.scaling.methods import World
from wedsync_ops.scaling.profile import usual_hours
from wedsync_ops.weddings.model import Calendar

CALENDAR = Calendar(frozenset({5, 6, 7, 8, 9}), frozenset({4, 10}), 5.0, 2.0, 1.0, 3.0, ZoneInfo("UTC"))


def measure(seed: int, shape: Shape) -> tuple[dict[str, dict[Method, float]], dict[Method, float], float]:
    """WAPE by module type and method, the share inside the bounds by method, and the seconds taken."""
    made = histories(seed, shape)
    started = time.perf_counter()
    world = World.of(CALENDAR, usual_hours(), made[0].first_day, made[0].end + 14)
    wapes: dict[str, dict[Method, float]] = {}
    inside: dict[Method, list[float]] = defaultdict(list)
    for each in made:
        tried = backtest(each, world)
        wapes[each.module_type] = {m: s.wape for m, s in tried.scores.items() if s.wape is not None}
        for method, score in tried.scores.items():
            inside[method].append(score.inside or 0.0)
    took = time.perf_counter() - started
    return wapes, {method: sum(some) / len(some) for method, some in inside.items()}, took


def main(hour_days: int, seeds: list[int]) -> None:
    for seed in seeds:
        wapes, inside, took = measure(seed, Shape(hour_days=hour_days))
        methods = list(Method)[:4]
        print(f"seed {seed}, hours of {hour_days} days, {took:.2f} s")
        print(f"  {'':10}" + "".join(f"{method:>12}" for method in methods))
        for name, row in wapes.items():
            print(f"  {name:10}" + "".join(f"{100 * row.get(method, float('nan')):>11.1f}%" for method in methods))
        print(f"  {'in bounds':10}" + "".join(f"{100 * inside.get(method, 0):>11.1f}%" for method in methods))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(numbers[0] if numbers else 1096, numbers[1:] or [1, 2, 3])
