"""Data for benchmarks of a site."""

from uuid import UUID

import httpx
from gateway_bench import PIECE, TUS, entry

PASSWORD = "a sentence is easy to remember"
METADATA = "filename ZGF0YS56aXA="


def publish_dataset(url: str) -> tuple[UUID, str]:
    """A new public dataset, and the Authorization header of its owner."""
    with httpx.Client(base_url=url, timeout=30) as client:
        account = {"email": "bench@example.org", "name": "Bench", "password": PASSWORD}
        client.post("/api/v1/accounts", json=account).raise_for_status()
        token = client.post("/api/v1/tokens", json=account | {"name": "bench"}).raise_for_status().json()["token"]
        client.headers["authorization"] = f"Bearer {token}"
        begun = client.post("/api/v1/uploads", headers={**TUS, "Upload-Length": "10", "Upload-Metadata": METADATA})
        upload = begun.raise_for_status().headers["location"]
        client.patch(upload, headers={**PIECE, "Upload-Offset": "0"}, content=b"an archive").raise_for_status()
        made = client.post("/api/v1/datasets", json=entry(upload.rsplit("/", 1)[1]) | {"description": "Words. " * 300})
        return UUID(made.raise_for_status().json()["id"]), client.headers["authorization"]


def sign_in(url: str, email: str) -> str:
    """The Cookie header of a browser in which somebody new, or somebody known, has signed in."""
    with httpx.Client(base_url=url, timeout=30) as client:
        client.post("/api/v1/accounts", json={"email": email, "name": "Somebody", "password": PASSWORD})
        client.post("/api/v1/sessions", json={"email": email, "password": PASSWORD}).raise_for_status()
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())
