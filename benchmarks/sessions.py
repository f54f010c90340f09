"""How long a question takes while others ask too: with 1, 10 and 50 visitors at once.

`python -m benchmarks.sessions [seconds]` opens the real app on the sample library. Each visitor asks
a question every five seconds or so, for 30 seconds at each number unless told otherwise, after
everybody has asked one. The time is from the question to the last word of its answer, as the server
sends it (benchmarks/visitor.py); drawing it in a browser comes on top, see benchmarks/page.py.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import samples
from benchmarks.soak import load_samples
from benchmarks.visitor import TROUBLE, Visitor
from core import Settings
from core.metrics import resident_bytes, spread
from tests.app_server import running_app

VISITORS = (1, 10, 50)
SECONDS = 30.0
THINK_SEC = (2.5, 7.5)
MEGABYTE = 1 << 20


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    print(f"{'visitors':>8}{'questions':>11}{'p50 ms':>9}{'p95 ms':>9}{'failed':>8}{'MB':>7}")
    with tempfile.TemporaryDirectory() as folder:
        load_samples(Settings(data_dir=Path(folder) / "data"))
        with running_app(Path(folder)) as server:
            for number in VISITORS:
                taken, failed = crowd(server.url, number, seconds)
                of = spread(taken)
                memory = (resident_bytes(server.process.pid) or 0) / MEGABYTE
                print(
                    f"{number:>8}{of.count:>11,}{1e3 * of.p50:>9.0f}{1e3 * of.p95:>9.0f}"
                    f"{failed:>8}{memory:>7.0f}",
                    flush=True,
                )


def crowd(url: str, number: int, seconds: float) -> tuple[list[float], int]:
    """Seconds of each answer that so many visitors got in this time, and how many got none."""
    ready = threading.Barrier(number)
    over = threading.Event()

    def ask(seed: int) -> tuple[list[float], int]:
        chance = random.Random(seed)
        questions = [label.query for label in samples.labels()]
        taken: list[float] = []
        with Visitor(url) as visitor:
            visitor.open(q=chance.choice(questions))
            if ready.wait() == 0:
                threading.Timer(seconds, over.set).start()
            # Not all at the same moment.
            over.wait(chance.uniform(0, THINK_SEC[1]))
            try:
                while not over.is_set():
                    taken.append(visitor.open(q=chance.choice(questions)))
                    over.wait(chance.uniform(*THINK_SEC))
            except TROUBLE as error:
                print(f"a visitor got no answer: {error}", file=sys.stderr)
                return taken, 1
        return taken, 0

    with ThreadPoolExecutor(number) as threads:
        results = list(threads.map(ask, range(number)))
    return [one for taken, _ in results for one in taken], sum(failed for _, failed in results)


if __name__ == "__main__":
    main()
