"""Sentences of the services in Chinese: those that they really say, with their values, and nothing half."""

import ast
import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from contracts.artifacts import ModelManifest
from frames.frame import Frame
from gateway.pages.languages import translations
from gateway.pages.sayings_ingest import INGEST
from gateway.pages.sayings_metric import METRIC
from gateway.pages.sayings_parsers import PARSERS
from gateway.pages.sayings_registry import REGISTRY
from gateway.pages.sentences import SAYINGS, in_language
from gateway.pages.site import _said
from ingest.confined.judging import Raw, Unfit, atomic_numbers, frame
from ingest.domain import Calculation, Rejected, judge, no_calculation
from metric.domain.consistency import judge_consistency
from metric.domain.neighbours import Step
from metric.domain.survey import survey
from metric.settings import MetricSettings
from registry.domain.policy import GrowthPolicy
from registry.domain.policy import judge as grown
from trainer.verify import grading

ROOT = Path(__file__).parents[3]
LIMITS = MetricSettings(blobs_url="file:///unused").limits()
HOLES = r"\{\w+\}"


def chinese(text: str) -> str:
    """The text in Chinese. Fails where a part of it is not."""
    pieces = in_language("zh", text)
    assert all(known for _, known in pieces), [one for one, known in pieces if not known]
    return "".join(one for one, _ in pieces)


def test_every_template_has_its_values_in_chinese_too() -> None:
    for template in SAYINGS:
        said = translations("zh").gettext(template)
        assert said != template, template
        assert sorted(re.findall(HOLES, said)) == sorted(re.findall(HOLES, template)), template


def sources(*folders: str) -> str:
    """Every text that their Python files hold, as it is put together there, with holes where values are put in."""
    texts = []
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append("".join(str(one.value) if isinstance(one, ast.Constant) else "\0" for one in node.values))
    return "\n".join(texts)


@pytest.mark.parametrize(
    ("templates", "folders"),
    [
        (METRIC, ("services/metric/src",)),
        (REGISTRY, ("services/registry/src", "services/trainer/src", "services/gateway/src/gateway")),
        ((*INGEST, *PARSERS), ("services/ingest/src",)),
    ],
)
def test_what_is_translated_is_what_the_services_say(templates: tuple[str, ...], folders: tuple[str, ...]) -> None:
    """A sentence that was reworded would silently stay English. Parts of one may come from several places."""
    text = sources(*folders).lower()
    lost = []
    for template in templates:
        clauses = [clause.split() for clause in re.split(rf"{HOLES}|\(s\)|[.,:;()%]", template.lower())]
        pairs = [" ".join(pair) for words in clauses for pair in pairwise(words)]
        pairs = pairs or [word for words in clauses for word in words]
        missing = [pair for pair in pairs if pair not in text]
        # Two words that meet only when the sentence is put together are no rewording.
        if len(missing) > 2 or len(missing) == len(pairs) > 2:
            lost.append((template, missing))
    assert lost == []


def told_in_docs() -> list[str]:
    """The last column of docs/verdicts.md: what contributors read of a hundred datasets."""
    rows = [line for line in (ROOT / "docs/verdicts.md").read_text().splitlines() if line.startswith("| ")]
    return [row.rstrip(" |").rsplit(" | ", 1)[1] for row in rows if " frames" in row or "ev" in row.lower()]


def test_every_verdict_of_the_hundred_known_cases_is_chinese() -> None:
    told = [one for one in told_in_docs() if one[:1].isupper() and one.endswith((".", "?"))]
    assert len(told) > 80
    english = [one for one in told if not all(known for _, known in in_language("zh", one))]
    assert english == []


def frames() -> list[Frame]:
    """Something for every rule: strong and uncompensated forces, close atoms, an odd energy, lopsided virials, SCF."""
    rng = np.random.default_rng(4)
    made = []
    for index in range(40):
        forces = rng.normal(0, 1, (4, 3))
        forces -= forces.mean(axis=0)
        coords = 2.4 * np.arange(4)[:, None] * np.ones(3) / np.sqrt(3)
        virial = np.eye(3)
        virial[0, 1] = {3: 0.5, 4: 1e-3}.get(index, 0.0)
        if index == 0:
            forces[0, 0] += 70
        if index == 1:
            coords[1] = coords[0] + 0.3
        if index == 2:
            coords[1] = coords[0] + 0.75
        energy = -400.0 + {5: 30.0, 6: -30.0, 7: 0.5}.get(index, 0.001 * float(rng.normal()))
        made.append(
            Frame(
                np.array([14] * 4), coords, 12 * np.eye(3), energy, forces, virial, source="a; b/算例.out", index=index,
                converged={8: False, 9: None}.get(index, True), known=index == 10,
            )
        )  # fmt: skip
    return made


