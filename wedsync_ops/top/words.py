"""How figures and rows read, for the screen and for one plain page. Pure."""

from collections.abc import Sequence

from wedsync_ops.errors import shortened
from wedsync_ops.instants import SECOND, to_datetime
from wedsync_ops.metrics.spark import spark
from wedsync_ops.top.model import DeadGroup, Frame, OpenAlert, Running, Worker

UNKNOWN = "–"
Row = tuple[str, ...]
_LEAST_ERRORS = 5.0
"""The percentage of failures that a full sparkline stands for at least, so that one of a thousand does not look bad."""
_NAME = 14
"""The longest name of a worker that leaves room for the rest in half of 80 columns."""
LANES = ("Lane", "Priority", "Ready", "Waiting", "")
CREW = ("Worker, job", "What", "For")
DEAD = ("Jobs", "Module", "Latest error")
ALERTS = ("Severity", "Since", "What")


def head(frame: Frame, *, width: int = 80) -> str:
    """The moment, and where this is read; of a long name the end."""
    moment = f"wedsync-ops  {to_datetime(frame.at):%Y-%m-%d %H:%M:%S}Z  "
    room = max(1, width - len(moment))
    name = one_line(frame.database)
    return moment + (name if len(name) <= room else "…" + name[1 - room :])


def season(frame: Frame) -> str:
    """The season, and the next wedding."""
    said = f"{frame.season.word} season, load ×{frame.season.multiplier:g}"
    if frame.season.is_weekend:
        said += " (weekend)"
    return f"{said} · {wedding(frame)}"


def wedding(frame: Frame) -> str:
    """The next wedding of the couples that are known, else among the jobs that come next."""
    if frame.next_wedding is None:
        return "no wedding among the next jobs"
    next_one = frame.next_wedding
    when = {0: "today", 1: "tomorrow"}.get(next_one.days, f"in {next_one.days} days")
    whose = f"job {next_one.job_id}" if next_one.client_id is None else one_line(shortened(next_one.client_id, _NAME))
    return f"next wedding {when}, {next_one.on} ({whose})"


def pace(frame: Frame, *, width: int = 80, ascii_only: bool = False) -> list[str]:
    """The last minute in three lines: rate, times, errors; each with how it moved."""
    now = frame.pace
    facts = [
        ("rate", f"{number(now.lately_per_s)}/s", _crew(frame), now.rates),
        ("time", f"p50 {ms(now.p50_ms)}", f"p95 {ms(now.p95_ms)}  p99 {ms(now.p99_ms)}", now.p95s_ms),
        ("errors", percent(now.error_rate), f"p95 wait {ms(now.wait_p95_ms)}", now.error_rates),
    ]
    lines = []
    for name, first, second, values in facts:
        text = f"{name:<7}{first:<14}{second}"
        room = width - 48
        shown = values[-room:] if room > 0 else ()
        line = spark(shown, top=_LEAST_ERRORS if name == "errors" else None, ascii_only=ascii_only)
        lines.append(f"{text[:46]:<46} {line}".rstrip())
    return lines


def _crew(frame: Frame) -> str:
    busy = sum(worker.busy for worker in frame.workers)
    workers = len(frame.workers)
    return f"{workers} worker{'' if workers == 1 else 's'}, {busy}/{frame.slots} busy"


def lanes(frame: Frame) -> list[tuple[str, Row]]:
    """The lanes that have jobs, or are closed: key (the module type and priority) and cells."""
    closed = {pause.name: pause for pause in frame.closed if pause.scope == "module"}
    everything = any(pause.scope == "all" for pause in frame.closed)
    rows: list[tuple[str, Row]] = [
        (
            f"{count.lane.module_type}/{count.lane.priority.word}",
            (
                count.lane.module_type,
                count.lane.priority.word,
                f"{count.available:,}",
                f"{count.waiting:,}",
                _closed(closed[count.lane.module_type].reason)
                if count.lane.module_type in closed
                else ("all paused" if everything else ""),
            ),
        )
        for count in frame.lanes
    ]
    shown = {count.lane.module_type for count in frame.lanes}
    for name, pause in closed.items():
        if name not in shown:
            rows.append((f"{name}/", (name, UNKNOWN, "0", "0", _closed(pause.reason))))
    return rows


def _closed(reason: str | None) -> str:
    return "drained" if (reason or "").startswith("drained") else "paused"


def crew(frame: Frame) -> list[tuple[str, Row]]:
    """Each worker, then what it runs: key (``worker:…`` or ``job:…``) and cells."""
    rows: list[tuple[str, Row]] = []
    for worker in frame.workers:
        rows.append((f"worker:{worker.id}", _worker(worker)))
        mine = [job for job in frame.running if job.worker_id == worker.id]
        rows += [(f"job:{job.job_id}", _job(job, frame.at)) for job in mine]
    return rows


