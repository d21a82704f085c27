"""What each operation of the API takes and gives: the part of its description that no route can tell."""

from dataclasses import dataclass

from contracts.artifacts import FormatCatalog, GrowthPolicyInForce, MetricPolicy, MetricReport
from contracts.base import Frozen

from gateway.api.bodies import (
    NewAccount,
    NewDataset,
    NewPassword,
    NewPrediction,
    NewProfile,
    NewProgramSignIn,
    NewPublication,
    NewSession,
    NewToken,
    ProgramSecret,
    Withdrawal,
)
from gateway.models.branches import Choice
from gateway.models.coverage import CoverageView
from gateway.models.predictions import PredictionView
from gateway.models.standard import StandardView
from gateway.search.catalogue import CatalogueView
from gateway.search.search import COVERAGES, FRAMES, SORTS, STAGES
from gateway.views.datasets import ContentsView, DatasetPage, DatasetView, RerunView
from gateway.views.models import ModelView
from gateway.views.past import DatasetPast
from gateway.views.people import (
    AgreementView,
    IdentityView,
    LicenceView,
    NewTokenView,
    OpenUploadView,
    PersonView,
    ProgramSignInView,
    RegionView,
    SessionView,
    StorageView,
    TokenView,
)
from gateway.views.queue import QueueView
from gateway.webhooks.webhooks import DeliveryView, NewWebhook, NewWebhookView, WebhookView


@dataclass(frozen=True, slots=True)
class Parameter:
    """Of the query or a header. `repeated`: may be given several times."""

    name: str
    about: str
    values: tuple[str, ...] = ()
    repeated: bool = False
    header: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """`answer`: the JSON object; with `listed`, an object whose member of that name is a list of them; else `media`."""

    summary: str
    answer: type[Frozen] | None = None
    listed: str | None = None
    media: str | None = None
    status: int = 200
    body: type[Frozen] | None = None
    parameters: tuple[Parameter, ...] = ()
    signed_in: bool = False
    errors: tuple[int, ...] = ()


KEY = Parameter(
    "Idempotency-Key",
    "a request that is repeated with the same key is done once and answered alike for 24 hours; 422 when another "
    "request came with it, 409 with Retry-After while the first is under way",
    header=True,
)
SHOWN_ONCE = Parameter(
    "Idempotency-Key",
    "as elsewhere, but a secret is kept nowhere: a repetition is refused with 409 and the Location of what was made",
    header=True,
)
RANGE = Parameter("Range", "a part of the file, e.g. 'bytes=0-1023'", header=True)
ELEMENT = Parameter("element", "symbol; all of them occur", repeated=True)
LAST = Parameter("Last-Event-ID", "go on after this event", header=True)
VERSION = Parameter("version", "of the dataset, from 1; without it the latest that you may see")
OCTETS = "application/octet-stream"
STREAM = "text/event-stream"
LINKED = "application/ld+json"
FORMAT = Parameter("format", "of the citation", ("bibtex", "cff", "datacite"))
SEARCHED = (
    Parameter("q", "words, authors, elements (Si), formulas (SiC)"),
    ELEMENT,
    Parameter("functional", "e.g. PBE"),
    Parameter("licence", "SPDX identifier"),
    Parameter("stage", "where they stand", STAGES),
    Parameter("coverage", "to the model", COVERAGES),
    Parameter("frames", "digits of the number of frames: 3 is 100 to 999", FRAMES),
    Parameter("sort", "order; of a search for words relevance, else newest, where none is given", SORTS),
    Parameter("literal", "1: where nothing is found, do not look for words that are spelt alike (`corrected`)", ("1",)),
    Parameter("from", "where a page begins: `earlier` or `later` of another page"),
)
PAGED = (Parameter("page", "from 1"), Parameter("mine", "1: your own datasets", ("0", "1")))
_DATASET = "/api/v1/datasets/{dataset_id}"
_MODEL = "/api/v1/models/{version}"
_WEBHOOK = "/api/v1/webhooks/{webhook_id}"

