"""Use cases of contributors: publish an upload as a dataset or as its next version, make it public, withdraw it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from contracts import keys
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.events import DatasetMadePublic, DatasetPublished, DatasetShared, DatasetUploaded, DatasetWithdrawn
from kit.blobs import Blobs
from kit.db import Database
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection, Row
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from gateway.domain import Person, standing
from gateway.entries.datasets import QUEUE_TOPIC
from gateway.entries.telling import tell
from gateway.forms import drafts
from gateway.forms.agreements import Agreement, Agreements
from gateway.forms.drafts import Author, Draft
from gateway.forms.formats import Formats
from gateway.problems import Problem, invalid_field, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.uploads import parts
from gateway.uploads.joining import Joining
from gateway.uploads.regions import Regions
from gateway.uploads.uploads import Upload, Uploads

log = get_logger(__name__)

REASON_LENGTH = 2000
JOIN_SECONDS = 30.0
LATER = {"private", "licence", "authors", "orcids", "description", "withdrawn", "made_public", "download"}


class Publishing:
    """Raises Problem for everything that a person can put right."""

    def __init__(
        self,
        database: Database,
        store: Store,
        blobs: Blobs,
        uploads: Uploads,
        joining: Joining,
        formats: Formats,
        regions: Regions,
        agreements: Agreements,
        settings: GatewaySettings,
    ) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._uploads = uploads
        self._joining = joining
        self._formats = formats
        self._regions = regions
        self._agreements = agreements
        self._settings = settings

    async def publish(
        self, person: Person, payload: Mapping[str, Any], key: str | None = None, language: str = "en"
    ) -> DatasetRef:
        """Turn a complete upload into an entry, or into the next version of one, and set it on its way.

        `payload`: the fields of POST /api/v1/datasets. Repeated with the same `key` it answers with what the first
        one made. `language`: in which the agreement was read. 422 names every wrong field.
        """
        key = drafts.read_key(key)
        request_sha256 = drafts.fingerprint(payload)
        if key is not None and (earlier := await self._published_before(person, key, request_sha256)):
            return earlier
        try:
            return await self._published_now(person, payload, key, request_sha256, language)
        except (Problem, UniqueViolation) as error:
            # The same request, sent twice at once: the other one may have committed meanwhile, and taken the upload.
            if key is not None and (earlier := await self._published_before(person, key, request_sha256)):
                return earlier
            if isinstance(error, UniqueViolation):
                raise published_already() from None
            raise

    async def _published_now(
        self, person: Person, payload: Mapping[str, Any], key: str | None, request_sha256: str, language: str
    ) -> DatasetRef:
        """Raises Problem, and UniqueViolation when it is there."""
        rules = drafts.Rules(self._settings.licences, self._agreements.version, await self._formats.by_name())
        draft = drafts.read_draft(payload, rules)
        upload = await self._own_upload(person, draft.upload_id)
        sha256 = await self._uploads.finished(upload)
        if draft.sha256 is not None and draft.sha256 != sha256:
            raise invalid_field(
                "sha256",
                f"The archive that arrived has SHA-256 {sha256}.",
                "It is not the file that you meant: upload it again.",
            )
        # The bytes move before the entry exists: a crash in between leaves an upload that can still be published.
        archive = await self._adopted(upload, sha256)
        text = self._agreements.in_force(language)
        return await self._commit(person, draft, upload, archive, key, request_sha256, text)

    async def published_with(self, person: Person, key: str) -> UUID | None:
        """The dataset that this person published with that key; for forms that a browser sends twice."""
        async with self._database.transaction() as connection:
            row = await self._store.entries.by_key(connection, person.id, key)
        return row["dataset_id"] if row else None

    async def make_public(
        self, person: Person, dataset_id: UUID, payload: Mapping[str, Any], language: str = "en"
    ) -> None:
        """The latest version becomes public, with licence, authors and description as told now; once it is, it stays.

        Earlier private versions stay private. 409 for one that was withdrawn.
        """
        rules = drafts.Rules(self._settings.licences, self._agreements.version)
        said = drafts.read_publication(payload, rules)
        text = self._agreements.in_force(language)
        async with self._database.transaction() as connection:
            row = await self._own(connection, person, dataset_id)
            if row["withdrawn"]:
                raise _withdrawn_already()
            if not row["private"]:
                return
            ref = DatasetRef(dataset_id=dataset_id, version=row["version"])
            authors = said.authors or tuple(Author(name, row["orcids"].get(name)) for name in row["authors"])
            description = row["description"] if said.description is None else said.description
            licence = said.licence or row["licence"]
            credit = Credit(
                title=row["name"], authors=tuple(one.name for one in authors), licence=licence, private=False
            )
            await self._store.entries.make_public(connection, ref, authors, licence, description)
            await self._store.entries.add_consent(connection, ref, "make-public", person.id, text)
            await self._told(connection, ref)
            if row["dpa"]:
                await emit(connection, DatasetMadePublic(dataset=ref, credit=credit))
            await emit(connection, _made_public(ref, credit, for_training=row["dpa"]))
        log.info("dataset-made-public", dataset=str(ref))

    async def withdraw(self, person: Person, dataset_id: UUID, reason: object = "") -> None:
        """Every version is taken back: no downloads, no training to come. Repeating it changes nothing."""
        if not isinstance(reason, str) or len(reason) > REASON_LENGTH or "\x00" in reason:
            raise invalid_field(
                "reason", f"A reason is text of at most {REASON_LENGTH} characters.", "Shorten it, or leave it out."
            )
        async with self._database.transaction() as connection:
            await self._own(connection, person, dataset_id)
            await self.take_back(connection, dataset_id, reason.strip())

    async def take_back(self, connection: Connection, dataset_id: UUID, reason: str) -> int:
        """Whoever asks: how many versions were withdrawn, those that were not yet."""
        await self._store.entries.lock_dataset(connection, dataset_id)
        versions = await self._store.entries.withdraw(connection, dataset_id, reason)
        for row in versions:
            ref = DatasetRef(dataset_id=dataset_id, version=row["version"])
            await self._told(connection, ref)
            if row["dpa"]:
                await emit(connection, DatasetWithdrawn(dataset=ref, reason=reason))
        log.info("dataset-withdrawn", dataset=str(dataset_id), versions=len(versions))
        return len(versions)

    async def _told(self, connection: Connection, ref: DatasetRef) -> None:
        """Where it stands now, for those who watch it and for the lines."""
        await self._store.projections.lock(connection, ref)
        now = standing(await self._store.projections.facts(connection, ref))
        await self._store.projections.set_standing(connection, ref, now, None)
        await tell(self._store, connection, ref, LATER)
        await self._store.projections.notify(connection, QUEUE_TOPIC)

    async def _own(self, connection: Connection, person: Person, dataset_id: UUID) -> Row:
        """The latest version, of which nobody writes another one until the transaction ends. 404 for a stranger."""
        await self._store.entries.lock_dataset(connection, dataset_id)
        row = await self._store.entries.own_latest(connection, dataset_id, person.id)
        if row is None:
            raise not_found("dataset of yours")
        return row

    async def _own_upload(self, person: Person, upload_id: UUID) -> Upload:
        try:
            upload = await self._uploads.find(person, upload_id)
        except Problem:
            raise invalid_field(
                "upload_id", "There is no such upload of yours.", "It may have expired: upload the archive again."
            ) from None
        if upload.dataset_id is not None:
            raise published_already()
        if upload.partial:
            raise parts.only_a_part()
        if not await self._joining.joined(upload, JOIN_SECONDS):
            raise parts.still_joining()
        return upload

    async def _adopted(self, upload: Upload, sha256: str) -> BlobRef:
        """Into the storage that all services share; of an upload of a region with a store of its own, a copy."""
        key, path = keys.upload_archive(upload.id), self._uploads.spool.path(upload.id)
        region = self._regions.of(upload.region)
        if region.apart:
            ref = BlobRef(key=key, sha256=sha256, size=upload.size)
            if not await self._blobs.exists(key):
                copy = self._uploads.spool.new_copy(upload.id)
                try:
                    await region.store.get_file(ref, copy)
                    await self._blobs.adopt_file(key, copy, sha256)
                finally:
                    copy.unlink(missing_ok=True)
            return ref
        for _ in range(2):
            with suppress(FileNotFoundError):
                return await self._blobs.adopt_file(key, path, sha256)
            # The same request, sent twice at once: the other one has just moved the file. Now it is found there.
        raise Problem(
            410,
            "upload-gone",
            "The upload is gone",
            f"The bytes of {upload.filename} are not here any more.",
            field="upload_id",
            remedy="Upload the archive again.",
        )

    async def _published_before(self, person: Person, key: str, request_sha256: str) -> DatasetRef | None:
        async with self._database.transaction() as connection:
            row = await self._store.entries.by_key(connection, person.id, key)
        if row is None:
            return None
        if row["request_sha256"] != request_sha256:
            raise invalid_field(
                "Idempotency-Key",
                "This key came with another request before.",
                "Use a new key for a new dataset, and the same key only to repeat a request.",
            )
        return DatasetRef(dataset_id=row["dataset_id"], version=row["version"])

    async def _commit(
        self,
        person: Person,
        draft: Draft,
        upload: Upload,
        archive: BlobRef,
        key: str | None,
        request_sha256: str,
        text: Agreement,
    ) -> DatasetRef:
        """Entry, consent, read table and event in one transaction. Raises UniqueViolation when it is there.

        Of what is shared only ingest looks into the archive, and no service does anything else.
        """
        async with self._database.transaction() as connection:
            if not await self._store.uploads.lock(connection, upload.id):
                raise not_found("upload", "It expired a moment ago: upload the archive again.")
            ref = await self._next_version(connection, person, draft.dataset_id)
            await self._store.entries.add(
                connection, **_columns(ref, person, draft, upload, archive), idempotency_key=key,
                request_sha256=request_sha256,
            )  # fmt: skip
            await self._store.entries.add_consent(connection, ref, "publish", person.id, text)
            now = standing(await self._store.projections.facts(connection, ref))
            await self._store.projections.set_standing(connection, ref, now, None)
            await self._store.projections.notify(connection, QUEUE_TOPIC)
            if draft.dpa:
                await emit(connection, _uploaded(ref, person, draft, upload, archive))
            else:
                await emit(connection, DatasetShared(dataset=ref, archive=archive, filename=upload.filename))
            if not draft.private:
                await emit(connection, _published(ref, draft))
        log.info("dataset-published", dataset=str(ref), upload=str(upload.id), private=draft.private, dpa=draft.dpa)
        return ref

    async def _next_version(self, connection: Connection, person: Person, dataset_id: UUID | None) -> DatasetRef:
        if dataset_id is None:
            return DatasetRef(dataset_id=uuid4(), version=1)
        try:
            latest = await self._own(connection, person, dataset_id)
        except Problem:
            raise invalid_field(
                "dataset_id", "There is no such dataset of yours.", "Choose one of My Uploads, or publish a new one."
            ) from None
        if latest["withdrawn"]:
            raise invalid_field(
                "dataset_id",
                "This dataset was withdrawn: it gets no new version.",
                "Publish the data as a new dataset.",
            )
        return DatasetRef(dataset_id=dataset_id, version=latest["version"] + 1)


def orcids(authors: Sequence[Author]) -> dict[str, str]:
    return {one.name: one.orcid for one in authors if one.orcid}


def _columns(ref: DatasetRef, person: Person, draft: Draft, upload: Upload, archive: BlobRef) -> dict[str, Any]:
    declared = draft.level_of_theory
    return {
        "dataset_id": ref.dataset_id,
        "version": ref.version,
        "owner_id": person.id,
        "upload_id": upload.id,
        "title": draft.name,
        "authors": [one.name for one in draft.authors],
        "orcids": Jsonb(orcids(draft.authors)),
        "dpa": draft.dpa,
        "format": draft.format,
        "licence": draft.licence,
        "private": draft.private,
        "description": draft.description,
        "declared": Jsonb(declared.model_dump(mode="json")) if declared else None,
        "agreement": draft.agreement,
        "region": upload.region,
        "filename": upload.filename,
        "archive_key": archive.key,
        "archive_sha256": archive.sha256,
        "archive_size": archive.size,
    }


def _uploaded(ref: DatasetRef, person: Person, draft: Draft, upload: Upload, archive: BlobRef) -> DatasetUploaded:
    names = tuple(one.name for one in draft.authors)
    return DatasetUploaded(
        dataset=ref,
        owner_id=person.id,
        credit=Credit(title=draft.name, authors=names, licence=draft.licence, private=draft.private),
        archive=archive,
        filename=upload.filename,
        format=draft.format,
        declared=draft.level_of_theory,
    )


def _published(ref: DatasetRef, draft: Draft) -> DatasetPublished:
    return DatasetPublished(
        dataset=ref,
        title=draft.name,
        authors=tuple(one.name for one in draft.authors),
        licence=draft.licence,
        for_training=draft.dpa,
    )


def _made_public(ref: DatasetRef, credit: Credit, *, for_training: bool) -> DatasetPublished:
    return DatasetPublished(
        dataset=ref,
        title=credit.title,
        authors=credit.authors,
        licence=credit.licence,
        for_training=for_training,
        was_private=True,
    )


def published_already() -> Problem:
    return Problem(
        409,
        "upload-published",
        "Already published",
        "A dataset has been published from this upload.",
        field="upload_id",
        remedy="Look at My Uploads; for another dataset, upload another archive.",
    )


def _withdrawn_already() -> Problem:
    return Problem(
        409,
        "dataset-withdrawn",
        "Withdrawn",
        "This dataset was withdrawn.",
        remedy="Upload the archive again as a new dataset.",
    )
