"""Preview: all of what would be delivered, and nothing delivered."""

from pathlib import Path
from typing import Any

import pytest

from tests.handlers.test_email import CONTEXT, site_in
from wedsync_ops.errors import InvalidContext
from wedsync_ops.handlers import email, info
from wedsync_ops.handlers.contract import Handler
from wedsync_ops.handlers.preview import preview

NOW = 1_700_000_000_000_000


def test_a_mail_is_shown_whole_and_not_written(tmp_path: Path) -> None:
    site = site_in(tmp_path, smtp_url="smtp://127.0.0.1:1")
    shown = preview(email.handle, {"template_id": "thank-you"}, CONTEXT, site, NOW)
    assert [item.name for item in shown.artefacts] == ["headers", "text", "html"]
    assert "Subject: Thank you, Ada & Grace" in shown.artefacts[0].text
    assert "Dear Ada &amp; Grace" in shown.artefacts[2].text
    assert shown.result_data["email_sent"] is True
    assert shown.as_json()["artefacts"][1]["media_type"] == "text/plain"
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_shown_and_not_written(tmp_path: Path) -> None:
    config = {"title": "T", "content": "C", "display_in": "both"}
    shown = preview(info.handle, config, CONTEXT, site_in(tmp_path), NOW)
    assert [item.name for item in shown.artefacts] == ["page", "headers", "text", "html"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("handler", "config"),
    [
        (email.handle, {"template_id": "nope"}),
        (email.handle, {"template_id": "thank-you", "subject_override": "{{ 1 // 0 }}"}),
        (info.handle, {"title": "T", "content": "C", "expires_at": "2020-01-01"}),
    ],
)
def test_what_cannot_succeed_is_told(tmp_path: Path, handler: Handler, config: dict[str, Any]) -> None:
    with pytest.raises(InvalidContext):
        preview(handler, config, CONTEXT, site_in(tmp_path), NOW)
