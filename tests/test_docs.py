"""The documentation fails here when it drifts from the code: what exists is described, what is shown works."""

import inspect
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import tree
from tests.png import size_of
from wedsync_ops import errors, settings, yamldoc
from wedsync_ops.alerts.definitions import Definition
from wedsync_ops.alerts.evaluate import COMMANDS
from wedsync_ops.alerts.model import METRICS, AlertState, AlertType, EventKind
from wedsync_ops.alerts.replay import Figures
from wedsync_ops.alerts.rules import BUILT_IN
from wedsync_ops.cli import exits
from wedsync_ops.handlers import catalogue
from wedsync_ops.jobs.model import Priority, Result, State
from wedsync_ops.operations import maintenance

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
REFERENCE = DOCS / "reference"
SKIPPED = {"__pycache__", "build", "dist"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
MAX_PICTURE = 120_000
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


def is_named(word: str, text: str) -> bool:
    """Whether a text has the word in code style, alone or within a longer piece of code."""
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code) for code in re.findall(r"`([^`\n]+)`", text))


def missing(words: Iterator[str] | list[str], text: str) -> list[str]:
    return sorted({word for word in words if not is_named(word, text)})


def sections(text: str) -> list[str]:
    return re.split(r"^(?=#)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in tree() if path])
def test_every_command_and_option_is_documented(path: str) -> None:
    text = page("cli.md")
    about = "\n".join(part for part in sections(text) if re.search(rf"\b{re.escape(path)}\b", part))
    assert about, f"docs/reference/cli.md says nothing of {path!r}"
    undocumented = [option for option in tree()[path] if option.startswith("--") and option not in about]
    assert not [option for option in undocumented if option not in ("--help", "--json")]
    assert "--json" in text


def test_every_global_option_is_documented() -> None:
    text = page("cli.md")
    assert not [option for option in tree()[""] if option not in text]


def test_every_setting_is_documented() -> None:
    assert missing(list(settings.names()), page("settings.md")) == []


def test_no_setting_is_documented_that_does_not_exist() -> None:
    shown = re.findall(r"WEDSYNC_OPS_([A-Z_]+)", "\n".join(each.read_text() for each in PAGES))
    known = {*settings.names(), "test_postgres", "slot"}
    assert [name for name in shown if name.strip("_") and name.lower() not in known] == []


def test_every_state_outcome_and_priority_is_documented() -> None:
    words = [*State, *Result, *(step.word for step in Priority)]
    assert missing([str(word) for word in words], page("cli.md")) == []


def test_every_exit_code_is_documented() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    documented = {int(code) for code in re.findall(r"^\| *`?(\d+)`? *\|", page("cli.md"), re.MULTILINE)}
    assert codes <= documented


def test_every_error_code_is_documented() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.WedsyncError)]
    assert missing([kind.code for kind in kinds], page("cli.md")) == []


def test_every_module_type_is_documented() -> None:
    definitions = yamldoc.read((ROOT / "modules.yaml").read_bytes()).value
    assert missing([each["id"] for each in definitions["modules"]], page("modules.md")) == []


@pytest.mark.parametrize("path", sorted((REFERENCE / "modules").glob("*.md")), ids=lambda path: path.stem)
def test_every_module_type_has_a_picture_of_what_it_delivers(path: Path) -> None:
    pictures = PICTURE.findall(path.read_text())
    assert pictures, f"{path.name} shows no picture; see tests/pictures.py"
    for words, target in pictures:
        assert len(words.split()) > 5, f"{target} is not described"
        picture = (path.parent / target).read_bytes()
        width, height = size_of(picture)
        assert (width, height > 100) == (720, True)
        assert len(picture) <= MAX_PICTURE


def test_every_picture_is_shown() -> None:
    shown = {(path.parent / target).resolve() for path in PAGES for _, target in PICTURE.findall(path.read_text())}
    assert set(DOCS.rglob("*.png")) == shown


def test_every_shipped_template_is_documented() -> None:
    everything = "\n".join(each.read_text() for each in PAGES)
    assert missing(list(catalogue.known(None)), everything) == []


@pytest.mark.parametrize("kind", [*AlertType])
def test_every_alert_type_has_a_runbook(kind: AlertType) -> None:
    text = (DOCS / "runbooks" / f"{kind}.md").read_text()
    parts = [part.partition("\n") for part in sections(text) if part.startswith("## ")]
    found = {heading.removeprefix("## "): body for heading, _, body in parts}
    assert list(found) == ["Symptom", "Impact", "Diagnosis", "Mend", "Prevention"]
    assert is_named(kind, text)
    assert "wedsync-ops " in found["Diagnosis"]
    assert "wedsync-ops " in found["Mend"]


