"""A picture of a guide that is missing, blank, too large or of another page is told; a changed date is not."""

import io
import random
from pathlib import Path

import pytest
from guide_pictures import Gallery, NotAsShown
from PIL import Image, ImageDraw

Box = tuple[int, int, int, int]


def page(*boxes: Box, size: tuple[int, int] = (800, 600)) -> bytes:
    """A white page with dark blocks."""
    picture = Image.new("RGB", size, "white")
    for box in boxes:
        ImageDraw.Draw(picture).rectangle(box, fill="navy")
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


CARD: Box = (40, 100, 500, 400)
DATE: Box = (560, 110, 640, 122)


def test_what_was_taken_is_kept_and_looks_like_itself(tmp_path: Path) -> None:
    Gallery(tmp_path, updating=True).take("card.png", page(CARD))
    kept = (tmp_path / "card.png").read_bytes()
    Gallery(tmp_path, updating=False).take("card.png", page(CARD, DATE))
    assert (tmp_path / "card.png").read_bytes() == kept


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        (page((300, 300, 780, 580)), "does not show the page as it is now"),
        (page(CARD, size=(900, 600)), "900 × 600 instead of 800 × 600"),
        (page(CARD, size=(800, 700)), "800 × 700 instead"),
        (page(), "is blank"),
        (page(CARD, size=(1500, 600)), "1500 pixels wide"),
    ],
)
def test_another_page_is_told(tmp_path: Path, taken: bytes, words: str) -> None:
    Gallery(tmp_path, updating=True).take("card.png", page(CARD))
    with pytest.raises(NotAsShown, match=words):
        Gallery(tmp_path, updating=False).take("card.png", taken)


def test_what_is_not_there_or_too_large_is_told(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, updating=False)
    with pytest.raises(NotAsShown, match="UPDATE_DOCS=1"):
        gallery.take("card.png", page(CARD))
    noise = Image.frombytes("RGB", (800, 600), random.Random(1).randbytes(800 * 600 * 3))
    noise.save(tmp_path / "card.png")
    with pytest.raises(NotAsShown, match="at most 200000"):
        gallery.take("card.png", page(CARD))
