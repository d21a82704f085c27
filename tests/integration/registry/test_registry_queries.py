"""What anyone may ask the registry: lists in pages, read masks, details of errors; nothing of private datasets."""

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import grpc
import pytest
import pytest_asyncio
from contracts.registry.v1 import registry_pb2 as registry
from google.protobuf.field_mask_pb2 import FieldMask
from public_registry import PublicRegistry, details, error_of, public_registry, settings_of
from registry.domain.rounds import AliasMoveKind
from registry.queries.catalogue import BELIEVED_SECONDS
from registry.queries.querying import Querying
from registry_bench import Bench


@pytest_asyncio.fixture
async def public(bench: Bench) -> AsyncIterator[PublicRegistry]:
    async with public_registry(bench, settings_of(bench)) as one:
        yield one


async def four(bench: Bench) -> list[str]:
    """Four versions, one branch more each."""
    return [await bench.publish(*titles) for titles in (("Si", "Water"), ("A",), ("B",), ("C",))]


async def fresh(public: PublicRegistry) -> None:
    """The public listener knows of everything that was committed."""
    await public.querying.catalogue.current()


async def test_lists_of_versions_and_lineages_come_in_pages(bench: Bench, public: PublicRegistry) -> None:
    versions = await four(bench)
    await fresh(public)
    for page_size in (1, 2, 3, 200):
        seen, token = [], ""
        while True:
            answer = await public.stub.ListModels(registry.ListModelsRequest(page_size=page_size, page_token=token))
            assert len(answer.models) <= page_size
            seen += [one.version for one in answer.models]
            token = answer.next_page_token
            if not token:
                break
        assert seen == versions[::-1]
    first = await public.stub.GetLineage(registry.GetLineageRequest(version_or_alias="latest", page_size=2))
    assert [one.version for one in first.models] == ["1.3", "1.2"]
    # The alias moves on meanwhile; the pages stay those of one lineage.
    await bench.publish("D")
    await fresh(public)
    rest = await public.stub.GetLineage(
        registry.GetLineageRequest(version_or_alias="latest", page_size=2, page_token=first.next_page_token)
    )
    assert ([one.version for one in rest.models], rest.next_page_token) == (["1.1", "1.0"], "")


async def test_a_token_of_another_list_is_refused(bench: Bench, public: PublicRegistry) -> None:
    await four(bench)
    await fresh(public)
    token = (await public.stub.ListModels(registry.ListModelsRequest(page_size=1))).next_page_token
    for call in (
        public.stub.ListScores(registry.ListScoresRequest(page_token=token)),
        public.stub.GetLineage(registry.GetLineageRequest(version_or_alias="1.1", page_token=token)),
        public.stub.ListRounds(registry.ListRoundsRequest(page_token="12")),
    ):
        error = await error_of(call)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(error)["BadRequest"].field_violations[0].field == "page_token"


