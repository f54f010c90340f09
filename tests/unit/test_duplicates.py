from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.planted import SEGMENT_SECS, Copy, planted
from core.duplicates import MIN_SCORE, Floats, Run, find_runs
from core.errors import JobCancelled

DIMENSION = 64
PER_SEC = 2


def unit(vectors: np.ndarray) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def pictures(seed: int, seconds: float) -> Floats:
    """A film of its own, two pictures a second, that changes slowly from one to the next."""
    random = np.random.default_rng(seed)
    steps = unit(random.normal(size=(round(seconds * PER_SEC), DIMENSION)))
    for n in range(1, len(steps)):
        steps[n] = 0.97 * steps[n - 1] + 0.24 * steps[n]
    return unit(steps)


def still(seed: int, seconds: float) -> Floats:
    """A picture that does not change, but for the noise of its encoding."""
    random = np.random.default_rng(seed)
    black = np.eye(DIMENSION)[0]
    return unit(black + 0.02 * random.normal(size=(round(seconds * PER_SEC), DIMENSION)))


def part(film: Floats, start: float, end: float) -> Floats:
    return film[round(start * PER_SEC) : round(end * PER_SEC)]


@dataclass(frozen=True)
class Films:
    """Videos that were cut into segments, and what find_runs says of them."""

    vectors: Floats
    videos: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def runs(self, *, min_sec: float = 3.0, limit: int = 500) -> list[Run]:
        return self.found(min_sec=min_sec, limit=limit)[0]

    def found(self, *, min_sec: float = 3.0, limit: int = 500) -> tuple[list[Run], bool]:
        return find_runs(
            self.vectors, self.videos, self.starts, self.ends, min_sec=min_sec, limit=limit
        )

    def where(self, rows: range) -> tuple[int, float, float]:
        """Video, start and end of a stretch."""
        return (
            int(self.videos[rows.start]),
            float(self.starts[rows.start]),
            float(self.ends[rows.stop - 1]),
        )


def cut(*films: Floats, segment_sec: float | Sequence[float] = 4.0) -> Films:
    """Each film as a video, in segments of this length, or of one for each film."""
    lengths = [segment_sec] * len(films) if isinstance(segment_sec, float) else segment_sec
    vectors, videos, starts, ends = [], [], [], []
    for number, (film, sec) in enumerate(zip(films, lengths, strict=True)):
        size = round(sec * PER_SEC)
        for begin in range(0, len(film) - size + 1, size):
            vectors.append(film[begin : begin + size].mean(axis=0))
            videos.append(number)
            starts.append(begin / PER_SEC)
            ends.append((begin + size) / PER_SEC)
    return Films(
        unit(np.array(vectors)), np.array(videos, dtype=np.int32), np.array(starts), np.array(ends)
    )


def joined(*films: Floats) -> Floats:
    return np.concatenate(films)


# What is found


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_a_copy_is_found_at_any_offset(shift: float) -> None:
    film = pictures(1, 120)
    copy = joined(pictures(2, 20 + shift), part(film, 40, 80), pictures(3, 30))
    films = cut(film, copy)
    (run,) = films.runs()
    assert films.where(run.first) == (0, pytest.approx(40, abs=4), pytest.approx(80, abs=4))
    assert films.where(run.second) == (1, pytest.approx(20, abs=5), pytest.approx(60, abs=6))
    assert run.offset == pytest.approx(shift - 20, abs=1)
    assert run.score > 0.95


@pytest.mark.parametrize("lengths", [(4.0, 6.0), (6.0, 4.0), (3.0, 5.5), (5.0, 2.0)])
def test_videos_may_be_cut_into_segments_of_different_lengths(lengths: tuple[float, float]) -> None:
    film = pictures(1, 120)
    films = cut(film, joined(pictures(2, 31), part(film, 30, 90)), segment_sec=lengths)
    (run,) = films.runs()
    longer = max(lengths)
    assert films.where(run.first) == (
        0,
        pytest.approx(30, abs=longer),
        pytest.approx(90, abs=longer),
    )
    assert films.where(run.second) == (
        1,
        pytest.approx(31, abs=longer),
        pytest.approx(91, abs=longer),
    )
    assert run.offset == pytest.approx(1, abs=1)


