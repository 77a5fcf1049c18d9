"""``vendors``: the vendor types, as shipped and as configured."""

import pytest

from tests.cli.conftest import Cli


def test_vendor_types_are_listed_with_those_that_are_configured(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_VENDOR_TYPES", "{dj: {peak_hours: [22]}, venue: {peak_factor: 2}}")
    found = {one["vendor_type"]: one for one in cli("vendors", "list", "--json").document["vendor_types"]}
    assert [*found] == ["photographer", "venue", "florist", "caterer", "planner", "dj"]
    assert (found["dj"]["peak_hours"], found["dj"]["is_configured"]) == ([22], True)
    assert (found["venue"]["peak_hours"], found["venue"]["peak_factor"]) == ([8, 16], 2.0)
    assert not found["florist"]["is_configured"]
    assert max(map(len, cli("vendors", "list").out.splitlines())) <= 80


def test_one_is_shown_with_what_module_types_add_for_it(cli: Cli) -> None:
    assert cli("register").code == 0
    document = cli("vendors", "show", "photographers", "--json").document
    assert document["schema"] == "wedsync-ops/vendors-show@1"
    assert document["vendor_type"] == {
        "vendor_type": "photographer",
        "peak_hours": [9, 17],
        "peak_factor": 1.5,
        "resource_profile": "cpu_optimized",
        "memory_factor": 1.0,
        "core_share": 4,
        "first_modules": ["email", "form", "review"],
        "priority_boosts": {"email": 1, "form": 1, "review": 1},
        "is_configured": False,
    }
    assert "09:00, 17:00" in cli("vendors", "show", "photographer").out


def test_one_that_there_is_not(cli: Cli) -> None:
    answer = cli("vendors", "show", "dj", "--json")
    assert answer.code == 4
    assert answer.error["message"].startswith("there is no vendor type 'dj' (the vendor types are photographer, venue")


def test_modules_are_listed_for_a_vendor_type_that_is_configured(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_VENDOR_TYPES", "dj: {first_modules: [sms, info]}")
    assert cli("register").code == 0
    modules = cli("modules", "list", "--vendor-type", "dj", "--json").document["modules"]
    assert [one["id"] for one in modules[:2]] == ["sms", "info"]
