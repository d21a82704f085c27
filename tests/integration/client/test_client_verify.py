"""`potluck model verify`: a real model and real frames come out again, and every kind of change is seen."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import potluck_check.models
import potluck_check.verifying
import pytest
import reference_model
from dpa.branch import measured
from dpa.claims import Claim, Measured
from dpa.remeasure import wanted
from frames.hashing import frame_hashes
from kit.blobs import file_sha256
from potluck.cli.app import run
from potluck.client import Client
from potluck_check.models import lines
from potluck_check.verifying import Verified, verify
from published_model import SIGNER, Platform, platform

Verify = Callable[[Platform], Verified]


@pytest.fixture
def verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def one(server: Platform) -> Verified:
        with Client("http://potluck.test", http=httpx.MockTransport(server.answer)) as client:
            return verify(client, "1.0", tmp_path / "verify", None, lambda _: None)

    return one


@pytest.fixture
def server(tmp_path: Path) -> Platform:
    return platform(tmp_path)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring pays for its imports once, and for each question; its own process is shown elsewhere."""
    known: dict[str, Measured] = {}

    def here(model: Path, claims: Sequence[Claim]) -> Iterator[Measured]:
        for claim in claims:
            told = wanted(claim)
            key = f"{file_sha256(model)} {told}"
            if key not in known:
                known[key] = Measured.told(measured(model, told))
            yield known[key]

    monkeypatch.setattr(potluck_check.verifying, "remeasured", here)


def differing(found: Verified) -> list[str]:
    return [one.what for one in found.of("differs")]


def test_what_was_published_comes_out_again(server: Platform, verified: Verify) -> None:
    found = verified(server)
    assert differing(found) == []
    assert found.of("not-rederived") == []
    assert found.exit_code == 0
    matched = {one.what for one in found.of("matches")}
    assert {
        "file model.pt",
        "manifest.model.pt",
        "signature of the manifest",
        "page.silicon.force_rmse_mev_per_angstrom",
        "silicon.force_rmse_mev_per_angstrom",
        "water.energy_rmse_mev_per_atom",
        "water.baseline_energy_rmse_mev_per_atom",
        "silicon.threshold_ev_per_angstrom",
        "water.baseline_element_energies_ev.O",
        "score_held_out",
        "standard_score",
    } <= matched
    assert "is what it says" in lines(found)[0]


def test_private_branches_are_counted_and_asked_of_nobody(tmp_path: Path, verified: Verify) -> None:
    server = platform(tmp_path, private=("water",))
    found = verified(server)
    assert (found.exit_code, found.private_branches) == (0, 1)
    assert not [one for one in found.findings if one.what.startswith("water.")]
    water = str(reference_model.dataset_ref("water").dataset_id)
    assert not [path for path in server.asked if water in path]
    assert "by who runs the platform alone" in lines(found)[-1]


@pytest.mark.parametrize("private", [(), ("water",)], ids=["all public", "one private"])
@pytest.mark.usefixtures("in_process")
def test_the_standard_score_comes_out_of_public_files(
    tmp_path: Path, verified: Verify, private: tuple[str, ...]
) -> None:
    """What is private enters with the numbers that are published of it."""
    server = platform(tmp_path, private, standard=True)
    found = verified(server)
    assert (differing(found), found.of("not-rederived")) == ([], [])
    matched = {one.what: one for one in found.of("matches")}
    assert matched.keys() >= {
        "file standard.json",
        "manifest.standard.json",
        "standard.json.branches",
        "standard.silicon.frames",
        "standard.silicon.force_rmse_mev_per_angstrom",
        "standard.silicon.baseline_energy_rmse_mev_per_atom",
        "standard_score",
    }
    assert ("standard.water.frames" in matched) is (not private)
    assert matched["standard_score"].published != json.loads(server.files["manifest.json"][1])["score_held_out"]
    hidden = [one.hex() for one in frame_hashes(list(reference_model.held_out_frames("water")))]
    table = server.files["standard.json"][1].decode()
    assert [one in table for one in hidden].count(True) == (0 if private else 4)


