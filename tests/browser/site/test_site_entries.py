"""The life of an entry on its pages: shared only, new versions, made public, withdrawn, cited, looked at."""

import http.client
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from contracts.events import DatasetLookedInto
from playwright.sync_api import Page, expect

SignIn = Callable[[httpx.Client], None]
Contribute = Callable[..., Any]


def begin(page: Page, name: str, folder: Path, content: bytes = b"an archive") -> None:
    """What every entry needs, and an archive that has arrived."""
    file = folder / "data.zip"
    file.write_bytes(content)
    page.get_by_label("Data Name").fill(name)
    page.get_by_label("Description").fill("Silicon.")
    page.locator("#file").set_input_files(file)
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")


def publish(page: Page) -> None:
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_label("I have read this and agree").check()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    page.wait_for_url(re.compile("/datasets/"))


def test_sharing_only_with_orcid_preview_and_licence(
    page: Page, platform: Any, sign_in: SignIn, tmp_path: Path
) -> None:
    sign_in(platform.client())
    page.goto("/upload")
    author = page.get_by_label("Author")
    author.fill("Mei Lin 0000-0002-1825-0098")
    author.press("Enter")
    expect(page.locator("[data-field=authors] .error")).to_contain_text("This is not an ORCID iD")
    author.fill("Mei Lin 0000-0002-1825-0097")
    author.press("Enter")
    author.fill("李华")
    author.press("Enter")
    begin(page, "Shared silicon", tmp_path)
    page.get_by_label("Upload to the DPA dataset").uncheck()
    expect(page.get_by_label("DFT data format")).to_be_hidden()
    expect(page.get_by_label("Set as Private")).to_be_disabled()
    page.get_by_label("Description").fill("Energy $E = mc^2$ and <script>alert(1)</script>")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview-box math msup")).to_be_visible()
    expect(page.locator("#preview-box")).to_contain_text("<script>alert(1)</script>")
    page.get_by_label("Licence").select_option("CC0-1.0")
    expect(page.locator("#licence-short")).to_contain_text("need not name you")
    publish(page)
    expect(page.get_by_text("Shared, without training").first).to_be_visible()
    expect(page.locator("[data-step=check]")).to_have_attribute("data-state", "skipped")
    expect(page.locator("[data-step=done]")).to_have_attribute("data-state", "done")
    orcid = page.get_by_role("link", name="ORCID iD of Mei Lin")
    expect(orcid).to_have_attribute("href", "https://orcid.org/0000-0002-1825-0097")
    expect(page.get_by_role("region", name="Cite")).to_contain_text("{Mei Lin} and {李华}")
    with page.expect_download() as download:
        page.get_by_role("link", name="CITATION.cff").first.click()
    assert "0000-0002-1825-0097" in download.value.path().read_text()
    page.get_by_role("link", name="CC0-1.0").click()
    expect(page.get_by_role("region", name="CC0-1.0")).to_contain_text("Others may")


def test_what_is_shared_only_is_offered_once_it_was_looked_into(
    page: Page, platform: Any, contribution: Contribute
) -> None:
    dataset = contribution("Copper with POTCARs", dpa=False).reaches("shared")
    page.goto(dataset.path)
    expect(page.get_by_text("Its archive is being searched for files that may not be shared")).to_be_visible()
    expect(page.get_by_role("link", name="Download", exact=True)).to_have_count(0)
    expect(page.locator("#dataset")).to_have_attribute("data-connection", "open")
    cleaned = platform.wait(platform.blobs.put_bytes("shared/x/archive-1.tar.zst", b"cleaned"))
    platform.say(DatasetLookedInto(dataset=dataset.ref, download=cleaned, removed=("run1/POTCAR",)))
    # The page follows by itself.
    left_out = page.get_by_role("region", name="Left out of the download")
    expect(left_out).to_contain_text("the licence of VASP forbids sharing them")
    left_out.get_by_text("1 file left out").click()
    expect(left_out.get_by_text("run1/POTCAR")).to_be_visible()
    expect(page.get_by_text("Its archive is being searched")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert download.value.path().read_bytes() == b"cleaned"


@pytest.mark.usefixtures("refusals_expected")
def test_a_private_dataset_becomes_public(page: Page, contribution: Contribute, sign_in: SignIn) -> None:
    dataset = contribution("Hidden silicon", private=True, description="")
    sign_in(dataset.client)
    page.goto("/my-uploads")
    page.get_by_role("link", name="Publish a public version Hidden silicon").click()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("alert")).to_contain_text("Not published")
    expect(page.get_by_text("A public dataset needs a description.")).to_be_visible()
    page.get_by_label("Description").fill("Silicon for everybody.")
    page.get_by_label("Authors, one a line").fill("Mei Lin 0000-0002-1825-0097\n李华")
    page.get_by_label("Licence").select_option("CC0-1.0")
    page.get_by_label("I have read this and agree").check()
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url(re.compile(f"{dataset.path}$"))
    expect(page.get_by_role("region", name="Activity")).to_contain_text("Made public")
    expect(page.get_by_text("Silicon for everybody.")).to_be_visible()
    shown = httpx.get(f"{page.url.replace('/datasets/', '/api/v1/datasets/')}", timeout=60).json()
    assert (shown["private"], shown["licence"], shown["authors"]) == (False, "CC0-1.0", ["Mei Lin", "李华"])


