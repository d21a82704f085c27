"""Pictures: well-formed, the same for the same numbers, with units, and right in light and dark."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest
from contracts.artifacts import BranchCoverage, DatasetManifest, Histogram, MetricReport, Parity
from contracts.base import BlobRef, DatasetRef, LevelOfTheory, RuleResult
from metric.domain.report import log_histogram
from metric.pictures.axes import Scale, nice_step, padded, tick_label
from metric.pictures.gallery import pictures
from metric.pictures.svg import COLOURS, Sheet, number

SVG = "{http://www.w3.org/2000/svg}"
REF = DatasetRef(dataset_id=UUID(int=7), version=1)
BLOB = BlobRef(key="k", sha256="0" * 64, size=1)
FINE = RuleResult(rule="sound", passed=True, sentence="Fine.")


def manifest() -> DatasetManifest:
    return DatasetManifest(
        dataset=REF,
        content_sha256="0" * 64,
        train=BLOB,
        held_out=BLOB,
        frames=12,
        train_frames=9,
        held_out_frames=3,
        duplicate_frames=0,
        atoms=96,
        elements=("C", "Si"),
        compositions=(),
        has_virial=True,
        level_of_theory=LevelOfTheory(),
        format="qe/pw/scf",
        set_aside=(),
        energy_per_atom_ev=Histogram(edges=(-107.95, -107.9, -107.85), counts=(5, 7)),
        force_component_ev_per_angstrom=Histogram(edges=(-1.0, 0.0, 1.0), counts=(100, 188)),
        preview=(),
        versions={},
    )


def report(model: str | None, branch: str = "si-pbe", points: int = 50, threshold: float = 0.5) -> MetricReport:
    rng = np.random.default_rng(1)
    errors = rng.lognormal(-1.6, 0.4, points)
    values = tuple(map(float, rng.normal(0, 1, points)))
    covered = int((errors <= threshold).sum())
    near = BranchCoverage(
        branch=branch,
        force_rmse_mev_per_angstrom=141.0,
        energy_rmse_mev_per_atom=6.0,
        threshold_ev_per_angstrom=threshold,
        coverage=covered / points,
        alignment_rank=1,
        elements=1,
    )
    return MetricReport(
        dataset=REF,
        run_id=UUID(int=1),
        model_version=model,
        frames_judged=points,
        sound=FINE,
        new=FINE,
        checks=(),
        coverage=near.coverage if model else 0,
        threshold_ev_per_angstrom=threshold if model else None,
        branches=(near,) if model else (),
        nearest_branch=branch if model else None,
        energy_shift_ev={},
        new_elements=(),
        parity=(
            Parity(quantity="energy", unit="eV/atom", reference=values, predicted=values, rmse=0.006),
            Parity(quantity="force", unit="eV/Å", reference=values, predicted=values, rmse=0.141),
        )
        if model
        else (),
        max_force_error_histogram=log_histogram(errors, threshold) if model else None,
        verdicts=(),
        pictures={},
        settings={},
        versions={},
    )


def words(svg: bytes) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag != f"{SVG}style"]


def test_a_judged_dataset_comes_with_parity_and_force_errors() -> None:
    drawn = pictures(report("1.0"), manifest())
    assert sorted(drawn) == ["force-error.svg", "parity-energy.svg", "parity-force.svg"]
    text = {name: " ".join(words(svg)) for name, svg in drawn.items()}
    assert "RMSE 6 meV/atom" in text["parity-energy.svg"]
    assert "RMSE 141 meV/Å" in text["parity-force.svg"]
    assert "(meV/atom)" in text["parity-energy.svg"]
    assert "DFT force component (eV/Å)" in text["parity-force.svg"]
    assert "threshold 0.5 eV/Å" in text["force-error.svg"]
    assert "DPA 1.0, branch si-pbe" in text["force-error.svg"]


def test_before_the_first_model_the_labels_are_shown() -> None:
    drawn = pictures(report(None), manifest())
    assert sorted(drawn) == ["energy-distribution.svg", "force-distribution.svg"]
    text = " ".join(words(drawn["energy-distribution.svg"]))
    assert "12 frames, 96 atoms in all, elements C, Si" in text
    assert "(eV/atom)" in text


def test_of_many_elements_the_first_are_named() -> None:
    many = manifest().model_copy(update={"elements": tuple(f"E{k}" for k in range(40))})
    text = " ".join(words(pictures(report(None), many)["force-distribution.svg"]))
    assert "E0, E1, E2, E3, E4, E5, E6, E7, E8, E9 and 30 more" in text


@pytest.mark.parametrize("model", ["1.0", None])
def test_the_same_report_gives_the_same_bytes(model: str | None) -> None:
    assert pictures(report(model), manifest()) == pictures(report(model), manifest())


@pytest.mark.parametrize("points", [1, 2, 24, 1999])
@pytest.mark.parametrize("threshold", [0.05, 0.5, 40.0])
def test_everything_lies_on_the_sheet(points: int, threshold: float) -> None:
    for svg in pictures(report("1.0", points=points, threshold=threshold), manifest()).values():
        root = ET.fromstring(svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        assert b"nan" not in svg
        assert b"inf" not in svg
        for path in root.iter(f"{SVG}path"):
            places = re.findall(r"[ML](\S+?) ([^\sLMh]+)", path.attrib["d"])
            assert places
            assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)
        for rect in root.iter(f"{SVG}rect"):
            assert float(rect.attrib.get("x", 0)) + float(rect.attrib["width"]) <= width + 0.01


def test_names_from_outside_are_text_and_long_ones_are_cut() -> None:
    hostile = "<script>alert(1)</script>&" + "x" * 80
    for svg in pictures(report("1.0", branch=hostile), manifest()).values():
        assert b"<script" not in svg
        assert ET.fromstring(svg).tag == f"{SVG}svg"
        assert max(len(text) for text in words(svg)[3:]) < 100


def luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize(("role", "least"), [("ink", 7), ("muted", 4.5), ("known", 3), ("useful", 3), ("energy", 3)])
def test_contrast_in_light_and_dark(theme: int, role: str, least: float) -> None:
    for ground in ("paper", "field"):
        light, dark = sorted((luminance(COLOURS[role][theme]), luminance(COLOURS[ground][theme])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least


def test_a_sheet_carries_title_description_and_its_dark_colours() -> None:
    sheet = Sheet(100, 50, "A < B", "why & how")
    sheet.text(1, 2, "x", "ink")
    root = ET.fromstring(sheet.render())
    assert [root[0].text, root[1].text] == ["A < B", "why & how"]
    style = root[2].text or ""
    assert f".f-ink{{fill:{COLOURS['ink'][1]}}}" in style
    assert "prefers-color-scheme:dark" in style


def test_ticks_are_round_and_inside() -> None:
    assert Scale(-0.31, 1.02, 0, 1).ticks() == pytest.approx([0, 0.5, 1.0])
    assert Scale(0.1, 3.0, 0, 1, logarithmic=True).ticks() == pytest.approx([0.1, 0.2, 0.5, 1, 2])
    assert [nice_step(x) for x in (0.03, 0.2, 7)] == pytest.approx([0.05, 0.2, 10])
    assert [tick_label(-0.0, 0.1), tick_label(-2.5, 0.5), tick_label(20, 10)] == ["0.0", "−2.5", "20"]
    ticks = Scale(-107.96, -107.84, 0, 1).ticks()
    assert all(b > a for a, b in pairwise(ticks))
    assert len({tick_label(tick, ticks[1] - ticks[0]) for tick in ticks}) == len(ticks)


def test_a_single_value_still_has_a_range() -> None:
    low, high = padded([3.0])
    assert low < 3.0 < high
    assert padded([0.0]) == (-0.01, 0.01)


def test_coordinates_are_short() -> None:
    assert [number(x) for x in (1.0, 0.125, -0.001, 10.10, 100)] == ["1", "0.12", "0", "10.1", "100"]
