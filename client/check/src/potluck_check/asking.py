"""What a dry run needs of a platform: the settings that it judges by, and a published model, fetched once."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from contracts.artifacts import MetricPolicy, PublishedManifest
from contracts.base import BlobRef
from frames.pairs import pairs_of_elements
from kit.blobs import file_sha256
from metric.domain.coverage import KnownBranch
from metric.domain.run_settings import RunSettings, stored_settings
from metric.judging import CurrentModel, LoadedModel
from metric.settings import MetricSettings
from platformdirs import user_cache_path
from potluck.client import Client
from potluck.errors import PotluckError, UnexpectedAnswer
from potluck.resources import Model, ModelFile
from pydantic import ValidationError

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A published model on this machine. It stands for the registry: `metric.judging.Models`."""

    loaded: LoadedModel
    private_branches: int

    @property
    def version(self) -> str:
        return self.loaded.model.version

    async def current(self) -> CurrentModel:
        return self.loaded.model

    async def load(self, model: CurrentModel) -> LoadedModel:
        """There is only this one. Raises LookupError."""
        if model != self.loaded.model:
            raise LookupError(f"model {model.version} was not fetched")
        return self.loaded


def default_settings() -> RunSettings:
    """Those of a platform that was told nothing else."""
    return MetricSettings(blobs_url="file:///unused").run_settings()


def settings_of(client: Client) -> RunSettings:
    """What the platform judges by. Raises PotluckError."""
    try:
        policy = MetricPolicy.model_validate(client.policy())
    except ValidationError as error:
        raise UnexpectedAnswer(f"the platform's policy cannot be understood: {error}") from error
    return stored_settings(policy.settings, default_settings())


def fetch(client: Client, version: str, report: Report) -> Asked:
    """The model from the cache folder, or downloaded (SHA-256 verified). Raises PotluckError."""
    if find_spec("deepmd") is None:
        raise PotluckError(
            "the model cannot be asked here: deepmd-kit is not installed",
            remedy='Install it (`pip install "deepmd-kit[torch]"`), or leave the model out: --model none.',
        )
    model = client.model(version)
    folder = user_cache_path("potluck") / "models" / model.version
    release = client.download(_file(model, "checkpoint"), folder, report)
    path = client.download(_file(model, "manifest"), folder)
    try:
        manifest = PublishedManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UnexpectedAnswer(f"the manifest of model {version} cannot be understood: {error}") from error
    branches = _branches(manifest)
    if not branches:
        raise PotluckError(
            f"model {model.version} does not tell what its branches count as known",
            remedy="Ask a newer version, or leave the model out: --model none.",
        )
    ref = BlobRef(key=path.name, sha256=file_sha256(path), size=path.stat().st_size)
    pairs = frozenset[str]().union(
        *(pairs_of_elements(tuple(branch.elements)) for branch in branches if branch.elements)
    )
    loaded = LoadedModel(CurrentModel(model.version, ref), release, branches, pairs)
    return Asked(loaded, sum(one.dataset is None for one in manifest.branches))


def _branches(manifest: PublishedManifest) -> tuple[KnownBranch, ...]:
    return tuple(
        KnownBranch(
            name=one.name,
            elements=frozenset(one.elements),
            threshold_ev_per_angstrom=one.threshold_ev_per_angstrom,
            held_out_force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
        )
        for one in manifest.branches
        if one.threshold_ev_per_angstrom is not None
    )


def _file(model: Model, kind: str) -> ModelFile:
    found = next((one for one in model.files if one.kind == kind), None)
    if found is None:
        raise UnexpectedAnswer(f"model {model.version} offers no {kind}")
    return found
