"""From numbers to verdicts: every check with what was found, what is allowed and a sentence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.base import RuleResult

from trainer.work import Verified

NAMED_BRANCHES = 3


@dataclass(frozen=True, slots=True)
class Check:
    """A question to the files. `holds` and `fails` are the beginnings of its sentence.

    withholds  a model that fails it is not what was trained, or no physical model: it is not published
    """

    rule: str
    holds: str
    fails: str
    withholds: bool = True


REPRODUCES = Check(
    "reproduces",
    "The files repeat the trainer's energies and forces, as .pt and frozen",
    "The files do not repeat the trainer's predictions",
)
DERIVATIVES = Check(
    "derivatives",
    "Forces are the derivative of the energy",
    "Forces are not the derivative of the energy",
)
PERMUTATION = Check(
    "permutation",
    "The order of the atoms makes no difference",
    "The order of the atoms makes a difference",
)
ROTATION = Check(
    "rotation",
    "A turned structure has the same energy and turned forces",
    "A turned structure has another energy or other forces",
)
TRANSLATION = Check(
    "translation",
    "A moved structure has the same energy and forces",
    "A moved structure has another energy or other forces",
)
EXTENSIVE = Check(
    "extensive",
    "A doubled cell has twice the energy and the same forces",
    "A doubled cell does not have twice the energy and the same forces",
)
CONSERVES = Check(
    "conserves-energy",
    "A run of 200 steps at constant energy, from 100 K, keeps the total energy",
    "A run of 200 steps at constant energy, from 100 K, loses or gains total energy",
    withholds=False,
)
CHECKS = (REPRODUCES, DERIVATIVES, PERMUTATION, ROTATION, TRANSLATION, EXTENSIVE, CONSERVES)


@dataclass(frozen=True, slots=True)
class Finding:
    """One number of one branch. `quantity` with `unit` is told as a key, e.g. 'force_difference_ev_per_angstrom'."""

    check: Check
    branch: str
    quantity: str
    unit: str
    found: float
    bound: float

    @property
    def passed(self) -> bool:
        return self.found <= self.bound

    @property
    def key(self) -> str:
        return f"{self.quantity}_{self.unit.lower().replace('/', '_per_').replace('å', 'angstrom')}"

    @property
    def excess(self) -> float:
        """Found in units of what is allowed; a number that is none is the worst."""
        return self.found / self.bound if math.isfinite(self.found) else math.inf

    def __str__(self) -> str:
        return f"{self.quantity.replace('_', ' ')} {self.found:.2g} {self.unit} ({self.bound:.2g} allowed)"


def graded(check: Check, findings: Sequence[Finding], left_out: Sequence[str] = ()) -> RuleResult:
    """One check over all its branches. `left_out`: branches that could not be asked; nobody can tell if all were.

    The numbers are the worst of each quantity with its bound.
    """
    mine = [one for one in findings if one.check == check]
    without = f" Not asked: {_few(left_out)}, whose frames are too large for it." if left_out else ""
    if not mine:
        return RuleResult(
            rule=check.rule, passed=False, unknown=True, sentence=f"This could not be looked at.{without}"
        )
    numbers: dict[str, float] = {}
    for one in sorted(mine, key=lambda one: one.excess):
        numbers.pop(one.key, None)  # no number, if the worst is none
        if math.isfinite(one.found):
            numbers[one.key] = one.found
        numbers[f"{one.key}_allowed"] = one.bound
    failed = [one for one in mine if not one.passed]
    asked = dict.fromkeys(one.branch for one in mine)
    if failed:
        worst = {one.branch: one for one in sorted(failed, key=lambda one: one.excess)}
        told = [f"branch {name}: {one}" for name, one in reversed(worst.items())]
        sentence = f"{check.fails}: {_few(told, '; ')}.{without}"
    else:
        worst_of = {one.quantity: one for one in sorted(mine, key=lambda one: one.excess)}
        sentence = f"{check.holds}: {', '.join(map(str, worst_of.values()))} on {_count(asked)}.{without}"
    return RuleResult(rule=check.rule, passed=not failed, sentence=sentence, numbers=numbers)


def concluded(results: Mapping[Check, RuleResult], branches: int, versions: Mapping[str, str]) -> Verified:
    """One verdict: no check fails that must hold. What nobody can tell is not held against the model."""
    broken = [one for check, one in results.items() if check.withholds and not one.passed and not one.unknown]
    software = " and ".join(f"{name} {version}" for name, version in versions.items())
    if broken:
        sentence = f"The model does not pass a fresh process. {' '.join(one.sentence for one in broken)}"
    else:
        held = [one for one in results.values() if one.passed]
        sentence = (
            f"The model loads in a fresh process ({software}) and repeats the trainer's energies and forces on "
            f"{branches} {'branch' if branches == 1 else 'branches'}; {len(held)} of {len(results)} checks hold."
        )
    numbers = {key: value for one in results.values() for key, value in one.numbers.items() if _of_loading(one)}
    return Verified(passed=not broken, sentence=sentence, numbers=numbers, checks=tuple(results.values()))


def _of_loading(result: RuleResult) -> bool:
    return result.rule in (REPRODUCES.rule, DERIVATIVES.rule)


def _count(branches: Mapping[str, object]) -> str:
    return f"branch {next(iter(branches))}" if len(branches) == 1 else f"{len(branches)} branches"


def _few(names: Sequence[str], separator: str = ", ") -> str:
    shown = separator.join(names[:NAMED_BRANCHES])
    more = len(names) - NAMED_BRANCHES
    return f"{shown} and {more} more" if more > 0 else shown
