"""The entry: help, version, completion, global options, and how errors end."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Cli, child
from wedsync_ops import __version__, errors
from wedsync_ops.cli import exits, lazy, main
from wedsync_ops.cli.exits import code_of

HEAVY = ("sqlalchemy", "pydantic", "rich", "alembic", "yaml", "orjson")


def _imports(home: Path, *arguments: str, **environment: str) -> tuple[set[str], str]:
    """The heavy modules that a command line imports, and what it prints."""
    code = (
        "import sys; from wedsync_ops.cli.main import run\n"
        "code = run(sys.argv[1:])\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "WEDSYNC_OPS_HOME": str(home), **environment},
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split()), done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["jobs", "--help"], ["enqueue", "--help"]])
def test_help_and_version_import_nothing_heavy(home: Path, arguments: list[str]) -> None:
    heavy, printed = _imports(home, *arguments)
    assert heavy == set()
    assert printed


def test_help_lists_every_command_with_its_line(cli: Cli) -> None:
    shown = cli("--help").out
    for name in lazy.COMMANDS:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("complete_bash", {"COMP_WORDS": "wedsync-ops re", "COMP_CWORD": "1"}),
        ("complete_zsh", {"_TYPER_COMPLETE_ARGS": "wedsync-ops re"}),
        ("complete_fish", {"_TYPER_COMPLETE_ARGS": "wedsync-ops re", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_completion_imports_nothing_heavy(home: Path, shell: str, words: dict[str, str]) -> None:
    heavy, printed = _imports(home, **{"_WEDSYNC_OPS_COMPLETE": shell, **words})
    assert heavy == set()
    assert "register" in printed


def test_completion_reaches_sub_commands(home: Path) -> None:
    words = {"COMP_WORDS": "wedsync-ops jobs ca", "COMP_CWORD": "2"}
    heavy, printed = _imports(home, **{"_WEDSYNC_OPS_COMPLETE": "complete_bash", **words})
    assert heavy == set()
    assert printed.split() == ["cancel"]


def test_version(home: Path) -> None:
    answer = child(home, "--version")
    assert (answer.code, answer.out) == (0, f"wedsync-ops {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [[], ["jobs"], ["nothing"], ["--nothing"], ["jobs", "nothing"], ["jobs", "list", "--nothing"], ["jobs", "show"]],
)
def test_wrong_usage_is_one_line_and_2(cli: Cli, arguments: list[str]) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1


def test_wrong_usage_with_json_is_an_error_document(cli: Cli) -> None:
    answer = cli("jobs", "list", "--nothing", "--json")
    assert answer.code == 2
    assert answer.error["code"] == "usage"
    assert answer.error["details"] == []


def test_a_mistyped_command_is_told_the_nearest(cli: Cli) -> None:
    assert "did you mean 'season'" in cli("saeson").err


def test_every_error_has_an_exit_code() -> None:
    def tree(kind: type[errors.WedsyncError]) -> list[type[errors.WedsyncError]]:
        return [kind, *(below for child_ in kind.__subclasses__() for below in tree(child_))]

    codes = {kind.__name__: code_of(kind()) for kind in tree(errors.WedsyncError)}
    assert codes["InputFileError"] == codes["SettingError"] == codes["UsageError"] == exits.USAGE
    assert codes["InvalidJson"] == codes["InvalidDefinitions"] == codes["TemplateRefused"] == exits.INVALID
    assert codes["UnknownModule"] == codes["UnknownJob"] == exits.NOT_FOUND
    assert codes["KeyConflict"] == codes["CapacityReached"] == codes["ModuleInactive"] == exits.REFUSED
    assert codes["PartlyDone"] == exits.PARTLY
    assert codes["DatabaseNewer"] == codes["StorageFull"] == codes["WaitTimedOut"] == exits.FAILED


def _breaking(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every command fail in a way nobody thought of."""

    def break_down(_app: object) -> None:
        raise error

    monkeypatch.setattr(main, "get_command", break_down)


def test_an_unexpected_error_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    _breaking(monkeypatch, KeyError("a\nb"))
    answer = cli("season")
    assert answer.code == 1
    assert answer.err.startswith("internal error: KeyError: ")
    assert "--debug" in answer.err
    assert answer.err.count("\n") == 1


def test_debug_shows_the_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    _breaking(monkeypatch, KeyError("a"))
    answer = cli("--debug", "season")
    assert answer.code == 1
    assert "Traceback" in answer.err
    assert answer.err.splitlines()[-1].startswith("internal error: KeyError")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_in_a_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    _breaking(monkeypatch, OSError(number, os.strerror(number)))
    answer = cli("season", "--json")
    assert answer.code == 1
    assert answer.error["code"] == "storage_full"


def test_ctrl_c_is_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    _breaking(monkeypatch, KeyboardInterrupt())
    answer = cli("season")
    assert (answer.code, answer.err) == (130, "")


def test_control_characters_never_reach_the_terminal(cli: Cli) -> None:
    answer = cli("modules", "show", "\x1b[31mred\nline")
    assert answer.code == 4
    assert "\x1b" not in answer.err
    assert answer.err.count("\n") == 1


def test_settings_come_from_file_environment_and_options(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("weekend_multiplier: 7\npeak_multiplier: 2\n")
    monkeypatch.setenv("WEDSYNC_OPS_PEAK_MULTIPLIER", "4")
    answer = cli("--config", str(config), "season", "--at", "2027-06-19T12:00:00Z", "--json")
    assert answer.document["expected_load_multiplier"] == 28.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lease: 3\n", "lease_s"),
        ("lease_s: [3]\n", "lease_s"),
        ("- 1\n", "mapping"),
        ("a: &a 1\nb: *a\n", "settings.yaml"),
        ("lease_s: 10\nheartbeat_s: 6\n", "heartbeat_s"),
    ],
)
def test_a_wrong_setting_is_usage(cli: Cli, tmp_path: Path, content: str, words: str) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(content)
    answer = cli("--config", str(config), "season")
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.count("\n") == 1


def test_a_missing_config_file_is_usage(cli: Cli, tmp_path: Path) -> None:
    answer = cli("--config", str(tmp_path / "none.yaml"), "season")
    assert answer.code == 2
    assert "none.yaml" in answer.err


def test_logging_format_is_a_choice(cli: Cli) -> None:
    assert cli("--log-format", "xml", "season").code == 2
    assert cli("--log-level", "loud", "season").code == 2


def _fastest(*command: str) -> float:
    """The shortest of some runs of a command, in seconds."""
    taken = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, cwd=ROOT, timeout=60, check=True)
        taken.append(time.perf_counter() - started)
    return min(taken)


def test_help_costs_little_more_than_starting_python() -> None:
    help_s = _fastest(sys.executable, "-m", "wedsync_ops", "--help")
    assert help_s <= 15 * _fastest(sys.executable, "-c", "pass")


@pytest.mark.parametrize(
    "asked", [("weddings", "show"), ("weddings", "list", "--supplier"), ("jobs", "list", "--client")]
)
def test_an_argument_that_is_no_text_is_wrong_usage(cli: Cli, asked: tuple[str, ...]) -> None:
    answer = cli(*asked, os.fsdecode(b"caf\xe9"), "--json")
    assert (answer.code, answer.error["code"]) == (2, "usage")
    assert answer.error["message"] == r"'caf\udce9' is not UTF-8"
