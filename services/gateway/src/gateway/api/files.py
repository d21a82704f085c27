"""/api/v1/files: objects by addresses that the registry signed."""

import re
import time

from contracts.base import BlobRef
from kit.blobs import BlobMissing
from kit.signed_urls import PATH, SignatureRefused, check
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.datasets import gateway_of
from gateway.http.answers import download
from gateway.problems import Problem, not_found
from gateway.views.files import Download

# As `contracts.keys.model_file` writes them: nothing else in storage is given out here, whoever signed it.
_MODEL_FILE = re.compile(r"models/(?P<version>\d+\.\d+)/(?P<sha256>[0-9a-f]{64})/(?P<name>[^/]+)")


async def file(request: Request) -> Response:
    """A file of a published model by an address that the registry signed; it works until it expires."""
    gateway = gateway_of(request)
    key, secret = request.path_params["key"], gateway.settings.download_secret
    try:
        if secret is None:
            raise SignatureRefused("This site knows of no signed addresses.")
        check(key, request.query_params.get("expires"), request.query_params.get("signature"), secret, time.time())
    except SignatureRefused as error:
        raise Problem(
            403,
            "signature-refused",
            "This address does not work",
            str(error),
            remedy="Ask the registry for a new one (SignDownloads), or take the file from the page of the version.",
        ) from None
    found = _MODEL_FILE.fullmatch(key)
    if found is None:
        raise not_found("file")
    try:
        size = await gateway.blobs.size(key)
    except BlobMissing:
        raise not_found("file") from None
    blob = BlobRef(key=key, sha256=found["sha256"], size=size)
    name = f"dpa-{found['version']}-{found['name']}"
    return await download(request, gateway.blobs, Download(blob, name, private=False))


def routes() -> list[BaseRoute]:
    return [Route(f"{PATH}{{key:path}}", file, methods=["GET"])]