def test_a_new_version_and_its_history(page: Page, contribution: Contribute, sign_in: SignIn, tmp_path: Path) -> None:
    dataset = contribution("Versioned silicon").validated().checking().passed().reaches("passed")
    sign_in(dataset.client)
    page.goto(dataset.path)
    page.get_by_role("link", name="New version Versioned silicon").click()
    expect(page.get_by_text("This becomes version 2 of Versioned silicon.")).to_be_visible()
    expect(page.get_by_label("Data Name")).to_have_value("Versioned silicon")
    expect(page.locator("#authors")).to_contain_text("李华")
    begin(page, "Versioned silicon, corrected", tmp_path, b"another archive")
    publish(page)
    versions = page.get_by_role("region", name="Versions")
    expect(versions.get_by_role("listitem")).to_have_count(2)
    versions.get_by_role("link", name="Version 1", exact=True).click()
    expect(page.get_by_text("There is a newer version.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Versioned silicon")
    page.get_by_role("link", name="Go to version 2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Versioned silicon, corrected")


def test_withdrawing_says_what_happens_first(page: Page, contribution: Contribute, sign_in: SignIn) -> None:
    dataset = contribution("Regretted silicon").validated().checking().passed().training().published("7.1")
    dataset.reaches("published")
    sign_in(dataset.client)
    page.goto(dataset.path)
    page.get_by_role("link", name="Withdraw Regretted silicon").click()
    consequences = page.get_by_role("main").get_by_role("list")
    for words in ("Downloads stop at once.", "The next round leaves it out.", "DPA 7.1", "It cannot be undone."):
        expect(consequences).to_contain_text(words)
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name="Withdraw Regretted silicon").click()
    page.get_by_label("I understand what happens").check()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("Its contributor took this dataset back.")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
    expect(page.locator("[data-step=done]")).to_have_attribute("data-state", "stopped")
    assert httpx.get(f"{page.url.replace('/datasets/', '/api/v1/datasets/')}/archive", timeout=60).status_code == 410


@pytest.mark.usefixtures("refusals_expected")
def test_withdrawing_asks_for_a_yes(page: Page, contribution: Contribute, sign_in: SignIn) -> None:
    dataset = contribution("Kept silicon")
    sign_in(dataset.client)
    page.goto(f"{dataset.path}/withdraw")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("alert")).to_contain_text("You have not confirmed it yet.")
    assert dataset.client.get(f"/api/v1{dataset.path}").json()["state"] == "uploaded"


def test_structures_are_drawn_when_they_are_seen(page: Page, contribution: Contribute) -> None:
    dataset = contribution("Drawn silicon carbide").with_counts().knows("ingest")
    page.goto(dataset.path)
    stage = page.locator("#structures .stage")
    stage.scroll_into_view_if_needed()
    expect(stage.locator("canvas")).to_be_visible()
    expect(page.locator("#structures [data-about]")).to_have_text("Frame 1 · C4 Si4 · 8 atoms")
    # What is drawn comes with the next frame of the screen, whenever that is.
    first = drawn(page, "now => now.drawn > 200")  # of 100 × 100 samples
    page.get_by_label("Frame", exact=True).fill("4")
    expect(page.locator("#structures [data-about]")).to_have_text("Frame 65 · C4 Si4 · 8 atoms")
    fourth = drawn(page, f"now => now.sum !== {first['sum']}")
    stage.focus()
    page.keyboard.press("ArrowLeft")
    drawn(page, f"now => now.sum !== {fourth['sum']}")
    table = page.get_by_role("group", name="Elements").get_by_role("table")
    expect(table.get_by_role("row", name="Si 256")).to_contain_text("50 %")