def test_every_runbook_is_of_an_alert_type() -> None:
    assert {path.stem for path in (DOCS / "runbooks").glob("*.md")} == set(AlertType)


def test_everything_about_alerts_is_documented() -> None:
    fields = ["for" if name == "for_" else name for name in Definition.model_fields]
    words = [*AlertType, *AlertState, *EventKind, *METRICS, *fields, *Figures.model_fields]
    words += [rule.name for rule in BUILT_IN]
    assert missing([str(word) for word in words], page("alerts.md")) == []


def test_what_an_alert_says_to_run_next_exists() -> None:
    commands = tree()
    for command in COMMANDS.values():
        name, *options = re.split(r" (?=--)", command.removeprefix("wedsync-ops "))
        assert {option.partition(" ")[0] for option in options} - {"--json"} <= commands[name]


def test_every_maintenance_task_is_documented() -> None:
    assert missing(list(maintenance.TASKS), (DOCS / "how-to" / "run-in-production.md").read_text()) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), f"{path.relative_to(ROOT)} links to {target}"
        if anchor:
            assert anchor in anchors(linked.read_text()), f"{path.relative_to(ROOT)} links to {target}"


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_reachable_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        current = waiting.pop()
        seen.add(current)
        local = [t.partition("#")[0] for t in LINK.findall(current.read_text()) if not re.match(r"[a-z]+:", t)]
        found = {(current.parent / target).resolve() for target in local if target.endswith(".md")}
        waiting += [each for each in found if each not in seen and each.is_file()]
    assert sorted(set(DOCS.rglob("*.md")) - seen) == []


def shown_commands() -> Iterator[tuple[Path, list[str]]]:
    """Every ``wedsync-ops …`` line of the shell examples, as words after the program's name."""
    for path in PAGES:
        for language, block in FENCE.findall(path.read_text()):
            if language not in ("sh", "cron", "console"):
                continue
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|(?!\|)|;", line):
                    found = re.search(r"(?:^|[\s/])wedsync-ops(\s.*)$", part)
                    if found and not re.search(r"pip install|venv|cp |mkdir|\b(?:un)?set\b", part[: found.start() + 1]):
                        yield path, shlex.split(found[1].split(" > ")[0].split(" < ")[0], comments=True)


def test_every_command_shown_exists() -> None:
    commands = tree()
    seen = 0
    for path, words in shown_commands():
        position = 0
        while position < len(words) and words[position].startswith("-"):
            assert words[position] in commands[""], f"{path.name}: {words}"
            position += 1 if words[position] in ("--debug", "--version", "--help") else 2
        rest = words[position:]
        if not rest:
            continue
        name = next((each for each in (" ".join(rest[:2]), rest[0]) if each in commands), None)
        assert name is not None, f"{path.name} shows a command that does not exist: {' '.join(words)}"
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        assert set(options) <= commands[name], f"{path.name}: {' '.join(words)}"
        seen += 1
    assert seen > 20


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    return re.findall(r"<!-- command: (?:demo|tests) -->\n```sh\n(.+)\n```", text)


def test_ci_runs_the_commands_of_the_readme() -> None:
    answer = subprocess.run([ROOT / ".ci" / "run", "--commands"], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == readme_commands()
    assert len(readme_commands()) == 2
    script = (ROOT / ".ci" / "run").read_text()
    assert not [command for command in readme_commands() if command in script]


def texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        if hidden or SKIPPED & set(parts) or not path.is_file() or path == Path(__file__):
            continue
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            continue


FOREIGN = re.compile(
    r"(?<![\w.}/~-])/(?:root|work|Users|home/\w+)/"
    r"|files\.pythonhosted|pypi\.org/simple|/simple/|(?:^|\s)--(?:extra-)?index-url|--find-links",
    re.MULTILINE,
)


def test_no_path_of_a_machine_and_no_registry_address_is_kept() -> None:
    found = {str(path.relative_to(ROOT)): FOREIGN.findall(text) for path, text in texts() if FOREIGN.search(text)}
    assert found == {}


def test_the_lock_pins_everything_by_hash() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    pinned = [entry for entry in entries if not entry.startswith("#")]
    assert len(pinned) > 40
    assert [entry.splitlines()[0] for entry in pinned if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert [entry for entry in pinned if entry.startswith(("wedsync", "-", "."))] == []
