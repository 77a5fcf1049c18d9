"""How a report's figures read, in text and on the page. Pure."""

from wedsync_ops.metrics.model import Counts, ModuleMetrics, Times
from wedsync_ops.operations.report.model import Report, Target

UNKNOWN = "–"
OUTCOMES = ("ok", "error", "timeout", "oom", "killed", "lost", "cancelled")


def count(value: float) -> str:
    """A count; large ones in thousands and millions."""
    for size, unit in ((1_000_000, "M"), (10_000, "k")):
        if value >= size:
            return f"{value / (1_000_000 if unit == 'M' else 1000):.3g} {unit}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def exact(value: int) -> str:
    """A count, every digit of it."""
    return f"{value:,}"


def ms(value: float | None) -> str:
    """A time given in ms, in the unit that reads best."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    if value < 1000:
        return f"{value:.3g} ms"
    if value < 120_000:
        return f"{value / 1000:.3g} s"
    return f"{value / 60_000:.3g} min" if value < 7_200_000 else f"{value / 3_600_000:.3g} h"


def percent(value: float | None) -> str:
    """A share."""
    return UNKNOWN if value is None else f"{value:.3g} %"


def availability(report: Report) -> str:
    """The availability: never rounded up to what it was not."""
    found = report.availability
    if found.percent is None:
        return UNKNOWN
    return "100 %" if not found.late else f"{int(found.percent * 100) / 100:.2f} %"


def season(report: Report) -> str:
    """The season in words."""
    weekend = ", a weekend" if report.season.is_weekend else ""
    return f"{report.season.word} season{weekend}: {report.season.multiplier:g} × the load of an off-season weekday"


def outcome(counts: Counts, name: str) -> int:
    """How many executions ended in that way."""
    return int(getattr(counts, name))


def missed(module: ModuleMetrics, target: Target | None) -> list[str]:
    """The targets that a module type missed, in words."""
    if target is None:
        return []
    said = []
    if _over(module.times.p95_ms, target.max_execution_ms):
        said.append(f"p95 over {ms(target.max_execution_ms)}")
    if _over(module.error_rate, target.error_rate):
        said.append(f"errors over {percent(target.error_rate)}")
    return said


def _over(value: float | None, most: float | None) -> bool:
    return value is not None and most is not None and value > most


def times(found: Times) -> str:
    """Percentiles on one line."""
    return f"p50 {ms(found.p50_ms)}, p95 {ms(found.p95_ms)}, p99 {ms(found.p99_ms)}"


def one_line(text: str | None, most: int = 300) -> str:
    """A text on one line, with nothing in it that a terminal would obey; a long one cut."""
    joined = " ".join((text or UNKNOWN).split())
    shown = "".join(c if c.isprintable() else "?" for c in joined)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
