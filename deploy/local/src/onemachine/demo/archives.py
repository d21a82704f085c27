"""What the demo's contributor has on disk: real calculations, a damaged archive, and one with none."""

import io
import lzma
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

TRUNCATED_FRAME = "frame.0053"
NAN_FRAME = "frame.0059"
# The force that becomes NaN: a program that diverged prints it so for single atoms first.
NAN_ATOM = "     atom    3 type  1   force ="


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One archive and what the contributor says of it. `label`: a–d, or 'base …' for what trains model 1.0."""

    label: str
    name: str
    archive: Path
    format: str
    description: Path | None = None
    functional: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Contributions:
    """Everything that is brought: two datasets for model 1.0, then a–d."""

    base: tuple[Contribution, ...]
    a: Contribution
    b: Contribution
    c: Contribution
    d: Contribution

    @property
    def later(self) -> tuple[Contribution, ...]:
        return (self.a, self.b, self.c, self.d)


def prepare(data: Path, folder: Path) -> Contributions:
    """Lays the archives out in `folder` as on a contributor's disk. `data`: deploy/demo."""
    folder.mkdir(parents=True)
    for name in ("si-qe-pbe", "sic-qe-pbe", "si-more-qe-pbe"):
        shutil.copyfile(data / f"{name}.tar.xz", folder / f"{name}.tar.xz")
    with lzma.open(data / "water.extxyz.xz") as packed, (folder / "water.extxyz").open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    damage(data / "si-more-qe-pbe.tar.xz", folder / "si-damaged.tar.xz")
    write_notes(folder / "field-notes.zip")

    def silicon(label: str, name: str, stem: str, described: bool = True) -> Contribution:
        description = data / f"{stem}.md" if described else None
        archive = folder / f"{stem}.tar.xz"
        return Contribution(label=label, name=name, archive=archive, format="qe/pw/scf", description=description)

    water = Contribution(
        label="base 2",
        name="Liquid water",
        archive=folder / "water.extxyz",
        format="extxyz",
        description=data / "water.md",
        functional="PBE",
        code="CP2K 2023.1",
    )
    notes = Contribution(label="d", name="Field notes", archive=folder / "field-notes.zip", format="detect")
    return Contributions(
        base=(silicon("base 1", "Silicon, strained and displaced", "si-qe-pbe"), water),
        a=silicon("a", "Silicon carbide", "sic-qe-pbe"),
        b=silicon("b", "More silicon of the same kind", "si-more-qe-pbe"),
        c=silicon("c", "Silicon, damaged on the way", "si-damaged", described=False),
        d=notes,
    )


def damage(source: Path, target: Path) -> None:
    """The calculations of `source` (tar.xz) with one output cut in the middle and one force that is NaN."""
    with tarfile.open(source) as whole, tarfile.open(target, "w:xz") as damaged:
        for member in whole:
            if not member.isfile():
                continue
            content = _content(whole, member)
            if member.name.endswith(f"{TRUNCATED_FRAME}/scf.out"):
                content = content[: len(content) // 2]
            elif member.name.endswith(f"{NAN_FRAME}/scf.out"):
                content = with_nan_force(content)
            entry = tarfile.TarInfo(member.name.replace("si-more-qe-pbe", "si-damaged"))
            entry.size, entry.mtime = len(content), int(member.mtime)
            damaged.addfile(entry, io.BytesIO(content))


def with_nan_force(output: bytes) -> bytes:
    """A pw.x output whose force on one atom is not a number. Raises ValueError when it has no such force."""
    lines = output.decode().splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith(NAN_ATOM):
            lines[number] = f"{NAN_ATOM}{'NaN':>14}{'NaN':>14}{'NaN':>14}\n"
            return "".join(lines).encode()
    raise ValueError(f"no line begins with {NAN_ATOM!r}")


def write_notes(target: Path) -> None:
    """An archive in which there is no calculation."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as notes:
        notes.writestr("notes/README.txt", "Lattice constants, looked up before the runs. Outputs: on the cluster.\n")
        notes.writestr("notes/lattice-constants.csv", "crystal,a_angstrom\nSi,5.47\n3C-SiC,4.38\n")
        notes.writestr("notes/to-do.txt", "- copy the scf.out files from the cluster\n- pack them\n")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    with file:
        return file.read()
