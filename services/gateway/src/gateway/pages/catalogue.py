"""The list of datasets, with search and filters that work without any script."""

from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.pages.kept import kept_for_strangers
from gateway.pages.site import page, site
from gateway.people.identity import reader
from gateway.search.search import COVERAGES, STAGES, Criteria, read_criteria
from gateway.service import Gateway

FRAMES = {
    "1": "1–9",
    "2": "10–99",
    "3": "100–999",
    "4": "1,000–9,999",
    "5": "10,000–99,999",
    "6": "100,000–999,999",
    "7": "≥ 1,000,000",
}


async def datasets(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    person = await reader(request)
    asked = read_criteria(request.query_params.multi_items())
    criteria = asked.criteria
    listing = await gateway.catalogue.page(person, criteria, request.query_params.get("from"))
    pairs = fields(criteria)
    say = partial(site().gettext, request)
    stages = {stage: say(stage.capitalize()) for stage in STAGES}
    coverages = {one: say(one) for one in COVERAGES}
    said = stages | coverages | {"frames": say("frames")}
    return site().render(
        request,
        "datasets.html",
        person,
        listing=listing,
        criteria=criteria,
        ignored=asked.ignored,
        sought=criteria.text,
        functionals=await gateway.catalogue.functionals(),
        licences=gateway.settings.licences,
        stages=stages.items(),
        coverages=coverages.items(),
        frame_ranges=FRAMES.items(),
        active=[
            (_label(*pair, said), url(one for one in pairs if one != pair and one[0] != "literal"))
            for pair in pairs
            if pair[0] not in ("sort", "literal")
        ],
        literal_url=url([*pairs, ("literal", "1")]),
        earlier_url=url([*pairs, ("from", listing.earlier)]) if listing.earlier else None,
        later_url=url([*pairs, ("from", listing.later)]) if listing.later else None,
    )


def fields(criteria: Criteria) -> list[tuple[str, str]]:
    """As the form sends them, without those that narrow nothing."""
    single = {
        "q": criteria.text,
        "functional": criteria.functional,
        "licence": criteria.licence,
        "stage": criteria.stage,
        "coverage": criteria.coverage,
        "frames": criteria.frames,
        "sort": criteria.sort if criteria.sort and criteria.order != criteria.usual_order else "",
        "literal": "1" if criteria.literal else "",
    }
    return [("element", symbol) for symbol in criteria.elements] + [pair for pair in single.items() if pair[1]]


def url(pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs))
    return f"/datasets?{query}" if query else "/datasets"


def _label(name: str, value: str, said: Mapping[str, str]) -> str:
    """What a reader sees of a filter."""
    if name == "frames":
        return f"{FRAMES[value]} {said['frames']}"
    return said[value] if name in ("stage", "coverage") else value


def routes() -> list[BaseRoute]:
    return [Route("/datasets", page(kept_for_strangers(datasets)))]
