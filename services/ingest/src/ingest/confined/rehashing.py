"""The hash of every frame of a dataset that is stored: for those that were read before hashes were kept."""

from pathlib import Path
from typing import IO, Any

from frames import hashing, store
from frames.frame import Frame

_TOGETHER = 256


def run(arguments: dict[str, Any], _inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; output: 32 bytes a frame of the LMDB in `folder`, in its order.

    A frame at a time is read: memory does not grow with the dataset.
    """
    waiting: list[Frame] = []
    for frame in store.iterate(Path(arguments["folder"])):
        waiting.append(frame)
        if len(waiting) == _TOGETHER:
            _write(outputs[0], waiting)
    _write(outputs[0], waiting)


def _write(output: IO[bytes], waiting: list[Frame]) -> None:
    digests = b"".join(hashing.frame_hashes(waiting))
    waiting.clear()
    # An unbuffered file may take less than it is given.
    while digests:
        digests = digests[output.write(digests) :]
