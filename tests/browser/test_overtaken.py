"""Streamlit may call a component's script for an older run after it was called for a newer one."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.app_server import ROOT

# As Streamlit does it: each call's result is called when its run is over.
CALLS = """async ([source, order]) => {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: component } = await import(address);
  const call = (can_copy) =>
    component({
      data: { address: "", home: "/", view: "1", can_copy, most: 1 },
      parentElement: document.querySelector("main"),
      setTriggerValue: () => {},
    });
  if (order === "in order") {
    call(false);
    call(true);
  } else {
    call(true);
    call(false)();
  }
}"""


@pytest.mark.parametrize("order", ["in order", "overtaken"])
def test_what_the_newest_run_says_stays(page: Page, order: str) -> None:
    source, markup = ((ROOT / f"components/browser.{end}").read_text() for end in ("js", "html"))
    page.set_content(f"<main>{markup}</main>")
    page.evaluate(CALLS, [source, order])
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()
