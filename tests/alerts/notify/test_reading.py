"""The file of channels and routes: what it may say, and everything that is wrong with it at once."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from wedsync_ops.alerts.model import AlertType
from wedsync_ops.alerts.notify_model import Channel, Kind, Plan, Secret
from wedsync_ops.alerts.notify_reading import KINDS, PAGERDUTY_URL, keys, read
from wedsync_ops.instants import MINUTE, SECOND

UTC = ZoneInfo("UTC")
EVERYTHING = """\
schema_version: 1
repeat_min: 60
group_window_s: 10
channels:
  screen: {type: console}
  log: {type: json, file: /var/log/alerts.ndjson}
  hook: {type: webhook, url: https://hooks.example/in, secret: {env: HOOK_SECRET}, timeout_s: 3}
  mail: {type: smtp, to: [a@example.org, b@example.org], from: ops@example.org, server: {file: /run/smtp}}
  chat: {type: slack, url: {env: SLACK_URL}, events: [opened]}
  pager: {type: pagerduty, routing_key: {file: /run/pagerduty}}
  rest: {type: apprise, url: {env: APPRISE_URL}}
routes:
  - name: night
    match: {severity: critical, type: [expired, capacity], module: sms, between: 22:00-06:00, days: [sat, sun]}
    channels: [pager, chat]
    continue: true
    escalate:
      - {after_min: 5, channels: mail}
      - {after_min: 15, channels: [hook, rest]}
    repeat_min: 0
    group_window_s: 0
  - channels: screen
heartbeat: {url: https://beat.example/1, every_min: 5}
"""
SECRET = "xoxb-hush-hush-1234567890"


WRONG = f"""\
schema_version: 2
chanels: 1
channels:
  Pager: {{type: pagerdut}}
  pager: {{type: pagerduty, routing_key: {SECRET}, rooting_key: {SECRET}}}
  chat: {{type: slack, url: "https://hooks.example/{SECRET}"}}
  mail: {{type: smtp, to: [somebody], timeout_s: 0}}
  hook: {{type: webhook, url: "https://a:{SECRET}@h.example/x", secret: {{env: "{SECRET} x"}}}}
routes:
  - match: {{severity: fatal, between: 8-18, days: [monday], sevrity: x}}
    channels: [pagr]
    continue: maybe
    escalate: [{{after_min: 0, channels: [nobody], chanels: 1}}]
  - match: {{type: [expird]}}
heartbeat: {{url: 3, every: 1}}
"""


def plan(text: str) -> Plan:
    found = read(text.encode(), UTC)
    assert found.problems == ()
    assert found.plan is not None
    return found.plan


def problems(text: str) -> list[tuple[int, str, str]]:
    found = read(text.encode(), UTC)
    assert found.plan is None
    return [(one.line, one.path, one.message) for one in found.problems]


def with_channel(channel: str) -> str:
    return f"schema_version: 1\nchannels:\n  one: {{{channel}}}\nroutes: [{{channels: one}}]\n"


def with_route(route: str) -> str:
    return f"schema_version: 1\nchannels: {{one: {{type: console}}}}\nroutes:\n  - {{{route}}}\n  - channels: one\n"


def test_everything_can_be_said() -> None:
    found = plan(EVERYTHING)
    assert [(one.name, one.kind) for one in found.channels] == [
        ("screen", "console"),
        ("log", "json"),
        ("hook", "webhook"),
        ("mail", "smtp"),
        ("chat", "slack"),
        ("pager", "pagerduty"),
        ("rest", "apprise"),
    ]
    night, rest = found.routes
    assert (night.name, night.goes_on, night.repeat_us, night.group_window_us) == ("night", True, 0, 0)
    assert [(step.after_us, step.channels) for step in night.steps] == [
        (5 * MINUTE, ("mail",)),
        (15 * MINUTE, ("hook", "rest")),
    ]
    assert night.match.days == frozenset({5, 6})
    assert (rest.name, rest.channels, rest.repeat_us, rest.group_window_us) == (
        "route-2",
        ("screen",),
        60 * MINUTE,
        10 * SECOND,
    )
    assert found.heartbeat is not None
    assert (found.heartbeat.url.plain, found.heartbeat.every_us) == ("https://beat.example/1", 5 * MINUTE)


def channel(found: Plan, name: str) -> Channel:
    made = found.channel(name)
    assert made is not None
    return made


def test_secrets_are_places() -> None:
    found = plan(EVERYTHING)
    assert channel(found, "hook").secret == Secret(env="HOOK_SECRET")
    assert channel(found, "pager").secret == Secret(file="/run/pagerduty")
    assert channel(found, "pager").url == Secret(plain=PAGERDUTY_URL)
    assert channel(found, "mail").url == Secret(file="/run/smtp")


def test_mails_come_for_what_opens_and_ends_only() -> None:
    found = plan(EVERYTHING)
    assert channel(found, "mail").events == {Kind.OPENED, Kind.RESOLVED}
    assert channel(found, "hook").events == {Kind.OPENED, Kind.ACKNOWLEDGED, Kind.RESOLVED}
    assert channel(found, "chat").events == {Kind.OPENED}


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = problems(WRONG)
    assert [(line, path) for line, path, _ in found] == [
        (1, "schema_version"),
        (2, "chanels"),
        (4, "channels.Pager"),
        (4, "channels.Pager.type"),
        (5, "channels.pager.routing_key"),
        (5, "channels.pager.rooting_key"),
        (6, "channels.chat.url"),
        (7, "channels.mail.timeout_s"),
        (7, "channels.mail.to[0]"),
        (8, "channels.hook.url"),
        (8, "channels.hook.secret"),
        (10, "routes[0].match.severity[0]"),
        (10, "routes[0].match.between"),
        (10, "routes[0].match.days[0]"),
        (10, "routes[0].match.sevrity"),
        (11, "routes[0].channels"),
        (12, "routes[0].continue"),
        (13, "routes[0].escalate[0].after_min"),
        (13, "routes[0].escalate[0].chanels"),
        (13, "routes[0].escalate[0].channels"),
        (14, "routes[1].match.type[0]"),
        (14, "routes[1].channels"),
        (14, "routes[1].match"),
        (15, "heartbeat.url"),
        (15, "heartbeat.every"),
    ]
    said = "\n".join(message for _, _, message in found)
    assert "hush" not in said
    for hint in ("'channels'", "'pagerduty'", "'routing_key'", "'severity'", "'pager'", "'every_min'"):
        assert f"did you mean {hint}?" in said
    assert "pydantic" not in said
    assert "Input" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping with schema_version, channels and routes; the file is empty"),
        ("- 1\n", "must be a mapping with schema_version, channels and routes; it is a list"),
        ("a: *b\n", "aliases (*b) are not accepted; write the value out"),
        ("channels: {\n", "the file is not YAML: did not find expected node content"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_line(text: str, message: str) -> None:
    ((_, path, said),) = problems(text)
    assert (path, said) == ("", message)


@pytest.mark.parametrize(
    ("channel", "path", "message"),
    [
        ("type: 3", "type", "must be one of console, json, webhook, smtp, slack, pagerduty, apprise"),
        ("type: webhook, secret: {env: A}", "url", "is required"),
        ("type: webhook, url: ftp://x.example, secret: {env: A}", "url", "must be a URL such as https://host/path"),
        ("type: webhook, url: https://x.example, secret: {env: A, file: B}", "secret", "must be {env: NAME} or"),
        ("type: webhook, url: https://x.example, secret: {file: ''}", "secret", "file must be text"),
        ("type: smtp, to: []", "to", "must be a list of at least one"),
        ("type: smtp, to: 'a@b.c, d@e.f'", "to[0]", "must be an e-mail address"),
        ("type: console, events: [resolved]", "events", "must hold opened"),
        ("type: console, events: [opened, repeated]", "events[1]", "must be one of opened, acknowledged, resolved"),
        ("type: console, timeout_s: 61", "timeout_s", "must be less than or equal to 60"),
        ("type: console, timeout_s: soon", "timeout_s", "must be a valid number"),
    ],
)
def test_a_channel_that_cannot_be(channel: str, path: str, message: str) -> None:
    ((line, where, said),) = problems(with_channel(channel))
    assert (line, where) == (3, f"channels.one.{path}")
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("route", "path", "message"),
    [
        ("channels: 3", "channels", "must be a list"),
        ("channels: one, repeat_min: -1", "repeat_min", "must be greater than or equal to 0"),
        ("channels: one, repeat_min: .inf", "repeat_min", "the value holds inf, which JSON has no word for"),
        ("channels: one, group_window_s: 86401", "group_window_s", "must be less than or equal to 86400"),
        ("channels: one, match: {between: 08:00-08:00}", "match.between", "the span '08:00-08:00' is empty"),
        ("channels: one, match: {module: []}", "match.module", "must be a list of at least one"),
        ("channels: one, escalate: [{channels: one}]", "escalate[0].after_min", "is required"),
        ("channels: one, escalate: [{after_min: 1, channels: []}]", "escalate[0].channels", "must be a list of at"),
    ],
)
def test_a_route_that_cannot_be(route: str, path: str, message: str) -> None:
    ((line, where, said),) = problems(with_route(route))
    assert (line, where) == (4, f"routes[0].{path}")
    assert said.startswith(message)


def test_no_route_at_all_is_refused() -> None:
    assert problems("schema_version: 1\nchannels: {}\nroutes: []\n") == [
        (3, "routes", "must be a list of at least one")
    ]


def test_an_alert_that_nobody_thought_of_must_go_somewhere() -> None:
    text = "schema_version: 1\nchannels: {one: {type: console}}\nroutes: [{match: {severity: critical}, channels: one}]"
    ((_, path, said),) = problems(text)
    assert path == "routes[0].match"
    assert "the last route must be without match" in said


DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["reference/notifications.md", "how-to/page-the-on-call.md"])
def test_the_documented_files_are_right(page: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    files = [block for block in blocks if "channels:" in block]
    assert files
    assert [read(block.encode(), UTC).problems for block in files] == [()] * len(files)


def test_every_key_is_documented() -> None:
    text = (DOCS / "reference" / "notifications.md").read_text()
    undocumented = [key for key in keys() if not re.search(rf"`(?:match\.)?{key}`|{{{key}, |, {key}}}", text)]
    assert undocumented == []
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []


@pytest.mark.parametrize("type_", AlertType)
def test_every_type_of_alert_can_be_named(type_: AlertType) -> None:
    found = plan(
        f"schema_version: 1\nchannels: {{a: {{type: console}}}}\nroutes:\n  - match: {{type: {type_}}}\n"
        "    channels: a\n  - channels: a\n"
    )
    assert found.routes[0].match.types == frozenset({type_.value})