def drawn(page: Page, condition: str) -> dict[str, Any]:
    """How many samples of the drawing are not empty, and a sum over all of them; waits until that is as asked."""
    found = page.wait_for_function(
        """() => {
        const canvas = document.querySelector("#structures .stage canvas");
        const copy = Object.assign(document.createElement("canvas"), { width: 100, height: 100 }).getContext("2d");
        copy.drawImage(canvas, 0, 0, 100, 100);
        const data = copy.getImageData(0, 0, 100, 100).data;
        let drawn = 0, sum = 0;
        for (let i = 0; i < data.length; i += 4) { drawn += data[i + 3] > 0; sum += (i % 97) * data[i] + data[i + 3]; }
        return CONDITION({ drawn, sum }) && { drawn, sum };
    }""".replace("CONDITION", f"({condition})")
    )
    return dict(found.json_value())


@pytest.mark.usefixtures("refusals_expected")
def test_a_session_that_ends_in_the_middle_of_an_upload(
    page: Page, platform: Any, sign_in: SignIn, tmp_path: Path
) -> None:
    """The form stays; signed in again, the upload goes on."""
    client = platform.client()
    sign_in(client)
    page.goto("/upload")
    page.get_by_label("Data Name").fill("Interrupted silicon")
    (session,) = (one for one in page.context.cookies() if one.get("name") == "potluck-session")
    page.context.clear_cookies()
    file = tmp_path / "data.zip"
    file.write_bytes(b"an archive")
    page.locator("#file").set_input_files(file)
    expect(page.locator("[data-field=upload_id] .error")).to_contain_text("You are signed out. What arrived is kept")
    expect(page.locator("[data-field=upload_id] .error").get_by_role("link", name="Sign in")).to_be_visible()
    page.context.add_cookies([{"name": "potluck-session", "value": session.get("value", ""), "url": platform.url}])
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")
    expect(page.get_by_label("Data Name")).to_have_value("Interrupted silicon")


def test_long_and_strange_content_stays_in_its_place(page: Page, contribution: Contribute, sign_in: SignIn) -> None:
    name = "مرحبا <script>alert(1)</script> '; drop table datasets; -- ../../etc/passwd \U0001f9ea " + "x" * 125
    authors = [f"Author {number} of sixty" for number in range(59)] + ["الدكتور <b>علي</b>"]
    dataset = contribution(name[:200], authors=authors, description="‮ hidden turn, <img src=x onerror=alert(1)>")
    dataset.validated()
    sign_in(dataset.client)
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        for path in (dataset.path, "/my-uploads", "/datasets", f"/upload?dataset={dataset.ref.dataset_id}"):
            page.goto(path)
            page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")
    page.goto(dataset.path)
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")
    page.get_by_text("and 52 more").click()
    expect(page.get_by_role("region", name="Details")).to_contain_text("الدكتور <b>علي</b>")


FORM = {
    "name": "Plain silicon",
    "authors": "Mei Lin 0000-0002-1825-0097\r\n李华",
    "dpa": "on",
    "format": "detect",
    "licence": "CC-BY-4.0",
    "description": "Sent without script.",
    "cutoff": "520 eV",
    "agreement": "2026-11",
    "key": "plain-form-1",
}


def signed_in(platform: Any) -> httpx.Client:
    """With a cookie, as a browser."""
    client = platform.client()
    email = client.headers["x-test-email"]
    browser = httpx.Client(base_url=platform.url, timeout=30, headers={"accept": "text/html", "x-test-email": email})
    credentials = {"email": email, "password": "a sentence as a password"}
    browser.post("/api/v1/sessions", json=credentials).raise_for_status()
    return browser


