"""The pictures of the reference pages: what a couple gets from each module type, as the program made it.

    python -m tests.pictures [FOLDER]

queues one job of each of the seven module types, runs a worker at a set time, and photographs what it delivered with
Chromium (``chromium`` in the PATH, without a network). The frame around a mail shows its own headers and files.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.journey import SCENES, Scene, delivered
from tests.picture_frames import framed
from tests.png import cut

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference" / "modules" / "pictures"
WIDTH = 720
TALLEST = 4000
_SPARE = 300
"""What a window's own bars take of its height, and more."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@dataclass(frozen=True, slots=True)
class Browser:
    """Chromium with a profile of its own, which loads nothing from elsewhere."""

    program: str
    folder: Path

    def height_of(self, page: Path) -> int:
        """The height of a page, which it writes into ``data-height`` of its root. Raises RuntimeError."""
        text = self._run(page, f"--window-size={WIDTH},800", "--dump-dom")
        _, mark, rest = text.partition('data-height="')
        if not mark:
            raise RuntimeError(f"{page.name} did not say how tall it is")
        return min(int(rest.partition('"')[0]), TALLEST)

    def picture_of(self, page: Path) -> bytes:
        """The page as a PNG, as tall as it is."""
        height = self.height_of(page)
        made = self.folder / f"{page.stem}.png"
        self._run(page, f"--window-size={WIDTH},{height + _SPARE}", f"--screenshot={made}")
        return cut(made.read_bytes(), height)

    def _run(self, page: Path, *options: str) -> str:
        profile = tempfile.mkdtemp(dir=self.folder)
        command = [self.program, *OPTIONS, f"--user-data-dir={profile}", *options, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def main(folder: Path) -> None:
    """Make all of the pictures."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        sys.exit("Chromium is needed: install the package chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        browser = Browser(program, made)
        artefacts = delivered(made / "home")
        for scene in SCENES:
            _picture(scene, artefacts[scene.module], browser, folder)


def _picture(scene: Scene, artefact: Path, browser: Browser, folder: Path) -> None:
    page = browser.folder / f"{scene.module}.html"
    page.write_text(framed(artefact))
    picture = browser.picture_of(page)
    (folder / f"{scene.module}.png").write_bytes(picture)
    sys.stdout.write(f"{scene.module}.png  {len(picture):,} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