OPERATIONS: dict[tuple[str, str], Described] = {
    ("POST", "/api/v1/accounts"): Described(
        "Sign up", PersonView, status=201, body=NewAccount, parameters=(KEY,), errors=(409, 422, 429)
    ),
    ("POST", "/api/v1/sessions"): Described(
        "Sign in: a cookie", PersonView, status=201, body=NewSession, errors=(401, 403, 422, 429)
    ),
    ("GET", "/api/v1/sessions"): Described("Where you are signed in", SessionView, listed="sessions", signed_in=True),
    ("DELETE", "/api/v1/sessions/current"): Described("Sign out", status=204),
    ("DELETE", "/api/v1/sessions/others"): Described("Sign out everywhere else", status=204, signed_in=True),
    ("DELETE", "/api/v1/sessions/{session_id}"): Described("Sign out there", status=204, signed_in=True, errors=(404,)),
    ("POST", "/api/v1/tokens"): Described(
        "An API token for a program; shown once",
        NewTokenView,
        status=201,
        body=NewToken,
        parameters=(SHOWN_ONCE,),
        errors=(401, 409, 422, 429),
    ),
    ("POST", "/api/v1/sign-ins"): Described(
        "Sign a program in by the browser: its user approves the code at `url`",
        ProgramSignInView,
        status=201,
        body=NewProgramSignIn,
        errors=(422, 429),
    ),
    ("POST", "/api/v1/sign-ins/token"): Described(
        "The program's token, once, when its user has approved; 428 before",
        NewTokenView,
        status=201,
        body=ProgramSecret,
        errors=(403, 410, 428, 429),
    ),
    ("GET", "/api/v1/tokens"): Described("Your API tokens", TokenView, listed="tokens", signed_in=True),
    ("DELETE", "/api/v1/tokens/{token_id}"): Described("Revoke a token", status=204, signed_in=True, errors=(404,)),
    ("GET", "/api/v1/me"): Described("Who you are", PersonView, signed_in=True),
    ("PATCH", "/api/v1/me"): Described(
        "Change your profile", PersonView, body=NewProfile, signed_in=True, errors=(422,)
    ),
    ("PUT", "/api/v1/me/password"): Described(
        "Change your password", status=204, body=NewPassword, signed_in=True, errors=(403, 422, 429)
    ),
    ("GET", "/api/v1/identities"): Described(
        "Other sites with which you can sign in", IdentityView, listed="identities", signed_in=True
    ),
    ("GET", "/api/v1/me/storage"): Described(
        "How much you have here, and how much you may", StorageView, signed_in=True
    ),
    ("GET", "/api/v1/formats"): Described("Formats that can be uploaded", FormatCatalog, errors=(503,)),
    ("GET", "/api/v1/licences"): Described("Licences that a dataset may have", LicenceView, listed="licences"),
    ("GET", "/api/v1/agreement"): Described(
        "The contributor agreement in force; publishing asks for it", AgreementView
    ),
    ("GET", "/api/v1/regions"): Described("Where archives may lie", RegionView, listed="regions"),
    ("GET", "/api/v1/regions/probe"): Described(
        "Nothing: how long it takes says how far away this region is", status=204
    ),
    ("GET", "/api/v1/policy"): Described("What datasets are judged by", MetricPolicy, errors=(503,)),
    ("GET", "/api/v1/policy/growth"): Described(
        "What decides whether the model has grown", GrowthPolicyInForce, errors=(503,)
    ),
    ("GET", "/api/v1/uploads"): Described(
        "Uploads that you may resume or publish", OpenUploadView, listed="uploads", signed_in=True
    ),
    ("POST", "/api/v1/uploads"): Described(
        "Begin an upload (tus 1.0)",
        status=201,
        signed_in=True,
        parameters=(
            Parameter("Upload-Length", "bytes", header=True),
            Parameter("Upload-Metadata", "'filename <base64>'; of a part also 'part <base64 of 2/4>'", header=True),
            Parameter(
                "Upload-Concat",
                "'partial': a part, to be joined with others; 'final;URL URL …': join them in this order",
                header=True,
            ),
            KEY,
        ),
        errors=(404, 409, 413, 422, 429),
    ),
    ("OPTIONS", "/api/v1/uploads"): Described("What this tus server can do", status=204),
    ("OPTIONS", "/api/v1/uploads/{upload_id}"): Described("The same, for pages of other regions", status=204),
    ("HEAD", "/api/v1/uploads/{upload_id}"): Described(
        "How many bytes have arrived: Upload-Offset; none while parts are being put together",
        signed_in=True,
        errors=(404,),
    ),
    ("PATCH", "/api/v1/uploads/{upload_id}"): Described(
        "Send the next bytes (application/offset+octet-stream)",
        status=204,
        signed_in=True,
        parameters=(
            Parameter("Upload-Offset", "where they belong", header=True),
            Parameter("Upload-Checksum", "'sha256 <base64>' of this piece", header=True),
        ),
        errors=(403, 404, 409, 460),
    ),
    ("DELETE", "/api/v1/uploads/{upload_id}"): Described(
        "Give an upload up", status=204, signed_in=True, errors=(404,)
    ),
    ("GET", "/api/v1/datasets"): Described("Datasets, newest first", DatasetPage, parameters=PAGED, errors=(401, 422)),
    ("POST", "/api/v1/datasets"): Described(
        "Publish an upload as a dataset",
        DatasetView,
        status=201,
        body=NewDataset,
        parameters=(KEY,),
        signed_in=True,
        errors=(409, 410, 422),
    ),
    ("GET", "/api/v1/search"): Described(
        "Datasets by words, formulas, elements and filters", CatalogueView, parameters=SEARCHED, errors=(422,)
    ),
    ("GET", _DATASET): Described("A dataset", DatasetView, parameters=(VERSION,), errors=(404, 422)),
    ("GET", f"{_DATASET}/history"): Described(
        "Its versions, what happened to it, the models that it trained",
        DatasetPast,
        parameters=(VERSION,),
        errors=(404, 422),
    ),
    ("GET", f"{_DATASET}/structures"): Described(
        "Some of its structures, and its commonest compositions",
        ContentsView,
        parameters=(VERSION,),
        errors=(404, 422),
    ),
    ("POST", f"{_DATASET}/public"): Described(
        "Make the latest version of a private dataset public, for good",
        DatasetView,
        body=NewPublication,
        signed_in=True,
        errors=(404, 409, 422),
    ),
    ("POST", f"{_DATASET}/withdrawal"): Described(
        "Take every version back: no downloads, no training to come",
        DatasetView,
        body=Withdrawal,
        signed_in=True,
        errors=(404, 422),
    ),
    ("GET", f"{_DATASET}/archive"): Described(
        "Its archive", media=OCTETS, parameters=(VERSION, RANGE), errors=(404, 416, 422)
    ),
    ("GET", f"{_DATASET}/frames/{{name}}"): Described(
        "Its frames as models read them: train.mdb, held-out.mdb",
        media=OCTETS,
        parameters=(VERSION, RANGE),
        errors=(404, 416, 422),
    ),
    ("GET", f"{_DATASET}/citation"): Described(
        "How to cite it; public datasets", media="*/*", parameters=(FORMAT, VERSION), errors=(404, 422)
    ),
    ("GET", f"{_DATASET}/ro-crate"): Described(
        "As RO-Crate 1.1 metadata; public datasets", media=LINKED, parameters=(VERSION,), errors=(404, 422)
    ),
    ("GET", f"{_DATASET}/receipts"): Described(
        "What it did to the model, byte for byte as it was signed: {'receipts': […]}, see docs/receipts",
        media="application/json",
        errors=(404,),
    ),
    ("GET", f"{_DATASET}/pictures/{{name}}"): Described(
        "A picture of its check", media="image/*", parameters=(VERSION,), errors=(404, 422)
    ),
    ("GET", f"{_DATASET}/tables/{{name}}"): Described(
        "A table of per-frame verdicts", media=OCTETS, parameters=(VERSION,), errors=(404, 422)
    ),
    ("GET", f"{_DATASET}/metric"): Described(
        "Everything that the check found", MetricReport, parameters=(VERSION,), errors=(404, 422)
    ),
    ("GET", f"{_DATASET}/metric/reruns"): Described("Repetitions of the check", RerunView, listed="reruns"),
    ("POST", f"{_DATASET}/metric/reruns"): Described(
        "Repeat the check", RerunView, status=201, parameters=(KEY,), signed_in=True, errors=(403, 409, 429)
    ),
    ("GET", f"{_DATASET}/events"): Described(
        "What happens to it, live: `snapshot`, then `update`", media=STREAM, parameters=(LAST,), errors=(404,)
    ),
    ("GET", "/api/v1/queue"): Described("What is checked, waits and trains", QueueView),
    ("GET", "/api/v1/queue/events"): Described("Says `changed` whenever a line did", media=STREAM),
    ("GET", "/api/v1/models"): Described("Versions of the model, newest first", ModelView, listed="models"),
    ("GET", _MODEL): Described("A version, by number or alias", ModelView, errors=(404,)),
    ("GET", f"{_MODEL}/branches"): Described(
        "Which branch for which elements", Choice, parameters=(ELEMENT,), errors=(404,)
    ),
    ("GET", f"{_MODEL}/citation"): Described("How to cite it", media="*/*", parameters=(FORMAT,), errors=(404, 422)),
    ("GET", f"{_MODEL}/ro-crate"): Described("As RO-Crate 1.1 metadata", media=LINKED, errors=(404,)),
    ("POST", f"{_MODEL}/predictions"): Described(
        "Predict a structure of your own",
        PredictionView,
        status=202,
        body=NewPrediction,
        errors=(404, 409, 413, 422, 429),
    ),
    ("GET", "/api/v1/predictions/{prediction_id}"): Described(
        "Where it stands, and what came of it", PredictionView, errors=(404,)
    ),
    ("GET", f"{_MODEL}/coverage"): Described(
        "What it knows of the periodic table, and which data would help it", CoverageView, errors=(404,)
    ),
    ("GET", f"{_MODEL}/files/{{name}}"): Described(
        "A file of a version", media=OCTETS, parameters=(RANGE,), errors=(404, 416)
    ),
    ("GET", "/api/v1/files/{key}"): Described(
        "A file of a published version, by an address that the registry signed; it works until it expires",
        media=OCTETS,
        parameters=(RANGE,),
        errors=(403, 404, 416),
    ),
    ("GET", "/api/v1/standard"): Described("Every version on the standard dataset", StandardView),
    ("GET", "/api/v1/webhooks"): Described("Your webhooks", WebhookView, listed="webhooks", signed_in=True),
    ("POST", "/api/v1/webhooks"): Described(
        "Have public events sent to an address; its secret is shown once",
        NewWebhookView,
        status=201,
        body=NewWebhook,
        parameters=(SHOWN_ONCE,),
        signed_in=True,
        errors=(409, 422),
    ),
    ("DELETE", _WEBHOOK): Described("Remove a webhook", status=204, signed_in=True, errors=(404,)),
    ("POST", f"{_WEBHOOK}/enable"): Described(
        "Switch it on again: what waits is sent", WebhookView, signed_in=True, errors=(404,)
    ),
    ("GET", f"{_WEBHOOK}/deliveries"): Described(
        "What was sent and what came of it, newest first",
        DeliveryView,
        listed="deliveries",
        parameters=(Parameter("before", "go on after this delivery"),),
        signed_in=True,
        errors=(404, 422),
    ),
    ("POST", f"{_WEBHOOK}/deliveries/{{delivery_id}}/replay"): Described(
        "Send one once more, under the same id", status=202, signed_in=True, errors=(404,)
    ),
    ("GET", "/api/v1/openapi.json"): Described("This description", media="application/json"),
}
