"""``simulate``: a day or a season, replayed on the platform's own decisions."""

from typing import Annotated

import typer

from wedsync_ops.cli.inputs import Json, finite
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import UsageError

app = single()
_LATEST_YEAR = 2200


@app.command()
def simulate(
    context: typer.Context,
    *,
    season: Annotated[
        int | None, typer.Option(metavar="YEAR", min=1970, max=_LATEST_YEAR, help="The whole peak season of a year.")
    ] = None,
    day: Annotated[
        str | None, typer.Option(metavar="DATE", help="One day. Default: a Saturday in the middle of the peak season.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="DATE", help="The first day.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The last day.")] = None,
    growth: Annotated[
        float, typer.Option(metavar="TIMES", min=0.001, max=10_000, callback=finite, help="So many times the jobs.")
    ] = 1.0,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=100_000_000, help="About so many jobs in that time, before growth.")
    ] = None,
    weddings: Annotated[
        int | None, typer.Option(min=1, max=100_000_000, help="The jobs that so many weddings a year bring.")
    ] = None,
    clients: Annotated[bool, typer.Option("--clients", help="The couples that were imported.")] = False,
    spread: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES", min=0, max=1440, callback=finite, help="Steps are spread over; 120, with --clients 0."
        ),
    ] = None,
    trace: Annotated[str | None, typer.Option(metavar="FILE|-", help="Recorded jobs instead, one a line.")] = None,
    slots: Annotated[
        str | None, typer.Option(metavar="N|A..B", help="Slots of a worker: so many, or scaled within.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=1_000, help="Workers.")] = 1,
    cores: Annotated[int, typer.Option(min=1, max=1_024, help="Cores of each, which slots at start go by.")] = 2,
    retry_attempts: Annotated[
        int | None, typer.Option(min=1, max=50, help="Attempts of every job, instead of the definition's.")
    ] = None,
    outage: Annotated[
        list[str], typer.Option(metavar="NAME@START+MINUTES", help="A module type or a provider is down.")
    ] = [],  # noqa: B006 - Typer wants a list
    slow: Annotated[
        list[str], typer.Option(metavar="NAME@START+MINUTESxTIMES", help="It takes so many times as long.")
    ] = [],  # noqa: B006
    lose_worker: Annotated[
        list[str],
        typer.Option(metavar="@TIME[+MINUTES]", help="A worker dies; another comes 10 s, or so long, later."),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=0, help="Chance is the same for the same seed.")] = 1,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE,…", help="Beside it with other slots, workers, growth, cores, retry-attempts."
        ),
    ] = None,
    fail_if_late: Annotated[
        list[str], typer.Option(metavar="wedding_week=N|all=N", help="Exit 1 when more deadlines are missed.")
    ] = [],  # noqa: B006
    max_critical_wait: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="Exit 1 when the p99 of critical waits is longer: 1s, 500ms.")
    ] = None,
    max_flaps: Annotated[
        int | None, typer.Option(min=0, help="Exit 1 when slots are taken back within 10 minutes more often.")
    ] = None,
    starts: Annotated[bool, typer.Option("--starts", help="List every execution in the JSON document.")] = False,
    json: Json = False,
) -> None:
    """Try a day or a season before it comes: what would be late, with how many slots, and which alerts would open.

    Nothing is written. Module types, durations and rules are the platform's where there is one, else the shipped ones.
    """
    from wedsync_ops.cli import simulated
    from wedsync_ops.planning.simulate import asked

    days = (season, day, since, until)
    if trace is not None and any(one is not None for one in (*days, jobs, weddings, spread)):
        raise UsageError("--trace has its own jobs and times", hint="leave out days, --jobs, --weddings, --spread")
    if trace is not None and growth != 1:
        raise UsageError("--trace holds the jobs that there are: --growth has nothing to multiply")
    if sum((jobs is not None, weddings is not None, clients, trace is not None)) > 1:
        raise UsageError("give one of --jobs, --weddings, --clients and --trace")
    wanted = simulated.Wanted(
        days=days,
        growth=growth,
        jobs=jobs,
        weddings=weddings,
        clients=clients,
        spread_s=60 * ((0.0 if clients else 120.0) if spread is None else spread),
        trace=trace,
        slots=None if slots is None else asked.slots(slots),
        workers=workers,
        cores=cores,
        attempts=retry_attempts,
        outages=outage,
        slow=slow,
        losses=lose_worker,
        seed=seed,
        starts=starts,
    )
    gates = asked.gates(fail_if_late, max_critical_wait, max_flaps)
    others = None if compare is None else simulated.compared(wanted, compare)
    simulated.show(context, wanted, others, compare, gates, json=json)
