"""A signed POST of the message's document: Standard Webhooks, as finished jobs are posted."""

from wedsync_ops import codec
from wedsync_ops.alerts import notify_text
from wedsync_ops.alerts.channels.http import Post, post
from wedsync_ops.alerts.notify_model import Message, Outcome
from wedsync_ops.clock import Clock
from wedsync_ops.jobs.events import headers, signing_key


class Webhook:
    """A receiver and the secret that it verifies by."""

    def __init__(self, url: str, secret: str, timeout_s: float, clock: Clock) -> None:
        self._url = url
        self._key = signing_key(secret)
        self._timeout_s = timeout_s
        self._clock = clock

    def send(self, message: Message) -> Outcome:
        """Post a message; ``Webhook-Id`` is its id, the same at every attempt."""
        body = codec.dumps(notify_text.document(message))
        signed = headers(self._key, message.id, self._clock.now(), body)
        return post(Post(self._url, body, signed, self._timeout_s))
