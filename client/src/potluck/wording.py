"""What a person reads about a dataset: the same words in the terminal, whoever prints them."""

from potluck.errors import Exit
from potluck.resources import Dataset, Progress, Rerun, Rule, SetAside

STAGES = ("submit", "check", "queue", "train", "done")
# Contributions that ended before a model: the stage that ended them, its mark, and the last one's.
_ENDINGS = {
    "rejected": ("submit", "✗", "–"),
    "covered": ("check", "✓", "✓"),
    "not-sound": ("check", "✗", "–"),
    "failed": ("train", "✗", "–"),
    "withheld": ("train", "✓", "✗"),
    "shared": ("submit", "✓", "✓"),
    "withdrawn": ("submit", "✓", "✗"),
}


def outcome(dataset: Dataset) -> Exit:
    """How a finished contribution ends a script: OK when it trained a model, is covered by one, or is shared only."""
    if dataset.state in ("published", "shared") or dataset.verdict == "covered":
        return Exit.OK
    return Exit.NEEDS_YOU


def stage_line(dataset: Dataset) -> str:
    """'Submit ✓  Check ✓  Queue ●  Train  Done'; a dash for a stage that never comes, ✗ for one that ended it.

    The marks are those of the site's Progress.
    """
    if dataset.finished and (ending := _ENDINGS.get(dataset.state) or _ENDINGS.get(dataset.verdict or "")):
        last, its_mark, final = ending
        end = STAGES.index(last)
        marks = ["✓"] * end + [its_mark] + ["–"] * (len(STAGES) - end - 2) + [final]
    else:
        here = STAGES.index(dataset.stage) if dataset.stage in STAGES else 0
        marks = [
            "✓" if index < here or dataset.finished else "●" if index == here else "" for index in range(len(STAGES))
        ]
    return "  ".join(f"{stage.title()} {mark}".rstrip() for stage, mark in zip(STAGES, marks, strict=True))


def headline(dataset: Dataset) -> str:
    """Where it stands, in one sentence."""
    if dataset.held_up:
        return f"held up on the server's side, nothing is lost: {dataset.held_up.reason}"
    reason = dataset.message.reason if dataset.message else ""
    sentence = dataset.metric.sentence if dataset.metric else ""
    match dataset.state:
        case "uploaded" if dataset.reading:
            return progress(dataset.reading)
        case "uploaded":
            return f"the archive has arrived; {queue(dataset, 'it waits to be read')}"
        case "validated":
            return f"{read(dataset)}; {queue(dataset, 'waits for the check')}{verdict_in(dataset)}"
        case "checking":
            return f"{read(dataset)}; the model is asked what it knows of them{verdict_in(dataset)}"
        case "passed":
            return (
                f"passed: {sentence.rstrip('. ') or 'sound and new'}; {queue(dataset, 'waits for a round of training')}"
            )
        case "training":
            return training(dataset)
        case "published":
            return f"model {dataset.model} is published; {errors(dataset)}"
        case "rejected":
            return f"rejected: {reason}"
        case "not-passed":
            return f"not passed ({dataset.verdict}): {sentence or reason}"
        case "withheld":
            return f"the model was trained and is withheld: {reason or failed_rules(dataset)}"
        case "failed":
            return f"training failed: {reason}"
        case "shared":
            return "shared: it can be downloaded and cited, and no model is trained on it"
        case "withdrawn":
            return "withdrawn: no downloads, and no training to come"
    return dataset.state


def brief(dataset: Dataset) -> str:
    """The headline without the metric's reasons, for a table's row."""
    if dataset.state == "passed":
        return f"passed; {queue(dataset, 'waits for a round of training')}"
    if dataset.state == "not-passed" and dataset.metric:
        return f"not passed: {dataset.verdict} ({dataset.metric.coverage:.0%} of the frames are known)"
    return headline(dataset)


_STEPS = {
    "unpacking": "unpacking the archive",
    "finding": "looking for calculations",
    "assembling": "writing the dataset",
}


def progress(now: Progress) -> str:
    """'reading: 312 of 1,000 calculations, 3,120 frames so far, 2 set aside, 90 s left'."""
    if now.step == "parsing" and now.calculations:
        parts = [f"reading: {now.parsed:,} of {now.calculations:,} calculations"]
    else:
        parts = [f"{_STEPS.get(now.step, 'reading')}: {now.files:,} files"]
    if now.frames:
        parts.append(f"{now.frames:,} frames so far")
    if now.set_aside:
        parts.append(f"{now.set_aside:,} set aside")
    if now.eta_seconds is not None:
        parts.append(f"{duration(now.eta_seconds)} left")
    return ", ".join(parts)


def verdict_in(dataset: Dataset) -> str:
    """', verdict in about 2–5 min'; nothing where nothing is known."""
    place = dataset.queue
    if place is None or place.eta_low_seconds is None or place.eta_high_seconds is None:
        return ""
    low, high = place.eta_low_seconds, place.eta_high_seconds
    unit, seconds = ("s", 1) if high < 90 else ("min", 60) if high < 5400 else ("h", 3600)
    first, last = (f"{value / seconds:.1f}".removesuffix(".0") for value in (low, high))
    return f", verdict in about {first}–{last} {unit}" if low > 0 else f", verdict within {last} {unit}"


