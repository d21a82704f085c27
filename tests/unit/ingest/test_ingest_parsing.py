"""How work is dealt out to parsing children, and how far what they report is believed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest.confinement.children import Ending
from ingest.domain import Calculation, IngestBroken, Spooled
from ingest.opening import read_answer
from ingest.parsing import Shares, blame, parsers, sampled
from ingest.report import Report, listed
from ingest.settings import IngestSettings


def calculation(number: int, size: int = 1) -> Calculation:
    return Calculation(number, f"f{number}/scf.out", "qe/pw/scf", ("x",), {}, size)


def dealt(shares: Shares) -> list[int]:
    numbers: list[int] = []
    while share := shares.take():
        assert len(share) <= 64
        numbers += [one.number for one in share]
    return numbers


@given(
    sizes=st.lists(st.integers(0, 10**9), min_size=1, max_size=200),
    children=st.integers(1, 8),
    found=st.integers(1, 70),
)
def test_every_calculation_is_dealt_once_and_in_order(sizes: list[int], children: int, found: int) -> None:
    shares = Shares(parsers=children)
    numbers = []
    for start in range(0, len(sizes), found):
        shares.add([calculation(start + place, size) for place, size in enumerate(sizes[start : start + found])])
        numbers += [one.number for one in shares.take()]
    shares.all_known = True
    assert numbers + dealt(shares) == list(range(len(sizes)))
    assert shares.waiting_bytes == 0


def test_a_heavy_calculation_goes_alone_and_what_comes_back_is_next() -> None:
    shares = Shares(parsers=2, all_known=True)
    shares.add([calculation(0, 10**9), calculation(1), calculation(2)])
    first = shares.take()
    assert [one.number for one in first] == [0]
    shares.back(first)
    assert [one.number for one in shares.take()] == [0]


def test_shares_shrink_towards_the_end() -> None:
    shares = Shares(parsers=2, all_known=True)
    shares.add([calculation(number) for number in range(400)])
    sizes = []
    while share := shares.take():
        sizes.append(len(share))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-2], len(sizes) < 25) == (64, 7, True)


@pytest.mark.parametrize(
    ("sizes", "count"), [([1], 1), ([1] * 64, 1), ([1] * 65, 2), ([1 << 30], 1), ([1 << 30] * 2, 2), ([1] * 10_000, 4)]
)
def test_more_work_is_worth_more_parsers(sizes: list[int], count: int) -> None:
    settings = IngestSettings(blobs_url="file:///unused", parallel_parsers=4)
    assert parsers(len(sizes), sum(sizes), settings) == count


def test_levels_of_theory_are_asked_all_over_a_dataset() -> None:
    """Whatever its size, and how many calculations it has is not known when the first ones are asked."""
    for count in (1_000, 30_000, 1_000_000):
        asked = [number for number in range(count) if sampled(number)]
        assert len(asked) < 200
        gaps = np.diff([*asked, count])
        assert gaps.max() <= max(1, count // 8)
    assert all(sampled(number) for number in range(40))


def line(**said: object) -> str:
    return json.dumps(said) + "\n"


def end(number: int, **changes: object) -> str:
    good: dict[str, Any] = {
        "theory": {}, "frames": 1, "frames_failed": 0, "unconverged": 0, "failed": False, "set_aside": [],
        "spool": [0, 10], "first": 0, "largest_force": 1.5,
    }  # fmt: skip
    return line(end=number, **(good | changes))


@pytest.fixture
def report(tmp_path: Path) -> Report:
    (tmp_path / "spool").write_bytes(bytes(100))
    (tmp_path / "hashes").write_bytes(bytes(64))
    return Report(tmp_path / "report", 3, (tmp_path / "spool", tmp_path / "hashes"))


def test_a_report_is_believed_as_far_as_it_fits(report: Report) -> None:
    calculations = {number: calculation(number) for number in range(9)}
    entry = {"frame": 2, "rule": "not-finite", "reason": "x" * 10_000, "remedy": "y"}
    text = line(begin=0) + end(0, set_aside=[entry]) + line(begin=1) + end(1, frames=-5) + end(99) + "[1]\n"
    text += end(3, spool=[0, 101]) + end(4, first=2) + end(5, largest_force=float("inf")) + end(6, spool=[9, 3])
    text += line(begin=2) + '{"end": 2, "fra'
    report.path.write_text(text)
    ended = report.read(calculations)
    assert [one.number for one in ended] == [0]
    assert [number for number, one in calculations.items() if one.done] == [0]
    assert report.at == 2
    first = calculations[0]
    assert (first.frames, first.spool, first.set_aside) == (1, Spooled(3, 0, 10, 0), 1)
    (told,) = listed(calculations.values(), {3: report.path}, 10)
    assert (told.path, told.frame, len(told.reason)) == ("f0/scf.out", 2, 500)


def test_text_of_a_report_has_no_nul(report: Report, tmp_path: Path) -> None:
    """PostgreSQL takes none, neither in text nor in JSON: whoever keeps the event would fail for ever."""
    entry = {"frame": 0, "rule": "r", "reason": "could not read '0.0\x0035'", "remedy": "y"}
    report.path.write_text(end(0, set_aside=[entry], theory={"functional": "P\x00E", "code": r"a\u0000b"}))
    calculations = {0: calculation(0)}
    report.read(calculations)
    assert calculations[0].theory == {"functional": "P\ufffdE", "code": r"a\u0000b"}
    (told,) = listed(calculations.values(), {3: report.path}, 10)
    assert told.reason == "could not read '0.0\ufffd35'"
    answer = tmp_path / "found.json"
    answer.write_text(json.dumps({"refused": {"reason": "\x00", "more": ["a\x00", {"k\x00": 1}]}}))
    assert read_answer(answer, 1000) == {"refused": {"reason": "\ufffd", "more": ["a\ufffd", {"k\ufffd": 1}]}}


def test_a_report_is_read_while_it_grows(report: Report) -> None:
    calculations = {number: calculation(number) for number in range(3)}
    assert report.read(calculations) == []
    whole = line(begin=0) + line(at=0, frames=500, failed=2, bytes=77)
    report.path.write_text(whole[:-5])
    assert report.read(calculations) == []
    assert (report.at, report.at_frames) == (0, 0)
    report.path.write_text(whole)
    assert report.read(calculations) == []
    assert (report.at_frames, report.at_failed, report.at_bytes) == (500, 2, 77)
    report.path.write_text(whole + end(0))
    assert [one.number for one in report.read(calculations)] == [0]
    assert (report.at, report.at_frames, report.at_bytes) == (None, 0, 0)


def test_an_endless_line_is_skipped(report: Report) -> None:
    report.path.write_bytes(b"x" * (17 << 20) + b"\n" + end(0).encode())
    calculations = {0: calculation(0)}
    while not calculations[0].done:
        before = report.path.stat().st_size
        report.read(calculations)
        assert before == report.path.stat().st_size


def test_only_so_many_entries_are_listed_and_the_first_ones(report: Report) -> None:
    calculations = {number: calculation(number) for number in range(4)}
    entries = [{"frame": at, "rule": "r", "reason": "x", "remedy": "y"} for at in range(5)]
    # In the order in which children finished, which is another one every time.
    report.path.write_text("".join(end(number, set_aside=entries, frames_failed=5) for number in (3, 0, 2)))
    report.read(calculations)
    calculations[1].fails("stalled", "no progress", "Look.")
    told = listed(calculations.values(), {3: report.path}, 8)
    assert [(one.path[:2], one.frame) for one in told] == [
        *(("f0", at) for at in range(5)),
        ("f1", None),
        ("f2", 0),
        ("f2", 1),
    ]
    assert sum(one.set_aside for one in calculations.values()) == 16


def test_a_child_that_dies_before_it_begins_is_our_fault() -> None:
    ending = Ending("was ended by SIGSEGV", "crashed", "")
    with pytest.raises(IngestBroken, match="before it began"):
        blame(ending, None, [calculation(0)])
    with pytest.raises(IngestBroken, match="No space left"):
        blame(Ending("crashed", "crashed", "OSError: No space left on device"), 0, [calculation(0)])
    left = [calculation(0), calculation(1)]
    assert blame(ending, 1, left) is left[1]
    assert left[1].failure is not None
    assert left[1].failure.rule == "crashed"
