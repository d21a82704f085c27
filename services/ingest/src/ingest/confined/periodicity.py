"""Systems that are periodic in some directions only, as deepmd sees them: all or nothing.

A slab in a cell with vacuum is the same to a model with a cutoff as the periodic one. Without vacuum, taking it as
periodic would bring atoms together that the calculation kept apart.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Unfit

# Beyond the cutoff of DPA models (6 to 9 Å), so that no atom feels its image.
VACUUM_ANGSTROM = 10.0


def settled(cell: Any, periodic: Sequence[bool], coords: Any) -> Any:
    """The cell to use: none where no direction is periodic, as it is where all are or the rest has vacuum.

    Raises Unfit for a direction that is not periodic and has less vacuum than VACUUM_ANGSTROM.
    """
    if cell is None or not any(periodic):
        return None
    if all(periodic):
        return cell
    vectors = np.asarray(cell, dtype=np.float64).reshape(3, 3)
    places = np.asarray(coords, dtype=np.float64).reshape(-1, 3)
    for axis in (axis for axis in range(3) if not periodic[axis]):
        vacuum = _vacuum(vectors, places, axis)
        if not vacuum >= VACUUM_ANGSTROM:
            reason = (
                f"it is not periodic along {'abc'[axis]} and has {max(0.0, vacuum):.1f} Å of vacuum there, less than"
                f" {VACUUM_ANGSTROM:g} Å: as a periodic cell, atoms would meet that the calculation kept apart"
            )
            remedy = f"Give the cell at least {VACUUM_ANGSTROM:g} Å of vacuum along {'abc'[axis]}, or no cell at all."
            raise Unfit("mixed-periodicity", reason, remedy)
    return cell


def _vacuum(cell: FloatArray, coords: FloatArray, axis: int) -> float:
    """Å between the atoms and their images along that lattice vector, perpendicular to the other two."""
    normal = np.cross(cell[axis - 2], cell[axis - 1])
    length = float(np.linalg.norm(normal))
    if length == 0 or len(coords) == 0:
        return 0.0
    heights = coords @ (normal / length)
    return abs(float(cell[axis] @ normal) / length) - float(np.ptp(heights))
