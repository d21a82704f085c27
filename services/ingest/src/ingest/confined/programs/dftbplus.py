"""DFTB+: input and detailed output."""

from collections.abc import Iterator

from ingest.confined.programs.spec import Calculation, FormatSpec, Tree, named


def _find(tree: Tree) -> Iterator[Calculation]:
    for folder, names in tree.folders.items():
        inputs = sorted(name for name in names if named(name, ("*.hsd",)))
        if inputs and "detailed.out" in names:
            files = tuple(str((folder / name).relative_to(tree.root)) for name in (inputs[0], "detailed.out"))
            yield Calculation(tree.shown(folder / "detailed.out"), "dftbplus", files)


FORMATS = (
    FormatSpec(
        name="dftbplus",
        title="DFTB+ output",
        example="dftb_in.hsd and detailed.out in one folder",
        reads="files",
        names=("*.hsd", "detailed.out"),
        find=_find,
    ),
)
