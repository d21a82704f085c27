"""Which frames are held out of training: decided by the frames' hashes alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from frames.hashing import HashArray, ascending, hash_array

HELD_OUT_PERCENT = 10
HELD_OUT_AT_LEAST = 20


def held_out_count(frames: int) -> int:
    """10 % (rounded up), but at least 20 where that is not more than a quarter; one at the least.

    A dataset of one to three frames cannot keep both promises: it holds one out all the same, since a
    dataset that nobody can test is worth nothing. Of a single frame nothing is left to train on.
    """
    if frames == 0:
        return 0
    tenth = -(-frames * HELD_OUT_PERCENT // 100)
    return max(1, min(max(tenth, HELD_OUT_AT_LEAST), frames // 4))


def held_out_mask(
    hashes: HashArray, forced: NDArray[np.bool_] | None = None, trained: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """True for held-out frames, [n]; rows of `hashes` are different from each other.

    forced   held out whatever their number (another dataset holds them out)
    trained  another dataset trains on them: held out last, since a model that saw them proves nothing by them
    Of the rest the frames with the smallest hashes are held out, until `held_out_count` frames are.
    """
    mask = np.zeros(len(hashes), dtype=np.bool_) if forced is None else forced.copy()
    missing = held_out_count(len(hashes)) - int(mask.sum())
    if missing > 0:
        order = ascending(hashes)
        if trained is not None:
            order = order[np.argsort(trained[order], kind="stable")]
        mask[order[~mask[order]][:missing]] = True
    return mask


def split(hashes: Sequence[bytes]) -> tuple[list[int], list[int]]:
    """(train indices, held-out indices), each ascending: the same frames in another order give the same split."""
    mask = held_out_mask(hash_array(hashes))
    return np.flatnonzero(~mask).tolist(), np.flatnonzero(mask).tolist()
