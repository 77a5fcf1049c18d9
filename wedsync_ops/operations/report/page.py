"""A report as one HTML file that needs nothing else: no script, no reference, every text escaped. Pure."""

from collections.abc import Sequence
from html import escape

from wedsync_ops.metrics.model import ModuleMetrics
from wedsync_ops.operations.report import charts, words
from wedsync_ops.operations.report.charts import Series
from wedsync_ops.operations.report.model import Report
from wedsync_ops.operations.report.period import label
from wedsync_ops.operations.report.period import words as period_words
from wedsync_ops.operations.report.style import STYLE

_NAMES = {
    "ok": "ok",
    "error": "error",
    "timeout": "timeout",
    "oom": "out of memory",
    "killed": "killed",
    "lost": "lost",
    "cancelled": "cancelled",
}


def to_html(report: Report) -> str:
    """The page."""
    title = f"WedSync platform, {report.period.kind} report: {period_words(report.period)}"
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
        _head(report),
        _tiles(report),
        _over_time(report),
        _modules(report),
        _weddings(report),
        _failures(report),
        _foot(report),
        "</main></body></html>\n",
    ]
    return "".join(parts)


def _head(report: Report) -> str:
    return (
        f"<header><p>WedSync platform, {escape(report.period.kind)} report</p>"
        f"<h1>{escape(period_words(report.period))}</h1>"
        f"<p>{escape(words.season(report))}. Times are in {escape(report.period.zone)}.</p></header>"
    )


def _tiles(report: Report) -> str:
    platform, weddings, found = report.metrics.platform, report.weddings, report.availability
    tiles = [
        (
            "Availability",
            words.availability(report),
            f"{found.late:,} of {found.minutes:,} minutes late",
            bool(found.late),
        ),
        ("Weddings served", words.exact(weddings.served), f"{weddings.served_in_week:,} in their last week", False),
        ("Executions", words.exact(platform.counts.total), f"{platform.counts.failed:,} failed", False),
        (
            "Error rate",
            words.percent(platform.error_rate),
            f"{platform.counts.lost:,} lost, {platform.counts.cancelled:,} cancelled",
            False,
        ),
        ("Time, p95", words.ms(platform.times.p95_ms), f"half within {words.ms(platform.times.p50_ms)}", False),
        ("Wait, p95", words.ms(report.wait_p95_ms), "from due to start", False),
    ]
    inside = "".join(
        f'<div class="tile{" bad" if bad else ""}"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<small>{escape(more)}</small></div>"
        for name, value, more, bad in tiles
    )
    return f'<section class="tiles">{inside}</section>'


def _over_time(report: Report) -> str:
    buckets = report.buckets
    labels = [label(report.period, bucket.at) for bucket in buckets]
    met = [
        Series(_NAMES[name], name, [words.outcome(bucket.counts, name) for bucket in buckets])
        for name in words.OUTCOMES
        if any(words.outcome(bucket.counts, name) for bucket in buckets)
    ]
    times = [
        Series("p50", "p50", [bucket.p50_ms for bucket in buckets]),
        Series("p95", "p95", [bucket.p95_ms for bucket in buckets]),
        Series("p99", "p99", [bucket.p99_ms for bucket in buckets]),
    ]
    waits = [
        Series("p50", "p50", [bucket.wait_p50_ms for bucket in buckets]),
        Series("p95", "p95", [bucket.wait_p95_ms for bucket in buckets]),
    ]
    errors = [Series("failed, percent of those that ran", "error", [bucket.error_rate for bucket in buckets])]
    return "".join(
        (
            _chart("Executions by outcome", met, charts.bars("Executions by outcome", labels, met, words.count)),
            _chart("Execution time", times, charts.lines("Execution time", labels, times, words.ms)),
            _chart("Error rate", errors, charts.lines("Error rate", labels, errors, words.percent, least_top=1.0)),
            _chart("Wait from due to start", waits, charts.lines("Wait", labels, waits, words.ms)),
        )
    )


def _chart(title: str, series: Sequence[Series], drawn: str) -> str:
    return f'<section><h2>{escape(title)}</h2>{charts.legend(series)}<div class="wide">{drawn}</div></section>'


def _modules(report: Report) -> str:
    ran = [module for module in report.metrics.modules if module.counts.total]
    if not ran:
        return "<section><h2>Module types</h2><p>Nothing was executed.</p></section>"
    most = max(module.counts.total for module in ran)
    numbers = (">Failed", ">Error rate", ">p50", ">p95", ">p99", ">Mean wait")
    head = ("Module type", ">Executions", "", *numbers, "Targets missed")
    rows = "".join(_module(module, report, most) for module in sorted(ran, key=lambda one: -one.counts.total))
    return f"<section><h2>Module types</h2>{_table(head, rows)}</section>"


def _module(module: ModuleMetrics, report: Report, most: int) -> str:
    missed = words.missed(module, report.targets.get(module.module_type))
    cells = [
        f"<td>{escape(module.module_type)}</td>",
        f'<td class="n">{module.counts.total:,}</td>',
        f"<td>{charts.share(module.counts.total, most, 'ok')}</td>",
        f'<td class="n">{module.counts.failed:,}</td>',
        *(
            f'<td class="n">{escape(value)}</td>'
            for value in (
                words.percent(module.error_rate),
                words.ms(module.times.p50_ms),
                words.ms(module.times.p95_ms),
                words.ms(module.times.p99_ms),
                words.ms(module.usage.queue_wait_ms),
            )
        ),
        f'<td class="{"missed" if missed else "held"}">{escape("; ".join(missed) or "none")}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _weddings(report: Report) -> str:
    days = list(reversed(report.weddings.by_days))
    names = {0: "wedding day", 1: "1 day"}
    labels = [names.get(one.days, f"{one.days} days") for one in days]
    series = [
        Series("ok", "ok", [one.ok for one in days]),
        Series("failed", "error", [one.failed for one in days]),
    ]
    if not any(one.ok or one.failed for one in days):
        return "<section><h2>The wedding week</h2><p>Nothing was executed for a wedding within a week.</p></section>"
    title = "The wedding week: executions by days before the wedding"
    return _chart(title, series, charts.bars(title, labels, series, words.count))


def _failures(report: Report) -> str:
    if not report.failures:
        return "<section><h2>What failed</h2><p>Nothing failed.</p></section>"
    rows = "".join(
        f'<tr><td class="n">{one.count:,}</td><td class="n">{one.wedding_week:,}</td>'
        f"<td>{escape(one.module_type)}</td><td>{escape(label(report.period, one.last_seen))}</td>"
        f'<td class="text">{escape(words.one_line(one.error))}</td></tr>'
        for one in report.failures
    )
    head = (">Executions", ">In wedding weeks", "Module type", "Latest", "Latest error")
    return f"<section><h2>What failed, what touches wedding weeks first</h2>{_table(head, rows)}</section>"


def _table(head: Sequence[str], rows: str) -> str:
    """A table; a column whose name starts with ``>`` holds numbers."""
    cells = "".join(
        f'<th scope="col" class="{"n" if name.startswith(">") else "t"}">{escape(name.removeprefix(">"))}</th>'
        for name in head
    )
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def _foot(report: Report) -> str:
    made = label(report.period, report.made_at)
    return (
        "<footer><p>Available is a minute in which no due critical job had waited for longer than a minute. Failed"
        " are executions that ended in an error, ran too long, ran out of memory or were killed; lost and cancelled"
        " ones are in no rate and no time. A wedding is served when a module did its work for it. Percentiles are"
        f" nearest-rank, within 1 %.</p><p>Made at {escape(made)}, from what was kept then.</p></footer>"
    )
