"""Protocols are data: what is shipped can be read, one's own replace them, and what is wrong is named with its line."""

from pathlib import Path

import pytest

from wedsync_ops.emergencies.actions import protocols_of
from wedsync_ops.emergencies.protocols import StepPlan, parse, plan_from, plan_text
from wedsync_ops.errors import SettingError
from wedsync_ops.settings import Settings


def test_what_is_shipped_has_a_protocol_for_each_emergency_and_a_generic_one(tmp_path: Path) -> None:
    found = protocols_of(Settings(home=tmp_path)).by_name
    assert set(found) == {"high_failure_rate", "resource_exhaustion", "wedding_day_outage", "generic"}
    assert [step.do for step in found["wedding_day_outage"].steps] == [
        "scale_up",
        "hold",
        "use_backup_routes",
        "page",
        "watch_closely",
    ]


def test_any_other_name_follows_the_generic_one(tmp_path: Path) -> None:
    known = protocols_of(Settings(home=tmp_path))
    assert known.of("flood_in_the_cellar") is known.by_name["generic"]


def test_a_file_of_ones_own_replaces_and_adds(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "protocols:\n"
        "  generic: {about: Ours., steps: [{do: note, with: {text: Ring the venue.}}]}\n"
        "  storm: {about: A storm., lasts: 2h, steps: [{do: watch_closely}]}\n"
    )
    known = protocols_of(Settings(home=tmp_path, emergencies=file))
    assert known.of("anything").about == "Ours."
    assert known.of("storm").lasts_us == 7_200_000_000
    assert known.of("high_failure_rate").opens_breaker


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("protocols: [a]", "must hold 'protocols:'"),
        ("other: {}", "must hold 'protocols:'"),
        (
            "protocols:\n  A b: {about: x, steps: [{do: page, with: {severity: critical}}]}",
            "own.yaml:2: 'A b' is no name",
        ),
        (
            "protocols:\n  storm:\n    about: x\n    steps:\n      - {do: dance}",
            "own.yaml:5: protocols.storm.steps.0.do",
        ),
        ("protocols:\n  storm: {about: x, steps: []}", "steps: "),
        ("protocols:\n  storm: {about: x, steps: [{do: hold}]}", "hold needs with: {below: ...}"),
        ("protocols:\n  storm: {about: x, steps: [{do: recycle_slots, with: {slots: 3}}]}", "takes no slots"),
        ("protocols:\n  storm: {about: x, steps: [{do: watch_closely, within: soon}]}", "is no length of time"),
        ("protocols:\n  storm: {about: x, steps: [{do: watch_closely, undo: false}]}", "is always undone"),
        ("protocols:\n  storm: {about: x, when: {probes: 2}, steps: [{do: watch_closely}]}", "needs one of"),
        ("protocols:\n  storm: {about: x, steps: [{do: scale_up, with: {slots: 0}}]}", "slots must be"),
        (
            "protocols:\n  storm: {about: x, steps: [{do: watch_closely, check: told}]}",
            "the check told goes with page only",
        ),
        ("protocols:\n  storm: {about: x, steps: [{do: watch_closely}, {do: watch_closely}]}", "stands twice"),
        (
            "protocols: {x: {about: x, steps: [{do: scale_up, with: {slots: 9}},{do: bound_slots, with: {slots: 1}}]}}",
            "do not go together",
        ),
        (
            "protocols:\n  storm: {about: x, when: {failed_percent: 9}, steps: [{do: watch_closely}]}",
            "own.yaml:2: protocols.storm: failed_percent is for high_failure_rate only",
        ),
        (
            "protocols:\n  storm: {about: x, when: {memory_percent: 9}, steps: [{do: open_breaker}]}",
            "a rule names nothing that a breaker could be of",
        ),
        ("protocols:\n  high_failure_rate: {about: x, steps: [{do: watch_closely}]}", "needs a step open_breaker"),
        (
            "protocols:\n  high_failure_rate: {about: x, when: {memory_percent: 9}, steps: [{do: open_breaker}]}",
            "its rule must be failed_percent",
        ),
        ("protocols: {storm: &a {about: x}}", "own.yaml"),
        ("\x00", "own.yaml"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_with_its_place(written: str, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(written.encode(), "own.yaml")
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"emergencies cannot be read.*No such file"):
        protocols_of(Settings(home=tmp_path, emergencies=tmp_path / "none.yaml"))


def test_a_step_is_stored_as_it_was_when_it_was_declared() -> None:
    plan = StepPlan.model_validate({"do": "use_backup_routes", "with": {"routes": ["smtp"]}, "within": "90s"})
    assert plan_from(plan_text(plan)) == plan
