"""/api/v1/formats, policies, uploads (the list), datasets with their reports, receipts and reruns, queue; the keys."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.answers import download, json_response, list_response, read_object
from gateway.identity import reader, signed_in
from gateway.policy import metric_policy
from gateway.problems import invalid_field
from gateway.service import Gateway
from gateway.views import OpenUploadView


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
            )
            for upload, received in found
        ],
    )


async def publish(request: Request) -> Response:
    person = await signed_in(request)
    payload = await read_object(request)
    view = await gateway_of(request).datasets.publish(person, payload, request.headers.get("idempotency-key"))
    return json_response(view, 201, {"location": f"/api/v1/datasets/{view.id}"})


async def page(request: Request) -> Response:
    number, mine = request.query_params.get("page", "1"), request.query_params.get("mine", "0")
    if not (number.isdecimal() and number.isascii() and len(number) < 9):
        raise invalid_field("page", "This is not a page number.", "Pages count from 1.")
    if mine not in ("0", "1"):
        raise invalid_field("mine", "This is neither 0 nor 1.", "Send mine=1 for your own datasets, or leave it out.")
    view = await gateway_of(request).datasets.page(await reader(request), mine == "1", int(number))
    return json_response(view)


async def one(request: Request) -> Response:
    return json_response(
        await gateway_of(request).datasets.get(await reader(request), request.path_params["dataset_id"])
    )


async def archive(request: Request) -> Response:
    gateway = gateway_of(request)
    found = await gateway.datasets.archive(await reader(request), request.path_params["dataset_id"])
    return await download(request, gateway.blobs, found)


async def frames(request: Request) -> Response:
    gateway = gateway_of(request)
    dataset_id, name = request.path_params["dataset_id"], request.path_params["name"]
    found = await gateway.datasets.frames(await reader(request), dataset_id, name)
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
        await reader(request), request.path_params["dataset_id"], request.path_params["name"]
    )
    return await download(request, gateway.blobs, found, inline=True)


async def table(request: Request) -> Response:
    gateway = gateway_of(request)
    found = await gateway.datasets.table(
        await reader(request), request.path_params["dataset_id"], request.path_params["name"]
    )
    return await download(request, gateway.blobs, found)


async def metric(request: Request) -> Response:
    report = await gateway_of(request).datasets.metric_report(await reader(request), request.path_params["dataset_id"])
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
        Route("/api/v1/uploads", open_uploads, methods=["GET"]),
        Route("/api/v1/datasets", page, methods=["GET"]),
        Route("/api/v1/datasets", publish, methods=["POST"]),
        Route(dataset, one, methods=["GET"]),
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
