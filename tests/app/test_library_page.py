"""The Library page in each of its states; the service is the project's own stand-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from components import resources
from core import Job, Library, Stage
from tests.app.conftest import open_page, texts
from tests.contract.standin import StandIn
from tests.media import make_video
from tests.web import Page, Web

KEY = "tlk_0123456789ABCDEF"
TASK = "GET /embed-v2/tasks/{id}"
NEW_TASK = "POST /embed-v2/tasks"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six seconds, as the bytes of a file."""
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", seconds=6, fps=5).read_bytes()


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn(key=KEY, allow_private_media=True) as running:
        yield running


@pytest.fixture
def paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: StandIn) -> Iterator[Library]:
    """A library whose embedder is a service that costs ten dollars a minute."""
    for name, value in {
        "SEEKPOINT_DATA_DIR": str(tmp_path / "data"),
        "SEEKPOINT_EMBEDDER": "twelvelabs",
        "SEEKPOINT_ALLOW_PRIVATE_URLS": "1",
        "TWELVELABS_API_KEY": KEY,
        "TWELVELABS_BASE_URL": service.url,
        "TWELVELABS_PRICE_PER_MINUTE": "10",
        "TWELVELABS_REQUESTS_PER_MINUTE": "1000",
    }.items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()
    yield resources.library()
    st.cache_resource.clear()