@pytest.mark.usefixtures("in_process")
def test_a_standard_number_that_was_never_measured_is_seen(tmp_path: Path, verified: Verify) -> None:
    server = platform(tmp_path, standard=True)

    def better_standard(told: dict[str, Any]) -> None:
        told["standard"]["branches"][0]["force_rmse_mev_per_angstrom"] *= 0.9
        told["standard_score"] *= 0.95

    rewritten(server, better_standard, None)
    assert differing(verified(server)) == ["standard.silicon.force_rmse_mev_per_angstrom", "standard_score"]


@pytest.mark.usefixtures("in_process")
def test_frames_that_were_picked_for_a_better_score_are_seen(tmp_path: Path, verified: Verify) -> None:
    """The platform tells of frames that are not the ones: other frames, frames that nobody has, other counts."""
    server = platform(tmp_path, standard=True)
    good = json.loads(server.files["standard.json"][1])

    def told(change: Callable[[dict[str, Any]], None]) -> list[str]:
        table = json.loads(json.dumps(good))
        change(table)
        data = json.dumps(table).encode()
        server.files["standard.json"] = ("standard", data)
        rewritten(server, lambda manifest: manifest.update(files=listed(manifest, data)), None)
        return differing(verified(server))

    def listed(manifest: dict[str, Any], data: bytes) -> list[dict[str, Any]]:
        changed = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        return [one | (changed if one["name"] == "standard.json" else {}) for one in manifest["files"]]

    def silicon(**values: object) -> Callable[[dict[str, Any]], None]:
        return lambda table: table["branches"][0].update(values)

    frames, places = good["branches"][0]["frames"], good["branches"][0]["positions"]
    assert told(lambda _: None) == []
    assert told(silicon(positions=places[::-1])) == ["standard.silicon.frames"]
    assert told(silicon(positions=[], frames=[])) == ["standard.silicon.frames"]
    assert told(silicon(frames=["0" * 64, *frames[1:]], positions=None)) == ["standard.silicon.frames"]
    assert told(silicon(count=3)) == ["standard.json.branches"]
    assert told(silicon(dataset=None, frames=[], positions=None)) == ["standard.json.branches"], "it is public"
    assert told(lambda table: table.update(number=2)) == ["standard.json.number"]
    assert told(lambda table: table.update(branches="all")) == ["standard.json"]


@pytest.mark.usefixtures("in_process")
def test_a_table_that_is_not_the_manifests_is_seen_by_its_hash(tmp_path: Path, verified: Verify) -> None:
    server = platform(tmp_path, standard=True)
    server.files["standard.json"] = ("standard", b"{}")
    server.model["files"] = server.listed()
    found = verified(server)
    assert differing(found) == ["manifest.standard.json", "standard.json"]
    assert "standard_score" in {one.what for one in found.of("not-rederived")}


@pytest.mark.usefixtures("in_process")
def test_energies_of_a_baseline_that_training_frames_do_not_give_are_seen(server: Platform, verified: Verify) -> None:
    def shifted(told: dict[str, Any]) -> None:
        told["branches"][0]["baseline_element_energies_ev"]["Si"] += 1e-4

    rewritten(server, shifted, None)
    assert differing(verified(server)) == ["silicon.baseline_element_energies_ev.Si"]

    def untold(told: dict[str, Any]) -> None:
        told["branches"][0]["baseline_element_energies_ev"]["Si"] -= 1e-4
        told["branches"][0]["baseline_train_frames"] = None

    rewritten(server, untold, None)
    found = verified(server)
    (one,) = found.of("not-rederived")
    assert (one.what, differing(found)) == ("silicon.baseline_element_energies_ev", [])
    assert "training frames" in one.why


def test_a_changed_weight_file_is_seen_by_its_hash(server: Platform, tmp_path: Path, verified: Verify) -> None:
    changed = reference_model.changed_release(tmp_path / "changed.pt").read_bytes()
    server.files["model.pt"] = ("checkpoint", changed)  # the list still tells the hash of what was published
    server.model["files"][0]["size"] = len(changed)
    found = verified(server)
    assert found.exit_code == 1
    assert differing(found) == ["file model.pt"]


