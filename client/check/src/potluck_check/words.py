"""The answer as a person reads it, and as a script does. The sentences are those that the platform writes."""

from typing import Any

from contracts.artifacts import DatasetManifest, MetricReport
from contracts.base import LevelOfTheory, RuleResult, SetAside
from potluck import resources, wording
from rich.markup import escape

from potluck_check.asking import Asked
from potluck_check.dryrun import Answer

_LISTED = 20
_HEADLINES = {
    "passed": "[bold green]It would pass:[/] sound and new. The model would be trained on it.",
    "covered": "[bold yellow]Not passed, covered:[/] the model knows this. It would get an entry, and no training.",
    "not-sound": "[bold red]Not passed, not sound.[/] Mend what is named below first.",
    "sound": "[bold green]It is sound.[/] Whether it is new was not asked.",
    "rejected": "[bold red]It would be rejected.[/]",
}
_THEORY = (
    ("code", "code {}"), ("functional", "functional {}"), ("cutoff_ev", "cut-off {:.4g} eV"), ("k_points", "k-mesh {}"),
    ("basis", "basis {}"),
)  # fmt: skip
# What only the platform can tell: it has the other datasets.
_ELSEWHERE = frozenset({"duplicates", "leakage"})
_NOT_ASKED = "Frames that other datasets hold too are found by the platform alone."


def lines(answer: Answer, asked: Asked | None) -> list[str]:
    """Lines with rich markup."""
    said = [_HEADLINES[answer.outcome]]
    if answer.rejected is not None:
        said += [escape(answer.rejected.reason), f"What to do: {escape(answer.rejected.remedy)}"]
        return said + _set_aside(answer.rejected.set_aside)
    if answer.manifest is not None:
        said += [escape(line) for line in _read(answer.manifest)]
    if answer.verdict is not None:
        said += _judged(answer.verdict.report, asked)
    return said + (_set_aside(answer.manifest.set_aside) if answer.manifest is not None else [])


def document(answer: Answer) -> dict[str, Any]:
    """For `--json`: the platform's own documents, as it would write them."""
    return {
        "outcome": answer.outcome,
        "rejected": _plain(answer.rejected, {"rule", "reason", "remedy", "set_aside"}),
        "ingest": _plain(answer.manifest, _TOLD),
        "metric": _plain(answer.verdict.report if answer.verdict is not None else None, _JUDGED),
    }


_TOLD = {
    "format", "detection", "frames", "train_frames", "held_out_frames", "duplicate_frames", "atoms", "elements",
    "labels", "scf", "level_of_theory", "declared", "theory_mismatches", "removed", "set_aside", "content_sha256",
}  # fmt: skip
_JUDGED = {
    "model_version", "frames_judged", "sound", "new", "checks", "coverage", "threshold_ev_per_angstrom", "branches",
    "nearest_branch", "new_elements", "new_element_pairs", "settings", "versions",
}  # fmt: skip


def _plain(value: Any, names: set[str]) -> Any:
    return value.model_dump(mode="json", include=names) if value is not None else None


def _read(found: DatasetManifest) -> list[str]:
    labels = ", ".join(f"{one.name} ({one.unit}) of {one.frames:,}" for one in found.labels if one.frames)
    told = [
        f"Read: {found.frames:,} frames of {', '.join(found.elements)} as {found.format}; {found.train_frames:,} to "
        f"train on, {found.held_out_frames:,} held out, {found.duplicate_frames:,} duplicates dropped, "
        f"{len(found.set_aside):,} set aside",
        f"Labels: {labels}",
    ]
    if found.detection is not None:
        told.append(f"Format: {found.detection.sentence} ({found.detection.confidence})")
    told.append(f"Level of theory: {_theory(found.level_of_theory) or 'the files do not tell'}")
    told += [f"You declared {one.field} {one.declared}; the files say {one.found}" for one in found.theory_mismatches]
    if found.removed:
        names = ", ".join(found.removed[:3]) + (" …" if len(found.removed) > 3 else "")
        told.append(f"Left out of what others may download: {names}")
    return [*told, _NOT_ASKED]


def _theory(level: LevelOfTheory) -> str:
    values = [(words, getattr(level, name)) for name, words in _THEORY]
    return ", ".join(words.format(value) for words, value in values if value is not None)


def _judged(report: MetricReport, asked: Asked | None) -> list[str]:
    told = [_rule(report.sound), *(_rule(rule) for rule in report.checks if rule.rule not in _ELSEWHERE)]
    if asked is not None:
        told.append(_rule(report.new))
        if asked.private_branches:
            told.append(
                f"  [dim]{asked.private_branches} of the model's branches come from private datasets: they are asked"
                " too, but which elements they know is not told.[/]"
            )
    return told


def _rule(rule: RuleResult) -> str:
    mark = "[green]✓[/]" if rule.passed else "[yellow]?[/]" if rule.unknown else "[red]✗[/]"
    return f"  {mark} {escape(rule.rule)}: {escape(rule.sentence)}"


def _set_aside(entries: tuple[SetAside, ...]) -> list[str]:
    told = []
    for one in entries[:_LISTED]:
        told.append(f"  {escape(wording.set_aside(resources.SetAside(**one.model_dump())))}")
    if len(entries) > _LISTED:
        told.append(f"  … and {len(entries) - _LISTED:,} more: --json lists them all")
    return told
