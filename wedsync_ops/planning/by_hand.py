"""What somebody has to do by hand when the platform will not do it in time. Pure."""

from collections.abc import Mapping
from typing import Any

_LONGEST = 300
_WORDS: Mapping[str, str] = {
    "email": "write to {email}: what the template {template_id} says",
    "sms": "text {phone}: {message_text}",
    "form": "ask them for the answers of the form {form_id}",
    "meeting": "arrange the meeting {meeting_type} of {duration} minutes",
    "info": "tell them: {title}",
    "review": "ask them for a review",
    "referral": "offer them the referral reward",
}


def in_words(module_type: str, config: Mapping[str, Any], email: str, phone: str | None) -> str:
    """What the job of a module type would do, as a request to a person; also for one that nobody here knows."""
    words = _WORDS.get(module_type)
    if words is None:
        return f"do what the module {module_type} would"
    told = _Told({**config, "email": email, "phone": phone or "them (no number is known)"})
    return " ".join(words.format_map(told).split())[:_LONGEST]


class _Told(dict[str, Any]):
    """The values of a config, where one that is missing is said to be."""

    def __missing__(self, name: str) -> str:
        return f"(no {name})"
