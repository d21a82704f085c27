"""A Potluck server in memory, with the faults that networks have. It speaks the same HTTP as the gateway."""

import base64
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import potluck.parallel
import potluck.tus
import pytest
from potluck.client import Client

SERVER = "http://potluck.test"
TOKEN = "token-of-a-test"
ADDRESS = "/api/v1/"


class Piecewise(httpx.SyncByteStream):
    """A body that breaks off after its pieces when `error` is given."""

    def __init__(self, pieces: list[bytes], error: httpx.TransportError | None = None) -> None:
        self._pieces = pieces
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error:
            raise self._error


class FakePotluck(httpx.BaseTransport):
    """Uploads, datasets, models and events of one account.

    `faults`: answers that come before the real ones, by method: a status, or a number of bytes after which the
    connection breaks. `log`: (method, path, headers) of every request. `joined`: what each joined upload was made of;
    `joining`: so many times HEAD tells that it is not ready.
    """

    def __init__(self) -> None:
        self.uploads: dict[str, bytearray] = {}
        self.lengths: dict[str, int] = {}
        self.joined: dict[str, str] = {}
        self.extensions = "creation,checksum,concatenation"
        self.joining = 0
        self.datasets: dict[str, dict[str, Any]] = {}
        self.page_size = 20
        self.by_key: dict[str, str] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.receipts: dict[str, list[dict[str, Any]]] = {}
        self.keys: list[dict[str, Any]] = []
        self.reruns: dict[str, deque[dict[str, Any]]] = {}
        self.streams: deque[httpx.SyncByteStream] = deque()
        self.faults: dict[str, deque[int | Callable[[httpx.Request], httpx.Response]]] = {}
        self.log: list[tuple[str, str, httpx.Headers]] = []

    def fail(self, method: str, *faults: int | Callable[[httpx.Request], httpx.Response]) -> None:
        self.faults.setdefault(method, deque()).extend(faults)

    def requests(self, method: str, path: str = "") -> list[httpx.Headers]:
        return [headers for one, where, headers in self.log if one == method and where.startswith(ADDRESS + path)]

    @staticmethod
    def body(*pieces: bytes, breaks: bool = False) -> httpx.SyncByteStream:
        """A body in pieces; the connection breaks after them when `breaks`."""
        return Piecewise(list(pieces), httpx.ReadError("connection reset by peer") if breaks else None)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.log.append((request.method, request.url.path, request.headers))
        path = request.url.path.removeprefix(ADDRESS)
        if path == "/.well-known/potluck-keys.json":
            return httpx.Response(200, json={"keys": self.keys})
        faults = self.faults.get(request.method)
        if faults:
            fault = faults.popleft()
            if callable(fault):
                return fault(request)
            if request.method != "PATCH" or fault >= 400:
                return problem(fault, "the test wants it")
            return self._patch(request, path.rsplit("/", 1)[-1], breaks_after=fault)
        public = path in ("accounts", "tokens") or path.startswith("models")
        if not public and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return problem(401, "This needs an account.", title="Sign in first")
        return self.answer(request, path)

    def answer(self, request: httpx.Request, path: str) -> httpx.Response:
        head, _, tail = path.partition("/")
        match request.method, head:
            case "POST", "accounts":
                return httpx.Response(201, json={"id": str(uuid4())})
            case "POST", "tokens":
                if json.loads(request.read())["password"] != "right horse":
                    return problem(401, "The e-mail address or the password is wrong.", title="Not signed in")
                return httpx.Response(201, json={"token": TOKEN})
            case "GET", "me":
                return httpx.Response(200, json={"email": "a@b.example", "name": "demo contributor"})
            case "POST", "uploads":
                return self._create(request)
            case "OPTIONS", "uploads":
                return httpx.Response(204, headers={"Tus-Extension": self.extensions, "Tus-Max-Size": str(1 << 20)})
            case "DELETE", "uploads":
                del self.uploads[tail]
                return httpx.Response(204)
            case "HEAD", "uploads":
                return self._head(tail)
            case "PATCH", "uploads":
                return self._patch(request, tail)
            case "POST", "datasets" if tail:
                return self._ask_for_a_rerun(tail.partition("/")[0])
            case "POST", "datasets":
                return self._publish(request)
            case "GET", "datasets" if not tail:
                return self._datasets(request.url.params)
            case "GET", "datasets":
                return self._dataset(tail)
            case "GET", "models":
                return self._model(request, tail)
        return problem(404, "There is nothing.")

    def _create(self, request: httpx.Request) -> httpx.Response:
        concat = request.headers.get("Upload-Concat", "")
        if concat.startswith("final;"):
            return self._join(concat)
        size = int(request.headers["Upload-Length"])
        if size > 1 << 20:
            return problem(
                413, "Archives may have up to 1 MiB.", title="Too large", remedy="Split it.", field="archive"
            )
        upload = uuid4().hex
        self.uploads[upload], self.lengths[upload] = bytearray(), size
        return httpx.Response(201, headers={"Location": f"{ADDRESS}uploads/{upload}"})

    def _join(self, concat: str) -> httpx.Response:
        first, *others = (one.rsplit("/", 1)[1] for one in concat.removeprefix("final;").split())
        if first not in self.joined:
            if any(len(self.uploads[one]) != self.lengths[one] for one in (first, *others)):
                return problem(422, "A part is not complete.")
            for one in others:
                self.uploads[first] += self.uploads.pop(one)
                self.lengths[first] += self.lengths.pop(one)
            self.joined[first] = concat
        return httpx.Response(201, headers={"Location": f"{ADDRESS}uploads/{first}"})

    def _head(self, upload: str) -> httpx.Response:
        if upload not in self.uploads:
            return httpx.Response(404)
        if upload in self.joined and self.joining:
            self.joining -= 1
            told = {"Upload-Length": str(self.lengths[upload]), "Upload-Concat": self.joined[upload]}
            return httpx.Response(200, headers=told)
        lengths = {"Upload-Concat": self.joined[upload]} if upload in self.joined else {}
        lengths |= {"Upload-Offset": str(len(self.uploads[upload])), "Upload-Length": str(self.lengths[upload])}
        return httpx.Response(200, headers=lengths)

    def _patch(self, request: httpx.Request, upload: str, breaks_after: int | None = None) -> httpx.Response:
        if upload not in self.uploads:
            return problem(404, "There is no such upload.")
        held = self.uploads[upload]
        if int(request.headers["Upload-Offset"]) != len(held):
            return problem(409, "That is not where the upload stands.")
        body = b""
        for piece in request.stream:  # type: ignore[union-attr]
            body += piece
            if breaks_after is not None and len(body) >= breaks_after:
                held += body[:breaks_after]
                raise httpx.WriteError("connection reset by peer")
        checksum = request.headers["Upload-Checksum"].removeprefix("sha256 ")
        if base64.b64decode(checksum) != hashlib.sha256(body).digest():
            return httpx.Response(460)
        held += body
        return httpx.Response(204, headers={"Upload-Offset": str(len(held))})

    def _publish(self, request: httpx.Request) -> httpx.Response:
        entry, key = json.loads(request.read()), request.headers["Idempotency-Key"]
        if key not in self.by_key:
            if hashlib.sha256(self.uploads[entry["upload_id"]]).hexdigest() != entry["sha256"]:
                return problem(422, "The archive is not the one you sent.", field="sha256")
            dataset = entry | {"id": str(uuid4()), "stage": "submit", "state": "uploaded", "size": 0}
            del dataset["upload_id"]
            self.by_key[key] = dataset["id"]
            self.datasets[dataset["id"]] = dataset
        return httpx.Response(201, json=self.datasets[self.by_key[key]])

    def _datasets(self, params: httpx.QueryParams) -> httpx.Response:
        """In pages, as the gateway tells them."""
        page, every = int(params.get("page", 1)), list(self.datasets.values())
        shown = every[(page - 1) * self.page_size : page * self.page_size]
        pages = -(-len(every) // self.page_size)
        return httpx.Response(200, json={"datasets": shown, "page": page, "pages": pages, "total": len(every)})

    def _dataset(self, tail: str) -> httpx.Response:
        identity, _, rest = tail.partition("/")
        if identity not in self.datasets:
            return problem(404, "There is no such dataset, or it is not public.", title="Not here")
        if rest == "events":
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=self.streams.popleft())
        if rest == "receipts":
            return httpx.Response(200, json={"receipts": self.receipts[identity]})
        if rest == "metric":
            return httpx.Response(200, json=self.reports[identity])
        if rest == "metric/reruns":
            states = self.reruns[identity]
            return httpx.Response(200, json={"reruns": [states.popleft() if len(states) > 1 else states[0]]})
        if rest:
            return httpx.Response(200, stream=Piecewise([self.files[rest.rpartition("/")[2]]]))
        return httpx.Response(200, json=self.datasets[identity])

    def _ask_for_a_rerun(self, identity: str) -> httpx.Response:
        """The first of `reruns[identity]` is the answer; the others are what looking again finds, in their order."""
        first = self.reruns[identity].popleft()
        return problem(409, "It runs.", **first) if "type" in first else httpx.Response(201, json=first)

    def _model(self, request: httpx.Request, tail: str) -> httpx.Response:
        version, _, rest = tail.partition("/")
        if not tail:
            return httpx.Response(200, json={"models": list(self.models.values())})
        if version not in self.models:
            return problem(404, "There is no such model.", title="Not here")
        if rest == "citation":
            return httpx.Response(200, text=f"@misc{{dpa-{version}}} as {request.url.params['format']}\n")
        if rest:
            data = self.files[rest.removeprefix("files/")]
            start = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
            return httpx.Response(206 if int(start) else 200, stream=Piecewise([data[int(start) :]]))
        return httpx.Response(200, json=self.models[version])

    def add_model(self, version: str, **files: bytes) -> None:
        self.files |= files
        self.models[version] = {
            "version": version,
            "files": [
                {
                    "name": name,
                    "size": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "url": f"{ADDRESS}models/{version}/files/{name}",
                }
                for name, data in files.items()
            ],
        }


