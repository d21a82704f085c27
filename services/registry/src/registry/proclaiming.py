"""What everybody may know from the start: the policy that decides, and the keys that sign. Written when it starts."""

from contracts import keys
from contracts.artifacts import GrowthPolicyInForce, GrowthRule
from kit.blobs import Blobs
from kit.db import Database

from registry.domain.policy import SCORE_OF_THE_BASELINE, GrowthPolicy
from registry.domain.signing import Signer
from registry.stores.proofs import ProofStore

_OF_ROUNDS = (
    "first_round_min_datasets", "gather_seconds", "gather_max_seconds", "max_datasets_per_round", "first_round_steps",
    "growth_round_steps", "steps_per_further_dataset", "steps_per_old_branch", "growth_round_max_steps",
    "weight_exponent", "new_datasets_share", "new_datasets_least_share", "new_datasets_boost",
    "new_datasets_most_steps_per_frame", "max_attempts", "confidence", "bootstrap_draws",
)  # fmt: skip


async def proclaim(database: Database, blobs: Blobs, store: ProofStore, signer: Signer, policy: GrowthPolicy) -> None:
    """Write both where the gateway finds them. Repeating it changes nothing."""
    async with database.transaction() as conn:
        signing = await store.sign_with(conn, signer.key_id, signer.public_key)
    await blobs.put_model(keys.SIGNING_KEYS, signing)
    await blobs.put_model(keys.GROWTH_POLICY, in_force(policy))


def in_force(policy: GrowthPolicy) -> GrowthPolicyInForce:
    """The rules in words with their thresholds."""
    learned = 100 * policy.learned_min_reduction
    standard = 100 * policy.standard_max_worsening
    remembered = 100 * policy.remembered_max_rise
    also = f" It must hold too: {', '.join(policy.withholding_checks)}." if policy.withholding_checks else ""
    return GrowthPolicyInForce(
        rules=(
            GrowthRule(
                rule="learned",
                sentence=f"On every new dataset the held-out force RMSE falls by {learned:g} % or more from zero-shot.",
                numbers={"at_least_percent": learned},
            ),
            GrowthRule(
                rule="standard",
                sentence=f"The standard score is at most {standard:g} % worse than the parent's; a first model scores "
                f"below {SCORE_OF_THE_BASELINE:g}, the composition-only baseline.",
                numbers={"at_most_percent": standard, "first_model_below": SCORE_OF_THE_BASELINE},
            ),
            GrowthRule(
                rule="remembered",
                sentence=f"On no older branch does the held-out force RMSE rise by more than {remembered:g} %.",
                numbers={"at_most_percent": remembered},
            ),
            GrowthRule(
                rule="loads",
                sentence=f"The files load in a fresh process, repeat the trainer's predictions and keep physics.{also}",
            ),
        ),
        withholding_checks=policy.withholding_checks,
        numbers={name: float(getattr(policy, name)) for name in _OF_ROUNDS},
        preset=policy.preset,
    )
