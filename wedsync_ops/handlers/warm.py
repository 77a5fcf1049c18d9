"""What the shipped handlers import only when they run, imported ahead: by the fork server, once for all slots."""

import importlib
from collections.abc import Collection

from wedsync_ops.handlers.contract import Site

_OURS = "wedsync_ops.handlers."
_SLOW = ("icalendar", "phonenumbers", "zxingcpp")
_ROOM = ("attachments", "compose", "delivery", "invitation", "page", "plaintext", "qr", "render", "timezones")


def load(handlers: Collection[str], site: Site) -> None:
    """Import what the first job of each kind would otherwise wait for, some 0.2 s; nothing without a handler of ours.

    Raises ImportError when a library is missing.
    """
    if not any(name.startswith(_OURS) for name in handlers):
        return
    for name in (*_SLOW, *(_OURS + part for part in _ROOM), *(("httpx2",) if site.sms_url else ())):
        importlib.import_module(name)
