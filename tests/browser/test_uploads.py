"""Uploading in a real browser: progress, broken connections, restarts, and what Python hears."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Dialog, Locator, Page, Request, Route, expect

from benchmarks.upload import make_film, memory_of, upload_with_a_break
from core.media import content_hash
from tests.app_server import Server, running_app
from tests.browser.conftest import settled

SLICE_BYTES = 8 * 1024 * 1024
APP = "tests/browser/uploads_app.py"
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_app(tmp_path_factory.mktemp("uploads"), script=APP) as server:
        yield server


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file of five slices, unlike any other."""
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(4 * SLICE_BYTES + 1234))
    return path


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Of a visitor of its own: the browser notes how far a file is, and its line is cut."""
    return context.new_page()


def open_uploader(page: Page, server: Server) -> None:
    page.goto(server.url)
    # Its markup is there before its script, which puts this and hears nothing earlier.
    expect(page.get_by_text("Up to 4 GB each")).to_be_visible(timeout=WAIT_MS)


def choose(page: Page, *files: Path) -> None:
    page.locator("[data-testid=uploader] input[type=file]").set_input_files(files)


def line(page: Page, name: str) -> Locator:
    return page.get_by_test_id("upload").filter(has_text=name)


def expect_state(row: Locator, state: str) -> None:
    expect(row).to_have_attribute("data-state", re.compile(state), timeout=WAIT_MS)


def expect_copies(page: Page, names: str) -> None:
    expect(page.get_by_text(f"Copies: {names}", exact=True)).to_be_visible(timeout=WAIT_MS)


def copies(server: Server, name: str) -> list[bytes]:
    return [path.read_bytes() for path in (server.data_dir / "media").glob(f"*/{name}")]


def partly_here(server: Server) -> list[int]:
    return [part.stat().st_size for part in (server.data_dir / "uploads").glob("*.part")]


class Gate:
    """Lets the first `slices` of an upload pass and holds back the next one, until it is opened."""

    def __init__(self, page: Page, slices: int) -> None:
        self._left = slices
        self._held: list[Route] = []
        self._page = page
        page.context.route("**/upload/*", self._pass)

    def _pass(self, route: Route) -> None:
        if route.request.method == "PATCH":
            self._left -= 1
            if self._left < 0:
                self._held.append(route)
                return
        route.continue_()

    def wait(self) -> None:
        """Until a slice is held back."""
        while not self._held:
            self._page.wait_for_timeout(20)

    def cut(self) -> None:
        """Breaks the connection of what is held back, and of all that follows."""
        self._page.context.set_offline(True)
        for route in self._held:
            route.abort("connectionreset")

    def let_through(self) -> None:
        """Sends what is held back on its way."""
        for route in self._held:
            route.continue_()

    def open(self) -> None:
        self._page.context.unroute("**/upload/*")
        self._page.context.set_offline(False)


def sent_offsets(page: Page) -> list[int]:
    """Grows by the offset of each slice that the page sends."""
    offsets: list[int] = []

    def note(request: Request) -> None:
        if "upload-offset" in request.headers:
            offsets.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    return offsets


def test_a_file_is_sent_in_slices_and_python_hears_of_it_once_it_is_here(
    server: Server, page: Page, film: Path
) -> None:
    open_uploader(page, server)
    expect_copies(page, "none")
    offsets = sent_offsets(page)
    choose(page, film)
    expect_copies(page, "film.mp4")
    row = line(page, "film.mp4")
    expect(row).to_contain_text("32 MB")
    expect(row).to_contain_text("Uploaded")
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(page.get_by_role("status").filter(has_text="film.mp4 is uploaded")).to_have_count(1)
    assert offsets == [number * SLICE_BYTES for number in range(5)]
    assert film.read_bytes() in copies(server, "film.mp4")
    # Once the copy is a job's, its line has done its work.
    page.get_by_role("button", name="Add", exact=True).click()
    expect_copies(page, "none")
    expect(row).to_have_count(0)


def test_an_upload_goes_on_where_the_connection_broke(
    server: Server, page: Page, film: Path
) -> None:
    open_uploader(page, server)
    expect_copies(page, "none")
    offsets = sent_offsets(page)
    gate = Gate(page, slices=2)
    choose(page, film)
    gate.wait()
    gate.cut()
    row = line(page, "film.mp4")
    expect_state(row, "paused")
    expect(row).to_contain_text("Connection lost, trying again")
    gate.open()
    expect_copies(page, "film.mp4")
    assert film.read_bytes() in copies(server, "film.mp4")
    # Nothing that had arrived was sent again.
    assert sorted(set(offsets)) == [number * SLICE_BYTES for number in range(5)]
    assert offsets.count(0) == offsets.count(SLICE_BYTES) == 1


def test_an_upload_goes_on_when_the_server_is_started_again(
    tmp_path: Path, page: Page, film: Path
) -> None:
    with running_app(tmp_path / "app", script=APP) as server:
        open_uploader(page, server)
        expect_copies(page, "none")
        gate = Gate(page, slices=3)
        choose(page, film)
        gate.wait()
        assert partly_here(server) == [3 * SLICE_BYTES]
        port = int(server.url.rsplit(":", 1)[1])
    gate.cut()
    expect_state(line(page, "film.mp4"), "paused")
    offsets = sent_offsets(page)
    with running_app(tmp_path / "app", script=APP, port=port) as server:
        gate.open()
        expect_copies(page, "film.mp4")
        assert copies(server, "film.mp4") == [film.read_bytes()]
        assert min(offsets) == 3 * SLICE_BYTES


def test_the_same_file_chosen_after_a_reload_goes_on_where_it_stopped(
    server: Server, page: Page, film: Path
) -> None:
    open_uploader(page, server)
    expect_copies(page, "none")
    gate = Gate(page, slices=3)
    choose(page, film)
    gate.wait()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect_copies(page, "none")
    expect(page.get_by_test_id("upload")).to_have_count(0)
    gate.open()
    offsets = sent_offsets(page)
    choose(page, film)
    expect_copies(page, "film.mp4")
    assert offsets == [3 * SLICE_BYTES, 4 * SLICE_BYTES]
    assert film.read_bytes() in copies(server, "film.mp4")


def test_leaving_is_warned_of_only_while_something_is_sent(
    server: Server, page: Page, film: Path
) -> None:
    warnings: list[str] = []

    def leave(dialog: Dialog) -> None:
        warnings.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    open_uploader(page, server)
    expect_copies(page, "none")
    choose(page, film)
    expect_copies(page, "film.mp4")
    page.get_by_role("button", name="Run again").click()
    page.reload()
    assert warnings == []
    expect_copies(page, "none")
    film.write_bytes(os.urandom(2 * SLICE_BYTES))
    gate = Gate(page, slices=1)
    choose(page, film)
    gate.wait()
    # Browsers warn only those who have touched the page.
    page.get_by_role("button", name="Run again").click()
    page.reload()
    assert warnings == ["beforeunload"]
    gate.open()


def test_reruns_and_other_pages_neither_stop_nor_lose_an_upload(
    server: Server, page: Page, film: Path
) -> None:
    open_uploader(page, server)
    expect_copies(page, "none")
    offsets = sent_offsets(page)
    gate = Gate(page, slices=2)
    choose(page, film)
    gate.wait()
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("Run 2")).to_be_visible()
    expect_state(line(page, "film.mp4"), "sending")
    page.get_by_role("link", name="elsewhere").click()
    expect(page.get_by_text("Another page")).to_be_visible()
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and answer.status == 200
    ):
        gate.let_through()
        gate.open()
    page.get_by_role("link", name="files").click()
    expect_state(line(page, "film.mp4"), "done")
    expect_copies(page, "film.mp4")
    assert offsets == [number * SLICE_BYTES for number in range(5)]


def test_a_cancelled_upload_leaves_the_page_and_the_disk_and_the_next_file_is_sent(
    server: Server, page: Page, film: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(os.urandom(1234))
    open_uploader(page, server)
    expect_copies(page, "none")
    before = partly_here(server)
    gate = Gate(page, slices=2)
    choose(page, film, other)
    gate.wait()
    expect_state(line(page, "other.mp4"), "waiting")
    assert sorted(partly_here(server)) == sorted([*before, 2 * SLICE_BYTES])
    gate.open()
    page.get_by_role("button", name="Cancel the upload of film.mp4").click()
    expect(line(page, "film.mp4")).to_have_count(0)
    expect(page.get_by_role("button", name="other.mp4")).to_be_focused()
    expect_copies(page, "other.mp4")
    assert partly_here(server) == before


def test_a_finished_file_that_is_removed_leaves_the_disk(
    server: Server, page: Page, tmp_path: Path
) -> None:
    film = tmp_path / "unwanted.mp4"
    film.write_bytes(os.urandom(1234))
    open_uploader(page, server)
    choose(page, film)
    expect_copies(page, "unwanted.mp4")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Remove unwanted.mp4").click()
    expect_copies(page, "none")
    assert copies(server, "unwanted.mp4") == []
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()


def test_what_cannot_be_uploaded_says_why_and_the_rest_goes_on(
    server: Server, page: Page, tmp_path: Path
) -> None:
    empty, huge, good = (tmp_path / f"{name}.mp4" for name in ("empty", "huge", "good"))
    empty.touch()
    with huge.open("wb") as file:
        file.truncate(4 * 1024**3 + 1)
    good.write_bytes(os.urandom(1234))
    open_uploader(page, server)
    choose(page, empty, huge, good)
    expect_copies(page, "good.mp4")
    expect(line(page, "empty.mp4")).to_contain_text("This file is empty.")
    expect(line(page, "huge.mp4")).to_contain_text("This file is too large.")


def test_a_refusal_of_the_server_is_shown_and_can_be_tried_again(
    server: Server, page: Page, film: Path
) -> None:
    full = {"message": "The server's disk is full.", "hint": "Free some space there."}
    open_uploader(page, server)
    page.route("**/upload/*", lambda route: route.fulfill(status=507, json=full))
    choose(page, film)
    row = line(page, "film.mp4")
    expect_state(row, "error")
    expect(row).to_contain_text("The server's disk is full. Free some space there.")
    page.unroute("**/upload/*")
    row.get_by_role("button", name="Try again").click()
    expect_copies(page, "film.mp4")
    assert film.read_bytes() in copies(server, "film.mp4")


def test_a_file_that_changed_since_it_was_chosen_is_named(
    server: Server, page: Page, film: Path
) -> None:
    open_uploader(page, server)
    gate = Gate(page, slices=1)
    choose(page, film)
    gate.wait()
    film.write_bytes(b"another film")
    gate.cut()
    gate.open()
    row = line(page, "film.mp4")
    expect_state(row, "error")
    expect(row).to_contain_text("This file was moved or changed.")


def test_a_file_can_be_dropped(server: Server, page: Page) -> None:
    open_uploader(page, server)
    zone = page.locator("[data-testid=uploader] .zone")
    dropped = page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["frames"], "dropped.mp4"));
          return transfer;
        }"""
    )
    zone.dispatch_event("drop", {"dataTransfer": dropped})
    expect_copies(page, "dropped.mp4")


