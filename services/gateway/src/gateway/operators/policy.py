"""What datasets are judged by, as metric wrote it down when it started."""

from contracts import keys
from contracts.artifacts import MetricPolicy
from kit.blobs import BlobMissing, Blobs

from gateway.problems import Problem


async def metric_policy(blobs: Blobs) -> MetricPolicy:
    """Raises Problem 503 when metric has never started."""
    try:
        return await blobs.get_model(keys.METRIC_POLICY, MetricPolicy)
    except BlobMissing:
        raise Problem(
            503,
            "policy-not-ready",
            "Not quite ready",
            "What datasets are judged by is not there yet: the service that judges them is starting.",
            remedy="Try again in a minute.",
            headers={"retry-after": "10"},
        ) from None