def test_a_weight_file_that_the_page_was_changed_for_is_seen_by_the_manifest_and_by_its_numbers(
    server: Platform, tmp_path: Path, verified: Verify
) -> None:
    changed = reference_model.changed_release(tmp_path / "changed.pt").read_bytes()
    server.files["model.pt"] = ("checkpoint", changed)
    server.model["files"] = server.listed()
    found = verified(server)
    assert {"manifest.model.pt", "silicon.force_rmse_mev_per_angstrom", "score_held_out"} <= set(differing(found))


def rewritten(server: Platform, change: Callable[[dict[str, Any]], None], signature: bytes | None) -> None:
    told = json.loads(server.files["manifest.json"][1])
    change(told)
    server.publish(json.dumps(told).encode(), signature)


def better(told: dict[str, Any]) -> None:
    told["branches"][0]["force_rmse_mev_per_angstrom"] *= 0.95


def test_a_wrong_number_is_seen_even_when_the_platform_signs_it(server: Platform, verified: Verify) -> None:
    rewritten(server, better, None)
    found = verified(server)
    assert differing(found) == ["silicon.force_rmse_mev_per_angstrom"]
    (one,) = found.of("differs")
    assert isinstance(one.published, float)
    assert one.found == pytest.approx(one.published / 0.95, rel=1e-3)


def test_a_manifest_that_was_changed_after_it_was_signed_is_seen(server: Platform, verified: Verify) -> None:
    rewritten(server, lambda told: told.update(steps=told["steps"] + 1), server.files["manifest.json.sig"][1])
    assert differing(verified(server)) == ["signature of the manifest"]


def test_a_page_that_shows_other_numbers_than_the_manifest_is_seen(server: Platform, verified: Verify) -> None:
    server.model["datasets"][1]["energy_rmse_mev_per_atom"] /= 2
    assert differing(verified(server)) == ["page.water.energy_rmse_mev_per_atom"]


def test_what_is_gone_or_old_is_told_as_not_derived(server: Platform, verified: Verify) -> None:
    silicon, water = (str(reference_model.dataset_ref(name).dataset_id) for name in ("silicon", "water"))
    del server.datasets[silicon]
    server.datasets[water]["version"] = 2
    found = verified(server)
    assert found.exit_code == 2
    why = {one.what: one.why for one in found.of("not-rederived")}
    assert why["silicon.held-out frames"] == "its dataset is no longer offered"
    assert "has version 2 by now" in why["water.held-out frames"]
    assert "score_held_out" in why


def test_a_manifest_from_before_says_what_it_lacks(server: Platform, verified: Verify) -> None:
    def older(told: dict[str, Any]) -> None:
        for name in ("files", "score_held_out"):
            del told[name]
        for branch in told["branches"]:
            for name in ("held_out_frames", "left_out_held_out", "baseline_element_energies_ev"):
                del branch[name]

    rewritten(server, older, None)
    del server.files["manifest.json.sig"]
    server.model["files"] = server.listed()
    found = verified(server)
    assert (found.exit_code, differing(found)) == (2, [])
    assert {one.what for one in found.of("not-rederived")} >= {"files in the manifest", "signature of the manifest"}


def test_the_command_ends_with_its_code_and_tells_json(
    server: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def connected(_server: str | None) -> Client:
        return Client("http://potluck.test", http=httpx.MockTransport(server.answer))

    monkeypatch.setattr(potluck_check.models, "connect", connected)
    folder = ["--folder", str(tmp_path / "kept")]
    with pytest.raises(SystemExit) as ended:
        run(["model", "verify", "1.0", "--json", *folder, "--key", SIGNER.public_key])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["tolerance"]["relative"]) == ("matches", 1e-3)
    assert all(one["state"] == "matches" for one in told["findings"])
    rewritten(server, better, None)
    with pytest.raises(SystemExit) as ended:
        run(["model", "verify", "1.0", *folder])
    assert ended.value.code == 1
    assert "silicon.force_rmse_mev_per_angstrom" in capsys.readouterr().out
