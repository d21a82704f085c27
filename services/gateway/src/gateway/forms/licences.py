"""Licences for data, by SPDX identifier, in plain words. What operators add is linked to its own text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Licence:
    """`may`, `must`, `not`: what others may do, must do, may not do; sentences that catalogues translate."""

    id: str
    name: str
    short: str
    may: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    may_not: tuple[str, ...] = ()

    @property
    def text_url(self) -> str:
        return f"https://spdx.org/licenses/{self.id}.html"


COPY = "Copy it, change it, combine it and pass it on."
SELL = "Use it for any purpose, also to earn money."
NAME = "Name the authors, link to the licence, and say what was changed."
ALIKE = "Publish what is made from the data under the same licence."

KNOWN = {
    one.id: one
    for one in (
        Licence(
            "CC-BY-4.0",
            "Creative Commons Attribution 4.0",
            "Anyone may use it for anything, and must name you.",
            (COPY, SELL),
            (NAME,),
        ),
        Licence(
            "CC0-1.0",
            "Creative Commons Zero 1.0",
            "Anyone may use it for anything, and need not name you.",
            (COPY, SELL, "Leave out the authors; citing them is good manners, not a duty."),
        ),
        Licence(
            "CC-BY-NC-4.0",
            "Creative Commons Attribution-NonCommercial 4.0",
            "Anyone may use it for anything but commerce, and must name you.",
            (COPY,),
            (NAME,),
            ("Use it mainly to earn money.",),
        ),
        Licence(
            "CC-BY-SA-4.0",
            "Creative Commons Attribution-ShareAlike 4.0",
            "Anyone may use it for anything, must name you, and must share alike.",
            (COPY, SELL),
            (NAME, ALIKE),
        ),
        Licence(
            "ODbL-1.0",
            "Open Data Commons Open Database License 1.0",
            "Anyone may use it for anything, must name you, and must share databases made from it alike.",
            (COPY, SELL),
            (NAME, "Publish databases that are made from it under the same licence."),
        ),
    )
}


def licence(spdx: str) -> Licence:
    """One of ours, or one that an operator added, of which its text alone tells."""
    return KNOWN.get(spdx) or Licence(spdx, spdx, "Its text says what it allows.")
