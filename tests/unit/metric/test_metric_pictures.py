"""Pictures: well-formed, the same for the same numbers, with units, and right in light and dark."""

import re
import xml.etree.ElementTree as ET
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from contracts.artifacts import (
    FrameVerdict,
    GainPoint,
    LearningGain,
)
from frames.frame import SYMBOLS
from metric.domain.report import log_histogram
from metric.pictures import elements, learning_gain
from metric.pictures.axes import Scale, nice_step, padded, tick_label
from metric.pictures.gallery import pictures, with_png
from metric.pictures.svg import COLOURS, Sheet, number
from picture_examples import full_report, manifest, report, with_pairs
from PIL import Image

SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg: bytes, role: str) -> int:
    return sum(f"f-{role}" == one.attrib.get("class") for one in ET.fromstring(svg).iter(f"{SVG}rect"))


def words(svg: bytes) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag != f"{SVG}style"]


def test_a_judged_dataset_comes_with_parity_and_force_errors() -> None:
    drawn = pictures(report("1.0"), manifest())
    assert sorted(drawn) == ["elements.svg", "force-error.svg", "parity-energy.svg", "parity-force.svg"]
    text = {name: " ".join(words(svg)) for name, svg in drawn.items()}
    assert "RMSE 6 meV/atom" in text["parity-energy.svg"]
    assert "RMSE 141 meV/Å" in text["parity-force.svg"]
    assert "(meV/atom)" in text["parity-energy.svg"]
    assert "DFT force component (eV/Å)" in text["parity-force.svg"]
    assert "threshold 0.5 eV/Å" in text["force-error.svg"]
    assert "DPA 1.0, branch si-pbe" in text["force-error.svg"]


def test_frames_of_a_new_element_are_new_left_of_the_threshold_too() -> None:
    errors = [0.1] * 6 + [0.2] * 4 + [0.9] * 2
    judged = report("1.0").model_copy(
        update={
            "max_force_error_histogram": log_histogram(errors, 0.5),
            "verdicts": tuple(
                FrameVerdict(
                    split="train", index=k, verdict="useful", covered=covered, max_force_error_ev_per_angstrom=error
                )
                for k, (error, covered) in enumerate(zip(errors, [True] * 4 + [False] * 7 + [True], strict=True))
            ),
        }
    )
    svg = pictures(judged, manifest())["force-error.svg"]
    text = " ".join(words(svg))
    assert "5 of 12 frames covered" in text
    assert "6 frames left of the threshold not covered: an element is new to the model" in text
    # 0.1: four known below two new ones; 0.2: new ones; 0.9: one of each, as a dataset that trained holds one.
    assert (boxes(svg, "known"), boxes(svg, "useful")) == (2, 3)
    assert "not covered" not in " ".join(words(pictures(report("1.0"), manifest())["parity-force.svg"]))


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_a_few_pairs_fill_the_sheet_and_carry_their_names(count: int) -> None:
    svg = pictures(report("1.0"), with_pairs(SYMBOLS[5 : 5 + count]))["element-pairs.svg"] if count > 1 else (
        elements.draw_pairs(("C",), {"C-C"}, set(), "1.0")
    )  # fmt: skip
    sides = [float(one.attrib["width"]) for one in ET.fromstring(svg).iter(f"{SVG}rect") if "width" in one.attrib]
    largest = max(side for side in sides if side < 400)
    assert largest == pytest.approx({1: 148, 2: 148, 3: 316 / 3 - 2, 12: 316 / 12 - 2}[count], abs=0.1)
    assert ("C–C" in words(svg)) == (count < 12)


def test_before_the_first_model_the_labels_are_shown() -> None:
    drawn = pictures(report(None), manifest())
    assert sorted(drawn) == ["elements.svg", "energy-distribution.svg", "force-distribution.svg"]
    text = " ".join(words(drawn["energy-distribution.svg"]))
    assert "12 frames, 96 atoms in all, elements C, Si" in text
    assert "(eV/atom)" in text


def test_of_many_elements_the_first_are_named() -> None:
    many = manifest().model_copy(update={"elements": SYMBOLS[:40]})
    text = " ".join(words(pictures(report(None), many)["force-distribution.svg"]))
    assert "H, He, Li, Be, B, C, N, O, F, Ne and 30 more" in text


@pytest.mark.parametrize("model", ["1.0", None])
def test_the_same_report_gives_the_same_bytes(model: str | None) -> None:
    assert pictures(report(model), manifest()) == pictures(report(model), manifest())


@pytest.mark.parametrize("points", [1, 2, 24, 1999])
@pytest.mark.parametrize("threshold", [0.05, 0.5, 40.0])
def test_everything_lies_on_the_sheet(points: int, threshold: float) -> None:
    for svg in pictures(full_report(points=points, threshold=threshold), with_pairs(SYMBOLS[::9])).values():
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


def test_elements_and_pairs_say_what_is_new() -> None:
    judged = report("1.0").model_copy(update={"new_elements": ("La",), "new_element_pairs": ("O-La", "Si-La")})
    drawn = pictures(judged, with_pairs(("O", "Si", "La")))
    table, pairs = drawn["elements.svg"], drawn["element-pairs.svg"]
    assert "3 elements, 1 new to DPA 1.0: La" in " ".join(words(table))
    assert "3 pairs, 2 new to DPA 1.0: O-La and Si-La" in " ".join(words(pairs))
    # One more than the cells: the legend's.
    assert (boxes(table, "new-cell"), boxes(table, "known-cell"), boxes(table, "field")) == (2, 3, 116)
    assert (boxes(pairs, "new-cell"), boxes(pairs, "known-cell"), boxes(pairs, "field")) == (3, 2, 4)
    known = pictures(report("1.0"), with_pairs(("O", "Si")))
    assert "2 elements, all of them known to DPA 1.0" in " ".join(words(known["elements.svg"]))


