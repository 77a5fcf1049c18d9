"""Rules tried on a series: what would have opened and resolved, and when. Pure."""

import pytest

from tests.alerts.given import rule
from wedsync_ops.alerts.facts import Point, Sums, Targets, Usual, windows_of
from wedsync_ops.alerts.model import Rule
from wedsync_ops.alerts.replay import QUARTER_US, STEP_US, Series, Sliding, read, replay
from wedsync_ops.alerts.rules import BUILT_IN
from wedsync_ops.errors import InvalidInput
from wedsync_ops.instants import HOUR, MINUTE, parse_instant

START = parse_instant("2027-06-19T12:00:00Z")
MODULES = {"email": Targets(5.0, 2000.0, None)}
INCIDENT = "\n".join(
    f'{{"at": "2027-06-19T12:{minute:02}:00Z", "module_type": "email", "executions": 20,'
    f' "failed": {10 if 10 <= minute < 15 else 0}, "average_ms": 10}}'
    for minute in range(40)
)


def told(series: Series, *rules: Rule) -> list[tuple[int, str, str]]:
    return [((one.at - START) // MINUTE, one.alert.key, one.kind.value) for one in replay(rules, series, MODULES)]


def test_an_incident_opens_and_resolves() -> None:
    (high,) = [one for one in BUILT_IN if one.name == "high_error_rate"]
    assert told(read(INCIDENT.encode()), high) == [
        (10, "high_error_rate/email", "opened"),
        (21, "high_error_rate/email", "resolved"),
    ]


def test_yaml_and_lines_are_read_alike() -> None:
    yaml = "- {at: '2027-06-19T12:00:00Z', module_type: email, executions: 3, failed: 1, longest_ms: 70}\n"
    line = '{"at": "2027-06-19T12:00:00Z", "module_type": "email", "executions": 3, "failed": 1, "longest_ms": 70}\n\n'
    assert read(yaml.encode()) == read(line.encode())
    assert read(yaml.encode()).points == (Point("email", START, Sums(3, 1, longest_us=70_000)),)


def test_jobs_wait_until_the_next_figure() -> None:
    series = read(
        b"- {at: '2027-06-19T12:00:00Z', module_type: email, waiting: 1500}\n"
        b"- {at: '2027-06-19T12:10:00Z', module_type: email, waiting: 10}\n"
    )
    queue = rule(name="queue", metric="queue_length", threshold=1000.0, clears_at=800.0, per_module=False)
    assert told(series, queue) == [(0, "queue", "opened"), (10, "queue", "resolved")]


def test_an_empty_series_comes_to_nothing() -> None:
    assert replay(BUILT_IN, Series(()), MODULES) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a list"),
        ("[]", "must be a list"),
        ("a: 1", "must be a list"),
        ("- {at: now, module_type: email}", r"line 1: \[0\].at: 'now' is not a time|'now' is not a time"),
        ("- {at: '2027-06-19', module_type: email, failed: 1}", "is more than executions"),
        ("- {at: '2027-06-19', module_type: email, colour: red}", "there is no such field"),
        ("- {at: '2027-06-19', module_type: e}\n- {at: '2027-06-21', module_type: e}", "longer than a day"),
        ('{"at": 1', "line 1"),
        ('{"at": "2027-06-19"}', "module_type: is required"),
    ],
)
def test_a_series_that_cannot_be_used(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(text.encode())


def test_every_problem_of_a_series_is_listed_with_its_line() -> None:
    with pytest.raises(InvalidInput) as caught:
        read(b'{"at": "x", "module_type": "email"}\n\n{"at": "2027-06-19", "module_type": "email", "failed": -1}\n')
    assert [one["line"] for one in caught.value.details] == [1, 3]


def test_sliding_windows_are_those_that_points_add_up_to() -> None:
    points = [
        Point(name, START + n * MINUTE, Sums(n, n // 2, longest_us=n * 7 % 5)) for n in range(90) for name in "ab"
    ]
    sliding = Sliding(points)
    for now in range(START, START + 100 * MINUTE, 11 * STEP_US):
        for length in (MINUTE, 5 * MINUTE, HOUR):
            assert sliding.window(now, length) == windows_of(points, now, [length])[length]


def built_in(name: str) -> Rule:
    (found,) = [one for one in BUILT_IN if one.name == name]
    return found


def test_dead_workers_are_told_until_the_next_figure() -> None:
    series = read(
        b"- {at: '2027-06-19T12:00:00Z', module_type: email, executions: 9, silent_workers: 2}\n"
        b"- {at: '2027-06-19T12:05:00Z', module_type: sms, executions: 9}\n"
        b"- {at: '2027-06-19T12:10:00Z', module_type: email, silent_workers: 0}\n"
    )
    assert told(series, built_in("worker_silent")) == [
        (1, "worker_silent", "opened"),
        (10, "worker_silent", "resolved"),
    ]


def test_an_anomaly_by_what_is_said_to_be_usual() -> None:
    lines = [
        f'{{"at": "2027-06-19T12:{minute:02}:00Z", "module_type": "email", "executions": {20 if minute < 20 else 90},'
        f' "usual_per_minute": 20, "usual_average_ms": 10, "average_ms": 10}}'
        for minute in range(50)
    ]
    happened = replay([built_in("anomaly")], read("\n".join(lines).encode()), MODULES)
    assert [(one.alert.key, one.kind.value) for one in happened][:1] == [("anomaly/email/volume", "opened")]
    assert "expected 14.0 to 26.0 at this hour" in happened[0].alert.message


def test_an_anomaly_by_what_was_recorded_to_be_usual() -> None:
    quiet = {hour: {"email": Usual(volume=(100.0,) * 6)} for hour in range(START, START + 2 * HOUR, QUARTER_US)}
    points = tuple(Point("email", START + n * MINUTE, Sums(5)) for n in range(40))
    assert told(Series(points), built_in("anomaly")) == []
    assert ("anomaly/email/volume", "opened") in [
        one[1:] for one in told(Series(points, usual=quiet), built_in("anomaly"))
    ]
