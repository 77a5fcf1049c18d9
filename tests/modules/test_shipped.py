"""The seven module types that are shipped: complete, closed, bounded as the specification says."""

from collections.abc import Iterator
from typing import Any

import pytest

from wedsync_ops import yamldoc
from wedsync_ops.db import Database
from wedsync_ops.errors import UsageError
from wedsync_ops.modules import actions, discovery, registry, schema, store
from wedsync_ops.modules.model import Definition
from wedsync_ops.vendors import singular

RAW = actions.read_file(actions.shipped_file())
DEFINITIONS = {item["id"]: Definition.model_validate(item) for item in yamldoc.read(RAW).value["modules"]}
MODULES = sorted(DEFINITIONS)


def test_the_file_registers_without_a_problem_or_a_warning() -> None:
    parsed = registry.parse(RAW)
    assert parsed.problems == parsed.warnings == ()


def test_seven_types_and_which_are_active() -> None:
    assert MODULES == ["email", "form", "info", "meeting", "referral", "review", "sms"]
    assert all(DEFINITIONS[name].is_active for name in MODULES)
    assert len(MODULES) == 7
    assert all(item.handler == f"wedsync_ops.handlers.{name}:handle" for name, item in DEFINITIONS.items())


def _properties(node: Any) -> Iterator[tuple[str, Any]]:
    for name, rule in node.get("properties", {}).items():
        yield name, rule
        yield from _properties(rule)


@pytest.mark.parametrize("name", MODULES)
def test_each_is_complete(name: str) -> None:
    item = DEFINITIONS[name]
    assert item.description
    assert item.icon
    assert item.capabilities
    assert schema.is_closed(item.config_schema)
    assert [key for key, rule in _properties(item.config_schema) if not rule.get("description")] == []
    assert len(item.examples) >= 2
    vendors = item.wedding_optimizations.vendor_type_optimization
    assert vendors
    assert set(vendors) <= {"photographer", "venue", "florist", "caterer", "planner"}
    assert [key for key in vendors if singular(key) != key] == []


def errors(name: str, config: dict[str, Any]) -> list[str]:
    rules = DEFINITIONS[name].config_schema
    return schema.errors(schema.compiled(rules), rules, config)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_fits(name: str) -> None:
    assert [
        errors(name, example.config) for example in DEFINITIONS[name].examples if errors(name, example.config)
    ] == []


@pytest.mark.parametrize("name", MODULES)
def test_an_unknown_key_is_refused(name: str) -> None:
    config = {**DEFINITIONS[name].examples[0].config, "surprise": 1}
    assert errors(name, config) == ["config.surprise: is not a key that the schema knows"]


@pytest.mark.parametrize("name", MODULES)
def test_each_required_key_is_required(name: str) -> None:
    required = DEFINITIONS[name].config_schema["required"]
    assert set(errors(name, {})) == {f"config.{key}: is required" for key in required}


SMS = {"message_text": "hello", "channel": "sms"}
WHATSAPP = {"message_text": "hello", "channel": "whatsapp"}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("email", {"template_id": "x", "send_delay": 0}),
        ("email", {"template_id": "x", "send_delay": 1.5, "send_time": "business_hours"}),
        ("email", {"template_id": "x", "send_time": "custom", "send_at": "2027-06-19T14:00:00+02:00"}),
        ("email", {"template_id": "x", "personalization": {"a": "b", "n": 1, "f": None}, "attachments": ["a.pdf"]}),
        ("sms", {**SMS, "message_text": "x" * 1600}),
        ("sms", {**WHATSAPP, "message_text": "x" * 4096, "media_url": "https://example.com/a.jpg"}),
        ("form", {"form_id": "f", "reminder_frequency": 1, "deadline": "2028-02-29"}),
        ("form", {"form_id": "f", "completion_redirect": "http://example.com/x"}),
        ("meeting", {"meeting_type": "call", "duration": 1440, "buffer_time": 0, "format": "phone"}),
        ("info", {"title": "t", "content": "c", "content_type": "html", "expires_at": "2027-06-19T14:00:00Z"}),
        ("review", {"platforms": ["google", "facebook", "yelp", "weddingwire", "internal"], "days_after_wedding": 14}),
        ("referral", {"reward_type": "credit", "reward_amount": 0, "expires_at": "2027-06-19"}),
    ],
)
def test_configs_at_their_bounds_fit(name: str, config: dict[str, Any]) -> None:
    assert errors(name, config) == []


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("email", {"template_id": ""}, "config.template_id: must not be empty"),
        ("email", {"template_id": "x", "send_delay": -1}, "config.send_delay: must be at least 0"),
        ("email", {"template_id": "x", "send_time": "custom"}, "config.send_at: is required"),
        (
            "email",
            {"template_id": "x", "send_at": "2027-06-19T14:00:00Z"},
            "config.send_at: is only allowed with send_time custom",
        ),
        ("email", {"template_id": "x", "reply_to": "nobody"}, "config.reply_to: must be an e-mail address"),
        (
            "email",
            {"template_id": "x", "personalization": {"a": []}},
            "config.personalization.a: must be a boolean or a number or a string or null",
        ),
        ("sms", {**SMS, "message_text": ""}, "config.message_text: must not be empty"),
        ("sms", {**SMS, "message_text": "x" * 1601}, "config.message_text: must have at most 1,600 characters"),
        ("sms", {**WHATSAPP, "message_text": "x" * 4097}, "config.message_text: must have at most 4,096 characters"),
        ("sms", {**SMS, "channel": "fax"}, "config.channel: must be one of sms, whatsapp"),
        (
            "sms",
            {**SMS, "media_url": "https://example.com/a"},
            "config.media_url: is only allowed with channel whatsapp",
        ),
        ("sms", {**WHATSAPP, "media_url": "file:///etc/passwd"}, "config.media_url: must match the pattern ^https?://"),
        ("sms", {**SMS, "send_time": "custom"}, "config.send_at: is required"),
        ("form", {"form_id": "f", "reminder_frequency": 0}, "config.reminder_frequency: must be at least 1"),
        ("form", {"form_id": "f", "deadline": "2027-02-29"}, "config.deadline: must be a date, such as 2027-06-19"),
        (
            "form",
            {"form_id": "f", "completion_redirect": "javascript:alert(1)"},
            "config.completion_redirect: must match the pattern ^https?://",
        ),
        ("meeting", {"meeting_type": "m", "duration": 0}, "config.duration: must be at least 1"),
        ("meeting", {"meeting_type": "m", "duration": 1441}, "config.duration: must be at most 1440"),
        ("meeting", {"meeting_type": "m", "duration": 60, "buffer_time": -1}, "config.buffer_time: must be at least 0"),
        ("info", {"title": "t", "content": ""}, "config.content: must not be empty"),
        (
            "info",
            {"title": "t", "content": "c", "content_type": "pdf"},
            "config.content_type: must be one of text, markdown, html",
        ),
        ("review", {"platforms": []}, "config.platforms: must not be empty"),
        (
            "review",
            {"platforms": ["myspace"]},
            "config.platforms[0]: must be one of google, facebook, yelp, weddingwire, internal",
        ),
        ("review", {"platforms": ["yelp"], "days_after_wedding": 6}, "config.days_after_wedding: must be at least 7"),
        ("review", {"platforms": ["yelp"], "days_after_wedding": 15}, "config.days_after_wedding: must be at most 14"),
        ("referral", {"reward_type": "cash"}, "config.reward_type: must be one of discount, credit, gift"),
        ("referral", {"reward_type": "gift", "reward_amount": -1}, "config.reward_amount: must be at least 0"),
    ],
)
def test_configs_beyond_their_bounds_are_refused(name: str, config: dict[str, Any], said: str) -> None:
    assert errors(name, config) == [said]


