"""Citations that programs read back, ORCID iDs, licences, agreements."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
import yaml  # type: ignore[import-untyped]
from gateway.exports.citation import Cited
from gateway.forms import orcid
from gateway.forms.agreements import OURS, Agreements
from gateway.forms.licences import KNOWN, licence
from gateway.problems import Problem
from hypothesis import given
from hypothesis import strategies as st

SITE = "https://potluck.example"
CITED = Cited(
    dataset_id=UUID("0193a3f0-0000-7000-8000-000000000001"),
    version=2,
    name="SiC, 300–2000 K",
    authors=(("Mei Lin", "0000-0002-1825-0097"), ("李华", None)),
    licence="CC-BY-4.0",
    published=date(2026, 11, 25),
)


def test_bibtex() -> None:
    assert CITED.bibtex(SITE) == (
        "@misc{lin-2026-sic,\n"
        "  title = {{SiC, 300–2000 K}},\n"
        "  author = {{Mei Lin} and {李华}},\n"
        "  year = {2026},\n"
        "  version = {2},\n"
        "  publisher = {Potluck},\n"
        "  url = {https://potluck.example/datasets/0193a3f0-0000-7000-8000-000000000001?version=2},\n"
        "  note = {Dataset, CC-BY-4.0}\n"
        "}\n"
    )


def test_cff() -> None:
    read = yaml.safe_load(CITED.cff(SITE))
    assert read["cff-version"] == "1.2.0"
    assert read["type"] == "dataset"
    assert read["title"] == CITED.name
    assert read["authors"] == [
        {"name": "Mei Lin", "orcid": "https://orcid.org/0000-0002-1825-0097"},
        {"name": "李华"},
    ]
    assert (read["version"], read["date-released"], read["license"]) == ("2", "2026-11-25", "CC-BY-4.0")


@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1).filter(str.strip))
def test_whatever_a_name_holds_stays_inside_its_field(name: str) -> None:
    cited = replace(CITED, name=name.strip(), authors=((name.strip(), None),))
    assert yaml.safe_load(cited.cff(SITE))["title"] == name.strip()
    bibtex = cited.bibtex(SITE)
    plain = bibtex.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert bibtex.startswith("@misc{")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0000-0002-1825-0097", "0000-0002-1825-0097"),
        ("https://orcid.org/0000-0002-1825-0097", "0000-0002-1825-0097"),
        ("0000000218250097", "0000-0002-1825-0097"),
        ("0000-0002-1694-233x", "0000-0002-1694-233X"),
        ("0000-0002-1825-0098", None),
        ("0000-0002-1825", None),
        ("", None),
        ("٠٠٠٠-0002-1825-0097", None),
    ],
)
def test_orcid_ids_have_a_checksum(text: str, found: str | None) -> None:
    assert orcid.canonical(text) == found


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Mei Lin 0000-0002-1825-0097", ("Mei Lin", "0000-0002-1825-0097")),
        ("Mei Lin (https://orcid.org/0000-0002-1825-0097)", ("Mei Lin", "https://orcid.org/0000-0002-1825-0097")),
        ("李华，", ("李华，", "")),
        ("Agent 007", ("Agent 007", "")),
    ],
)
def test_an_orcid_id_may_follow_a_name(text: str, parts: tuple[str, str]) -> None:
    assert orcid.split(text) == parts


def test_licences_that_operators_add_are_linked() -> None:
    assert licence("CC0-1.0") is KNOWN["CC0-1.0"]
    assert licence("CDLA-Permissive-2.0").text_url == "https://spdx.org/licenses/CDLA-Permissive-2.0.html"


def test_agreements_have_texts_in_both_languages(tmp_path: Path) -> None:
    ours = Agreements("2026-11")
    english, chinese = ours.in_force("en"), ours.in_force("zh")
    assert (english.language, chinese.language) == ("en", "zh")
    assert english.sha256 != chinese.sha256
    assert ours.in_force("fr") == english
    with pytest.raises(Problem):
        ours.text("../settings", "en")
    with pytest.raises(FileNotFoundError):
        Agreements("2099-01")
    (tmp_path / "house.en.md").write_text("Be kind.")
    assert Agreements("house", tmp_path).in_force("zh").content == "Be kind."
    assert (OURS / "2026-11.zh.md").is_file()
