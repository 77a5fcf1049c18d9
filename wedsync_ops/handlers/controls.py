"""What no text that people read may hold: signs that steer a terminal, or turn the order of what is written."""

import re

# Joiners and direction marks stay: names in some scripts, and emoji, need them.
_REMOVED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def without_controls(text: str) -> str:
    """The text without control characters (the line's end and the tab stay) and without bidirectional overrides."""
    return _REMOVED.sub("", text)
