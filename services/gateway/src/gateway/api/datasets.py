"""/api/v1/formats, policies, uploads (the list), datasets with their reports, receipts and reruns, queue; the keys."""

import json
from typing import Any

from contracts.base import Frozen
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.exports import crates, datacite
from gateway.exports.citation import Cited, CitedModel
from gateway.forms.licences import licence
from gateway.http.answers import download, json_response, list_response, read_object, site_url, version_of
from gateway.operators.policy import metric_policy
from gateway.people.identity import reader, signed_in
from gateway.problems import invalid_field
from gateway.service import Gateway
from gateway.uploads.regions import PROBE_PATH
from gateway.uploads.tus import ANY_ORIGIN
from gateway.views.people import AgreementView, LicenceView, OpenUploadView, RegionView

LANGUAGE = "accept-language"


def gateway_of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def formats(request: Request) -> Response:
    return json_response(await gateway_of(request).formats.catalog())


async def policy(request: Request) -> Response:
    return json_response(await metric_policy(gateway_of(request).blobs))


async def open_uploads(request: Request) -> Response:
    """What the person may resume or publish."""
    found = await gateway_of(request).uploads.unpublished(await signed_in(request))
    return list_response(
        "uploads",
        [
            OpenUploadView(
                id=upload.id,
                url=f"/api/v1/uploads/{upload.id}",
                filename=upload.filename,
                size=upload.size,
                received=received,
                created=upload.created,
                expires=upload.expires,
                region=upload.region,
                part=upload.partial,
            )
            for upload, received in found
        ],
    )


async def publish(request: Request) -> Response:
    person = await signed_in(request)
    payload = await read_object(request)
    gateway = gateway_of(request)
    made = await gateway.publishing.publish(person, payload, request.headers.get("idempotency-key"), _language(request))
    view = await gateway.datasets.get(person, made.dataset_id, made.version)
    return json_response(view, 201, {"location": f"/api/v1/datasets/{view.id}"})


async def page(request: Request) -> Response:
    number, mine = request.query_params.get("page", "1"), request.query_params.get("mine", "0")
    if not (number.isdecimal() and number.isascii() and len(number) < 9):
        raise invalid_field("page", "This is not a page number.", "Pages count from 1.")
    if mine not in ("0", "1"):
        raise invalid_field("mine", "This is neither 0 nor 1.", "Send mine=1 for your own datasets, or leave it out.")
    view = await gateway_of(request).datasets.page(await reader(request), mine == "1", int(number))
    return json_response(view)


def _language(request: Request) -> str:
    """In which a program says that the agreement was read: 'zh' for Accept-Language: zh…, else English."""
    return "zh" if request.headers.get(LANGUAGE, "").lower().startswith("zh") else "en"


async def one(request: Request) -> Response:
    found = await gateway_of(request).datasets.get(
        await reader(request), request.path_params["dataset_id"], version_of(request)
    )
    return json_response(found)


async def history(request: Request) -> Response:
    """Its versions, what happened to it, the models that it trained."""
    _, past = await gateway_of(request).datasets.past(
        await reader(request), request.path_params["dataset_id"], version_of(request)
    )
    return json_response(past)


async def structures(request: Request) -> Response:
    found = await gateway_of(request).datasets.contents(
        await reader(request), request.path_params["dataset_id"], version_of(request)
    )
    return json_response(found)


async def citation(request: Request) -> Response:
    """`?format=bibtex`, `cff` or `datacite`."""
    shape = citation_format(request)
    view, cited = await gateway_of(request).datasets.cited(
        await reader(request), request.path_params["dataset_id"], version_of(request)
    )
    if shape == "datacite":
        prefix = gateway_of(request).settings.doi_prefix
        return exported(datacite.of_dataset(view, cited, site_url(request), prefix), "datacite.json")
    return citation_text(shape, cited, site_url(request))


