"""The call sheet: what the platform will not do in time, for whom, and how somebody does it instead."""

import getpass
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wedsync_ops.errors import InvalidInput, NotFound, quoted
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.store import control
from wedsync_ops.planning import frame
from wedsync_ops.planning.by_hand import in_words
from wedsync_ops.planning.preparing import WeddingReady, readiness
from wedsync_ops.planning.readiness import Obligation
from wedsync_ops.planning.store import calls, plans

_KEY = re.compile(r"job:([0-9]{1,18})|([^/]+)/([^/]+)/(.+)", re.ASCII)
_AT_ONCE = 200
LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True)
class Call:
    """Something to do by hand: for which wedding, what was promised, and what to do."""

    wedding: WeddingReady
    obligation: Obligation
    what: str

    @property
    def key(self) -> str:
        """What names it when it is done."""
        return self.obligation.key(self.wedding.coming.known.client.client_id)


def sheet(queue: Queue, *, within_days: int, supplier_id: str | None = None) -> Iterator[Call]:
    """Everything that asks for hands, the soonest wedding first."""
    with queue.database.reading() as connection:
        found = frame.load(connection, queue.rules)
    wanted = (
        (one, each)
        for one in readiness(queue, within_days=within_days, supplier_id=supplier_id)
        for each in one.ready.obligations
        if each.asks_for_hands
    )
    while page := list(islice(wanted, _AT_ONCE)):
        ids = [each.job_id for _, each in page if each.job_id is not None]
        with queue.database.reading() as connection:
            configs = calls.configs(connection, ids)
        for one, each in page:
            client = one.coming.known.client
            config = configs.get(each.job_id or 0) or _planned(found, each)
            yield Call(one, each, in_words(each.module_type, config, client.email, client.phone))


def done(queue: Queue, key: str, note: str | None = None) -> Sequence[int]:
    """Note that somebody did what was promised; a job that still waits for it is cancelled. Returns those that were.

    Raises InvalidInput for what is no key, NotFound for one of nothing.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise InvalidInput(f"{quoted(key)} is not a key of the call sheet", hint="see 'wedsync-ops weddings calls'")
    now = queue.clock.now()
    with queue.database.transaction() as connection:
        if match[1] is not None:
            job_id: int | None = int(match[1])
            client_id = calls.client_of(connection, int(match[1]))
        else:
            client_id = match[4]
            known = plans.known(connection, [client_id])[client_id].get((match[2], match[3]))
            job_id = None if known is None else known.job_id
            client_id = client_id if known is not None else None
        if client_id is None:
            raise NotFound(f"nothing was promised under {quoted(key)}", hint="see 'wedsync-ops weddings calls'")
        cancelled = [] if job_id is None else sorted(control.cancel(connection, [job_id], now))
        why = None if note is None else note[:LONGEST_NOTE]
        calls.record(connection, key, client_id, by=getpass.getuser(), note=why, now=now)
        wakeup.notify(connection)
    return cancelled


def _planned(found: frame.Frame, each: Obligation) -> Mapping[str, Any]:
    """The config of a step that has no job, as the journey in force has it."""
    if each.journey_id is None:
        return {}
    for version in found.current():
        if version.journey.id == each.journey_id:
            step = version.step(each.step_id or "")
            return {} if step is None else step.config
    return {}
