"""The pytest plugin: the fixtures ``wedsync`` and ``wedsync_clock``, the marker ``wedsync``.

Every pytest of an environment that has wedsync-ops imports this, so it imports nothing but pytest until a test asks.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wedsync_ops.testing.clock import FakeClock
    from wedsync_ops.testing.harness import Harness

_MARKER = (
    "wedsync(modules=[], start=None, **options): module types to register beside the shipped ones, the moment at which"
    " the clock stands, and options and settings of the Harness, such as mode='slots'"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project name its module types once."""
    parser.addini("wedsync_modules", "files of module types that the fixture wedsync registers", type="paths")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def wedsync_clock(request: pytest.FixtureRequest) -> "FakeClock":
    """The test's clock: a Wednesday noon, or ``start`` of the marker."""
    from wedsync_ops.testing.clock import START, FakeClock

    start = _options(request).get("start")
    return FakeClock(START if start is None else start)


@pytest.fixture
def wedsync(
    request: pytest.FixtureRequest, wedsync_clock: "FakeClock", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Harness]":
    """A platform of the test's own, on ``wedsync_clock``, with the shipped module types and the project's."""
    from wedsync_ops.testing.harness import Harness

    options = _options(request)
    options.pop("start", None)
    named = options.pop("modules", ())
    modules = [named] if isinstance(named, str | bytes | dict | Path) else named
    with Harness(tmp_path_factory.mktemp("wedsync"), clock=wedsync_clock, **options) as platform:
        platform.register()
        for source in (*request.config.getini("wedsync_modules"), *modules):
            platform.register(_beside(request, source))
        yield platform


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the markers say, the nearest one last."""
    options: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("wedsync"))):
        options.update(mark.kwargs)
    return options


def _beside(request: pytest.FixtureRequest, source: Any) -> Any:
    """A file that a marker names is looked for beside the test."""
    return request.path.parent / source if isinstance(source, str) else source
