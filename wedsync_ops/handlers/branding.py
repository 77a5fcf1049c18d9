"""How a supplier's own look gets into mails: logo, a colour that stays readable, and the lines below the name."""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from wedsync_ops.handlers.addresses import one_line
from wedsync_ops.handlers.attachments import Attachment, picture
from wedsync_ops.handlers.fields import part

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_DEFAULT, _DARK, _WHITE = "#7a3b4e", "#2b2522", "#ffffff"
_READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3: the least contrast of text
_MOST_LINES, _LONGEST_LINE = 6, 120
MAX_LOGO_BYTES = 100 * 1024
"""The most that a logo may measure, in bytes: it is in every mail."""


def logo(values: Mapping[str, Any], folder: Path | None) -> Attachment | None:
    """The picture that ``supplier.logo`` names in ``attachments_dir``; ``None`` without one that mails can show."""
    name = part(values, "supplier").get("logo")
    return None if name is None else picture(name, folder, MAX_LOGO_BYTES)


def content_id(shown: Attachment) -> str:
    """What a mail's HTML names a picture of its own by (RFC 2392), after ``cid:``; the same for the same picture."""
    return f"{hashlib.blake2b(shown.content, digest_size=12).hexdigest()}@logo"


def fields(values: Mapping[str, Any], shown: Attachment | None = None) -> dict[str, Any]:
    """The fields of mail templates that come from ``supplier.brand_color`` and ``supplier.signature``.

    ``supplier_logo`` is the address of the logo that is ``shown``, or empty.

    ``supplier_signature`` is a list of lines; the colours are ``brand_color``, ``brand_on_color`` (for text on it) and
    ``brand_on_white`` (the colour itself where it can be read on white). A colour that is not ``#rrggbb`` is passed
    over: no mail fails for its looks.
    """
    supplier = part(values, "supplier")
    given = supplier.get("brand_color")
    color = given.lower() if isinstance(given, str) and _COLOR.fullmatch(given) else _DEFAULT
    return {
        **_palette(color),
        "supplier_signature": _lines(supplier.get("signature")),
        "supplier_logo": "" if shown is None else f"cid:{content_id(shown)}",
    }


@lru_cache(maxsize=256)
def _palette(color: str) -> Mapping[str, str]:
    light = _luminance(color)
    on_white = color if 1.05 / (light + 0.05) >= _READABLE else _DARK
    on_color = _WHITE if 1.05 / (light + 0.05) >= (light + 0.05) / (_luminance(_DARK) + 0.05) else _DARK
    return {"brand_color": color, "brand_on_color": on_color, "brand_on_white": on_white}


def _luminance(color: str) -> float:
    """Relative luminance of an sRGB colour, from 0 to 1 (WCAG 2.2, definition of relative luminance)."""
    channels = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _lines(text: object) -> tuple[str, ...]:
    """The lines of a signature: at most six, each cut at 120 characters, without control characters."""
    if not isinstance(text, str) or not text.strip():
        return ()
    lines = (one_line(line, _LONGEST_LINE) for line in text[: 2 * _MOST_LINES * _LONGEST_LINE].splitlines())
    return tuple(line for line in lines if line)[:_MOST_LINES]
