"""What somebody has to do by hand when the platform will not do it in time. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from wedsync_ops.planning.model import Change, Decided

_LONGEST = 300
_BEGINNING = (Change.QUEUE, Change.RESTORE)
_WORDS: Mapping[str, str] = {
    "email": "write to {email}: what the template {template_id} says",
    "sms": "text {phone}: {message_text}",
    "form": "ask them for the answers of the form {form_id}",
    "meeting": "arrange the meeting {meeting_type} of {duration} minutes",
    "info": "tell them: {title}",
    "review": "ask them for a review",
    "referral": "offer them the referral reward",
}


def key_of(journey_id: str, step_id: str, client_id: str) -> str:
    """What names a step of a couple on the call sheet."""
    return f"{journey_id}/{step_id}/{client_id}"


def in_words(module_type: str, config: Mapping[str, Any], email: str, phone: str | None) -> str:
    """What the job of a module type would do, as a request to a person; also for one that nobody here knows."""
    words = _WORDS.get(module_type)
    if words is None:
        return f"do what the module {module_type} would"
    told = _Told({**config, "email": email, "phone": phone or "them (no number is known)"})
    return " ".join(words.format_map(told).split())[:_LONGEST]


def left(decided: Sequence[Decided], client_id: str, made: Mapping[str, str]) -> list[Decided]:
    """What is decided of a couple's steps, without what somebody did already: nothing is said twice.

    ``made`` are the keys of what people did for the couple, each with a word on it.
    """
    return [
        one._replace(change=Change.ENDED, reason=made[key])
        if one.change in _BEGINNING and (key := key_of(one.journey_id, one.step_id, client_id)) in made
        else one
        for one in decided
    ]


class _Told(dict[str, Any]):
    """The values of a config, where one that is missing is said to be."""

    def __missing__(self, name: str) -> str:
        return f"(no {name})"
