"""The known cases through the metric's own path, and docs/verdicts.md: `python tests/support/verdicts.py` writes it."""

import asyncio
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import demo_data
import reference_model
from case_list import CASES, GROUPS
from contracts.base import BlobRef, DatasetRef, LevelOfTheory
from frames.pairs import pairs_of_manifest
from kit.blobs import Blobs
from known_cases import Case
from metric.domain.coverage import KnownBranch
from metric.domain.run_settings import RunSettings
from metric.judging import CurrentModel, Judge, LoadedModel, Task
from metric.prediction import PredictionProcess
from metric.settings import MetricSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "verdicts.md"
HEADER = "| case | dataset | expected | verdict | covered | what the contributor reads |\n|---|---|---|---|---|---|\n"
INTRODUCTION = """# Verdicts on known cases

Every case is a dataset whose right verdict is known beforehand: real DFT calculations made for this project, and what
goes wrong with labels on their way. The judge is the metric service's own (survey, sample, prediction process, verdict)
with the reference model of `tests/data/reference-model`: two branches, `silicon` and `water`, trained on the demo's
data. Written by `python tests/support/verdicts.py`; `tests/integration/metric/test_metric_verdicts.py` judges every
case anew and compares.

"""
FIELDS = re.compile(r"^\| (\S+) \| ([^|]*) \| (\S+) \| \**(passed|covered|not-sound)\** \| ", re.MULTILINE)


@dataclass(frozen=True)
class Found:
    """What the metric said of a case; `rules`: what speaks against the dataset, the first first."""

    case: Case
    outcome: str
    rules: tuple[str, ...]
    sound: str
    new: str
    coverage: float
    failed_frames: int

    @property
    def right(self) -> bool:
        """The verdict is the expected one, for the expected reason."""
        case = self.case
        return (
            self.outcome == case.expected
            and (not case.rule or case.rule in self.rules)
            and case.says in self.sound
            and case.failed_frames in (None, self.failed_frames)
        )


def document(found: Sequence[Found]) -> str:
    """The page: what was expected and what came out, with the sentence that decided."""
    by_name = {one.case.name: one for one in found}
    right = sum(one.outcome == one.case.expected for one in found)
    parts = [
        INTRODUCTION,
        f"{right} of {len(found)} ({100 * right / len(found):.0f} %) come out as they should. Those that do not, in "
        f"bold, are known and explained below the tables.\n",
    ]
    for title, cases in GROUPS.items():
        parts += [f"\n## {title}\n\n", HEADER, *(_row(by_name[case.name]) for case in cases)]
    parts.append("\n## What is not seen\n\n")
    parts += [f"- `{case.name}` ({case.what}): {case.miss}.\n" for case in CASES if case.miss]
    return "".join(parts)


def table(text: str) -> dict[str, tuple[str, str, str]]:
    """Case → dataset, expected and found verdict, as the page has them."""
    return {name: (what, expected, outcome) for name, what, expected, outcome in FIELDS.findall(text)}


def _row(one: Found) -> str:
    case = one.case
    outcome = one.outcome if one.outcome == case.expected else f"**{one.outcome}**"
    sentence = one.sound if one.outcome == "not-sound" else one.new
    covered = f"{100 * one.coverage:.0f} %" if one.outcome != "not-sound" else "–"
    return f"| {case.name} | {case.what} | {case.expected} | {outcome} | {covered} | {sentence} |\n"


class ReferenceModels:
    """The reference model as the registry would name it, already on disk."""

    def __init__(self, manifest: BlobRef, pairs: frozenset[str]) -> None:
        self._model = CurrentModel(reference_model.VERSION, manifest)
        self._pairs = pairs

    async def current(self) -> CurrentModel | None:
        return self._model

    async def load(self, model: CurrentModel) -> LoadedModel:
        manifest = reference_model.manifest()
        branches = tuple(map(KnownBranch.of, manifest.branches))
        return LoadedModel(model, reference_model.RELEASE, branches, self._pairs, manifest)


async def judge_cases(cases: Iterable[Case], folder: Path) -> list[Found]:
    """Each case as a stored dataset: survey, sample, prediction process, verdict, report, tables and pictures."""
    blobs = Blobs((folder / "blobs").as_uri())
    (folder / "work").mkdir()
    published = await reference_model.publish(blobs, folder)
    datasets = [
        (await reference_model.store_dataset(blobs, folder / name, name))[0] for name in reference_model.BRANCHES
    ]
    pairs = frozenset[str]().union(*(pairs_of_manifest(one) for one in datasets))
    models = ReferenceModels(published, pairs)
    async with PredictionProcess(threads=1, timeout_seconds=240) as predictions:
        judge = Judge(models, predictions, blobs, folder / "work")
        return [await _judged(judge, models, blobs, folder, case) for case in cases]


async def _judged(judge: Judge, models: ReferenceModels, blobs: Blobs, folder: Path, case: Case) -> Found:
    train, held_out = demo_data.parts(case.frames())
    ref = DatasetRef(dataset_id=uuid5(NAMESPACE_URL, case.name), version=1)
    _, manifest = await reference_model.store_frames(blobs, folder, case.name, ref, train, held_out, LevelOfTheory())
    limits = replace(MetricSettings(blobs_url="file:///unused").limits(), **case.settings)
    model = await models.current() if case.with_model else None
    verdict = await judge.judge(Task(ref.dataset_id, manifest, model, RunSettings(limits, 2000, 1)))
    report, judgement = verdict.report, verdict.judgement
    broken = [check.rule for check in report.checks if not check.passed and not check.unknown]
    return Found(
        case=case,
        outcome=judgement.outcome,
        rules=tuple(broken),
        sound=report.sound.sentence,
        new=report.new.sentence,
        coverage=report.coverage,
        failed_frames=judgement.failed_frames,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(judge_cases(CASES, Path(name)))
    for one in found:
        if not one.right:
            print(f"{one.case.name}: {one.outcome}, {', '.join(one.rules)}: {one.sound} {one.new}")
    DOCUMENT.write_text(document(found))


if __name__ == "__main__":
    main()
