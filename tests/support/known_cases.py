"""Datasets whose verdict is known beforehand: real labels, and what goes wrong with labels on their way.

Every case starts from DFT calculations made for this project: the demo's, tests/data/water-more and
tests/data/known-cases (see there). `miss` marks what the metric is known not to see, with the reason.
"""

import lzma
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from io import StringIO
from pathlib import Path

import ase.io
import demo_data
import numpy as np
import reference_model
from frames.frame import Frame
from scipy.spatial.transform import Rotation

DATA = Path(__file__).parents[1] / "data"
HARTREE, BOHR = 27.211386, 0.529177
WATER_LIMITS = {"net_force_fail_mev_per_angstrom": 50.0}
"""As on the demo's platform: the water's small cutoff leaves a drift of 4 to 37 meV/Å an atom."""

Frames = list[Frame]


@dataclass(frozen=True)
class Case:
    """`rule`: the check that must speak against the dataset; `says`: words that its sentence must hold."""

    name: str
    what: str
    frames: Callable[[], Frames]
    expected: str
    rule: str = ""
    says: str = ""
    settings: dict[str, float] = field(default_factory=dict)
    with_model: bool = True
    failed_frames: int | None = None
    miss: str = ""


@cache
def extxyz(path: Path) -> tuple[Frame, ...]:
    """Frames of a compressed extxyz file."""
    text = StringIO(lzma.decompress(path.read_bytes()).decode())
    return tuple(
        Frame(
            atoms.numbers.astype(np.int64),
            atoms.positions,
            atoms.cell.array,
            float(atoms.get_potential_energy()),
            atoms.get_forces(),
            -atoms.get_volume() * atoms.get_stress(voigt=False),
            source=path.name.removesuffix(".xz"),
            index=index,
        )
        for index, atoms in enumerate(ase.io.read(text, index=":", format="extxyz"))
    )


@cache
def _demo(name: str) -> tuple[Frame, ...]:
    return tuple(demo_data.load(name))


def silicon() -> Frames:
    return list(_demo(demo_data.MORE_SILICON))


def carbide() -> Frames:
    return list(_demo(demo_data.SILICON_CARBIDE))


def water() -> Frames:
    return list(extxyz(DATA / "water-more.extxyz.xz"))[:40]


def computed(name: str) -> Callable[[], Frames]:
    """A set of tests/data/known-cases."""
    return lambda: list(extxyz(DATA / "known-cases" / f"{name}.extxyz.xz"))


def each(source: Callable[[], Frames], change: Callable[[Frame], Frame], part: float = 1.0) -> Callable[[], Frames]:
    """The change on every frame, or on this part of them, evenly spread."""

    def made() -> Frames:
        frames = source()
        count = round(part * len(frames))
        chosen = {int(one) for one in np.linspace(0, len(frames) - 1, count).round()} if count else set()
        return [change(frame) if number in chosen else frame for number, frame in enumerate(frames)]

    return made


def scaled(
    energy: float = 1.0, forces: float = 1.0, lengths: float = 1.0, virial: float = 1.0
) -> Callable[[Frame], Frame]:
    """Labels and positions as they look when a unit is mistaken."""

    def change(frame: Frame) -> Frame:
        return replace(
            frame,
            energy=energy * frame.energy,
            forces=forces * frame.forces,
            coords=lengths * frame.coords,
            cell=None if frame.cell is None else lengths * frame.cell,
            virial=None if frame.virial is None else virial * frame.virial,
        )

    return change


def shifted(per_frame: float = 0.0, per_atom: float = 0.0) -> Callable[[Frame], Frame]:
    return lambda frame: replace(frame, energy=frame.energy + per_frame + per_atom * frame.natoms)


def frames_shuffled(source: Callable[[], Frames], part: float = 1.0) -> Callable[[], Frames]:
    """Each frame has the forces of another one."""

    def made() -> Frames:
        frames = source()
        chosen = np.random.default_rng(1).permutation(len(frames))[: round(part * len(frames))]
        moved = dict(zip(chosen.tolist(), np.roll(chosen, 1).tolist(), strict=True))
        return [replace(frame, forces=frames[moved.get(n, n)].forces) for n, frame in enumerate(frames)]

    return made


def labels_shuffled(source: Callable[[], Frames]) -> Callable[[], Frames]:
    """Each frame has forces, energy and virial of another one."""

    def made() -> Frames:
        frames = source()
        order = np.random.default_rng(2).permutation(len(frames))
        moved = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
        others = [frames[moved[number]] for number in range(len(frames))]
        return [
            replace(frame, energy=other.energy, forces=other.forces, virial=other.virial)
            for frame, other in zip(frames, others, strict=True)
        ]

    return made


