"""Errors that are the same but for whom and what they name: one fingerprint for all of them. Pure."""

import hashlib
import re
from functools import lru_cache

_REPLACED = (
    (re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|“[^”\n]*”|‘[^’\n]*’|`[^`\n]*`"), "…"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+"), "address"),
    (re.compile(r"[^\s@<>()\[\],;:]+@[^\s@<>()\[\],;:]+"), "address"),
    (re.compile(r"\b[0-9a-f]{4,}(?:-[0-9a-f]{4,})+\b|\b[0-9a-f]{8,}\b"), "#"),
    (re.compile(r"\b\w*\d\w*(?:[.,:/-]\w*\d\w*)*\b"), "#"),
    (re.compile(r"\s+"), " "),
)
"""Quoted parts, URLs, e-mail addresses, long hexadecimal ids, and every word that has a digit, in this order."""


@lru_cache(maxsize=4096)
def fingerprint(error: str | None) -> str:
    """Eight hex digits that errors share which differ only in numbers, ids, addresses and what they quote."""
    return hashlib.blake2b(normalised(error or "").encode("utf-8", "replace"), digest_size=4).hexdigest()


def normalised(error: str) -> str:
    """An error's text with all that is particular to one job taken out."""
    text = error.casefold()
    for pattern, stands_for in _REPLACED:
        text = pattern.sub(stands_for, text)
    return text.strip()
