"""The dry run says what the platform would say: real children, a real model, no server."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import reference_model
from contracts.artifacts import MetricPolicy, PublishedBranch, PublishedManifest
from contracts.base import LevelOfTheory
from frames.errors import conformal_threshold
from metric.domain.run_settings import stored_settings
from potluck.client import Client
from potluck.errors import LocalFileError, PotluckError
from potluck_check import asking, words
from potluck_check.asking import Asked
from potluck_check.dryrun import Answer, Wanted, check

DEMO = Path(__file__).parents[3] / "deploy/demo"
SIC = DEMO / "sic-qe-pbe.tar.xz"
STRICT = {"force_fail_ev_per_angstrom": 5.0}
# The command itself starts its own: test_the_command.
pytestmark = pytest.mark.usefixtures("warm_processes")


def published() -> PublishedManifest:
    """The reference model as the registry would describe it to everybody; water comes from a private dataset."""
    model = reference_model.manifest()
    branches = []
    for one in model.branches:
        private = one.name == "water"
        branches.append(
            PublishedBranch(
                name=one.name,
                dataset=None if private else one.dataset,
                title=None if private else "Silicon",
                authors=(),
                licence=None,
                elements=() if private else one.elements,
                level_of_theory=None,
                weight=0.5,
                new=True,
                energy_rmse_mev_per_atom=one.held_out.energy_rmse_mev_per_atom,
                force_rmse_mev_per_angstrom=one.held_out.force_rmse_mev_per_angstrom,
                threshold_ev_per_angstrom=conformal_threshold(one.held_out_max_force_errors_ev_per_angstrom),
            )
        )
    return PublishedManifest(
        version="1.0", parent_version=None, round_id=uuid4(), preset="laptop", branches=tuple(branches),
        contributors=(), rules=(), standard_score=0.2, steps=1, wall_seconds=1.0, versions={},
    )  # fmt: skip


def platform(manifest: PublishedManifest, settings: dict[str, float]) -> httpx.MockTransport:
    """What a gateway answers to a dry run."""
    files = {
        "model.pt": ("checkpoint", reference_model.RELEASE.read_bytes()),
        "manifest.json": ("manifest", manifest.model_dump_json().encode()),
    }
    listed = [
        {"name": name, "kind": kind, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "url": f"/f/{name}"}
        for name, (kind, data) in files.items()
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/api/v1/policy":
            return httpx.Response(200, json=MetricPolicy(settings=settings).model_dump())
        if path.startswith("/f/"):
            return httpx.Response(200, stream=httpx.ByteStream(files[path.removeprefix("/f/")][1]))
        assert path == "/api/v1/models/latest"
        return httpx.Response(200, json={"version": "1.0", "files": listed})

    return httpx.MockTransport(answer)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def one(manifest: PublishedManifest | None = None, settings: dict[str, float] | None = None) -> Client:
        return Client("http://potluck.test", http=platform(manifest or published(), settings or {}))

    return one


async def said(source: Path, folder: Path, model: Asked | None, save: Path | None = None, format_: str = "detect",
               settings: dict[str, float] | None = None) -> Answer:  # fmt: skip
    folder.mkdir()
    own = asking.default_settings()
    wanted = stored_settings(settings, own) if settings else own
    return await check(Wanted(source, format_, None, wanted, model), folder, save, lambda _: None)


async def test_new_known_and_unsound_data(client: Callable[..., Client], tmp_path: Path) -> None:
    with client() as server:
        model = asking.fetch(server, "latest", lambda _have, _size: None)
    assert (model.version, model.private_branches) == ("1.0", 1)
    new = await said(SIC, tmp_path / "new", model, save=tmp_path / "saved")
    assert new.outcome == "passed"
    assert new.verdict is not None
    assert new.verdict.report.new_elements == ("C",)
    known = await said(DEMO / "si-more-qe-pbe.tar.xz", tmp_path / "known", model)
    assert known.outcome == "covered"
    assert known.verdict is not None
    # What the platform's own branches say of the same frames, by the same threshold.
    branch = next(one for one in reference_model.manifest().branches if one.name == "silicon")
    judged = next(one for one in known.verdict.report.branches if one.branch == "silicon")
    assert judged.threshold_ev_per_angstrom == conformal_threshold(branch.held_out_max_force_errors_ev_per_angstrom)
    assert judged.coverage >= 0.9
    unsound = await said(SIC, tmp_path / "unsound", model, settings=STRICT)
    assert unsound.outcome == "not-sound"
    # Pictures and tables come along, as on the dataset's page.
    names = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {"report.json", "frames.csv", "frames.parquet", "parity-force.svg", "parity-force.png"} <= names
    shown = "\n".join(words.lines(new, model))
    assert "It would pass" in shown
    assert "all of these hold C, which is new" in " ".join(shown.split())
    assert "private datasets" in shown
    told = words.document(known)
    assert (told["outcome"], told["metric"]["nearest_branch"], told["ingest"]["format"]) == (
        "covered",
        "silicon",
        "qe/pw/scf",
    )


def test_the_platform_says_by_what_it_judges(client: Callable[..., Client]) -> None:
    with client(settings=STRICT) as server:
        settings = asking.settings_of(server)
    assert settings.limits.force_fail_ev_per_angstrom == 5.0
    # What it did not tell is as here.
    assert settings.max_frames == asking.default_settings().max_frames


def test_a_model_that_tells_no_threshold_cannot_be_asked(client: Callable[..., Client]) -> None:
    manifest = published()
    silent = tuple(one.model_copy(update={"threshold_ev_per_angstrom": None}) for one in manifest.branches)
    with client(manifest.model_copy(update={"branches": silent})) as server, pytest.raises(PotluckError) as refused:
        asking.fetch(server, "latest", lambda _have, _size: None)
    assert "--model none" in refused.value.remedy


async def test_a_folder_is_judged_like_its_archive(tmp_path: Path) -> None:
    """Names in Chinese and with spaces; a POTCAR that may not be passed on; a declared functional that is not so."""
    with tarfile.open(SIC) as archive:
        archive.extractall(tmp_path / "data 数据", filter="data")
    (tmp_path / "data 数据/POTCAR").write_text("  PAW_PBE Si 05Jan2001\n parameters from PSCTR are:\n")
    own = asking.default_settings()
    wanted = Wanted(tmp_path / "data 数据", "detect", LevelOfTheory(functional="PBEsol"), own, None)
    (tmp_path / "work").mkdir()
    told: list[str] = []
    folder = await check(wanted, tmp_path / "work", None, told.append)
    packed = await said(SIC, tmp_path / "packed", None)
    assert (folder.outcome, packed.outcome) == ("sound", "sound")
    assert folder.manifest is not None
    assert packed.manifest is not None
    assert folder.manifest.content_sha256 == packed.manifest.content_sha256
    assert folder.manifest.removed == ("POTCAR",)
    shown = "\n".join(words.lines(folder, None))
    assert "You declared functional PBEsol; the files say PBE" in shown
    assert "Left out of what others may download: POTCAR" in shown
    assert told[0] == "packing"


async def test_what_is_not_there_and_what_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="no such file or folder"):
        await said(tmp_path / "nowhere", tmp_path / "work", None)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("no calculation")
    nothing = await said(tmp_path / "empty", tmp_path / "other", None)
    assert nothing.outcome == "rejected"
    assert nothing.rejected is not None
    assert nothing.rejected.remedy in "\n".join(words.lines(nothing, None))


def test_the_command(tmp_path: Path) -> None:
    """As a script calls it: one JSON document, and an exit code that says whether something is to be mended."""
    (tmp_path / "empty").mkdir()

    def run(*arguments: str | Path) -> tuple[int, dict[str, object]]:
        command = [sys.executable, "-m", "potluck", "check", *map(str, arguments), "--model", "none", "--json"]
        done = subprocess.run(command, env=os.environ | {"POTLUCK_HOME": str(tmp_path)}, capture_output=True, text=True)
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    code, answer = run(DEMO / "si-more-qe-pbe.tar.xz")
    assert (code, answer["outcome"]) == (0, "sound")
    code, answer = run(tmp_path / "empty")
    assert (code, answer["outcome"]) == (4, "rejected")