def atoms_shuffled(frame: Frame) -> Frame:
    order = np.random.default_rng(len(frame.source) + frame.index).permutation(frame.natoms)
    return replace(frame, forces=frame.forces[np.roll(order, 1)][np.argsort(order)])


def swapped(first: int, second: int) -> Callable[[Frame], Frame]:
    """Species labels exchanged."""

    def change(frame: Frame) -> Frame:
        numbers = np.where(frame.numbers == first, second, np.where(frame.numbers == second, first, frame.numbers))
        return replace(frame, numbers=numbers)

    return change


def turned(source: Callable[[], Frames], count: int) -> Callable[[], Frames]:
    """`count` frames: the source's, each in its own orientation. Labels turn along and stay true."""

    def made() -> Frames:
        frames, rotations = source(), Rotation.random(count, random_state=5).as_matrix()
        return [_turned(frames[number % len(frames)], rotations[number], number) for number in range(count)]

    return made


def _turned(frame: Frame, rotation: np.ndarray, number: int) -> Frame:
    return replace(
        frame,
        coords=frame.coords @ rotation.T,
        cell=None if frame.cell is None else frame.cell @ rotation.T,
        forces=frame.forces @ rotation.T,
        virial=None if frame.virial is None else rotation @ frame.virial @ rotation.T,
        source="turned.extxyz",
        index=number,
    )


def doubled(frame: Frame) -> Frame:
    """Two cells side by side: the same physics, exactly, at half the k-points."""
    assert frame.cell is not None
    return replace(
        frame,
        numbers=np.tile(frame.numbers, 2),
        coords=np.concatenate([frame.coords, frame.coords + frame.cell[0]]),
        cell=frame.cell * np.array([[2.0], [1.0], [1.0]]),
        energy=2 * frame.energy,
        forces=np.tile(frame.forces, (2, 1)),
        virial=None if frame.virial is None else 2 * frame.virial,
    )


def reordered(frame: Frame) -> Frame:
    order = np.random.default_rng(frame.natoms).permutation(frame.natoms)
    return replace(frame, numbers=frame.numbers[order], coords=frame.coords[order], forces=frame.forces[order])


def overlapping(frame: Frame) -> Frame:
    coords = frame.coords.copy()
    coords[1] = coords[0] + np.array([0.3, 0.0, 0.0])
    return replace(frame, coords=coords)


def drifting(frame: Frame) -> Frame:
    return replace(frame, forces=frame.forces + np.array([0.03, 0.0, 0.0]))


def without_drift(frame: Frame) -> Frame:
    return replace(frame, forces=frame.forces - frame.forces.mean(axis=0))


def mistyped(frame: Frame) -> Frame:
    """One component of one force has lost its decimal point."""
    forces = frame.forces.copy()
    forces[0, 0] = 10 * forces[0, 0] + 1
    return replace(frame, forces=forces)


def lopsided(frame: Frame) -> Frame:
    assert frame.virial is not None
    virial = frame.virial.copy()
    virial[0, 1] += 0.1 * float(np.linalg.norm(virial))
    return replace(frame, virial=virial)


def ordered_by(source: Callable[[], Frames], key: Callable[[Frame], float], count: int) -> Callable[[], Frames]:
    """The `count` frames of largest key."""
    return lambda: sorted(source(), key=key)[-count:]


def volume(frame: Frame) -> float:
    assert frame.cell is not None
    return abs(float(np.linalg.det(frame.cell)))


def hottest(frame: Frame) -> float:
    return float(np.linalg.norm(frame.forces, axis=1).max())


def joined(*sources: tuple[Callable[[], Frames], int]) -> Callable[[], Frames]:
    """The first frames of each."""
    return lambda: [frame for source, count in sources for frame in source()[:count]]


def first(source: Callable[[], Frames], count: int) -> Callable[[], Frames]:
    return lambda: source()[:count]


def one_bad(source: Callable[[], Frames], change: Callable[[Frame], Frame], count: int = 1) -> Callable[[], Frames]:
    """The change on `count` frames in the middle."""

    def made() -> Frames:
        frames = source()
        middle = len(frames) // 2
        return [change(f) if middle <= n < middle + count else f for n, f in enumerate(frames)]

    return made


def training(branch: str) -> Callable[[], Frames]:
    return lambda: list(reference_model.training_frames(branch))
