"""How well the forecast does on years of made demand, against last week and last year, and how long it takes.

python -m tests.bench.forecast                 three years, seven module types, three seeds, four times of the year
python -m tests.bench.forecast 90 [SEED...]    hours kept for 90 days, as by default
"""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from statistics import mean
from zoneinfo import ZoneInfo

from tests.bench.seasons import MODULES, Shape, histories
from wedsync_ops.scaling.backtest import Score, backtest
from wedsync_ops.scaling.forecast_model import Method
from wedsync_ops.scaling.methods import METHODS, World
from wedsync_ops.scaling.profile import usual_hours
from wedsync_ops.weddings.model import Calendar

CALENDAR = Calendar(frozenset({5, 6, 7, 8, 9}), frozenset({4, 10}), 5.0, 2.0, 1.0, 3.0, ZoneInfo("UTC"))
ENDS = {date(2027, 1, 20): 20, date(2027, 6, 7): 75, date(2027, 9, 6): 40, date(2027, 11, 1): 200}
"""The ends of histories, and how many days before each the level changes for good."""


def measure(seed: int, shape: Shape) -> tuple[dict[tuple[str, Method], Score], float]:
    """The score of every module type and method, and the seconds that the forecast took."""
    made = histories(seed, shape)
    started = time.perf_counter()
    world = World.of(CALENDAR, usual_hours(), made[0].first_day, made[0].end + 14)
    scores = {
        (each.module_type, method): score for each in made for method, score in backtest(each, world).scores.items()
    }
    return scores, time.perf_counter() - started


def lines(found: dict[tuple[str, Method], list[Score]]) -> Iterator[str]:
    yield f"{'module type':14}" + "".join(f"{method:>12}" for method in METHODS) + f"{'of last week':>14}"
    for name in MODULES:
        errors = [mean(score.wape or 0.0 for score in found[name, method]) for method in METHODS]
        share = errors[0] / errors[1]
        yield f"{name:14}" + "".join(f"{100 * error:>11.1f}%" for error in errors) + f"{100 * share:>13.0f}%"
    inside = [mean(score.inside or 0.0 for name in MODULES for score in found[name, method]) for method in METHODS]
    yield f"{'within bounds':14}" + "".join(f"{100 * share:>11.1f}%" for share in inside)


def main(hour_days: int, seeds: Sequence[int]) -> None:
    found: defaultdict[tuple[str, Method], list[Score]] = defaultdict(list)
    times = []
    for seed in seeds:
        for end, shift in ENDS.items():
            scores, took = measure(seed, Shape(end=end, shift_before_end=shift, hour_days=hour_days))
            times.append(took)
            for key, score in scores.items():
                found[key].append(score)
    print(
        f"hours of {hour_days} days; {len(times)} histories of three years; error (WAPE) of the next two weeks' hours"
    )
    for line in lines(found):
        print(line)
    print(f"tried and foretold in {mean(times):.2f} s, {max(times):.2f} s at most")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(numbers[0] if numbers else 1096, numbers[1:] or [1, 2, 3])
