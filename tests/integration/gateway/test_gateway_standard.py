"""What the site knows of the standard dataset: every version's score, and whether it is of the current one."""

from typing import Any
from uuid import uuid4

from contracts.events import ModelPublished, ModelRescored, StandardReleased
from contracts.standard import StandardScore
from gateway_bench import Outside, Site, eventually
from gateway_examples import blob, published
from standard_examples import standard_score

SCORE = standard_score(1, {"si": (0.2, 0.4)})
BETTER = standard_score(2, {"si": (0.1, 0.2), "sic": (0.1, 0.2)})
RESCORED = standard_score(2, {"si": (0.3, 0.5), "sic": (0.3, 0.5)}, "sic")


def model(version: str, score: StandardScore | None) -> ModelPublished:
    return published(uuid4(), None, version=version).model_copy(update={"standard": score})


def released(number: int, version: str, branches: int) -> StandardReleased:
    return StandardReleased(
        number=number,
        model_version=version,
        content=blob(f"standard/{number}/content.json"),
        branches=branches,
        frames=20 * branches,
        added_frames=20,
        removed_frames=0,
    )


async def history(site: Site, **told: Any) -> dict[str, Any]:
    """As soon as the answer says what was told."""

    async def probe() -> dict[str, Any] | None:
        answer = (await site.http.get("/api/v1/standard")).json()
        return answer if told.items() <= summary(answer).items() else None

    return dict(await eventually(probe))


def summary(answer: dict[str, Any]) -> dict[str, Any]:
    """{number, <version>: (standard it is scored on, whether that is the current one)}."""
    rows = {
        row["version"]: (row["score"]["standard"] if row["score"] else None, row["current"])
        for row in answer["versions"]
    }
    return {"number": answer["number"], **rows}


async def test_there_is_no_standard_dataset_before_the_first_model(site: Site) -> None:
    answer = (await site.http.get("/api/v1/standard")).json()
    assert answer == {"number": None, "released": None, "branches": 0, "frames": 0, "versions": []}


async def test_a_version_says_that_its_score_is_of_an_older_standard_until_it_is_scored_again(
    site: Site, outside: Outside
) -> None:
    await outside.say(released(1, "1.0", 1))
    await outside.say(model("1.0", SCORE))
    answer = await history(site, number=1, **{"1.0": (1, True)})
    assert answer["versions"][0]["score"] == SCORE.model_dump(mode="json")
    await outside.say(released(2, "1.1", 2))
    await outside.say(model("1.1", BETTER))
    answer = await history(site, number=2, **{"1.0": (1, False), "1.1": (2, True)})
    assert [row["version"] for row in answer["versions"]] == ["1.0", "1.1"], "oldest first, as a chart draws them"
    assert (answer["branches"], answer["frames"]) == (2, 40)
    await outside.say(ModelRescored(version="1.0", standard=RESCORED))
    answer = await history(site, number=2, **{"1.0": (2, True)})
    assert answer["versions"][0]["score"]["branches"][1]["zero_shot"] is True


async def test_scores_may_come_before_what_they_are_about_and_twice(site: Site, outside: Outside) -> None:
    await outside.say(ModelRescored(version="1.0", standard=RESCORED))
    await outside.say(ModelRescored(version="1.0", standard=RESCORED))
    await outside.say(model("1.1", None))
    await outside.say(model("1.0", SCORE))
    await outside.say(released(2, "1.1", 2))
    await outside.say(released(1, "1.0", 1))
    await history(site, number=2, **{"1.0": (2, True), "1.1": (None, False)})
