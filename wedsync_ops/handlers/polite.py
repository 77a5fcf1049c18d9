"""What a missing field renders as: polite words instead of an error or a gap."""

_COUPLE = "happy couple"
_WORDS = {
    "couple_name": _COUPLE,
    "client_name": _COUPLE,
    "first_name": _COUPLE,
    "last_name": _COUPLE,
    "full_name": _COUPLE,
    "name": _COUPLE,
    "wedding_date": "your wedding day",
    "venue_name": "your venue",
    "venue": "your venue",
    "supplier_name": "your supplier",
    "supplier_email": "the address of this message",
    "email": "the address of this message",
    "starts_at": "the agreed time",
    "location": "the agreed place",
    "address": "the agreed place",
    "phone": "our usual number",
    "deadline": "the agreed date",
}
_ENDINGS = (
    ("date", "the agreed date"),
    ("time", "the agreed time"),
    ("amount", "the agreed amount"),
    ("url", "the link we will send you"),
    ("link", "the link we will send you"),
)
_NAMES_OF = {"client": _COUPLE, "supplier": "your supplier", "venue": "your venue"}
_OTHERWISE = "to be confirmed"


def words_for(name: str, owner: str | None = None) -> str:
    """What the missing field ``name`` (of ``owner``, such as client or supplier) renders as; never empty."""
    if owner in _NAMES_OF and name.endswith("name"):
        return _NAMES_OF[owner]
    if owner == "wedding" and name == "date":
        return _WORDS["wedding_date"]
    known = _WORDS.get(name)
    if known is not None:
        return known
    return next((words for ending, words in _ENDINGS if name.endswith(ending)), _OTHERWISE)