def test_the_keyboard_reaches_everything(server: Server, page: Page, tmp_path: Path) -> None:
    film = tmp_path / "keys.mp4"
    film.write_bytes(os.urandom(1234))
    open_uploader(page, server)
    settled(page)
    button = page.get_by_role("button", name="Choose files")
    with page.expect_file_chooser() as chooser:
        button.press("Enter")
    chooser.value.set_files(film)
    expect_copies(page, "keys.mp4")
    settled(page)
    button.press("Tab")
    remove = page.get_by_role("button", name="Remove keys.mp4")
    expect(remove).to_be_focused()
    remove.press("Enter")
    expect_copies(page, "none")


def test_an_id_this_server_does_not_know_is_ignored(server: Server, page: Page, film: Path) -> None:
    open_uploader(page, server)
    made_up = {"received": film.stat().st_size, "finished": True}
    page.route("**/upload/*", lambda route: route.fulfill(json=made_up))
    page.route("**/upload", lambda route: route.fulfill(json={"id": "made-up"}))
    choose(page, film)
    expect(line(page, "film.mp4")).to_have_count(0, timeout=WAIT_MS)
    expect_copies(page, "none")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_scrolls_sideways(server: Server, page: Page, tmp_path: Path, width: int) -> None:
    film = tmp_path / f"{'a very long name ' * 8}.mp4"
    film.write_bytes(os.urandom(1234))
    page.set_viewport_size({"width": width, "height": 844})
    open_uploader(page, server)
    choose(page, film)
    expect_state(page.get_by_test_id("upload"), "done")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_app_below_a_base_path_takes_uploads_there(
    tmp_path: Path, context: BrowserContext, film: Path
) -> None:
    with running_app(tmp_path / "app", script=APP, base_path="/films") as server:
        page = context.new_page()
        open_uploader(page, server)
        choose(page, film)
        expect_copies(page, "film.mp4")
        assert httpx.post(f"{server.url}/upload").status_code == 403


def test_two_gigabytes_pass_through_the_real_app_without_filling_its_memory(
    tmp_path: Path, page: Page
) -> None:
    film = make_film(tmp_path / "film.mp4", 2 * 1024**3)
    with running_app(tmp_path / "app") as server:
        page.goto(f"{server.url}/library")
        expect(page.get_by_role("button", name="Choose files")).to_be_visible(timeout=WAIT_MS)
        with memory_of(server.process.pid) as memory:
            upload_with_a_break(page, film)
        (copy,) = (server.data_dir / "media").glob("*/film.mp4")
        assert copy.parent.name == content_hash(film)[:32] == content_hash(copy)[:32]
    assert memory.growth < 50
    # A gigabyte and more would stay until pytest tidies up.
    film.unlink()
    copy.unlink()
