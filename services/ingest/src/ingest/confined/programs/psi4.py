"""Psi4: outputs with a gradient."""

import re

from ingest.confined.programs.spec import FormatSpec, Signs, Theory, code, first, said


def _theory(text: str) -> Theory:
    return said(
        code=code("Psi4", first(r"^\s*Psi4 (\S+) release", text)),
        functional=first(r"=> (?:Composite Functional: )?(\S+)(?: Composite Functional)? <=\s*$", _functional(text)),
        basis=first(r"^\s*Name:\s*(\S+)\s*\n\s*Role: ORBITAL", text),
    )


def _functional(text: str) -> str:
    return "\n".join(re.findall(r"=> [^\n]*Composite Functional[^\n]*<=", text))


FORMATS = (
    FormatSpec(
        name="psi4/out",
        title="Psi4 output",
        example="output.dat of a job with gradient",
        reads="file",
        names=("*.out", "*.dat"),
        content=re.compile(rb"Psi4: An Open-Source"),
        words=(b"Psi4: An Open-Source",),
        told_by="Psi4: An Open-Source",
        theory=_theory,
        signs=Signs(
            finished=rb"Psi4 exiting successfully",
            unconverged=rb"Could not converge SCF",
            forces=rb"Total Gradient",
            remedy="Call gradient('…') in the input: it prints the gradient that forces are taken from.",
        ),
    ),
)
