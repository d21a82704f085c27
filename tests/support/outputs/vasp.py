"""VASP 6: OUTCAR and vasprun.xml of molecular dynamics."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import fractional, groups, pressure_like, row, volume
from outputs.units import KBAR

NELM = 60
_RULE = "-" * 86
_PARTS = ("Alpha Z", "Ewald", "Hartree", "E(xc)", "Local", "n-local", "augment", "Kinetic", "Fock")
_TIMED = ("POTLOK", "SETDIJ", "EDDAV", "DOS", "CHARGE", "MIXING")
_TERMS = (
    "alpha Z        PSCENC", "Ewald energy   TEWEN", "-Hartree energ DENC", "-exchange      EXHF",
    "-V(xc)+E(xc)   XCENC", "PAW double counting", "entropy T*S    EENTRO", "eigenvalues    EBANDS",
    "atomic energy  EATOM", "Solvation  Ediel_sol",
)  # fmt: skip
THEORY: dict[str, str | float] = {
    "code": "VASP 6.3.2",
    "functional": "PBE",
    "cutoff_ev": 520.0,
    "k_points": "2 2 3",
    "basis": "PAW_PBE O 08Apr2002, PAW_PBE H 15Jun2001, PAW_PBE Si 05Jan2001, PAW_PBE C 08Apr2002",
}
_DATES = {"O": "08Apr2002", "H": "15Jun2001", "Si": "05Jan2001", "C": "08Apr2002"}


def header(frame: Frame) -> str:
    titles = [f"PAW_PBE {symbol} {_DATES[symbol]}" for symbol, _ in groups(frame)]
    text = " vasp.6.3.2 27Jun22 (build Aug  1 2022 10:00:00) complex\n\n executed on LinuxGNU\n\n INCAR:\n"
    text += "".join(f" POTCAR:    {title}\n" for title in titles)
    for title in titles:
        text += f"   TITEL  = {title}\n   LEXCH  = PE\n   ENMAX  =  400.000; ENMIN  =  300.000 eV\n"
    counts = "".join(f"{count:4d}" for _, count in groups(frame))
    return text + (
        "\n KPOINTS: Monkhorst-Pack\n\n Automatic generation of k-mesh.\n generate k-points for:    2    2    3\n\n"
        f" POSCAR: a generated structure\n   ions per type =            {counts}\n\n"
        "   SYSTEM =  generated\n   PREC   = accura    normal or accurate (medium, high low for compatibility)\n"
        "   NWRITE =      2    write-flag & timer\n"
        "   ENCUT  =  520.0 eV  38.22 Ry    6.18 a.u.   9.84  9.84  9.84*2*pi/ulx,y,z\n"
        f"   NELM   ={NELM:7d};   NELMIN=  2; NELMDL= -5     # of ELM steps\n   EDIFF  = 0.1E-05   stopping-criterion\n"
        "   GGA     =    --    GGA type\n   LEXCH   =     8    internal setting\n\n"
    )


def step(number: int, frame: Frame, iterations: int = 10, reached: str = "EDIFF is reached") -> str:
    """One ionic step; `reached` as VASP words it."""
    assert frame.cell is not None
    text = ""
    for iteration in range(1, iterations + 1):
        text += f"{'-' * 39} Iteration {number:6d}({iteration:4d})  {'-' * 39}\n\n\n"
        text += "".join(f"{part:>12s}:  cpu time    0.0500: real time    0.0510\n" for part in _TIMED)
        text += "\n eigenvalue-minimisations  :   540\n total energy-change (2. order) : 0.1402E-04  (-0.1523E-05)\n"
        text += (
            " number of electron      32.0000000 magnetization\n augmentation part        3.1415926 magnetization\n\n"
        )
        text += " Free energy of the ion-electron system (eV)\n  ---------------------------------------------------\n"
        text += "".join(f"  {term:28s} = {number + iteration:18.8f}\n" for term in _TERMS)
        text += "  ---------------------------------------------------\n"
        text += f"  free energy    TOTEN  = {frame.energy + 10.0**-iteration:18.8f} eV\n\n"
        text += f"  energy without entropy = {frame.energy:18.8f}  energy(sigma->0) = {frame.energy:18.8f}\n\n\n"
        text += f"{'-' * 104}\n\n\n\n\n"
    text += f"\n{'-' * 24} aborting loop {'because ' if 'is' in reached else ''}{reached} {'-' * 40}\n\n\n"
    stress = pressure_like(frame) / KBAR
    xx, yy, zz, xy, yz, zx = (stress[one] for one in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)))
    kbar = "".join(f"{value:12.5f}" for value in (xx, yy, zz, xy, yz, zx))
    text += "  FORCE on cell =-STRESS in cart. coord.  units (eV):\n"
    text += f"  Direction    XX          YY          ZZ          XY          YZ          ZX\n  {_RULE}\n"
    text += "".join(f"  {part:9s}{'     1.00000' * 6}\n" for part in _PARTS)
    text += f"  {_RULE}\n  Total    {'     9.00000' * 6}\n  in kB    {kbar}\n"
    text += f"  external pressure = {(xx + yy + zz) / 3:11.2f} kB  Pullay stress =        0.00 kB\n\n\n"
    text += f" VOLUME and BASIS-vectors are now :\n {_RULE}\n  energy-cutoff  :      520.00\n"
    text += f"  volume of cell : {volume(frame):11.2f}\n"
    text += "      direct lattice vectors                 reciprocal lattice vectors\n"
    # Columns of 13 characters, so that numbers may touch: '  10.000000000-10.000000000'.
    text += "".join(f"   {''.join(f'{x:13.9f}' for x in vector)}{'  0.100000000' * 3}\n" for vector in frame.cell)
    text += f"\n\n POSITION                                       TOTAL-FORCE (eV/Angst)\n {'-' * 83}\n"
    for place, force in zip(frame.coords, frame.forces, strict=True):
        text += "".join(f"{x:13.5f}" for x in place) + "    " + "".join(f"{x:14.6f}" for x in force) + "\n"
    text += f" {'-' * 83}\n    total drift:                                0.000012      0.000004     -0.000007\n\n\n"
    text += f"{'-' * 104}\n\n\n\n  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  {'-' * 51}\n"
    text += f"  free  energy   TOTEN  = {frame.energy:18.8f} eV\n\n"
    text += f"  energy  without entropy= {frame.energy:18.8f}  energy(sigma->0) = {frame.energy:18.8f}\n\n"
    return text


FOOTER = "\n\n General timing and accounting informations for this job:\n ======================\n"


def outcar(frames: Iterable[Frame]) -> Iterator[str]:
    """The file in pieces: header, steps, footer."""
    for number, frame in enumerate(frames, 1):
        if number == 1:
            yield header(frame)
        yield step(number, frame)
    yield FOOTER


def write_outcar(folder: Path, frames: Sequence[Frame]) -> None:
    with (folder / "OUTCAR").open("w") as file:
        file.writelines(outcar(frames))


def vasprun(frames: Sequence[Frame]) -> Iterator[str]:
    """The file in pieces: header, steps, footer."""
    first = frames[0]
    yield (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
        '  <i name="program" type="string">vasp </i>\n  <i name="version" type="string">6.3.2  </i>\n </generator>\n'
        ' <incar>\n  <i name="ENCUT">    520.00000000</i>\n </incar>\n <kpoints>\n'
        '  <generation param="Monkhorst-Pack">\n   <v type="int" name="divisions">       2        2        3 </v>\n'
        "  </generation>\n </kpoints>\n <parameters>\n"
        '  <separator name="electronic" >\n   <i name="ENMAX">    520.00000000</i>\n'
        f'   <separator name="electronic convergence" >\n    <i type="int" name="NELM">{NELM:6d}</i>\n   </separator>\n'
        '  </separator>\n  <separator name="electronic exchange-correlation" >\n'
        '   <i type="string" name="GGA">PE</i>\n  </separator>\n </parameters>\n'
    )
    kinds = [symbol for symbol, _ in groups(first)]
    atoms = "".join(f"    <rc><c>{symbol:2s}</c><c>{kinds.index(symbol) + 1:4d}</c></rc>\n" for symbol in first.symbols)
    types = "".join(
        f"    <rc><c>{count:4d}</c><c>{symbol:2s}</c><c>     10.00000000</c><c>      4.00000000</c>"
        f"<c>  PAW_PBE {symbol} {_DATES[symbol]}                 </c></rc>\n"
        for symbol, count in groups(first)
    )
    yield (
        f" <atominfo>\n  <atoms>{first.natoms:8d} </atoms>\n  <types>{len(kinds):8d} </types>\n"
        f'  <array name="atoms" >\n   <dimension dim="1">ion</dimension>\n   <set>\n{atoms}   </set>\n  </array>\n'
        f'  <array name="atomtypes" >\n   <dimension dim="1">type</dimension>\n   <set>\n{types}   </set>\n  </array>\n'
        " </atominfo>\n"
    )
    for frame in frames:
        yield calculation(frame)
    yield "</modeling>\n"


def calculation(frame: Frame, iterations: int = 3) -> str:
    before = f'   <energy>\n    <i name="e_fr_energy">{frame.energy + 1:16.8f} </i>\n   </energy>\n'
    scf = f"  <scstep>\n{before}  </scstep>\n" * iterations
    basis, positions = _varray("basis", frame.cell), _varray("positions", fractional(frame))
    return (
        f" <calculation>\n{scf}  <structure>\n   <crystal>\n{basis}   </crystal>\n{positions}  </structure>\n"
        f"{_varray('forces', frame.forces)}{_varray('stress', pressure_like(frame) / KBAR)}"
        f'  <energy>\n   <i name="e_fr_energy">{frame.energy:16.8f} </i>\n'
        f'   <i name="e_wo_entrp">{frame.energy:16.8f} </i>\n  </energy>\n </calculation>\n'
    )


def _varray(name: str, rows: object) -> str:
    lines = "".join(f"   <v>{row(values, '16.8f')} </v>\n" for values in rows)  # type: ignore[attr-defined]
    return f'  <varray name="{name}" >\n{lines}  </varray>\n'


def write_vasprun(folder: Path, frames: Sequence[Frame]) -> None:
    with (folder / "vasprun.xml").open("w") as file:
        file.writelines(vasprun(frames))


GENERATORS = (
    Generator(
        "vasp/outcar", write_outcar, energy=1e-8, length=5.1e-6, force=5.1e-7, virial_ev=1e-6, theory=THEORY,
        converged=True,
    ),
    Generator(
        "vasp/xml", write_vasprun, energy=1e-8, length=1e-7, force=1e-8, virial_ev=1e-7, theory=THEORY, converged=True
    ),
)  # fmt: skip
