"""OpenMX: System.Name.md, streamed. dpdata takes species names of the input for element symbols and keeps steps
whose self-consistency did not converge; the .md file has the symbols and tells the latter."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.confined.judging import SELF_CONSISTENT, Raw, Unfit
from ingest.confined.parsers.tables import number, numbers, take
from ingest.confined.parsers.units import HARTREE, HARTREE_PER_BOHR

_CHECK = "Check that System.Name.md is complete; its blocks begin with the number of atoms and a line 'time= …'."


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames of the stem of System.Name.dat and System.Name.md. Raises Unfit."""
    path = files[0].with_name(f"{files[0].name}.md")
    if not path.is_file():
        raise Unfit("no-output-file", f"{path.name} is not next to {files[0].name}.dat", "Add the .md file.")
    with path.open(encoding="latin-1") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                natoms = int(line)
            except ValueError:
                reason = f"a number of atoms is expected, not {line.strip()[:40]!r}"
                raise Unfit("unreadable", reason, _CHECK) from None
            try:
                yield _frame(next(lines, "").split(), take(lines, natoms, "the atoms"))
            except Unfit as unfit:
                if unfit.rule == "truncated":
                    raise
                yield unfit


def _frame(said: list[str], rows: list[list[str]]) -> Raw:
    told = [word.removeprefix("scf_conv=") for word in said if word.startswith("scf_conv=")]
    converged = None if not told else told[0] != "0"
    if converged is False:
        raise Unfit("unconverged", "the self-consistency did not converge (scf_conv=0)", SELF_CONSISTENT)
    if "Energy=" not in said or "Cell_Vectors=" not in said or min(map(len, rows), default=7) < 7:
        raise Unfit("incomplete", "this step lacks energy, cell or forces", _CHECK)
    at = said.index("Cell_Vectors=") + 1
    cell = numbers([said[at : at + 3], said[at + 3 : at + 6], said[at + 6 : at + 9]], 0, "Cell_Vectors")
    return Raw(
        symbols=[row[0] for row in rows],
        coords=numbers(rows, 1, "positions"),
        cell=cell,
        energy=number(said[said.index("Energy=") + 1], "Energy") * HARTREE,
        forces=numbers(rows, 4, "forces") * HARTREE_PER_BOHR,
        virial=None,
        converged=converged,
        turn=True,
    )
