"""How to cite a dataset or a version of the model: BibTeX, and a CITATION.cff of version 1.2.0 of the format."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from gateway.views.datasets import DatasetView
from gateway.views.models import ModelView

_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip

# Stands for the authors of a version that private contributions alone have trained.
NAMELESS = "Potluck contributors"


@dataclass(frozen=True, slots=True)
class Cited:
    """A public dataset. `authors`: name and ORCID iD, in their order."""

    dataset_id: UUID
    version: int
    name: str
    authors: tuple[tuple[str, str | None], ...]
    licence: str
    published: date

    @classmethod
    def of(cls, view: DatasetView) -> "Cited | None":
        """None for what others could not look up."""
        if view.private or view.withdrawn:
            return None
        return cls(
            dataset_id=view.id,
            version=view.version,
            name=view.name,
            authors=tuple((name, view.orcids.get(name)) for name in view.authors),
            licence=view.licence,
            published=(view.made_public or view.created).date(),
        )

    @property
    def key(self) -> str:
        """First author's last name, year, first word of the name; ASCII."""
        words = [self.authors[0][0].split()[-1], str(self.published.year), self.name.split()[0]]
        plain = (unicodedata.normalize("NFKD", one).encode("ascii", "ignore").decode() for one in words)
        return "-".join(filter(None, (re.sub(r"[^A-Za-z0-9]+", "", one).lower() for one in plain)))

    def url(self, site: str) -> str:
        return f"{site}/datasets/{self.dataset_id}?version={self.version}"

    def bibtex(self, site: str) -> str:
        """`site`: scheme and host of this site."""
        fields = {
            "title": f"{{{_tex(self.name)}}}",
            # Each name in braces: nobody here knows which part of it is the family's.
            "author": " and ".join(f"{{{_tex(name)}}}" for name, _ in self.authors),
            "year": str(self.published.year),
            "version": str(self.version),
            "publisher": "Potluck",
            "url": self.url(site),
            "note": f"Dataset, {self.licence}",
        }
        return _entry(self.key, fields)

    def cff(self, site: str) -> str:
        """YAML."""
        return _cff("dataset", self.name, self.authors, str(self.version), self.published, self.url(site), self.licence)


@dataclass(frozen=True, slots=True)
class CitedModel:
    """A published version of the model. `authors`: its contributors in the order of arrival, never empty."""

    version: str
    authors: tuple[str, ...]
    published: date

    @classmethod
    def of(cls, view: ModelView) -> "CitedModel":
        return cls(view.version, view.contributors or (NAMELESS,), view.published.date())

    @property
    def title(self) -> str:
        return f"DPA {self.version}"

    @property
    def key(self) -> str:
        return f"potluck-dpa-{self.version}"

    def url(self, site: str) -> str:
        return f"{site}/models/{self.version}"

    def bibtex(self, site: str) -> str:
        fields = {
            "title": f"{{{self.title}}}",
            "author": " and ".join(f"{{{_tex(name)}}}" for name in self.authors),
            "year": str(self.published.year),
            "version": self.version,
            "publisher": "Potluck",
            "url": self.url(site),
        }
        return _entry(self.key, fields)

    def cff(self, site: str) -> str:
        authors = tuple((name, None) for name in self.authors)
        return _cff("software", self.title, authors, self.version, self.published, self.url(site), None)


def _entry(key: str, fields: Mapping[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}\n}}\n"


def _cff(
    kind: Literal["dataset", "software"],
    title: str,
    authors: Sequence[tuple[str, str | None]],
    version: str,
    released: date,
    url: str,
    licence: str | None,
) -> str:
    """YAML; strings are written as JSON, which YAML reads."""
    what = "model" if kind == "software" else kind
    lines = [
        "cff-version: 1.2.0",
        f'message: "If you use this {what}, please cite it as below."',
        f"type: {kind}",
        f"title: {_quoted(title)}",
        "authors:",
    ]
    for name, orcid in authors:
        lines.append(f"  - name: {_quoted(name)}")
        if orcid:
            lines.append(f"    orcid: {_quoted(f'https://orcid.org/{orcid}')}")
    lines += [f"version: {_quoted(version)}", f"date-released: {_quoted(released.isoformat())}"]
    if licence is not None:
        lines.append(f"license: {_quoted(licence)}")
    lines.append(f"url: {_quoted(url)}")
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