def test_a_whole_video_that_came_twice_is_one_run() -> None:
    film = pictures(1, 60)
    noise = 0.02 * np.random.default_rng(2).normal(size=film.shape)
    assert cut(film, unit(film + noise)).runs() == [
        Run(range(15), range(15, 30), pytest.approx(0.99, abs=0.01), 0.0)
    ]


def test_clips_of_a_single_segment_are_found() -> None:
    film = pictures(1, 4)
    (run,) = cut(film, pictures(2, 4), film).runs()
    assert (run.first, run.second) == (range(1), range(2, 3))


def test_every_place_of_an_intro_is_found() -> None:
    intro = pictures(1, 16)
    twice = joined(intro, pictures(2, 24), intro, pictures(3, 20))
    films = cut(joined(pictures(4, 8), intro, pictures(5, 8)), twice, joined(intro, pictures(6, 8)))
    assert sorted((films.where(run.first), films.where(run.second)) for run in films.runs()) == [
        ((0, 8, 24), (1, 0, 16)),
        ((0, 8, 24), (1, 40, 56)),
        ((0, 8, 24), (2, 0, 16)),
        ((1, 0, 16), (2, 0, 16)),
        ((1, 40, 56), (2, 0, 16)),
    ]


def test_pieces_in_another_order_are_runs_of_their_own() -> None:
    film = pictures(1, 80)
    films = cut(film, joined(part(film, 40, 80), part(film, 0, 40)))
    assert sorted(run.offset for run in films.runs()) == [-40, 40]


def test_copies_are_found_across_all_of_a_large_library() -> None:
    copy = pictures(1, 24)
    others = [pictures(seed, 400) for seed in range(2, 72)]
    others[3][200:248] = others[40][100:148] = others[69][:48] = copy
    films = cut(*others)
    assert len(films.vectors) > 3 * 2048
    found = {
        (films.where(run.first)[0], films.where(run.second)[0]): run.offset for run in films.runs()
    }
    assert found == {
        (3, 40): pytest.approx(-50, abs=1),
        (3, 69): pytest.approx(-100, abs=1),
        (40, 69): pytest.approx(-50, abs=1),
    }


def test_all_that_was_planted_is_found_and_nothing_else() -> None:
    made = planted(3)
    runs, more = find_runs(made.vectors, made.videos, made.starts, made.ends, min_sec=3)
    assert not more

    def places(copies: Sequence[Copy | Run]) -> dict[tuple[int, int], float]:
        return {
            (int(made.videos[copy.first.start]), int(made.videos[copy.second.start])): copy.offset
            for copy in copies
        }

    assert len(runs) == len(made.copies)
    assert places(runs) == pytest.approx(places(made.copies), abs=max(SEGMENT_SECS))


# What is not


def test_different_films_have_nothing_in_common() -> None:
    assert cut(*(pictures(seed, 120) for seed in range(10))).found() == ([], False)


def test_what_comes_again_in_the_same_video_is_no_duplicate() -> None:
    scene = pictures(1, 20)
    assert cut(joined(scene, pictures(2, 20), scene), pictures(3, 60)).runs() == []


def test_runs_are_at_least_as_long_as_asked() -> None:
    film = pictures(1, 60)
    films = cut(film, joined(part(film, 0, 12), pictures(2, 48)))
    assert len(films.runs(min_sec=12)) == 1
    assert films.runs(min_sec=12.5) == []


@pytest.mark.parametrize(("seconds", "runs"), [(4, 1), (8, 2)])
def test_one_segment_that_differs_is_part_of_a_run_and_two_end_it(seconds: int, runs: int) -> None:
    film = pictures(1, 80)
    changed = joined(part(film, 0, 40), pictures(2, seconds), part(film, 40 + seconds, 80))
    assert len(cut(film, changed).runs()) == runs


def test_of_runs_that_overlap_in_both_videos_the_strongest_is_there() -> None:
    loop = joined(*[pictures(1, 20)] * 8)
    (run,) = cut(loop, loop).runs()
    assert (len(run.first), len(run.second), run.offset) == (40, 40, 0)


# What stands still