def test_the_form_without_script(platform: Any) -> None:
    browser = signed_in(platform)
    # A complaint keeps what was typed, and the archive.
    refused = browser.post("/upload", data=FORM | {"name": "x" * 201}, files={"archive": ("data.zip", b"archive")})
    assert refused.status_code == 422
    assert "A dataset needs a name of 1 to 200 characters." in refused.text
    assert "The archive has arrived and is kept" in refused.text
    assert "Sent without script." in refused.text
    upload_id = re.search(r'name="upload_id" value="([0-9a-f-]+)"', refused.text)
    assert upload_id is not None
    for _ in range(2):  # a form that is sent twice is one entry
        done = browser.post("/upload", data=FORM | {"upload_id": upload_id[1]}, files={"archive": ("", b"")})
        assert done.status_code == 303, done.text
    made = browser.get(f"/api/v1{done.headers['location']}").json()
    assert (made["authors"], made["orcids"]) == (["Mei Lin", "李华"], {"Mei Lin": "0000-0002-1825-0097"})
    assert (made["filename"], made["size"], made["declared"]["cutoff_ev"]) == ("data.zip", 7, 520.0)
    assert browser.get("/api/v1/datasets?mine=1").json()["total"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "A dataset needs a name"),
        ({"authors": " "}, "A dataset needs at least one author."),
        ({"authors": "Mei Lin 0000-0002-1825-0098"}, "The ORCID iD of Mei Lin is not valid"),
        ({"description": ""}, "A public dataset needs a description."),
        ({"cutoff": "forty Rydberg"}, "The cut-off is no number."),
        ({"agreement": ""}, "The contributor agreement has not been agreed to."),
        ({"licence": "MIT"}, "This licence is not among ours."),
        ({"format": "../../etc/passwd"}, "is not a format with labels that dpdata reads."),
        ({"name": "Si\u202eC"}, "U+202E"),
        ({"key": "a\x00b"}, "printable characters"),
    ],
)
def test_every_field_of_the_form_without_script_answers_in_words(
    platform: Any, change: dict[str, str], words: str
) -> None:
    browser = signed_in(platform)
    answer = browser.post("/upload", data=FORM | change, files={"archive": ("data.zip", b"archive")})
    assert answer.status_code == 422
    assert words in answer.text


def test_a_page_beyond_the_last_leads_to_the_last(platform: Any) -> None:
    browser = signed_in(platform)
    beyond = browser.get("/my-uploads?page=99")
    assert (beyond.status_code, beyond.headers["location"]) == (303, "/my-uploads?page=1")
    assert browser.get("/my-uploads?page=1").status_code == 200


def test_what_the_form_without_script_cannot_take(platform: Any) -> None:
    browser = signed_in(platform)
    missing = browser.post("/upload", data=FORM, files={"archive": ("", b"")})
    assert missing.status_code == 422
    assert "No archive was chosen." in missing.text
    # What is announced as too large is refused before it is sent.
    connection = http.client.HTTPConnection(urlsplit(platform.url).netloc, timeout=10)
    connection.putrequest("POST", "/upload")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    announced = {"cookie": cookie, "accept": "text/html", "content-length": "102000000"}
    for name, value in announced.items():
        connection.putheader(name, value)
    connection.endheaders()
    huge = connection.getresponse()
    assert huge.status == 413
    assert "potluck command line" in huge.read().decode()
    stranger = platform.ask("POST", "/upload", data=FORM, files={"archive": ("data.zip", b"archive")})
    assert stranger.status_code == 401


def test_another_account_finds_nothing_of_a_private_dataset(platform: Any, contribution: Contribute) -> None:
    dataset = contribution("Secret silicon", private=True).validated().checking().passed().reaches("passed")
    eve, owner = signed_in(platform), dataset.client
    pages = ("", "?version=1", "/publish", "/withdraw", "/citation.bib", "/CITATION.cff")
    files = ("", "/history", "/structures", "/citation", "/archive", "/metric", "/pictures/parity-force.png", "/events")
    reads = [f"{dataset.path}{one}" for one in pages] + [f"/api/v1{dataset.path}{one}" for one in files]
    reads += [f"{one}?version=1" for one in reads if "?" not in one]
    reads.append(f"/upload?dataset={dataset.ref.dataset_id}")
    for path in reads:
        answer = eve.get(path)
        assert answer.status_code == 404, path
        assert "Secret" not in answer.text, path
    for path in (f"{dataset.path}/publish", f"{dataset.path}/withdraw", f"{dataset.path}/metric/reruns"):
        assert eve.post(path, data={"understood": "yes", "agreement": "2026-11"}).status_code == 404, path
    for path in (f"/api/v1{dataset.path}/public", f"/api/v1{dataset.path}/withdrawal"):
        assert eve.post(path, json={"agreement": True}).status_code in (404, 422), path
    assert owner.get(f"/api/v1{dataset.path}").json()["state"] == "passed"
