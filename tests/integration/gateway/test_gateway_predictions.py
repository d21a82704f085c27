"""Structures that somebody wants predicted: asked for, seen, limited, forgotten. The test speaks for the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from contracts import keys
from contracts.artifacts import PreviewStructure, PublishedBranch, PublishedManifest, StructurePrediction
from contracts.envelope import Event
from contracts.events import ModelFile, PredictionFinished, PredictionRefused, PredictionRequested
from contracts.topology import DEAD_LETTER_PREFIX, DEAD_LETTER_STREAM, EVENT_STREAM
from gateway.service import Gateway
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway_bench import Outside, Site, eventually, serving_site
from gateway_examples import published
from gateway_views import handled

XYZ = "2\n\nSi 0 0 0\nSi 0 0 2.35\n"
STRUCTURE = PreviewStructure(symbols=("Si", "Si"), positions=((0, 0, 0), (0, 0, 2.35)), cell=None)


@pytest.fixture
async def site(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    gateway_env["POTLUCK_GATEWAY_PREDICTIONS_PER_HOUR"] = "3"
    gateway_env["POTLUCK_GATEWAY_PREDICTIONS_WAITING"] = "4"
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as served:
        yield served


def branch(name: str, *elements: str) -> PublishedBranch:
    return PublishedBranch(
        name=name,
        dataset=None,
        title=None,
        authors=(),
        licence=None,
        elements=elements,
        level_of_theory=None,
        weight=0.5,
        new=False,
        energy_rmse_mev_per_atom=1,
        force_rmse_mev_per_angstrom=2,
    )


async def a_version(site: Site, outside: Outside) -> None:
    """1.1 with a public branch of silicon, one of water, and one whose elements are nobody's business."""
    told = PublishedManifest(
        version="1.1",
        parent_version=None,
        round_id=uuid4(),
        preset="laptop",
        branches=(branch("si", "Si"), branch("water", "H", "O"), branch("secret")),
        contributors=(),
        rules=(),
        standard_score=0.2,
        steps=1,
        wall_seconds=1,
        versions={},
    )
    ref = await site.base.blobs.put_model("models/1.1/manifest.json", told)
    event = published(uuid4(), None, version="1.1")
    files = (*event.files, ModelFile(name="manifest.json", kind="manifest", blob=ref))
    await handled(site, outside, event.model_copy(update={"files": files}))


def result(covered: bool = True) -> StructurePrediction:
    return StructurePrediction(
        model_version="1.1",
        branch="si",
        structure=STRUCTURE,
        energy_ev=-12.34567,
        forces_ev_per_angstrom=((0, 0, 0.25), (0, 0, -0.25)),
        max_force_ev_per_angstrom=0.25,
        covered=covered,
        unknown_elements=(),
        distance=1.1 if covered else 9.9,
        far_above=2.0,
        expected_force_rmse_mev_per_angstrom=55.0,
    )


