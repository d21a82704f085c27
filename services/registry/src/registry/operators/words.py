"""What the operator's command prints."""

from collections.abc import Iterator, Sequence

from contracts.operator.v1 import operator_pb2 as pb


def line_lines(line: pb.GetLineResponse) -> list[str]:
    """What is going on."""
    lines = [f"paused: {line.pause_reason}" if line.paused else "running"]
    if line.HasField("open_round"):
        lines += round_lines(line.open_round)
    if line.waits_for:
        lines.append(f"    {line.waits_for} See: python -m registry workers")
    if line.HasField("inquiry"):
        lines += inquiry_lines(line.inquiry)
    lines.append(f"{len(line.waiting)} datasets wait")
    lines += [f"    {dataset_line(dataset)}" for dataset in line.waiting]
    return lines


def round_lines(round_: pb.Round) -> list[str]:
    """A round with its new datasets and what the policy found."""
    grows = f"grows {round_.parent_version}" if round_.parent_version else "the first model"
    became = f" as {round_.model_version}" if round_.model_version else ""
    by = f", {round_.worker}" if round_.worker else ""
    head = f"{round_.round_id}  {round_.state}{became}  {grows}, step {round_.step} of {round_.total_steps}{by}"
    return [head, *(f"    {line}" for line in _details(round_))]


def _details(round_: pb.Round) -> Iterator[str]:
    if round_.inquiry_id:
        yield f"asked for by inquiry {round_.inquiry_id}"
    if round_.reason:
        yield round_.reason
    for dataset in round_.new_datasets:
        yield dataset_line(dataset)
    for rule in round_.rules:
        yield f"{'✓' if rule.passed else '✗'} {rule.rule}: {rule.sentence}"
        for name, value in sorted(rule.numbers.items()):
            yield f"    {name} = {value:.6g}"


def worker_lines(worker: pb.Worker) -> list[str]:
    """A machine, what it has and what it does."""
    seen = worker.last_seen.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
    does = f"trains round {worker.round_id}" if worker.round_id else "waits" if worker.live else "gone"
    lines = [f"{worker.worker_id}  {does}, last seen {seen} UTC, on {worker.hostname}"]
    lines.append(f"    {', '.join(_hardware(worker))}")
    several = f" of {worker.processes} processes" if worker.processes > 1 else ""
    deepmd, torch = worker.deepmd_version or "not told", worker.torch_version or "not told"
    lines.append(f"    deepmd-kit {deepmd}, torch {torch}, launcher {worker.launcher or 'not told'}{several}")
    lines.append(f"    presets: {', '.join(worker.presets) or 'all'}")
    if worker.refusal:
        lines.append(f"    ✗ {worker.refusal}")
    return lines


def _hardware(worker: pb.Worker) -> Iterator[str]:
    for gpu in worker.gpus:
        yield f"{gpu.name} {gpu.memory_bytes / 1e9:.3g} GB" if gpu.memory_bytes else gpu.name
    if not worker.gpus:
        yield "no GPU"
    yield f"{worker.cpu_cores} CPU cores" + (f" ({worker.cpu_name})" if worker.cpu_name else "")
    if worker.memory_bytes:
        yield f"{worker.memory_bytes / 1e9:.3g} GB of main memory"


def dataset_line(dataset: pb.Dataset) -> str:
    private = ", private" if dataset.private else ""
    weight = f", weight {dataset.weight:g}" if dataset.weight else ""
    return f"{ref(dataset.ref)}  {dataset.title}: {dataset.state}, {dataset.train_frames} frames{weight}{private}"


def inquiry_lines(inquiry: pb.Inquiry) -> list[str]:
    """A search and how far it has come."""
    ended = f"ended: {inquiry.outcome}" if inquiry.outcome else "goes on"
    lines = [f"{inquiry.kind} of round {inquiry.round_id} {ended}"]
    for group in inquiry.groups:
        known = " (holds what made the round fail)" if group.suspected else ""
        lines.append(f"    {group.state}{known}: {', '.join(ref(dataset) for dataset in group.datasets)}")
    return lines


def ref(dataset: pb.DatasetRef) -> str:
    return f"{dataset.dataset_id}/{dataset.version}"


def versions(found: Sequence[str]) -> str:
    return ", ".join(found) or "no version"


def standard_lines(answer: pb.ListStandardsResponse) -> list[str]:
    """Every version of the standard dataset with its frames, newest first; then every model with its score."""
    if not answer.standards:
        return ["there is no standard dataset yet: the first published model makes it"]
    lines = []
    for number, one in enumerate(answer.standards):
        frames = sum(branch.frames for branch in one.branches)
        head = f"S{one.number}  of model {one.model_version}: {frames} frames of {len(one.branches)} branches"
        lines.append(f"{head}{'' if number else '  (current)'}")
        for branch in one.branches:
            private = ", private" if branch.private else ""
            lines.append(f"    {branch.branch}: {branch.frames} frames of {ref(branch.dataset)}{private}")
    lines.append("scores:")
    for version in answer.coverage:
        score = f"{version.score:.4f} on S{version.standard}" if version.standard else "no score yet"
        why = f" ({version.reason})" if version.reason else ""
        lines.append(f"    {version.model_version}  {version.state}: {score}{why}")
    return lines
