"""Settings that handlers use: what none of them could use is refused before anything is opened."""

from pathlib import Path

import pytest

from wedsync_ops.app import open_app
from wedsync_ops.errors import SettingError
from wedsync_ops.settings import load


def refused(home: Path, name: str, value: str) -> str:
    with pytest.raises(SettingError) as caught:
        open_app(load({"home": home}, {f"WEDSYNC_OPS_{name.upper()}": value}))
    message = str(caught.value)
    assert f"the setting {name} (environment) " in message
    assert "\n" not in message
    assert not home.exists()
    return message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mail_from", "Lumen Studio"),
        ("mail_from", "foo"),
        ("mail_from", "a@b, c@d"),
        ("mail_from", "Us <a@b.c>, Them <d@e.f>"),
        ("public_url", "https://x.example/?a=b"),
        ("public_url", "https://x.example/#top"),
        ("public_url", "https://x.example/?"),
        ("public_url", "https://x.example/a b"),
        ("public_url", 'https://x.example/"onclick'),
        ("public_url", "https://x.example/\nx"),
        ("public_url", "https://ann:s3cret@x.example"),
        ("sms_token", "two s3crets"),
        ("sms_token", "s3cret\x01"),
        ("sms_token", "s3crét"),
    ],
)
def test_what_no_handler_can_use_is_refused(tmp_path: Path, name: str, value: str) -> None:
    message = refused(tmp_path / "home", name, value)
    assert "s3cr" not in message


@pytest.mark.parametrize("name", ["outbox_dir", "templates_dir", "attachments_dir"])
def test_a_folder_is_no_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert "is no folder" in refused(tmp_path / "home", name, str(file))


@pytest.mark.parametrize("name", ["templates_dir", "attachments_dir"])
def test_a_folder_that_is_read_is_there(tmp_path: Path, name: str) -> None:
    assert "does not exist" in refused(tmp_path / "home", name, str(tmp_path / "nowhere"))


def test_what_can_be_used_is_taken(tmp_path: Path) -> None:
    given = {
        "home": tmp_path / "home",
        "mail_from": "Lumen Studio <hello@lumen.example>",
        "public_url": "https://wëd.example:8443/app/",
        "sms_token": "abc.DEF-123_~",
        "outbox_dir": tmp_path / "made" / "later",
        "templates_dir": tmp_path,
        "attachments_dir": tmp_path,
    }
    open_app(load(given, {})).close()
