"""The SDK: one object for one account on one server."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from potluck import config, sse
from potluck.decode import decode
from potluck.download import fetch
from potluck.errors import NotSignedIn, PotluckError, Problem
from potluck.live import LiveDataset
from potluck.pending import Archive, PendingUploads
from potluck.resources import Account, Dataset, Model, ModelFile, Rerun
from potluck.retry import RETRIED_STATUS, Patience
from potluck.signing import SigningKey
from potluck.transport import Transport
from potluck.tus import Report, Sender

SILENCE_SECONDS = 60.0
RERUN_PAUSE_SECONDS = 2.0


def _no_report(done: int, total: int) -> None:
    """Nobody watches the progress."""


class Client:
    """Contribute datasets, follow them, take the model home.

    Args:
        server: address of the platform; default: that of the last `potluck login`, or the local one.
        token: an API token; default: the stored one of that server.
        patience_seconds: how long a broken connection is tried again without any progress.

    Every method raises PotluckError: Problem (refused), Unreachable, NotSignedIn, LocalFileError, Corrupt.
    """

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        patience_seconds: float = 120.0,
        state_folder: Path | None = None,
        http: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = config.chosen_server(server)
        self._token = token or config.token_for(self.server)
        self._sleep, self._clock = sleep, clock
        self._pending = PendingUploads(state_folder or config.state_folder())
        self._transport = Transport(
            self.server, self._token, new_patience=lambda: Patience(patience_seconds, sleep, clock), http=http
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    # People

    def sign_up(self, email: str, name: str, password: str) -> None:
        """Creates an account."""
        self._transport.json("POST", "accounts", body={"email": email, "name": name, "password": password})

    def new_token(self, email: str, password: str, name: str) -> str:
        """An API token for the account; the server shows it this once."""
        answer = self._transport.json("POST", "tokens", body={"email": email, "password": password, "name": name})
        return str(answer["token"])

    def me(self) -> Account:
        self._require_token()
        return decode(Account, self._transport.json("GET", "me"))

    # Datasets

    def upload(
        self,
        path: Path | str,
        *,
        name: str,
        authors: Sequence[str],
        format: str = "detect",  # noqa: A002 (the API's word)
        licence: str = "CC-BY-4.0",
        private: bool = False,
        description: str = "",
        level_of_theory: Mapping[str, object] | None = None,
        agreement: bool = True,
        report: Report = _no_report,
    ) -> Dataset:
        """Sends an archive and publishes it as a dataset entry.

        An upload that broke off, here or in another process, goes on at the byte that the server reached; publishing
        the same archive with the same entry twice makes one dataset. `agreement`: the contributor has read and
        accepted the contribution agreement. `report(sent, total)` is called with bytes.
        """
        self._require_token()
        archive = Archive.at(Path(path))
        sent = Sender(self._transport, self._pending, archive, report).send()
        entry = {
            "upload_id": sent.upload_id,
            "name": name,
            "authors": list(authors),
            "format": format,
            "licence": licence,
            "private": private,
            "description": description,
            "level_of_theory": dict(level_of_theory) if level_of_theory else None,
            "agreement": agreement,
            "sha256": sent.sha256,
        }
        key = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
        dataset = decode(Dataset, self._transport.json("POST", "datasets", body=entry, idempotency_key=key))
        self._pending.forget(self.server, archive)
        return dataset

    def datasets(self, *, mine: bool = False) -> tuple[Dataset, ...]:
        """Entries that this account may see, newest first; `mine`: only its own."""
        if mine:
            self._require_token()
        answer = self._transport.json("GET", "datasets", params={"mine": "1"} if mine else None)
        return decode(tuple[Dataset, ...], _listed(answer, "datasets"))

    def dataset(self, dataset_id: str) -> Dataset:
        return decode(Dataset, self._transport.json("GET", f"datasets/{dataset_id}"))

    def follow(self, dataset_id: str) -> Iterator[Dataset]:
        """The dataset now, and again whenever something about it changed, until nothing more will happen.

        A lost connection is made again and asks for what came after the last event seen.
        """
        live = LiveDataset(self._transport.json("GET", f"datasets/{dataset_id}"))
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
                error: Exception = httpx.RemoteProtocolError("the server ended the stream")
            except httpx.TransportError as lost:
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

    def metric_report(self, dataset_id: str) -> dict[str, Any]:
        """Everything that the dataset's metric run found, as the platform stores it."""
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
            return decode(Rerun, self._transport.json("POST", address, idempotency_key=uuid4().hex))
        except Problem as problem:
            if not problem.kind.endswith(":rerun-running"):
                raise
        return next(one for one in self.reruns(dataset_id) if one.state == "running")

    def reruns(self, dataset_id: str) -> tuple[Rerun, ...]:
        """Repetitions of the dataset's metric run, newest first."""
        answer = self._transport.json("GET", f"datasets/{dataset_id}/metric/reruns")
        return decode(tuple[Rerun, ...], _listed(answer, "reruns"))

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
        answer = self._transport.json("GET", f"datasets/{dataset_id}/receipts")
        return [dict(one) for one in decode(tuple[dict[str, Any], ...], _listed(answer, "receipts"))]

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Every public key that the platform ever signed with."""
        answer = self._transport.json("GET", "/.well-known/potluck-keys.json")
        return decode(tuple[SigningKey, ...], _listed(answer, "keys"))

    def policy(self) -> object:
        """What datasets are judged by: {"settings": {name with unit: value}}."""
        return self._transport.json("GET", "policy")

    # Models

    def models(self) -> tuple[Model, ...]:
        """Every published version, newest first."""
        return decode(tuple[Model, ...], _listed(self._transport.json("GET", "models"), "models"))

    def model(self, version: str = "latest") -> Model:
        return decode(Model, self._transport.json("GET", f"models/{version}"))

    def download(self, file: ModelFile, folder: Path | str, report: Report = _no_report) -> Path:
        """Puts one file of a model into `folder`, SHA-256 verified; continues what an earlier run left."""
        return fetch(self._transport, file, Path(folder), report)

    # Inside

    def _require_token(self) -> None:
        if not self._token:
            raise NotSignedIn("you are not signed in", where=self.server, remedy="Sign in: potluck login")

    def _events(self, dataset_id: str, last_id: str) -> Iterator[sse.ServerEvent]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        with self._transport.stream(
            f"datasets/{dataset_id}/events", headers=headers, read_timeout_seconds=SILENCE_SECONDS
        ) as response:
            if response.status_code in RETRIED_STATUS:
                raise httpx.RemoteProtocolError(f"the server answered {response.status_code}")
            self._transport.checked(response)
            yield from sse.parse(response.iter_lines(), last_id)


def _listed(answer: object, name: str) -> object:
    """A list of the API stands under its own name."""
    return answer.get(name) if isinstance(answer, dict) else answer
