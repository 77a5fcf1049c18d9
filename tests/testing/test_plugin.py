"""The pytest plugin in projects of their own: the how-to's example, and projects that do not use it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.test_third_party import files

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "test-your-modules.md").read_text()
BLOCKS = dict(re.findall(r"^```(toml|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


def pretend_installed(folder: Path, name: str, project: str) -> None:
    """What an installer writes of a package's entry points, so that they are found."""
    groups = tomllib.loads(project)["project"]["entry-points"]
    info = folder / f"{name}-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{point} = {value}\n" for point, value in points.items())
        for group, points in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project, with wedsync-ops as if it were installed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "project").mkdir()
    pretend_installed(tmp_path / "site", "wedsync_ops", (ROOT / "pyproject.toml").read_text())
    return tmp_path / "project"


def run(project: Path, *options: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEDSYNC_OPS_", "PYTEST_"))}
    path = os.pathsep.join(str(each) for each in (project, project.parent / "site", ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=project,
        env={**kept, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def outcomes(output: str) -> dict[str, int]:
    last = output.strip().splitlines()[-1]
    return {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?)", last)}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-n", "2"), ("-p", "wedsync_ops.testing.plugin")])
def test_the_example_of_the_how_to_works_as_it_stands(project: Path, options: tuple[str, ...]) -> None:
    for name, text in files().items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    pretend_installed(project.parent / "site", "wedsync_playlist", files()["pyproject.toml"])
    (project / "pyproject.toml").write_text(files()["pyproject.toml"] + BLOCKS["toml"])
    (project / "test_playlist.py").write_text(BLOCKS["python"])
    assert outcomes(run(project, "--strict-markers", "--strict-config", *options)) == {"passed": 4}


def test_the_example_takes_some_thirty_lines() -> None:
    assert sum(bool(line.strip()) for line in BLOCKS["python"].splitlines()) <= 31


def test_who_does_not_use_it_does_not_pay_for_it(project: Path) -> None:
    (project / "test_own.py").write_text(
        "import sys\n"
        "def test_nothing_is_imported():\n"
        "    loaded = [name for name in sys.modules if name.startswith('wedsync_ops')]\n"
        "    assert sorted(loaded) == ['wedsync_ops', 'wedsync_ops.testing', 'wedsync_ops.testing.plugin']\n"
        "    assert 'sqlalchemy' not in sys.modules\n"
    )
    assert outcomes(run(project, "-W", "error")) == {"passed": 1}


def test_it_can_be_named_in_a_conftest_too(project: Path) -> None:
    (project / "conftest.py").write_text('pytest_plugins = ["wedsync_ops.testing.plugin"]\n')
    (project / "test_own.py").write_text(
        "def test_the_clock(wedsync, wedsync_clock):\n    assert wedsync.clock is wedsync_clock\n"
    )
    assert outcomes(run(project)) == {"passed": 1}
    assert outcomes(run(project, "-p", "no:wedsync_ops.testing.plugin")) == {"error": 1}


MARKED = """
import pytest
from datetime import datetime, timezone

def handle(config, context, run):
    raise LookupError("the song is not known")

OWN = {"id": "own", "display_name": "Own", "category": "test", "handler": handle,
       "config_schema": {"type": "object", "additionalProperties": False}}
pytestmark = pytest.mark.wedsync(timezone="Europe/London", start="2027-06-19T09:00:00Z")

@pytest.mark.wedsync(modules=[OWN])
def test_a_definition(wedsync):
    assert wedsync.enqueue("own").module_type == "own"
    assert wedsync.clock.moment == datetime(2027, 6, 19, 9, tzinfo=timezone.utc)
    assert wedsync.app.settings.timezone == "Europe/London"

@pytest.mark.wedsync(modules="other/own.yaml", start="2027-01-01T00:00:00Z")
def test_a_file_beside_the_test(wedsync):
    assert wedsync.enqueue("filed").module_type == "filed"
    assert wedsync.clock.moment.month == 1

@pytest.mark.wedsync(modules=[OWN])
def test_a_handler_that_fails(wedsync):
    wedsync.enqueue("own")
    wedsync.drain()

@pytest.mark.wedsync(modules=[OWN])
def test_what_is_not_queued(wedsync):
    wedsync.assert_queued("own")
"""


def test_the_marker_chooses_what_a_test_has(project: Path) -> None:
    (project / "other").mkdir()
    (project / "other" / "own.yaml").write_text(
        "schema_version: 1\nmodules:\n  - id: filed\n    display_name: Filed\n    category: test\n"
        "    handler: test_marked:handle\n    config_schema: {type: object, additionalProperties: false}\n"
    )
    (project / "test_marked.py").write_text(MARKED)
    output = run(project, "--strict-markers")
    assert outcomes(output) == {"failed": 2, "passed": 2}
    assert 'raise LookupError("the song is not known")' in output
    assert "in attempt 1 at job 1, by test_marked:handle" in output
    assert "AssertionError: no job of own is queued" in output
    assert "asserting.py" not in output
    assert "draining.py" not in output
