"""Which frames the model predicts when a dataset has more than it is asked to."""

from collections.abc import Sequence

import numpy as np


def sample_by_group(groups: Sequence[str], most: int, seed: int) -> list[int]:
    """Positions of at most `most` members, rising. Every group (composition) gets an equal share as far as it
    has members; what small groups leave goes to the large ones. The same arguments give the same sample.
    """
    if len(groups) <= most:
        return list(range(len(groups)))
    members: dict[str, list[int]] = {}
    for position, group in enumerate(groups):
        members.setdefault(group, []).append(position)
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    # Smallest first: what a group cannot use is known before the larger ones take their share.
    ordered = sorted(members.items(), key=lambda item: (len(item[1]), item[0]))
    for rank, (_, positions) in enumerate(ordered):
        share = min(len(positions), (most - len(chosen)) // (len(ordered) - rank))
        chosen.extend(int(one) for one in rng.choice(positions, size=share, replace=False))
    return sorted(chosen)


def growing_parts(count: int, parts: Sequence[float], seed: int) -> list[list[int]]:
    """Rows of `count` frames in parts (0..1 each), smallest first; each holds those before it, none is empty."""
    order = np.random.default_rng(seed).permutation(count)
    sizes = sorted({min(count, max(1, round(part * count))) for part in parts})
    return [sorted(int(row) for row in order[:size]) for size in sizes]
