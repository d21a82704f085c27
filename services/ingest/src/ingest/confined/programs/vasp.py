"""VASP: OUTCAR and vasprun.xml."""

import re

from ingest.confined.programs.spec import FormatSpec, Signs, Theory, code, first, listed, said

_FUNCTIONALS = {"PE": "PBE", "8": "PBE", "PS": "PBEsol", "14": "PBEsol", "91": "PW91", "CA": "LDA"}


def _theory(text: str) -> Theory:
    version = first(r"^ *vasp\.(\d+\.\d+\.\d+)", text) or first(r'name="version"[^>]*>\s*([\d.]+)', text)
    cutoff = first(r"ENCUT\s*=\s*([\d.]+)\s*eV", text) or first(r'name="ENMAX">\s*([\d.]+)', text)
    gradient = first(r"\bGGA\s*=\s*(\S+)\s*GGA type", text) or first(r"LEXCH\s*=\s*(\S+)", text)
    return said(
        code=code("VASP", version),
        functional=_FUNCTIONALS.get(gradient or ""),
        cutoff_ev=float(cutoff) if cutoff else None,
        k_points=first(r"generate k-points for:\s+([\d ]+)", text),
        basis=listed(re.findall(r"TITEL\s*=\s*([^\n]+)", text)),
    )


FORMATS = (
    FormatSpec(
        name="vasp/outcar",
        title="VASP OUTCAR",
        example="OUTCAR in a folder of its own",
        reads="file",
        names=("OUTCAR*", "*.OUTCAR"),
        content=re.compile(rb"(?m)^ *vasp\.[0-9]|^ *POTCAR: "),
        told_by="the version of VASP",
        theory=_theory,
        signs=Signs(finished=rb"General timing and accounting", forces=rb"TOTAL-FORCE"),
    ),
    FormatSpec(
        name="vasp/xml",
        title="VASP vasprun.xml",
        example="vasprun.xml in a folder of its own",
        reads="file",
        names=("vasprun*.xml", "*.vasprun.xml"),
        content=re.compile(rb"<modeling>"),
        told_by="<modeling>",
        twins=("vasp/outcar",),
        theory=_theory,
    ),
)