def citation_format(request: Request) -> str:
    """Raises Problem 422."""
    shape = request.query_params.get("format", "bibtex")
    if shape not in ("bibtex", "cff", "datacite"):
        raise invalid_field("format", "There is no such format of a citation.", "Ask for bibtex, cff or datacite.")
    return shape


def citation_text(shape: str, cited: Cited | CitedModel, site: str) -> Response:
    text = cited.bibtex(site) if shape == "bibtex" else cited.cff(site)
    return PlainTextResponse(text, media_type="application/x-bibtex" if shape == "bibtex" else "application/yaml")


def exported(document: dict[str, Any], name: str, media: str = "application/json") -> Response:
    """JSON for other programs, saved under `name`."""
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "private, no-cache"}
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return Response(text, headers=headers, media_type=media)


async def crate(request: Request) -> Response:
    """As RO-Crate metadata, for whoever may cite it."""
    view, cited = await gateway_of(request).datasets.cited(
        await reader(request), request.path_params["dataset_id"], version_of(request)
    )
    return exported(crates.of_dataset(view, cited, site_url(request)), crates.FILE_NAME, "application/ld+json")


async def make_public(request: Request) -> Response:
    """The latest version becomes public; fields that are absent stay as they are."""
    person, dataset_id = await signed_in(request), request.path_params["dataset_id"]
    gateway = gateway_of(request)
    await gateway.publishing.make_public(person, dataset_id, await read_object(request), _language(request))
    return json_response(await gateway.datasets.get(person, dataset_id))


async def withdraw(request: Request) -> Response:
    """Every version is taken back. `reason`: for operators."""
    person, dataset_id = await signed_in(request), request.path_params["dataset_id"]
    gateway = gateway_of(request)
    payload = await read_object(request)
    if unknown := sorted(set(payload) - {"reason"}):
        raise invalid_field(unknown[0][:100], "There is no such field.", "The fields are: reason.")
    await gateway.publishing.withdraw(person, dataset_id, payload.get("reason") or "")
    return json_response(await gateway.datasets.get(person, dataset_id))


async def archive(request: Request) -> Response:
    """From the dataset's region, else from its mirror."""
    gateway = gateway_of(request)
    found = await gateway.datasets.archive(
        await reader(request), request.path_params["dataset_id"], version_of(request)
    )
    return await download(request, await gateway.regions.holding(found.blob, found.region), found)


async def regions(request: Request) -> Response:
    found: list[Frozen] = [
        RegionView(id=one.id, title=one.title, probe_url=one.probe_url) for one in gateway_of(request).regions.all
    ]
    return list_response("regions", found)


async def probe(_request: Request) -> Response:
    """Nothing, from any page: how long it takes says how far away this region is."""
    return Response(status_code=204, headers={"cache-control": "no-store"} | ANY_ORIGIN)


async def licences(request: Request) -> Response:
    found = []
    for spdx in gateway_of(request).settings.licences:
        known = licence(spdx)
        found.append(LicenceView(id=known.id, name=known.name, short=known.short, text_url=known.text_url))
    return list_response("licences", found)


async def agreement(request: Request) -> Response:
    """The text in force, which publishing asks to agree to."""
    text = gateway_of(request).agreements.in_force(_language(request))
    view = AgreementView(version=text.version, language=text.language, sha256=text.sha256, content=text.content)
    return json_response(view, headers={"vary": "Accept-Language"})


async def frames(request: Request) -> Response:
    gateway = gateway_of(request)
    dataset_id, name = request.path_params["dataset_id"], request.path_params["name"]
    found = await gateway.datasets.frames(await reader(request), dataset_id, name, version_of(request))
    return await download(request, gateway.blobs, found)


async def receipts(request: Request) -> Response:
    """As they were signed, byte for byte."""
    found = await gateway_of(request).receipts.documents(await reader(request), request.path_params["dataset_id"])
    return Response(found, headers={"cache-control": "private, no-cache"}, media_type="application/json")