def test_every_rule_on_frames_and_on_the_dataset_is_chinese() -> None:
    found = survey([("train", k, one) for k, one in enumerate(frames())], LIMITS)
    for result in found.checks:
        assert not re.search(r"[a-z]{5,}", chinese(result.sentence)), result.sentence
    broken = {finding.rule for one in found.frames for finding in one.findings}
    assert len(broken) == 7
    for one in found.frames:
        for finding in one.findings:
            said = chinese(finding.sentence)
            assert "a; b/算例.out" in said
            assert not re.search(r"[a-z]{5,}", said.replace("a; b/算例.out, frame", "")), said


@pytest.mark.parametrize("factor", [1.0, -1.0, 27.2114, 1 / 27.2114, 7.7, 0.25, 1e-9])
def test_what_is_said_of_energies_beside_forces_is_chinese(factor: float) -> None:
    rng = np.random.default_rng(1)
    one = Frame(np.array([14] * 4), np.zeros((4, 3)), None, 0.0, np.ones((4, 3)))
    work = rng.normal(0, 1, 40)
    near = [Step(k, k + 1, factor * w, w, 0.0, 0.1, 4) for k, w in enumerate(work)]
    _, result = judge_consistency([one], near, LIMITS)
    assert result is not None
    chinese(result.sentence)
    shuffled = [
        Step(k, k + 1, factor * w, v, 0.0, 0.1, 4) for k, (w, v) in enumerate(zip(work, work[::-1], strict=True))
    ]
    _, result = judge_consistency([one], shuffled, LIMITS)
    assert result is not None
    chinese(result.sentence)


def test_growth_rules_are_chinese() -> None:
    path = ROOT / "tests/data/reference-model/manifest.json"
    manifest = ModelManifest.model_validate_json(path.read_text())
    names = [one.name for one in manifest.branches]
    policy = GrowthPolicy.model_validate_json((ROOT / "deploy/policy/growth.json").read_text())
    first = grown(manifest, [], names, policy)
    parents = tuple(one.held_out.model_copy(update={"branch": one.name}) for one in manifest.branches)
    later = manifest.model_copy(
        update={"parent_version": "1.0", "parent_held_out": parents, "zero_shot": parents, "new_branches": names[1:]}
    )
    for verdict in (
        first,
        grown(later, names[:1], names[1:], policy),
        grown(later, names, names[1:], policy),
    ):
        for rule in verdict.rules:
            if rule.rule == "loads":
                # What the trainer of that day said; its words of today are below.
                continue
            assert not re.search(r"[a-z]{6,}", re.sub("|".join([*names, "deepmd-kit"]), "", chinese(rule.sentence)))


@pytest.mark.parametrize("found", [0.5, 2.0, float("nan")])
def test_checks_of_the_files_are_chinese(found: float) -> None:
    quantities = {
        "energy_difference": "eV/atom", "force_difference": "eV/Å", "frozen_energy_difference": "eV/atom",
        "frozen_force_difference": "eV/Å", "derivative_difference": "eV/Å", "energy_drift": "meV/atom",
    }  # fmt: skip
    findings = [
        grading.Finding(check, branch, quantity, unit, found, 1.0)
        for check in grading.CHECKS
        for branch in ("si", "water")
        for quantity, unit in quantities.items()
    ]
    results = {check: grading.graded(check, findings, ["large", "larger"]) for check in grading.CHECKS}
    for result in (*results.values(), grading.graded(grading.CHECKS[0], [], ["large"])):
        chinese(result.sentence)
    versions = {"deepmd-kit": "3.2.0", "torch": "2.11.0"}
    for branches in (1, 2):
        chinese(grading.concluded(results, branches, versions).sentence)


def test_what_is_set_aside_is_chinese() -> None:
    right = Raw(["Si"], np.zeros((1, 3)), 6 * np.eye(3), -1.0, np.zeros((1, 3)), None)
    wrong = [
        Raw([], right.coords, None, -1.0, right.forces, None),
        Raw(["Si"], right.coords, None, None, right.forces, None),
        Raw(["Si"], right.coords, None, -1.0, None, None),
        Raw(["Si"], right.coords, np.zeros((3, 3)), -1.0, right.forces, None),
        Raw(["Si"], np.zeros((2, 3)), None, -1.0, right.forces, None),
        Raw(["Si"], right.coords, None, float("nan"), right.forces, None),
        Raw(["Qq"], right.coords, None, -1.0, right.forces, None),
        Raw(["Si"], right.coords, None, -1.0, right.forces, None, converged=False),
    ]
    for raw in wrong:
        with pytest.raises(Unfit) as unfit:
            frame(raw, atomic_numbers(raw.symbols), 0)
        chinese(str(unfit.value))
        chinese(unfit.value.remedy)


