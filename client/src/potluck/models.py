"""Versions of the model, and files of anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from potluck.base import Base, listed, no_report
from potluck.decode import decode
from potluck.errors import Problem
from potluck.resources import Model, ModelFile

if TYPE_CHECKING:
    from potluck.tus import Report


class Models(Base):
    """What the data trained."""

    def models(self) -> tuple[Model, ...]:
        """Every published version, newest first."""
        return decode(tuple[Model, ...], listed(self._transport.json("GET", "models"), "models"))

    def model(self, version: str = "latest") -> Model:
        """A version by its number or an alias. Of an unknown one the error says which there are."""
        with self._known_versions():
            return decode(Model, self._transport.json("GET", f"models/{version}"))

    def model_citation(self, version: str = "latest", form: str = "bibtex") -> str:
        """How to cite a version, which credits those whose data trained it. `form`: as for `citation`."""
        address = f"models/{version}/citation"
        with self._known_versions():
            answer = self._transport.request("GET", address, params={"format": form}, headers={"Accept": "*/*"})
        return answer.text

    def download(self, file: ModelFile, folder: Path | str, report: "Report" = no_report) -> Path:
        """Puts one file into `folder`, SHA-256 verified; continues what an earlier run left.

        `report(received, total)` is called with bytes.
        """
        from potluck.download import fetch

        return fetch(self._transport, file, Path(folder), report)

    def verify(self, model: Model, folder: Path | str) -> dict[str, str]:
        """What became of each file of a version in `folder`: 'same', 'differs' or 'missing'."""
        from potluck.download import sha256_of

        found = {}
        for file in model.files:
            path = Path(folder) / Path(file.name).name
            if not path.is_file():
                found[file.name] = "missing"
            else:
                right = path.stat().st_size == file.size and sha256_of(path) == file.sha256
                found[file.name] = "same" if right else "differs"
        return found

    @contextmanager
    def _known_versions(self) -> Iterator[None]:
        try:
            yield
        except Problem as problem:
            if problem.status == 404:
                problem.remedy = _which_there_are(self.models())
            raise


def _which_there_are(models: tuple[Model, ...]) -> str:
    if not models:
        return "There is no model yet: the first one comes with the first datasets."
    names = [one.version + (f" ({', '.join(one.aliases)})" if one.aliases else "") for one in models]
    return f"There are: {', '.join(names)}"
