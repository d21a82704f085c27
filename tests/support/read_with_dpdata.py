"""A tree or file through dpdata alone, serially, in a process of its own: `… path format output.npz`.

`format`: qe/pw/scf, vasp/outcar or extxyz.
Prints seconds with and without imports; keeps what was read, a group of arrays a system.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()

import dpdata  # noqa: E402 - what importing it takes is part of the answer
import numpy as np  # noqa: E402


def read(path: Path, format_: str) -> list[Any]:
    if format_ == "qe/pw/scf":
        outputs = sorted(path.rglob("*.out"))
        return [dpdata.LabeledSystem([str(one.with_suffix(".in")), str(one)], fmt=format_) for one in outputs]
    if format_ == "vasp/outcar":
        return [dpdata.LabeledSystem(str(path), fmt=format_)]
    return list(dpdata.MultiSystems.from_file(str(path), fmt=format_).systems.values())


if __name__ == "__main__":
    imported, imported_cpu = time.perf_counter(), time.process_time()
    systems = read(Path(sys.argv[1]), sys.argv[2])
    done, done_cpu = time.perf_counter(), time.process_time()
    arrays = {}
    for number, system in enumerate(systems):
        for name in ("cells", "coords", "energies", "forces", "virials", "atom_types"):
            arrays[f"{number}.{name}"] = system.data[name]
        arrays[f"{number}.atom_names"] = np.array(system.data["atom_names"])
    np.savez(sys.argv[3], **arrays)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    spent = {"seconds": done - imported, "with_imports": done - BEGAN, "cpu_seconds": done_cpu - imported_cpu}
    print(json.dumps({**spent, "mib": mib}))
