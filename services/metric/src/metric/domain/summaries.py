"""One result a rule for the whole dataset: how many frames failed and warned, the worst, and the limits."""

import numpy as np
from contracts.base import Overlap, RuleResult

from metric.domain import checks
from metric.domain.levels import FAILED, WARNED, Levels
from metric.domain.limits import Limits
from metric.domain.origin import Origin
from metric.domain.records import Records
from metric.domain.words import counted, listed, percent, shortened, significant

_OVERLAPS_NAMED = 3


def summaries(records: Records, by_rule: dict[str, Levels], limits: Limits, origin: Origin) -> tuple[RuleResult, ...]:
    """Every rule of `checks.RULES` and leakage; virial-symmetry only where a frame has a virial."""
    results = [
        _force_cap(records, by_rule[checks.FORCE_CAP], limits),
        _min_distance(records, by_rule[checks.MIN_DISTANCE], limits),
        _net_force(records, by_rule[checks.NET_FORCE], limits),
        _energy_outlier(records, by_rule[checks.ENERGY_OUTLIER], limits),
    ]
    if not np.isnan(records.rows["virial_asymmetry"]).all():
        results.append(_virial_symmetry(records, by_rule[checks.VIRIAL_SYMMETRY], limits))
    results += [
        _scf_converged(records, by_rule[checks.SCF_CONVERGED]),
        _duplicates(by_rule[checks.DUPLICATES], origin),
        _leakage(origin),
    ]
    return tuple(results)


def _force_cap(records: Records, found: Levels, limits: Limits) -> RuleResult:
    worst = float(records.rows["force_ev_per_angstrom"].max())
    limit = limits.force_fail_ev_per_angstrom
    text = f"the largest force is {significant(worst)} eV/Å, the limit {significant(limit)} eV/Å"
    numbers = {
        "largest_ev_per_angstrom": worst,
        "fails_above_ev_per_angstrom": limit,
        "warns_above_ev_per_angstrom": limits.force_warn_ev_per_angstrom,
    }
    return _summary(checks.FORCE_CAP, found, text, numbers)


def _min_distance(records: Records, found: Levels, limits: Limits) -> RuleResult:
    ratios = records.rows["closest_ratio"]
    ratios = ratios[~np.isnan(ratios)]
    limit = significant(limits.distance_fail_ratio)
    numbers = {
        "fails_below_of_covalent_radii": limits.distance_fail_ratio,
        "warns_below_of_covalent_radii": limits.distance_warn_ratio,
    }
    if len(ratios):
        smallest = float(ratios.min())
        text = (
            f"the closest atoms are {significant(smallest)} of the sum of their covalent radii apart, "
            f"the limit is {limit}"
        )
        numbers["smallest_of_covalent_radii"] = smallest
    else:
        text = (
            f"no two atoms are closer than {significant(limits.distance_warn_ratio)} of the sum of their covalent "
            f"radii, the limit is {limit}"
        )
    return _summary(checks.MIN_DISTANCE, found, text, numbers)


def _net_force(records: Records, found: Levels, limits: Limits) -> RuleResult:
    worst = float(records.rows["net_force_mev_per_angstrom"].max())
    limit = limits.net_force_fail_mev_per_angstrom
    text = f"the largest net force is {significant(worst)} meV/Å per atom, the limit {significant(limit)} meV/Å"
    numbers = {
        "largest_mev_per_angstrom_per_atom": worst,
        "fails_above_mev_per_angstrom_per_atom": limit,
        "warns_above_mev_per_angstrom_per_atom": limits.net_force_warn_mev_per_angstrom,
    }
    return _summary(checks.NET_FORCE, found, text, numbers)


def _energy_outlier(records: Records, found: Levels, limits: Limits) -> RuleResult:
    residuals = np.abs(records.rows["residual_ev_per_atom"])
    worst, limit = float(residuals.max()), limits.energy_fail_ev_per_atom
    # A frame that is kept all the same: its forces explain the rest (`levels`).
    explained = " beyond what strong forces explain" if (residuals[found != FAILED] > limit).any() else ""
    text = (
        f"energies leave the fit on composition by at most {significant(worst)} eV/atom, "
        f"the limit is {significant(limit)} eV/atom{explained}"
    )
    numbers = {
        "largest_residual_ev_per_atom": worst,
        "largest_robust_z": float(records.rows["robust_z"].max()),
        "fails_above_ev_per_atom": limit,
        "warns_above_robust_z": limits.energy_warn_robust_z,
    }
    return _summary(checks.ENERGY_OUTLIER, found, text, numbers)


