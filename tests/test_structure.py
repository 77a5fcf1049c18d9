"""The house keeps its shape: small files, imports that point upstream, a package that holds what it needs."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from wedsync_ops import migrate

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "wedsync_ops"
MAX_FILE, MAX_FUNCTION = 400, 50
TOP = {"wedsync_ops", "tests", "docs", "modules.yaml", "pyproject.toml", "README.md", "requirements.lock"}
TOP |= {"CHANGELOG.md", "LICENSE"}
MADE = {"__pycache__", "build", "dist"}


def sources() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE} == {}


def long_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION:
                yield f"{path.relative_to(ROOT)}:{node.name}", length


def test_no_function_is_longer_than_50_lines() -> None:
    assert dict(found for path in sources() for found in long_functions(path)) == {}


def test_the_packages_of_the_rooms_are_empty() -> None:
    inits = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    assert [str(path.relative_to(ROOT)) for path in inits if path.read_text().strip()] == []


def test_the_top_level_holds_nothing_else() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - MADE
    assert {name for name in found if not name.endswith(".egg-info")} == TOP


def contracts() -> list[dict[str, list[str]]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: list[dict[str, list[str]]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return found


def test_every_room_has_its_layer() -> None:
    layers = {name.strip(" ()") for layer in contracts()[0]["layers"] for name in layer.split("|")}
    rooms = {
        f"wedsync_ops.{path.stem}"
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").exists())
    }
    assert rooms - layers == {"wedsync_ops.__init__"}


@pytest.mark.slow
def test_imports_point_upstream_and_decisions_are_pure() -> None:
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(PACKAGE / "migrations"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [migrate.HEAD]
    assert {revision.revision for revision in script.walk_revisions()} == set(migrate.KNOWN)


@pytest.mark.slow
def test_the_wheel_holds_what_the_package_reads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    data = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in data} <= held
    assert {"wedsync_ops/modules.yaml", "wedsync_ops/py.typed"} <= held
    assert not [name for name in held if not name.startswith("wedsync_ops")]


def test_help_imports_no_database() -> None:
    program = (
        "import sys; from wedsync_ops.cli.main import run; run(['--help']);"
        "print([name for name in ('sqlalchemy', 'pydantic', 'rich', 'alembic') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"
