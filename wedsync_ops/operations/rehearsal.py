"""A day of weddings to try the platform with: suppliers, couples, several hundred jobs, and a module type that fails.

What fails is the work of ``hand_over_gallery``, a module type of the rehearsal's own: some galleries are not ready at
the first attempt, some were deleted. Everything else is the real thing.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.handlers.contract import Page, PermanentError, RetryAfter, Run
from wedsync_ops.instants import local_date
from wedsync_ops.jobs.model import Request
from wedsync_ops.weddings.model import Client
from wedsync_ops.weddings.regions import region_of

DEFINITION = b"""\
schema_version: 1
modules:
  - id: gallery
    display_name: Gallery Hand-over
    description: Hands a finished photo gallery over to the couple. Part of the rehearsal.
    category: rehearsal
    handler: wedsync_ops.operations.rehearsal:hand_over_gallery
    capabilities: [page]
    retry: {attempts: 3, backoff: exponential, delay: 700}
    resource_requirements: {cpu_limit: 1, memory_limit: 256, execution_timeout: 10}
    config_schema:
      type: object
      additionalProperties: false
      required: [gallery]
      properties:
        gallery: {type: string, minLength: 1, description: The gallery's number.}
        photos: {type: integer, minimum: 0, description: How many photos it holds; 0 when it was deleted.}
        ready_at_attempt: {type: integer, minimum: 1, description: The attempt from which on it is ready.}
"""

JOURNEY = b"""\
schema_version: 1
journeys:
  - id: classic
    display_name: From the booking to the thank-you
    steps:
      - {id: welcome, module: email, config: {template_id: welcome-email}, anchor: booking, offset: +1d}
      - {id: details, module: email, config: {template_id: final-details-reminder}, offset: -2w, skip_weekends: next}
      - {id: timeline, module: info, config: {title: Your day, content: "See you on {{ wedding_date }}."}, offset: -3d}
      - {id: eve, module: sms, config: {message_text: "Sleep well!", channel: sms}, offset: -1d, at: "18:00"}
      - {id: thanks, module: email, config: {template_id: thank-you}, offset: +2d}
"""

_PEOPLE = (
    "Ada",
    "Ben",
    "Chloe",
    "Dev",
    "Elif",
    "Femi",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kiri",
    "Liam",
    "Mei",
    "Noor",
)
_PLACES = (
    ("Chicago, IL", "America/Chicago"),
    ("San Francisco, CA", "America/Los_Angeles"),
    ("Boston, MA", "America/New_York"),
    ("Austin, TX", "America/Chicago"),
    ("Bath, England", "Europe/London"),
    ("Adelaide, SA", "Australia/Adelaide"),
)
_DAYS_UNTIL = (0, 1, 2, 4, 6, 7, 12, 21, 29, 45, 80, 120, 190, 260)


@dataclass(frozen=True, slots=True)
class _Supplier:
    id: str
    name: str
    vendor_type: str


_SUPPLIERS = (
    _Supplier("s-lumen", "Lumen & Oak Photography", "photographer"),
    _Supplier("s-harbour", "Harbour Light Photo", "photographer"),
    _Supplier("s-barn", "The Old Barn", "venue"),
    _Supplier("s-terrace", "Terrace House", "venue"),
    _Supplier("s-peony", "Peony & Thistle", "florist"),
    _Supplier("s-fennel", "Fennel Catering", "caterer"),
)
_MAILS = (
    "welcome-email",
    "booking-confirmation",
    "timeline-planning",
    "final-details-reminder",
    "payment-due",
    "contract-reminder",
    "thank-you",
)


def hand_over_gallery(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:  # noqa: ARG001
    """Publish a gallery's page: later when it is not ready, never when it was deleted."""
    if config.get("photos") == 0:
        raise PermanentError(f"gallery {config['gallery']} was deleted by its photographer")
    if run.attempt < config.get("ready_at_attempt", 1):
        run.log("the gallery is still being uploaded", gallery=config["gallery"])
        raise RetryAfter(0.5, f"gallery {config['gallery']} is still being uploaded")
    page_id = f"gallery-{config['gallery']}"
    html = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Your gallery</title></head>"
        f"<body><h1>Your gallery is ready</h1><p>{int(config.get('photos', 1))} photos wait for you.</p></body></html>"
    )
    receipt = run.deliver(Page(page_id, html))
    return {"gallery_shared": True, "page_id": page_id, "reference": receipt.reference}


