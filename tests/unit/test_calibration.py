from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core import Filters, Hit, Library, Moment, Part, Recipe, Segment, Settings, Video, open_library
from core.background import SAMPLE_ROWS, UNLIKELY, Background, Others, Rows, Sample
from core.calibration import MIN_ROWS, Chance, calibrate, chance_of
from core.models import Calibration, EmbeddedSegment, Relevance, Searched, Vector
from core.state import StoredVideo

ADDED = datetime(2026, 1, 1, tzinfo=UTC)
DIMENSION = 256
SEARCHED = Searched(1, 1.0, 1000, ("visual",))
QUERY = Part.text("a query")


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def video(video_id: str, *, category: str = "", days: int = 0, minutes: float | None = 1) -> Video:
    duration = None if minutes is None else 60 * minutes
    added = ADDED + timedelta(days=days)
    return Video(video_id, video_id, f"file:///{video_id}.mp4", duration, category, "m", 1, added)


def hit(score: float, *, option: str = "visual", start: float = 0, of: str = "a") -> Hit:
    segment = Segment(f"{of}:{option}:{round(start * 1000)}", of, start, start + 4, "clip", option)
    return Hit(segment, video(of), score, {option: score}, 1)


def moments(*scores: float, first_rank: int = 1) -> list[Moment]:
    """A moment of one hit for each score, ranked in this order."""
    return [
        Moment(video("a"), 10 * n, 10 * n + 4, (hit(score, start=10 * n),), first_rank + n)
        for n, score in enumerate(scores)
    ]


def scattered(count: int, *, seed: int = 1) -> np.ndarray:
    """Unit vectors in no order; cosines with anything are about normal, of deviation 1/16."""
    return unit(np.random.default_rng(seed).normal(size=(count, DIMENSION)))


def plant(vectors: np.ndarray, query: Vector, cosine: float, places: Sequence[int]) -> None:
    """Turns the vectors in these places so that they have this cosine with the query."""
    aside = unit(vectors[places] - np.outer(vectors[places] @ query, query))
    vectors[places] = cosine * query + np.sqrt(1 - cosine**2) * aside


def sampled(vectors: np.ndarray) -> Rows:
    return Rows(vectors, np.array([f"v{n // 50}" for n in range(len(vectors))]))


def chance(
    vectors: np.ndarray | Mapping[str, np.ndarray],
    query: Vector,
    *,
    length: float = 1.0,
    segments: int | None = None,
) -> Chance | None:
    """What chance gives a query in a library of these vectors, which are all of its sample."""
    of_option = {"visual": vectors} if isinstance(vectors, np.ndarray) else vectors
    return chance_of(
        Sample({option: sampled(rows) for option, rows in of_option.items()}),
        [(QUERY, 1.0)],
        query,
        length,
        segments={option: segments or len(rows) for option, rows in of_option.items()},
    )


def answer(vectors: np.ndarray, query: Vector) -> Calibration:
    """That of the 20 best segments, each a moment."""
    shown = moments(*sorted((vectors @ query).tolist(), reverse=True)[:20])
    chances = [chance(vectors, query)]
    return calibrate(shown, shown[0], chances, weights={"visual": 1.0}, searched=SEARCHED)


def levels(calibration: Calibration) -> list[str]:
    return [relevance.level for relevance in calibration.relevances.values()]


# What a score means


def test_what_answers_is_strong_and_what_does_not_is_weak() -> None:
    vectors, query = scattered(1000), scattered(1, seed=2)[0]
    plant(vectors, query, 0.5, [5, 600, 601])
    found = answer(vectors, query)
    assert found.found
    assert levels(found) == ["strong"] * 3 + ["weak"] * 17
    assert found.best is not None
    assert found.best.deviation == pytest.approx(0.5 * 16, abs=1)
    assert found.best.percentile == pytest.approx(99.7)


def test_a_query_that_nothing_answers_is_not_found() -> None:
    wrong = [
        seed
        for seed in range(100, 140)
        if answer(scattered(1000), scattered(1, seed=seed)[0]).found
    ]
    assert len(wrong) <= 4


def test_nothing_is_found_in_bunches_of_very_different_strength_either() -> None:
    random = np.random.default_rng(3)
    topics = scattered(40, seed=4) * np.abs(random.standard_t(2, size=40)).clip(0.1, 3)[:, None]
    bunches = unit(np.repeat(topics, 40, axis=0) + scattered(1600, seed=5))
    wrong = [seed for seed in range(40) if answer(bunches, scattered(1, seed=200 + seed)[0]).found]
    assert len(wrong) <= 4


