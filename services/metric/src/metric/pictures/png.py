"""SVG to PNG, the same on every machine: with font files of our own choice, in light colours, twice the size."""

from importlib.util import find_spec
from pathlib import Path

import resvg_py

_SCALE = 2.0
_FAMILY = "DejaVu Sans"
_FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")


class NoFonts(RuntimeError):
    """The fonts that matplotlib brings are not where it keeps them: a picture would have no words."""


def to_png(svg: bytes) -> bytes:
    """Of a picture of ours. Raises NoFonts, ValueError for what is no SVG."""
    # A bare machine has no fonts, and another machine has others: neither is asked.
    drawn = resvg_py.svg_to_bytes(
        svg_string=svg.decode(),
        zoom=_SCALE,
        skip_system_fonts=True,
        font_files=[str(path) for path in font_files()],
        font_family=_FAMILY,
        sans_serif_family=_FAMILY,
    )
    return bytes(drawn)


def font_files() -> list[Path]:
    """Regular and bold. Raises NoFonts."""
    # Found, not imported: matplotlib takes a second to load, and only its font files are wanted.
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise NoFonts("matplotlib is not installed; the metric draws with the DejaVu fonts that it brings")
    folder = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    files = [folder / name for name in _FILES]
    for path in files:
        if not path.is_file():
            raise NoFonts(f"there is no {path}; the metric draws with the DejaVu fonts that matplotlib brings")
    return files
