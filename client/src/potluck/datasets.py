"""Contribute datasets, follow them, read what the platform found, publish and withdraw them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from potluck.base import Base, listed, no_report
from potluck.decode import decode
from potluck.errors import PotluckError, Problem
from potluck.resources import (
    Agreement,
    Catalogue,
    Dataset,
    DatasetPage,
    Format,
    Licence,
    ModelFile,
    Region,
    Rerun,
)

if TYPE_CHECKING:
    from potluck.signing import SigningKey
    from potluck.sse import ServerEvent
    from potluck.tus import Report

SILENCE_SECONDS = 60.0
RERUN_PAUSE_SECONDS = 2.0
OWN_NAMED = 5


class Datasets(Base):
    """Entries, from their upload to their withdrawal."""

    def upload(
        self,
        path: Path | str,
        *,
        name: str,
        authors: Sequence[str | Mapping[str, str]],
        format: str = "detect",  # noqa: A002 (the API's word)
        licence: str = "CC-BY-4.0",
        private: bool = False,
        shared_only: bool = False,
        version_of: str | None = None,
        region: str | None = None,
        description: str = "",
        level_of_theory: Mapping[str, object] | None = None,
        agreement: bool = True,
        parallel: int | None = None,
        report: "Report" = no_report,
    ) -> Dataset:
        """Sends an archive and publishes it as a dataset entry.

        An upload that broke off, here or in another process, goes on at the byte that the server reached; publishing
        the same archive with the same entry twice makes one dataset.

        Args:
            authors: names in the order of credit, or {"name": …, "orcid": …}.
            shared_only: an entry to download, and no training on it.
            version_of: id of a dataset of yours; this becomes its next version.
            region: id of the storage region (`regions`); default: the platform's first.
            agreement: the contributor has read and accepted the contribution agreement (`agreement`).
            parallel: connections that a large archive (64 MiB and more) is sent by; default: the setting, else 4, or 1
                to a server on this machine. What was begun with another number goes on as it was begun.
            report: called with (bytes sent, bytes in all), of several connections by one at a time.
        """
        from potluck.pending import Archive
        from potluck.sending import Sender

        self._require_token()
        archive = Archive.at(Path(path))
        connections = self._parallel if parallel is None else parallel
        sent = Sender(self._transport, self._pending, archive, report, region, connections).send()
        entry: dict[str, object] = {
            "upload_id": sent.upload_id,
            "name": name,
            "authors": [one if isinstance(one, str) else dict(one) for one in authors],
            "format": format,
            "licence": licence,
            "private": private,
            "description": description,
            "level_of_theory": dict(level_of_theory) if level_of_theory else None,
            "agreement": agreement,
            "sha256": sent.sha256,
        }
        entry |= {"dpa": False} if shared_only else {}
        entry |= {"dataset_id": version_of} if version_of else {}
        key = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
        dataset = decode(Dataset, self._transport.json("POST", "datasets", body=entry, idempotency_key=key))
        self._pending.forget(self.server, archive)
        return dataset

    def make_public(
        self,
        dataset_id: str,
        *,
        licence: str | None = None,
        authors: Sequence[str | Mapping[str, str]] | None = None,
        description: str | None = None,
        agreement: bool = True,
    ) -> Dataset:
        """The latest version of a private dataset becomes public, for good. What is not named stays as it is."""
        self._require_token()
        said = {"licence": licence, "authors": authors, "description": description}
        body = {name: value for name, value in said.items() if value is not None} | {"agreement": agreement}
        # Once it is public it stays so: asking again changes nothing.
        key = uuid4().hex
        with self._naming_own(dataset_id):
            answer = self._transport.json("POST", f"datasets/{dataset_id}/public", body=body, idempotency_key=key)
        return decode(Dataset, answer)

    def withdraw(self, dataset_id: str, reason: str = "") -> Dataset:
        """Takes back every version: no downloads, no training to come. `reason`: for the operators alone."""
        self._require_token()
        address, body = f"datasets/{dataset_id}/withdrawal", {"reason": reason}
        with self._naming_own(dataset_id):
            return decode(Dataset, self._transport.json("POST", address, body=body, idempotency_key=uuid4().hex))

    def datasets(self, *, mine: bool = False, most: int | None = None) -> tuple[Dataset, ...]:
        """Entries that this account may see, newest first; `mine`: only its own. `most`: no more than so many."""
        if mine:
            self._require_token()
        found: dict[str, Dataset] = {}
        page, pages = 1, 1
        # The server tells them in pages. What is published meanwhile moves the others on: the same may come twice.
        while page <= pages and (most is None or len(found) < most):
            params: dict[str, str | int] = {"page": page} | ({"mine": "1"} if mine else {})
            told = decode(DatasetPage, self._transport.json("GET", "datasets", params=params))
            found |= {one.id: one for one in told.datasets}
            pages, page = told.pages, page + 1
        return tuple(found.values())[:most]

    def search(
        self, words: str = "", *, elements: Sequence[str] = (), sort: str = "", start: str | None = None
    ) -> Catalogue:
        """Public datasets by words, formulas and elements (all of them occur). `start`: `later` of the page before.

        `sort`: relevance, newest, oldest, name, frames or size; the site's usual order without one.
        """
        params: list[tuple[str, str]] = [("element", one) for one in elements]
        params += [("sort", sort)] if sort else []
        params += [("q", words)] if words else []
        params += [("from", start)] if start else []
        return decode(Catalogue, self._transport.json("GET", "search", params=params))

    def dataset(self, dataset_id: str) -> Dataset:
        return decode(Dataset, self._known(dataset_id))

    def follow(self, dataset_id: str) -> Iterator[Dataset]:
        """The dataset now, and again whenever something about it changed, until nothing more will happen.

        A lost connection is made again and asks for what came after the last event seen.
        """
        from potluck.live import LiveDataset

        live = LiveDataset(self._known(dataset_id))
        seen = live.now
        yield seen
        last_id, patience = "", self._transport.new_patience()
        while not seen.finished:
            try:
                for event in self._events(dataset_id, last_id):
                    last_id = event.id
                    patience.progressed()
                    live.take(event)
                    now = live.now
                    if now != seen:
                        seen = now
                        yield seen
                    if seen.finished:
                        return
                error: Exception = self._transport.broken("the server ended the stream")
            except self._transport.lost as lost:
                error = lost
            if not patience.wait():
                raise self._transport.unreachable(error) from error

    def picture(self, dataset: Dataset, name: str) -> bytes:
        """The bytes (SVG or PNG) of one of the pictures of a dataset's verdict."""
        pictures = dataset.metric.pictures if dataset.metric else {}
        if name not in pictures:
            raise PotluckError(
                f"the dataset has no picture {name!r}",
                where=dataset.id,
                remedy=f"It has: {', '.join(pictures) or 'none'}",
            )
        return self._transport.request("GET", pictures[name], headers={"Accept": "*/*"}).content

    def archive_files(self, dataset: Dataset, *, frames: bool = False) -> tuple[ModelFile, ...]:
        """What `download` may fetch of a dataset: its archive; with `frames` the canonical frames (LMDB) instead."""
        found = dataset.frame_files if frames else ((dataset.download,) if dataset.download else ())
        if not found:
            raise PotluckError(
                "there is nothing to download yet",
                where=dataset.id,
                remedy="The archive is offered once it has been read; one that was withdrawn is not offered any more.",
            )
        return tuple(
            ModelFile(name=one.filename, size=one.size, sha256=one.sha256, url=one.url, kind="dataset") for one in found
        )

    def citation(self, dataset_id: str, form: str = "bibtex") -> str:
        """How to cite a dataset: 'bibtex', 'cff' for CITATION.cff, or 'datacite' for DataCite's JSON."""
        address = f"datasets/{dataset_id}/citation"
        with self._naming_own(dataset_id):
            return self._transport.request("GET", address, params={"format": form}, headers={"Accept": "*/*"}).text

    def metric_report(self, dataset_id: str) -> dict[str, Any]:
        """Everything that the dataset's metric run found, as the platform stores it."""
        with self._naming_own(dataset_id):
            answer = self._transport.json("GET", f"datasets/{dataset_id}/metric")
        return dict(decode(dict[str, Any], answer))

    def report_files(self, report: Mapping[str, Any]) -> tuple[ModelFile, ...]:
        """Pictures and tables of a metric report; `download` fetches each."""
        return tuple(
            decode(ModelFile, {"name": name, "kind": kind, **told}, f"report.{kind}.{name}")
            for kind in ("pictures", "tables")
            for name, told in sorted(report.get(kind, {}).items())
        )

    def rerun(self, dataset_id: str) -> Rerun:
        """Have the dataset's metric run repeated; one that is under way is joined."""
        self._require_token()
        address = f"datasets/{dataset_id}/metric/reruns"
        try:
            with self._naming_own(dataset_id):
                return decode(Rerun, self._transport.json("POST", address, idempotency_key=uuid4().hex))
        except Problem as problem:
            if not problem.kind.endswith(":rerun-running"):
                raise
        return next(one for one in self.reruns(dataset_id) if one.state == "running")

    def reruns(self, dataset_id: str) -> tuple[Rerun, ...]:
        """Repetitions of the dataset's metric run, newest first."""
        answer = self._transport.json("GET", f"datasets/{dataset_id}/metric/reruns")
        return decode(tuple[Rerun, ...], listed(answer, "reruns"))

    def wait_for_rerun(self, dataset_id: str, rerun: Rerun, seconds: float) -> Rerun:
        """The repetition when it has ended. Raises PotluckError when it has not within so many seconds."""
        until = self._clock() + seconds
        while rerun.state == "running":
            if self._clock() >= until:
                raise PotluckError(
                    f"the run was not repeated within {seconds:.0f} s",
                    where=dataset_id,
                    remedy="It goes on: run the same command again to wait for it, or look at the dataset's page.",
                )
            self._sleep(RERUN_PAUSE_SECONDS)
            rerun = next((one for one in self.reruns(dataset_id) if one.id == rerun.id), rerun)
        return rerun

    def receipts(self, dataset_id: str) -> list[dict[str, Any]]:
        """Signed receipts of the dataset, newest first, as they were signed; `signing.verify_receipt` verifies one."""
        with self._naming_own(dataset_id):
            answer = self._transport.json("GET", f"datasets/{dataset_id}/receipts")
        return [dict(one) for one in decode(tuple[dict[str, Any], ...], listed(answer, "receipts"))]

    def signing_keys(self) -> "tuple[SigningKey, ...]":
        """Every public key that the platform ever signed with."""
        from potluck.signing import SigningKey

        answer = self._transport.json("GET", "/.well-known/potluck-keys.json")
        return decode(tuple[SigningKey, ...], listed(answer, "keys"))

    def policy(self) -> object:
        """What datasets are judged by: {"settings": {name with unit: value}}."""
        return self._transport.json("GET", "policy")

    def formats(self) -> tuple[Format, ...]:
        """Formats that an archive may be in, besides 'detect'."""
        return decode(tuple[Format, ...], listed(self._transport.json("GET", "formats"), "formats"))

    def licences(self) -> tuple[Licence, ...]:
        """Licences that an entry may have; the first is the default."""
        return decode(tuple[Licence, ...], listed(self._transport.json("GET", "licences"), "licences"))

    def agreement(self, language: str = "en") -> Agreement:
        """The contribution agreement in force: what publishing agrees to. `language`: 'en' or 'zh'."""
        return decode(Agreement, self._transport.json("GET", "agreement", headers={"Accept-Language": language}))

    def regions(self) -> tuple[Region, ...]:
        """Where archives may lie; the first is the default."""
        return decode(tuple[Region, ...], listed(self._transport.json("GET", "regions"), "regions"))

    def seconds_to(self, region: Region) -> float | None:
        """How long a region takes to answer; None when it does not."""
        return self._transport.seconds_to(region.probe_url)

    def nearest_region(self) -> Region | None:
        """The region that answers soonest; None when there is no choice or none answers."""
        found = self.regions()
        if len(found) < 2:
            return None
        told = {one: self.seconds_to(one) for one in found}
        reached = {one: seconds for one, seconds in told.items() if seconds is not None}
        return min(reached, key=lambda one: reached[one], default=None)

    def _known(self, dataset_id: str) -> dict[str, Any]:
        """The dataset's JSON."""
        with self._naming_own(dataset_id):
            return dict(decode(dict[str, Any], self._transport.json("GET", f"datasets/{dataset_id}")))

    @contextmanager
    def _naming_own(self, dataset_id: str) -> Iterator[None]:
        """Where the server knows no such dataset the error says which the account has."""
        try:
            yield
        except Problem as problem:
            if problem.status == 404 and problem.kind.endswith(":http"):
                problem.what = f"there is no such dataset: {dataset_id!r} is no id"
                problem.remedy = "Give its id, or the address of its page."
            # What is not there may also be a report of a dataset that is.
            if (
                "no such dataset" in problem.what
                and self._token
                and (own := self.datasets(mine=True, most=OWN_NAMED + 1))
            ):
                named = ", ".join(f"{one.id} ({one.name})" for one in own[:OWN_NAMED])
                more = ", …" if len(own) > OWN_NAMED else ""
                problem.remedy = f"Yours are: {named}{more}"
            raise

    def _events(self, dataset_id: str, last_id: str) -> "Iterator[ServerEvent]":
        from potluck import sse, stopping
        from potluck.retry import RETRIED_STATUS

        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        with self._transport.stream(
            f"datasets/{dataset_id}/events", headers=headers, read_timeout_seconds=SILENCE_SECONDS
        ) as response:
            if response.status_code in RETRIED_STATUS:
                raise self._transport.broken(f"the server answered {response.status_code}")
            self._transport.checked(response)
            yield from sse.parse(stopping.watched(response.iter_lines()), last_id)
