"""What a contributor has, folder or file, as the archive that the platform would get."""

import tarfile
from pathlib import Path

from potluck.errors import LocalFileError


def packed(source: Path, folder: Path) -> Path:
    """`source` itself when it is a file, else a tar of the folder below `folder`.

    Links stay links, so that one which leads out of the folder is told here and not after the upload.
    Raises LocalFileError.
    """
    if source.is_file():
        return source
    if not source.is_dir():
        raise LocalFileError("there is no such file or folder", where=str(source), remedy="Check the path.")
    archive = folder / f"{source.resolve().name or 'data'}.tar"
    try:
        with tarfile.open(archive, "w") as tar:
            for path in sorted(source.rglob("*")):
                tar.add(path, arcname=str(path.relative_to(source)), recursive=False)
    except OSError as error:
        raise LocalFileError(
            f"the folder cannot be packed: {error.strerror or error}",
            where=str(error.filename or source),
            remedy="Make every file readable, and leave room for a copy in the temporary folder (TMPDIR).",
        ) from error
    return archive
