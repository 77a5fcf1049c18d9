"""What the tests of texts share: a couple, configs, and the handler run as a slot runs it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.model import Order, Result
from wedsync_ops.jobs.run import Attempt, Verdict

NUMBER = "+447700900123"
CONTEXT: dict[str, Any] = {
    "client_id": "c1",
    "supplier_id": "s1",
    "journey_instance_id": "j1",
    "client_data": {"phone": "07700 900123", "couple_name": "Ada & Grace", "sms_opt_in": True},
    "supplier_data": {"name": "Lumen & Oak"},
    "timezone": "Europe/London",
}
SMS = {"message_text": "Hi {{ couple_name }}!", "channel": "sms"}
WHATSAPP = {"message_text": "Hi {{ couple_name }}!", "channel": "whatsapp"}
FALLING_BACK = {**WHATSAPP, "fallback_to_sms": True}
NOW = 1_700_000_000_000_000  # 14 November 2023, 22:13:20 UTC


def site_in(folder: Path, **fields: Any) -> Site:
    return Site(outbox=folder / "outbox", timezone="UTC", public_url="http://x.example", mail_from="a@b.c", **fields)


def attempt(
    site: Site,
    config: Mapping[str, Any],
    context: Mapping[str, Any] = CONTEXT,
    *,
    key: str = "k",
    suppressed: str | None = None,
    timeout_s: float = 20.0,
) -> Verdict:
    """Run the handler as a slot does."""
    documents = (json.dumps(config).encode(), json.dumps(context).encode())
    name = "wedsync_ops.handlers.sms:handle"
    order = Order(1, 1, 1, name, *documents, key, timeout_s, 512, 20.0, suppressed=suppressed)
    return Attempt(order, site, NOW, lambda _: None).perform()


def result_of(verdict: Verdict) -> dict[str, Any]:
    assert verdict.result is Result.OK, verdict.error
    found: dict[str, Any] = json.loads(verdict.data or b"")
    return found


def texts(site: Site) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(site.outbox.glob("*.json"))]


def with_client(**fields: Any) -> dict[str, Any]:
    return {**CONTEXT, "client_data": {**CONTEXT["client_data"], **fields}}
