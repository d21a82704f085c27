"""Pictures of the guides: taken by the browser tests, compared with those that docs/images keeps.

UPDATE_DOCS=1 writes what was taken; otherwise the test says which picture no longer shows the page.
"""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

DOCS = Path(__file__).resolve().parents[2] / "docs"
IMAGES = DOCS / "images"
MOST_BYTES = 200_000
MOST_WIDTH = 1400
COLOURS = 255
# What is left of a page when it is made small: its blocks, and no date or name in them.
THUMBNAIL_WIDTH = 64
LIKE = 5.0
"""Mean difference of grey values (0 to 255) of thumbnails; another layout is beyond it, another date is not."""
BLANK = 4.0
"""Standard deviation of grey values below which nothing is in a picture."""


class NotAsShown(AssertionError):
    """A picture of the guide is missing, too large, empty, or shows a page that looks otherwise now."""


def referenced() -> dict[str, set[str]]:
    """Name of a picture → guides that show it."""
    found: dict[str, set[str]] = {}
    for page in sorted(DOCS.glob("*.md")):
        for name in re.findall(r"!\[[^\]]+\]\(images/([^)]+)\)", page.read_text()):
            found.setdefault(name, set()).add(page.name)
    return found


@dataclass(frozen=True, slots=True)
class Gallery:
    """Where pictures are kept; `updating`: what is taken replaces what is there."""

    folder: Path = IMAGES
    updating: bool = os.environ.get("UPDATE_DOCS") == "1"

    def take(self, name: str, png: bytes) -> None:
        """Raises NotAsShown."""
        taken = Image.open(io.BytesIO(png)).convert("RGB")
        _look_at(name, taken)
        file = self.folder / name
        if self.updating:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_small(taken))
        if not file.is_file():
            raise NotAsShown(f"{file} is missing: run this test with UPDATE_DOCS=1")
        if file.stat().st_size > MOST_BYTES:
            raise NotAsShown(f"{name} has {file.stat().st_size} bytes; at most {MOST_BYTES}: take less of the page")
        kept = Image.open(file).convert("RGB")
        _look_at(name, kept)
        if (unlike := _unlike(taken, kept)) is not None:
            raise NotAsShown(
                f"{name} does not show the page as it is now ({unlike}): run this test with UPDATE_DOCS=1, look at it, "
                "and commit it"
            )


def _look_at(name: str, picture: Image.Image) -> None:
    if picture.width > MOST_WIDTH:
        raise NotAsShown(f"{name} is {picture.width} pixels wide; at most {MOST_WIDTH} can be read in a guide")
    if ImageStat.Stat(picture.convert("L")).stddev[0] < BLANK:
        raise NotAsShown(f"{name} is blank")


def _small(picture: Image.Image) -> bytes:
    """As a PNG with a palette: pages have few colours."""
    written = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()


def _unlike(one: Image.Image, other: Image.Image) -> str | None:
    """In what they differ; None: they look alike."""
    if one.width != other.width or abs(one.height - other.height) > 0.05 * other.height:
        return f"{one.width} × {one.height} instead of {other.width} × {other.height} pixels"
    size = (THUMBNAIL_WIDTH, max(1, round(THUMBNAIL_WIDTH * other.height / other.width)))
    small = [each.convert("L").resize(size, Image.Resampling.BOX) for each in (one, other)]
    difference = ImageStat.Stat(ImageChops.difference(*small)).mean[0]
    return None if difference <= LIKE else f"its blocks differ by {difference:.1f} of 255"
