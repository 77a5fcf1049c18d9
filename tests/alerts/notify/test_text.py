"""What a message says."""

from zoneinfo import ZoneInfo

import pytest

from tests.alerts.notify.telling import NOW, WEEK, an_alert, wedding
from wedsync_ops.alerts import notify_text
from wedsync_ops.alerts.model import AlertType
from wedsync_ops.alerts.notify_model import Kind, Message

UTC = ZoneInfo("UTC")


def message(*alerts: object, kind: Kind = Kind.OPENED) -> Message:
    return Message("ntf_1", kind, NOW, alerts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (Kind.OPENED, "[CRITICAL] wedding_week_errors email: 12.5 is over 0.1"),
        (Kind.WORSENED, "[CRITICAL] worse: wedding_week_errors email: 12.5 is over 0.1"),
        (Kind.ESCALATED, "[CRITICAL] nobody has acknowledged: wedding_week_errors email: 12.5 is over 0.1"),
        (Kind.REPEATED, "[CRITICAL] still open: wedding_week_errors email: 12.5 is over 0.1"),
        (Kind.ACKNOWLEDGED, "[CRITICAL] acknowledged: wedding_week_errors email: 12.5 is over 0.1"),
        (Kind.RESOLVED, "[RESOLVED] wedding_week_errors email: 12.5 is over 0.1"),
    ],
)
def test_a_title_says_how_bad_and_what(kind: Kind, title: str) -> None:
    assert notify_text.title(message(an_alert(WEEK), kind=kind)) == title


def test_the_title_of_several_is_as_bad_as_the_worst() -> None:
    found = notify_text.title(message(an_alert(), an_alert(WEEK, module_type="sms")))
    assert found == "[CRITICAL] 2 alerts: queue_length email, wedding_week_errors sms"


def test_the_text_has_all_that_whoever_is_woken_needs() -> None:
    alert = an_alert(WEEK, id=31, weddings=(wedding("2027-06-19"), wedding("2027-06-20")))
    assert notify_text.text(message(alert), ZoneInfo("America/New_York")) == (
        "CRITICAL wedding_week_errors email: 12.5 is over 0.1\n"
        "Since 2027-06-14 05:00:00 EDT\n"
        "Value 12.5, the limit is 0.1\n"
        "Weddings affected: 2027-06-19 (couple c-ada), 2027-06-20 (couple c-ada)\n"
        "Runbook: docs/runbooks/wedding_week_errors.md\n"
        "Next: wedsync-ops queue status\n"
        "Acknowledge: wedsync-ops alerts ack 31"
    )


def test_what_is_not_known_is_left_out() -> None:
    bare = an_alert(AlertType.CUSTOM, value=None, threshold=None, message="", runbook="", command="", module_type=None)
    assert notify_text.text(message(bare, kind=Kind.RESOLVED), UTC) == (
        "WARNING custom: \nSince 2027-06-14 09:00:00 UTC"
    )


def test_long_lists_are_cut() -> None:
    many = [an_alert(weddings=tuple(wedding(f"2027-07-{day:02}") for day in range(1, 10)))] * 25
    text = notify_text.text(message(*many), UTC)
    assert text.endswith("And 5 more: wedsync-ops alerts list")
    assert "2027-07-05 (couple c-ada) and 4 more" in text
    assert len(notify_text.title(message(*many))) <= 151


def test_nothing_steers_a_terminal_or_a_header() -> None:
    nasty = an_alert(message="x\r\nBcc: everybody@example.org\x1b[31m\u2028")
    title = notify_text.title(message(nasty))
    assert title.isprintable()
    assert "\r" not in notify_text.text(message(nasty), UTC)
    assert notify_text.text(message(nasty), UTC).count("\n") == 5


def test_the_document_has_the_keys_of_the_contract() -> None:
    document = notify_text.document(message(an_alert(WEEK, weddings=(wedding("2027-06-19"),))))
    assert (document["schema"], document["kind"], document["at"]) == (
        "wedsync-ops/alert-notification@1",
        "opened",
        "2027-06-14T09:00:00.000000Z",
    )
    (alert,) = document["alerts"]
    contract = {"id", "type", "severity", "state", "module_type", "since", "value", "threshold", "message", "runbook"}
    assert contract <= set(alert)
    assert alert["weddings"] == [
        {"wedding_date": "2027-06-19", "client_id": "c-ada", "supplier_id": "s-lumen", "job_id": 4711}
    ]
