"""Receivers, a mailbox, a clock that stands at a Monday morning."""

from collections.abc import Iterator

import pytest

from tests.alerts.notify.telling import START, Incident, Mailbox
from tests.handlers.test_smtp import serving
from tests.jobs.receivers import Receiver, receiving
from wedsync_ops.db import Database
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def pager() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    made = Mailbox()
    with serving(made) as port:
        yield made, port


@pytest.fixture
def incident(database: Database, clock: FakeClock) -> Incident:
    return Incident(database, clock)