def test_before_the_first_model_everything_is_new() -> None:
    first = report(None).model_copy(update={"new_elements": ("C", "Si"), "new_element_pairs": ("C-Si",)})
    drawn = pictures(first, manifest())
    assert "2 elements, all new: there is no model yet" in " ".join(words(drawn["elements.svg"]))
    assert "1 pair, all new: there is no model yet" in " ".join(words(drawn["element-pairs.svg"]))


def test_every_element_has_its_own_place_in_the_periodic_table() -> None:
    places = [elements._place(number) for number in range(1, 119)]
    assert len(set(places)) == 118
    by_symbol = dict(zip(SYMBOLS, places, strict=True))
    assert [by_symbol[one] for one in ("H", "He", "C", "Ti", "La", "Lu", "Hf", "Og")] == [
        (0, 0), (17, 0), (13, 1), (3, 3), (2, 7), (16, 7), (3, 5), (17, 6)
    ]  # fmt: skip
    assert by_symbol["U"] == (5, 8)


def test_the_map_tells_covered_from_other_frames_by_shape_too() -> None:
    svg = pictures(full_report(points=30), manifest())["map.svg"]
    text = " ".join(words(svg))
    assert "30 frames of this dataset among 2 frames that trained DPA 1.0" in text
    assert all(words in text for words in ("training data (2)", "covered (10)", "not covered (20)", "60 %"))
    caps = {
        one.attrib["class"]: one.attrib["stroke-linecap"]
        for one in ET.fromstring(svg).iter()
        if "stroke-linecap" in one.attrib
    }
    assert caps == {"s-guide": "round", "s-known": "round", "s-useful": "square"}


def test_novelty_shows_what_is_far() -> None:
    svg = pictures(full_report(points=200), manifest())["novelty.svg"]
    text = words(svg)
    assert {"near", "far"} <= set(text)
    assert any("are far" in one for one in text)
    assert boxes(svg, "useful") > 0 < boxes(svg, "known")


def test_novelty_of_training_frames_is_no_tiny_number() -> None:
    told = full_report(points=200)
    assert told.novelty is not None
    same = told.model_copy(update={"novelty": told.novelty.model_copy(update={"median": 1.7e-7})})
    text = " ".join(words(pictures(same, manifest())["novelty.svg"]))
    assert "half of the frames or more are training frames" in text
    assert "e-07" not in text


@pytest.mark.parametrize("model", [True, False])
def test_png_is_the_same_picture_twice_as_large_with_words(model: bool) -> None:
    drawn = with_png(pictures(full_report() if model else report(None), with_pairs(("O", "Si"))))
    names = {name.removesuffix(".svg") for name in drawn if name.endswith(".svg")}
    assert {name.removesuffix(".png") for name in drawn if name.endswith(".png")} == names
    for name in names:
        pixels = np.asarray(Image.open(BytesIO(drawn[f"{name}.png"])).convert("RGB"), dtype=int)
        assert pixels.shape == (960, 1280, 3)
        # The title, in ink on paper: without a font nothing would be there.
        assert (pixels[40:80, 56:400].sum(axis=2) < 250).sum() > 300
        # Light, whatever the reader of the SVG prefers.
        assert (pixels[500, 20] == 255).all()


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


@pytest.mark.parametrize("theme", [0, 1])
def test_new_and_known_cells_differ_in_lightness_and_their_words_can_be_read(theme: int) -> None:
    def contrast(one: str, other: str) -> float:
        light, dark = sorted((luminance(COLOURS[one][theme]), luminance(COLOURS[other][theme])), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    assert contrast("new-cell", "known-cell") > 3
    assert contrast("new-cell", "on-new") > 4.5
    assert contrast("known-cell", "on-known") > 4.5


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


def test_the_learning_gain_falls_from_the_line_of_before_and_tells_both_ends() -> None:
    points = ((0, 800.0), (12, 500.0), (25, 400.0), (50, 310.0))
    gain = LearningGain(
        steps=300,
        points=tuple(
            GainPoint(frames=frames, force_rmse_mev_per_angstrom=error, energy_rmse_mev_per_atom=5)
            for frames, error in points
        ),
    )
    drawn = learning_gain.draw(gain, "1.2")
    root = ET.fromstring(drawn)
    words = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert "DPA 1.2: 800 meV/Å before, 310 meV/Å after 300 steps on 50 frames" in words
    assert "Held-out force RMSE (meV/Å)" in words
    assert "Frames trained on" in words
    dots = [path.get("d") or "" for path in root.iter(f"{SVG}path") if path.get("stroke-linecap") == "round"]
    places = sorted(tuple(map(float, place)) for d in dots for place in re.findall(r"M([\d.]+) ([\d.]+)h0", d))
    assert len(places) == len(points)
    # Further right the more frames, further down the smaller the error.
    assert [x for x, _ in places] == sorted({x for x, _ in places})
    assert [y for _, y in places] == sorted({y for _, y in places})
    assert learning_gain.draw(gain, "1.2") == drawn
