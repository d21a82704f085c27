"""Numbers, times and text as people read them: the filters of the templates."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlsplit

import nh3
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from gateway.search.elements import PLACES
from gateway.views.sizes import size_of

MATH_LENGTH = 2000


def _math(text: str, options: Mapping[str, bool]) -> str:
    """TeX as MathML, which browsers draw without script; what is no TeX stays as it was typed."""
    shown = "block" if options["display_mode"] else "inline"
    try:
        return str(convert(text, display=shown)) if len(text) <= MATH_LENGTH else _as_typed(text)
    except Exception:  # of a parser that meets whatever people write
        return _as_typed(text)


def _as_typed(text: str) -> str:
    return str(Markup("<code>${}$</code>").format(text))


_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["table", "strikethrough"])
    .use(dollarmath_plugin, renderer=_math, allow_space=False, allow_digits=False, double_inline=True)
)
_MATH_TAGS = {
    *("math", "mrow", "mi", "mo", "mn", "mtext", "mspace", "mstyle", "mfrac", "msqrt", "mroot"),
    *("msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd"),
}
_ALLOWED_TAGS = {
    *("p", "h1", "h2", "h3", "h4", "ul", "ol", "li", "strong", "em", "s", "code", "pre", "blockquote", "hr", "br", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
    *_MATH_TAGS,
}


@lru_cache(512)
def markdown(text: str) -> Markup:
    """A contributor's Markdown as HTML that cannot run or load anything."""
    html = nh3.clean(
        _MARKDOWN.render(text),
        tags=_ALLOWED_TAGS,
        attributes={"a": {"href", "title"}, "math": {"display"}, "mo": {"stretchy", "fence"}, "mi": {"mathvariant"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener ugc",
    )
    return Markup(html)  # noqa: S704  cleaned on the line above


# Below, leading zeros are more than one can count.
_NEXT_TO_NOTHING = 1e-4


def count(number: int) -> str:
    return f"{number:,}"


def digits(value: float) -> str:
    """Three significant digits: 0.0123, 4.91, 12.3, 404, 1,971; next to nothing as 1.85e-16, as in sentences."""
    if value == 0:
        return "0"
    if abs(value) < _NEXT_TO_NOTHING:
        return f"{value:.2e}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def number(value: float) -> str:
    """A whole one as it is, another with three significant digits."""
    return count(int(value)) if float(value).is_integer() else digits(value)


def percent(fraction: float) -> str:
    """0.963 → 96 %; below 10 % with one decimal."""
    value = 100 * fraction
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def waiting(low: float, high: float) -> str:
    """A range of seconds: '20–50 s', '2–5 min', '1.5–3 h'; its end alone where it begins now: '50 s'."""
    unit, seconds = ("s", 1) if high < 90 else ("min", 60) if high < 5400 else ("h", 3600)
    first, last = (f"{value / seconds:.1f}".removesuffix(".0") for value in (low, high))
    return f"{first}–{last} {unit}" if low > 0 else f"{last} {unit}"


_UNITS = (
    ("_mev_per_angstrom_per_atom", "meV/Å per atom"),
    ("_mev_per_angstrom", "meV/Å"),
    ("_ev_per_angstrom", "eV/Å"),
    ("_mev_per_atom", "meV/atom"),
    ("_ev_per_atom", "eV/atom"),
    ("_of_covalent_radii", "× Σ r"),
    ("_cubic_angstrom", "Å³"),
    ("_angstrom", "Å"),
    ("_seconds", "s"),
    ("_percent", "%"),
    ("_ratio", ""),
    ("_ev", "eV"),
)


_AFTER_THE_UNIT = ("_allowed", "_low", "_high")


def quantity(name: str, value: float) -> tuple[str, str]:
    """A number of a rule, whose unit is in its name: ('fails above', '50 eV/Å') of 'fails_above_ev_per_angstrom'.

    Before a dot is the branch that it is of: ('si.force rmse after', '404 meV/Å').
    """
    branch, dot, name = name.rpartition(".")
    if name == "coverage" or name.endswith(("_fraction", "_coverage")):
        return branch + dot + name.removesuffix("_fraction").replace("_", " "), percent(value)
    end = next((word for word in _AFTER_THE_UNIT if name.endswith(word)), "")
    measured = name.removesuffix(end)
    for suffix, unit in _UNITS:
        if measured.endswith(suffix):
            label = measured.removesuffix(suffix) + end
            return branch + dot + label.replace("_", " "), f"{number(value)} {unit}".rstrip()
    return branch + dot + name.replace("_", " "), number(value)


def quantities(numbers: Mapping[str, float]) -> list[tuple[str, str]]:
    """What was found, then its limits, then how many frames."""

    def place(name: str) -> tuple[bool, bool, str]:
        return name.endswith("_frames"), name.startswith(("fails_", "warns_")), name

    return [quantity(name, numbers[name]) for name in sorted(numbers, key=place)]


def day(when: datetime) -> Markup:
    return _time(when, "day", "%Y-%m-%d")


def moment(when: datetime) -> Markup:
    return _time(when, "moment", "%Y-%m-%d %H:%M UTC")


def _time(when: datetime, kind: str, shape: str) -> Markup:
    """UTC until the script puts it into the reader's zone."""
    utc = when.astimezone(UTC)
    stamp = utc.isoformat(timespec="seconds")
    return Markup('<time datetime="{}" data-time="{}">{}</time>').format(stamp, kind, utc.strftime(shape))


def initials(name: str) -> str:
    """At most two letters for the avatar; one for a name without spaces, as Chinese names are written."""
    words = name.split()
    letters = [word[0] for word in (words[0], words[-1])] if len(words) > 1 else [name[:1] or "?"]
    return "".join(letters).upper()


def breakable(name: str) -> Markup:
    """A path that may break after each slash."""
    return Markup("/<wbr>").join(name.split("/"))


def sentence(text: str) -> str:
    """As a sentence stands in a page: it begins with a capital, and no line breaks between number and per cent.

    The name of a file stays as it is: scf.out is not Scf.out.
    """
    first = text.split(maxsplit=1)[0].rstrip(",.:;") if text.strip() else ""
    named = any(sign in first for sign in "/._")
    return (text if named else text[:1].upper() + text[1:]).replace(" %", "\N{NO-BREAK SPACE}%")


def path(url: str) -> str:
    """The path of an address: pages link within their own host, whatever it is called."""
    return urlsplit(url).path


@lru_cache(256)
def element_boxes(chosen: tuple[str, ...]) -> Markup:
    """A check box for each element at its place on the periodic table: the same on every page that has one."""
    cell = Markup('<label class="r{} c{}"><input type="checkbox" name="element" value="{}"{}>{}</label>')
    return Markup("").join(
        cell.format(row, column, symbol, " checked" if symbol in chosen else "", symbol)
        for symbol, (row, column) in PLACES.items()
    )


PICTURES = ("parity-force.svg", "force-error.svg", "parity-energy.svg", "map.svg", "novelty.svg", "elements.svg")


def in_reading_order(names: Iterable[str]) -> list[str]:
    """Pictures to look at (each may have a PNG of the same name): those that the verdict rests on first."""
    places = {name: place for place, name in enumerate(PICTURES)}
    drawn = [name for name in names if name.endswith(".svg")]
    return sorted(drawn, key=lambda name: (places.get(name, len(places)), name))


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser(agent: str) -> str:
    """What a browser calls itself, in two words; a program by its first word."""
    name = next((name for mark, name in _BROWSERS if mark in agent), agent.partition("/")[0])
    system = next((system for mark, system in _SYSTEMS if mark in agent), "")
    return f"{name}, {system}" if name and system else name


def _together(shown: str) -> str:
    """A number and its unit on one line."""
    return shown.replace(" ", "\N{NO-BREAK SPACE}")


FILTERS = {
    "browser": browser,
    "breakable": breakable,
    "in_reading_order": in_reading_order,
    "markdown": markdown,
    "count": count,
    "digits": digits,
    "number": number,
    "percent": lambda fraction: _together(percent(fraction)),
    "bytes": lambda number: _together(size_of(number)),
    "duration": lambda seconds: _together(duration(seconds)),
    "waiting": lambda place: _together(waiting(place.eta_low_seconds, place.eta_high_seconds)),
    "quantities": quantities,
    "day": day,
    "moment": moment,
    "timestamp": lambda stamp: stamp.ToDatetime(tzinfo=UTC),
    "path": path,
}
