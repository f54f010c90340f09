"""What leaves the library as a file, and comes back."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal, assert_never
from urllib.parse import urlsplit

from core import contact_sheet, cutting, evidence, export, timelines
from core.embedders.base import Embedder
from core.errors import MediaError, SeekpointError
from core.evidence import Evidence, Origin, Today
from core.findings import findings_of
from core.frame_rates import FrameRates, Readable
from core.media import MediaFile
from core.models import Filters, Finding, Moment, SearchResult
from core.recipe import Recipe
from core.records import Search
from core.searches import Searches
from core.shelf import Shelf

ExportFormat = Literal["csv", "json", "edl", "otio", "html"]

# Evidence without moments is compared with the first few of today; more than the last number would
# take longer to find than anybody waits for a file to open.
_FEW_MOMENTS = 24
_MOST_MOMENTS = 1000
_MOST_PICTURES = 500
_PICTURES_SEC = 30.0


class Exporter:
    """Writes findings in every format, and opens evidence again."""

    def __init__(
        self,
        shelf: Shelf,
        searches: Searches,
        *,
        embedder: Embedder,
        collection: str,
        readable: Readable,
        search: Callable[[Recipe, Filters, int], SearchResult],
        poster: Callable[[str, float], Path | None],
    ) -> None:
        self._shelf = shelf
        self._searches = searches
        self._embedder = embedder
        self._collection = collection
        self._search = search
        self._poster = poster
        self._readable = readable
        self._rates = FrameRates(shelf, readable)

    def export(self, what: SearchResult | Sequence[Finding], format: ExportFormat) -> bytes:
        result = what if isinstance(what, SearchResult) else None
        findings = self._with_rates(findings_of(what) if isinstance(what, SearchResult) else what)
        now = datetime.now(UTC)
        match format:
            case "csv":
                named = cache(evidence.without_media)
                plain = [replace(finding, recipe=named(finding.recipe)) for finding in findings]
                return export.to_csv(plain, now)
            case "json":
                asked = [] if result is None else [_search_of(result)]
                return evidence.to_json(findings, self._origin(), now, searches=asked)
            case "edl":
                return timelines.to_edl(findings)
            case "otio":
                return timelines.to_otio(findings)
            case "html":
                return contact_sheet.to_html(
                    findings, now, asked=_in_words(findings, result), poster=self._posters()
                )
            case _:
                assert_never(format)

    def load(self, exported_json: bytes) -> SearchResult:
        opened = evidence.from_json(exported_json, here=self._shelf.videos)
        search = opened.searches[0] if opened.searches else Search(Recipe(()), Filters(), "")
        recipe = self._usable(search.recipe, opened)
        moments = tuple(finding.moment for finding in opened.findings)
        return SearchResult(
            hits=tuple(hit for moment in moments for hit in moment.hits),
            moments=moments,
            recipe=recipe,
            filters=search.filters,
            model=search.model,
            notes=tuple(evidence.differences(opened, self._today(opened, recipe))),
        )

    def cut_clips(
        self,
        findings: Sequence[Finding],
        zip_path: Path,
        on_progress: Callable[[float], None],
        cancelled: Callable[[], bool],
    ) -> Path:
        return cutting.cut_clips(
            findings, zip_path, opened=self._opened, on_progress=on_progress, cancelled=cancelled
        )

    @contextmanager
    def _opened(self, finding: Finding) -> Iterator[MediaFile]:
        """The video of a finding. Of one that is not in the library only an address is used: what
        an evidence file calls a file of this server may be any."""
        video = finding.moment.video
        stored = self._shelf.get(video.id)
        if stored is None and urlsplit(video.video_url).scheme not in {"http", "https"}:
            raise MediaError("This video is no longer in the library.", "Add it again.")
        path = None if stored is None else stored.path
        with self._readable(path, video.video_url) as source:
            yield source

    def _with_rates(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings with the frame rates of their videos."""
        videos = {finding.moment.video.id: finding.moment.video for finding in findings}
        self._rates.find([id_ for id_, video in videos.items() if video.frame_rate is None])
        videos = {id_: self._rates.of(video) for id_, video in videos.items()}
        return [
            replace(finding, moment=replace(finding.moment, video=videos[finding.moment.video.id]))
            for finding in findings
        ]

    def _posters(self) -> Callable[[Finding], Path | None]:
        """The pictures for a sheet, as many as a browser likes to open and made in bearable time."""
        deadline = time.monotonic() + _PICTURES_SEC
        places = itertools.count(1)

        def poster(finding: Finding) -> Path | None:
            if next(places) > _MOST_PICTURES or time.monotonic() > deadline:
                return None
            return self._poster(
                finding.moment.video.id, finding.moment.best.segment.start_offset_sec
            )

        return poster

    def _origin(self) -> Origin:
        videos = self._shelf.videos
        return Origin(
            embedder=self._embedder.name,
            model=self._embedder.model,
            dimension=self._embedder.dimension,
            collection=self._collection,
            videos=len(videos),
            segments=sum(video.segments for video in videos.values()),
            video_ids=tuple(videos),
        )

    def _usable(self, recipe: Recipe, opened: Evidence) -> Recipe:
        """The recipe with its pictures and clips as files of ours, as far as they are to be had."""
        for name, content in opened.media.items():
            self._searches.keep_media(content, Path(name).suffix)
        return self._searches.as_usable(recipe)

    def _today(self, opened: Evidence, recipe: Recipe) -> Today:
        moments, reason = self._found_today(opened, recipe)
        videos = {finding.moment.video.id for finding in opened.findings}
        return Today(
            embedder=self._embedder.name,
            model=self._embedder.model,
            dimension=self._embedder.dimension,
            segment_ids=self._segment_ids(videos),
            moments=moments,
            reason=reason,
        )

    def _segment_ids(self, video_ids: Collection[str]) -> set[str]:
        stored = (self._shelf.get(video_id) for video_id in video_ids)
        return {segment.id for video in stored if video is not None for segment in video.segments}

    def _found_today(self, opened: Evidence, recipe: Recipe) -> tuple[Sequence[Moment] | None, str]:
        """What the search of the file finds now, among as many as it has; or why that is unknown."""
        if len(opened.searches) != 1 or opened.origin.model != self._embedder.model:
            return None, ""
        ranks = [finding.moment.rank for finding in opened.findings]
        among = min(max(ranks, default=_FEW_MOMENTS), _MOST_MOMENTS)
        try:
            return self._search(recipe, opened.searches[0].filters, among).moments, ""
        except SeekpointError as error:
            return None, f"What the same search finds today is unknown: {error.message}"


def _in_words(findings: Sequence[Finding], result: SearchResult | None) -> str:
    """The question as it can be typed, if it is one and can be."""
    recipes = {finding.recipe for finding in findings}
    if result is not None:
        recipes.add(result.recipe)
    return (recipes.pop().to_text() or "") if len(recipes) == 1 else ""


def _search_of(result: SearchResult) -> Search:
    return Search(result.recipe, result.filters, result.model)