def test_answers_are_strong_where_every_tenth_segment_is_one() -> None:
    vectors, query = scattered(1000), scattered(1, seed=2)[0]
    plant(vectors, query, 0.6, range(0, 1000, 10))
    assert levels(answer(vectors, query)) == ["strong"] * 20


def test_the_best_of_many_must_score_more_than_the_best_of_few() -> None:
    vectors, query = scattered(1000), scattered(1, seed=2)[0]
    few, many = chance(vectors, query, segments=100), chance(vectors, query, segments=1_000_000)
    assert few is not None
    assert many is not None
    between = hit((few.strong + many.likely) / 2 * few.scales["visual"])
    assert few.relevance(between, {}).level == "strong"
    assert many.relevance(between, {}).level == "weak"


def test_each_option_is_measured_against_its_own_chance() -> None:
    query = scattered(1, seed=2)[0]
    # What is heard resembles every text a little, what is seen varies widely.
    heard = unit(2 * query + 0.3 * scattered(500, seed=6))
    found = chance({"audio": heard, "visual": scattered(500)}, query)
    assert found is not None
    loud = found.levels["audio"]
    assert loud > 0.9
    assert found.relevance(hit(loud, option="audio"), {}).level == "weak"
    assert found.relevance(hit(0.5, option="visual"), {}).level == "strong"
    both = replace(hit(loud, option="audio"), scores_by_option={"audio": loud, "visual": 0.5})
    assert found.relevance(both, {}) == found.relevance(hit(0.5), {})


def test_weights_and_the_length_of_a_recipe_change_no_meaning() -> None:
    vectors, query = scattered(1000), scattered(1, seed=2)[0]
    plain, short = chance(vectors, query), chance(vectors, query, length=0.4)
    assert plain is not None
    assert short is not None
    expected = plain.relevance(hit(0.3), {})
    for relevance in (
        plain.relevance(hit(0.3 * 1.5), {"visual": 1.5}),
        short.relevance(hit(0.3 * 0.4), {"visual": 1.0}),
    ):
        assert relevance.level == expected.level
        assert relevance.deviation == pytest.approx(expected.deviation)
        assert relevance.percentile == expected.percentile


def test_of_a_pair_the_weaker_side_counts() -> None:
    vectors = scattered(1000)
    sides = [chance(vectors, query) for query in scattered(2, seed=2)]
    pairs = [
        Moment(video("a"), start, start + 8, (first, then), 1, then=then)
        for start, first, then in (
            (0, hit(0.5, start=0), hit(0.45, start=4)),
            (20, hit(0.55, start=20), hit(0.05, start=24)),
        )
    ]
    found = calibrate(pairs, pairs[0], sides, weights={}, searched=SEARCHED)
    assert levels(found) == ["strong", "weak"]
    assert found.best is not None
    assert found.best.deviation == pytest.approx(0.45 * 16, abs=1)


def test_moments_that_are_folded_have_a_meaning_too() -> None:
    shown, hidden = moments(0.5, 0.48)
    folded = replace(shown, similar=(hidden,))
    sides = [chance(scattered(1000), scattered(1, seed=2)[0])]
    found = calibrate([folded], folded, sides, weights={}, searched=SEARCHED)
    assert found.relevances.keys() == {shown.best.segment.id, hidden.best.segment.id}


def test_a_score_that_is_no_number_is_weak() -> None:
    found = chance(scattered(1000), scattered(1, seed=2)[0])
    assert found is not None
    assert found.relevance(hit(float("nan")), {}) == Relevance("weak", 0.0, 0.0)


@pytest.mark.parametrize(
    ("vectors", "searched", "reason"),
    [
        (scattered(MIN_ROWS - 1), SEARCHED, f"It takes {MIN_ROWS} different segments"),
        (np.repeat(scattered(1), 200, axis=0), SEARCHED, f"It takes {MIN_ROWS} different segments"),
        (scattered(1000), Searched(0, 0.0, 0, ()), "The filters leave nothing to search."),
    ],
    ids=["too few", "all the same", "filtered away"],
)
def test_where_it_cannot_be_told_nothing_is_claimed(
    vectors: np.ndarray, searched: Searched, reason: str
) -> None:
    segments = {"visual": len(vectors)} if searched.segments else {}
    sample = Sample({"visual": sampled(vectors)})
    side = chance_of(sample, [(QUERY, 1.0)], scattered(1, seed=2)[0], 1.0, segments=segments)
    found = calibrate(moments(0.5, 0.1), moments(0.5)[0], [side], weights={}, searched=searched)
    assert found.reason.startswith(reason)
    assert (found.relevances, found.best, found.cut, found.found) == ({}, None, None, True)


