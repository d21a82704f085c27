"""Every sentence of the site is there in every language, and readers get the one they want."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from gateway.pages import phrases
from gateway.pages.languages import LANGUAGES, catalogue_file, language_of, translations
from starlette.requests import Request

ROOT = Path(__file__).parents[3]
GATEWAY = ROOT / "services/gateway/src/gateway"
TRANSLATED = [language for language in LANGUAGES if language != "en"]


def sentences() -> set[str]:
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    found = extract_from_dir(GATEWAY, methods, options)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def catalogue(language: str) -> dict[str, Message]:
    with catalogue_file(language).open("rb") as file:
        messages = [message for message in read_po(file, locale=language) if message.id]
    return {message.id if isinstance(message.id, str) else message.id[0]: message for message in messages}


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_missing_and_nothing_is_left_over(language: str) -> None:
    known = catalogue(language)
    assert sentences() == set(known)
    assert [key for key, message in known.items() if not all(_strings(message)) or message.fuzzy] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_values_have_the_same_names(language: str) -> None:
    """A misspelt %(name)s would break a page in that language only."""
    for key, message in catalogue(language).items():
        for text in _strings(message):
            assert set(re.findall(r"%\(\w+\)s|%%", text)) == set(re.findall(r"%\(\w+\)s|%%", key)), key


def _strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or [""])


def test_the_sentences_of_the_use_cases_are_said_by_them() -> None:
    """Else a sentence that was reworded would silently stay English."""
    said = "".join(path.read_text() for path in GATEWAY.rglob("*.py") if "pages" not in path.parts)
    joined = re.sub(r'"\s*\n\s*f?"', "", said)
    # `not_found` puts the subject into its sentence; routing errors are Starlette's words.
    composed = {one for one in phrases.SAID if one.startswith("There is no such ")} | {
        "Not Found",
        "Method Not Allowed",
    }
    assert [one for one in sorted(phrases.SAID - composed) if one not in joined] == []


@pytest.mark.parametrize(
    ("query", "cookie", "header", "language"),
    [
        ("", "", "", "en"),
        ("", "", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "", "en;q=0.5,zh;q=0.8", "zh"),
        ("", "", "fr,de;q=0.9", "en"),
        ("", "", "zh;q=0,en", "en"),
        ("", "zh", "en", "zh"),
        ("lang=en", "zh", "zh", "en"),
        ("lang=klingon", "zh", "en", "zh"),
        ("", "", "zh;q=nonsense", "en"),
    ],
)
def test_which_language(query: str, cookie: str, header: str, language: str) -> None:
    headers = [(b"accept-language", header.encode()), (b"cookie", f"lang={cookie}".encode())]
    request = Request({"type": "http", "query_string": query.encode(), "headers": headers})
    assert language_of(request) == language


def test_catalogues_translate() -> None:
    assert translations("zh").gettext("Publish") == "发布"
    assert translations("zh").ngettext("%(num)s dataset", "%(num)s datasets", 3) == "%(num)s 个数据集"
    assert translations("en").gettext("Publish") == "Publish"
