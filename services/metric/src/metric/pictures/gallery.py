"""Which pictures a verdict comes with: never none."""

from contracts.artifacts import DatasetManifest, MetricReport
from frames.pairs import pairs_of_manifest

from metric.domain.words import counted
from metric.pictures import distribution, elements, learning_gain, novelty, parity
from metric.pictures import map as descriptor_map
from metric.pictures.png import to_png

_ELEMENTS_NAMED = 10


def pictures(report: MetricReport, manifest: DatasetManifest) -> dict[str, bytes]:
    """File name → SVG. Predictions where there are any; before the first model, and where no frame could be
    predicted, how the labels are distributed. What the dataset brings: always.
    """
    drawn = _judged(report) or _labels(manifest)
    drawn |= _elements(report, manifest)
    if report.model_version is not None and report.map is not None and report.map.new:
        drawn["map.svg"] = descriptor_map.draw(report.map, report.verdicts, report.model_version)
    if report.model_version is not None and report.novelty is not None:
        drawn["novelty.svg"] = novelty.draw(report.novelty, report.model_version)
    if report.model_version is not None and report.learning_gain is not None:
        drawn["learning-gain.svg"] = learning_gain.draw(report.learning_gain, report.model_version)
    return drawn


def with_png(drawn: dict[str, bytes]) -> dict[str, bytes]:
    """Every SVG and, beside it, its PNG: for e-mail, terminals and sharing."""
    return drawn | {f"{name.removesuffix('.svg')}.png": to_png(svg) for name, svg in drawn.items()}


def _judged(report: MetricReport) -> dict[str, bytes]:
    near = next((one for one in report.branches if one.branch == report.nearest_branch), None)
    if near is None or report.model_version is None or report.max_force_error_histogram is None:
        return {}
    drawn = {f"parity-{one.quantity}.svg": parity.draw(one, report.model_version, near.branch) for one in report.parity}
    drawn["force-error.svg"] = distribution.draw_force_errors(
        report.max_force_error_histogram, near, report.model_version, report.verdicts
    )
    return drawn


def _elements(report: MetricReport, manifest: DatasetManifest) -> dict[str, bytes]:
    new, new_pairs = set(report.new_elements), set(report.new_element_pairs)
    pairs = pairs_of_manifest(manifest) | new_pairs
    drawn = {"elements.svg": elements.draw_elements(manifest.elements, new, report.model_version)}
    if pairs:
        drawn["element-pairs.svg"] = elements.draw_pairs(manifest.elements, pairs, new_pairs, report.model_version)
    return drawn


def _labels(manifest: DatasetManifest) -> dict[str, bytes]:
    frames = counted(manifest.frames, "frame")
    some = ", ".join(manifest.elements[:_ELEMENTS_NAMED])
    more = len(manifest.elements) - _ELEMENTS_NAMED
    named = f"{some} and {more} more" if more > 0 else some
    remark = f"{frames}, {counted(manifest.atoms, 'atom')} in all, elements {named}"
    return {
        "energy-distribution.svg": distribution.draw_labels(
            manifest.energy_per_atom_ev, "energy", "DFT energy per atom (eV/atom)", remark
        ),
        "force-distribution.svg": distribution.draw_labels(
            manifest.force_component_ev_per_angstrom, "force", "DFT force component (eV/Å)", remark
        ),
    }
