"""Renders templates: language, theme and person of a request, one environment a language."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial, wraps
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.domain import Person
from gateway.pages import words
from gateway.pages.assets import DOCUMENTATION, Assets
from gateway.pages.languages import COOKIE, LANGUAGES, language_of, translations
from gateway.pages.limits import limits
from gateway.pages.sentences import in_language
from gateway.people.identity import reader
from gateway.problems import Problem
from gateway.search.elements import PLACES
from gateway.views.datasets import DatasetView

TEMPLATES = Path(__file__).parent.parent / "templates"
THEMES = ("light", "dark")
YEAR_SECONDS = 365 * 86400
PAGE_HEADERS = {"cache-control": "private, no-cache", "vary": "Cookie, Accept-Language"}
ACCOUNTS = 512
SOMEBODY = object()  # who is signed in and is nobody in particular

Endpoint = Callable[[Request], Awaitable[Response]]


def training_data(dataset: DatasetView) -> dict[str, object]:
    """What the chart's script reads from the page."""
    training, metric = dataset.training, dataset.metric
    return {
        "points": [point.model_dump() for point in training.curve] if training else [],
        "total_steps": training.total_steps if training else 0,
        "zero_shot": {
            "force": metric.force_rmse_zero_shot_mev_per_angstrom if metric else None,
            "energy": metric.energy_rmse_zero_shot_mev_per_atom if metric else None,
        },
    }


def _said(language: str, sentence: str) -> Markup:
    """Sentences of a service in the reader's language where the catalogue has them, the others marked as English."""
    english = Markup('<span lang="en">{}</span>')
    pieces = in_language(language, sentence)
    shown = [escape(words.sentence(text)) if known else english.format(words.sentence(text)) for text, known in pieces]
    # Chinese sentences stand side by side, others with a space between them.
    between = Markup("") if all(known for _, known in pieces) else Markup(" ")
    return between.join(shown)


class Given(dict[str, Any]):
    """What a form has so far, for templates: none for what it lacks."""

    def __missing__(self, key: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """What a page says of whoever is signed in."""

    button: str = ""
    menu: str = ""


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page for anybody who is signed in: what stands before, between and after the parts of `Account`."""

    before: bytes
    between: bytes
    after: bytes

    def of(self, account: Account) -> bytes:
        """The page of one person."""
        return b"".join((self.before, account.button.encode(), self.between, account.menu.encode(), self.after))


class Site:
    """Raises FileNotFoundError when the front end has not been built."""

    def __init__(self) -> None:
        # Nobody can guess it, so that no text of a contributor looks like a gap.
        self._gap = Markup("<!--{}-->").format(token_hex(16))
        # (language, person) → what fills the gaps of an open page.
        self.account = lru_cache(ACCOUNTS)(self._account)
        assets = Assets()
        self._environments = {language: self._environment(language, assets) for language in LANGUAGES}

    @staticmethod
    def _environment(language: str, assets: Assets) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(),
            extensions=["jinja2.ext.i18n"],
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        catalogue = translations(language)
        environment.install_gettext_callables(  # type: ignore[attr-defined]  # added by the i18n extension
            catalogue.gettext, catalogue.ngettext, newstyle=True
        )
        environment.filters.update(words.FILTERS)
        environment.filters["limits"] = limits
        environment.filters["said"] = partial(_said, language)
        environment.globals.update(
            asset=assets.url,
            script=assets.script,
            icon=assets.icon,
            initials=words.initials,
            training_data=training_data,
            language=language,
            places=PLACES,
            documented=(DOCUMENTATION / "index.html").is_file(),
            element_boxes=words.element_boxes,
            dict_by_field=lambda mismatches: {one.field: one for one in mismatches},
        )
        return environment

    def render(
        self, request: Request, template: str, person: Person | None, status: int = 200, **context: object
    ) -> Response:
        """A page for one request. `?lang=` is remembered in a cookie."""
        language = language_of(request)
        html = self._html(request, template, language, person, self.account(language, person), context)
        response = HTMLResponse(html, status, headers=PAGE_HEADERS)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(COOKIE, language, max_age=YEAR_SECONDS, samesite="lax", path="/", httponly=True)
        return response

    def open_page(self, request: Request, template: str, **context: object) -> OpenPage:
        """The same for everybody who is signed in. A template that asks who it is fails."""
        gaps = Account(self._gap, self._gap)
        html = self._html(request, template, language_of(request), SOMEBODY, gaps, context)
        before, between, after = html.split(self._gap)
        return OpenPage(before.encode(), between.encode(), after.encode())

    def _account(self, language: str, person: Person | None) -> Account:
        if person is None:
            return Account()
        parts: Any = self._environments[language].get_template("_account.html").module
        return Account(parts.button(person), parts.menu(person))

    def _html(
        self,
        request: Request,
        template: str,
        language: str,
        person: object,
        account: Account,
        context: dict[str, object],
    ) -> str:
        other = next(one for one in LANGUAGES if one != language)
        theme = request.cookies.get("theme")
        return (
            self._environments[language]
            .get_template(template)
            .render(
                lang=language,
                theme=theme if theme in THEMES else None,
                path=request.url.path,
                here=_here(request),
                other_language_url=_relative(request, lang=other),
                person=person,
                account=account,
                **context,
            )
        )

    def gettext(self, request: Request, text: str) -> str:
        return translations(language_of(request)).gettext(text)

    def said(self, request: Request, text: str) -> Markup:
        """What a use case says, in the reader's language."""
        return _said(language_of(request), text)


@cache
def site() -> Site:
    return Site()


def safe_next(target: object) -> str:
    """Where to go after a form: a path of this site, never an address that somebody else chose."""
    if not isinstance(target, str) or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if any(ord(character) < 32 for character in target) or urlsplit(target).netloc:
        return "/"
    return target


def _here(request: Request) -> str:
    return _relative(request, lang=None)


def _relative(request: Request, lang: str | None) -> str:
    """This page's path and query, with another language or with none named."""
    url = request.url.remove_query_params("lang")
    if lang is not None:
        url = url.include_query_params(lang=lang)
    return url.path + (f"?{url.query}" if url.query else "")


def page(endpoint: Endpoint) -> Endpoint:
    """Problems become pages; who must sign in first is sent there and back."""

    @wraps(endpoint)
    async def shown(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Problem as problem:
            if problem.status == 401 and request.method == "GET":
                return RedirectResponse(f"/sign-in?next={quote(_here(request), safe='')}", 303)
            return await problem_page(request, problem)

    return shown


async def problem_page(request: Request, problem: Problem) -> Response:
    """An error in words: what happened, and what to do."""
    person = None
    if problem.status < 500:
        try:
            person = await reader(request)
        except Problem:
            person = None
    response = site().render(
        request,
        "error.html",
        person,
        status=problem.status,
        code=problem.status,
        title=problem.title,
        detail=problem.detail,
        remedy=problem.remedy,
        again=request.method == "GET",
        known=problem.status < 500,  # else nobody asked who it is
    )
    response.headers.update(problem.headers)
    return response
