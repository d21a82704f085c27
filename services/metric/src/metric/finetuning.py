"""One short training by deepmd's own fine-tuning, in a process that ends with the service."""

import asyncio
import json
import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dpa.environment import environment
from frames.frame import SYMBOLS

from metric.child import end_with_parent

_INPUT = "input.json"
_LOG = "deepmd.log"
_START_RATE, _STOP_RATE = 1e-3, 1e-5


class TrainingFailed(RuntimeError):
    """deepmd did not leave a trained model behind."""


def rendered(recipe: Mapping[str, Any], branch: str, train: Path, steps: int, has_virial: bool, seed: int) -> str:
    """deepmd's single-task input: loss, optimizer and batches of the model's own recipe, a rate for warm starts.

    deepmd takes the architecture from the model (`--use-pretrain-script`), but asks for a type map all the same.
    """
    loss = dict(recipe["loss_dict"][branch])
    if not has_virial:
        loss |= {"start_pref_v": 0, "limit_pref_v": 0}
    data = recipe["training"]["data_dict"][branch]["training_data"]
    content = {
        "model": {"type_map": list(SYMBOLS), "descriptor": {}, "fitting_net": {}},
        "learning_rate": {
            "type": "exp",
            "start_lr": _START_RATE,
            "stop_lr": _STOP_RATE,
            "decay_steps": max(1, steps // 20),
        },
        "loss": loss,
        "optimizer": recipe["optimizer"],
        "training": {
            "training_data": {"systems": str(train), "batch_size": data["batch_size"]},
            "gradient_max_norm": recipe["training"].get("gradient_max_norm", 0.0),
            "numb_steps": steps,
            "disp_freq": steps,
            "save_freq": steps,
            "seed": seed,
        },
    }
    return json.dumps(content)


async def train(folder: Path, text: str, model: Path, branch: str, steps: int, threads: int) -> Path:
    """The checkpoint of `branch` after `steps` on what the input `text` names; files stay in `folder`.

    A process that is cancelled is killed. Raises TrainingFailed with the end of what deepmd said.
    """
    folder.mkdir()
    (folder / _INPUT).write_text(text)
    process = multiprocessing.get_context("spawn").Process(
        target=_train, args=(folder, model, branch, environment(threads)), name="metric-finetuning", daemon=True
    )
    process.start()
    try:
        await asyncio.to_thread(process.join)
    finally:
        process.kill()
    checkpoint = folder / f"model.ckpt-{steps}.pt"
    if process.exitcode != 0 or not checkpoint.is_file():
        said = (folder / _LOG).read_text(errors="replace")[-500:] if (folder / _LOG).exists() else ""
        raise TrainingFailed(f"deepmd ended with exit code {process.exitcode}: {said}")
    return checkpoint


def _train(folder: Path, model: Path, branch: str, variables: dict[str, str]) -> None:
    end_with_parent()
    os.environ.update(variables)
    os.chdir(folder)
    said = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(said, sys.stdout.fileno())
    os.dup2(said, sys.stderr.fileno())
    from deepmd.main import main  # only this process pays for the import

    options = ["--finetune", str(model), "--model-branch", branch, "--use-pretrain-script", "--skip-neighbor-stat"]
    main(["--pt", "train", _INPUT, *options])