def test_segments_that_mostly_score_the_same_can_still_be_measured() -> None:
    query = scattered(1, seed=2)[0]
    vectors = np.concatenate([np.repeat(scattered(1), 700, axis=0), scattered(300, seed=7)])
    plant(vectors, query, 0.9, [999])
    assert levels(answer(vectors, query))[:2] == ["strong", "weak"]


# Where an answer may end

LEVELS = Chance(
    {"visual": 0.0}, {"visual": 0.1}, {"visual": np.linspace(-0.3, 0.3, 100)}, likely=4, strong=5
)


@pytest.mark.parametrize(
    ("scores", "after", "reason"),
    [
        ([0.8, 0.79, 0.78, 0.45, 0.44, 0.42], 3, "a clear gap after moment 3"),
        ([0.6, 0.55, 0.45, 0.39, 0.35, 0.3], 3, "what follows scores like chance"),
        ([0.3, 0.1, 0.09], 0, "all of it scores like chance"),
        # A gap above other strong moments ends nothing.
        ([0.95, 0.56, 0.55, 0.35, 0.3], 3, "what follows scores like chance"),
    ],
)
def test_an_answer_ends_at_a_clear_gap_or_where_chance_begins(
    scores: list[float], after: int, reason: str
) -> None:
    shown = moments(*scores)
    cut = calibrate(shown, shown[0], [LEVELS], weights={}, searched=SEARCHED).cut
    assert cut is not None
    assert (cut.after, cut.reason) == (after, reason)


def test_an_answer_that_is_strong_to_its_end_is_not_cut() -> None:
    shown = moments(0.8, 0.7, 0.6)
    assert calibrate(shown, shown[0], [LEVELS], weights={}, searched=SEARCHED).cut is None
    assert calibrate([], None, [LEVELS], weights={}, searched=SEARCHED).cut is None


def test_a_cut_on_a_later_page_has_the_rank_of_the_whole_answer() -> None:
    shown = moments(0.45, 0.42, 0.3, first_rank=25)
    found = calibrate(shown, moments(0.9)[0], [LEVELS], weights={}, searched=SEARCHED)
    assert found.cut is not None
    assert found.cut.after == 26
    assert found.best is not None
    assert found.best.level == "strong"


# Other words


def words_and_rows(rows: int = 400) -> tuple[np.ndarray, Rows]:
    return scattered(len(UNLIKELY), seed=8), sampled(scattered(rows))


def test_the_same_recipe_with_other_words_is_what_a_search_for_them_would_score() -> None:
    words, rows = words_and_rows()
    parts = [(Part.text("a"), 1.0), (Part.text("b"), -0.5)]
    scores = Others({"visual": rows}, words).scores(parts, "visual")
    expected = (words - 0.5 * np.roll(words, 11, axis=0)) / 1.5 @ rows.vectors.T
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_picture_is_compared_with_pictures_of_other_videos() -> None:
    words, rows = words_and_rows()
    scores = Others({"visual": rows}, words).scores([(Part.segment("x"), 1.0)], "visual")
    own = rows.video_ids[: len(words), None] == rows.video_ids[None, :]
    assert np.isnan(scores[own]).all()
    cosines = rows.vectors[: len(words)] @ rows.vectors.T
    np.testing.assert_allclose(scores[~own], cosines[~own], atol=1e-6)


def test_chance_is_what_other_words_reach_and_not_what_is_in_the_library_after_all() -> None:
    words, rows = words_and_rows()
    query = scattered(1, seed=2)[0]

    def bar(words: np.ndarray, segments: int = 400) -> float:
        sample = Sample({"visual": rows}, Others({"visual": rows}, words))
        found = chance_of(sample, [(QUERY, 1.0)], query, 1.0, segments={"visual": segments})
        assert found is not None
        assert found.relevance(hit(0.5), {}).level == "strong"
        return found.levels["visual"] + found.likely * found.scales["visual"]

    highest = (words @ rows.vectors.T).max(axis=1)
    assert np.quantile(highest, 0.8) < bar(words) < 0.4
    shown = words.copy()
    shown[:6] = rows.vectors[:6]
    assert bar(shown) == pytest.approx(bar(words), rel=0.1)
    assert bar(words, segments=40_000) > bar(words) > bar(words, segments=40)


