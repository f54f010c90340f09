"""What the server says to whoever watches it."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from components.health import FRESH_SEC, GOOD_FOR_SEC, Readiness, health_routes
from core import Library, SeekpointError, Settings, StoreLocked, StoreUnavailable, open_library
from tests.clock import Clock

TOKEN = "metrics-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
STRANGER = ("203.0.113.7", 50000)
HERE = ("127.0.0.1", 50000)


class Parts:
    """A library whose parts answer, or do what a test lets them do, and count."""

    def __init__(self, **checks: Callable[[], object]) -> None:
        self.asked: list[str] = []
        self._checks = checks

    def checks(self) -> Mapping[str, Callable[[], object]]:
        def noted(part: str) -> Callable[[], object]:
            def check() -> object:
                self.asked.append(part)
                return self._checks.get(part, lambda: None)()

            return check

        return {part: noted(part) for part in ("store", "state", "embedder")}


def fails() -> None:
    raise StoreUnavailable("Milvus cannot be reached.", "Start it.")


def problems(readiness: Readiness) -> dict[str, str]:
    return asyncio.run(readiness.problems())


def test_every_part_is_asked_and_those_that_fail_say_why() -> None:
    parts = Parts(store=fails)
    assert problems(Readiness(lambda: parts)) == {
        "library": "",
        "store": "Milvus cannot be reached. Start it.",
        "state": "",
        "embedder": "",
    }


def test_a_look_is_kept_for_a_while_and_that_at_the_embedder_for_longer(clock: Clock) -> None:
    parts = Parts()
    readiness = Readiness(lambda: parts, clock=clock)
    for _ in range(50):
        problems(readiness)
    assert sorted(parts.asked) == ["embedder", "state", "store"]
    clock.sleep(FRESH_SEC)
    problems(readiness)
    assert sorted(parts.asked) == ["embedder", "state", "state", "store", "store"]
    clock.sleep(GOOD_FOR_SEC["embedder"])
    problems(readiness)
    assert parts.asked.count("embedder") == 2


def test_an_embedder_that_failed_is_asked_again_soon(clock: Clock) -> None:
    parts = Parts(embedder=fails)
    readiness = Readiness(lambda: parts, clock=clock)
    problems(readiness)
    clock.sleep(FRESH_SEC)
    problems(readiness)
    assert parts.asked.count("embedder") == 2


def test_many_probes_at_once_ask_each_part_once() -> None:
    parts = Parts()
    readiness = Readiness(lambda: parts)

    async def crowd() -> None:
        await asyncio.gather(*(readiness.problems() for _ in range(50)))

    asyncio.run(crowd())
    assert sorted(parts.asked) == ["embedder", "state", "store"]


def test_a_part_that_hangs_is_named_asked_only_once_and_seen_again_when_it_answers(
    clock: Clock,
) -> None:
    hanging, answered = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.wait(30)
        answered.set()

    parts = Parts(store=hang)
    readiness = Readiness(lambda: parts, patience_sec=0.05, clock=clock)

    async def probes() -> None:
        first = await readiness.problems()
        assert first["store"] == "It did not answer within 0.05 s."
        clock.sleep(FRESH_SEC)
        assert (await readiness.problems())["store"] == "It does not answer."
        assert parts.asked.count("store") == 1
        hanging.set()
        assert await asyncio.to_thread(answered.wait, 30)
        while (await readiness.problems())["store"]:
            clock.sleep(FRESH_SEC)
            await asyncio.sleep(0.01)

    asyncio.run(probes())


def test_a_library_that_does_not_open_is_tried_once_a_while_and_logged_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def locked() -> Parts:
        tries.append(1)
        raise StoreLocked("Another Seekpoint (process 7) is using it.", "Close it.")

    readiness = Readiness(locked, clock=clock)
    with caplog.at_level(logging.WARNING, logger="components.health"):
        for _ in range(2):
            for _ in range(10):
                assert problems(readiness) == {
                    "library": "Another Seekpoint (process 7) is using it. Close it."
                }
            clock.sleep(FRESH_SEC)
    assert len(tries) == 2
    assert len(caplog.records) == 1


# The routes, over a real library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with open_library(Settings(data_dir=tmp_path_factory.mktemp("health"))) as opened:
        yield opened


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(library: Library) -> Ask:
    def asked(
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        client: tuple[str, int] = STRANGER,
        token: str = TOKEN,
        failure: SeekpointError | None = None,
    ) -> httpx.Response:
        settings = replace(library.settings, metrics_token=token)

        def opened() -> Library:
            if failure is not None:
                raise failure
            return library

        app = Starlette(routes=health_routes(opened, lambda: settings))

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, client=client)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as session:
                return await session.get(path, headers=headers)

        return asyncio.run(once())

    return asked


def test_alive_is_said_whatever_the_library_does(ask: Ask) -> None:
    answer = ask("/healthz", failure=StoreUnavailable("Gone."))
    assert (answer.status_code, answer.json()) == (200, {"seekpoint": "alive"})
    assert answer.headers["cache-control"] == "no-store"


def test_ready_is_said_without_details_to_a_stranger(ask: Ask) -> None:
    answer = ask("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"seekpoint": "ready"})


@pytest.mark.parametrize(("headers", "client"), [(BEARER, STRANGER), ({}, HERE), ({}, ("::1", 9))])
def test_details_are_told_to_this_machine_and_with_the_token(
    ask: Ask, headers: dict[str, str], client: tuple[str, int]
) -> None:
    answer = ask("/readyz", headers, client=client)
    assert answer.json()["parts"] == dict.fromkeys(("library", "store", "state", "embedder"), "ok")


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"Authorization": "Bearer wrong"}, STRANGER),
        ({"Authorization": TOKEN}, STRANGER),
        # What a proxy on this machine hands on was not asked from here.
        ({"X-Forwarded-For": "203.0.113.7"}, HERE),
        ({"Forwarded": "for=203.0.113.7"}, HERE),
    ],
)
def test_what_is_wrong_is_named_to_a_stranger_but_not_explained(
    ask: Ask, headers: dict[str, str], client: tuple[str, int]
) -> None:
    failure = StoreUnavailable("milvus.internal:19530 cannot be reached.")
    answer = ask("/readyz", headers, client=client, failure=failure)
    assert answer.status_code == 503
    assert answer.json() == {"seekpoint": "not ready", "failing": ["library"]}


def test_without_a_token_in_the_settings_none_opens_anything(ask: Ask) -> None:
    assert "parts" not in ask("/readyz", {"Authorization": "Bearer "}, token="").json()
    assert ask("/metrics", {"Authorization": "Bearer "}, token="").status_code == 404


@pytest.mark.parametrize(
    "path", ["/healthz/", "/healthz/x", "/readyz/x", "/readyz/x/y", "/metrics/x"]
)
def test_what_is_below_these_addresses_is_not_found(ask: Ask, path: str) -> None:
    answer = ask(path, BEARER)
    assert answer.status_code == 404
    assert answer.json()["seekpoint"] == "refused"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}]
)
def test_metrics_need_the_token_also_from_this_machine(ask: Ask, headers: dict[str, str]) -> None:
    answer = ask("/metrics", headers, client=HERE)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_metrics_tell_what_was_done(ask: Ask, library: Library) -> None:
    library.search("a red car")
    library.search("a red car")
    with pytest.raises(SeekpointError):
        library.search("")
    answer = ask("/metrics", BEARER)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["seekpoint_call_seconds_count", "search"] == 2
    assert samples["seekpoint_search_stage_seconds_bucket", "+Inf", "embed"] == 2
    assert samples["seekpoint_searches_total", "cached"] == 1
    assert samples["seekpoint_searches_total", "embedded"] == 1
    assert samples["seekpoint_errors_total", "RecipeError"] == 1
    assert samples["seekpoint_jobs", "queued"] == 0
    assert samples["seekpoint_spent_this_month", "USD"] == 0
    assert samples["seekpoint_sessions",] == 0
    assert samples["process_resident_memory_bytes",] > 1e6


def test_a_job_that_fails_is_counted(library: Library) -> None:
    library.wait(library.add(["/there/is/no/such.mp4"]), timeout=60)
    assert library.metrics.errors()["MediaError"] == 1


def test_metrics_say_what_to_install(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "components.exposition", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = ask("/metrics", BEARER)
    assert answer.status_code == 501
    assert "requirements-server.txt" in answer.json()["hint"]


def test_metrics_of_a_library_that_is_not_open_say_why(ask: Ask) -> None:
    answer = ask("/metrics", BEARER, failure=StoreUnavailable("Gone.", "Bring it back."))
    assert answer.status_code == 503
    assert answer.json()["message"] == "Gone."
