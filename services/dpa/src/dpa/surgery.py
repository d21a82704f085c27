"""Give new datasets their own branches in a checkpoint with shared fitting net and case embedding, or take them away.

deepmd-kit 3.2.0's `--finetune` does not: a RANDOM branch gets an all-zero case vector, and `finetune_head`
copies the parent's one-hot, so that both branches are the same network. Here a new branch has a case of its own that
begins neutral: its rows of the shared net are zero, so that it predicts what all branches have in common, and they are
its own to learn. Of its nearest branch it takes the energy bias.
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from dpa.checkpoint import Checkpoint, parameters

_FITTING = "atomic_model.fitting_net."
_OWN = ("out_bias", "out_std", "bias_atom_e", "case_embd")
"""Tensors that belong to one branch; all others are shared through aliases."""
_CASE_INPUTS = (
    "filter_layers.networks.0.layers.0.matrix",
    "filter_layers._networks.0.layers.0.matrix",
    "filter_layers.networks.0.case_film.case_layer1.matrix",
    "filter_layers._networks.0.case_film.case_layer1.matrix",
)
"""The layer whose last rows multiply the case vector: plain, and where FiLM conditions on it."""
_FILM_IN, _FILM_OUT = "case_film.case_layer1", "case_film.case_layer2"


class CannotGrow(ValueError):
    """The checkpoint cannot take this branch."""


@dataclass(frozen=True, slots=True)
class NewBranch:
    """It begins with the energy bias that `nearest` has."""

    name: str
    nearest: str
    elements: tuple[str, ...]


def add_branches(checkpoint: Checkpoint, new: Iterable[NewBranch], head_room: int = 8) -> None:
    """Add branches in place, after the old ones; what the old ones predict does not change.

    A new one predicts energies that are not its own yet: see `shift_energies`.
    When the case embedding is full it is widened by what is needed and `head_room` more. The optimizer's
    state stays that of the weights before: a restart (`--restart`) would refuse it where they are wider now.
    Raises CannotGrow.
    """
    wanted = list(new)
    for branch in wanted:
        _add(checkpoint, branch, len(wanted) + head_room)
    # `--init-model` asks for the key and uses nothing of it.
    checkpoint.setdefault("optimizer", {"state": {}, "param_groups": []})


def shift_energies(checkpoint: Checkpoint, branch: str, shift_ev: Mapping[str, float]) -> None:
    """Add to the energy bias of the branch, in place: eV per atom of each element symbol."""
    type_map = parameters(checkpoint)["model_dict"][branch]["type_map"]
    bias = checkpoint["model"][f"model.{branch}.atomic_model.out_bias"]
    for symbol, shift in shift_ev.items():
        bias[0, type_map.index(symbol), 0] += shift


def remove_branches(checkpoint: Checkpoint, names: Iterable[str]) -> None:
    """Remove branches in place; what the others predict does not change. Their case vectors are free again.

    What only they had learned goes with them: biases, and the case's rows of the shared net. What the shared
    weights have learned of their data stays. The optimizer's state is dropped. Raises CannotGrow.
    """
    declared = parameters(checkpoint)["model_dict"]
    gone = set(names)
    if unknown := sorted(gone - set(declared)):
        raise CannotGrow(f"the model has no branch {', '.join(unknown)} to remove; it has {', '.join(declared)}")
    if gone == set(declared):
        raise CannotGrow("without these branches nothing of the model would be left: start a new one")
    for name in gone:
        _remove(checkpoint, name)
    if gone:
        checkpoint["optimizer"] = {"state": {}, "param_groups": []}


def case_dimension(checkpoint: Checkpoint) -> int:
    """How many branches its case embedding has room for; 0 without one."""
    state = checkpoint["model"]
    first = next(iter(parameters(checkpoint)["model_dict"]))
    vector = state.get(f"model.{first}.{_FITTING}case_embd")
    return 0 if vector is None else int(vector.numel())


def _remove(checkpoint: Checkpoint, name: str) -> None:
    state = checkpoint["model"]
    declared = parameters(checkpoint)["model_dict"]
    if case_dimension(checkpoint):
        vector = state[_case_key(name)]
        for keys in _case_matrices(state, declared).values():
            _clear(state[keys[0]], vector)
    for prefix in (f"model.{name}.", f"loss.{name}."):
        for key in [key for key in state if key.startswith(prefix)]:
            del state[key]
    del declared[name]


def _add(checkpoint: Checkpoint, new: NewBranch, room: int) -> None:
    state = checkpoint["model"]
    declared = parameters(checkpoint)["model_dict"]
    if new.name in declared:
        raise CannotGrow(f"the model has a branch {new.name!r} already")
    if new.nearest not in declared:
        raise CannotGrow(f"the model has no branch {new.nearest!r} to start {new.name!r} from")
    if case_dimension(checkpoint) == 0:
        raise CannotGrow("the model has no case embedding: its branches could not differ; start a new major version")
    used = {int(state[_case_key(name)].argmax()) for name in declared}
    if len(used) == case_dimension(checkpoint):
        _widen(checkpoint, room)
    _clone(state, declared, new)
    _own_case(state, declared, new, min(set(range(case_dimension(checkpoint))) - used))


def _case_key(branch: str) -> str:
    return f"model.{branch}.{_FITTING}case_embd"


def _clone(state: dict[str, Any], declared: dict[str, Any], new: NewBranch) -> None:
    declared[new.name] = copy.deepcopy(declared[new.nearest])
    declared[new.name]["info"] = {"observed_type": list(new.elements)}
    declared[new.name]["model_branch_alias"] = []
    for prefix in ("model", "loss"):
        old = f"{prefix}.{new.nearest}."
        for key in [key for key in state if key.startswith(old)]:
            tensor = state[key].clone() if key.endswith(_OWN) else state[key]
            state[f"{prefix}.{new.name}.{key.removeprefix(old)}"] = tensor


def _own_case(state: dict[str, Any], declared: dict[str, Any], new: NewBranch, case: int) -> None:
    """What stands in the rows of a case that no branch has used is what deepmd drew at random."""
    vector = torch.zeros_like(state[_case_key(new.nearest)])
    vector[case] = 1
    state[_case_key(new.name)] = vector
    for keys in _case_matrices(state, declared).values():
        _clear(state[keys[0]], vector)


def _clear(matrix: torch.Tensor, vector: torch.Tensor) -> None:
    """The row that a case vector picks. The other branches multiply it by zero."""
    matrix[matrix.shape[0] - vector.numel() + int(vector.argmax())] = 0


def _widen(checkpoint: Checkpoint, extra: int) -> None:
    state = checkpoint["model"]
    declared = parameters(checkpoint)["model_dict"]
    had = case_dimension(checkpoint)
    dimension = had + extra
    for keys in _case_matrices(state, declared).values():
        _replace(state, keys, _with_rows(state[keys[0]], extra))
        if _FILM_IN in keys[0]:
            _widen_film(state, keys, had, dimension)
    for name, declaration in declared.items():
        vector = state[_case_key(name)]
        state[_case_key(name)] = torch.cat([vector, torch.zeros(extra, dtype=vector.dtype)])
        declaration["fitting_net"]["dim_case_embd"] = dimension


def _widen_film(state: dict[str, Any], keys: list[str], had: int, dimension: int) -> None:
    """FiLM's hidden layer is as wide as deepmd derives from the embedding: it gets units.

    Their outgoing weights are zero, so that nothing changes; the incoming ones are not, so that they can learn.
    """
    into, out = state[keys[0]], state[keys[0].replace(_FILM_IN, _FILM_OUT)]
    if into.shape[1] != _film_width(had):
        raise CannotGrow(
            f"the case embedding is full, and its hidden layer has {into.shape[1]} units instead of "
            f"{_film_width(had)}: this version of deepmd-kit derives it in another way"
        )
    more = _film_width(dimension) - into.shape[1]
    if more == 0:
        return
    noise = torch.randn(had, more, generator=torch.Generator().manual_seed(dimension), dtype=into.dtype)
    columns = torch.cat([noise * into[:had].std(), torch.zeros(dimension - had, more, dtype=into.dtype)])
    _replace(state, keys, torch.cat([into, columns], dim=1))
    _replace(state, [key.replace(_FILM_IN, _FILM_OUT) for key in keys], _with_rows(out, more))


def _film_width(dimension: int) -> int:
    """deepmd-kit 3.2.0: `CaseFiLMConditioner`."""
    return 32 * math.ceil(4 * dimension / 32)


def _with_rows(matrix: torch.Tensor, more: int) -> torch.Tensor:
    return torch.cat([matrix, torch.zeros(more, matrix.shape[1], dtype=matrix.dtype)])


def _replace(state: dict[str, Any], keys: list[str], tensor: torch.Tensor) -> None:
    """Aliases stay aliases."""
    for key in keys:
        state[key] = tensor


def _case_matrices(state: dict[str, Any], declared: dict[str, Any]) -> dict[int, list[str]]:
    """Keys of the matrices that the case vector enters, by storage: aliases of one tensor stand together."""
    found: dict[int, list[str]] = {}
    for name in declared:
        keys = [key for end in _CASE_INPUTS if (key := f"model.{name}.{_FITTING}{end}") in state]
        # With FiLM the vector enters its own layer alone.
        for key in [key for key in keys if "case_film" in key] or keys:
            found.setdefault(state[key].data_ptr(), []).append(key)
    return found
