"""The first calculations of the demo's archives: enough for a toy model, and small."""

import lzma
import tarfile
from pathlib import Path

from onemachine.settings import DEPLOY

FRAMES = 16


def calculations(stem: str, target: Path) -> Path:
    """The first calculations of a demo archive."""
    with tarfile.open(DEPLOY / "demo" / f"{stem}.tar.xz") as whole, tarfile.open(target, "w:gz") as part:
        files = [member for member in whole.getmembers() if member.isfile()]
        chosen = sorted({Path(member.name).parent for member in files})[:FRAMES]
        for member in files:
            if Path(member.name).parent in chosen:
                part.addfile(member, whole.extractfile(member))
    return target


def water(target: Path) -> Path:
    """The first frames of the demo's water."""
    with lzma.open(DEPLOY / "demo" / "water.extxyz.xz", "rt") as source, target.open("w") as part:
        for _ in range(FRAMES):
            atoms = source.readline()
            part.writelines([atoms, source.readline(), *(source.readline() for _ in range(int(atoms)))])
    return target
