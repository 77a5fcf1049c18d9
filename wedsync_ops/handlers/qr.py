"""QR codes of links, as pictures that stand alone."""

from functools import lru_cache
from io import BytesIO

from wedsync_ops.handlers.attachments import Attachment

_SCALE = 6


@lru_cache(maxsize=256)
def pictures(link: str, name: str) -> tuple[Attachment, Attachment]:
    """The QR code (ISO/IEC 18004, error correction M or better: 15 %) of a link, as ``name``.png and ``name``.svg."""
    import segno

    code = segno.make(link, error="m", micro=False)
    png, svg = BytesIO(), BytesIO()
    code.save(png, kind="png", scale=_SCALE)
    code.save(svg, kind="svg", scale=_SCALE, title=name)
    return (
        Attachment(f"{name}.png", "image/png", png.getvalue()),
        Attachment(f"{name}.svg", "image/svg+xml", svg.getvalue()),
    )
