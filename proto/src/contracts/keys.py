"""Where objects live in storage. Content-addressed where content is final."""

from uuid import UUID

FORMAT_CATALOG = "catalog/formats.json"
METRIC_POLICY = "catalog/metric.json"
GROWTH_POLICY = "catalog/growth.json"
SIGNING_KEYS = "catalog/signing-keys.json"


def upload_archive(upload_id: UUID) -> str:
    return f"uploads/{upload_id}/archive"


def dataset_file(content_sha256: str, name: str) -> str:
    """Of a parsed dataset: 'train.mdb', 'held-out.mdb', 'hashes.bin', 'manifest-<dataset>-<version>.json'."""
    return f"datasets/{content_sha256}/{name}"


def shared_file(archive_sha256: str, name: str) -> str:
    """Of an archive that is shared only: the copy without what may not be passed on."""
    return f"shared/{archive_sha256}/{name}"


def metric_file(run_id: UUID, name: str) -> str:
    return f"metric/{run_id}/{name}"


def prediction_file(prediction_id: UUID, name: str) -> str:
    """Of a structure that somebody sent, 'text', 'structure.json', 'result.json': deleted soon."""
    return f"predictions/{prediction_id}/{name}"


def round_file(round_id: UUID, name: str) -> str:
    """Work in progress of a round: checkpoints and candidates. Names carry the fence of who wrote them."""
    return f"rounds/{round_id}/{name}"


def standard_dataset(number: int, sha256: str) -> str:
    """A version of the standard dataset."""
    return f"standard/{number}/{sha256}.json"


def model_file(version: str, sha256: str, name: str) -> str:
    """Of a published model: 'model.pt', '<branch>.pth', 'recipe.json', 'manifest.json', …"""
    return f"models/{version}/{sha256}/{name}"
