"""What ``simulate`` does: put the platform and its demand together, run them, and show what came of it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import typer

from wedsync_ops.cli.inputs import open_input
from wedsync_ops.errors import GateFailed, UsageError, WedsyncError, quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wedsync_ops.planning.simulate.model import Answer, Demand, Guard, Setup
    from wedsync_ops.planning.simulate.report import Gate
    from wedsync_ops.planning.simulate.run import Progress
    from wedsync_ops.planning.simulating import Known
    from wedsync_ops.settings import Settings
    from wedsync_ops.weddings.model import Calendar

_LONGEST_DAYS = 400
_MOST_WORKERS = 1_000
_MOST_ATTEMPTS = 50
_MOST_CORES = 1_024
_SPREAD_MIN = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do; ``days`` are --season, --day, --from and --to."""

    days: tuple[int | None, str | None, str | None, str | None]
    growth: float
    jobs: int | None
    weddings: int | None
    clients: bool
    spread: float | None
    trace: str | None

    @property
    def spread_s(self) -> float:
        """How long the jobs of one step are spread over, in seconds."""
        usual = 0.0 if self.clients else _SPREAD_MIN
        return 60 * (usual if self.spread is None else self.spread)

    def checked(self) -> "Load":
        """The same. Raises UsageError where two things are asked for that do not go together."""
        own = (*self.days, self.jobs, self.weddings, self.spread)
        if self.trace is not None and any(one is not None for one in own):
            raise UsageError("--trace has its own jobs and times", hint="leave out days, --jobs, --weddings, --spread")
        if self.trace is not None and self.growth != 1:
            raise UsageError("--trace holds the jobs that there are: --growth has nothing to multiply")
        if sum((self.jobs is not None, self.weddings is not None, self.clients, self.trace is not None)) > 1:
            raise UsageError("give one of --jobs, --weddings, --clients and --trace")
        return self


@dataclass(frozen=True, slots=True)
class Size:
    """How large the platform is; ``slots`` are the fewest and the most of a worker."""

    slots: tuple[int, int] | None
    workers: int
    cores: int
    attempts: int | None
    breakers: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; ``trouble`` is --outage, --slow and --lose-worker."""

    load: Load
    size: Size
    trouble: tuple[list[str], list[str], list[str]]
    seed: int
    starts: bool


@dataclass(frozen=True, slots=True)
class _Platform:
    """What is simulated on: ``connection`` is that of the platform's database, where there is one."""

    settings: "Settings"
    calendar: "Calendar"
    known: "Known"
    connection: "Connection | None"


def compared(wanted: Wanted, text: str) -> Wanted:
    """The same with other settings. Raises UsageError."""
    from wedsync_ops.planning.simulate import asked

    load, size = wanted.load, wanted.size
    for name, value in asked.settings(text).items():
        if name == "slots":
            size = replace(size, slots=asked.slots(value, "--compare slots="))
        elif name == "growth":
            load = replace(load, growth=_growth(value)).checked()
        elif name == "workers":
            size = replace(size, workers=_whole(name, value, _MOST_WORKERS))
        elif name == "cores":
            size = replace(size, cores=_whole(name, value, _MOST_CORES))
        else:
            size = replace(size, attempts=_whole(name, value, _MOST_ATTEMPTS))
    return replace(wanted, load=load, size=size)


def show(
    context: typer.Context,
    wanted: Wanted,
    other: Wanted | None,
    words: str | None,
    gates: "Sequence[Gate]",
    *,
    json: bool,
) -> None:
    """Simulate, and print what came of it. Raises GateFailed when a gate is not kept to."""
    from wedsync_ops.cli.render import answering, emit
    from wedsync_ops.planning.simulate.report import document, judged

    with _platform(context) as platform:
        demand = _demand(platform, wanted)
        answer = _run(platform, wanted, demand)
        beside = None
        if other is not None:
            same = other.load.growth == wanted.load.growth
            beside = _run(platform, other, demand if same else _demand(platform, other))
        measured = sorted(platform.known.measured)
    verdicts = judged(gates, answer)
    failed = [one for one in verdicts if not one["passed"]]
    failure = GateFailed("; ".join(_failed(one) for one in failed), details=failed) if failed else None
    with answering(None, failure):
        if json:
            found = document(answer, wanted.starts)
            more = {} if beside is None else {"compared": {"with": words, **document(beside, wanted.starts)}}
            settings = {"growth": wanted.load.growth, "seed": wanted.seed, "workers": wanted.size.workers}
            emit("simulate", {"settings": settings, "measured": measured, **found, "gates": verdicts, **more})
        else:
            from wedsync_ops.cli import simulated_text

            simulated_text.show(answer, beside, words, verdicts)


@contextmanager
def _platform(context: typer.Context) -> Iterator[_Platform]:
    """The platform as it is, to look at only; where there is none, what is shipped."""
    from wedsync_ops.app import calendar_of, observe
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.errors import DatabaseUnreachable
    from wedsync_ops.planning import simulating

    loaded = load_settings(context)
    settings, calendar = loaded.settings, calendar_of(loaded.settings)
    try:
        seen = observe(loaded)
    except DatabaseUnreachable:
        if context.find_root().obj.db is not None:
            raise
        yield _Platform(settings, calendar, _from_file(), None)
        return
    try:
        with seen.database.reading() as connection:
            known = simulating.from_database(connection, seen.rules())
            yield _Platform(settings, calendar, known if known.kinds else _from_file(), connection)
    finally:
        seen.close()


