"""What a receipt says, and that not one digit of it can be changed."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.base import RuleResult
from contracts.signed import Receipt, SignedReceipt, canonical, plain
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from registry.domain.costs import round_cost
from registry.domain.policy import judge
from registry.domain.receipts import receipts
from registry.domain.rounds import Usage
from registry.domain.signing import Signer
from registry_examples import COST, Numbers, branch, manifest, member, policy

SIGNER = Signer("22" * 32)
AT = datetime(2026, 11, 25, 19, 2, 11, 250_000, UTC)
OLD, WATER, NEW = member("Si"), member("Water"), member("SiC", private=True)
BRANCHES = (
    branch("si", is_new=False, of=OLD, weight=0.2),
    branch("water", is_new=False, of=WATER, weight=0.3),
    branch("contribution-1", of=NEW, weight=0.5),
)
NUMBERS = {
    "si": Numbers(after=(10, 160), before=(10, 200)),
    "water": Numbers(after=(8, 103), before=(8, 100)),
    "contribution-1": Numbers(after=(20.123456, 404), before=(80, 1971)),
}
REFS = {"si": OLD.ref, "water": WATER.ref, "contribution-1": NEW.ref}
CANDIDATE = manifest(NUMBERS, new=["contribution-1"], datasets=REFS)
RULES = judge(CANDIDATE, ["si", "water"], ["contribution-1"], policy()).rules


def issued(version: str | None = "1.1", rules: tuple[RuleResult, ...] = RULES) -> tuple[Receipt, ...]:
    return receipts(CANDIDATE, BRANCHES, rules, version, AT)


def test_every_dataset_of_the_round_gets_one() -> None:
    si, water, new = issued()
    assert [(one.branch, one.role) for one in (si, water, new)] == [
        ("si", "replayed"),
        ("water", "replayed"),
        ("contribution-1", "new"),
    ]
    assert (new.dataset_id, new.dataset_version) == (NEW.ref.dataset_id, 1)
    assert (new.outcome, new.model_version, new.parent_version, new.issued) == (
        "published",
        "1.1",
        "1.0",
        "2026-11-25T19:02:11Z",
    )
    assert new.own is not None
    assert new.own.before is not None
    assert (new.own.before.force_rmse_mev_per_angstrom, new.own.after.force_rmse_mev_per_angstrom) == (1971, 404)
    assert new.others is not None
    assert new.others.branches == 2
    # Geometric means: √(200·100) before, √(160·103) after.
    assert new.others.before.force_rmse_mev_per_angstrom == pytest.approx(141.421356)
    assert new.others.after.force_rmse_mev_per_angstrom == pytest.approx(128.374452)
    assert new.others.largest_force_rise_percent == pytest.approx(3)
    assert new.standard is not None
    assert new.standard.before is not None
    assert new.standard.after < new.standard.before
    assert si.others is not None
    assert si.others.branches == 1
    assert si.others.largest_force_rise_percent == pytest.approx(3)


def test_a_first_model_has_nothing_before_and_no_others() -> None:
    first = manifest({"si": Numbers(after=(10, 160))}, new=["si"], parent=None, datasets=REFS)
    (one,) = receipts(first, [branch("si", of=OLD)], judge(first, [], ["si"], policy()).rules, "1.0", AT)
    assert one.own is not None
    assert one.own.before is None
    assert one.others is None
    assert one.standard is not None
    assert one.standard.before is None


def test_a_withheld_candidate_is_told_as_such() -> None:
    failed = RuleResult(rule="remembered", passed=False, sentence="It forgot.")
    one = issued(None, (*RULES[:1], failed))[2]
    assert (one.outcome, one.model_version, one.failed_rules) == ("withheld", None, ("remembered",))
    assert one.standard is None  # that rule told no numbers


def verified(document: dict[str, Any]) -> None:
    key = Ed25519PublicKey.from_public_bytes(b64decode(SIGNER.public_key))
    key.verify(b64decode(document["signature"]["value"]), canonical(document["receipt"]))


def test_the_signature_holds_after_every_way_through_json() -> None:
    signed = SIGNER.receipt(issued()[2])
    verified(signed.document())
    # As an event and back, as indented JSON with other order.
    again = SignedReceipt.model_validate_json(signed.model_dump_json())
    verified(again.document())
    verified(json.loads(json.dumps(dict(reversed(again.document().items())), indent=3)))


def test_a_flipped_digit_is_seen() -> None:
    text = json.dumps(SIGNER.receipt(issued()[2]).document()["receipt"])
    digits = [place for place, character in enumerate(text) if character.isdigit()]
    assert len(digits) > 100
    signature = SIGNER.receipt(issued()[2]).document()["signature"]
    seen = 0
    for place in digits:
        changed = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
        try:
            receipt = json.loads(changed)
        except ValueError:
            continue  # a number with a leading zero
        with pytest.raises(InvalidSignature):
            verified({"receipt": receipt, "signature": signature})
        seen += 1
    assert seen > 100


def test_another_key_signs_otherwise() -> None:
    other = Signer("33" * 32)
    assert other.key_id != SIGNER.key_id
    with pytest.raises(InvalidSignature):
        verified(other.receipt(issued()[0]).document())


@pytest.mark.parametrize(
    ("value", "written"),
    [(1.0, "1"), (0.00001, "0"), (-0.00001, "0"), (12.34567, "12.3457"), (1e-4, "0.0001"), (404, "404")],
)
def test_numbers_are_written_as_every_language_writes_them(value: float, written: str) -> None:
    assert canonical(plain({"å": [value]})).decode() == f'{{"å":[{written}]}}'


def test_a_cost_is_the_sum_of_what_was_told() -> None:
    lost = Usage(core_seconds=3600, gpu_seconds=1800, gpu_joules=1.8e6)
    total = round_cost(3, {1: lost, 3: Usage(1, 1)}, COST)
    assert total is not None
    assert (total.attempts, total.attempts_told) == (3, 2)
    assert (total.core_hours, total.gpu_hours) == (1.5, 1.0)
    assert total.gpu_energy_kwh == pytest.approx(0.75)
    assert total.cpu_energy_kwh is None


def test_energy_that_one_attempt_did_not_tell_is_unknown() -> None:
    total = round_cost(2, {1: Usage(10, 10)}, COST)
    assert total is not None
    assert total.gpu_energy_kwh is None


def test_nothing_told_is_no_cost_of_zero() -> None:
    assert round_cost(2, {}, None) is None