@pytest.fixture
def shipped(sqlite_database: Database) -> registry.Registry:
    """The registry of the shipped types, all made active with a handler that exists."""
    text = RAW.replace(b"is_active: false", b"is_active: true")
    for name in MODULES:
        text = text.replace(f"wedsync_ops.handlers.{name}:handle".encode(), b"tests.modules.sample:handle")
    assert actions.register(sqlite_database, text, "shipped", now=1).problems == ()
    with sqlite_database.reading() as connection:
        return store.load(connection)


def ids(listed: tuple[discovery.Listed, ...]) -> list[str]:
    return [item.module.module_id for item in listed]


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (None, MODULES),
        ("free", ["email"]),
        ("starter", ["email", "form"]),
        ("professional", ["email", "form", "info", "meeting", "sms"]),
        ("scale", ["email", "form", "info", "meeting", "review", "sms"]),
        ("enterprise", MODULES),
    ],
)
def test_discovery_by_tier(shipped: registry.Registry, tier: str | None, expected: list[str]) -> None:
    assert ids(discovery.discover(shipped, tier=tier)) == expected


def test_discovery_by_category_and_capability(shipped: registry.Registry) -> None:
    assert ids(discovery.discover(shipped, category="communication")) == ["email", "info", "sms"]
    assert ids(discovery.discover(shipped, capability="scheduling")) == ["email", "review", "sms"]
    assert ids(discovery.discover(shipped, category="communication", tier="free")) == ["email"]
    assert discovery.discover(shipped, category="nothing") == ()


@pytest.mark.parametrize("name", ["photographer", "photographers", "Photographers"])
def test_discovery_by_vendor_type_puts_its_modules_first(shipped: registry.Registry, name: str) -> None:
    listed = discovery.discover(shipped, vendor_type=name)
    assert ids(listed) == ["email", "form", "review", "info", "meeting", "referral", "sms"]
    assert [item.priority_boost for item in listed] == [1, 1, 1, 0, 0, 0, 0]
    defaults = discovery.vendor_named(name)
    assert (defaults.peak_hours, defaults.resource_profile) == ((9, 17), "cpu_optimized")


def test_a_tier_or_vendor_type_that_is_none_is_refused_with_the_known_ones(shipped: registry.Registry) -> None:
    with pytest.raises(UsageError, match="free, starter, professional, scale, enterprise"):
        discovery.discover(shipped, tier="gold")
    with pytest.raises(UsageError, match="photographer, venue"):
        discovery.discover(shipped, vendor_type="dj")


def test_what_is_not_in_use_is_listed_only_on_request(sqlite_database: Database, shipped: registry.Registry) -> None:
    actions.retire(sqlite_database, "sms", now=2)
    with sqlite_database.reading() as connection:
        now = store.load(connection)
    assert ids(discovery.discover(now)) == [name for name in MODULES if name != "sms"]
    everything = discovery.discover(now, include_all=True)
    assert ids(everything) == MODULES
    assert [item.is_usable for item in everything if item.module.module_id == "sms"] == [False]
    assert {item.module.module_id: item.tier for item in everything}["referral"] == "enterprise"