# The sample


def stored(
    video_id: str, segments: int, *, options: Sequence[str] = ("visual",), **about: object
) -> StoredVideo:
    kept = tuple(
        Segment(f"{video_id}:{option}:{4000 * n}", video_id, 4.0 * n, 4.0 * n + 4, "clip", option)
        for option in options
        for n in range(segments)
    )
    return StoredVideo(video(video_id, **about), None, kept)  # type: ignore[arg-type]


class Reading:
    """Vectors by segment id; notes what was read."""

    def __init__(self, *gone: str) -> None:
        self.read: list[str] = []
        self._gone = gone

    def __call__(self, ids: Sequence[str]) -> dict[str, Vector]:
        self.read = list(ids)
        return {key: np.full(4, 0.5, np.float32) for key in ids if key not in self._gone}


def background(*gone: str) -> tuple[Background, Reading]:
    reading = Reading(*gone)
    return Background(reading, words=list), reading


def test_the_sample_is_bounded_and_fair_and_the_same_in_any_order() -> None:
    videos = [stored(f"v{n}", 300, options=("audio", "visual")) for n in range(20)]
    first, reading = background()
    rows = first.sample(1, videos).rows
    assert rows.keys() == {"audio", "visual"}
    assert [len(some.vectors) for some in rows.values()] == [SAMPLE_ROWS] * 2
    assert len(reading.read) == 2 * SAMPLE_ROWS
    shares = np.unique(rows["visual"].video_ids, return_counts=True)[1] / SAMPLE_ROWS
    assert len(shares) == 20
    assert np.abs(shares - 1 / 20).max() < 0.015
    second, reading_again = background()
    second.sample(1, videos[::-1])
    assert set(reading_again.read) == set(reading.read)


def test_only_what_is_new_to_the_sample_is_read_after_a_change() -> None:
    videos = [stored(f"v{n}", 300) for n in range(10)]
    kept, reading = background()
    kept.sample(1, videos)
    before = set(reading.read)
    reading.read = []
    kept.sample(1, videos)
    assert reading.read == []
    kept.sample(2, [*videos, stored("new", 300)])
    assert 0 < len(reading.read) < 300
    assert all(key.startswith("new:") for key in reading.read)
    kept.sample(3, videos)
    assert len(reading.read) < 300
    assert set(reading.read) <= before


def test_what_was_embedded_again_is_read_again() -> None:
    videos = [stored("a", 60), stored("b", 60)]
    kept, reading = background()
    kept.sample(1, videos)
    kept.sample(2, [videos[0], stored("b", 60)])
    assert {key.split(":")[0] for key in reading.read} == {"b"}
    renamed = replace(videos[0], video=replace(videos[0].video, title="Another"))
    reading.read = []
    kept.sample(3, [renamed])
    assert reading.read == []


def test_rows_that_the_store_lost_are_left_out() -> None:
    kept, _ = background("a:visual:0", "a:visual:4000")
    assert len(kept.sample(1, [stored("a", 60)]).rows["visual"].vectors) == 58


def test_what_was_searched_is_what_passes_the_filters() -> None:
    kept, _ = background()
    kept.sample(
        1,
        [
            stored("a", 15, options=("audio", "visual"), category="x"),
            stored("b", 30, category="x", minutes=2, days=3),
            stored("c", 15, category="y", minutes=None, days=6),
        ],
    )

    def searched(filters: Filters, *options: str) -> tuple[int, float, int, tuple[str, ...]]:
        found = kept.passing(filters, options or ("visual", "audio")).searched
        return found.videos, round(60 * found.hours, 2), found.segments, found.options

    assert searched(Filters()) == (3, 4, 75, ("visual", "audio"))
    assert searched(Filters(), "audio") == (1, 1, 15, ("audio",))
    assert searched(Filters(categories=("x",))) == (2, 3, 60, ("visual", "audio"))
    assert searched(Filters(video_ids=("c",))) == (1, 1, 15, ("visual",))
    assert searched(Filters(start=56, end=90)) == (3, 0.7, 12, ("visual", "audio"))
    assert searched(Filters(added_after=ADDED + timedelta(days=3))) == (2, 3, 45, ("visual",))
    assert searched(Filters(added_before=ADDED + timedelta(days=3))) == (
        1,
        1,
        30,
        ("visual", "audio"),
    )
    assert searched(Filters(start=1000)) == (0, 0, 0, ())


