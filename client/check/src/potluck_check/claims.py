"""What a published version says of itself, fetched: its files by hash, its manifest, its signature, its frames."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contracts.artifacts import PublishedBranch, PublishedManifest
from contracts.base import DatasetRef
from contracts.signed import SignedFile
from contracts.standard import PublishedStandard, StandardScore
from dpa.claims import (
    BASELINE_ENERGY,
    BASELINE_FORCE,
    ENERGY,
    FORCE,
    THRESHOLD,
    Claim,
    Finding,
    StandardClaim,
    same,
)
from frames.store import DATA_FILE
from potluck.client import Client
from potluck.errors import Corrupt, Problem
from potluck.resources import Download, Model, ModelFile
from potluck.signing import NotGenuine, SigningKey, verify
from pydantic import ValidationError

MANIFEST, SIGNATURE, CHECKPOINT, STANDARD = "manifest", "signature", "checkpoint", "standard"
HELD_OUT, TRAIN = "held-out.mdb", "train.mdb"
GONE = frozenset({404, 410})

Fetch = Callable[[ModelFile, Path], Path]


@dataclass(frozen=True, slots=True)
class Published:
    """A version on this machine.

    release   none when it did not arrive as it was published
    standard  which frames it was scored on; none when the version does not tell, or not so that it can be understood
    """

    model: Model
    manifest: PublishedManifest | None
    release: Path | None
    standard: PublishedStandard | None


def fetch_model(model: Model, folder: Path, fetch: Fetch, findings: list[Finding]) -> Published:
    """Every file of the version, each checked against the SHA-256 that the page shows and that the manifest holds."""
    paths: dict[str, Path] = {}
    for file in model.files:
        try:
            paths[file.name] = fetch(file, folder)
            findings.append(Finding(f"file {file.name}", "matches", file.sha256, file.sha256))
        except Corrupt as error:
            findings.append(Finding(f"file {file.name}", "differs", file.sha256, None, error.what))
    by_kind = {file.kind: file for file in model.files}
    told = by_kind.get(MANIFEST)
    manifest = _manifest(paths.get(told.name) if told else None, findings)
    if manifest is not None:
        _files(model, manifest, findings)
        _page(model, manifest, findings)
    release, table = (paths.get(by_kind[kind].name) if kind in by_kind else None for kind in (CHECKPOINT, STANDARD))
    standard = _standard(table, manifest, findings) if table is not None and manifest is not None else None
    return Published(model, manifest, release, standard)


def check_signature(model: Model, folder: Path, keys: tuple[SigningKey, ...]) -> Finding:
    """Whether the manifest is the one that the platform signed."""
    names = {file.kind: file.name for file in model.files}
    what = "signature of the manifest"
    if SIGNATURE not in names or MANIFEST not in names:
        return Finding(what, "not-rederived", why="the version was published before manifests were signed")
    try:
        signed = SignedFile.model_validate_json((folder / names[SIGNATURE]).read_bytes())
        data = (folder / names[MANIFEST]).read_bytes()
        key = verify(data, signed.signature.model_dump(), keys, names[MANIFEST])
    except NotGenuine as error:
        return Finding(what, "differs", why=error.what)
    except (OSError, ValidationError) as error:
        return Finding(what, "differs", why=f"it cannot be read: {type(error).__name__}")
    return Finding(what, "matches", signed.signature.key_id, key.key_id)


def _manifest(path: Path | None, findings: list[Finding]) -> PublishedManifest | None:
    if path is None:
        findings.append(Finding("manifest", "differs", why="the version offers none that arrived whole"))
        return None
    try:
        return PublishedManifest.model_validate_json(path.read_bytes())
    except ValueError as error:
        findings.append(Finding("manifest", "differs", why=f"it cannot be understood: {str(error)[:200]}"))
        return None


def _standard(path: Path, manifest: PublishedManifest, findings: list[Finding]) -> PublishedStandard | None:
    """Which frames the manifest's score is of; none when the file tells of others."""
    score = manifest.standard
    if score is None:
        return None
    try:
        table = PublishedStandard.model_validate_json(path.read_bytes())
    except ValueError as error:
        findings.append(Finding(path.name, "differs", why=f"it cannot be understood: {str(error)[:200]}"))
        return None
    datasets = {one.name: one.dataset for one in manifest.branches}
    told = [_row(one.branch, one.frames, datasets.get(one.branch)) for one in score.branches]
    found = [_row(one.branch, one.count, one.dataset) for one in table.branches]
    compared = [same(f"{path.name}.number", f"S{score.standard}", f"S{table.number}")]
    compared.append(same(f"{path.name}.branches", "; ".join(told), "; ".join(found)))
    findings += compared
    return table if all(one.state == "matches" for one in compared) else None


