"""The pictures' script: its story still plays, its frames show what was delivered. The browser is left out."""

import zlib
from pathlib import Path

import pytest

from tests import png
from tests.journey import SCENES, delivered
from tests.picture_frames import framed
from wedsync_ops.modules.actions import shipped_file
from wedsync_ops.yamldoc import read

SHOWN = {
    "email": "Your date is saved",
    "form": "Fill in the form",
    "meeting": "invite.ics",
    "info": "Golden-hour walk",
    "sms": "1 part",
    "review": "Write a review on Google",
    "referral": "referral-qr-code.svg",
}


def test_there_is_a_scene_of_every_module_type() -> None:
    modules = read(shipped_file().read_bytes()).value["modules"]
    assert sorted(scene.module for scene in SCENES) == sorted(each["id"] for each in modules)


@pytest.mark.slow
def test_every_scene_delivers_what_its_frame_shows(tmp_path: Path) -> None:
    pages = {module: framed(artefact) for module, artefact in delivered(tmp_path / "home").items()}
    assert [module for module, words in SHOWN.items() if words not in pages[module]] == []
    assert [module for module, page in pages.items() if 'src="http' in page or "url(" in page] == []


@pytest.mark.parametrize("height", [1, 3, 9])
def test_a_picture_is_cut_from_below(height: int) -> None:
    rows = [bytes([0, row, row, row]) for row in range(5)]
    head = (1).to_bytes(4, "big") + (5).to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    chunks = ((b"IHDR", head), (b"tEXt", b"a\0b"), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    whole = png.SIGNATURE + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    )
    part = png.cut(whole, height)
    assert png.size_of(part) == (1, min(height, 5))
    place = part.index(b"IDAT")
    length = int.from_bytes(part[place - 4 : place], "big")
    assert zlib.decompress(part[place + 4 : place + 4 + length]) == b"".join(rows[:height])


def test_what_is_no_png_has_no_size() -> None:
    with pytest.raises(ValueError, match="no PNG"):
        png.size_of(b"GIF89a")
