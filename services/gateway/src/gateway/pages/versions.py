"""Pages of the model: its versions, one version, and the home of the project."""

from uuid import UUID

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.exports.citation import CitedModel
from gateway.http.answers import site_url
from gateway.models.branches import choose
from gateway.models.predictions import PredictionView
from gateway.models.standard import StandardView
from gateway.pages.browse import gateway_of, growth_policy
from gateway.pages.history_chart import Value, history_chart
from gateway.pages.site import page, site
from gateway.pages.snippets import example_branch, snippets
from gateway.people.identity import client_address, reader
from gateway.problems import Problem
from gateway.search.elements import KNOWN, NUMBERS
from gateway.service import Gateway

TIME_LINE = 12
CHOSEN_AT_MOST = 20
DATASETS_SHOWN = 8
SCORES_SHOWN = 100
BRANCHES_SHOWN = 40


async def models(request: Request) -> Response:
    history = await gateway_of(request).models.history(request.query_params.get("before"))
    return site().render(request, "models.html", await reader(request), history=history, datasets_shown=DATASETS_SHOWN)


async def model(request: Request) -> Response:
    return await _model(request, None)


async def predict(request: Request) -> Response:
    """The form's structure, pasted or as a file: the page that comes back follows it."""
    gateway, version = gateway_of(request), request.path_params["version"]
    most = gateway.settings.prediction_bytes
    length = request.headers.get("content-length", "")
    try:
        # Both fields may be full: it is read to disk before it can be looked at.
        if not length.isdecimal() or int(length) > 3 * most:
            raise gateway.predictions.too_large(int(length) if length.isdecimal() else 0)
        async with request.form(max_files=1, max_fields=4, max_part_size=2 * most) as form:
            fields = {"structure": await _sent(form, most), "branch": form.get("branch")}
        view = await gateway.predictions.ask(await reader(request), client_address(request), version, fields)
    except Problem as problem:
        if problem.status == 404:
            raise
        return await _model(request, problem)
    return RedirectResponse(f"/models/{view.model_version}?prediction={view.id}#try", 303)


async def _sent(form: FormData, most: int) -> str:
    """The file if there is one, else what was pasted. What is no text becomes text that nothing can read."""
    file = form.get("file")
    if isinstance(file, UploadFile) and file.size:
        return (await file.read(most + 1)).decode(errors="replace")
    return str(form.get("structure", ""))


async def _prediction(request: Request, gateway: Gateway) -> PredictionView | None:
    try:
        return await gateway.predictions.get(UUID(request.query_params["prediction"]))
    except (KeyError, ValueError):
        return None


async def _model(request: Request, problem: Problem | None) -> Response:
    gateway = gateway_of(request)
    view = await gateway.models.get(request.path_params["version"])
    manifest = await gateway.models.manifest(view)
    chosen = chosen_elements(request)
    choice = choose(manifest, chosen, view.withdrawn_branches) if manifest else None
    branch = (choice.best.name if choice and choice.best else None) or example_branch(view)
    elements = next((one.elements for one in choice.branches if one.name == branch), ()) if choice else ()
    public_url = site_url(request)
    return site().render(
        request,
        "model.html",
        await reader(request),
        problem.status if problem else 200,
        problem=problem,
        prediction=await _prediction(request, gateway),
        model=view,
        checkpoint=next((file for file in view.files if file.kind == "checkpoint"), None),
        choice=choice,
        chosen=chosen,
        branches_shown=BRANCHES_SHOWN,
        citation=CitedModel.of(view).bibtex(public_url),
        policy=await growth_policy(gateway),
        snippets=snippets(view, public_url, branch, elements),
    )


def chosen_elements(request: Request) -> tuple[str, ...]:
    """`?element=Si&element=C`, by atomic number; what is no element is left out."""
    found = {symbol for symbol in request.query_params.getlist("element") if symbol in KNOWN}
    return tuple(sorted(found, key=NUMBERS.__getitem__))[:CHOSEN_AT_MOST]


async def dpa(request: Request) -> Response:
    gateway = gateway_of(request)
    history = await gateway.models.history(request.query_params.get("before"))
    first_page = "before" not in request.query_params
    newest = await gateway.models.newest()
    return site().render(
        request,
        "dpa.html",
        await reader(request),
        history=history,
        newest=newest,
        time_line=history.models[:TIME_LINE] if first_page else (),
        datasets_shown=DATASETS_SHOWN,
    )


async def statistics(request: Request) -> Response:
    gateway = gateway_of(request)
    standard = await gateway.standards.history()
    newest = await gateway.models.newest()
    coverage = await gateway.coverage.of(newest.version) if newest else None
    return site().render(
        request,
        "dpa_statistics.html",
        await reader(request),
        standard=standard,
        charts=charts(standard),
        shown=SCORES_SHOWN,
        coverage=coverage,
    )


def charts(standard: StandardView) -> list[tuple[str, str, object]]:
    """(quantity, unit, drawing) of energy and force, of versions that were scored."""
    scored = [(one.version, one.score, one.current) for one in standard.versions if one.score is not None]
    energy = [Value(version, score.energy_rmse_mev_per_atom, current) for version, score, current in scored]
    force = [Value(version, score.force_rmse_mev_per_angstrom, current) for version, score, current in scored]
    drawn = [
        ("energy", "meV/atom", history_chart(energy, "meV/atom")),
        ("force", "meV/Å", history_chart(force, "meV/Å")),
    ]
    return [(quantity, unit, drawing) for quantity, unit, drawing in drawn if drawing is not None]


def routes() -> list[BaseRoute]:
    return [
        Route("/models", page(models)),
        Route("/models/{version}", page(model)),
        Route("/models/{version}/predictions", page(predict), methods=["POST"]),
        Route("/dpa", page(dpa)),
        Route("/dpa/statistics", page(statistics)),
    ]
