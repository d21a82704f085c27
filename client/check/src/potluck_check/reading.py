"""The ingest part of a dry run: the service's own use case, with its confined children and a storage of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from contracts import keys
from contracts.base import Credit, DatasetRef, LevelOfTheory
from contracts.events import DatasetRejected, DatasetUploaded, DatasetValidated
from ingest.confinement.children import Children
from ingest.domain import Tell
from ingest.engine import LIGHT_IMPORTS, PARSER_IMPORTS, Engine, read_catalogue
from ingest.selecting import nothing_known
from ingest.service import Reading
from ingest.settings import IngestSettings
from ingest.work import WorkFolder
from kit.blobs import Blobs

# Whoever runs the check is not known here, and nothing depends on it.
_NOBODY = UUID(int=0)


@asynccontextmanager
async def reading(blobs: Blobs, folder: Path) -> AsyncIterator[Reading]:
    """Ingest's use case below `folder`. Raises IngestBroken, e.g. where children cannot be confined."""
    settings = IngestSettings(blobs_url=folder.as_uri())
    with WorkFolder.opened(folder / "ingest") as work:
        children = Children(work.caches, {PARSER_IMPORTS: settings.parallel_parsers, LIGHT_IMPORTS: 2})
        try:
            catalogue = await read_catalogue(children, settings, work.path)
            yield Reading(
                Engine(settings, children, catalogue),
                blobs,
                work.job,
                settings.max_archive_bytes,
                settings.set_aside_kept,
                _nothing,
            )
        finally:
            await children.close()


async def read(
    archive: Path, format_name: str, declared: LevelOfTheory | None, blobs: Blobs, folder: Path, tell: Tell
) -> DatasetValidated | DatasetRejected:
    """What ingest would tell of the archive; the dataset is in `blobs` afterwards. Raises IngestBroken.

    What other datasets hold is known to the platform alone: overlaps are not looked for.
    """
    upload = uuid4()
    event = DatasetUploaded(
        dataset=DatasetRef(dataset_id=upload, version=1),
        owner_id=_NOBODY,
        credit=Credit(title=archive.name, authors=(), licence="CC-BY-4.0", private=True),
        archive=await blobs.put_file(keys.upload_archive(upload), archive),
        filename=archive.name,
        format=format_name,
        declared=declared,
    )
    async with reading(blobs, folder) as use_case:
        return (await use_case.read(event, tell, nothing_known)).event


async def _nothing() -> None:
    """No children are kept ready: there is one dataset to read."""
    await asyncio.sleep(0)
