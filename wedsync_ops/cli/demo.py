"""``demo``: a realistic day on an empty machine: register, queue, a real worker, metrics, dead letters."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import single

if TYPE_CHECKING:
    from wedsync_ops.app import App

app = single()

_PATIENCE_S = 50
_LOOK_S = 0.1
_MARK = ".wedsync-demo"


@app.command()
def demo(
    context: typer.Context,
    jobs: Annotated[int, typer.Option(min=10, max=5000, help="How many jobs the day has.")] = 420,
    folder: Annotated[Path | None, typer.Option(help="A home of the demo's own; below the home unless given.")] = None,
    json: Json = False,
) -> None:
    """See the whole system at work on an empty machine, in under a minute."""
    from wedsync_ops.app import open_app
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.settings import load

    home = _fresh_home(folder or load_settings(context).settings.home / "demo")
    platform = open_app(load({"home": home}, environment={}))
    tell = _quiet if json else _say
    try:
        _register(platform, tell)
        _queue_day(platform, jobs, tell)
        planned = _plan_couples(platform)
        with _worker(home):
            _follow(platform, jobs, show=not json)
        _finish(platform, home, planned, json=json)
    finally:
        platform.close()


def _say(text: str) -> None:
    from wedsync_ops.cli.render import prose

    prose(text)


def _quiet(text: str) -> None:
    """Print nothing; the JSON document is the only answer."""


def _fresh_home(home: Path) -> Path:
    """An empty folder for the demo: an earlier demo's is cleared away, anybody else's is refused."""
    import shutil

    from wedsync_ops.errors import HomeUnusable, Refused

    try:
        if home.is_dir() and any(home.iterdir()):
            if not (home / _MARK).is_file():
                raise Refused(f"the folder {home} is not empty", hint="name another one with --folder")
            shutil.rmtree(home)
        home.mkdir(parents=True, exist_ok=True)
        (home / _MARK).touch()
    except OSError as error:
        raise HomeUnusable(f"the folder {home} cannot be used: {error.strerror}") from error
    return home


def _register(platform: "App", tell: Callable[[str], None]) -> None:
    from wedsync_ops.errors import InvalidDefinitions
    from wedsync_ops.modules.actions import register, shipped_file
    from wedsync_ops.operations.rehearsal import DEFINITION

    for source, raw in (("modules.yaml", shipped_file().read_bytes()), ("the rehearsal", DEFINITION)):
        registration = register(platform.database, raw, source, now=platform.clock.now())
        if registration.problems:
            raise InvalidDefinitions(f"{source}: {registration.problems[0].message}")
    names = sorted(platform.registry().pointers)
    tell(f"1. Registered {len(names)} module types: {', '.join(names)}.")


def _queue_day(platform: "App", jobs: int, tell: Callable[[str], None]) -> None:
    from wedsync_ops.errors import WedsyncError
    from wedsync_ops.jobs.actions import enqueue_many
    from wedsync_ops.operations.rehearsal import day

    started = time.perf_counter()
    answers = enqueue_many(platform.queue(), list(day(platform.clock.now(), jobs)))
    elapsed = time.perf_counter() - started
    for answer in answers:
        if isinstance(answer, WedsyncError):
            raise answer
    queued = [answer for answer in answers if not isinstance(answer, WedsyncError)]
    applied = Counter(answer.priority_applied.word for answer in queued)
    spread = ", ".join(f"{count} {word}" for word, count in applied.most_common())
    told = f"2. Queued {len(queued)} jobs in {elapsed * 1000:.0f} ms, by what each wedding needs: {spread}."
    soonest = next((answer for answer in queued if answer.priority_applied.word == "critical"), None)
    if soonest is not None:
        told += f" Job {soonest.job_id} is critical because: {'; '.join(soonest.priority_reasons)}."
    tell(told)


def _plan_couples(platform: "App") -> str:
    """Put a few couples on a journey; returns what that came to."""
    from wedsync_ops.errors import InvalidDefinitions
    from wedsync_ops.modules.actions import register
    from wedsync_ops.operations.rehearsal import JOURNEY, couples
    from wedsync_ops.planning import actions
    from wedsync_ops.planning.model import Change
    from wedsync_ops.planning.registering import JourneyBatch
    from wedsync_ops.weddings import store

    now = platform.clock.now()
    batch = JourneyBatch(platform.rules(), JOURNEY, now)
    registration = register(platform.database, JOURNEY, "the journey", now=now, beside=[batch])
    if registration.problems:
        raise InvalidDefinitions(f"the journey: {registration.problems[0].message}")
    with platform.database.transaction() as connection:
        store.upsert(connection, couples(now), now)
    tally = actions.Tally()
    for done in actions.plan(platform.queue(), actions.Chosen()):
        tally.add(done)
    return f"{tally.couples} couples on a journey, {tally.changes[Change.QUEUE]} jobs wait for their day"


@contextmanager
def _worker(home: Path) -> Iterator[None]:
    """A real worker, in a process of its own, drained by SIGTERM at the end."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WEDSYNC_OPS_")}
    environment["WEDSYNC_OPS_HOME"] = str(home)
    command = [sys.executable, "-m", "wedsync_ops", "--log-level", "error", "run-worker", "--name", "demo"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _follow(platform: "App", jobs: int, *, show: bool) -> None:
    """Watch until every job has finished, with a live picture on a terminal."""
    from rich.live import Live

    from wedsync_ops.cli.render import console

    until = time.monotonic() + _PATIENCE_S
    screen = console()
    is_live = show and screen.is_terminal
    if show and not is_live:
        _say("3. A worker runs them in isolated processes …")
    with Live(console=screen, transient=True, auto_refresh=False) if is_live else nullcontext() as live:
        while True:
            states = _states(platform)
            if live is not None:
                live.update(_picture(states, jobs), refresh=True)
            if sum(states[name] for name in ("completed", "discarded")) >= jobs or time.monotonic() > until:
                return
            time.sleep(_LOOK_S)


def _states(platform: "App") -> Counter[str]:
    from wedsync_ops.jobs.store.view import Filter, list_jobs

    with platform.database.reading() as connection:
        return Counter(job.state.value for job in list_jobs(connection, Filter(limit=0)))


def _picture(states: Counter[str], jobs: int) -> Any:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    done = states["completed"] + states["discarded"]
    words = "   ".join(
        f"{name} {states[name]}" for name in ("available", "running", "retryable", "completed", "discarded")
    )
    return Group(Text("3. A worker runs them in isolated processes"), ProgressBar(jobs, done, width=60), Text(words))


def _finish(platform: "App", home: Path, planned: str, *, json: bool) -> None:
    from wedsync_ops.cli.readying import overview
    from wedsync_ops.cli.render import emit, say, table
    from wedsync_ops.jobs.model import State
    from wedsync_ops.jobs.store.view import Filter, list_jobs
    from wedsync_ops.metrics.actions import measure, parse_range, to_document
    from wedsync_ops.planning import preparing

    now = platform.clock.now()
    document = to_document(
        measure(
            platform.database,
            [module.module_id for module in platform.registry().modules()],
            range_us=parse_range("5m"),
            now=now,
            module=None,
            network_capacity_mbps=platform.settings.network_capacity_mbps,
        )
    )
    with platform.database.reading() as connection:
        dead = list_jobs(connection, Filter(states=(State.DISCARDED,), limit=0))
    artefacts = sum(1 for item in platform.settings.outbox.rglob("*") if item.is_file() and item.name[0] != ".")
    if json:
        discarded = [{"job_id": job.job_id, "module_type": job.module_type, "error": job.error} for job in dead]
        extra = {"home": str(home), "outbox": str(platform.settings.outbox), "artefacts": artefacts}
        emit("demo", {"metrics": document, "discarded": discarded, **extra})
        return
    say("")
    table(
        ("module", ">executions", ">ok", ">failed", ">p50 ms", ">p95 ms", ">wait ms", ">wedding week"),
        [_row(module["module_type"], module) for module in document["modules"] if module["total_executions"]]
        + [_row("all", document["platform"])],
        title="4. What the metrics say",
    )
    say("")
    table(
        (">job", "module", ">attempts", "why"),
        [(job.job_id, job.module_type, job.attempt, job.error) for job in dead[:8]],
        title=f"5. Discarded jobs: {len(dead)}" + (", the latest 8" if len(dead) > 8 else ""),
    )
    say("")
    _say(f"6. {artefacts} artefacts lie in {platform.settings.outbox}: mails as .eml, pages as .html.")
    say("")
    overview(list(preparing.readiness(platform.queue(), within_days=365)), title=f"7. Promised: {planned}")
    say("")
    _suggest(home, dead[0].job_id if dead else 1)


def _suggest(home: Path, job_id: int) -> None:
    from wedsync_ops.cli.render import paragraph

    commands = (
        f"export WEDSYNC_OPS_HOME={home}",
        "wedsync-ops jobs list --state discarded",
        f"wedsync-ops jobs show {job_id}",
        "wedsync-ops metrics --range 1h",
        "wedsync-ops modules show email",
        "wedsync-ops weddings calls",
        "wedsync-ops season",
    )
    paragraph("\n  ".join(("What to try next, in this shell:", *commands)))


def _row(name: str, figures: dict[str, Any]) -> tuple[Any, ...]:
    usage, wedding = figures.get("resource_usage", {}), figures.get("wedding_specific_metrics", {})
    return (
        name,
        figures["total_executions"],
        figures["successful_executions"],
        figures["failed_executions"],
        figures["p50_execution_time_ms"],
        figures["p95_execution_time_ms"],
        usage.get("queue_wait_time_avg"),
        wedding.get("wedding_week_executions"),
    )
