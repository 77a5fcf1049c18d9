"""``simulate``: a day or a season, replayed on the platform's own decisions."""

from typing import Annotated

import typer

from wedsync_ops.cli.inputs import Json, finite
from wedsync_ops.cli.lazy import single

app = single()
_LATEST_YEAR = 2200
_MOST = 100_000_000
_Season = Annotated[
    int | None, typer.Option(metavar="YEAR", min=1972, max=_LATEST_YEAR, help="The whole peak season of a year.")
]
_Day = Annotated[
    str | None, typer.Option(metavar="DATE", help="One day. Default: a Saturday in the middle of the peak season.")
]
_From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="The first day.")]
_To = Annotated[str | None, typer.Option("--to", metavar="DATE", help="The last day.")]
_Growth = Annotated[
    float, typer.Option(metavar="TIMES", min=0.001, max=10_000, callback=finite, help="So many times the jobs.")
]
_Jobs = Annotated[int | None, typer.Option(min=1, max=_MOST, help="About so many jobs in that time, before growth.")]
_Weddings = Annotated[int | None, typer.Option(min=1, max=_MOST, help="The jobs that so many weddings a year bring.")]
_Clients = Annotated[bool, typer.Option("--clients", help="The couples that were imported.")]
_Spread = Annotated[
    float | None,
    typer.Option(metavar="MINUTES", min=0, max=1440, callback=finite, help="Steps are spread over; 120, --clients: 0."),
]
_Trace = Annotated[str | None, typer.Option(metavar="FILE|-", help="Recorded jobs instead, one a line.")]
_Slots = Annotated[str | None, typer.Option(metavar="N|A..B", help="Slots of a worker: so many, or scaled within.")]
_Workers = Annotated[int, typer.Option(min=1, max=1_000, help="Workers.")]
_Cores = Annotated[int, typer.Option(min=1, max=1_024, help="Cores of each, which slots at start go by.")]
_Attempts = Annotated[
    int | None, typer.Option(min=1, max=50, help="Attempts of every job, instead of the definition's.")
]
_Outage = Annotated[
    list[str], typer.Option(metavar="NAME@START+MINUTES", help="A module type or a provider is down; may be repeated.")
]
_Slow = Annotated[
    list[str], typer.Option(metavar="NAME@START+MINUTESxTIMES", help="It takes so many times as long; the same.")
]
_Lose = Annotated[
    list[str], typer.Option(metavar="@TIME[+MINUTES]", help="A worker dies; another comes 10 s, or so long, later.")
]
_Seed = Annotated[int, typer.Option(min=0, help="Chance is the same for the same seed.")]
_Compare = Annotated[
    str | None,
    typer.Option(metavar="NAME=VALUE,…", help="Beside it with other slots, workers, growth, cores, retry-attempts."),
]
_Late = Annotated[
    list[str], typer.Option(metavar="wedding_week=N|all=N", help="Exit 1 when more deadlines are missed.")
]
_Wait = Annotated[
    str | None, typer.Option(metavar="LENGTH", help="Exit 1 when the p99 of critical waits is longer: 1s, 500ms.")
]
_Flaps = Annotated[
    int | None, typer.Option(min=0, help="Exit 1 when slots are taken back within 10 minutes more often.")
]
_NoBreakers = Annotated[bool, typer.Option("--no-breakers", help="Without circuit breakers, to compare.")]
_Starts = Annotated[bool, typer.Option("--starts", help="List every execution in the JSON document.")]


@app.command()
def simulate(
    context: typer.Context,
    *,
    season: _Season = None,
    day: _Day = None,
    since: _From = None,
    until: _To = None,
    growth: _Growth = 1.0,
    jobs: _Jobs = None,
    weddings: _Weddings = None,
    clients: _Clients = False,
    spread: _Spread = None,
    trace: _Trace = None,
    slots: _Slots = None,
    workers: _Workers = 1,
    cores: _Cores = 2,
    retry_attempts: _Attempts = None,
    outage: _Outage = [],  # noqa: B006 - Typer wants a list
    slow: _Slow = [],  # noqa: B006
    lose_worker: _Lose = [],  # noqa: B006
    seed: _Seed = 1,
    compare: _Compare = None,
    fail_if_late: _Late = [],  # noqa: B006
    max_critical_wait: _Wait = None,
    max_flaps: _Flaps = None,
    no_breakers: _NoBreakers = False,
    starts: _Starts = False,
    json: Json = False,
) -> None:
    """Try a day or a season before it comes: what would be late, with how many slots, and which alerts would open.

    Nothing is written. Module types, durations and rules are the platform's where there is one, else the shipped ones.
    """
    from wedsync_ops.cli import simulated
    from wedsync_ops.planning.simulate import asked

    load = simulated.Load((season, day, since, until), growth, jobs, weddings, clients, spread, trace)
    size = simulated.Size(
        None if slots is None else asked.slots(slots), workers, cores, retry_attempts, not no_breakers
    )
    wanted = simulated.Wanted(load.checked(), size, (outage, slow, lose_worker), seed, starts)
    gates = asked.gates(fail_if_late, max_critical_wait, max_flaps)
    others = None if compare is None else simulated.compared(wanted, compare)
    simulated.show(context, wanted, others, compare, gates, json=json)
