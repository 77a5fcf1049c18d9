"""One couple's journey with an invented supplier: a job of each module type, run on its day by a real worker."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wedsync_ops.app import App, open_app
from wedsync_ops.jobs.actions import enqueue_many
from wedsync_ops.jobs.model import Options, Queued, Request
from wedsync_ops.jobs.worker import Worker
from wedsync_ops.modules.actions import register, shipped_file
from wedsync_ops.settings import load
from wedsync_ops.testing.clock import FakeClock

CONTEXT: dict[str, Any] = {
    "client_id": "c-priya-tom",
    "supplier_id": "s-fern",
    "journey_instance_id": "j-1",
    "vendor_type": "photographer",
    "wedding_date": "2027-06-19",
    "timezone": "Europe/London",
    "location": "Bath, United Kingdom",
    "client_data": {
        "couple_name": "Priya & Tom",
        "email": "priya.and.tom@example.org",
        "phone": "07700 900123",
        "venue_name": "Hartwell Barn",
        "sms_opt_in": True,
    },
    "supplier_data": {
        "name": "Fern & Lantern",
        "email": "hello@fernlantern.example",
        "brand_color": "#2f5d50",
        "signature": "Mara Whitlock · Photographer\n+44 1632 960147",
        "currency": "GBP",
        "review_links": {"google": "https://g.example/fernlantern", "facebook": "https://fb.example/fernlantern"},
    },
}
_DAY = """\
Dear {{ couple_name }}, this is the day as we have planned it with you. Keep the page on your phone, and share it with
whoever walks you through the day.

| When | What | Where |
|---|---|---|
| 10:30 | Getting ready, details, first portraits | The Mill Cottage |
| 13:00 | Ceremony | Walled garden |
| 13:45 | Family portraits, 20 minutes | Old orchard |
| 16:00 | Dinner and speeches | {{ venue_name }} |
| 20:45 | Golden-hour walk, just the two of you | West meadow |
| 21:30 | First dance | {{ venue_name }} |

## If it rains

The ceremony moves into the barn; we decide at **9:00** together. Bring *two white umbrellas*, they look lovely.

## On the day

Mara's phone is **+44 1632 960147**. Parking for guests is behind the barn, at gate 2.
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A job, and the time at which it is queued and run. ``step`` becomes the context's ``step_data``."""

    module: str
    at: str
    config: dict[str, Any]
    step: dict[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> Request:
        """The job as it is queued."""
        return Request(self.module, self.config, {**CONTEXT, "step_data": self.step}, key=f"{self.module}-priya-tom")


SCENES = (
    Scene(
        "email",
        "2026-11-02T09:30:00Z",
        {
            "template_id": "booking-confirmation",
            "personalization": {
                "booking_package": "The whole day, two photographers",
                "reference": "FL-2027-041",
                "booking_url": "https://fernlantern.example/bookings/041",
            },
        },
    ),
    Scene(
        "form",
        "2027-03-01T10:00:00Z",
        {"form_id": "people-and-plans", "deadline": "2027-05-01", "reminder_enabled": True},
        {"form_name": "The people and the plans"},
    ),
    Scene(
        "meeting",
        "2027-04-05T08:15:00Z",
        {"meeting_type": "venue_walk", "duration": 90, "format": "in_person", "location": "Hartwell Barn, Gate 2"},
        {"id": "walk", "starts_at": "2027-04-17T10:00:00"},
    ),
    Scene(
        "info",
        "2027-06-11T09:00:00Z",
        {
            "title": "Your day, hour by hour",
            "content": _DAY,
            "content_type": "markdown",
            "display_in": "page",
            "priority": "high",
            "expires_at": "2027-06-20",
        },
        {"id": "day-plan"},
    ),
    Scene(
        "sms",
        "2027-06-18T15:00:00Z",
        {
            "message_text": "Hi {{ couple_name }}! Tomorrow is the day. We are at the Mill Cottage at 10:30, cameras"
            " charged. Anything at all: +44 1632 960147. Sleep well! Mara, {{ supplier_name }}",
            "channel": "sms",
            "require_opt_in": True,
        },
    ),
    Scene("review", "2027-06-26T09:00:00Z", {"platforms": ["google", "facebook", "internal"]}),
    Scene(
        "referral",
        "2027-07-10T09:00:00Z",
        {"reward_type": "credit", "reward_amount": 100, "expires_at": "2028-06-30"},
    ),
)


def delivered(home: Path) -> dict[str, Path]:
    """Play all scenes on an empty platform; the artefact of each, by module type. Raises RuntimeError."""
    clock = FakeClock(SCENES[0].at)
    options = {"home": home, "public_url": "https://wedsync.example", "mail_from": "no-reply@wedsync.example"}
    app = open_app(load({**options, "link_secret": "5f" * 32}, environment={}), clock)
    try:
        register(app.database, shipped_file().read_bytes(), "modules.yaml", now=clock.now())
        return {scene.module: _played(scene, app, clock) for scene in SCENES}
    finally:
        app.close()


def _played(scene: Scene, app: App, clock: FakeClock) -> Path:
    """Queue the scene's job, run a worker until nothing is due, and find what came into the outbox."""
    clock.set(scene.at)
    outbox = app.settings.outbox
    before = set(outbox.glob("*"))
    [answer] = enqueue_many(app.queue(), [scene.request])
    if not isinstance(answer, Queued):
        raise RuntimeError(f"{scene.module}: {answer}")
    options = Options(slots=1, drain=True, modules=[scene.module])
    Worker(app.database, app.clock, app.rules, options, random.Random(1)).run()
    found = sorted(set(outbox.glob("*")) - before)
    if len(found) != 1:
        raise RuntimeError(f"{scene.module}: {len(found)} artefacts were delivered")
    return found[0]
