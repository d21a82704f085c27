"""Pages of a contributor's own uploads."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.identity import signed_in
from gateway.pages.browse import gateway_of, page_number
from gateway.pages.site import page, site
from gateway.problems import Problem


async def upload(request: Request) -> Response:
    """The entry form. Its script sends the archive and publishes through the API."""
    gateway, person = gateway_of(request), await signed_in(request)
    try:
        formats = (await gateway.formats.catalog()).formats
    except Problem:
        formats = ()  # ingest has never started: 'detect' still works, and uploading need not wait
    return site().render(
        request,
        "upload.html",
        person,
        formats=formats,
        licences=gateway.settings.licences,
        agreement=gateway.settings.agreement,
        max_upload_bytes=gateway.settings.max_upload_bytes,
    )


async def my_uploads(request: Request) -> Response:
    gateway, person = gateway_of(request), await signed_in(request)
    listing = await gateway.datasets.page(person, mine=True, page=page_number(request))
    unfinished = await gateway.uploads.unpublished(person)
    return site().render(request, "my_uploads.html", person, listing=listing, unfinished=unfinished)


def routes() -> list[BaseRoute]:
    return [Route("/upload", page(upload)), Route("/my-uploads", page(my_uploads))]
