"""What a missing field renders as: polite words instead of an error or a gap."""

_WORDS = {
    "couple_name": "happy couple",
    "wedding_date": "your wedding day",
    "venue_name": "your venue",
    "supplier_name": "your supplier",
    "supplier_email": "the address of this message",
    "date": "the agreed date",
    "time": "the agreed time",
    "starts_at": "the agreed time",
    "location": "the agreed place",
    "venue": "your venue",
    "address": "the agreed place",
    "amount": "the agreed amount",
    "phone": "our usual number",
    "email": "the address of this message",
}
_ENDINGS = (
    ("name", "happy couple"),
    ("date", "the agreed date"),
    ("time", "the agreed time"),
    ("amount", "the agreed amount"),
    ("url", "the link we will send you"),
    ("link", "the link we will send you"),
)
_BY_OWNER = {
    ("supplier", "name"): "your supplier",
    ("supplier", "email"): "the address of this message",
    ("wedding", "date"): "your wedding day",
    ("wedding", "venue"): "your venue",
}
_OTHERWISE = "to be confirmed"


def words_for(name: str, owner: str | None = None) -> str:
    """What the missing field ``name`` (of ``owner``: client, supplier, step, wedding) renders as; never empty."""
    owned = _BY_OWNER.get((owner or "", name))
    if owned is not None:
        return owned
    known = _WORDS.get(name)
    if known is not None:
        return known
    for ending, words in _ENDINGS:
        if name.endswith(ending):
            return words
    return _OTHERWISE
