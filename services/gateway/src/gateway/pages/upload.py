"""Pages of a contributor's own uploads. The form works without script too, for what a browser sends at once."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID, uuid4

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.domain import Person
from gateway.forms import orcid
from gateway.forms.drafts import DESCRIPTION_LENGTH, DETECT, read_key
from gateway.forms.formats import Formats
from gateway.forms.licences import licence
from gateway.pages.browse import gateway_of, page_number
from gateway.pages.languages import language_of
from gateway.pages.phrases import N_
from gateway.pages.site import Given, page, site
from gateway.people.identity import signed_in
from gateway.problems import FieldError, Problem, invalid, not_found
from gateway.uploads.unfinished import gathered
from gateway.views.datasets import DatasetView

CHUNK = 1 << 20
FORM_FIELDS = 40
OTHER_FIELDS_BYTES = 1 << 20
THEORY = {
    "functional": "functional",
    "code": "code",
    "cutoff": "cutoff_ev",
    "k-points": "k_points",
    "basis": "basis",
}


async def upload(request: Request) -> Response:
    """The entry form. Its script sends the archive and publishes through the API."""
    person = await signed_in(request)
    return await _form(request, person, {}, {}, await _version_of(request, person))


async def _version_of(request: Request, person: Person) -> DatasetView | None:
    """The dataset of `?dataset=`, of which a new version is uploaded. 404 for what is not this person's."""
    asked = request.query_params.get("dataset")
    if asked is None:
        return None
    try:
        view = await gateway_of(request).datasets.get(person, UUID(asked))
    except ValueError:
        raise not_found("dataset") from None
    if not view.yours or view.withdrawn:
        raise not_found("dataset")
    return view


async def _form(
    request: Request,
    person: Person,
    values: Mapping[str, Any],
    errors: Mapping[str, FieldError],
    version_of: DatasetView | None,
    status: int = 200,
) -> Response:
    """`values`: what was typed before, or what the version before said."""
    gateway = gateway_of(request)
    if version_of is not None and not values:
        values = _as_typed(version_of)
    return site().render(
        request,
        "upload.html",
        person,
        status,
        formats=await _formats(gateway.formats),
        licences=[licence(spdx) for spdx in gateway.settings.licences],
        agreement=gateway.agreements.in_force(language_of(request)),
        regions=gateway.regions.all,
        max_upload_bytes=gateway.settings.max_upload_bytes,
        plain_bytes=gateway.settings.plain_upload_bytes,
        version_of=version_of,
        values=Given({"dpa": True, "key": uuid4().hex} | dict(values)),
        errors=Given(errors),
    )


async def _formats(formats: Formats) -> tuple[Any, ...]:
    try:
        return (await formats.catalog()).formats
    except Problem:
        return ()  # ingest has never started: 'detect' still works, and uploading need not wait


def _as_typed(view: DatasetView) -> dict[str, Any]:
    theory = view.declared
    return {
        "name": view.name,
        "authors": "\n".join(f"{name} {view.orcids.get(name, '')}".strip() for name in view.authors),
        "dpa": view.dpa,
        "licence": view.licence,
        "private": view.private,
        "description": view.description,
        "key": uuid4().hex,
    } | ({name: getattr(theory, field) for name, field in THEORY.items() if getattr(theory, field)} if theory else {})


async def send(request: Request) -> Response:
    """The form as a browser without script sends it: fields and archive at once."""
    gateway, person = gateway_of(request), await signed_in(request)
    most = gateway.settings.plain_upload_bytes
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > most + OTHER_FIELDS_BYTES:
        raise _too_large_for_a_form(most)
    async with request.form(max_files=2, max_fields=FORM_FIELDS, max_part_size=OTHER_FIELDS_BYTES) as form:
        values = {name: value for name, value in form.items() if isinstance(value, str)}
        if (key := read_key(values.get("key") or None)) and (
            earlier := await gateway.publishing.published_with(person, key)
        ):
            return RedirectResponse(f"/datasets/{earlier}", 303)
        version_of = await _version_of(request, person)
        try:
            payload = _payload(values, version_of)
            payload["upload_id"] = values.get("upload_id") or await _received(request, person, form)
            values["upload_id"] = str(payload["upload_id"] or "")
            made = await gateway.publishing.publish(person, payload, key, language_of(request))
        except Problem as problem:
            errors = problem.errors or (FieldError(problem.field or "", problem.detail, problem.remedy or ""),)
            shown = values | {"dpa": "dpa" in values, "private": "private" in values}
            named = {one.field: one for one in errors}
            if not values.get("upload_id"):
                missing = FieldError("upload_id", N_("No archive was chosen."), N_("Choose it with Local Upload."))
                named = {name: missing if name == "upload_id" else one for name, one in named.items()}
            return await _form(request, person, shown, named, version_of, problem.status)
    return RedirectResponse(f"/datasets/{made.dataset_id}", 303)


