"""How to cite a dataset: BibTeX, and a CITATION.cff of version 1.2.0 of the format."""

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from gateway.views import DatasetView

_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


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
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@misc{{{self.key},\n{lines}\n}}\n"

    def cff(self, site: str) -> str:
        """YAML; strings are written as JSON, which YAML reads."""
        lines = [
            "cff-version: 1.2.0",
            'message: "If you use this dataset, please cite it as below."',
            "type: dataset",
            f"title: {_quoted(self.name)}",
            "authors:",
        ]
        for name, orcid in self.authors:
            lines.append(f"  - name: {_quoted(name)}")
            if orcid:
                lines.append(f"    orcid: {_quoted(f'https://orcid.org/{orcid}')}")
        lines += [
            f"version: {_quoted(str(self.version))}",
            f"date-released: {_quoted(self.published.isoformat())}",
            f"license: {_quoted(self.licence)}",
            f"url: {_quoted(self.url(site))}",
        ]
        return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
