"""The main journey on a Milvus server instead of a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import samples
from tests.app_server import running_app
from tests.browser.conftest import search
from tests.browser.grid_page import seconds

LONG = 60_000


@pytest.mark.usefixtures("starts_noted")
def test_a_file_is_added_found_played_and_exported_on_a_server(
    milvus_server: str, tmp_path: Path, page: Page
) -> None:
    rocket = next(s.path for s in samples.sample_sources() if s.path.stem == "rocket")
    with running_app(tmp_path, MILVUS_URI=milvus_server) as app:
        page.goto(f"{app.url}/library")
        expect(page.get_by_text("Up to 4 GB each")).to_be_visible(timeout=LONG)
        page.locator("[data-testid=uploader] input[type=file]").set_input_files(rocket)
        uploaded = page.locator("[data-testid=upload][data-state=done]")
        expect(uploaded).to_be_visible(timeout=LONG)
        page.get_by_role("button", name="Review").click()
        page.get_by_role("button", name="Add 1 video").click(timeout=LONG)
        expect(page.get_by_text("1 video, 0:08 in all")).to_be_visible(timeout=LONG)

        page.get_by_role("link", name="Search").click()
        search(page, "a rocket taking off")
        card = page.get_by_test_id("moment").first
        card.focus()
        card.press("Enter")
        expect(card).to_have_attribute("data-state", "finished", timeout=LONG)
        assert abs(page.evaluate("starts[0]") - seconds(card, "start")) <= 0.05

        page.get_by_role("button", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Table (CSV)").click()
        table = Path(download.value.path()).read_text(encoding="utf-8-sig")
        best = next(csv.DictReader(io.StringIO(table)))
        assert float(best["start_offset_sec"]) == seconds(card, "start")

        page.get_by_role("link", name="Status").click()
        expect(page.get_by_text("Milvus server", exact=True)).to_be_visible(timeout=LONG)
        assert not (app.data_dir / "milvus.db").exists()
