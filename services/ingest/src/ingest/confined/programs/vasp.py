"""VASP: OUTCAR and vasprun.xml."""

import re

from ingest.confined.programs.spec import FormatSpec, Signs, Theory, code, first, listed, said

_FUNCTIONALS = {"PE": "PBE", "8": "PBE", "PS": "PBEsol", "14": "PBEsol", "91": "PW91", "CA": "LDA"}

_DISPERSION = {
    "1": "-D2",
    "10": "-D2",
    "11": "-D3",
    "12": "-D3(BJ)",
    "2": "-TS",
    "20": "-TS",
    "202": "-MBD",
    "4": "-dDsC",
}


def _theory(text: str) -> Theory:
    version = first(r"^ *vasp\.(\d+\.\d+\.\d+)", text) or first(r'name="version"[^>]*>\s*([\d.]+)', text)
    cutoff = first(r"ENCUT\s*=\s*([\d.]+)\s*eV", text) or first(r'name="ENMAX">\s*([\d.]+)', text)
    potentials = re.findall(r"TITEL\s*=\s*([^\n]+)", text) or re.findall(r"<c>\s*(PAW\w*\s[^<]*?)\s*</c>", text)
    return said(
        code=code("VASP", version),
        functional=_functional(text),
        cutoff_ev=float(cutoff) if cutoff else None,
        k_points=first(r"generate k-points for:\s+([\d ]+)", text) or first(r'name="divisions"[^>]*>([\d ]+)<', text),
        basis=listed(potentials),
    )


def _functional(text: str) -> str | None:
    """From what VASP repeats of its settings: the last word on LEXCH is what it used."""
    meta = _setting("METAGGA", text)
    exchange = [_setting("GGA", text), *reversed(re.findall(r"LEXCH\s*=\s*(\S+)", text))]
    name = next((_FUNCTIONALS[one] for one in exchange if one in _FUNCTIONALS), None)
    if meta not in (None, "--", "F", "NONE"):
        name = meta
    if (_setting("LHFCALC", text) or "F").strip(".").startswith("T"):
        screening = float(_setting("HFSCREEN", text) or 0)
        name = "HSE06" if 0.19 < screening < 0.22 else "PBE0" if not screening else f"hybrid, HFSCREEN = {screening:g}"
    if name and re.search(r"LDA\+U is selected|^\s*LDAU\s*=\s*T", text, re.MULTILINE):
        name += "+U"
    dispersion = _DISPERSION.get(_setting("IVDW", text) or "0", "")
    return f"{name}{dispersion}" if name else None


def _setting(name: str, text: str) -> str | None:
    return first(rf"^\s*{name}\s*=\s*(\S+)", text) or first(rf'name="{name}"[^>]*>\s*([^\s<]+)\s*<', text)


FORMATS = (
    FormatSpec(
        name="vasp/outcar",
        title="VASP OUTCAR",
        example="OUTCAR in a folder of its own",
        reads="file",
        names=("OUTCAR*", "*.OUTCAR"),
        content=re.compile(rb"(?m)^ *vasp\.[0-9]|^ *POTCAR: "),
        words=(b"vasp.", b"POTCAR: "),
        told_by="the version of VASP",
        theory=_theory,
        signs=Signs(
            finished=rb"General timing and accounting",
            unconverged=rb"EDIFF was not reached",
            forces=rb"TOTAL-FORCE",
            remedy="Keep forces in the OUTCAR with NWRITE = 1 or more.",
        ),
    ),
    FormatSpec(
        name="vasp/xml",
        title="VASP vasprun.xml",
        example="vasprun.xml in a folder of its own",
        reads="file",
        names=("vasprun*.xml", "*.vasprun.xml"),
        content=re.compile(rb"<modeling>"),
        words=(b"<modeling>",),
        told_by="<modeling>",
        twins=("vasp/outcar",),
        theory=_theory,
        signs=Signs(finished=rb"</modeling>", forces=rb'name="forces"'),
    ),
)
