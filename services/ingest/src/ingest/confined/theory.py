"""The level of theory as far as a calculation's own files tell: code, functional, cutoff, k-points, basis.

Cutoffs in eV. What a file does not say is left out; nothing is guessed.
"""

import re
from collections.abc import Callable
from pathlib import Path

_RYDBERG_EV = 13.605693122990
_HEAD = 1 << 18
Theory = dict[str, str | float]


def of(format_name: str, files: list[Path], options: dict[str, str]) -> Theory:
    """Level of theory of one calculation; empty for programs that this module does not know."""
    reader = _READERS.get(format_name)
    if reader is None:
        return {}
    paths = [path / options["cp2k_output_name"] if options.get("cp2k_output_name") else path for path in files]
    text = "\n".join(_head(path) for path in paths if path.is_file())
    return reader(text)


def _head(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(_HEAD)


def _find(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text, re.MULTILINE | re.IGNORECASE)
    return " ".join(match[1].split()) if match else None


def _said(**fields: str | float | None) -> Theory:
    return {name: value for name, value in fields.items() if value is not None}


def _quantum_espresso(text: str) -> Theory:
    version = _find(r"Program PWSCF v\.?(\S+)", text)
    cutoff = _find(r"kinetic-energy cutoff\s*=\s*([\d.]+)\s*Ry", text)
    functional = _find(r"Exchange-correlation\s*=\s*([^(\n]+)", text)
    species = re.search(r"(?ims)^\s*ATOMIC_SPECIES\s*\n((?:\s*\S+\s+[\d.edED+-]+\s+\S+\s*\n)+)", text)
    return _said(
        code=f"Quantum ESPRESSO {version}" if version else "Quantum ESPRESSO",
        functional=_qe_functional(functional),
        cutoff_ev=round(float(cutoff) * _RYDBERG_EV, 3) if cutoff else None,
        k_points=_find(r"^\s*K_POINTS[^\n]*automatic[^\n]*\n([^\n]+)", text),
        basis=", ".join(line.split()[2] for line in species[1].splitlines() if line.strip()) if species else None,
    )


def _qe_functional(printed: str | None) -> str | None:
    """pw.x prints either a name or its four parts."""
    if printed is None:
        return None
    known = {"SLA PW PBX PBC": "PBE", "SLA PW PSX PSC": "PBEsol", "SLA PZ NOGX NOGC": "LDA (PZ)"}
    return known.get(" ".join(printed.upper().split()), printed)


def _cp2k(text: str) -> Theory:
    version = _find(r"CP2K\| version string:\s+CP2K version (\S+)", text)
    functional = _find(r"FUNCTIONAL\|\s*([A-Z0-9_+-]+):", text) or _find(r"&XC_FUNCTIONAL\s+(\S+)", text)
    cutoff = _find(r"QS\|\s+Density cutoff \[a\.u\.\]:\s+([\d.]+)", text)
    bases = re.findall(r"Orbital Basis Set\s+(\S+)", text)
    potentials = re.findall(r"(?:GTH Potential information for|Potential information for)\s+(\S+)", text)
    return _said(
        code=f"CP2K {version}" if version else "CP2K",
        functional=functional,
        # Hartree, as CP2K prints the density cutoff.
        cutoff_ev=round(float(cutoff) * 2 * _RYDBERG_EV, 3) if cutoff else None,
        basis=", ".join(dict.fromkeys(bases + potentials)) or None,
    )


def _vasp(text: str) -> Theory:
    version = _find(r"^ *vasp\.(\d+\.\d+\.\d+)", text) or _find(r'name="version"[^>]*>\s*([\d.]+)', text)
    cutoff = _find(r"ENCUT\s*=\s*([\d.]+)\s*eV", text) or _find(r'name="ENMAX">\s*([\d.]+)', text)
    potentials = re.findall(r"TITEL\s*=\s*([^\n]+)", text)
    gradient = _find(r"\bGGA\s*=\s*(\S+)\s*GGA type", text) or _find(r"LEXCH\s*=\s*(\S+)", text)
    functional = {"PE": "PBE", "8": "PBE", "PS": "PBEsol", "14": "PBEsol", "91": "PW91", "CA": "LDA"}
    mesh = _find(r"generate k-points for:\s+([\d ]+)", text)
    return _said(
        code=f"VASP {version}" if version else "VASP",
        functional=functional.get(gradient or ""),
        cutoff_ev=float(cutoff) if cutoff else None,
        k_points=mesh,
        basis=", ".join(dict.fromkeys(" ".join(one.split()) for one in potentials)) or None,
    )


_READERS: dict[str, Callable[[str], Theory]] = {
    "qe/pw/scf": _quantum_espresso,
    "cp2kdata/md": _cp2k,
    "cp2kdata/e_f": _cp2k,
    "vasp/outcar": _vasp,
    "vasp/xml": _vasp,
}


def merged(theories: list[Theory]) -> Theory:
    """One level of theory for the whole dataset: a field that differs lists its values, most frequent first."""
    result: Theory = {}
    for name in dict.fromkeys(name for theory in theories for name in theory):
        values = [theory[name] for theory in theories if name in theory]
        ranked = sorted(dict.fromkeys(values), key=lambda value: (-values.count(value), str(value)))
        if len(ranked) == 1:
            result[name] = ranked[0]
        elif name != "cutoff_ev":
            shown = "; ".join(str(value) for value in ranked[:3])
            result[name] = f"several: {shown}{'; …' if len(ranked) > 3 else ''}"
    return result
