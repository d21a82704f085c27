"""A browser's uploads as slow as a real network: only so can one be paused half-way."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page


@contextmanager
def slow_uploads(page: Page, bytes_per_second: int) -> Iterator[None]:
    """While the block lasts, also after a reload. Another session's word would not lift what this one said."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
    network.send("Network.emulateNetworkConditions", limits)
    yield
    network.detach()