def _row(branch: str, frames: int, dataset: DatasetRef | None) -> str:
    return f"{branch}: {frames} of {dataset if dataset is not None else 'a private dataset'}"


def _files(model: Model, manifest: PublishedManifest, findings: list[Finding]) -> None:
    """What the page offers is what the manifest lists."""
    offered = {file.name: file.sha256 for file in model.files if file.kind not in (MANIFEST, SIGNATURE)}
    listed = {file.name: file.sha256 for file in manifest.files}
    if not listed:
        why = "the manifest is from before it listed them"
        findings.append(Finding("files in the manifest", "not-rederived", why=why))
    for name in sorted(offered.keys() | listed.keys()) if listed else ():
        findings.append(same(f"manifest.{name}", listed.get(name), offered.get(name)))


def _page(model: Model, manifest: PublishedManifest, findings: list[Finding]) -> None:
    """The numbers that the platform shows are those of the manifest."""
    branches = {one.name: one for one in manifest.branches}
    for row in model.datasets:
        told = branches.get(row.branch)
        for name in (ENERGY, FORCE):
            findings.append(same(f"page.{row.branch}.{name}", getattr(told, name, None), getattr(row, name)))
    findings.append(same("page.standard_score", manifest.standard_score, model.standard_score))


def fetch_claim(
    client: Client,
    branch: PublishedBranch,
    standard: StandardClaim | None,
    folder: Path,
    fetch: Fetch,
    findings: list[Finding],
) -> Claim | None:
    """A public branch with its held-out frames; none when they are not to be had, which is told.

    Training frames come along where the manifest tells which of them made the baseline.
    """
    if branch.dataset is None:
        return None
    try:
        dataset = client.dataset(str(branch.dataset.dataset_id))
        offered = {one.filename: one for one in dataset.frame_files}
        why = _why_not(branch, dataset.version, offered)
        if why is None:
            path = fetch(_as_file(branch, offered[HELD_OUT]), folder / branch.name)
            train = None
            if TRAIN in offered and branch.baseline_train_frames is not None:
                train = fetch(_as_file(branch, offered[TRAIN]), folder / f"{branch.name}.train").parent
            return _claim(branch, path, train, standard)
    except Problem as error:
        if error.status not in GONE:
            raise
        why = "its dataset is no longer offered"
    except Corrupt as error:
        findings.append(Finding(f"{branch.name}.held-out frames", "differs", why=error.what))
        return None
    findings.append(Finding(f"{branch.name}.held-out frames", "not-rederived", why=why))
    return None


def _why_not(branch: PublishedBranch, version: int, offered: dict[str, Download]) -> str | None:
    if branch.held_out_frames is None:
        return "the manifest is from before it told which frames were measured on"
    if branch.dataset is not None and branch.dataset.version != version:
        return f"its dataset has version {version} by now; version {branch.dataset.version} was trained on"
    return None if HELD_OUT in offered else "the platform does not offer its held-out frames"


def _as_file(branch: PublishedBranch, told: Download) -> ModelFile:
    # As LMDB wants to be opened: a folder with this file.
    return ModelFile(
        name=DATA_FILE, size=told.size, sha256=told.sha256, url=told.url, kind="frames", branch=branch.name
    )


def standard_claims(standard: PublishedStandard | None, score: StandardScore | None) -> dict[str, StandardClaim]:
    """What is published of each public branch on the standard dataset, by branch."""
    if standard is None or score is None:
        return {}
    numbers = {one.branch: one for one in score.branches}
    return {
        one.branch: StandardClaim(
            count=numbers[one.branch].frames,
            frames=one.frames,
            positions=one.positions,
            element_energies=one.baseline_element_energies_ev,
            numbers={
                name: getattr(numbers[one.branch], name) for name in (ENERGY, FORCE, BASELINE_ENERGY, BASELINE_FORCE)
            },
        )
        for one in standard.branches
        if one.dataset is not None and not numbers[one.branch].zero_shot
    }


def _claim(branch: PublishedBranch, data_file: Path, train: Path | None, standard: StandardClaim | None) -> Claim:
    return Claim(
        branch=branch.name,
        held_out=data_file.parent,
        left_out=branch.left_out_held_out,
        element_energies=branch.baseline_element_energies_ev,
        frames=branch.held_out_frames,
        numbers={
            ENERGY: branch.energy_rmse_mev_per_atom,
            FORCE: branch.force_rmse_mev_per_angstrom,
            THRESHOLD: branch.threshold_ev_per_angstrom,
            BASELINE_ENERGY: branch.baseline_energy_rmse_mev_per_atom,
            BASELINE_FORCE: branch.baseline_force_rmse_mev_per_angstrom,
        },
        train=train,
        fitted_to=branch.baseline_train_frames,
        standard=standard,
    )