async def _received(request: Request, person: Person, form: FormData) -> UUID | None:
    """The archive of the form as a finished upload; none when none was chosen."""
    file = form.get("archive")
    if not isinstance(file, UploadFile) or not file.size:
        return None

    async def chunks() -> AsyncIterator[bytes]:
        while piece := await file.read(CHUNK):
            yield piece

    return await gateway_of(request).uploads.receive(person, file.size, file.filename or "", chunks())


def _payload(values: Mapping[str, str], version_of: DatasetView | None) -> dict[str, Any]:
    """The API's fields of what was typed. Raises Problem 422 for what a public entry lacks."""
    private = "private" in values
    if not private and not values.get("description", "").strip():
        detail = N_("A public dataset needs a description.")
        raise invalid([FieldError("description", detail, N_("Say what was computed, how, and what it is good for."))])
    return {
        "dataset_id": str(version_of.id) if version_of else None,
        "name": values.get("name"),
        "authors": authors_of(values.get("authors", "")),
        "dpa": "dpa" in values,
        "format": values.get("format") or DETECT,
        "licence": values.get("licence"),
        "private": private,
        "description": values.get("description", "").replace("\r\n", "\n"),
        "level_of_theory": _theory(values),
        "agreement": values.get("agreement"),
    }


def authors_of(text: str) -> list[dict[str, str]]:
    """One author a line, an ORCID iD behind the name."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        name, claimed = orcid.split(line)
        found.append({"name": name, "orcid": claimed} if claimed else {"name": name})
    return found


def _theory(values: Mapping[str, str]) -> dict[str, Any] | None:
    given: dict[str, Any] = {
        field: values[name].strip() for name, field in THEORY.items() if values.get(name, "").strip()
    }
    if "cutoff_ev" in given:
        try:
            given["cutoff_ev"] = float(given["cutoff_ev"].lower().removesuffix("ev").replace(",", "."))
        except ValueError:
            detail = N_("The cut-off is no number.")
            raise invalid(
                [FieldError("level_of_theory", detail, N_("Write a positive number in eV, such as 500."))]
            ) from None
    return given or None


def _too_large_for_a_form(most: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "The archive is too large",
        f"Without script a browser sends it at once, and then up to {most // 1_000_000} MB are taken.",
        remedy=N_("Allow this site to run scripts, or use the potluck command line: both resume."),
    )


async def preview(request: Request) -> Response:
    """What a description will look like, as a document that the form's script takes the element from."""
    await signed_in(request)
    async with request.form(max_files=0, max_fields=2, max_part_size=4 * DESCRIPTION_LENGTH) as form:
        text = str(form.get("description", ""))[:DESCRIPTION_LENGTH]
    return site().render(request, "preview.html", None, text=text)


async def my_uploads(request: Request) -> Response:
    gateway, person = gateway_of(request), await signed_in(request)
    listing = await gateway.datasets.page(person, mine=True, page=page_number(request))
    if listing.pages < listing.page > 1:
        return RedirectResponse(f"/my-uploads?page={max(listing.pages, 1)}", 303)
    unfinished = gathered(await gateway.uploads.unpublished(person))
    return site().render(request, "my_uploads.html", person, listing=listing, unfinished=unfinished)


async def discard(request: Request) -> Response:
    """Remove an upload that was not published; of an archive that was sent in parts, all of them."""
    gateway, person = gateway_of(request), await signed_in(request)
    try:
        upload_id = UUID(request.path_params["upload_id"])
    except ValueError:
        raise not_found("upload") from None
    named = await gateway.uploads.find(person, upload_id)
    archives = gathered(await gateway.uploads.unpublished(person)) if named.partial else []
    of_it = [one.uploads for one in archives if upload_id in [part.id for part in one.uploads]]
    for upload in of_it[0] if of_it else (named,):
        await gateway.uploads.remove(upload)
    return RedirectResponse("/my-uploads", 303)


def routes() -> list[BaseRoute]:
    return [
        Route("/upload", page(upload), methods=["GET"]),
        Route("/upload", page(send), methods=["POST"]),
        Route("/upload/preview", page(preview), methods=["POST"]),
        Route("/my-uploads", page(my_uploads)),
        Route("/my-uploads/{upload_id}/discard", page(discard), methods=["POST"]),
    ]
