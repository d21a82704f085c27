"""A real deepmd model that has learned nothing yet: branches `silicon` and `germanium`, random weights."""

import os
from pathlib import Path

from crystals import crystals
from frames.store import write
from trainer.engine.session import build
from trainer.preset import load_preset
from trainer.recipe import render
from trainer.work import Work, WorkBranch
from trainer_fleet import PRESETS

ELEMENTS = {"silicon": "Si", "germanium": "Ge"}


def untrained(folder: Path, preset: str) -> Path:
    """Its training checkpoint, in `folder`, with what it would train on."""
    parts = []
    for name, element in ELEMENTS.items():
        write(folder / f"{name}.lmdb", crystals(element, element, 4, 3))
        path = folder / f"{name}.lmdb"
        parts.append(
            WorkBranch(
                name=name, train=path, held_out=path, has_virial=True, elements=(element,), is_new=True, weight=0.5
            )
        )
    work = Work(
        preset=load_preset(PRESETS, preset),
        total_steps=10,
        seed=1,
        parent=None,
        resume_from=None,
        branches=tuple(parts),
    )
    before = Path.cwd()
    os.chdir(folder)
    try:
        trainer = build(render(work, {part.name: part.train for part in parts}), 1)
    finally:
        os.chdir(before)
    trainer.save_model(folder / "model.pt", step=0)
    return folder / "model.pt"
