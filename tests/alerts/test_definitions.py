"""Own rules as a definition file has them: what they change, and every problem at once with its line."""

import pytest

from wedsync_ops.alerts.definitions import Definition, from_text, parse, to_text
from wedsync_ops.alerts.model import AlertType, Rule, Severity
from wedsync_ops.alerts.rules import BUILT_IN, together
from wedsync_ops.errors import InvalidInput
from wedsync_ops.instants import HOUR, MINUTE, SECOND

ALL = """\
schema_version: 1
alerts:
  - name: slow_forms
    metric: average_execution
    above: 800
    clears_at: 600
    critical: 5000
    severity: warning
    modules: [form]
    window: 10m
    minimum: 20
    for: 90s
    clear_for: 5m
    repeat: 1h
    runbook: https://wiki.example/forms
"""


def parsed(text: str) -> list[Rule]:
    found = parse(text.encode())
    assert found is not None
    assert found.problems == ()
    return list(found.rules)


def problems(items: str) -> list[tuple[int, str, str]]:
    found = parse(f"schema_version: 1\nalerts:\n{items}".encode())
    assert found is not None
    return [(one.line, one.path, one.message) for one in found.problems]


def test_every_field_of_a_rule_of_one_s_own() -> None:
    assert parsed(ALL) == [
        Rule(
            name="slow_forms",
            type=AlertType.CUSTOM,
            metric="average_execution",
            threshold=800.0,
            clears_at=600.0,
            critical=5000.0,
            severity=Severity.WARNING,
            modules=frozenset({"form"}),
            window_us=10 * MINUTE,
            minimum=20,
            for_us=90 * SECOND,
            clear_for_us=5 * MINUTE,
            repeat_us=HOUR,
            runbook="https://wiki.example/forms",
        )
    ]


def test_the_name_of_a_built_in_rule_changes_only_what_is_given() -> None:
    (rule,) = parsed("alerts:\n  - {name: high_error_rate, above: 2.5, severity: critical}\n")
    (built_in,) = [one for one in BUILT_IN if one.name == "high_error_rate"]
    assert (rule.threshold, rule.severity) == (2.5, Severity.CRITICAL)
    assert (rule.metric, rule.minimum, rule.type) == (built_in.metric, built_in.minimum, built_in.type)
    assert [one.threshold for one in together([rule]) if one.name == "high_error_rate"] == [2.5]


def test_a_built_in_rule_can_be_left_out() -> None:
    (rule,) = parsed("alerts:\n  - {name: anomaly, enabled: false}\n")
    assert "anomaly" not in [one.name for one in together([rule])]
    assert len(together([rule])) == len(BUILT_IN) - 1


def test_what_is_stored_is_read_as_what_it_was() -> None:
    found = parse(ALL.encode())
    assert found is not None
    assert [from_text(to_text(one)) for one in found.definitions] == list(found.rules)


def test_a_stored_rule_of_another_version_is_no_traceback() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        from_text('{"name": "a", "colour": "red"}')


@pytest.mark.parametrize("text", ["", "modules: []", "- alerts", "a: *b"])
def test_a_file_that_says_nothing_of_rules(text: str) -> None:
    assert parse(text.encode()) is None


def test_every_problem_at_once_with_its_line() -> None:
    assert problems(
        "  - {name: a, metric: errorrate, above: 1}\n"
        "  - {name: b, metric: volume}\n"
        "  - {name: c, metric: volume, above: 1, below: 2}\n"
        "  - {name: d, above: 1}\n"
        "  - {name: E, metric: volume, above: 1}\n"
        "  - {name: f, metric: volume, above: 1, window: 7h}\n"
        "  - {name: g, metric: volume, above: 1, for: soon}\n"
        "  - {name: h, metric: volume, above: 1, colour: red}\n"
        "  - {name: i, metric: volume, above: 10, clears_at: 11}\n"
        "  - {name: j, metric: volume, below: 10, critical: 11}\n"
        "  - {name: queue_length, metric: volume}\n"
        "  - nothing\n"
        "  - {name: k, metric: volume, above: 1, severity: bad}\n"
        "  - {name: l, metric: volume, above: 1}\n"
        "  - {name: l, metric: volume, above: 2}\n"
        "  - {name: fast_burn, short_window: 2h}\n"
    ) == [
        (3, "alerts[0].metric", "there is no metric 'errorrate'; did you mean 'error_rate'?"),
        (4, "alerts[1]", "needs either above or below"),
        (5, "alerts[2].below", "stands beside above; only one of both can be"),
        (6, "alerts[3].metric", "is required"),
        (7, "alerts[4].name", "must match ^[a-z][a-z0-9_-]{0,49}$, and 'E' does not"),
        (8, "alerts[5].window", "must be 1m to 6h"),
        (9, "alerts[6].for", "'soon' is not a length of time (write it as 90s, 15m, 6h or 7d)"),
        (10, "alerts[7].colour", "there is no such field"),
        (11, "alerts[8].clears_at", "must not be worse than the threshold 10"),
        (12, "alerts[9].critical", "must not be better than the threshold 10"),
        (13, "alerts[10].metric", "the rule queue_length watches queue_length"),
        (14, "alerts[11]", "a rule must be a mapping, not a string"),
        (15, "alerts[12].severity", "must be 'warning' or 'critical', not 'bad'"),
        (17, "alerts[14].name", "the name 'l' stands already in line 16"),
        (18, "alerts[15].short_window", "must be shorter than the window"),
    ]


def test_the_list_must_be_one() -> None:
    found = parse(b"alerts: {}\n")
    assert found is not None
    assert [one.message for one in found.problems] == ["must be a list of rules; [] ends all of one's own"]


def test_names_of_lengths_are_those_of_the_file() -> None:
    assert "for" in Definition.model_validate({"name": "a", "for": "5m"}).model_dump(by_alias=True)


def test_what_would_have_no_effect_is_refused() -> None:
    assert problems(
        "  - {name: a, metric: volume, above: 1, slo: 99.9, short_window: 1m}\n"
        "  - {name: b, metric: silent_workers, above: 1, per: module, modules: [email]}\n"
        "  - {name: queue_length, modules: [email]}\n"
        "  - {name: c, metric: volume, above: 1, per: platform, modules: [email]}\n"
    ) == [
        (3, "alerts[0].short_window", "is only for error_budget_burn"),
        (3, "alerts[0].slo", "is only for error_budget_burn"),
        (4, "alerts[1].modules", "silent_workers is not of a module type"),
        (4, "alerts[1].per", "silent_workers is not of a module type"),
        (5, "alerts[2].modules", "is only for a rule with per: module"),
        (6, "alerts[3].modules", "is only for a rule with per: module"),
    ]
    assert parsed("alerts:\n  - {name: queue_length, per: module, modules: [email]}\n")[0].per_module


def test_a_rule_with_several_problems_is_told_all_of_them() -> None:
    assert [path for _, path, _ in problems("  - {name: A, metric: nope, above: x, for: -5m, repeat: 1s}\n")] == [
        "alerts[0].name",
        "alerts[0].above",
        "alerts[0].for",
        "alerts[0].repeat",
        "alerts[0].metric",
    ]


def test_a_stored_rule_whose_metric_is_unknown_is_no_traceback() -> None:
    with pytest.raises(InvalidInput, match="no metric 'gone'"):
        from_text('{"name": "a", "metric": "gone", "above": 1}')