def _worker(worker: Worker) -> Row:
    state = "" if worker.state == "alive" else f" {worker.state.upper()}"
    name = worker.name if len(worker.name) <= _NAME else worker.name[: _NAME - 1] + "…"
    return name, f"{worker.busy}/{worker.slots} busy{state}", ""


def _job(job: Running, now: int) -> Row:
    return f"  {job.job_id}", job.module_type, "waits" if job.started_at is None else length(now - job.started_at)


def dead(frame: Frame) -> list[tuple[str, Row]]:
    """Dead letters by what went wrong: key (module type and fingerprint) and cells."""
    return [(f"{group.module_type}/{group.fingerprint}", _group(group, frame)) for group in frame.dead]


def _group(group: DeadGroup, frame: Frame) -> Row:
    count = f"{group.count}{'' if frame.dead_is_all else '+'}"
    return count, group.module_type, one_line(group.error or UNKNOWN)


def alerts(frame: Frame) -> list[tuple[str, Row]]:
    """The open alerts: key (the id) and cells."""
    return [(str(alert.id), _alert(alert, frame.at)) for alert in frame.alerts]


def _alert(alert: OpenAlert, now: int) -> Row:
    seen = "" if alert.state == "firing" else f" ({alert.state})"
    return alert.severity + seen, length(now - alert.since), one_line(alert.message)


def whole(frame: Frame, key: str) -> str:
    """All that is known of a group of dead letters, or of an alert, by its key."""
    for group in frame.dead:
        if key == f"{group.module_type}/{group.fingerprint}":
            said = f"{_group(group, frame)[0]} dead letters of {group.module_type} ({group.fingerprint})"
            seen = f"the latest {length(frame.at - group.last_seen)} ago"
            return f"{said}, {seen}\n\n{one_line(group.error or UNKNOWN)}"
    for alert in frame.alerts:
        if key == str(alert.id):
            about = f" of {alert.module_type}" if alert.module_type else ""
            since = f"{alert.state} for {length(frame.at - alert.since)}"
            return f"{alert.severity}: {alert.type}{about} (alert {alert.id}), {since}\n\n{one_line(alert.message)}"
    return "it is gone"


def closed(frame: Frame) -> list[str]:
    """What is closed beside single module types."""
    said = []
    for pause in frame.closed:
        if pause.scope != "module":
            what = "everything" if pause.scope == "all" else f"supplier {pause.name}"
            said.append(f"{_closed(pause.reason)}: {what}, by {pause.by}: {pause.reason or 'no reason given'}")
    return said


def length(us: int) -> str:
    """A length of time in the two largest words that fit."""
    seconds = max(0, us) / SECOND
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"


def ms(value: float | None) -> str:
    """A time given in ms."""
    if value is None:
        return UNKNOWN
    if value < 1000:
        return f"{value:.3g} ms"
    return length(round(value * 1000))


def number(value: float) -> str:
    """A rate."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return UNKNOWN if value is None else f"{value:.3g} %"


def one_line(text: str) -> str:
    """A text on one line, with nothing in it that a terminal would obey."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in joined)


def page(frame: Frame, *, width: int = 80, ascii_only: bool = False) -> list[str]:
    """A frame as plain lines of at most ``width`` characters."""
    lines = [head(frame, width=width), season(frame)]
    if frame.trouble is not None:
        lines.append(f"! {frame.trouble}")
    lines += ["", *pace(frame, width=width, ascii_only=ascii_only), *closed(frame)]
    empty = {"Lanes": "nothing waits", "Workers": "no worker runs", "Dead letters": "none", "Alerts": "none"}
    tables = (
        ("Lanes", LANES, lanes(frame)),
        ("Workers", CREW, crew(frame)),
        ("Dead letters", DEAD, dead(frame)),
        ("Alerts", ALERTS, alerts(frame)),
    )
    for title, columns, rows in tables:
        lines += (
            ["", f"{title}: {empty[title]}"] if not rows else ["", title, *_table(columns, [row for _, row in rows])]
        )
    made = [one_line_kept(line)[:width].rstrip() for line in lines]
    return [line.translate(_TO_ASCII) for line in made] if ascii_only else made


_TO_ASCII = {ord("×"): "x", ord("·"): "-", ord("–"): "-", ord("…"): "."}


def one_line_kept(text: str) -> str:
    """A line as it is laid out, with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _table(columns: Row, rows: Sequence[Row]) -> list[str]:
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    return [
        "  " + "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)) for row in (columns, *rows)
    ]
