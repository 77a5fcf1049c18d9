"""Every other service that Apprise knows, over the extra ``notify``; imported only when such a channel is used."""

import logging
from zoneinfo import ZoneInfo

from wedsync_ops.alerts import notify_text
from wedsync_ops.alerts.model import Severity
from wedsync_ops.alerts.notify_model import TAKEN, Kind, Message, Outcome
from wedsync_ops.errors import SettingError


class Apprise:
    """One Apprise URL, which is the secret. Raises SettingError when Apprise is missing, or knows no such URL."""

    def __init__(self, name: str, url: str, zone: ZoneInfo) -> None:
        try:
            import apprise
        except ModuleNotFoundError as error:
            raise SettingError(
                f"the channel {name!r} needs Apprise, which is not installed",
                hint="pip install 'wedsync-ops[notify]'",
            ) from error
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would log addresses that hold secrets
        self._zone = zone
        self._made = apprise.Apprise()
        if not self._made.add(url):
            raise SettingError(f"the URL of the channel {name!r} is none that Apprise knows")

    def send(self, message: Message) -> Outcome:
        """Send a message; Apprise says only whether it was taken."""
        title, text = notify_text.title(message), notify_text.text(message, self._zone)
        try:
            is_taken = self._made.notify(body=text, title=title, notify_type=_kind(message))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, and its message may hold the URL
            return Outcome(f"Apprise failed: {type(error).__name__}")
        return TAKEN if is_taken else Outcome("Apprise could not deliver it")


def _kind(message: Message) -> str:
    """Apprise's word for how bad it is."""
    if message.kind is Kind.RESOLVED:
        return "success"
    if message.kind in (Kind.TEST, Kind.ACKNOWLEDGED):
        return "info"
    return "failure" if notify_text.severity(message) is Severity.CRITICAL else "warning"
