"""Two regions: measured by the page, uploaded to across origins, downloaded from, and mirrored."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from contracts.base import DatasetRef
from contracts.events import DatasetLookedInto
from playwright.sync_api import Page, expect
from potluck import Client

SignIn = Callable[[httpx.Client], None]


@pytest.fixture(scope="module")
def platform(two_regions: tuple[Any, Path]) -> Any:
    """In place of the site of one region."""
    return two_regions[0]


def test_the_archive_goes_to_the_chosen_region_and_comes_from_there(
    page: Page, two_regions: tuple[Any, Path], sign_in: SignIn, tmp_path: Path
) -> None:
    platform, east = two_regions
    client = platform.client()
    sign_in(client)
    page.goto("/upload")
    region = page.get_by_label("Link address")
    expect(region).to_have_attribute("data-measured", "yes")
    expect(region.locator("option").first).to_have_text(re.compile(r"West · \d+ ms away"))
    expect(region.locator("option", has_text="the fastest")).to_have_count(1)
    region.select_option("east")
    page.get_by_label("Data Name").fill("Eastern silicon")
    page.get_by_label("Author").fill("Mei Lin")
    page.get_by_label("Author").press("Enter")
    page.get_by_label("Description").fill("From far away.")
    page.get_by_label("Upload to the DPA dataset").uncheck()
    file = tmp_path / "data.zip"
    file.write_bytes(b"eastern archive")
    page.locator("#file").set_input_files(file)
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")
    (stored,) = (path for path in east.rglob("archive"))
    assert stored.read_bytes() == b"eastern archive"

    page.get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_label("I have read this and agree").check()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    page.wait_for_url(re.compile("/datasets/"))
    expect(page.get_by_role("region", name="Details")).to_contain_text("East")
    download = page.get_by_role("link", name="Download")
    before = download.get_attribute("href")
    assert before is not None
    assert before.startswith("/"), "only its owner may have it, and the other region does not know them"
    expect(page.get_by_text("is being searched")).to_be_visible()
    dataset_id = UUID(page.url.partition("/datasets/")[2].partition("?")[0])
    platform.say(DatasetLookedInto(dataset=DatasetRef(dataset_id=dataset_id, version=1)))
    expect(page.get_by_text("is being searched")).to_have_count(0)
    page.reload()
    near = download.get_attribute("href")
    assert near is not None
    assert not near.startswith("/")
    assert httpx.get(near, timeout=60).content == b"eastern archive"
    # The region loses it: its mirror gives it out.
    stored.unlink()
    mirror = page.get_by_role("link", name="mirror").get_attribute("href")
    assert platform.ask("GET", mirror).content == b"eastern archive"


class AnswerLost(httpx.HTTPTransport):
    """The answer to the first request that begins an upload is lost on the way."""

    lost = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.method == "POST" and request.url.path == "/api/v1/uploads" and not self.lost:
            self.lost = True
            response.read()
            raise httpx.ReadError("connection reset by peer")
        return response


def test_the_sdk_sends_to_the_region_that_was_chosen(two_regions: tuple[Any, Path], tmp_path: Path) -> None:
    """The ticket in the region's address is told once: when its answer is lost, the SDK begins anew."""
    platform, east = two_regions
    token = platform.client().headers["authorization"].removeprefix("Bearer ")
    content = os.urandom(100_000)
    (tmp_path / "sdk.zip").write_bytes(content)
    network = AnswerLost()
    with Client(platform.url, token, state_folder=tmp_path / "state", http=network) as client:
        assert {one.id for one in client.regions()} == {"west", "east"}
        assert client.nearest_region() is not None
        dataset = client.upload(tmp_path / "sdk.zip", name="SDK", authors=["A"], shared_only=True, region="east")
        assert network.lost
        assert dataset.region == "east"
        (file,) = client.archive_files(client.dataset(dataset.id))
        assert client.download(file, tmp_path / "home").read_bytes() == content
    assert content in [path.read_bytes() for path in east.rglob("archive*") if path.is_file()]
