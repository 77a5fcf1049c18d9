"""What the settings that handlers use must be: checked at start, so that no job finds out at night."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from wedsync_ops.errors import SettingError, quoted
from wedsync_ops.handlers.addresses import named_address
from wedsync_ops.settings import Settings

_FOLDERS = ("templates_dir", "attachments_dir")
"""Folders that are only read, and so must be there; the outbox is made."""
_IN_A_HEADER = re.compile(r"[!-~]+")
_NOT_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\"'<>\\^`{|}]")


def check_settings(settings: Settings, sources: Mapping[str, str]) -> None:
    """Raise SettingError for the first setting that handlers could not use, with the place that it came from."""
    faults: Mapping[str, Callable[[Settings], str | None]] = {
        "mail_from": _sender_fault,
        "public_url": _url_fault,
        "sms_token": lambda known: _token_fault(known.sms_token),
        "sms_token_backup": lambda known: _token_fault(known.sms_token_backup),
    }
    for name, fault_of in faults.items():
        _refuse(name, fault_of(settings), sources)
    for name in _FOLDERS:
        _refuse(name, _folder_fault(getattr(settings, name), must_exist=True), sources)
    _refuse("outbox_dir", _folder_fault(settings.outbox_dir, must_exist=False), sources)


def _refuse(name: str, fault: str | None, sources: Mapping[str, str]) -> None:
    if fault is not None:
        raise SettingError(f"the setting {name} ({sources[name]}) {fault}")


def _sender_fault(settings: Settings) -> str | None:
    try:
        named_address(settings.mail_from)
    except ValueError:
        return f"must be one address, as Name <name@host> or name@host, not {quoted(settings.mail_from, 80)}"
    return None


def _url_fault(settings: Settings) -> str | None:
    """What is wrong with an address that paths and queries are put behind; it is known to be one."""
    parts = urlsplit(settings.public_url)
    if "@" in parts.netloc:
        return "must hold no user and no password: it stands in every link"
    if "?" in settings.public_url or "#" in settings.public_url:
        return "must have no query and no fragment: paths are put behind it"
    if _NOT_IN_A_URL.search(settings.public_url):
        return "holds what an address cannot: white space, quotes, brackets or control characters"
    return None


def _token_fault(token: str | None) -> str | None:
    if token is None or _IN_A_HEADER.fullmatch(token):
        return None
    return "holds what a header cannot: white space, control characters, or more than ASCII"


def _folder_fault(folder: Path | None, *, must_exist: bool) -> str | None:
    try:
        if folder is None or folder.is_dir():
            return None
        if must_exist or folder.exists():
            why = "is no folder" if folder.exists() else "does not exist"
            return f"{why}: {quoted(str(folder), 120)}"
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    return None
