"""Which standard frames anyone may read of, and that nothing of a private dataset is among it."""

from contracts.artifacts import FrameErrors, HeldOutFrames, ModelManifest
from contracts.standard import StandardDataset
from registry.domain.rounds import Branch
from registry.domain.standard import next_standard
from registry.domain.standard_table import published_standard
from registry_examples import Numbers, branch, manifest, member

FRAMES = 5
LEFT_OUT = (0, 3)
PUBLIC = branch("silicon", is_new=True, of=member("Silicon"))
PRIVATE = branch("contribution-deadbeef", is_new=True, of=member("Secret alloy", private=True))


def candidate(*branches: Branch, left_out: tuple[int, ...] | None = LEFT_OUT) -> ModelManifest:
    """Each branch has five measured frames of two atoms, beside those that were left out."""
    same = FrameErrors(energy_mev_per_atom=(10.0,) * FRAMES, force_mev_per_angstrom=(100.0,) * FRAMES)
    told = manifest(
        {one.name: Numbers(after=(10, 100)) for one in branches},
        new=[one.name for one in branches],
        datasets={one.name: one.member.ref for one in branches},
    )
    frames = {
        one.name: HeldOutFrames(
            atoms=(2,) * FRAMES,
            after=same,
            baseline=same,
            hashes=tuple(name(one.name, place) for place in range(FRAMES)),
        )
        for one in branches
    }
    described = tuple(
        one.model_copy(update={"held_out_frames": frames[one.name], "left_out_held_out": left_out})
        for one in told.branches
    )
    return told.model_copy(update={"branches": described})


def name(of: str, place: int) -> str:
    return f"{9 - place}{of.encode().hex()}".ljust(64, "0")[:64]


def standard(told: ModelManifest, *branches: Branch, most: int = 3) -> StandardDataset:
    made = next_standard(None, told, branches, "1.0", seed=1, most=most)
    assert made is not None
    return made


def test_a_public_frame_is_told_with_its_place_among_all_held_out_frames() -> None:
    told = candidate(PUBLIC)
    made = standard(told, PUBLIC)
    (one,) = published_standard(made, [PUBLIC], told).branches
    assert (one.dataset, one.count, one.frames) == (PUBLIC.member.ref, 3, made.branches[0].frames)
    assert one.positions is not None
    measured = [place for place in range(FRAMES + len(LEFT_OUT)) if place not in LEFT_OUT]
    assert [measured.index(place) for place in one.positions] == [9 - int(frame[0]) for frame in one.frames]
    assert one.baseline_element_energies_ev == {"Si": -107.5}


def test_of_a_private_dataset_the_count_is_all() -> None:
    told = candidate(PUBLIC, PRIVATE)
    made = standard(told, PUBLIC, PRIVATE)
    table = published_standard(made, [PUBLIC, PRIVATE], told)
    public, private = table.branches
    assert public.frames
    assert (private.branch, private.count) == (PRIVATE.name, 3)
    assert (private.dataset, private.frames, private.positions) == (None, (), None)
    assert private.baseline_element_energies_ev is None
    text = table.model_dump_json()
    secrets = (str(PRIVATE.member.ref.dataset_id), "Secret", *(name(PRIVATE.name, place) for place in range(FRAMES)))
    assert not [secret for secret in secrets if secret in text]


def test_a_dataset_that_the_version_does_not_have_is_shown_to_nobody() -> None:
    told = candidate(PUBLIC, PRIVATE)
    table = published_standard(standard(told, PUBLIC, PRIVATE), [PRIVATE], told)
    assert [one.dataset for one in table.branches] == [None, None]


def test_without_word_of_what_was_left_out_hashes_are_told_and_no_places() -> None:
    told = candidate(PUBLIC, left_out=None)
    (one,) = published_standard(standard(told, PUBLIC), [PUBLIC], told).branches
    assert (len(one.frames), one.positions) == (3, None)