async def growth_policy(request: Request) -> Response:
    return json_response(await gateway_of(request).receipts.growth_policy())


async def signing_keys(request: Request) -> Response:
    """Public keys, those that were replaced too."""
    headers = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}
    return json_response(await gateway_of(request).receipts.keys(), headers=headers)


async def picture(request: Request) -> Response:
    gateway = gateway_of(request)
    found = await gateway.datasets.picture(
        await reader(request), request.path_params["dataset_id"], request.path_params["name"], version_of(request)
    )
    return await download(request, gateway.blobs, found, inline=True)


async def table(request: Request) -> Response:
    gateway = gateway_of(request)
    found = await gateway.datasets.table(
        await reader(request), request.path_params["dataset_id"], request.path_params["name"], version_of(request)
    )
    return await download(request, gateway.blobs, found)


async def metric(request: Request) -> Response:
    report = await gateway_of(request).datasets.metric_report(
        await reader(request), request.path_params["dataset_id"], version_of(request)
    )
    return Response(report, headers={"cache-control": "private, no-cache"}, media_type="application/json")


async def reruns(request: Request) -> Response:
    found = await gateway_of(request).reruns.all(await reader(request), request.path_params["dataset_id"])
    return list_response("reruns", found)


async def rerun(request: Request) -> Response:
    person, dataset_id = await signed_in(request), request.path_params["dataset_id"]
    view = await gateway_of(request).reruns.ask(person, dataset_id, request.headers.get("idempotency-key"))
    return json_response(view, 201, {"location": f"/api/v1/datasets/{dataset_id}/metric/reruns"})


async def queue(request: Request) -> Response:
    return json_response(await gateway_of(request).datasets.queue(await reader(request)))


def routes() -> list[BaseRoute]:
    dataset = "/api/v1/datasets/{dataset_id:uuid}"
    return [
        Route("/api/v1/formats", formats, methods=["GET"]),
        Route("/api/v1/policy", policy, methods=["GET"]),
        Route("/api/v1/policy/growth", growth_policy, methods=["GET"]),
        Route("/.well-known/potluck-keys.json", signing_keys, methods=["GET"]),
        Route("/api/v1/regions", regions, methods=["GET"]),
        Route(PROBE_PATH, probe, methods=["GET"]),
        Route("/api/v1/licences", licences, methods=["GET"]),
        Route("/api/v1/agreement", agreement, methods=["GET"]),
        Route("/api/v1/uploads", open_uploads, methods=["GET"]),
        Route("/api/v1/datasets", page, methods=["GET"]),
        Route("/api/v1/datasets", publish, methods=["POST"]),
        Route(dataset, one, methods=["GET"]),
        Route(f"{dataset}/history", history, methods=["GET"]),
        Route(f"{dataset}/structures", structures, methods=["GET"]),
        Route(f"{dataset}/citation", citation, methods=["GET"]),
        Route(f"{dataset}/ro-crate", crate, methods=["GET"]),
        Route(f"{dataset}/public", make_public, methods=["POST"]),
        Route(f"{dataset}/withdrawal", withdraw, methods=["POST"]),
        Route(f"{dataset}/archive", archive, methods=["GET"]),
        Route(f"{dataset}/frames/{{name}}", frames, methods=["GET"]),
        Route(f"{dataset}/receipts", receipts, methods=["GET"]),
        Route(f"{dataset}/pictures/{{name}}", picture, methods=["GET"]),
        Route(f"{dataset}/tables/{{name}}", table, methods=["GET"]),
        Route(f"{dataset}/metric", metric, methods=["GET"]),
        Route(f"{dataset}/metric/reruns", reruns, methods=["GET"]),
        Route(f"{dataset}/metric/reruns", rerun, methods=["POST"]),
        Route("/api/v1/queue", queue, methods=["GET"]),
    ]
