"""An e-mail to the on-call, over the platform's mail server or another one."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from wedsync_ops.alerts import notify_text
from wedsync_ops.alerts.model import Severity
from wedsync_ops.alerts.notify_model import TAKEN, Message, Outcome
from wedsync_ops.handlers import smtp
from wedsync_ops.handlers.contract import PermanentError, RetryAfter, Site
from wedsync_ops.handlers.delivery import mail_domain
from wedsync_ops.handlers.uplink import Uplink
from wedsync_ops.instants import to_datetime

_POLICY = SMTP.clone(max_line_length=998)
"""Python folds a subject before its first word; one of ours fits a line, which may be so long (RFC 5322)."""


class Mail:
    """A server, a sender and the recipients. The Message-ID is made of the message's id: repeats can be told apart."""

    def __init__(self, url: str, sender: str, to: tuple[str, ...], site: Site, timeout_s: float) -> None:
        self._url = url
        self._sender = sender
        self._to = to
        self._site = site
        self._timeout_s = timeout_s

    def send(self, message: Message) -> Outcome:
        """Send a message."""
        raw = self._mail(message).as_bytes(policy=_POLICY)
        try:
            smtp.send(
                raw,
                self._sender,
                self._to,
                url=self._url,
                site=self._site,
                timeout_s=self._timeout_s,
                uplink=Uplink(),
            )
        except PermanentError as error:
            return Outcome(str(error), final=True)
        except RetryAfter as error:
            return Outcome(str(error), retry_after_s=error.seconds)
        except smtp.DeliveryFailed as error:
            return Outcome(str(error))
        finally:
            smtp.close()  # pages are rare: no connection is held between them
        return TAKEN

    def _mail(self, message: Message) -> EmailMessage:
        zone = ZoneInfo(self._site.timezone)
        mail = EmailMessage()
        mail["Subject"] = notify_text.title(message)
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._to)
        mail["Date"] = format_datetime(to_datetime(message.at))
        mail["Message-ID"] = f"<{message.id}@{mail_domain(self._sender)}>"
        mail["Auto-Submitted"] = "auto-generated"
        if notify_text.severity(message) is Severity.CRITICAL:
            mail["Importance"] = "high"
            mail["X-Priority"] = "1"
        mail.set_content(notify_text.text(message, zone) + "\n")
        return mail
