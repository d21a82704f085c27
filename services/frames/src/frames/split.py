"""Which frames are held out of training: decided by the frames' hashes alone."""

from collections.abc import Sequence

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


def split(hashes: Sequence[bytes]) -> tuple[list[int], list[int]]:
    """(train indices, held-out indices), each ascending.

    The frames with the smallest hashes are held out: the same frames in another order give the same split.
    """
    by_hash = sorted(range(len(hashes)), key=lambda index: (hashes[index], index))
    count = held_out_count(len(hashes))
    return sorted(by_hash[count:]), sorted(by_hash[:count])
