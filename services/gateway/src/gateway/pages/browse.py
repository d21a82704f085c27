"""Pages that everybody may read: home, lists of datasets, models, the queue."""

from contracts.artifacts import GrowthPolicyInForce
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.identity import reader
from gateway.pages.site import page, site
from gateway.pages.words import path
from gateway.problems import Problem
from gateway.service import Gateway
from gateway.views import ModelFileView, ModelView

LATEST_ON_HOME = 4


def gateway_of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def page_number(request: Request) -> int:
    """`?page=`; what is no number is the first page's business to refuse."""
    text = request.query_params.get("page", "1")
    return int(text) if text.isdecimal() and len(text) < 8 else 0


async def home(request: Request) -> Response:
    gateway, person = gateway_of(request), await reader(request)
    models = await gateway.models.all()
    latest = await gateway.datasets.page(person)
    return site().render(
        request,
        "home.html",
        person,
        model=models[0] if models else None,
        queue=await gateway.datasets.queue(person),
        latest=latest.datasets[:LATEST_ON_HOME],
    )


async def datasets(request: Request) -> Response:
    person = await reader(request)
    listing = await gateway_of(request).datasets.page(person, page=page_number(request))
    return site().render(request, "datasets.html", person, listing=listing)


async def models(request: Request) -> Response:
    return site().render(request, "models.html", await reader(request), models=await gateway_of(request).models.all())


async def model(request: Request) -> Response:
    view = await gateway_of(request).models.get(request.path_params["version"])
    checkpoint = next((file for file in view.files if file.kind == "checkpoint"), None)
    return site().render(
        request,
        "model.html",
        await reader(request),
        model=view,
        checkpoint=checkpoint,
        install_snippet=install_snippet(view, checkpoint, _public_url(request)),
        ase_snippet=ase_snippet(view),
        policy=await growth_policy(gateway_of(request)),
    )


async def growth_policy(gateway: Gateway) -> GrowthPolicyInForce | None:
    """None where the registry has not told it yet: pages do without."""
    try:
        return await gateway.receipts.growth_policy()
    except Problem:
        return None


def _example_branch(view: ModelView) -> str:
    """The branch that this version brought: what a reader of its page came for."""
    return next((one.branch for one in view.datasets if one.new), view.branches[0].branch)


def _public_url(request: Request) -> str:
    return (gateway_of(request).settings.public_url or str(request.base_url)).rstrip("/")


def install_snippet(view: ModelView, checkpoint: ModelFileView | None, public_url: str) -> str:
    """Shell commands: what to install, and the file that `ase_snippet` opens."""
    lines = ["pip install 'deepmd-kit[torch]' ase"]
    if checkpoint is not None:
        lines.append(f"curl -fo dpa-{view.version}.pt {public_url}{path(checkpoint.url)}")
    return "\n".join(lines)


def ase_snippet(view: ModelView) -> str:
    """Reads a structure file and prints energy (eV) and forces (eV/Å)."""
    return (
        "from ase.io import read\n"
        "from deepmd.calculator import DP\n"
        "\n"
        'atoms = read("structure.cif")\n'
        f'atoms.calc = DP(model="dpa-{view.version}.pt", head="{_example_branch(view)}")\n'
        'print(atoms.get_potential_energy(), "eV")\n'
        'print(atoms.get_forces(), "eV/Å")'
    )


async def queue(request: Request) -> Response:
    person = await reader(request)
    return site().render(request, "queue.html", person, queue=await gateway_of(request).datasets.queue(person))


def routes() -> list[BaseRoute]:
    return [
        Route("/", page(home)),
        Route("/datasets", page(datasets)),
        Route("/models", page(models)),
        Route("/models/{version}", page(model)),
        Route("/queue", page(queue)),
    ]
