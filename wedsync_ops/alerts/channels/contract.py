"""What a channel is to whoever sends: it takes a message, and says what became of it. It never raises."""

from typing import Protocol

from wedsync_ops.alerts.notify_model import Message, Outcome


class Sender(Protocol):
    """One configured channel, with its secrets. Messages are sent one after the other, from any thread."""

    def send(self, message: Message) -> Outcome:
        """Send a message; an error names no secret, and holds one line."""
        ...