def test_what_a_rejected_archive_is_told_is_chinese() -> None:
    one = Calculation(0, "run/OUTCAR", "vasp/outcar", ("run/OUTCAR",), {})
    one.fails("crashed", "the self-consistency did not converge", "Split it into smaller files.")
    told = [no_calculation("detect", None, {}, "3 files, such as a.txt")]
    for count in (1, 3):
        with pytest.raises(Rejected) as rejected:
            judge([one] * count, [], [one.failure] * count if one.failure else [], 0.5)
        told.append(rejected.value)
    for rejection in told:
        chinese(rejection.reason)
        chinese(rejection.remedy)


def test_what_nobody_translated_stays_english_and_is_marked() -> None:
    text = "There are no atoms. Something <b>else</b> was wrong in 3 % of them."
    assert in_language("en", text) == ((text, True),)
    assert in_language("zh", text) == (
        ("没有原子。", True),
        ("Something <b>else</b> was wrong in 3 % of them.", False),
    )
    shown = str(_said("zh", text))
    assert '没有原子。 <span lang="en">Something &lt;b&gt;else' in shown
    assert "<b>" not in str(
        _said("zh", "<b>: the virial is not symmetric; it differs from its transpose by 1 of its size.")
    )
    # Half a sentence is no sentence.
    assert in_language("zh", "The model can learn from this: whatever; below 90 % counts as new.")[0][1] is False


@pytest.mark.parametrize(
    "text",
    [
        "Nobody knows this sentence. " * 400,
        ", and ".join(["energy"] * 200) + ", and what",
        "energy: " * 200 + "what.",
        "energy; " * 200 + "what.",
        "frame " * 300,
        "a (b) " * 300 + ".",
    ],
)
def test_a_hostile_text_is_looked_through_in_time(text: str) -> None:
    started = time.process_time()
    pieces = in_language("zh", text)
    assert not any(known for _, known in pieces)
    assert len(pieces) < 30
    assert time.process_time() - started < 5


def test_parts_whose_values_hold_commas_in_brackets_are_parts() -> None:
    """Two branches with their intervals: the first one was taken for a part of the second one's name."""
    told = (
        "Every new dataset was learned: held-out force error: water from 608.2 to 473.7 meV/Å (-22.1 %, likely "
        "-26.5 to -17.8), si from 1254.8 to 176.4 meV/Å (-85.9 %, likely -87.0 to -84.6); at least 5 % below "
        "all forces zero was asked."
    )
    said = chinese(told)
    assert "likely" not in said
    assert said.count("很可能") == 2
    told = (
        "Nothing was forgotten: the old branch that fared worst is si from 176.4 to 157.3 meV/Å (-10.9 %, likely -18.3 "
        "to -3.8); at most 5 % more is allowed."
    )
    assert chinese(told).startswith("没有遗忘：旧分支中表现最差的是 si 从 176.4")


def test_what_an_archive_holds_instead_of_calculations_is_chinese_too() -> None:
    told = "no calculation was recognised in the archive: it holds 3 files, such as notes/README.txt, notes/a.csv"
    assert chinese(told).endswith("3 个文件，例如 notes/README.txt, notes/a.csv")
    assert "files" not in chinese("no vasp/outcar calculation is in the archive: it holds no files at all")
    told = "no calculation was recognised in the archive: it holds nothing but a, b.zip, which is named like an archive"
    assert chinese(f"{told} and is none").endswith("只有 a, b.zip，它的名字像压缩包，但并不是")
    assert chinese("no calculation was recognised in the archive: it holds nothing but a.pdf").endswith("只有 a.pdf")


# Only programs meet these: wrong JSON, the tus protocol, a program's own sign-in, operators' settings.
FOR_PROGRAMS = {"http/answers.py", "people/programs.py", "uploads/tus.py", "webhooks/rules.py"}
SAY = {"Problem", "FieldError", "_Wrong", "invalid_field", "not_found"}


def refusals() -> set[str]:
    """Every sentence that a use case may refuse with, a 7 in place of each value."""
    found = set()
    gateway = ROOT / "services/gateway/src/gateway"
    for path in sorted(
        one for one in gateway.rglob("*.py") if one.relative_to(gateway).parts[0] not in ("api", "pages")
    ):
        calls = [one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)]
        for call in calls if str(path.relative_to(gateway)) not in FOR_PROGRAMS else ():
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            given = [
                *call.args[name == "not_found" :],
                *(one.value for one in call.keywords if one.arg in ("detail", "remedy")),
            ]
            for one in given if name in SAY else ():
                text = sample(one)
                # What begins with a value or names its subject by one is put together elsewhere.
                if " " in text and not re.match("7|There is no such 7", text):
                    found.add(text)
    return found


def sample(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in node.values)
    return ""


def test_what_the_use_cases_refuse_with_is_chinese() -> None:
    """A form's complaint or an error page in English on a Chinese page: add it to `sayings_gateway` or `phrases`."""
    told = refusals()
    assert len(told) > 150
    assert [one for one in sorted(told) if not all(known for _, known in in_language("zh", one))] == []