def problem(status: int, detail: str, title: str = "Refused", **more: str) -> httpx.Response:
    told: dict[str, Any] = {"type": "urn:potluck:problem:test", "title": title, "status": status, "detail": detail}
    told |= more
    return httpx.Response(status, json=told, headers={"content-type": "application/problem+json"})


@pytest.fixture
def fake() -> FakePotluck:
    return FakePotluck()


@pytest.fixture
def new_client(fake: FakePotluck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    """Clients of one person on one machine; small chunks, and pauses that take no time but count."""
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("POTLUCK_SERVER", raising=False)
    monkeypatch.delenv("POTLUCK_TOKEN", raising=False)
    monkeypatch.setattr(potluck.tus, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(potluck.tus, "SMALLEST_CHUNK_BYTES", 100)
    monkeypatch.setattr(potluck.tus, "PIECE_BYTES", 100)
    monkeypatch.setattr(potluck.parallel, "PART_BYTES", 20_000)

    def client(server: str | None = SERVER, token: str | None = TOKEN, *, patience_seconds: float = 30.0) -> Client:
        # The patience is measured in pauses asked for: a clock that only sleeping moves.
        waited = [0.0]

        def sleep(seconds: float) -> None:
            waited[0] += seconds

        return Client(server, token, patience_seconds=patience_seconds, http=fake, sleep=sleep, clock=lambda: waited[0])

    return client


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "si.tar.xz"
    path.write_bytes(bytes(range(256)) * 10)
    return path
