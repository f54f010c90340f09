"""What every answer tells the browser; that the pages keep to it is seen by every browser test."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.app_server import Server
from tests.web import Page as Answer
from tests.web import Web

PATHS = [
    "/",
    "/library",
    "/healthz",
    "/favicon.png",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/nothing",
    "/media/nothing.png",
    "/video/nothing",
    "/../../etc/passwd",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_says_what_the_page_may_load(sampled: Server, path: str) -> None:
    headers = httpx.get(f"{sampled.url}{path}").headers
    policy = {part.split()[0]: part for part in headers["content-security-policy"].split("; ")}
    assert policy["frame-ancestors"] == "frame-ancestors 'none'"
    assert policy["object-src"] == "object-src 'none'"
    assert "unsafe" not in policy["script-src"]
    assert "http" not in policy["script-src"] + policy["connect-src"] + policy["img-src"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_no_other_site_can_show_the_app_in_a_frame(
    sampled: Server, context: BrowserContext, web: Web
) -> None:
    page = context.new_page()
    frame = f'<iframe src="{sampled.url}"></iframe>'.encode()
    with page.expect_console_message(lambda line: "frame-ancestors" in line.text):
        page.goto(web.put("/trap", Answer(frame, "text/html")))
    expect(page.frame_locator("iframe").get_by_text("Seekpoint")).to_have_count(0)


@pytest.mark.parametrize(
    "trap",
    [
        "document.head.append(Object.assign(document.createElement('script'), {text: 'harmed = 1'}))",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"harmed = 1\">')",
        "location.href = 'javascript:harmed = 1'",
        "document.head.append(Object.assign(document.createElement('script'), {src: '//a.example'}))",
        "fetch('http://127.0.0.1:9/stolen').catch(() => 0)",
        "new Image().src = 'http://127.0.0.1:9/stolen.png'",
    ],
    ids=["script", "handler", "address", "foreign-script", "message", "picture"],
)
def test_what_got_into_the_page_neither_runs_nor_tells(
    sampled: Server, context: BrowserContext, trap: str
) -> None:
    page = context.new_page()
    page.goto(f"{sampled.url}/healthz")
    stopped = page.evaluate(
        f"""() => new Promise(stopped => {{
        document.addEventListener('securitypolicyviolation', e => stopped(e.violatedDirective));
        {trap} }})"""
    )
    assert stopped.split("-")[0] in {"script", "connect", "img"}
    assert page.evaluate("window.harmed") is None
