"""Runs a worker in this process: its slots, its signals, and starting afresh when a thread could not be stopped."""

import logging
import os
import random
import signal
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace

from wedsync_ops.alerts.alerter import alerting
from wedsync_ops.app import App
from wedsync_ops.jobs.model import Options
from wedsync_ops.jobs.worker import End, Worker
from wedsync_ops.metrics.rollup import rolling
from wedsync_ops.planning.unplanned import unplanned
from wedsync_ops.scaling.autoscaler import autoscaling
from wedsync_ops.scaling.forecaster import forecasting
from wedsync_ops.scaling.start import slots_at_start
from wedsync_ops.scaling.store import forecasts

_LOG = logging.getLogger(__name__)
_STOPS = (signal.SIGTERM, signal.SIGINT)
_HEARD = (*_STOPS, signal.SIGUSR1)


def run_worker(app: App, options: Options, *, signals: bool = True) -> int:
    """Run a worker until it is drained or stopped; the exit code: 0, or 1 when jobs were broken off.

    With ``signals`` it listens to SIGTERM, SIGINT and SIGUSR1 (start nothing more), and may replace this process by a
    fresh one.
    """
    settings = app.settings
    if options.slots <= 0:
        cores = len(os.sched_getaffinity(0))
        bounds = (settings.min_slots, settings.max_slots) if settings.autoscale and not options.drain else None
        least, most = settings.min_slots, settings.max_slots
        slots = slots_at_start(app.calendar, app.clock.now(), cores, least=least, most=most)
        options = replace(options, slots=slots, bounds=bounds)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    worker = Worker(app.database, app.clock, app.rules, options, random.Random())  # noqa: S311 - jitter, no secret
    if signals:
        for number in _STOPS:
            signal.signal(number, worker.stop)
        signal.signal(signal.SIGUSR1, worker.quiet)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
    with ExitStack() as beside:
        beside.enter_context(rolling(settings, app.clock))
        for aside in (_watching, _telling, _foretelling, _sizing, _rescuing):
            beside.enter_context(aside(app, options))
        end = worker.run()
    if end is End.RECYCLE and signals:
        _LOG.warning("a thread went on past its time limit; the worker starts afresh")
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # a stop that comes now waits for the fresh process
        app.close()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line again
    return 1 if end is End.ABORTED else 0


def _watching(app: App, options: Options) -> AbstractContextManager[None]:
    """Evaluate alerts beside the worker; one that only drains leaves that to others, or to ``maintenance``."""
    return nullcontext() if options.drain else alerting(app.settings, app.clock, app.rules)


def _foretelling(app: App, options: Options) -> AbstractContextManager[None]:
    """Keep the forecast fresh beside the worker; one that only drains leaves that to others, or to ``maintenance``."""
    return nullcontext() if options.drain else forecasting(app.settings, app.clock, app.rules, unplanned)


def _telling(app: App, options: Options) -> AbstractContextManager[None]:
    """Tell people of alerts beside the worker, where that is configured; one that only drains leaves it to others."""
    if app.settings.notify is None or options.drain:
        return nullcontext()
    from wedsync_ops.alerts.notifying import notifying  # with HTTP and mail behind it; many workers never need it

    return notifying(app.settings, app.site, app.clock)


def _sizing(app: App, options: Options) -> AbstractContextManager[None]:
    """Decide on the number of slots beside a worker that is sized."""
    return autoscaling(app.settings, app.clock, app.rules, forecasts.expected) if options.is_sized else nullcontext()


def _rescuing(app: App, options: Options) -> AbstractContextManager[None]:
    """Look after emergencies beside the worker; one that only drains leaves that to others, or to ``maintenance``."""
    if options.drain or not app.settings.emergencies_every_s:
        return nullcontext()
    from wedsync_ops.emergencies.watcher import watching

    return watching(app.desk(), app.settings)
