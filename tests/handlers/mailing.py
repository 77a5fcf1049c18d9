"""A couple, an order, and the mails in an outbox: what the tests of every module that mails begin with."""

import email
import email.policy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.model import Order, Result
from wedsync_ops.jobs.run import Attempt

CONTEXT: dict[str, Any] = {
    "client_id": "c1",
    "supplier_id": "s1",
    "journey_instance_id": "j1",
    "client_data": {"email": "couple@example.org", "couple_name": "Ada & Grace", "venue_name": "The Old Barn"},
    "supplier_data": {"name": "Lumen & Oak", "email": "hello@lumen.example"},
    "wedding_date": "2027-06-19",
}
STRICT = email.policy.default.clone(raise_on_defect=True)


def site_in(folder: Path, **fields: Any) -> Site:
    return Site(outbox=folder / "outbox", timezone="UTC", public_url="http://x.example", mail_from="a@b.c", **fields)


def order(
    config: Mapping[str, Any],
    context: Mapping[str, Any] = CONTEXT,
    key: str = "k",
    module: str = "email",
    suppressed: str | None = None,
) -> Order:
    handler = f"wedsync_ops.handlers.{module}:handle"
    documents = (json.dumps(config).encode(), json.dumps(context).encode())
    return Order(1, 1, 1, handler, *documents, key, 20.0, 512, 20.0, suppressed=suppressed)


def attempt(
    site: Site, config: Mapping[str, Any], context: Mapping[str, Any] = CONTEXT, key: str = "k", module: str = "email"
) -> tuple[Result, str | None, bool]:
    """Run the handler as a slot does; the result, its error, and whether it is final."""
    verdict = Attempt(order(config, context, key, module), site, 1_700_000_000_000_000, lambda _: None).perform()
    return verdict.result, verdict.error, verdict.permanent


def mails(site: Site) -> list[email.message.EmailMessage]:
    return [email.message_from_bytes(path.read_bytes(), policy=STRICT) for path in sorted(site.outbox.rglob("*.eml"))]
