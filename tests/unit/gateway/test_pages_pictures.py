"""Pictures in Chinese: every one that the metric draws, every word of it, and the drawing as it was."""

import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from gateway.pages.assets import Assets
from gateway.pages.languages import LANGUAGES
from gateway.pages.pictures import in_language
from gateway.pages.site import Site
from metric.pictures.gallery import pictures
from picture_examples import cases

SVG = "{http://www.w3.org/2000/svg}"
# Names, units, symbols and numbers are the same in both languages.
SAME = re.compile(r"DPA|RMSE|DFT|[em]*eV|meV|atom|[A-Z][a-z]?(?=\W|$)|si-pbe|ΔF|\d")
EVERY = cases()


def words(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    return [one.text or "" for name in ("title", "desc", "text") for one in root.iter(f"{SVG}{name}")]


@pytest.mark.parametrize("case", sorted(EVERY))
def test_every_word_is_chinese_and_the_drawing_stays(case: str) -> None:
    drawn = pictures(*EVERY[case])
    assert drawn
    for name, svg in drawn.items():
        said = in_language(svg, "zh")
        for before, after in zip(words(svg), words(said), strict=True):
            left = re.findall(r"[A-Za-z]{2,}", SAME.sub("", after))
            assert not left, (name, before, after)
            if re.search(r"[a-z]{4,}", before):
                assert re.search(r"[\u4e00-\u9fff]", after), (name, before)
        shapes = [[(one.tag, one.attrib) for one in ET.fromstring(which).iter()] for which in (svg, said)]
        assert shapes[0] == shapes[1], name


def test_readers_of_english_get_what_is_stored() -> None:
    for svg in pictures(*EVERY["judged"]).values():
        assert in_language(svg, "en") == svg


def test_what_cannot_be_said_stays_english_and_markup_stays_markup() -> None:
    svg = b'<svg><text x="1">nobody said this &lt;b&gt;</text><text>known</text><title id="t">Frames</title></svg>'
    said = in_language(svg, "zh").decode()
    assert "nobody said this &lt;b&gt;" in said
    assert "<text>已知</text>" in said
    assert '<title id="t">帧数</title>' in said


def test_a_hostile_name_of_a_branch_stays_text() -> None:
    report, manifest = EVERY["judged"]
    branch = "</text><script>&amp;"
    near = report.branches[0].model_copy(update={"branch": branch})
    hostile = report.model_copy(update={"branches": (near,), "nearest_branch": branch})
    drawn = pictures(hostile, manifest)["force-error.svg"]
    said = in_language(drawn, "zh")
    assert b"<script" not in said
    assert any(branch in text for text in words(said))


def test_a_png_is_marked_as_english_where_the_page_is_not() -> None:
    urls = {"parity-force.svg": "/p.svg", "parity-force.png": "/p.png"}
    dataset = SimpleNamespace(id="x", version=1)
    macro = "{% from '_metric.html' import pictures with context %}{{ pictures(dataset, urls) }}"
    shown = {}
    for language in LANGUAGES:
        environment = Site._environment(language, Assets())
        shown[language] = environment.from_string(macro).render(dataset=dataset, urls=urls)
        assert 'href="/p.png" hreflang="en"' in shown[language]
    assert "PNG<span" in shown["en"]
    assert "PNG （英文）<span" in shown["zh"]
