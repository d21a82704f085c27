"""The contributor agreement: texts by version and language, as people read and agree to them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gateway.problems import not_found

OURS = Path(__file__).parent.parent / "agreements"
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Agreement:
    """One text. `content` is Markdown."""

    version: str
    language: str
    content: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()


class Agreements:
    """Raises FileNotFoundError at once when the version in force has no English text."""

    def __init__(self, version: str, folder: Path | None = None) -> None:
        self._folder = folder or OURS
        self.version = version
        self._file(version, "en").read_text()

    def in_force(self, language: str) -> Agreement:
        """In that language, else in English."""
        return self.text(self.version, language)

    def text(self, version: str, language: str) -> Agreement:
        """Raises Problem 404 for a version that there never was."""
        for one in (language, "en"):
            file = self._file(version, one)
            if one in LANGUAGES and file.is_file():
                return Agreement(version, one, file.read_text())
        raise not_found("agreement")

    def _file(self, version: str, language: str) -> Path:
        # A name of one part: whatever a reader asks for stays in the folder.
        name = Path(f"{version}.{language}.md").name
        return self._folder / name
