"""The entry form without a server; the API's tests send every wrong field over HTTP."""

from typing import Any
from uuid import uuid4

import pytest
from gateway.forms.drafts import Author, Rules, fingerprint, read_draft, read_key, read_publication
from gateway.problems import Problem
from hypothesis import given
from hypothesis import strategies as st

RULES = Rules(
    formats={"vasp/outcar": "vasp/outcar", "outcar": "vasp/outcar"},
    licences=("CC-BY-4.0", "CC0-1.0"),
    agreement="2026-11",
)
GOOD: dict[str, Any] = {
    "upload_id": str(uuid4()),
    "name": "  SiC  ",
    "authors": [" Mei Lin ", "J. Doe"],
    "format": "outcar",
    "licence": "CC0-1.0",
    "agreement": "2026-11",
}


def refusal(payload: dict[str, Any]) -> Problem | None:
    try:
        read_draft(payload, RULES)
    except Problem as problem:
        return problem
    return None


def test_a_good_form_with_its_defaults() -> None:
    draft = read_draft(GOOD, RULES)
    assert draft.name == "SiC"
    assert draft.authors == (Author("Mei Lin"), Author("J. Doe"))
    assert draft.format == "vasp/outcar"
    assert not draft.private
    assert draft.description == ""
    assert draft.level_of_theory is None


@given(
    field=st.sampled_from(["upload_id", "name", "authors", "format", "licence", "agreement", "level_of_theory"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_whatever_comes_is_a_draft_or_a_problem_in_words(field: str, value: Any) -> None:
    problem = refusal(GOOD | {field: value})
    if problem is not None:
        assert (problem.status, problem.field) == (422, field)
        assert problem.detail
        assert problem.remedy


def test_a_form_of_nothing_names_all_that_is_missing() -> None:
    with pytest.raises(Problem) as caught:
        read_draft({}, RULES)
    missing = [one.field for one in caught.value.errors]
    assert missing == ["upload_id", "name", "authors", "format", "licence", "agreement"]


def test_fingerprints_tell_requests_apart_but_not_their_spelling() -> None:
    turned = dict(reversed(GOOD.items()))
    assert fingerprint(GOOD) == fingerprint(turned)
    assert fingerprint(GOOD) != fingerprint(GOOD | {"name": "Si"})


def test_idempotency_keys() -> None:
    assert read_key(None) is None
    assert read_key("0193-a") == "0193-a"
    for wrong in ("", "x" * 201, "a\nb"):
        with pytest.raises(Problem):
            read_key(wrong)


@pytest.mark.parametrize("name", ["李华", "مرحبا", "SiC 🧪", "می‌خواهم", "<script>alert(1)</script>", "'; drop table"])
def test_names_of_every_script_are_kept_as_they_are(name: str) -> None:
    draft = read_draft(GOOD | {"name": name, "authors": [name]}, RULES)
    assert (draft.name, draft.authors) == (name, (Author(name),))


@pytest.mark.parametrize("hidden", ["‮", "​", "﻿", "⁦", ""])
def test_characters_that_nobody_sees_are_named(hidden: str) -> None:
    problem = refusal(GOOD | {"name": f"Si{hidden}C", "authors": [f"Mei{hidden}"]})
    assert problem is not None
    assert [one.field for one in problem.errors] == ["name", "authors"]
    assert all(f"U+{ord(hidden):04X}" in one.detail for one in problem.errors)


def test_authors_may_have_an_orcid_and_keep_their_order() -> None:
    authors = [{"name": "Mei Lin", "orcid": "https://orcid.org/0000-0002-1825-0097"}, "J. Doe"]
    assert read_draft(GOOD | {"authors": authors}, RULES).authors == (
        Author("Mei Lin", "0000-0002-1825-0097"),
        Author("J. Doe"),
    )
    problem = refusal(GOOD | {"authors": [{"name": "Mei Lin", "orcid": "0000-0002-1825-0098"}]})
    assert problem is not None
    assert problem.field == "authors"
    assert "Mei Lin" in problem.detail


def test_sharing_only_needs_no_format_and_cannot_be_private() -> None:
    shared = {key: value for key, value in GOOD.items() if key != "format"} | {"dpa": False}
    assert not read_draft(shared, RULES).dpa
    problem = refusal(shared | {"private": True})
    assert problem is not None
    assert problem.field == "private"


def test_what_a_publication_leaves_out_stays() -> None:
    said = read_publication({"licence": "CC0-1.0", "agreement": True}, RULES)
    assert (said.licence, said.authors, said.description, said.agreement) == ("CC0-1.0", None, None, "2026-11")
    with pytest.raises(Problem) as caught:
        read_publication({"licence": "MIT", "authors": [], "name": "another"}, RULES)
    assert [one.field for one in caught.value.errors] == ["licence", "authors", "agreement", "name"]