def _from_file() -> "Known":
    from pathlib import Path

    from wedsync_ops.modules.actions import find_file, read_file
    from wedsync_ops.planning import simulating

    path = find_file(None, Path.cwd())
    try:
        return simulating.from_definitions(read_file(path))
    except WedsyncError as error:
        raise type(error)(f"{path}: {error.message}", hint=error.advice) from error


def _demand(platform: _Platform, wanted: Wanted) -> "Demand":
    from wedsync_ops.planning import simulating
    from wedsync_ops.planning.simulating import Volume

    load = wanted.load
    if load.trace is not None:
        return _recorded(platform, load.trace)
    first, last = _days(load.days, platform.calendar)
    volume = Volume(
        first=first,
        last=last,
        growth=load.growth,
        weddings=load.weddings,
        jobs=load.jobs,
        spread_s=load.spread_s,
        seed=wanted.seed,
    )
    if not load.clients:
        return simulating.synthetic(platform.known, platform.calendar, volume)
    if platform.connection is None:
        raise UsageError("--clients: there is no database, so no couples are known", hint="see 'clients import'")
    return simulating.booked(platform.connection, platform.known, platform.calendar, volume)


def _recorded(platform: _Platform, file: str) -> "Demand":
    from wedsync_ops.cli.ndjson import read_documents
    from wedsync_ops.planning.simulate import trace

    with open_input(file) as stream:
        return trace.read(read_documents(stream), platform.known.kinds, platform.calendar.zone)


def _run(platform: _Platform, wanted: Wanted, demand: "Demand") -> "Answer":
    from wedsync_ops.planning import simulating
    from wedsync_ops.planning.simulate.run import simulate

    return simulate(
        _setup(platform, wanted, demand),
        demand,
        simulating.chance_of(wanted.seed),
        guard=_guard(platform) if wanted.size.breakers else None,
        keep_starts=wanted.starts,
        progress=_progress(demand),
    )


def _guard(platform: _Platform) -> "Guard | None":
    """The platform's circuit breakers, where its settings let them open by rule."""
    from wedsync_ops.app import rehearsal_of

    providers = {name: kind.definition.provider for name, kind in platform.known.kinds.items()}
    return rehearsal_of(platform.settings, providers)


def _setup(platform: _Platform, wanted: Wanted, demand: "Demand") -> "Setup":
    from wedsync_ops.planning import simulating
    from wedsync_ops.planning.simulate import asked

    size = wanted.size
    known = platform.known if size.attempts is None else simulating.with_attempts(platform.known, size.attempts)
    setup = simulating.setup_of(platform.settings, platform.calendar, known)
    if size.slots is not None:
        setup = replace(setup, least=size.slots[0], most=size.slots[1])
    clock = asked.Clock(demand.since, platform.calendar.zone)
    faults = asked.faults(clock, *wanted.trouble)
    asked.check_names(faults, {name: kind.definition.provider for name, kind in known.kinds.items()})
    return replace(setup, workers=size.workers, cores=size.cores, faults=faults)


def _days(days: tuple[int | None, str | None, str | None, str | None], calendar: "Calendar") -> tuple[date, date]:
    """The first and the last day. Raises UsageError."""
    from wedsync_ops.clock import SystemClock
    from wedsync_ops.instants import to_datetime
    from wedsync_ops.planning.simulate import couples

    season, day, since, until = days
    if (since is None) != (until is None):
        raise UsageError("--from and --to are given together")
    if sum((season is not None, day is not None, since is not None)) > 1:
        raise UsageError("give one of --season, --day, and --from with --to")
    if season is not None:
        return couples.season_of(season, calendar)
    if day is not None:
        return (only := _day(day, "--day")), only
    if since is not None and until is not None:
        first, last = _day(since, "--from"), _day(until, "--to")
        if not 0 <= (last - first).days < _LONGEST_DAYS:
            raise UsageError(f"--to must be --from or at most {_LONGEST_DAYS} days after it")
        return first, last
    year = to_datetime(SystemClock().now(), calendar.zone).year
    return (busy := couples.peak_saturday(year, calendar)), busy


def _day(text: str, option: str) -> date:
    from wedsync_ops.instants import parse_date

    try:
        found = parse_date(text)
    except WedsyncError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.advice) from error
    if found.year < 1972 or found.year > 2200:
        raise UsageError(f"{option}: {text} is outside the years 1972 to 2200")
    return found


def _growth(text: str) -> float:
    try:
        growth = float(text)
    except ValueError:
        growth = 0.0
    if not 0.001 <= growth <= 10_000:
        raise UsageError(f"--compare growth={text}: write a number from 0.001 to 10000")
    return growth


def _whole(name: str, text: str, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= most:
        raise UsageError(f"--compare {name}={quoted(text)}: write a number from 1 to {most}")
    return number


def _progress(demand: "Demand") -> "Progress | None":
    """On a terminal, a line on standard error that says how far it is."""
    if not sys.stderr.isatty():
        return None
    length = max(1, demand.until - demand.since)

    def tell(now: int, jobs: int) -> None:
        percent = min(100, 100 * (now - demand.since) // length)
        sys.stderr.write(f"\r{percent:3} %  {jobs:,} jobs" + ("\n" if percent == 100 else ""))
        sys.stderr.flush()

    return tell


def _failed(verdict: dict[str, Any]) -> str:
    return f"the gate {verdict['gate']} is not kept to: {verdict['value']:g}, at most {verdict['limit']:g}"
