"""Numbers, times, Markdown and addresses as readers see them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from contracts.base import Frozen
from gateway.pages import limits, words
from gateway.pages.curve import BOTTOM, LEFT, RIGHT, TOP, drawing, log_ticks
from gateway.pages.site import safe_next
from gateway.views.datasets import CurvePoint, DatasetView, MetricView, TrainingView
from gateway.views.sizes import size_of
from metric.settings import MetricSettings

ROOT = Path(__file__).parents[3]
View = TypeVar("View", bound=Frozen)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1971.4, "1,971"),
        (404.0, "404"),
        (84.26, "84.3"),
        (4.913, "4.91"),
        (0.01234, "0.0123"),
        (0.000964, "0.000964"),
        (1.8539e-16, "1.85e-16"),
        (0, "0"),
        (-30.62, "-30.6"),
    ],
)
def test_three_significant_digits(value: float, shown: str) -> None:
    assert words.digits(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.963, "96 %"), (0.034, "3.4 %"), (0, "0 %"), (1, "100 %"), (0.0996, "10 %")]
)
def test_percent(value: float, shown: str) -> None:
    assert words.percent(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(7, "7 B"), (1234, "1.2 kB"), (16_777_216, "16.8 MB"), (4 << 30, "4.29 GB"), (999_960, "1.0 MB")],
)
def test_bytes(count: int, shown: str) -> None:
    assert size_of(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(42.4, "42 s"), (725, "12 min 05 s"), (11_045, "3 h 04 min"), (-1, "0 s")]
)
def test_duration(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_times_are_utc_until_the_reader_is_known() -> None:
    beijing = datetime(2026, 11, 23, 6, 30, tzinfo=timezone(timedelta(hours=8)))
    assert words.moment(beijing) == words.moment(beijing.astimezone(UTC))
    assert ">2026-11-22 22:30 UTC<" in words.moment(beijing)
    assert 'datetime="2026-11-22T22:30:00+00:00"' in words.day(beijing)


@pytest.mark.parametrize(
    ("name", "shown"), [("Demo Contributor", "DC"), ("李华", "李"), ("ada b. lovelace", "AL"), ("", "?")]
)
def test_initials(name: str, shown: str) -> None:
    assert words.initials(name) == shown


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "![x](https://tracker.example/pixel.png)",
        "<img src=x onerror=alert(1)>",
        "[x](data:text/html,hi)",
        '<a href="https://example.org" onclick="alert(1)">x</a>',
        "<style>body{display:none}</style>",
    ],
)
def test_markdown_runs_and_loads_nothing(hostile: str) -> None:
    html = str(words.markdown(hostile))
    for dangerous in (
        "<script",
        "<img",
        "<style",
        'href="javascript:',
        'href="data:',
        '<a href="https://example.org" on',
    ):
        assert dangerous not in html


def test_formulas_become_mathml_and_prices_do_not() -> None:
    html = str(words.markdown(r"It costs $5 and $10, and $E = \frac{1}{2} m v^2$.\n\n$$\sum_i x_i$$"))
    assert "It costs $5 and $10" in html
    assert "<mfrac><mn>1</mn><mn>2</mn></mfrac>" in html.replace("<mrow>", "").replace("</mrow>", "")
    assert '<math display="block">' in html


@pytest.mark.parametrize(
    "hostile",
    [
        "$<img src=x onerror=alert(1)>$",
        r"$\text{<script>alert(1)</script>}$",
        r"$\href{javascript:alert(1)}{x}$",
        r"$\frac{$",
        "$" + "{" * 3000 + "$",
    ],
)
def test_formulas_run_nothing_whatever_they_hold(hostile: str) -> None:
    html = str(words.markdown(hostile)).lower()
    assert "<img" not in html
    assert "<script" not in html
    assert "href" not in html.replace(r"\href", "")


def test_markdown_keeps_what_descriptions_use() -> None:
    html = str(words.markdown("# Title\n\n**bold** and `code`, [a link](https://example.org)\n\n|a|b|\n|-|-|\n|1|2|"))
    for tag in ("<h1>", "<strong>", "<code>", "<table>", 'rel="nofollow noopener ugc"'):
        assert tag in html


def test_pictures_that_decide_come_first() -> None:
    names = ["energy-distribution.svg", "force-error.svg", "parity-energy.svg", "parity-force.svg"]
    assert words.in_reading_order(names) == [
        "parity-force.svg",
        "force-error.svg",
        "parity-energy.svg",
        "energy-distribution.svg",
    ]


def test_sentences_of_services() -> None:
    assert words.sentence("no calculation in notes/README.txt") == "No calculation in notes/README.txt"
    for told in ("scf.out, frame 0: cut", "si-more/frame.0048/scf.out looks like qe/pw/scf", "band_md/1: cut"):
        assert words.sentence(told) == told
    assert words.sentence("") == ""
    assert words.sentence("Up to 5 % may fail.") == "Up to 5\N{NO-BREAK SPACE}% may fail."


def test_paths_break_after_slashes_and_stay_text() -> None:
    assert str(words.breakable("a/<b>/c")) == "a/<wbr>&lt;b&gt;/<wbr>c"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", None, 7]
)
def test_only_own_paths_are_gone_to(target: object) -> None:
    assert safe_next(target) == "/"


def test_own_paths_are_kept() -> None:
    assert safe_next("/datasets?page=2") == "/datasets?page=2"


def part_of(kind: type[View], **known: Any) -> View:
    """A view of which only these members matter."""
    return cast("View", kind.model_construct(**known))


def dataset(*force_rmse: float) -> DatasetView:
    curve = tuple(
        CurvePoint(step=100 * number, energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=value)
        for number, value in enumerate(force_rmse)
    )
    return part_of(
        DatasetView,
        training=part_of(TrainingView, curve=curve, total_steps=900),
        metric=part_of(MetricView, force_rmse_zero_shot_mev_per_angstrom=1971.0),
    )


@pytest.mark.parametrize("start", [1500, 1971, 2600])
def test_the_curve_is_drawn_inside_its_frame(start: float) -> None:
    drawn = drawing(dataset(start, 900, 404))
    assert drawn is not None
    points = [tuple(map(float, point.split(","))) for point in drawn.points.split()]
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    # It starts where the new branch did, below the zero-shot line, on it or above it, and falls: y grows downwards.
    assert drawn.zero_shot_y is not None
    assert (points[0][1] > drawn.zero_shot_y, points[0][1] < drawn.zero_shot_y) == (start < 1971, start > 1971)
    assert [y for _, y in points] == sorted(y for _, y in points)
    assert {label for _, label in drawn.y_ticks} >= {"500", "1,000"}


def test_no_curve_before_the_first_point() -> None:
    assert drawing(dataset()) is None


def test_ticks_are_round_and_enough() -> None:
    assert log_ticks(1, 1000) == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert len(log_ticks(600, 2200)) >= 3


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(20, 50, "20–50 s"), (0, 50, "50 s"), (120, 300, "2–5 min"), (5400, 10800, "1.5–3 h"), (60, 90, "1–1.5 min")],
)
def test_a_range_of_waiting_times(low: float, high: float, expected: str) -> None:
    assert words.waiting(low, high) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("fails_above_ev_per_angstrom", 50.0, ("fails above", "50 eV/Å")),
        ("largest_mev_per_angstrom_per_atom", 3.4, ("largest", "3.40 meV/Å per atom")),
        ("failed_frames", 1200.0, ("failed frames", "1,200")),
        ("at_most_failed_fraction", 0.05, ("at most failed", "5.0 %")),
        ("coverage", 0.97, ("coverage", "97 %")),
        ("largest_ratio", 0.0123, ("largest", "0.0123")),
        ("something_new", 2.5, ("something new", "2.50")),
        ("force_difference_ev_per_angstrom_allowed", 0.001, ("force difference allowed", "0.00100 eV/Å")),
        ("a_branch.force_rmse_rise_percent_low", -87.04, ("a_branch.force rmse rise low", "-87.0 %")),
    ],
)
def test_a_number_of_a_rule_has_its_unit(name: str, value: float, expected: tuple[str, str]) -> None:
    assert words.quantity(name, value) == expected


def test_the_numbers_of_a_rule_begin_with_what_was_found() -> None:
    numbers = {"failed_frames": 0.0, "fails_above_ev_per_angstrom": 50.0, "largest_ev_per_angstrom": 63.2}
    assert [label for label, _ in words.quantities(numbers)] == ["largest", "fails above", "failed frames"]


def test_pictures_to_look_at_are_drawn_not_copied() -> None:
    names = ["novelty.png", "novelty.svg", "parity-force.png", "parity-force.svg"]
    assert words.in_reading_order(names) == ["parity-force.svg", "novelty.svg"]


def test_every_number_of_a_check_has_a_name_that_is_translated() -> None:
    """The template names them one by one; another one would stay English on a Chinese page."""
    template = (ROOT / "services/gateway/src/gateway/templates/_quantities.html").read_text()
    named = set(re.findall(r"'([a-z ]+)': _\(", template))
    domain = ROOT / "services/metric/src/metric/domain"
    told = set()
    for name in ("consistency", "lengths", "plausibility", "references", "summaries"):
        told |= set(
            re.findall(r'^ +"([a-z_]+)": |numbers=?\[?[={]*"([a-z_]+)"', (domain / f"{name}.py").read_text(), re.M)
        )
    names = {one or other for one, other in told} - {"hartree", "kbar"}  # units that labels may be in
    assert len(names) > 20
    assert sorted(name for name in names if words.quantity(name, 1.5)[0] not in named) == []


def test_every_number_of_a_growth_rule_has_a_name_that_is_translated() -> None:
    template = (ROOT / "services/gateway/src/gateway/templates/_quantities.html").read_text()
    named = set(re.findall(r"'([a-z ]+)': _\(", template))
    source = (ROOT / "services/registry/src/registry/domain/policy.py").read_text()
    branch = r"(?:\{one\.branch\}\.)?"
    told = set(re.findall(rf'^ +"(score_\w+)": |numbers(?:=\{{|\[)f?"{branch}(\w+)"', source, re.MULTILINE))
    names = {one or other for one, other in told}
    intervals = re.findall(rf'_bounds\(f?"{branch}(\w+)"', source)
    names |= {f"{name}_{end}" for name in intervals for end in ("low", "high")}
    assert {"score_parent", "branches_without_numbers", "force_rmse_rise_percent_low"} < names
    found = [
        "energy_difference_ev_per_atom",
        "force_difference_ev_per_angstrom",
        "frozen_energy_difference_ev_per_atom",
        "frozen_force_difference_ev_per_angstrom",
        "derivative_difference_ev_per_angstrom",
        "energy_drift_mev_per_atom",
    ]
    names |= {f"{name}{end}" for name in found for end in ("", "_allowed")}
    assert sorted(name for name in names if words.quantity(name, 1.5)[0] not in named) == []


def test_every_threshold_of_the_check_has_words() -> None:
    numbers = MetricSettings(blobs_url="file:///unused").run_settings().numbers()
    assert numbers.keys() == limits.NAMED
    shown = {rule: dict(found) for rule, found in limits.limits(numbers)}
    assert shown["force-cap"] == {"fails above": "50 eV/Å", "warns above": "20 eV/Å"}
    assert shown["min-distance"]["fails below"] == "0.500 × Σ r"
    assert limits.OTHER not in shown
    assert limits.limits({"new_one_ev": 2.0}) == [(limits.OTHER, [("new one", "2 eV")])]
