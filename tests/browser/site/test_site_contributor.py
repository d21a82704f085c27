"""The contributor's way through the pages: join, sign in, upload with a pause, publish, watch it train."""

import base64
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import APIResponse, Page, Route, expect
from slow_network import slow_uploads

PASSWORD = "a sentence as a password"

SignIn = Callable[[httpx.Client], None]


def archive(folder: Path, megabytes: int) -> Path:
    """A zip file that does not compress."""
    path = folder / "silicon.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("run-01/scf.out", os.urandom(megabytes << 20))
    return path


def fill_in(page: Page, name: str) -> None:
    page.get_by_label("Data Name").fill(name)
    for author in ("Demo Contributor", "李华"):
        page.get_by_label("Author").fill(author)
        page.get_by_label("Author").press("Enter")
    page.get_by_label("DFT data format").select_option("qe/pw/scf")
    page.get_by_text("Level of theory").first.click()
    page.get_by_label("Functional").fill("PBE")
    page.get_by_label("Plane-wave cut-off").fill("520 eV")
    page.get_by_label("Description").fill("Silicon with a **vacancy**.")


def test_join_upload_pause_resume_publish_and_watch(page: Page, platform: Any, tmp_path: Path) -> None:
    email = f"{uuid4().hex}@example.org"
    page.goto("/")
    page.get_by_role("main").get_by_role("link", name="Join").click()
    page.get_by_label("Name").fill("Demo Contributor")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.get_by_role("button", name="account menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()

    # Asked to sign in on the way to a page, a person arrives there afterwards.
    page.get_by_role("banner").get_by_role("button", name="Upload").click()
    page.get_by_role("banner").get_by_role("link", name="Upload Data").click()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Upload Data")).to_be_visible()
    page.wait_for_load_state()  # before the script is there the page is a plain form

    fill_in(page, "Silicon vacancies")
    file = archive(tmp_path, megabytes=24)
    with slow_uploads(page, 256 << 10):  # a minute and a half: a late click is in time
        page.locator("#file").set_input_files(file)
        expect(page.locator("#upload-state")).to_contain_text("/s")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#upload-state")).to_contain_text("paused")
    # The page is closed; the same file goes on where it was.
    page.reload()
    page.locator("#file").set_input_files(file)
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified", timeout=60_000)

    fill_in(page, "Silicon vacancies")
    page.get_by_role("button", name="Publish").click()
    page.get_by_label("I have read this and agree").check()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    page.wait_for_url(re.compile("/datasets/"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Silicon vacancies")
    expect(page.get_by_text("Demo Contributor, 李华").first).to_be_visible()
    expect(page.locator("[data-step=submit]")).to_have_attribute("data-state", "active")

    page.goto("/my-uploads")
    expect(page.get_by_role("link", name="Silicon vacancies", exact=True)).to_be_visible()


def test_the_page_lives(page: Page, contribution: Callable[..., Any]) -> None:
    """Open from the start, the page goes through every stage without being loaded again."""
    dataset = contribution("Silicon carbide live")
    page.goto(dataset.path)
    page.evaluate("() => { window.neverReloaded = true; }")
    check, train = page.locator("[data-step=check]"), page.locator("[data-step=train]")
    expect(page.locator("#dataset")).to_have_attribute("data-connection", "open")

    dataset.validated()
    expect(check).to_have_attribute("data-state", "active")
    expect(page.get_by_text("A force of this frame is not a number.")).to_be_visible()
    dataset.checking()
    expect(check).to_contain_text("The model predicts your frames.")
    dataset.passed()
    expect(page.get_by_role("img", name="Force: predicted against DFT")).to_be_visible()
    expect(page.locator("[data-step=queue]")).to_have_attribute("data-state", "active")

    dataset.training().progress(0, 1790)
    expect(train).to_have_attribute("data-state", "active")
    expect(page.locator("#now-value")).to_have_text("1,790")
    expect(page.locator("#zero-value")).to_have_text("1,971")
    dataset.progress(450, 612)
    expect(page.locator("#now-value")).to_have_text("612")
    expect(train).to_contain_text("50 % · step 450 of 900")
    expect(page.locator("#chart canvas")).to_be_visible()
    page.get_by_role("button", name="Energy").click()
    expect(page.locator("#now-value")).to_have_text("30.6")
    expect(page.locator("[data-unit]")).to_have_text(["meV/atom", "meV/atom"])

    dataset.progress(900, 404).published("1.2")
    expect(page.locator("[data-step=done]")).to_have_attribute("data-state", "done")
    expect(page.get_by_text("Force RMSE: 1,971 meV/Å zero-shot, 404 meV/Å on held-out frames now.")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text("Published with DPA 1.2.")
    expect(page.get_by_role("button", name="Energy")).to_be_focused()  # the keyboard stays where it was
    assert page.evaluate("() => window.neverReloaded")
    page.get_by_role("banner").get_by_role("link", name="Models").click()
    page.get_by_role("link", name="DPA 1.2", exact=True).click()
    expect(page.get_by_role("row", name="Silicon carbide live")).to_contain_text("404")


def test_a_point_that_comes_before_the_page_that_shows_it_is_not_lost(
    page: Page, contribution: Callable[..., Any]
) -> None:
    """The page of a moment ago is on its way, and no newer one follows."""
    dataset = contribution("A point on its way").validated().checking().passed()
    page.goto(dataset.path)
    expect(page.locator("[data-step=queue]")).to_have_attribute("data-state", "active")
    expect(page.locator("#dataset")).to_have_attribute("data-connection", "open")
    page.evaluate(
        """() => {
            const stream = new EventSource(document.getElementById("dataset").dataset.events);
            stream.addEventListener("update", (event) => (window.pointHeard ||= event.data.includes("1790")));
        }"""
    )
    asked: list[Route] = []
    earlier: list[APIResponse] = []

    def answer(route: Route) -> None:
        if earlier:
            route.fulfill(response=earlier[0])
        else:
            asked.append(route)

    page.route(lambda url: url.endswith(dataset.path), answer)
    dataset.training()
    while not asked:
        page.wait_for_timeout(10)
    earlier.append(asked[0].fetch())
    dataset.progress(0, 1790)
    page.wait_for_function("() => window.pointHeard")
    asked[0].fulfill(response=earlier[0])
    expect(page.locator("#now-value")).to_have_text("1,790")


@pytest.mark.usefixtures("refusals_expected")
def test_what_is_wrong_stands_at_its_field(page: Page, platform: Any, sign_in: SignIn, tmp_path: Path) -> None:
    sign_in(platform.client())
    page.goto("/upload")
    page.get_by_role("button", name="Publish").click()
    for field, words in (("name", "name"), ("authors", "author"), ("upload_id", "Local Upload")):
        expect(page.locator(f"[data-field={field}] .error")).to_contain_text(words)
    expect(page.get_by_label("Data Name")).to_be_focused()

    too_large = tmp_path / "huge.zip"
    with too_large.open("wb") as file:
        file.truncate(65 << 20)
    page.locator("#file").set_input_files(too_large)
    expect(page.locator("[data-field=upload_id] .error")).to_contain_text("larger than 67.1 MB")

    fill_in(page, "Silicon")
    page.locator("#file").set_input_files(archive(tmp_path, megabytes=1))
    expect(page.locator("#upload-state")).to_contain_text("uploaded and verified")
    # The server's own answer, for what only the server can know: here, that its agreement has changed meanwhile.
    page.evaluate("() => { document.getElementById('publish-form').dataset.agreement = '2001-01'; }")
    page.get_by_role("button", name="Publish").click()
    page.get_by_label("I have read this and agree").check()
    with page.expect_response("**/api/v1/datasets") as refused:
        page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    assert refused.value.status == 422
    expect(page.get_by_role("alert")).to_contain_text("The agreement in force is 2026-11.")


@pytest.mark.usefixtures("refusals_expected")
def test_a_wrong_password_and_a_bad_form(page: Page, platform: Any) -> None:
    page.goto("/sign-in")
    page.get_by_label("Email").fill("nobody@example.org")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no account with this e-mail address and password.")
    expect(page.get_by_label("Email")).to_have_value("nobody@example.org")
    expect(page.get_by_label("Password")).to_have_value("")

    page.goto("/sign-up?lang=zh")
    page.get_by_label("名称").fill("Demo Contributor")
    page.get_by_label("邮箱").fill("nobody@example.org")
    page.get_by_label("密码").fill("short")
    page.get_by_role("button", name="注册").click()
    expect(page.locator("#e-password")).to_contain_text("8")


def test_tokens_are_shown_once_and_revoked(page: Page, platform: Any, sign_in: SignIn) -> None:
    client = platform.client()
    sign_in(client)
    page.goto("/account")
    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    token = page.locator("#new-token").inner_text()
    me = {"authorization": f"Bearer {token}"}
    assert platform.ask("GET", "/api/v1/me", headers=me).json()["email"] == client.headers["x-test-email"]
    page.goto("/account")
    expect(page.locator("#new-token")).to_have_count(0)
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_role("row", name="laptop")).to_have_count(0)
    assert platform.ask("GET", "/api/v1/me", headers=me).status_code == 401


def test_formats_are_found_by_any_of_their_names(page: Page, platform: Any, sign_in: SignIn) -> None:
    sign_in(platform.client())
    page.goto("/upload")
    chosen, search, hint = page.get_by_label("DFT data format"), page.get_by_label("Search formats"), "#format-hint"
    expect(page.locator(hint)).to_contain_text("With detect we look at the names of your files, then into them")
    for typed, name in (("espresso", "qe/pw/scf"), ("OUTCAR", "vasp/outcar"), ("type.raw", "deepmd/npy")):
        search.fill(typed)
        expect(chosen).to_have_value(name)
        expect(chosen.locator("option")).to_have_count(1)
    search.fill("pw.x")
    expect(page.locator(hint)).to_contain_text("several files that belong together. Usual names: *.in, *.out")
    expect(page.locator(hint)).to_contain_text("Example: scf.in and scf.out")
    # Where several fit nothing is chosen for the person: the list is open, with what was chosen before on top.
    search.fill("OUT")
    expect(chosen).to_have_value("qe/pw/scf")
    expect(chosen).to_have_attribute("size", "2")
    expect(page.locator(hint)).to_contain_text("2 formats fit: choose one of the list.")
    chosen.locator("option", has_text="OUTCAR").click()
    expect(chosen).to_have_value("vasp/outcar")
    expect(chosen).not_to_have_attribute("size", "2")
    chosen.select_option("qe/pw/scf")
    search.fill("gromacs")
    expect(page.locator(hint)).to_contain_text("No format of that name")
    search.fill("")
    expect(chosen.locator("option")).to_have_count(4)
    expect(chosen).to_have_value("qe/pw/scf")


def test_a_cutoff_that_is_no_number_is_pointed_out(page: Page, platform: Any, sign_in: SignIn) -> None:
    sign_in(platform.client())
    page.goto("/upload")
    page.get_by_text("Level of theory").first.click()
    page.get_by_label("Plane-wave cut-off").fill("forty Rydberg")
    page.get_by_text("Level of theory").first.click()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("The cut-off is a positive number in eV")).to_be_visible()


@pytest.mark.usefixtures("refusals_expected")
def test_a_form_survives_a_session_that_ended(
    page: Page, platform: Any, contribution: Callable[..., Any], sign_in: SignIn
) -> None:
    dataset = contribution("Forgotten overnight", private=True, description="")
    sign_in(dataset.client)
    page.goto(f"{dataset.path}/publish")
    page.get_by_label("Description").fill("A long text that nobody wants to type twice.")
    page.get_by_label("I have read this and agree").check()
    page.context.clear_cookies(name="potluck-session")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    with page.context.expect_page() as opened:
        page.get_by_role("main").get_by_role("link", name="Sign in").click()
    tab = opened.value
    tab.get_by_label("Email").fill(dataset.client.headers["x-test-email"])
    tab.get_by_label("Password").fill("a sentence as a password")
    tab.get_by_role("main").get_by_role("button", name="Sign in").click()
    tab.wait_for_url(f"{platform.url}/")
    tab.close()
    page.go_back()
    expect(page.get_by_label("Description")).to_have_value("A long text that nobody wants to type twice.")
    page.get_by_label("I have read this and agree").check()
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url(re.compile(f"{dataset.path}$"))


def begun(client: httpx.Client, size: int, sent: int = 0, part: str | None = None) -> str:
    """The address of an upload of which so many bytes have arrived."""
    told = f"filename {base64.b64encode(b'many-runs.tar').decode()}"
    headers = {"tus-resumable": "1.0.0", "upload-length": str(size), "upload-metadata": told}
    if part:
        place = base64.b64encode(part.encode()).decode()
        headers |= {"upload-concat": "partial", "upload-metadata": f"{told},part {place}"}
    location = str(client.post("/api/v1/uploads", headers=headers).raise_for_status().headers["location"])
    piece = {"tus-resumable": "1.0.0", "upload-offset": "0", "content-type": "application/offset+octet-stream"}
    client.patch(location, headers=piece, content=bytes(sent)).raise_for_status()
    return location


def test_parts_are_one_line_and_discarded_together(page: Page, platform: Any, sign_in: SignIn) -> None:
    client = platform.client()
    begun(client, 1000, sent=900)
    parts = [begun(client, 1000, sent=500, part=f"{number}/3") for number in (1, 2, 3)]
    sign_in(client)
    page.goto("/my-uploads")
    rows = page.get_by_role("region", name="Not published yet").get_by_role("row", name="many-runs.tar")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("in 3 parts, side by side")
    expect(rows.first).to_contain_text("50 %")
    rows.first.get_by_role("button", name="Discard").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("90 %")
    assert {client.head(one, headers={"tus-resumable": "1.0.0"}).status_code for one in parts} == {404}
