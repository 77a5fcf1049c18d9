"""The how-to on module types, done as it stands there: a package installed for real, and an eighth type at work."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "add-a-module-type.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TESTS = dict(FENCE.findall((ROOT / "docs" / "how-to" / "test-your-modules.md").read_text()))
SHELL = [block for language, block in FENCE.findall(PAGE) if language == "sh"]


def files() -> dict[str, str]:
    """The package as the page shows it: the names that stand before its blocks, in their order."""
    blocks = [block for language, block in FENCE.findall(PAGE) if language != "sh"]
    prose = FENCE.sub("", PAGE)
    names = list(dict.fromkeys(re.findall(r"`(pyproject\.toml|wedsync_playlist/[\w./]+)`", prose)))
    return dict(zip(names, blocks, strict=True))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh virtual environment with wedsync-ops installed; pip and dependencies are read from this one's folder."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEDSYNC_OPS_", "PIP_"))}
    made = {
        **kept,
        "PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{kept['PATH']}",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "VIRTUAL_ENV": str(folder / "venv"),
        "WEDSYNC_OPS_HOME": str(folder / "home"),
        # The commands are the page's own; that they find no network is this test's doing.
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_IGNORE_INSTALLED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    shell(f"python -m pip install --quiet '{ROOT}'", made, folder)
    return made


def shell(script: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, (script, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def asked(command: str, environment: dict[str, str], folder: Path) -> Any:
    return json.loads(shell(f"wedsync-ops {command} --json", environment, folder))


def test_the_package_takes_some_forty_lines() -> None:
    assert set(files()) == {
        "pyproject.toml",
        "wedsync_playlist/handler.py",
        "wedsync_playlist/playlist.yaml",
        "wedsync_playlist/templates/playlist/subject.txt",
        "wedsync_playlist/templates/playlist/body.html",
    }
    assert sum(bool(line.strip()) for text in files().values() for line in text.splitlines()) <= 44


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_the_how_to_shows_works(environment: dict[str, str], tmp_path: Path) -> None:
    for name, text in files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shell("wedsync-ops register", environment, tmp_path)
    for script in SHELL:
        shell(script, environment, tmp_path)
    program = "import wedsync_ops, wedsync_playlist as own; print(wedsync_ops.__path__[0], *own.__path__)"
    for where in shell(f"cd /; python -c '{program}'", environment, tmp_path).split():
        assert where.startswith(environment["VIRTUAL_ENV"])
    listed = asked("modules list --all", environment, tmp_path)["modules"]
    assert len(listed) == 8
    assert "playlist" in [one["id"] for one in listed]
    job = asked("jobs show 1", environment, tmp_path)["job"]
    assert (job["module_type"], job["state"], job["result_data"]["songs_asked"]) == ("playlist", "completed", True)
    (letter,) = Path(environment["WEDSYNC_OPS_HOME"], "outbox").rglob("*.eml")
    message = BytesParser(policy=policy.strict).parsebytes(letter.read_bytes())
    assert message["Subject"] == "Your 5 songs"
    assert message["Message-ID"] == job["result_data"]["message_id"]
    assert "ann@example.org" in message["To"]
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        assert "Dear Ann and Bo, which 5 songs must the band play?" in " ".join(part.get_content().split())
    shown = (tmp_path / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(shown + TESTS["toml"])
    (tmp_path / "test_playlist.py").write_text(TESTS["python"])
    assert "4 passed" in shell("python -m pytest -q -W error", environment, tmp_path)