async def test_read_masks_leave_out_what_is_not_asked_for(bench: Bench, public: PublicRegistry) -> None:
    await four(bench)
    await fresh(public)
    mask = FieldMask(paths=["version", "datasets.branch", "datasets.title"])
    answer = await public.stub.GetModel(registry.GetModelRequest(version_or_alias="latest", read_mask=mask))
    assert {field.name for field, _ in answer.model.ListFields()} == {"version", "datasets"}
    for one in answer.model.datasets:
        assert {field.name for field, _ in one.ListFields()} == {"branch", "title"}
    listed = await public.stub.ListModels(registry.ListModelsRequest(read_mask=FieldMask(paths=["version"])))
    assert all([field.name for field, _ in one.ListFields()] == ["version"] for one in listed.models)
    everything = await public.stub.GetModel(registry.GetModelRequest(version_or_alias="latest"))
    assert everything.model.files


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("versoin", "has no field 'versoin'"),
        ("datasets.nothing", "TrainedDataset has no field 'nothing'"),
        ("version.major", "'version' in path 'version.major' has no fields of its own"),
        ("rules.numbers.key", "'numbers' in path"),
        ("", "has no field ''"),
    ],
)
async def test_an_unknown_path_is_named(bench: Bench, public: PublicRegistry, path: str, words: str) -> None:
    await bench.publish("Si", "Water")
    await fresh(public)
    request = registry.GetModelRequest(version_or_alias="latest", read_mask=FieldMask(paths=["version", path]))
    error = await error_of(public.stub.GetModel(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in (error.details() or "")
    (violation,) = details(error)["BadRequest"].field_violations
    assert violation.field == "read_mask"
    assert details(error)["ErrorInfo"].domain == "potluck"


async def test_what_does_not_exist_is_answered_with_what_does(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water")
    await fresh(public)
    stub = public.stub
    for call, kind, name, there in (
        (stub.GetModel(registry.GetModelRequest(version_or_alias="9.9")), "model", "9.9", "1.0"),
        (stub.ListBranches(registry.ListBranchesRequest(version_or_alias="stable")), "model", "stable", "latest"),
        (stub.GetAlias(registry.GetAliasRequest(alias="stable")), "alias", "stable", "latest"),
        (stub.GetBranch(registry.GetBranchRequest(version_or_alias="1.0", branch="x")), "branch", "x", "water"),
        (
            stub.SignDownloads(registry.SignDownloadsRequest(version_or_alias="1.0", names=["x.pt"])),
            "file",
            "x.pt",
            "model.pt",
        ),
    ):
        error = await error_of(call)
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert there in (error.details() or "")
        info = details(error)["ResourceInfo"]
        assert (info.resource_type, info.resource_name) == (f"potluck/{kind}", name)
        assert details(error)["ErrorInfo"].reason == f"UNKNOWN_{kind.upper()}"


async def test_branches_with_what_is_public_of_them(bench: Bench, public: PublicRegistry) -> None:
    await bench.arrive("Si")
    await bench.arrive("Secret title", private=True, author="Secret author")
    await bench.publish_waiting()
    await fresh(public)
    answer = await public.stub.ListBranches(registry.ListBranchesRequest(version_or_alias="latest"))
    assert answer.version == "1.0"
    shown = {one.dataset.title: one for one in answer.branches}
    silicon, secret = shown["Si"], shown[""]
    assert list(silicon.elements) == ["Si"]
    assert silicon.level_of_theory.functional == "PBE"
    assert (silicon.held_out_frames, silicon.baseline_force_rmse_mev_per_angstrom) == (2, 1000)
    assert silicon.threshold_ev_per_angstrom == pytest.approx(0.25)
    assert secret.dataset.force_rmse_mev_per_angstrom == 400
    assert (list(secret.elements), secret.HasField("level_of_theory"), secret.held_out_frames) == ([], False, 0)
    people = await public.stub.ListContributors(registry.ListContributorsRequest(version_or_alias="1.0"))
    assert [(one.name, list(one.branches)) for one in people.contributors] == [("demo contributor", [silicon.name])]
    assert people.private_datasets == 1
    everything = [
        answer,
        people,
        await public.stub.GetModel(registry.GetModelRequest(version_or_alias="1.0")),
        await public.stub.Resolve(registry.ResolveRequest(elements=registry.Elements(symbols=["Si"]))),
        await public.stub.ListRounds(registry.ListRoundsRequest()),
    ]
    assert "ecret" not in "".join(map(str, everything))
    one = await public.stub.GetBranch(registry.GetBranchRequest(version_or_alias="latest", branch=silicon.name))
    assert one.branch == silicon


async def test_scores_on_the_standard_dataset(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water", frames=30)
    await bench.publish("A", frames=30)
    await fresh(public)
    answer = await public.stub.ListScores(registry.ListScoresRequest())
    assert answer.current_standard >= 1
    assert [one.version for one in answer.scores] == ["1.1", "1.0"]
    assert answer.scores[0].score.branches
    own = await public.stub.ListScores(registry.ListScoresRequest(version_or_alias="latest"))
    model = (await public.stub.GetModel(registry.GetModelRequest(version_or_alias="latest"))).model
    assert [one.score for one in own.scores] == list(model.scores)


async def test_aliases(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water")
    await bench.publish("A")
    async with bench.database.transaction() as conn:
        await bench.store.move_alias(conn, "stable", "1.0", AliasMoveKind.MOVE, "tried")
    await fresh(public)
    answer = await public.stub.ListAliases(registry.ListAliasesRequest(page_size=1))
    rest = await public.stub.ListAliases(registry.ListAliasesRequest(page_size=1, page_token=answer.next_page_token))
    assert [(one.name, one.version) for one in (*answer.aliases, *rest.aliases)] == [
        ("latest", "1.1"),
        ("stable", "1.0"),
    ]
    moves = await public.stub.ListAliasMoves(registry.ListAliasMovesRequest(alias="latest", page_size=1))
    assert ([one.version for one in moves.moves], bool(moves.next_page_token)) == (["1.1"], True)


async def test_an_answer_is_kept_until_something_changes(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water")
    await fresh(public)
    request = registry.GetModelRequest(version_or_alias="1.0")
    before = (await public.stub.GetModel(request)).model
    assert public.querying.answers.kept("GetModel", request.SerializeToString()) is not None
    assert list(before.aliases) == ["latest"]
    async with bench.database.transaction() as conn:
        await bench.store.move_alias(conn, "stable", "1.0", AliasMoveKind.MOVE, "tried")
    await fresh(public)
    assert list((await public.stub.GetModel(request)).model.aliases) == ["latest", "stable"]
    # What a withdrawal changes of old versions, too.
    ref = before.datasets[0]
    await bench.rows("update datasets set state = 'withdrawn' where dataset_id = %s", ref.dataset_id)
    await fresh(public)
    after = (await public.stub.GetModel(request)).model
    assert (after.withdrawn_datasets, after.datasets[0].withdrawn) == (1, True)
    # What does not show in any answer changes no revision.
    revision = (await public.querying.catalogue.current()).index.revision
    await bench.arrive("Later")
    assert (await public.querying.catalogue.current()).index.revision == revision


async def test_nothing_is_answered_from_memory_without_a_recent_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.publish("Si", "Water")
    querying = Querying.built(settings_of(bench), bench.database, bench.blobs, bench.store)
    await querying.catalogue.open()  # nobody follows the database here
    request = registry.GetModelRequest(version_or_alias="1.0")
    asked = request.SerializeToString()
    answer = await querying.answers.encoded("GetModel", asked, request, trusting=True)
    assert querying.answers.kept("GetModel", asked) == answer
    later = time.monotonic() + BELIEVED_SECONDS
    monkeypatch.setattr("registry.queries.catalogue.time", SimpleNamespace(monotonic=lambda: later))
    assert querying.answers.kept("GetModel", asked) is None
    # A question that finds nothing in memory looks, and finds what has changed meanwhile.
    async with bench.database.transaction() as conn:
        await bench.store.move_alias(conn, "stable", "1.0", AliasMoveKind.MOVE, "tried")
    again = await querying.answers.encoded("GetModel", asked, request, trusting=True)
    assert list(registry.GetModelResponse.FromString(again).model.aliases) == ["latest", "stable"]
