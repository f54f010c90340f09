"""Many visitors at once for a long time: does anything fail, does memory grow, does it stay quick?

`python -m benchmarks.soak [minutes]` opens the real app on the sample library to ten visitors, who
search, ask for more like a moment, play, load pictures and heat strips, look around, export, and add
videos, each a few seconds after the last, for 30 minutes unless told otherwise. It prints the times of
each, the memory of the app by the minute and by how much it changed once it was warm, and all
errors: of the visitors, in the app's log, of jobs. It ends with 1 if there was one.

The visitors speak the app's own protocol (benchmarks/visitor.py): browsers for all of them would need
more of a small machine than the app does.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import samples
from benchmarks.visitor import TROUBLE, Failed, Visitor, pressed, typed
from core import Settings, Stage, open_library
from core.metrics import resident_bytes, spread
from tests.app_server import running_app
from tests.media import make_video
from tests.web import Page, Web

MINUTES = 30.0
VISITORS = 10
# What somebody looks at before they do the next thing.
THINK_SEC = (1.0, 5.0)
# Of the time: caches fill, allocators and thread pools reach their size.
WARM_UP = 1 / 3
FLAT = 0.05
MEGABYTE = 1 << 20
ADDED_WAIT_SEC = 60.0
# How often each is done, and not something else.
WEIGHTS = {
    "search": 8,
    "more like this": 4,
    "play": 4,
    "pictures": 4,
    "heat": 4,
    "look around": 2,
    "export": 1,
    "add a video": 0.3,
}


@dataclass
class Log:
    """What the visitors noted; seconds by what was done. Threads share it."""

    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    added: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    log = Log()
    with tempfile.TemporaryDirectory() as folder, Web() as web:
        settings = Settings(data_dir=Path(folder) / "data", allow_private_urls=True)
        load_samples(settings)
        film = make_video(Path(folder) / "film.mp4", seconds=6, fps=5, size=(320, 180))
        web.put("/film", Page(film.read_bytes()))
        with (
            running_app(Path(folder), SEEKPOINT_ALLOW_PRIVATE_URLS="1") as server,
            visitors(server.url, web, log, minutes) as over,
        ):
            memory = watch_memory(server.process.pid, over)
        log.errors += errors_of_app(settings, log.added)
    return report(log, memory, minutes)


def load_samples(settings: Settings) -> None:
    with open_library(settings) as library:
        library.wait(samples.load(library))


@contextmanager
def visitors(url: str, web: Web, log: Log, minutes: float) -> Iterator[threading.Event]:
    """Visitors who come and go for so long; the event is set when their time is over."""
    over = threading.Event()
    timer = threading.Timer(minutes * 60, over.set)
    timer.start()
    with ThreadPoolExecutor(VISITORS) as threads:
        visits = [threads.submit(visit, url, web, log, over, n) for n in range(VISITORS)]
        try:
            yield over
        finally:
            timer.cancel()
            over.set()
    for ended in visits:
        ended.result()


def visit(url: str, web: Web, log: Log, over: threading.Event, number: int) -> None:
    """One visitor, who opens the page anew after an error."""
    chance = random.Random(number)
    while not over.is_set():
        try:
            with Visitor(url) as visitor:
                stay(visitor, web, log, over, chance)
        except TROUBLE as error:
            with log.lock:
                log.errors.append(f"visitor {number}: {type(error).__name__}: {error}")
            over.wait(1.0)


def stay(
    visitor: Visitor, web: Web, log: Log, over: threading.Event, chance: random.Random
) -> None:
    questions = [label.query for label in samples.labels()]
    visitor.open(q=chance.choice(questions))
    cards = visitor.cards()

    def one_of_them() -> dict[str, object]:
        return chance.choice(cards)

    def pictures() -> None:
        for card in cards[:6]:
            visitor.get(card["poster"])

    def add() -> None:
        with log.lock:
            log.added += 1
            address = f"/film-{log.added}.mp4"
        add_video(visitor, web.put(address, web.pages["/film"]))

    do: dict[str, Callable[[], object]] = {
        "search": lambda: visitor.open(q=chance.choice(questions)),
        "more like this": lambda: visitor.open(like=str(one_of_them()["id"])),
        "play": lambda: visitor.play(one_of_them()),
        "pictures": pictures,
        "heat": lambda: visitor.get(str(one_of_them()["heat"])),
        "look around": lambda: visitor.open(chance.choice(("library", "explore", "status"))),
        "export": lambda: export(visitor, chance.choice(questions)),
        "add a video": add,
    }
    while not over.wait(chance.uniform(*THINK_SEC)):
        (name,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        begun = time.perf_counter()
        do[name]()
        with log.lock:
            log.taken[name].append(time.perf_counter() - begun)
        cards = visitor.cards() or cards


def export(visitor: Visitor, question: str) -> None:
    visitor.open(q=question)
    visitor.download(visitor.find("download_button", "Evidence"))


def add_video(visitor: Visitor, address: str) -> None:
    """Pastes an address on the Library page, has it reviewed, and adds it."""
    visitor.open("library")
    text = visitor.find("text_area", "Addresses")
    visitor.run(typed(text, address), pressed(visitor.find("button", "Review")))
    until = time.monotonic() + ADDED_WAIT_SEC
    while (add := visitor.find("button", "Add 1 video")) is None or add.disabled:
        if time.monotonic() > until:
            raise Failed("The review of a video did not end.")
        visitor.run()
    visitor.run(pressed(add))


def watch_memory(process: int, over: threading.Event) -> list[float]:
    """Megabytes at the end of each minute until it is over."""
    measured = []
    while not over.wait(60.0):
        measured.append((resident_bytes(process) or 0) / MEGABYTE)
    return measured


def errors_of_app(settings: Settings, added: int) -> list[str]:
    """What the log of the app calls an error, and what became of the added videos."""
    lines = (settings.data_dir / "logs" / "seekpoint.log").read_text(encoding="utf-8").splitlines()
    errors = [line for line in lines if " ERROR " in line]
    with open_library(settings) as library:
        library.wait(timeout=ADDED_WAIT_SEC)
        ready = len(library.jobs({Stage.READY})) - len(samples.sample_sources())
        failed = [f"job: {job.title}: {job.error}" for job in library.jobs({Stage.FAILED})]
    if ready + len(failed) != added:
        errors.append(f"{added} videos were added, {ready} are ready")
    return errors + failed


def report(log: Log, memory: list[float], minutes: float) -> int:
    done = sum(len(taken) for taken in log.taken.values())
    print(f"{VISITORS} visitors for {minutes:g} minutes: {done:,} things done")
    print(f"\n{'':<16}{'times':>7}{'p50 ms':>9}{'p95 ms':>9}{'most ms':>9}")
    for name in WEIGHTS:
        if taken := log.taken[name]:
            of = spread(taken)
            print(
                f"{name:<16}{of.count:>7,}{1e3 * of.p50:>9.0f}{1e3 * of.p95:>9.0f}"
                f"{1e3 * max(taken):>9.0f}"
            )
    print("\nmemory in MB by the minute: " + " ".join(f"{mb:.0f}" for mb in memory))
    warm = memory[round(len(memory) * WARM_UP) :]
    if len(warm) > 1:
        third = max(1, len(warm) // 3)
        first, last = statistics.mean(warm[:third]), statistics.mean(warm[-third:])
        growth, apart = last / first - 1, max(warm) / min(warm) - 1
        flat = "flat" if apart <= FLAT else "not flat"
        print(f"warm: {growth:+.1%} from the first third to the last, {apart:.1%} apart, {flat}")
    print(f"\nerrors: {len(log.errors)}")
    for error in log.errors[:20]:
        print(f"  {error}")
    return 1 if log.errors else 0


if __name__ == "__main__":
    sys.exit(main())
