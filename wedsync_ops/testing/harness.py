"""The platform for tests: a real database in a folder of the test's own, a clock that the test sets, no sleeping.

    with Harness(tmp_path) as wedsync:
        wedsync.register("modules.yaml")
        wedsync.enqueue("playlist", {"songs": 5}, {"client_data": {"email": "ann@example.org"}})
        wedsync.drain(until="3d")

Requests, due times, priorities, the claim and the finish are production's own code. Nothing is global: two harnesses,
in one process or in several, know nothing of each other.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import count as counting
from pathlib import Path
from typing import Any, Self, Unpack

from wedsync_ops import codec
from wedsync_ops.app import App, open_app
from wedsync_ops.errors import InvalidDefinitions, InvalidTime, SettingError, UnknownJob, WedsyncError, quoted
from wedsync_ops.handlers.contract import Handler
from wedsync_ops.instants import MINUTE, iso
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.model import Request, Result, State
from wedsync_ops.jobs.prepare import prepare
from wedsync_ops.jobs.run import one_line
from wedsync_ops.jobs.store import view
from wedsync_ops.modules.actions import read_file, register, shipped_file
from wedsync_ops.modules.reading import near
from wedsync_ops.settings import load, names
from wedsync_ops.testing import asserting
from wedsync_ops.testing.attempts import Performed, Try, carried_out
from wedsync_ops.testing.clock import FakeClock, Moment, Span, instant_of, microseconds, shown
from wedsync_ops.testing.draining import Drained, Draining, Mode
from wedsync_ops.testing.jobs import Expected, Job, job_of
from wedsync_ops.testing.outbox import Outbox

CONTEXT: Mapping[str, Any] = {"client_id": "client-1", "supplier_id": "supplier-1", "journey_instance_id": "journey-1"}
"""What every context needs, for tests that do not care."""
_DEFAULTS: Mapping[str, Any] = {"durability": "normal", "link_secret": "5f" * 32}
Source = Path | str | bytes | Mapping[str, Any]
"""Module types: a file by its path, YAML as bytes, or one definition, whose ``handler`` may be the function itself."""


class Harness:
    """One platform. ``mode`` inline runs handlers in this process; slots runs them as a worker does, within limits.

    ``settings`` are the platform's (``smtp_url``, ``timezone``, …); nothing is read from the environment. ``seed``
    spreads the retries, the same in every run. Raises SettingError for a setting that is wrong.
    """

    def __init__(
        self,
        home: Path,
        *,
        clock: FakeClock | None = None,
        mode: Mode = "inline",
        slots: int = 1,
        seed: int = 1,
        **settings: Any,
    ) -> None:
        if mode not in ("inline", "slots"):
            raise SettingError(f"the mode is inline or slots, not {mode!r}")
        if settings.get("webhook_url") is not None:
            raise SettingError("a test's platform posts to no webhook", hint="look at 'jobs', which have the results")
        for name in settings.keys() - names():
            raise SettingError(f"there is no setting {quoted(name)}{near(name, names())}")
        self.clock = clock or FakeClock()
        self.app: App = open_app(load({**_DEFAULTS, **settings, "home": home}, environment={}), self.clock)
        self.outbox = Outbox(self.app.settings.outbox)
        self._draining = Draining(self.app, self.clock, self.outbox, mode=mode, slots=slots, seed=seed)
        self._performed = counting(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the slots and close the database. The home stays as it is."""
        self._draining.close()
        self.app.close()

    @property
    def queue(self) -> actions.Queue:
        """The queue as a service has it, for ``wedsync_ops.jobs.actions``."""
        return self.app.queue()

    def register(self, *sources: Source) -> list[str]:
        """Register module types, as ``wedsync-ops register`` does; without a source those shipped. Their ids.

        Raises InvalidDefinitions with every problem, InputFileError.
        """
        names: list[str] = []
        for source in sources or (shipped_file(),):
            raw, name = _read(source)
            registration = register(self.app.database, raw, name, now=self.clock.now())
            if registration.problems:
                said = [f"{name}:{one.line}: {one.path}: {one.message}" for one in registration.problems]
                raise InvalidDefinitions("\n".join(said), details=said)
            names += [one.module.module_id for one in registration.registered]
        return names

    def enqueue(
        self,
        module_type: str,
        config: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        at: Moment | None = None,
        delay: float | Span | None = None,
        replace: bool = False,
        **options: str | None,
    ) -> Job:
        """Queue one job, or answer the one that its key names. Raises the WedsyncError that refuses it.

        What the context lacks of ``CONTEXT`` is added. ``delay`` is minutes or a length such as ``3d``; ``options`` are
        priority, key, deadline and expires. With ``replace`` a waiting job with the key becomes this one.
        """
        unknown = options.keys() - {"priority", "key", "deadline", "expires"}
        if unknown:
            raise TypeError(f"enqueue has no option {min(unknown)!r}")
        minutes = microseconds(delay) / MINUTE if isinstance(delay, str | timedelta) else delay
        due = at if at is None or isinstance(at, str) else iso(instant_of(at))
        queued = actions.enqueue(
            self.queue,
            Request(module_type, _json(config), _context(context), at=due, delay=minutes, replace=replace, **options),
        )
        return self.job(queued.job_id or 0)

    def drain(self, until: Moment | Span | None = None, *, raising: bool = True) -> Drained:
        """Run everything that is due up to a moment, by default now, in order, and leave the clock there.

        ``until`` is a moment or a length from now. The clock goes from due time to due time, so that reminders and
        retries run when they should. A failure that no handler asked for ends the drain and is raised, inline as the
        handler's own exception, from a slot as HandlerFailed; with ``raising=False`` it becomes the job's outcome only.
        """
        __tracebackhide__ = True
        return self._draining.run(self._instant(until), raising=raising)

    def advance(self, span: Span) -> None:
        """Let time pass while no worker runs; what fell due meanwhile runs in the next drain."""
        self.clock.advance(span)

    def perform(
        self,
        target: Handler | str,
        config: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        attempt: int = 1,
        key: str | None = None,
        suppressed: str | None = None,
    ) -> Performed:
        """Run one handler once, in this process and without a queue, and answer what came of it.

        ``target`` is a handler, its name, or a module type, whose config and context are checked as when a job is
        queued. Raises the WedsyncError that refuses them; whatever the handler raises is part of the answer.
        """
        number = next(self._performed)
        given = Try(number, attempt, key or f"perform-{number}", suppressed)
        own_config, own_context = _json(config), _context(context)
        rules = self.app.rules()
        if isinstance(target, str) and target in rules.registry.pointers:
            prepared = prepare(rules, Request(target, own_config, own_context, key=key))
            own_config = codec.load_object(prepared.config, "the config")
            target = prepared.module.definition.handler
        done = carried_out(target, own_config, own_context, given=given, site=self.app.site, clock=self.clock)
        self.outbox.note(given.key)
        if not done.is_ok:
            return done
        try:
            for row in done.queued:
                prepare(rules, Request(**{"context": own_context, **row}))
        except WedsyncError as error:
            refusal = one_line(f"a further job was refused: {error}")
            return replace(done, result=Result.ERROR, error=refusal, raised=error, data=None)
        return done

    def job(self, job_id: int) -> Job:
        """One job as it is now, with its executions. Raises UnknownJob."""
        with self.app.database.reading() as connection:
            found = view.show_job(connection, job_id)
        if found is None:
            raise UnknownJob(f"there is no job {job_id}")
        return job_of(found)

    def jobs(self, *states: State | str, module_type: str | None = None) -> list[Job]:
        """Every job, the oldest first; those of some states, or of one module type."""
        wanted = view.Filter(states=[State(state) for state in states], module=module_type, limit=0)
        with self.app.database.reading() as connection:
            found = [view.show_job(connection, one.job_id) for one in view.list_jobs(connection, wanted)]
        return [job_of(one) for one in reversed(found) if one is not None]

    def all_queued(self, module_type: str | None = None, **expected: Unpack[Expected]) -> list[Job]:
        """The jobs that have yet to run (scheduled, available, retryable), the first due first."""
        now = self.clock.now()
        fitting = asserting.fitting(self.jobs(), module_type, expected, now)
        return sorted(fitting, key=lambda job: (job.due_at, job.job_id))

    def assert_queued(self, module_type: str, *, count: int | None = None, **expected: Unpack[Expected]) -> list[Job]:
        """Hold that at least one job like that has yet to run, or exactly ``count``; those jobs.

        ``config`` and ``context`` name only what counts, at any depth. Raises AssertionError that says what is queued.
        """
        __tracebackhide__ = True
        return asserting.expect(self.jobs(), module_type, expected, count=count, now=self.clock.now())

    def refute_queued(self, module_type: str | None = None, **expected: Unpack[Expected]) -> None:
        """Hold that no job like that has yet to run. Raises AssertionError that names those that have."""
        __tracebackhide__ = True
        asserting.refute(self.jobs(), module_type, expected, now=self.clock.now())

    def _instant(self, until: Moment | Span | None) -> int:
        now = self.clock.now()
        if until is None:
            return now
        if isinstance(until, timedelta) or (isinstance(until, str) and not until[:4].isdigit()):
            return now + microseconds(until)
        instant = instant_of(until)
        if instant < now:
            raise InvalidTime(f"{shown(instant)} has passed: it is {shown(now)}")
        return instant


def _read(source: Source) -> tuple[bytes, str]:
    """A source's YAML, and what it is called in messages."""
    if isinstance(source, bytes):
        return source, "the definitions"
    if isinstance(source, Mapping):
        definition = {**source, "handler": _name_of(source.get("handler"))}
        return json.dumps({"schema_version": 1, "modules": [definition]}).encode(), "the definition"
    return read_file(Path(source)), str(source)


def _name_of(handler: Any) -> Any:
    """The name under which a worker finds a function, wherever it runs. Raises InvalidDefinitions when it has none."""
    if not callable(handler):
        return handler
    name = getattr(handler, "__qualname__", "<locals>")
    if "<" in name:
        raise InvalidDefinitions(
            f"the handler {name} cannot be found by name", hint="define it with def, at the top level of a module"
        )
    return f"{handler.__module__}:{name}"


def _json(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy as JSON gives it back, so that a test cannot rely on what a queue would not keep."""
    return codec.load_object(codec.dumps_checked(dict(value or {}), "the config"), "the config")


def _context(value: Mapping[str, Any] | None) -> dict[str, Any]:
    return _json({**CONTEXT, **(value or {})})