@pytest.fixture
def free(library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library with the embedder of our own, which may fetch from this machine."""
    monkeypatch.setenv("SEEKPOINT_ALLOW_PRIVATE_URLS", "1")
    st.cache_resource.clear()
    return resources.library()


def addresses(web: Web, film: bytes, *names: str) -> list[str]:
    return [web.put(f"/{name}.mp4", Page(film)) for name in names]


def review(lines: str, *, list_of: bytes = b"") -> AppTest:
    """The page after Review was pressed and everything was looked at."""
    app = open_page("library")
    box(app).set_value(lines)
    if list_of:
        app.file_uploader[0].set_value([("list.csv", list_of, "text/csv")])
    button(app, "Review").click().run()
    deadline = time.monotonic() + 20
    while any(caption.value.startswith("Looked at") for caption in app.caption):
        assert time.monotonic() < deadline
        app.run()
    assert not app.exception
    return app


def box(app: AppTest) -> Any:
    return app.text_area[0]


def button(app: AppTest, label: str) -> Any:
    (found,) = [button for button in app.button if button.label == label]
    return found


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def rows(app: AppTest) -> list[dict[str, Any]]:
    (table,) = [frame.value for frame in app.dataframe if "Add" in frame.value]
    return table.to_dict("records")


def until(library: Library, stage: Stage, *, task: bool = False) -> Job:
    """The first job once it is there."""
    deadline = time.monotonic() + 20
    while True:
        job = library.jobs()[0]
        if job.stage is stage and (job.task_id or not task):
            return job
        assert time.monotonic() < deadline, job
        library.wait(timeout=0.05)


# Adding


def test_an_empty_library_says_what_to_do_and_nothing_of_money(library: Library) -> None:
    app = open_page("library")
    assert "No videos yet. Add an address or a file above" in texts(app)
    assert labels(app) == ["Review"]
    assert [heading.value for heading in app.subheader] == []
    assert "USD" not in texts(app)


def test_a_review_of_nothing_asks_for_an_address(library: Library) -> None:
    app = open_page("library")
    button(app, "Review").click().run()
    assert [toast.value for toast in app.toast] == ["Paste an address or choose a file first."]
    assert not app.dataframe


def test_a_review_says_of_each_line_what_adding_it_would_mean(
    free: Library, web: Web, film: bytes
) -> None:
    known, new = addresses(web, film, "known", "new")
    page = web.put("/page", Page(b"<html></html>", kind="text/html"))
    free.wait(free.add([known], titles=["Here since long"]), timeout=30)
    app = review(f"{known}\n\n{new}, Sports\n{page}\n{new}\n/etc/passwd")
    assert [(row["Add"], row["Title"], row["Category"]) for row in rows(app)] == [
        (True, "Here since long", ""),
        (True, "new", "Sports"),
        (False, "page", ""),
        (False, "new", ""),
        (False, "passwd", ""),
    ]
    assert [row["Length"] for row in rows(app)][:2] == ["0:06", "0:06"]
    assert "Already in the library" in rows(app)[0]["Status"]
    assert "Price" not in rows(app)[0]
    words = texts(app)
    assert "2 videos, 0:06, 1 already here, 3 cannot be added" in words
    assert "Line 4: What 127.0.0.1 sent is a page" in words
    assert "Line 5: The same address as line 3." in words
    assert "Line 6: This is no address" in words
    assert "USD" not in words
    button(app, "Add 2 videos").click().run()
    assert not app.exception
    free.wait(timeout=30)
    assert {(v.title, v.category) for v in free.videos()} == {
        ("Here since long", ""),
        ("new", "Sports"),
    }
    assert box(app).value == ""


def test_a_category_goes_to_those_without_one(free: Library, web: Web, film: bytes) -> None:
    one, other = addresses(web, film, "one", "other")
    app = open_page("library")
    box(app).set_value(f"{one}, Sports\n{other}")
    app.text_input[0].set_value("News")
    button(app, "Review").click().run()
    assert [row["Category"] for row in rows(app)] == ["Sports", "News"]


def test_going_back_keeps_what_was_typed_and_starts_nothing(free: Library) -> None:
    app = review("https://www.youtube.com/watch?v=abc")
    button(app, "Back").click().run()
    assert box(app).value == "https://www.youtube.com/watch?v=abc"
    assert not app.dataframe
    assert free.jobs() == []


def test_a_list_with_other_columns_is_explained_and_what_was_typed_stays(library: Library) -> None:
    app = open_page("library")
    box(app).set_value("https://example.org/a.mp4")
    app.file_uploader[0].set_value([("list.csv", b"link,name\nx,y\n", "text/csv")])
    button(app, "Review").click().run()
    assert "list.csv has no column video_url. Its first row says: link, name." in texts(app)
    assert box(app).value == "https://example.org/a.mp4"
    assert not app.dataframe


def test_rows_of_a_list_keep_their_titles_and_are_named_as_a_spreadsheet_does(
    free: Library, web: Web, film: bytes
) -> None:
    (address,) = addresses(web, film, "one")
    listed = f"title,video_url\nFirst film,{address}\nNone,not an address\n".encode()
    app = review("", list_of=listed)
    assert [row["Title"] for row in rows(app)] == ["First film", "None"]
    assert "Row 3 of list.csv: This is no address" in texts(app)


def test_files_of_the_servers_folder_can_be_picked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Library, film: bytes
) -> None:
    (tmp_path / "films" / "old").mkdir(parents=True)
    (tmp_path / "films" / "old" / "a.mp4").write_bytes(film)
    monkeypatch.setenv("SEEKPOINT_MEDIA_FOLDER", str(tmp_path / "films"))
    st.cache_resource.clear()
    app = open_page("library")
    app.multiselect[0].set_value(["old/a.mp4"])
    button(app, "Review").click().run()
    app.run()
    assert [(row["Title"], row["Add"]) for row in rows(app)] == [("a", True)]


def test_five_thousand_lines_can_be_reviewed(library: Library) -> None:
    app = open_page("library")
    box(app).set_value("\n".join(f"https://films.invalid/{n}.mp4, {n}" for n in range(5000)))
    button(app, "Review").click().run(timeout=20)
    assert not app.exception
    assert len(rows(app)) == 5000
    assert [b.label for b in app.button if b.label.startswith("Add ")]
    button(app, "Back").click().run()
    assert library.jobs() == []


def test_prices_are_told_before_anything_is_paid(
    monkeypatch: pytest.MonkeyPatch, paid: Library, web: Web, film: bytes
) -> None:
    paid.set_month_budget(3.5)
    app = review("\n".join(addresses(web, film, "one", "two")))
    assert [row["Price"] for row in rows(app)] == ["about 1.00 USD", "about 1.00 USD"]
    assert "2 videos, 0:12, about 2.00 USD" in texts(app)
    assert "Left of this month's budget: about 3.50 USD" in texts(app)
    app.number_input(key="review_1_budget").set_value(1.5).run()
    button(app, "Add 2 videos").click().run()
    paid.wait(timeout=30)
    assert sorted(job.stage for job in paid.jobs()) == [Stage.QUEUED, Stage.READY]


# The queue


def test_a_refused_key_pauses_the_queue_and_says_so_on_both_pages(
    monkeypatch: pytest.MonkeyPatch, paid: Library, service: StandIn, web: Web, film: bytes
) -> None:
    service.key = "tlk_ANOTHER"
    paid.wait(paid.add(addresses(web, film, "one", "two")), timeout=30)
    app = open_page("library")
    state = paid.queue()
    assert state.paused == "service"
    assert state.reason in texts(app)
    assert state.hint in texts(app)
    search = open_page()
    assert "Adding videos is paused: 0 of 2 done" in [b.proto.text for b in search.get("progress")]
    assert "See why, and go on" in [link.label for link in search.get("page_link")]
    service.key = KEY
    button(app, "Go on").click().run()
    assert {job.stage for job in paid.wait(timeout=30)} == {Stage.READY}


def test_a_used_up_month_is_explained_and_raised_on_the_spot(
    paid: Library, web: Web, film: bytes
) -> None:
    paid.set_month_budget(0.5)
    paid.wait(paid.add(addresses(web, film, "one")), timeout=30)
    app = open_page("library")
    assert paid.queue().reason in texts(app)
    assert "Go on" not in labels(app)
    app.number_input(key="queue_month_budget").set_value(20.0).run()
    app.button(key="queue_month_budget-set").click().run()
    assert not app.exception
    assert {job.stage for job in paid.wait(timeout=30)} == {Stage.READY}


def test_a_run_on_hold_is_explained_and_goes_on_with_more(
    paid: Library, web: Web, film: bytes
) -> None:
    jobs = paid.wait(paid.add(addresses(web, film, "one", "two"), max_cost=1.5), timeout=30)
    (held,) = [job for job in jobs if job.stage is Stage.QUEUED]
    app = open_page("library")
    assert held.held in texts(app)
    amount = app.number_input(key=f"run-budget-{held.run}")
    assert amount.value == 2.0
    app.button(key=f"run-budget-{held.run}-set").click().run()
    assert {job.stage for job in paid.wait(timeout=30)} == {Stage.READY}


def test_paying_again_is_asked_about_twice(
    paid: Library, service: StandIn, web: Web, film: bytes
) -> None:
    service.fail(TASK, 404, {"code": "resource_not_exist", "message": "no such task"})
    (job,) = paid.wait(paid.add(addresses(web, film, "one")), timeout=30)
    assert job.must_confirm
    app = open_page("library")
    assert "Try again `one`" not in labels(app)
    button(app, "Embed again for about 1.00 USD `one`").click().run()
    assert "paid for before" in texts(app)
    assert [job.stage for job in paid.jobs()] == [Stage.FAILED]
    app.button(key="confirm-payment").click().run()
    assert [job.stage for job in paid.wait(timeout=30)] == [Stage.READY]
    assert len(service.asked(NEW_TASK)) == 2


@pytest.mark.parametrize(("choice", "tasks"), [("Keep its result for later", 1), ("Drop it", 2)])
def test_cancelling_what_the_service_works_on_is_honest_about_the_bill(
    paid: Library, service: StandIn, web: Web, film: bytes, choice: str, tasks: int
) -> None:
    service.task_status = "processing"
    service.polls_needed = 10_000
    paid.add(addresses(web, film, "one"))
    until(paid, Stage.EMBEDDING, task=True)
    app = open_page("library")
    button(app, "Cancel `one`").click().run()
    assert "That cannot be stopped, and it is billed." in texts(app)
    app.radio[0].set_value(choice).run()
    app.button(key="confirm-cancel").click().run()
    until(paid, Stage.CANCELLED)
    service.polls_needed = 0
    app.run()
    button(app, "Try again `one`").click().run()
    assert [job.stage for job in paid.wait(timeout=30)] == [Stage.READY]
    assert len(service.asked(NEW_TASK)) == tasks


def test_three_hundred_jobs_are_shown_in_parts_and_by_state(library: Library) -> None:
    library.pause()
    library.add([f"https://films.invalid/{n}.mp4" for n in range(300)])
    library.cancel(library.jobs()[7].id)
    app = open_page("library")
    assert len([label for label in labels(app) if label.startswith("Cancel ")]) == 25
    assert "and 275 more" in texts(app)
    button(app, "Show more").click().run()
    assert len([label for label in labels(app) if label.startswith("Cancel ")]) == 50
    assert "The queue is paused." in texts(app)
    states = app.segmented_control(key="queue_filter")
    assert states.options == [
        "All 300",
        "Waiting 299",
        "Cancelled 1",
    ]
    states.set_value("Cancelled").run()
    assert [label for label in labels(app) if label.startswith("Try again")] == ["Try again `7`"]
    assert "more" not in texts(app).split()


def test_a_waiting_video_can_be_done_next(library: Library) -> None:
    library.pause()
    library.add([f"https://films.invalid/{name}.mp4" for name in ("first", "second", "third")])
    app = open_page("library")
    button(app, "Do next `third`").click().run()
    waiting = [label for label in labels(app) if label.startswith("Cancel ")]
    assert waiting == ["Cancel `third`", "Cancel `first`", "Cancel `second`"]


def test_the_queue_is_paused_and_goes_on_at_a_press(
    paid: Library, service: StandIn, web: Web, film: bytes
) -> None:
    service.polls_needed = 10_000
    paid.add(addresses(web, film, "one"))
    app = open_page("library")
    button(app, "Pause").click().run()
    assert paid.queue().paused == "user"
    button(app, "Go on").click().run()
    assert not paid.queue().paused


def test_a_failed_job_says_why_and_can_be_tried_again_and_dismissed(
    library: Library, tmp_path: Path
) -> None:
    (job,) = library.wait(library.add([tmp_path / "missing.mp4"]), timeout=30)
    app = open_page("library")
    lines = [text.value for text in app.text]
    assert job.error in lines
    assert job.hint in lines
    button(app, "Try again `missing`").click().run()
    (again,) = library.wait(timeout=30)
    assert (again.id, again.attempts) == (job.id, 2)
    app.run()
    button(app, "Dismiss `missing`").click().run()
    assert library.jobs() == []
    assert job.error not in texts(app)


def test_all_that_failed_is_tried_again_or_dismissed_at_once(
    library: Library, tmp_path: Path
) -> None:
    library.wait(library.add([tmp_path / "a.mp4", tmp_path / "b.mp4"]), timeout=30)
    app = open_page("library")
    button(app, "Try all failed again").click().run()
    assert [job.attempts for job in library.wait(timeout=30)] == [2, 2]
    app.run()
    button(app, "Dismiss all").click().run()
    assert library.jobs() == []


def test_a_finished_job_has_its_details(paid: Library, web: Web, film: bytes) -> None:
    (job,) = paid.wait(paid.add(addresses(web, film, "one")), timeout=30)
    words = texts(open_page("library"))
    assert f"From: {job.source}" in words
    assert f"Task: {job.task_id}" in words
    assert "embedding" in words.split("Time:")[1]
    assert "Ready, 0:06, about 1.00 USD" in words


# Money


def test_what_was_spent_is_told_and_listed(paid: Library, web: Web, film: bytes) -> None:
    app = open_page("library")
    assert "Nothing was spent yet." in texts(app)
    paid.wait(paid.add(addresses(web, film, "one")), timeout=30)
    app = open_page("library")
    assert "**about 1.00 USD**" in texts(app)
    (ledger,) = [frame.value for frame in app.dataframe]
    assert ledger["Price"].tolist() == ["about 1.00 USD"]
    assert ledger["Amount"].tolist() == ["0:06"]


def test_a_months_budget_is_set_and_removed(paid: Library) -> None:
    app = open_page("library")
    app.number_input(key="month_budget").set_value(12.5).run()
    app.button(key="month_budget-set").click().run()
    assert paid.spending().month_budget == 12.5
    app.button(key="month_budget-none").click().run()
    assert paid.spending().month_budget is None


# The videos


def test_a_video_is_removed_only_after_a_second_press(filled: Library) -> None:
    video = filled.videos()[0]
    app = open_page("library")
    button(app, f"Remove `{video.title}`").click().run()
    assert len(filled.videos()) == 2
    app.button(key="confirm-removal").click().run()
    assert [toast.value for toast in app.toast] == ["Removed"]
    assert [v.id for v in filled.videos()] != [video.id]
    assert len(filled.videos()) == 1
    assert not app.exception


def test_titles_reach_the_screen_as_text(library: Library, tmp_path: Path) -> None:
    title = "<img src=x onerror=alert(1)> **bold** 東京 $x$"
    library.wait(library.add([make_video(tmp_path / "v.mp4")], titles=[title]), timeout=60)
    app = open_page("library")
    assert title in [text.value for text in app.text]
    assert title not in "".join(markdown.value for markdown in app.markdown)
    assert f"Remove `{title}`" in labels(app)