def day(now: int, jobs: int, seed: int = 7) -> Iterator[Request]:
    """The day's requests: four vendor types, weddings from today to next year, some that fail once, some for good.

    ``now`` is an instant in microseconds; the same seed gives the same day.
    """
    dice = random.Random(seed)  # noqa: S311 - a story, no secret
    for number in range(jobs):
        supplier = dice.choice(_SUPPLIERS)
        context = _context(now, number, supplier, dice)
        kind = dice.random()
        if supplier.vendor_type == "photographer" and kind < 0.25:
            yield Request("gallery", _gallery(number, dice), context)
        elif kind < 0.45:
            yield Request("info", _page(dice), context, priority=dice.choice((None, None, "low")))
        else:
            template = dice.choice(_MAILS)
            priority = "high" if template == "payment-due" else None
            yield Request("email", {"template_id": template, "send_time": "immediate"}, context, priority=priority)


def couples(now: int) -> list[Client]:
    """Couples who marry from next week to next year; one of them left no phone number."""
    found = []
    for number, days in enumerate((6, 12, 40, 200)):
        place, zone = _PLACES[number]
        today = local_date(now, ZoneInfo(zone))
        one, two = _PEOPLE[2 * number : 2 * number + 2]
        client = Client(
            client_id=f"couple-{number + 1}",
            couple_name=f"{one} & {two}",
            email=f"{one}.{two}@example.org".lower(),
            phone=None if number == 1 else "+12025550123",
            wedding_on=today + timedelta(days=days),
            location=place,
            region=region_of(place),
            supplier_id="s-lumen",
            vendor_type="photographer",
            timezone=zone,
            booked_on=today,
        )
        found.append(client)
    return found


def _context(now: int, number: int, supplier: _Supplier, dice: random.Random) -> dict[str, Any]:
    one, two = dice.sample(_PEOPLE, 2)
    place, zone = dice.choice(_PLACES)
    wedding = local_date(now, ZoneInfo(zone)) + timedelta(days=dice.choice(_DAYS_UNTIL))
    return {
        "client_id": f"c-{number:04}",
        "supplier_id": supplier.id,
        "journey_instance_id": f"j-{number:04}",
        "client_data": {
            "couple_name": f"{one} & {two}",
            "email": f"{one}.{two}.{number}@example.org".lower(),
            "venue_name": "The Old Barn",
        },
        "supplier_data": {"name": supplier.name, "email": f"hello@{supplier.id}.example"},
        "vendor_type": supplier.vendor_type,
        "wedding_date": wedding.isoformat(),
        "timezone": zone,
        "location": place,
    }


def _gallery(number: int, dice: random.Random) -> dict[str, Any]:
    fate = dice.random()
    photos = 0 if fate < 0.2 else dice.randint(80, 900)
    return {"gallery": f"{number:04}", "photos": photos, "ready_at_attempt": 2 if 0.2 <= fate < 0.5 else 1}


def _page(dice: random.Random) -> dict[str, Any]:
    title, content = dice.choice(
        (
            (
                "Parking and arrival",
                "Park behind **{{ venue_name }}**. Doors open at *14:00*.\n\n- Coaches: north gate",
            ),
            ("Rain plan", "If it rains on {{ wedding_date }}, we move to the orangery. Nothing for you to do."),
            ("Your timeline", "Dear {{ couple_name }},\n\n1. Ceremony\n2. Portraits\n3. Dinner"),
        )
    )
    return {"title": title, "content": content, "content_type": "markdown"}