# In a library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Twenty videos of noise; the second half of video 7 shows a helicopter over the sea."""
    with open_library(Settings(data_dir=tmp_path_factory.mktemp("data"))) as opened:
        dimension = opened.capabilities.dimension
        random = np.random.default_rng(9)
        helicopter = opened.embedder.embed_text("a helicopter over the sea")
        for n in range(20):
            vectors = unit(random.normal(size=(10, dimension)))
            if n == 7:
                plant(vectors, helicopter, 0.6, range(5, 10))
            add(opened, f"video{n}", vectors)
        yield opened


def add(library: Library, video_id: str, vectors: np.ndarray) -> None:
    """Stores vectors that no video was decoded for, the way a job does."""
    embedded = [
        EmbeddedSegment(10.0 * n, 10.0 * n + 4, "visual", vector)
        for n, vector in enumerate(vectors)
    ]
    segments = library._store.upsert(video_id, "", ADDED, embedded)
    library._shelf.put(StoredVideo(video(video_id, minutes=2), None, tuple(segments)))


def test_a_library_tells_what_it_has_from_what_it_has_not(library: Library) -> None:
    there = library.calibrate(library.search("a helicopter over the sea"))
    assert there.found
    assert levels(there)[:6] == ["strong"] * 5 + ["weak"]
    assert there.cut is not None
    assert there.cut.after == 5
    assert there.searched == Searched(20, 20 * 2 / 60, 200, ("visual",))
    missing = library.calibrate(library.search("a bowl of soup"))
    assert not missing.found
    assert missing.best is not None
    assert set(levels(missing)) == {"weak"}


def test_a_later_page_and_one_that_a_least_score_empties_know_the_best(library: Library) -> None:
    asked = "a helicopter over the sea"
    best = library.calibrate(library.search(asked)).best
    later = library.calibrate(library.search(asked, limit=5, offset=5))
    assert later.found
    assert later.best == best
    assert set(levels(later)) == {"weak"}
    empty = library.search(asked, filters=Filters(min_score=0.9))
    assert empty.moments == ()
    found = library.calibrate(empty)
    assert (found.best, found.found, found.relevances) == (best, True, {})


def test_a_stored_moment_and_a_recipe_of_several_parts_are_calibrated(library: Library) -> None:
    best = library.search("a helicopter over the sea").moments[0].best
    alike = library.calibrate(library.search(Recipe((Part.segment(best.segment.id),))))
    assert alike.best is not None
    assert alike.best.level == "strong"
    mixed = library.search("helicopter sea -soup^0.5")
    assert library.calibrate(mixed).found
    pairs = library.calibrate(library.search("helicopter sea then helicopter sea"))
    assert pairs.found
    assert not library.calibrate(library.search("helicopter sea then soup")).found


def test_filters_narrow_what_is_searched_and_not_what_chance_is(library: Library) -> None:
    only = Filters(video_ids=("video7",))
    found = library.calibrate(library.search("a helicopter over the sea", filters=only))
    assert found.searched.segments == 10
    assert levels(found)[:5] == ["strong"] * 5
    nobody = library.search("a helicopter over the sea", filters=Filters(video_ids=("gone",)))
    assert library.calibrate(nobody).reason == "The filters leave nothing to search."


def test_an_empty_library_claims_nothing(tmp_path: Path) -> None:
    with open_library(Settings(data_dir=tmp_path)) as empty:
        found = empty.calibrate(empty.search("a boat"))
        assert found.found
        assert found.reason


def test_a_warm_library_reads_no_sample_any_more(tmp_path: Path) -> None:
    with open_library(Settings(data_dir=tmp_path)) as library:
        add(library, "video", unit(np.random.default_rng(1).normal(size=(60, 1000))))
        library.warm()
        library._store.delete([segment.id for segment in library.segments("video")][:30])
        found = library.calibrate(library.search("a boat"))
        assert found.reason == ""
        assert found.best is not None


def test_other_words_are_not_asked_where_they_would_have_to_be_paid_for(tmp_path: Path) -> None:
    settings = Settings(
        embedder="twelvelabs",
        twelvelabs_api_key="none",
        twelvelabs_base_url="http://127.0.0.1:9",
        data_dir=tmp_path,
    )
    with open_library(settings) as library:
        add(library, "video", unit(np.random.default_rng(1).normal(size=(60, 512))))
        moment = library.segments("video")[7]
        found = library.calibrate(library.search(Recipe((Part.segment(moment.id),))))
        assert levels(found)[:2] == ["strong", "weak"]
        assert library.spending().month == 0