async def ask(site: Site, structure: Any = XYZ, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    body = {"structure": structure} | more
    return await site.http.post("/api/v1/models/latest/predictions", json=body, headers=headers or {})


async def said_to_ingest(outside: Outside) -> list[PredictionRequested]:
    """In the stream, in order."""
    found = []
    information = await outside.jetstream.stream_info(EVENT_STREAM)
    for number in range(1, information.state.last_seq + 1):
        message = await outside.jetstream.get_msg(EVENT_STREAM, number)
        if message.subject == PredictionRequested.nats_subject:
            found.append(PredictionRequested.model_validate_json(message.data or b""))
    return found


def use_cases(site: Site) -> Gateway:
    """On the served gateway's database and storage."""
    base = site.base
    return Gateway.built(GatewaySettings(), base.database, base.blobs, Store(), base.bus.jetstream.publish)


async def told(site: Site, address: str, state: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        now = (await site.http.get(address)).json()
        return now if now["state"] == state else None

    return dict(await eventually(there))


async def test_a_structure_waits_in_line_and_is_predicted(site: Site, outside: Outside) -> None:
    await a_version(site, outside)
    first, second = await ask(site), await ask(site, branch="water")
    assert (first.status_code, first.json()["state"], first.json()["position"]) == (202, "waiting", 1)
    assert second.json()["position"] == 2
    assert first.headers["location"] == first.json()["url"]

    async def both() -> bool:
        return len(await said_to_ingest(outside)) == 2

    await eventually(both)
    asked = await said_to_ingest(outside)
    assert [one.branches for one in asked] == [("si", "water"), ("water",)]
    assert [one.model_version for one in asked] == ["1.1", "1.1"]
    assert await site.base.blobs.get_bytes(asked[0].text.key) == XYZ.encode()
    prediction_id = UUID(first.json()["id"])
    ref = await site.base.blobs.put_model(keys.prediction_file(prediction_id, "result.json"), result())
    await handled(site, outside, PredictionFinished(prediction_id=prediction_id, result=ref))
    done = await told(site, first.headers["location"], "done")
    assert done["result"]["energy_ev"] == -12.34567
    assert done["position"] is None
    assert (await site.http.get(second.headers["location"])).json()["position"] == 1
    page = (await site.http.get(f"/models/1.1?prediction={prediction_id}&lang=en")).text
    assert "Covered: branch si was trained on structures like this one." in page
    assert "-12.3457" in page
    assert '"symbols": ["Si", "Si"]' in page


async def test_a_refusal_is_shown_in_both_languages(site: Site, outside: Outside) -> None:
    await a_version(site, outside)
    sent = await site.http.post(
        "/models/1.1/predictions", files={"file": ("POSCAR", XYZ.encode())}, data={"structure": "", "branch": ""}
    )
    assert sent.status_code == 303
    prediction_id = UUID(sent.headers["location"].partition("prediction=")[2].partition("#")[0])
    assert "number 1 in the line" in (await site.http.get(sent.headers["location"] + "")).text
    reason, remedy = "“Qq” is no chemical element.", "Name each atom by its element's symbol, such as Si."
    refused = PredictionRefused(prediction_id=prediction_id, reason=reason, remedy=remedy)
    late = PredictionFinished(prediction_id=prediction_id, reason="too late", remedy=None)
    await handled(site, outside, refused)
    await handled(site, outside, late)
    view = await told(site, f"/api/v1/predictions/{prediction_id}", "refused")
    assert (view["reason"], view["remedy"], view["result"]) == (reason, remedy, None)
    chinese = (await site.http.get(f"/models/1.1?prediction={prediction_id}&lang=zh")).text
    assert "“Qq”不是化学元素。" in chinese


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 422, "There is no structure."),
        ({"structure": " \n"}, 422, "There is no structure."),
        ({"structure": 7}, 422, "There is no structure."),
        ({"structure": XYZ, "branch": "secret"}, 422, "This version has no such public branch."),
        ({"structure": XYZ, "branch": 7}, 422, "This is no name of a branch."),
        ({"structure": XYZ, "atoms": 7}, 422, "There is no such field."),
        (
            {"structure": "100000\n\n" + 100_000 * "Si 0 0 0\n"},
            413,
            "The text has 900,008 bytes, and at most 900,000 are read.",
        ),
    ],
)
async def test_what_cannot_be_asked(
    site: Site, outside: Outside, body: dict[str, Any], status: int, detail: str
) -> None:
    await a_version(site, outside)
    answer = await site.http.post("/api/v1/models/latest/predictions", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.json()["remedy"]
    assert await said_to_ingest(outside) == []


async def test_a_form_without_a_structure_or_with_too_much_says_so_on_the_page(site: Site, outside: Outside) -> None:
    await a_version(site, outside)
    empty = await site.http.post("/models/1.1/predictions?lang=zh", data={"structure": ""}, files={"x": b""})
    assert empty.status_code == 422
    assert "没有结构。" in empty.text
    much = await site.http.post("/models/1.1/predictions?lang=en", files={"file": ("POSCAR", 3_000_000 * b"x")})
    assert much.status_code == 413
    assert "bytes, and at most 900,000 are read." in much.text


async def test_a_version_that_tells_nothing_of_its_branches_is_not_offered(site: Site, outside: Outside) -> None:
    await handled(site, outside, published(uuid4(), None, version="1.1"))
    assert (await ask(site)).status_code == 409
    assert (await site.http.post("/api/v1/models/9.9/predictions", json={"structure": XYZ})).status_code == 404


async def test_so_many_an_hour_for_each_and_so_many_in_line_for_all(site: Site, outside: Outside) -> None:
    await a_version(site, outside)
    assert [(await ask(site)).status_code for _ in range(3)] == [202, 202, 202]
    enough = await ask(site)
    assert (enough.status_code, enough.json()["detail"]) == (
        429,
        "You sent 3 structures within the last hour; 3 are allowed.",
    )
    assert 0 < int(enough.headers["retry-after"]) <= 3600
    # Who has signed in counts on their own; the line is everybody's.
    member = await site.join("mei")
    assert (await ask(site, headers=member.headers)).status_code == 202
    full = await ask(site, headers=member.headers)
    assert (full.status_code, full.json()["detail"]) == (429, "4 structures wait already.")


async def test_many_at_once_are_counted_one_after_the_other(site: Site, outside: Outside) -> None:
    await a_version(site, outside)
    answers = await asyncio.gather(*(ask(site) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [202] * 3 + [429] * 5


async def test_after_a_day_everything_of_it_is_gone(site: Site, outside: Outside) -> None:
    await a_version(site, outside)
    address = (await ask(site)).headers["location"]
    prediction_id = UUID(address.rpartition("/")[2])
    gateway = use_cases(site)
    await gateway.predictions.expire()
    assert (await site.http.get(address)).status_code == 200
    async with site.base.database.transaction() as connection:
        await connection.execute("update predictions set requested = requested - interval '25 hours'")
    await gateway.predictions.expire()
    assert (await site.http.get(address)).status_code == 404
    assert not await site.base.blobs.exists(keys.prediction_file(prediction_id, "text"))


async def test_a_structure_that_was_given_up_is_told_as_such(site: Site, outside: Outside) -> None:
    await a_version(site, outside)
    address = (await ask(site)).headers["location"]
    event: Event = (await eventually(lambda: said_to_ingest(outside)))[0]
    headers = {
        "ce-subject": event.about(),
        "dead-reason": "ConfinementFailed",
        "dead-consumer": "ingest-prediction-requested",
    }
    subject = f"{DEAD_LETTER_PREFIX}{PredictionRequested.nats_subject}"
    await outside.jetstream.publish(subject, event.body(), stream=DEAD_LETTER_STREAM, headers=headers)
    view = await told(site, address, "refused")
    assert view["reason"] == "It could not be predicted, which is on our side."