def read(dataset: Dataset) -> str:
    """'24 frames of C, Si read, 2 set aside'."""
    found = dataset.ingest
    if found is None:
        return "being read"
    aside = f", {found.set_aside_count} set aside" if found.set_aside_count else ""
    return f"{found.frames} frames of {', '.join(found.elements)} read{aside}"


def queue(dataset: Dataset, otherwise: str) -> str:
    """'place 3 in the queue'; the words of `otherwise` where nobody is before it."""
    return f"place {dataset.queue.position} in the queue" if dataset.queue and dataset.queue.ahead else otherwise


def training(dataset: Dataset) -> str:
    """'training: step 300 of 900, force RMSE 612 meV/Å on held-out frames (1,971 before), 40 s left'."""
    run = dataset.training
    if run is None or run.step is None or not run.total_steps:
        return "training starts"
    parts = [f"training: step {run.step} of {run.total_steps}"]
    if run.curve:
        # The same held-out frames before the first step; an attempt that resumed has no such point.
        first = run.curve[0]
        was = f" ({mev(first.force_rmse_mev_per_angstrom)} before)" if first.step == 0 < run.curve[-1].step else ""
        parts.append(f"force RMSE {mev(run.curve[-1].force_rmse_mev_per_angstrom)} meV/Å on held-out frames{was}")
    # Before the first steps nobody knows how long one takes.
    if run.eta_seconds is not None and run.step > 0:
        parts.append(f"{duration(run.eta_seconds)} left")
    return ", ".join(parts)


def errors(dataset: Dataset) -> str:
    """'force RMSE 1,971 → 404 meV/Å'."""
    return f"force RMSE {rmse(dataset)} meV/Å"


def rmse(dataset: Dataset) -> str:
    """'1,971 → 404': zero-shot and trained, in meV/Å; a dash for what is not known, or for both."""
    before = mev(dataset.metric.force_rmse_zero_shot_mev_per_angstrom if dataset.metric else None)
    after = mev(dataset.training.force_rmse_after_mev_per_angstrom if dataset.training else None)
    return "–" if before == after == "–" else f"{before} → {after}"


def mev(value: float | None) -> str:
    """A number of meV with as many digits as it deserves; a dash when there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def details(dataset: Dataset) -> list[str]:
    """Below the headline: what was set aside and why, what to do, which rules failed."""
    lines = [set_aside(one) for one in (dataset.ingest.set_aside if dataset.ingest else ())]
    if dataset.ingest and (more := dataset.ingest.set_aside_count - len(lines)) > 0:
        lines.append(f"… and {more} more, on the dataset's page")
    lines += _what_was_read(dataset)
    if dataset.message and dataset.message.remedy:
        lines.append(f"What to do: {dataset.message.remedy}")
    if dataset.state == "withheld":
        lines += [rule_line(rule) for rule in dataset.growth or ()]
    return lines


def _what_was_read(dataset: Dataset) -> list[str]:
    """What a contributor should know of it beside the frames."""
    found, lines = dataset.ingest, []
    if found is None:
        return []
    for one in found.theory_mismatches:
        lines.append(f"level of theory: {one.field} was declared as {one.declared}, the files say {one.found}")
    for other in found.overlaps:
        lines.append(f"{_of_the_frames(other.frames)} in {other.name}, too")
    if found.standard_frames:
        them = "it" if found.standard_frames == 1 else "them"
        kept = f"{_of_the_frames(found.standard_frames)} never trained on"
        lines.append(f"{kept}: another dataset keeps {them} for testing")
    if dataset.download and dataset.download.removed:
        count = len(dataset.download.removed)
        left_out = f"{count} {'files are' if count > 1 else 'file is'} left out of the download"
        lines.append(f"{left_out}: what is a POTCAR, or an archive that was not opened")
    return lines


def _of_the_frames(count: int) -> str:
    return f"{count:,} of the frames {'is' if count == 1 else 'are'}"


def rerun(one: Rerun) -> str:
    """What came of a repetition, in one sentence."""
    if one.state == "running":
        return "the run is being repeated"
    if one.state == "failed":
        return "the run could not be repeated; the verdict stands" + (f": {one.sentence}" if one.sentence else "")
    if one.same:
        return f"the same verdict and the same {one.numbers:,} numbers"
    if one.outcome_before != one.outcome_after:
        return f"another verdict: {one.outcome_before} before, {one.outcome_after} now"
    return f"the same verdict, but not the same numbers: {one.sentence}"


def rerun_details(one: Rerun) -> list[str]:
    """The numbers that differ, the largest first, and what changed on the server."""
    lines = [f"{each.name}: {_number(each.before)} → {_number(each.after)}" for each in one.differences]
    return lines + [f"{package}: {change}" for package, change in sorted(one.versions_changed.items())]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


def set_aside(one: SetAside) -> str:
    frame = f", frame {one.frame}" if one.frame is not None else ""
    return f"set aside: {one.path}{frame}: {one.reason}" + (f" → {one.remedy}" if one.remedy else "")


def rule_line(rule: Rule) -> str:
    return f"{'✓' if rule.passed else '✗'} {rule.rule}: {rule.sentence}"


def failed_rules(dataset: Dataset) -> str:
    return "; ".join(rule.sentence or rule.rule for rule in dataset.growth or () if not rule.passed)
