"""A dataset's page, and what its contributor does with it later."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.domain import Person
from gateway.exports.citation import Cited
from gateway.forms.licences import licence
from gateway.http.answers import site_url, version_of
from gateway.pages.browse import gateway_of
from gateway.pages.curve import drawing
from gateway.pages.kept import kept_for_members, kept_for_strangers
from gateway.pages.languages import language_of
from gateway.pages.phrases import N_
from gateway.pages.progress import steps
from gateway.pages.site import Given, page, site
from gateway.pages.upload import authors_of
from gateway.people.identity import reader, signed_in
from gateway.problems import FieldError, Problem, not_found
from gateway.views.datasets import DatasetView
from gateway.views.past import DatasetPast

RECEIPTS_SHOWN = 5


def _dataset_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["dataset_id"])
    except ValueError:
        raise not_found("dataset") from None


async def _contents(request: Request, person: Person | None) -> dict[str, Any]:
    """What the page of a dataset shows this reader."""
    gateway = gateway_of(request)
    view, past = await gateway.datasets.past(person, _dataset_id(request), version_of(request))
    region = gateway.regions.of(view.region)
    # What strangers may have can be fetched where it lies: our cookie is not sent there.
    anybodys = view.download is not None and view.looked_into and not view.private
    nearby = region.address if region.address and anybodys else None
    cited = Cited.of(view)
    return {
        "dataset": view,
        "past": past,
        "steps": steps(view),
        "drawing": drawing(view),
        "region": region if len(gateway.regions.all) > 1 else None,
        "nearby": nearby,
        "bibtex": cited.bibtex(site_url(request)) if cited else None,
        "receipts": (await gateway.receipts.of(person, view.id))[:RECEIPTS_SHOWN],
    }


async def citation(request: Request) -> Response:
    """The citation as a file: citation.bib or CITATION.cff."""
    _, cited = await gateway_of(request).datasets.cited(
        await reader(request), _dataset_id(request), version_of(request)
    )
    address = site_url(request)
    if request.url.path.endswith(".bib"):
        return PlainTextResponse(cited.bibtex(address), headers=_saved_as(f"{cited.key}.bib"))
    return PlainTextResponse(cited.cff(address), headers=_saved_as("CITATION.cff"))


def _saved_as(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "private, no-cache"}


async def rerun(request: Request) -> Response:
    """The owner's "Run again": the page that comes back shows it running."""
    person, dataset_id = await signed_in(request), _dataset_id(request)
    await gateway_of(request).reruns.ask(person, dataset_id)
    return RedirectResponse(f"/datasets/{dataset_id}#h-reruns", 303)


async def _own(request: Request) -> tuple[Person, DatasetView, DatasetPast]:
    """404 for what is not this person's, like what is not there."""
    person = await signed_in(request)
    view, past = await gateway_of(request).datasets.past(person, _dataset_id(request))
    if not view.yours:
        raise not_found("dataset")
    return person, view, past


async def publication(request: Request) -> Response:
    """The form that makes a private dataset public."""
    person, view, _ = await _own(request)
    if not view.private or view.withdrawn:
        return RedirectResponse(f"/datasets/{view.id}", 303)
    return _publication(request, person, view, {}, {})


def _publication(
    request: Request,
    person: Person,
    view: DatasetView,
    values: dict[str, str],
    errors: dict[str, FieldError],
    status: int = 200,
) -> Response:
    gateway = gateway_of(request)
    authors = "\n".join(f"{name} {view.orcids.get(name, '')}".strip() for name in view.authors)
    before = {"authors": authors, "licence": view.licence, "description": view.description}
    return site().render(
        request,
        "make_public.html",
        person,
        status,
        dataset=view,
        licences=[licence(spdx) for spdx in gateway.settings.licences],
        agreement=gateway.agreements.in_force(language_of(request)),
        values=Given(before | values),
        errors=Given(errors),
    )


async def make_public(request: Request) -> Response:
    person, view, _ = await _own(request)
    async with request.form(max_files=0, max_fields=8, max_part_size=1 << 20) as form:
        values = {name: value for name, value in form.items() if isinstance(value, str)}
    said = {
        "licence": values.get("licence", ""),
        "authors": authors_of(values.get("authors", "")),
        "description": values.get("description", "").replace("\r\n", "\n"),
        "agreement": values.get("agreement"),
    }
    try:
        if not values.get("description", "").strip():
            detail, remedy = (
                N_("A public dataset needs a description."),
                N_("Say what was computed, how, and what it is good for."),
            )
            raise Problem(422, "invalid-field", "", detail, remedy=remedy, field="description")
        await gateway_of(request).publishing.make_public(person, view.id, said, language_of(request))
    except Problem as problem:
        errors = problem.errors or (FieldError(problem.field or "", problem.detail, problem.remedy or ""),)
        return _publication(request, person, view, values, {one.field: one for one in errors}, problem.status)
    return RedirectResponse(f"/datasets/{view.id}", 303)


async def withdrawal(request: Request) -> Response:
    """What withdrawing means, before it is done."""
    person, view, past = await _own(request)
    if view.withdrawn:
        return RedirectResponse(f"/datasets/{view.id}", 303)
    return site().render(request, "withdraw.html", person, dataset=view, past=past, problem=None)


async def withdraw(request: Request) -> Response:
    person, view, past = await _own(request)
    async with request.form(max_files=0, max_fields=4) as form:
        reason, understood = str(form.get("reason", "")), form.get("understood") is not None
    try:
        if not understood:
            detail, remedy = N_("You have not confirmed it yet."), N_("Read what happens, and check the box.")
            raise Problem(422, "not-confirmed", "", detail, remedy=remedy, field="understood")
        await gateway_of(request).publishing.withdraw(person, view.id, reason)
    except Problem as problem:
        return site().render(request, "withdraw.html", person, problem.status, dataset=view, past=past, problem=problem)
    return RedirectResponse(f"/datasets/{view.id}", 303)


async def licences(request: Request) -> Response:
    found = [licence(spdx) for spdx in gateway_of(request).settings.licences]
    return site().render(request, "licences.html", await reader(request), licences=found)


async def agreement(request: Request) -> Response:
    """Any version that somebody agreed to, in the reader's language."""
    text = gateway_of(request).agreements.text(request.path_params["version"], language_of(request))
    return site().render(request, "agreement.html", await reader(request), agreement=text)


def routes() -> list[BaseRoute]:
    one = "/datasets/{dataset_id}"
    return [
        Route(one, page(kept_for_strangers(kept_for_members("dataset.html", _contents)))),
        Route(f"{one}/citation.bib", page(citation)),
        Route(f"{one}/CITATION.cff", page(citation)),
        Route(f"{one}/metric/reruns", page(rerun), methods=["POST"]),
        Route(f"{one}/publish", page(publication), methods=["GET"]),
        Route(f"{one}/publish", page(make_public), methods=["POST"]),
        Route(f"{one}/withdraw", page(withdrawal), methods=["GET"]),
        Route(f"{one}/withdraw", page(withdraw), methods=["POST"]),
        Route("/licences", page(licences)),
        Route("/agreements/{version}", page(agreement)),
    ]
