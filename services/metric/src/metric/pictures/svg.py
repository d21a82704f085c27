"""A sheet of SVG: shapes in colours by role, light and dark, and text that needs no font of ours.

Colours are presentation attributes, so that a picture is right where a security policy forbids styles; the
style sheet inside turns them dark where the reader prefers that. The ground is painted: text stays legible
on any page.
"""

from collections.abc import Sequence
from html import escape
from typing import Literal

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"

# role → (light, dark); the ink and paper of the site, data colours apart in lightness too, for the colour-blind.
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#171b21"),
    "field": ("#f6f8fb", "#1e242c"),
    "ink": ("#1c232e", "#eceff4"),
    "muted": ("#566070", "#aab3c0"),
    "line": ("#dfe4ea", "#353d48"),
    "guide": ("#8a93a1", "#8a95a5"),
    "energy": ("#2f66cc", "#86b0f2"),
    "force": ("#c2611f", "#f0a868"),
    "known": ("#1d8a68", "#5cc8a2"),
    "useful": ("#c2611f", "#f0a868"),
    "faint": ("#98a1ae", "#6b7583"),
    # Cells that are told apart by lightness alone, and what is written on them.
    "known-cell": ("#bfe3d5", "#2b4f44"),
    "on-known": ("#174b39", "#cdeee1"),
    "new-cell": ("#a84e12", "#f0a868"),
    "on-new": ("#ffffff", "#2b1a08"),
}
_LAYERS = 12


def number(value: float) -> str:
    """Coordinates with at most two decimals; never '-0'."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


class Sheet:
    """Shapes in the order in which they were drawn; y grows downwards."""

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self._size = (width, height)
        self._title = title
        self._description = description
        self._shapes: list[str] = []
        self._used: set[str] = {"paper"}

    def rect(self, x: float, y: float, width: float, height: float, fill: str, radius: float = 0) -> None:
        rounded = f' rx="{number(radius)}"' if radius else ""
        self._shapes.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"{rounded} '
            f"{self._fill(fill)}/>"
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, stroke: str, width: float = 1, dash: str | None = None
    ) -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._shapes.append(
            f'<path d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}" {self._stroke(stroke)} '
            f'stroke-width="{number(width)}"{dashed}/>'
        )

    def dots(
        self,
        points: Sequence[tuple[float, float]],
        colour: str,
        size: float,
        opacity: float,
        shape: Literal["round", "square"] = "round",
    ) -> None:
        """Points: segments without length, with caps. In several paths, so that crowds show darker."""
        for layer in range(min(_LAYERS, len(points))):
            path = "".join(f"M{number(x)} {number(y)}h0" for x, y in points[layer::_LAYERS])
            self._shapes.append(
                f'<path d="{path}" {self._stroke(colour)} stroke-width="{number(size)}" stroke-linecap="{shape}" '
                f'stroke-opacity="{number(opacity)}"/>'
            )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        fill: str = "muted",
        size: float = 13,
        anchor: str = "start",
        weight: int = 400,
        turned: bool = False,
    ) -> None:
        """`turned`: reads upwards, as a vertical axis does."""
        place = f'transform="translate({number(x)} {number(y)}) rotate(-90)"' if turned else ""
        place = place or f'x="{number(x)}" y="{number(y)}"'
        bold = f' font-weight="{weight}"' if weight != 400 else ""
        self._shapes.append(
            f'<text {place} font-size="{number(size)}" text-anchor="{anchor}"{bold} {self._fill(fill)}>'
            f"{escape(words, quote=False)}</text>"
        )

    def render(self) -> bytes:
        width, height = map(number, self._size)
        dark = "".join(
            f".f-{role}{{fill:{COLOURS[role][1]}}}.s-{role}{{stroke:{COLOURS[role][1]}}}" for role in sorted(self._used)
        )
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                f'height="{height}" role="img" aria-labelledby="t d" font-family="{FONT}">',
                f'<title id="t">{escape(self._title, quote=False)}</title>',
                f'<desc id="d">{escape(self._description, quote=False)}</desc>',
                f"<style>@media (prefers-color-scheme:dark){{{dark}}}</style>",
                f'<rect width="{width}" height="{height}" rx="10" {self._fill("paper")}/>',
                *self._shapes,
                "</svg>\n",
            ]
        ).encode()

    def _fill(self, role: str) -> str:
        self._used.add(role)
        return f'class="f-{role}" fill="{COLOURS[role][0]}"'

    def _stroke(self, role: str) -> str:
        self._used.add(role)
        return f'class="s-{role}" fill="none" stroke="{COLOURS[role][0]}"'
