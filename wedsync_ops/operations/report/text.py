"""A report as plain text of 80 columns. Pure."""

from collections.abc import Sequence

from wedsync_ops.metrics.spark import spark
from wedsync_ops.operations.report import words
from wedsync_ops.operations.report.model import Report
from wedsync_ops.operations.report.period import label
from wedsync_ops.operations.report.period import words as period_words

_WIDTH = 80


def to_text(report: Report) -> list[str]:
    """The report's lines."""
    platform, weddings = report.metrics.platform, report.weddings
    counts, late = platform.counts, report.availability
    ended = f"{counts.ok:,} ok, {counts.failed:,} failed, {counts.lost:,} lost, {counts.cancelled:,} cancelled"
    lines = [
        f"WedSync platform, {report.period.kind} report",
        f"{period_words(report.period)} ({report.period.zone})",
        words.season(report),
        "",
        f"Availability  {words.availability(report)}, {late.late} of {late.minutes} minutes late",
        f"Weddings      {weddings.served:,} served, {weddings.served_in_week:,} of them in their last week",
        f"Executions    {counts.total:,}: {ended}",
        f"Errors        {words.percent(platform.error_rate)}",
        f"Times         {words.times(platform.times)}; p95 wait {words.ms(report.wait_p95_ms)}",
        "",
        *_over_time(report),
        "",
        *_modules(report),
        "",
        *_week(report),
        "",
        *_failures(report),
    ]
    return [line[:_WIDTH].rstrip() for line in lines]


def _over_time(report: Report) -> list[str]:
    buckets = report.buckets
    rows: list[tuple[str, Sequence[float | None]]] = [
        ("Executions", [bucket.counts.total for bucket in buckets]),
        ("Errors %", [bucket.error_rate for bucket in buckets]),
        ("p95 time", [bucket.p95_ms for bucket in buckets]),
        ("p95 wait", [bucket.wait_p95_ms for bucket in buckets]),
    ]
    start, end = label(report.period, report.period.from_at), label(report.period, report.period.to_at)
    scale = f"{'':<14}{start}{end:>{max(6, len(buckets) - len(start))}}"
    return [*(f"{name:<14}{spark(values)}" for name, values in rows), scale]


def _modules(report: Report) -> list[str]:
    rows = [("Module", "Executions", "Failed", "Errors", "p50", "p95", "Wait", "Missed")]
    rows += [
        (
            words.one_line(module.module_type, 16),
            words.exact(module.counts.total),
            words.exact(module.counts.failed),
            words.percent(module.error_rate),
            words.ms(module.times.p50_ms),
            words.ms(module.times.p95_ms),
            words.ms(module.usage.queue_wait_ms),
            "; ".join(words.missed(module, report.targets.get(module.module_type))),
        )
        for module in report.metrics.modules
        if module.counts.total
    ]
    return _table(rows, left=(0, 7)) if len(rows) > 1 else ["Nothing was executed."]


def _week(report: Report) -> list[str]:
    rows = [("Days before the wedding", "Ok", "Failed")]
    rows += [(str(one.days), words.exact(one.ok), words.exact(one.failed)) for one in report.weddings.by_days]
    touched = any(one.ok or one.failed for one in report.weddings.by_days)
    return _table(rows, left=(0,)) if touched else ["Nothing was executed for a wedding within a week."]


def _failures(report: Report) -> list[str]:
    rows = [("Failed", "In the week", "Module", "Latest error")]
    rows += [
        (
            words.exact(one.count),
            words.exact(one.wedding_week),
            words.one_line(one.module_type, 16),
            words.one_line(one.error),
        )
        for one in report.failures
    ]
    return _table(rows, left=(2, 3)) if len(rows) > 1 else ["Nothing failed."]


def _table(rows: Sequence[Sequence[str]], *, left: Sequence[int]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
