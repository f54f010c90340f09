"""What this process has done, in the words of Prometheus. Needs the package prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from components.sessions import open_sessions
from core import Library, Stage
from core.metrics import BUCKETS, Histogram
from core.version import VERSION

Metric = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily


def exposition(library: Library) -> bytes:
    """All figures as text of the exposition format 0.0.4.

    Raises:
        StoreError: the records cannot be read.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Figures(library))
    return generate_latest(registry)


class _Figures(Collector):
    """The figures of a library, read when they are asked for."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry that asked would read all figures once in vain."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._of_process()
        yield from self._of_queue()
        yield from self._of_money()

    def _of_process(self) -> Iterator[Metric]:
        library, metrics = self._library, self._library.metrics
        able = library.capabilities
        yield InfoMetricFamily(
            "seekpoint",
            "What runs",
            {
                "version": VERSION,
                "embedder": able.embedder,
                "model": able.model,
                "engine": able.engine,
            },
        )
        yield GaugeMetricFamily(
            "seekpoint_uptime_seconds", "Since the library was opened", metrics.uptime_sec
        )
        yield GaugeMetricFamily("seekpoint_sessions", "Open pages", open_sessions())
        yield _histograms("seekpoint_call_seconds", "Time of calls", "call", metrics.calls())
        yield _histograms(
            "seekpoint_search_stage_seconds", "Time within searches", "stage", metrics.stages()
        )
        cached, embedded = metrics.searches()
        searches = CounterMetricFamily(
            "seekpoint_searches", "Searches, by where their vectors came from", labels=["vectors"]
        )
        searches.add_metric(["cached"], cached)
        searches.add_metric(["embedded"], embedded)
        yield searches
        errors = CounterMetricFamily("seekpoint_errors", "Errors by their kind", labels=["kind"])
        for kind, number in sorted(metrics.errors().items()):
            errors.add_metric([kind], number)
        yield errors

    def _of_queue(self) -> Iterator[Metric]:
        queue, videos = self._library.queue(), self._library.videos()
        jobs = GaugeMetricFamily("seekpoint_jobs", "Jobs by their stage", labels=["stage"])
        for stage in Stage:
            jobs.add_metric([stage.value], queue.counts.get(stage, 0))
        yield jobs
        yield GaugeMetricFamily(
            "seekpoint_queue_paused", "1 while no job is begun", float(bool(queue.paused))
        )
        yield GaugeMetricFamily("seekpoint_videos", "Videos in the library", len(videos))
        yield GaugeMetricFamily(
            "seekpoint_segments", "Their segments", sum(video.segments for video in videos)
        )

    def _of_money(self) -> Iterator[Metric]:
        spending = self._library.spending()
        for name, meaning, amount in (
            ("seekpoint_spent_this_month", "Spent this month", spending.month),
            ("seekpoint_spent", "Spent so far", spending.total),
            ("seekpoint_saved", "Saved by not asking twice", spending.saved),
            ("seekpoint_month_budget", "The month's budget", spending.month_budget),
        ):
            if amount is not None:
                gauge = GaugeMetricFamily(name, meaning, labels=["currency"])
                gauge.add_metric([spending.currency], amount)
                yield gauge


def _histograms(
    name: str, meaning: str, label: str, histograms: Mapping[str, Histogram]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, meaning, labels=[label])
    for value, histogram in histograms.items():
        buckets = [(str(end), float(n)) for end, n in zip(BUCKETS, histogram.at_most, strict=True)]
        family.add_metric([value], [*buckets, ("+Inf", histogram.count)], histogram.seconds)
    return family
