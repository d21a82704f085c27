"""The only wiring: settings in, a running ingest out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.artifacts import FormatCatalog
from contracts.keys import FORMAT_CATALOG
from kit.logs import get_logger
from kit.service import Foundation

from ingest.confinement.children import Children
from ingest.engine import LIGHT_IMPORTS, PARSER_IMPORTS, Engine, read_catalogue
from ingest.handlers import Handlers, KnownFramesHandlers, SharedHandlers, StandardHandlers, StructureHandlers
from ingest.looking import Looking
from ingest.remembering import Remembering
from ingest.service import Reading
from ingest.settings import IngestSettings
from ingest.store import Store
from ingest.structures import IMPORTS as STRUCTURE_IMPORTS
from ingest.structures import Structures
from ingest.work import WorkFolder

log = get_logger(__name__)


@asynccontextmanager
async def build(settings: IngestSettings, base: Foundation[IngestSettings]) -> AsyncIterator[None]:
    """Ask dpdata for its formats, publish them, and read uploads until the block is left."""
    with WorkFolder.opened(settings.work_folder) as folder:
        wanted = {PARSER_IMPORTS: settings.parallel_parsers, LIGHT_IMPORTS: 2, STRUCTURE_IMPORTS: 1}
        spares = wanted if settings.keep_spare_children else {}
        children = Children(folder.caches, spares)
        try:
            catalogue = await read_catalogue(children, settings, folder.path)
            await children.prepare()
            formats = FormatCatalog(dpdata_version=catalogue.versions["dpdata"], formats=catalogue.infos())
            await base.blobs.put_model(FORMAT_CATALOG, formats)
            log.info("formats-published", formats=len(formats.formats), dpdata=formats.dpdata_version)
            reading = Reading(
                Engine(settings, children, catalogue),
                base.blobs,
                folder.job,
                settings.max_archive_bytes,
                settings.set_aside_kept,
                children.prepare,
            )
            store = Store()
            handlers = Handlers(base.database, store, reading)
            known = KnownFramesHandlers(base.database, store, Remembering(settings, children, base.blobs, folder.job))
            standard = StandardHandlers(base.database, store, base.blobs)
            sent = StructureHandlers(base.database, Structures(settings, children, base.blobs, folder.job))
            shared = SharedHandlers(base.database, Looking(settings, children, base.blobs, folder.job))
            base.bus.consume("ingest-dataset-shared", shared.on_dataset_shared)
            base.bus.consume("ingest-prediction-requested", sent.on_prediction_requested)
            base.bus.consume("ingest-dataset-uploaded", handlers.on_dataset_uploaded, lanes=settings.datasets_at_a_time)
            base.bus.consume("ingest-known-frames", known.on_uploaded_before)
            base.bus.consume("ingest-metric-passed", known.on_verdict)
            base.bus.consume("ingest-metric-not-passed", known.on_verdict)
            base.bus.consume("ingest-standard-released", standard.on_standard_released)
            base.bus.consume("ingest-dataset-made-public", handlers.on_dataset_made_public)
            base.bus.consume("ingest-dataset-withdrawn", handlers.on_dataset_withdrawn)
            yield
        finally:
            await children.close()
