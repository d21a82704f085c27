"""Which pictures a verdict comes with: never none."""

from contracts.artifacts import DatasetManifest, MetricReport

from metric.domain.words import counted
from metric.pictures import distribution, parity

_ELEMENTS_NAMED = 10


def pictures(report: MetricReport, manifest: DatasetManifest) -> dict[str, bytes]:
    """File name → SVG. Predictions where there are any; before the first model, and where no frame could be
    predicted, how the labels are distributed.
    """
    near = next((one for one in report.branches if one.branch == report.nearest_branch), None)
    if near is None or report.model_version is None or report.max_force_error_histogram is None:
        return _labels(manifest)
    drawn = {f"parity-{one.quantity}.svg": parity.draw(one, report.model_version, near.branch) for one in report.parity}
    covered = sum(one.verdict == "covered" for one in report.verdicts)
    drawn["force-error.svg"] = distribution.draw_force_errors(
        report.max_force_error_histogram, near, report.model_version, covered
    )
    return drawn


def _labels(manifest: DatasetManifest) -> dict[str, bytes]:
    frames = counted(manifest.frames, "frame")
    some = ", ".join(manifest.elements[:_ELEMENTS_NAMED])
    more = len(manifest.elements) - _ELEMENTS_NAMED
    elements = f"{some} and {more} more" if more > 0 else some
    remark = f"{frames}, {counted(manifest.atoms, 'atom')} in all, elements {elements}"
    return {
        "energy-distribution.svg": distribution.draw_labels(
            manifest.energy_per_atom_ev, "energy", "DFT energy per atom (eV/atom)", remark
        ),
        "force-distribution.svg": distribution.draw_labels(
            manifest.force_component_ev_per_angstrom, "force", "DFT force component (eV/Å)", remark
        ),
    }
