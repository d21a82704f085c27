"""Fetching a file: continues a part that is here already, and trusts nothing but its SHA-256."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx

from potluck.errors import Corrupt, LocalFileError, UnexpectedAnswer
from potluck.resources import ModelFile
from potluck.retry import RETRIED_STATUS, Patience, retry_after
from potluck.transport import Transport, problem

# The bytes themselves: their hash is not that of a compressed answer.
RAW = {"Accept": "*/*", "Accept-Encoding": "identity"}

Report = Callable[[int, int], None]


def fetch(transport: Transport, file: ModelFile, folder: Path, report: Report) -> Path:
    """Puts `file` into `folder` and returns its path. `report(received, total)` in bytes.

    What arrives is kept as `NAME.part` until its SHA-256 is right, so a rerun continues there.
    Raises Problem, Unreachable, Corrupt, LocalFileError.
    """
    target = _target(file, folder)
    if target.exists() and _sha256(target) == file.sha256:
        report(file.size, file.size)
        return target
    part = target.with_name(target.name + ".part")
    patience = transport.new_patience()
    while (have := part.stat().st_size if part.exists() else 0) < file.size or not part.exists():
        try:
            again = _receive(transport, file, part, have, patience, report)
        except httpx.TransportError as error:
            if part.exists() and part.stat().st_size > have:
                patience.progressed()
            if not patience.wait():
                raise transport.unreachable(error) from error
            continue
        if not again:
            break
    if _sha256(part) != file.sha256:
        part.unlink()
        raise Corrupt(
            "what arrived is not the file that was published: its SHA-256 differs",
            where=file.name,
            remedy="Run the same command again; if it happens twice, tell the people who run the server.",
        )
    part.replace(target)
    return target


def _receive(transport: Transport, file: ModelFile, part: Path, have: int, patience: Patience, report: Report) -> bool:
    """Appends to `part` until the answer ends; True: the server was busy, ask again."""
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{file.sha256}"'} if have else {}
    with transport.stream(file.url, headers=headers | RAW) as response:
        if response.status_code in RETRIED_STATUS and patience.wait(retry_after(response)):
            return True
        if response.status_code not in (200, 206):
            raise problem(response)
        # 200 to a Range request: the server sends all of it, so what is here counts for nothing.
        have = have if response.status_code == 206 else 0
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            for piece in response.iter_raw():
                out.write(piece)
                have += len(piece)
                if have > file.size:
                    raise UnexpectedAnswer(f"the server sends more than the {file.size} bytes it told", where=file.name)
                report(have, file.size)
    return have < file.size


def _target(file: ModelFile, folder: Path) -> Path:
    """A name that came over the network must not lead out of the folder."""
    if Path(file.name).name != file.name or file.name in ("", ".", ".."):
        raise UnexpectedAnswer(f"the server offers a file named {file.name!r}, which is not a plain name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalFileError(
            f"cannot write there: {error.strerror}", where=str(folder), remedy="Choose another folder with -o."
        ) from error
    return folder / file.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
