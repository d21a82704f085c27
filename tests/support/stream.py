"""A stream of small contributions, all with real DFT labels: the demo's data and tests/data, in parts.

Each is what a group might bring: another composition, other cells, another temperature, another functional. None
shares a frame with another.
"""

import demo_data
from contracts.base import LevelOfTheory
from growing import Contribution
from known_cases import DATA, computed, extxyz

QE = LevelOfTheory(code="Quantum ESPRESSO 6.7", functional="PBE", k_points="2 2 2 0 0 0")
LDA = LevelOfTheory(code="Quantum ESPRESSO 6.7", functional="LDA", k_points="2 2 2 0 0 0")
CP2K = LevelOfTheory(code="CP2K 2023.1", functional="PBE", basis="DZVP-MOLOPT-SR-GTH")


def founders() -> tuple[Contribution, ...]:
    """What the first model learns."""
    return (
        Contribution("silicon", tuple(demo_data.load(demo_data.SILICON)), QE),
        Contribution("water", tuple(demo_data.load(demo_data.WATER)), CP2K),
    )


def ten() -> tuple[Contribution, ...]:
    """Ten contributions in the order of their arrival, 12 to 38 frames each."""
    carbide = demo_data.load(demo_data.SILICON_CARBIDE)
    water = list(extxyz(DATA / "water-more.extxyz.xz"))
    case = {name: tuple(computed(name)()) for name in ("si-hot", "si-compressed", "si-stretched", "si-vacancy", "sio2")}
    return (
        Contribution("sic-first", tuple(carbide[:32]), QE),
        Contribution("si-hot", case["si-hot"], QE),
        Contribution("si-compressed", case["si-compressed"], QE),
        Contribution("water-late", tuple(water[38:]), CP2K),
        Contribution("si-stretched", case["si-stretched"], QE),
        Contribution("sio2", case["sio2"], QE),
        Contribution("si-vacancy", case["si-vacancy"], QE),
        Contribution("sic-second", tuple(carbide[32:]), QE),
        Contribution("si-lda", tuple(computed("si-lda")()), LDA),
        Contribution("water-early", tuple(water[:38]), CP2K),
    )
