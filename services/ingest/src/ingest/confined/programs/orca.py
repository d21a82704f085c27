"""ORCA: outputs of jobs with a gradient."""

import re

from ingest.confined.programs.spec import FormatSpec, Signs, Theory, code, first, said


def _theory(text: str) -> Theory:
    exchange = first(r"^\s*Exchange Functional\s+Exchange\s+\.+\s*(\S+)", text)
    correlation = first(r"^\s*Correlation Functional\s+Correlation\s+\.+\s*(\S+)", text)
    pair = exchange if exchange == correlation else f"{exchange}/{correlation}"
    exact = float(first(r"^\s*Fraction HF Exchange\s+ScalHFX\s+\.+\s*([\d.]+)", text) or 0)
    return said(
        code=code("ORCA", first(r"Program Version\s+(\S+)", text)),
        functional=None if exchange is None else f"{pair}, {exact:.0%} exact exchange" if exact else pair,
        basis=first(r"utilizes the basis:\s*(\S+)", text),
    )


FORMATS = (
    FormatSpec(
        name="orca/spout",
        title="ORCA output",
        example="molecule.out of a job with EnGrad",
        reads="file",
        names=("*.out", "*.spout"),
        content=re.compile(rb"\* *O *R *C *A *\*"),
        words=(b"O   R   C   A", b"O R C A", b"ORCA"),
        told_by="O R C A",
        theory=_theory,
        signs=Signs(
            finished=rb"ORCA TERMINATED NORMALLY",
            unconverged=rb"SCF NOT CONVERGED|not fully converged",
            forces=rb"CARTESIAN GRADIENT",
            remedy="Run it with EnGrad, which prints the gradient.",
        ),
    ),
)
