from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testing.handlers import all_of
from wedsync_ops.testing.harness import Harness


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """A platform whose handlers run in this process."""
    with Harness(tmp_path / "home") as made:
        yield all_of(made)


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[Harness]:
    """A platform whose handlers run in slots of their own."""
    with Harness(tmp_path / "home", mode="slots") as made:
        yield all_of(made)