def test_a_still_picture_that_only_two_videos_show_is_a_duplicate() -> None:
    films = cut(pictures(1, 60), still(2, 80), still(3, 80))
    (run,) = films.runs()
    assert (films.where(run.first), films.where(run.second)) == ((1, 0, 80), (2, 0, 80))


def test_a_black_screen_in_many_videos_is_none() -> None:
    assert cut(*(still(seed, 300) for seed in range(8))).runs() == []


def test_a_black_screen_beside_a_copy_is_part_of_the_run() -> None:
    logo = pictures(1, 12)
    films = cut(
        joined(still(2, 60), logo, pictures(3, 60)),
        joined(pictures(4, 20), still(5, 60), logo, pictures(6, 20)),
        *(still(seed, 60) for seed in range(7, 15)),
    )
    (run,) = films.runs()
    assert films.where(run.first) == (0, 0, 72)
    assert films.where(run.second) == (1, 20, 92)


def test_tens_of_thousands_of_equal_segments_are_told_at_once() -> None:
    videos = np.repeat(np.arange(500, dtype=np.int32), 100)
    starts = np.tile(np.arange(100) * 4.0, 500)
    same = np.broadcast_to(unit(np.ones(8)), (50_000, 8))
    assert find_runs(same, videos, starts, starts + 4, min_sec=3) == ([], False)


# The list


def test_the_longest_runs_come_first() -> None:
    films = [pictures(seed, 100) for seed in range(3)]
    copies = [part(film, 20, 20 + length) for film, length in zip(films, (20, 60, 40), strict=True)]
    lengths = [len(run.first) for run in cut(*films, *copies).runs()]
    assert lengths == [15, 10, 5]


@pytest.mark.parametrize(("limit", "more"), [(2, True), (3, False)])
def test_of_more_runs_than_the_limit_the_longest_are_there(limit: int, more: bool) -> None:
    films = [pictures(seed, 100) for seed in range(3)]
    copies = [part(film, 20, 20 + length) for film, length in zip(films, (20, 60, 40), strict=True)]
    runs, there_are_more = cut(*films, *copies).found(limit=limit)
    assert [len(run.first) for run in runs] == [15, 10, 5][:limit]
    assert there_are_more is more


def test_clips_that_are_all_the_same_fill_the_list_and_say_that_there_are_more() -> None:
    runs, more = cut(*[pictures(1, 4)] * 200).found(limit=20)
    assert (len(runs), more) == (20, True)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_library_of_next_to_nothing_has_no_runs(rows: int) -> None:
    films = cut(pictures(1, 4 * rows)) if rows else None
    empty = np.empty(0)
    if films is None:
        vectors = np.empty((0, DIMENSION), dtype=np.float32)
        assert find_runs(vectors, empty.astype(np.int32), empty, empty, min_sec=3) == ([], False)
    else:
        assert films.found() == ([], False)


# Progress


def test_progress_goes_from_nothing_to_all() -> None:
    films = cut(*(pictures(seed, 400) for seed in range(60)))
    told: list[float] = []
    find_runs(
        films.vectors, films.videos, films.starts, films.ends, min_sec=3, on_progress=told.append
    )
    assert (told[0], told[-1]) == (0, 1)
    assert told == sorted(told)
    assert len(told) > 5


def test_the_search_ends_when_it_is_cancelled() -> None:
    told: list[float] = []

    def cancel(fraction: float) -> None:
        told.append(fraction)
        raise JobCancelled("This was cancelled.", "Begin again.")

    films = cut(pictures(1, 60), pictures(2, 60))
    with pytest.raises(JobCancelled):
        find_runs(
            films.vectors, films.videos, films.starts, films.ends, min_sec=3, on_progress=cancel
        )
    assert told == [0]


def test_the_least_cosine_is_what_it_says() -> None:
    films = cut(pictures(1, 40), unit(pictures(1, 40) + 0.12 * pictures(2, 40)))
    (run,) = films.runs()
    assert run.score > MIN_SCORE
    above = run.score + 0.01
    runs, _ = find_runs(
        films.vectors, films.videos, films.starts, films.ends, min_score=above, min_sec=40
    )
    assert runs == []
