"""The reference model as a platform publishes it: manifest and signature by the registry's rules, frames as LMDB."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import reference_model
from contracts.artifacts import HeldOutFrames, ModelManifest
from contracts.base import BlobRef, Credit
from contracts.events import ModelFile
from contracts.signed import SigningKey, SigningKeys
from contracts.standard import StandardDataset, StandardScore
from dpa.predictor import Predictor
from frames.baseline import composition_only
from frames.hashing import frame_hashes
from frames.store import DATA_FILE, write
from registry.domain.publication import published_manifest, score_held_out
from registry.domain.rounds import Branch, Member, ModelBranch
from registry.domain.signing import Signer
from registry.domain.standard import candidate_errors, next_standard, on_standard, scored
from registry.domain.standard_table import published_standard
from trainer.engine.accuracy import baseline_errors, measure

SIGNER = Signer("66" * 32)
CONTENT = "e" * 64


def manifest() -> ModelManifest:
    """As a trainer of today writes it."""
    told = reference_model.manifest()
    branches = tuple(
        one.model_copy(
            update={
                "content_sha256": CONTENT,
                "left_out_held_out": (),
                "baseline_element_energies_ev": composition_only(reference_model.training_frames(one.name)).by_element(
                    reference_model.held_out_frames(one.name)
                ),
                "baseline_train_frames": tuple(range(len(reference_model.training_frames(one.name)))),
                "held_out_frames": frame_errors(one.name),
            }
        )
        for one in told.branches
    )
    return told.model_copy(update={"branches": branches})


def standard_of(told: ModelManifest, private: tuple[str, ...]) -> tuple[StandardDataset, StandardScore]:
    """S1 with four frames of each branch, and the model's score on it, by the registry's rules."""
    branches = [one.branch for one in model_branches(told, private)]
    standard = next_standard(None, told, branches, "1.0", seed=1, most=4)
    assert standard is not None
    errors = candidate_errors(on_standard(told, standard).manifest)
    score = scored(standard, {one.dataset: errors[one.branch] for one in standard.branches})
    assert score is not None
    return standard, score


@cache
def frame_errors(branch: str) -> HeldOutFrames:
    """Of every held-out frame, predicted by the model itself."""
    frames = list(reference_model.held_out_frames(branch))
    prediction = Predictor(reference_model.RELEASE, branch).predict(frames)
    return HeldOutFrames(
        atoms=tuple(frame.natoms for frame in frames),
        after=measure(branch, prediction, frames).frames,
        baseline=baseline_errors(composition_only(reference_model.training_frames(branch)), frames),
        hashes=tuple(one.hex() for one in frame_hashes(frames)),
    )


def model_branches(told: ModelManifest, private: tuple[str, ...]) -> tuple[ModelBranch, ...]:
    found = []
    for place, one in enumerate(told.branches):
        credit = Credit(title=one.name, authors=("demo contributor",), licence="CC-BY-4.0", private=one.name in private)
        nothing = BlobRef(key="x", sha256="0" * 64, size=0)
        member = Member(one.dataset, credit, place, nothing, nothing, 100, None, {}, None)
        errors = one.held_out
        found.append(
            ModelBranch(
                Branch(one.name, member, True, one.weight),
                errors.energy_rmse_mev_per_atom,
                errors.force_rmse_mev_per_angstrom,
            )
        )
    return tuple(found)


@dataclass
class Platform:
    """What a gateway answers about the version and its datasets. A test may change it before it is asked."""

    files: dict[str, tuple[str, bytes]]
    model: dict[str, Any]
    datasets: dict[str, dict[str, Any]]
    frames: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    def listed(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "kind": kind, "size": len(data), "sha256": digest(data), "url": f"/f/{name}"}
            for name, (kind, data) in self.files.items()
        ]

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path == "/.well-known/potluck-keys.json":
            key = SigningKey(key_id=SIGNER.key_id, public_key=SIGNER.public_key, since=datetime.now(UTC))
            return httpx.Response(200, json=SigningKeys(keys=(key,)).model_dump(mode="json"))
        if path.startswith("/f/"):
            return httpx.Response(200, stream=httpx.ByteStream(self.files[path.removeprefix("/f/")][1]))
        if path.startswith("/api/v1/models/"):
            return httpx.Response(200, json=self.model)
        dataset_id = path.removeprefix("/api/v1/datasets/")
        if dataset_id in self.frames:
            return httpx.Response(200, stream=httpx.ByteStream(self.frames[dataset_id]))
        if dataset_id not in self.datasets:
            return httpx.Response(404, json={"type": "x", "title": "Not here", "status": 404, "detail": "Gone."})
        return httpx.Response(200, json=self.datasets[dataset_id])

    def publish(self, manifest_data: bytes, signature: bytes | None = None) -> None:
        """Offer this manifest, signed as it is unless another signature is given."""
        signed = signature or SIGNER.file("manifest.json", manifest_data).model_dump_json().encode()
        self.files |= {"manifest.json": ("manifest", manifest_data), "manifest.json.sig": ("signature", signed)}
        told = json.loads(manifest_data)
        self.model |= {
            "version": told["version"],
            "standard_score": told["standard_score"],
            "datasets": [
                {
                    "name": one["name"],
                    "branch": one["name"],
                    "energy_rmse_mev_per_atom": one["energy_rmse_mev_per_atom"],
                    "force_rmse_mev_per_angstrom": one["force_rmse_mev_per_angstrom"],
                }
                for one in told["branches"]
            ],
            "files": self.listed(),
        }


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def platform(folder: Path, private: tuple[str, ...] = (), *, standard: bool = False) -> Platform:
    """The version with every branch public but those that are `private`. `standard`: there is a standard dataset."""
    told = manifest()
    release = reference_model.RELEASE.read_bytes()
    files: dict[str, tuple[str, bytes]] = {"model.pt": ("checkpoint", release)}
    offered = [
        ModelFile(name=name, kind=kind, blob=BlobRef(key=name, sha256=digest(data), size=len(data)))
        for name, (kind, data) in files.items()
    ]
    branches = model_branches(told, private)
    score, on = score_held_out(told), None
    if standard:
        made, on = standard_of(told, private)
        score = on.score
        table = published_standard(made, [one.branch for one in branches], told).model_dump_json(indent=1).encode()
        files["standard.json"] = ("standard", table)
        blob = BlobRef(key="standard.json", sha256=digest(table), size=len(table))
        offered.append(ModelFile(name="standard.json", kind="standard", blob=blob))
    assert score is not None
    public = published_manifest(told, "1.0", branches, (), score, offered, on)
    datasets, frames = {}, {}
    for one in told.branches:
        identity = str(one.dataset.dataset_id)
        for name, of in (
            ("held-out.mdb", reference_model.held_out_frames),
            ("train.mdb", reference_model.training_frames),
        ):
            path = folder / f"{one.name}-{name}"
            write(path, of(one.name))
            frames[f"{identity}/frames/{name}"] = (path / DATA_FILE).read_bytes()
        datasets[identity] = {
            "id": identity,
            "name": one.name,
            "stage": "done",
            "state": "published",
            "version": one.dataset.version,
            "frame_files": [
                {
                    "url": f"/api/v1/datasets/{place}",
                    "filename": Path(place).name,
                    "size": len(data),
                    "sha256": digest(data),
                }
                for place, data in frames.items()
                if place.startswith(identity)
            ],
        }
    server = Platform(files, {}, datasets, frames)
    server.publish(public.model_dump_json(indent=1).encode())
    return server
