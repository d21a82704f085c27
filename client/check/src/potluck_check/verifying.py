"""A published version derived again: every public number, to the tolerance of `dpa.claims`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contracts.artifacts import PublishedManifest
from dpa.claims import (
    BASELINE_ENERGY,
    BASELINE_FORCE,
    ENERGY,
    FORCE,
    SCORE,
    STANDARD_SCORE,
    Finding,
    Measured,
    compared,
    exit_code,
    number,
    overall,
)
from dpa.remeasure import NotMeasured, remeasured
from potluck.client import Client
from potluck.errors import PotluckError
from potluck.resources import ModelFile
from potluck.signing import SigningKey

from potluck_check.claims import Published, check_signature, fetch_claim, fetch_model, standard_claims

BASELINES = (BASELINE_ENERGY, BASELINE_FORCE)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What came out. `private_branches`: there is nothing about them that an outsider could derive."""

    version: str
    findings: tuple[Finding, ...]
    private_branches: int

    def of(self, state: str) -> list[Finding]:
        return [one for one in self.findings if one.state == state]

    @property
    def exit_code(self) -> int:
        """As `dpa.claims.exit_code`; private branches are no part of it."""
        return exit_code(self.findings)


def verify(client: Client, version: str, folder: Path, keys: tuple[SigningKey, ...] | None, say: Say) -> Verified:
    """Fetch, measure in a fresh process, compare. `keys`: those that are trusted; none: the platform's own."""
    model = client.model(version)
    trusted = keys if keys is not None else client.signing_keys()

    def fetch(file: ModelFile, into: Path) -> Path:
        say(f"fetching {file.branch or model.version}: {file.name}")
        return client.download(file, into)

    findings: list[Finding] = []
    published = fetch_model(model, folder, fetch, findings)
    findings.append(check_signature(model, folder, trusted))
    if published.manifest is None:
        return Verified(model.version, tuple(findings), 0)
    private = sum(one.dataset is None for one in published.manifest.branches)
    standard = standard_claims(published.standard, published.manifest.standard)
    claims = [
        claim
        for branch in published.manifest.branches
        if (claim := fetch_claim(client, branch, standard.get(branch.name), folder / "frames", fetch, findings))
        is not None
    ]
    measured: list[Measured] = []
    if published.release is not None and claims:
        say(f"measuring {len(claims)} branches")
        try:
            for claim, told in zip(claims, remeasured(published.release, claims), strict=True):
                if isinstance(told, str):
                    findings.append(Finding(f"{claim.branch}", "not-rederived", why=told))
                    continue
                measured.append(told)
                findings += compared(claim, told)
        except NotMeasured as error:
            raise PotluckError(
                f"the model cannot be asked here: {error}",
                remedy='It needs deepmd-kit: pip install "deepmd-kit[torch]".',
            ) from error
    findings += _scores(published.manifest, measured, private)
    findings += _standard_score(published, published.manifest, measured, private)
    return Verified(model.version, tuple(findings), private)


def _scores(manifest: PublishedManifest, measured: list[Measured], private: int) -> list[Finding]:
    if private:
        return []  # their share is not public
    found = overall(measured) if len(measured) == len(manifest.branches) else None
    return [number(SCORE, manifest.score_held_out, found)]


def _standard_score(
    published: Published, manifest: PublishedManifest, measured: list[Measured], private: int
) -> list[Finding]:
    """E on the standard dataset: public branches as measured, private ones as published."""
    if manifest.standard is None:
        # Before there was a standard dataset all held-out frames took its place, private ones too.
        found = overall(measured) if len(measured) == len(manifest.branches) else None
        return [] if private else [number(STANDARD_SCORE, manifest.standard_score, found)]
    if published.standard is None:
        why = "the version does not tell which frames the standard dataset holds"
        return [Finding(STANDARD_SCORE, "not-rederived", manifest.standard_score, None, why)]
    counts = {one.branch: one.frames for one in manifest.standard.branches}
    here = {
        one.branch: one.standard for one in measured if one.standard and one.standard.frames == counts.get(one.branch)
    }
    secret = {one.branch for one in published.standard.branches if one.dataset is None}
    parts = [
        Measured(one.branch, one.frames, {name: getattr(one, name) for name in (ENERGY, FORCE, *BASELINES)})
        if one.branch in secret
        else here.get(one.branch)
        for one in manifest.standard.branches
    ]
    complete = [one for one in parts if one is not None and {ENERGY, FORCE, *BASELINES} <= one.numbers.keys()]
    found = overall(complete) if len(complete) == len(parts) else None
    return [number(STANDARD_SCORE, manifest.standard_score, found)]