def _virial_symmetry(records: Records, found: Levels, limits: Limits) -> RuleResult:
    worst = float(np.nanmax(records.rows["virial_asymmetry"]))
    text = (
        f"virials differ from their transposes by at most {significant(worst)} of their size, "
        f"the limit {limits.virial_fail_ratio:g}"
    )
    numbers = {
        "largest_ratio": worst,
        "fails_above_ratio": limits.virial_fail_ratio,
        "warns_above_ratio": limits.virial_warn_ratio,
    }
    return _summary(checks.VIRIAL_SYMMETRY, found, text, numbers)


def _scf_converged(records: Records, found: Levels) -> RuleResult:
    """Frames whose files do not tell are never called converged."""
    frames = len(found)
    failed, unknown = int((found == FAILED).sum()), int((records.rows["converged"] < 0).sum())
    numbers = {"failed_frames": float(failed), "unknown_frames": float(unknown), "warned_frames": 0.0}
    converged = frames - failed - unknown
    parts = []
    if failed:
        part = percent(failed / frames)
        parts.append(
            f"{counted(failed, 'frame')} of {frames:,} ({part}) set aside: the self-consistency did not converge"
        )
    if unknown == frames:
        parts.append("unknown: no file tells whether the self-consistency converged")
    elif unknown:
        parts.append(f"unknown for {counted(unknown, 'frame')} of {frames:,}, whose files do not tell")
    if converged:
        parts.append(f"{counted(converged, 'frame')} of {frames:,} converged, as their files say")
    text = "; ".join(parts)
    return RuleResult(
        rule=checks.SCF_CONVERGED,
        passed=converged == frames,
        unknown=unknown > 0 and failed == 0,
        sentence=f"{text[0].upper()}{text[1:]}.",
        numbers=numbers,
    )


def _duplicates(found: Levels, origin: Origin) -> RuleResult:
    frames, known = len(found), int((found == WARNED).sum())
    dropped = origin.duplicate_frames
    numbers = {"dropped_frames": float(dropped), "warned_frames": float(known), "failed_frames": 0.0}
    inside = f"{counted(dropped, 'duplicate')} inside the dataset dropped" if dropped else "No duplicates inside"
    if known:
        part = percent(known / frames)
        outside = f"{counted(known, 'frame')} of {frames:,} ({part}) also in other datasets of the platform"
        outside += _named(origin.overlaps)
    else:
        outside = "no frame is in another dataset of the platform"
    return RuleResult(rule=checks.DUPLICATES, passed=True, sentence=f"{inside}; {outside}.", numbers=numbers)


def _named(overlaps: tuple[Overlap, ...]) -> str:
    if not overlaps:
        return ""
    shown = [f"{one.frames:,} in “{shortened(one.title)}”" for one in overlaps[:_OVERLAPS_NAMED]]
    more = len(overlaps) - _OVERLAPS_NAMED
    return f": {listed([*shown, f'more in {more} others'] if more > 0 else shown)}"


def _leakage(origin: Origin) -> RuleResult:
    count = origin.standard_frames
    if count:
        sentence = (
            f"{counted(count, 'frame')} that another dataset holds out to test the model: held out here too, "
            "so that the model never trains on them."
        )
    else:
        sentence = "No training frame is among those that other datasets hold out to test the model."
    return RuleResult(rule=checks.LEAKAGE, passed=True, sentence=sentence, numbers={"held_out_frames": float(count)})


def _summary(rule: str, found: Levels, text: str, numbers: dict[str, float]) -> RuleResult:
    frames, failed, warned = len(found), int((found == FAILED).sum()), int((found == WARNED).sum())
    if failed:
        verdict = f"{counted(failed, 'frame')} of {frames:,} ({percent(failed / frames)}) set aside"
    else:
        verdict = f"All {counted(frames, 'frame')} kept"
    remark = f", {counted(warned, 'frame')} with a warning" if warned else ""
    return RuleResult(
        rule=rule,
        passed=failed == 0,
        sentence=f"{verdict}{remark}: {text}.",
        numbers={**numbers, "failed_frames": float(failed), "warned_frames": float(warned)},
    )
