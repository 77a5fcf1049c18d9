"""``modules customise`` and what it changes of ``modules show``, ``enqueue`` and ``modules preview``."""

from pathlib import Path

import pytest

from tests.cli.conftest import CONTEXT, Cli, enqueue

GOOD = """\
schema_version: 1
customisations:
  - supplier: s1
    module: note
    config: {count: 3}
    priority: high
    limits: {execution_timeout: 5}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of one customisation."""
    made = tmp_path / "customisations.yaml"
    made.write_text(GOOD)
    return made


def test_from_a_file(registered: Cli, file: Path) -> None:
    tried = registered("modules", "customise", str(file), "--dry-run", "--json")
    assert (tried.code, tried.document["customised"][0]["change"], tried.document["dry_run"]) == (0, "added", True)
    done = registered("modules", "customise", str(file), "--json").document
    assert done["customised"] == [
        {
            "supplier": "s1",
            "module": "note",
            "config": {"count": 3},
            "priority": "high",
            "priority_boost": None,
            "weight": None,
            "limits": {"execution_timeout": 5.0},
            "change": "added",
        }
    ]
    again = registered("modules", "customise", "-", stdin=GOOD.encode())
    assert (again.code, "unchanged" in again.out, "0 of 1 changed" in again.out) == (0, True, True)


def test_problems_are_3_and_nothing_is_stored(registered: Cli, file: Path) -> None:
    file.write_text(GOOD.replace("count: 3", "count: x").replace("note", "nota"))
    answer = registered("modules", "customise", str(file), "--json")
    assert answer.code == 3
    assert answer.error["code"] == "invalid_customisation"
    assert "did you mean 'note'" in answer.error["message"]
    assert answer.document["customised"] == []
    file.write_text(GOOD + "  - supplier: s2\n    module: note\n    config: {count: x}\n    limits: {cpu_limit: 2}\n")
    answer = registered("modules", "customise", str(file), "--json")
    assert [problem["line"] for problem in answer.document["problems"]] == [10, 11]
    assert answer.error["details"] == answer.document["problems"]
    assert registered("modules", "customise", "--remove", "--supplier", "s1", "note").code == 4
    people = registered("modules", "customise", str(file))
    assert (people.code, "customisations[1].config.count" in people.err) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["none.yaml"], 2),
        ([], 2),
        (["--remove", "note"], 2),
        (["--remove", "--supplier", "s", "--vendor-type", "venue", "note"], 2),
        (["--supplier", "s1", "note"], 2),
        (["--remove", "--vendor-type", "dj", "note"], 2),
        (["--remove", "--supplier", "s1", "nota"], 4),
        (["--remove", "--supplier", "s1", "note"], 4),
    ],
)
def test_wrong_usage_and_what_is_not_there(registered: Cli, arguments: list[str], code: int) -> None:
    assert registered("modules", "customise", *arguments, "--json").code == code


def test_what_holds_is_shown_with_its_origin(registered: Cli, file: Path) -> None:
    assert "effective" not in registered("modules", "show", "note", "--json").document
    registered("modules", "customise", str(file))
    shown = registered("modules", "show", "note", "--supplier", "s1", "--vendor-type", "venues", "--json").document
    assert shown["effective"]["config"] == [{"path": "count", "value": 3, "from": "supplier"}]
    assert shown["effective"]["priority"][0] == {"path": "priority", "value": "high", "from": "supplier"}
    assert shown["effective"]["limits"][-1] == {"path": "execution_timeout", "value": 5.0, "from": "supplier"}
    assert shown["effective"]["limits"][0] == {"path": "cpu_limit", "value": 1.0, "from": "module_type"}
    people = registered("modules", "show", "note", "--supplier", "s1").out
    assert "Config defaults" in people
    assert max(map(len, people.splitlines())) <= 80
    assert registered("modules", "show", "note", "--vendor-type", "dj").code == 2


def test_queueing_and_previewing_take_the_defaults(registered: Cli, file: Path) -> None:
    registered("modules", "customise", str(file))
    queued = enqueue(registered).document
    assert (queued["priority_requested"], queued["priority_applied"]) == ("normal", "high")
    assert "customised by supplier s1: raised to high" in queued["priority_reasons"]
    kept = registered("jobs", "show", str(queued["job_id"]), "--json").document["job"]["config"]
    assert kept == {"text": "hello", "count": 3}
    file.write_text(GOOD.replace("count: 3", "text: from the defaults"))
    registered("modules", "customise", str(file))
    shown = registered("modules", "preview", "note", "--config", "{}", "--context", CONTEXT, "--json").document
    assert shown["result_data"]["noted"] == "from the defaults"
    registered("modules", "customise", "--remove", "--supplier", "s1", "note", "--dry-run")
    assert registered("modules", "customise", "--remove", "--supplier", "s1", "note", "--json").document["removed"]
    assert registered("modules", "preview", "note", "--config", "{}", "--context", CONTEXT).code == 3


def test_tiers(registered: Cli, tmp_path: Path) -> None:
    file = tmp_path / "review.yaml"
    text = (tmp_path / "definitions.yaml").read_text()
    file.write_text(text.replace("id: note", "id: review"))
    assert registered("register", str(file)).code == 0
    poor = CONTEXT[:-1] + ', "wedding_date": "2027-06-19", "supplier_data": {"subscription_tier": "professional"}}'
    refused = enqueue(registered, module="review", context=poor)
    assert (refused.code, refused.error["code"]) == (5, "tier")
    assert "'scale'" in refused.error["message"]
    assert enqueue(registered, module="review", context=poor.replace("professional", "scale")).code == 0
    assert enqueue(registered, module="review", context=poor.replace("professional", "gold")).code == 3
    line = f'{{"module_type": "review", "config": {{"text": "x"}}, "context": {poor}}}\n'
    bulk = registered("enqueue", "--file", "-", "--json", stdin=line.encode())
    assert (bulk.code, bulk.document["errors"][0]["code"]) == (3, "tier")


def test_diff_names_what_changed(registered: Cli, tmp_path: Path) -> None:
    file = tmp_path / "definitions.yaml"
    for description in ("second", "third"):
        text = file.read_text().split("    description:")[0]
        file.write_text(text.replace("display_name: Note", f"display_name: Note {description}"))
        assert registered("register", str(file)).code == 0
        file.write_text(text.replace(f"Note {description}", "Note"))

    def changes(*versions: str) -> tuple[int, int, list[dict[str, object]]]:
        document = registered("modules", "diff", "note", *versions, "--json").document
        assert (document["schema"], document["id"]) == ("wedsync-ops/modules-diff@1", "note")
        return document["from_version"], document["to_version"], document["changes"]

    def named(old: str, new: str) -> list[dict[str, object]]:
        return [{"path": "display_name", "change": "changed", "from": old, "to": new}]

    assert changes() == (2, 3, named("Note second", "Note third"))
    assert changes("1") == (1, 3, named("Note", "Note third"))
    assert changes("3", "1") == (3, 1, named("Note third", "Note"))
    assert changes("2", "2") == (2, 2, [])
    assert registered("modules", "diff", "note", "1", "9").code == 4
    assert registered("modules", "diff", "note", "x").code == 2
