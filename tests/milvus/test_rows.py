"""What is stored stays, is stored once, and leaves when asked to."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from core.errors import CollectionMismatch, StoreError
from core.models import EmbeddedSegment, Filters, Vector
from core.store import collection_name, segment_id
from tests.milvus.rows import ADDED_AT, DIMENSION, embedded, open_store, vector_of

BOTH = ("visual", "audio")


def test_adding_twice_leaves_one_set_of_rows(store_uri: str) -> None:
    with open_store(store_uri) as store:
        first = store.upsert("v", "news", ADDED_AT, embedded("v", 20, options=BOTH))
        second = store.upsert("v", "news", ADDED_AT, embedded("v", 20, options=BOTH))
        assert first == second
        assert store.count() == 40
        found = store.search(vector_of("q"), limit=1000)
        assert sorted(s.segment.id for s in found) == sorted(s.id for s in first)


def test_adding_again_replaces_vector_span_and_category(store_uri: str) -> None:
    old = embedded("v", 1)[0]
    new = replace(old, end_offset_sec=2.5, vector=vector_of("new"))
    with open_store(store_uri) as store:
        store.upsert("v", "news", ADDED_AT, [old])
        (stored,) = store.upsert("v", "sport", ADDED_AT + timedelta(days=1), [new])
        assert store.segments([stored.id]) == [stored]
        assert stored.end_offset_sec == 2.5
        np.testing.assert_array_equal(store.vectors([stored.id])[stored.id], new.vector)
        for filters, expected in (
            (Filters(categories=("news",)), 0),
            (Filters(categories=("sport",)), 1),
            (Filters(added_before=ADDED_AT + timedelta(hours=1)), 0),
        ):
            assert len(store.search(new.vector, filters=filters, limit=5)) == expected


def test_of_two_segments_with_one_key_the_later_stays(store_uri: str) -> None:
    first = embedded("v", 1)[0]
    later = replace(first, vector=vector_of("later"))
    with open_store(store_uri) as store:
        (stored,) = store.upsert("v", "", ADDED_AT, [first, later])
        assert store.count() == 1
        np.testing.assert_array_equal(store.vectors([stored.id])[stored.id], later.vector)


def test_a_video_of_several_thousand_segments_is_stored_whole(store_uri: str) -> None:
    with open_store(store_uri, dimension=8) as store:
        stored = store.upsert("v", "", ADDED_AT, embedded("v", 2500, dimension=8))
        assert store.count() == 2500
        assert store.segments([s.id for s in stored]) == stored
        assert len(store.vectors([s.id for s in stored])) == 2500


def test_rows_come_back_in_order_of_start_then_option(store_uri: str) -> None:
    with open_store(store_uri) as store:
        rows = embedded("v", 12, options=BOTH)
        stored = store.upsert("v", "", ADDED_AT, rows[::-1])
        keys = [(s.start_offset_sec, s.embedding_option) for s in stored]
        assert keys == sorted(keys)
        assert store.segments([s.id for s in stored[::-1]]) == stored


def test_nothing_is_stored_for_no_segments(store_uri: str) -> None:
    with open_store(store_uri) as store:
        assert store.upsert("v", "", ADDED_AT, []) == []
        assert store.count() == 0


def test_deleted_rows_are_gone_and_the_others_stay(store_uri: str) -> None:
    with open_store(store_uri) as store:
        gone = store.upsert("gone", "", ADDED_AT, embedded("gone", 10, options=BOTH))
        kept = store.upsert("kept", "", ADDED_AT, embedded("kept", 10, options=BOTH))
        store.delete([s.id for s in gone])
        store.delete(["never:visual:0", "it's not an id", ""])
        found = store.search(vector_of("q"), limit=100)
        assert {s.segment.video_id for s in found} == {"kept"}
        assert store.count() == len(kept)
        assert store.segments([s.id for s in gone]) == []
    with open_store(store_uri) as store:
        assert store.count() == len(kept)


def test_reopening_keeps_rows_and_ranking(store_uri: str) -> None:
    query = vector_of("q")
    with open_store(store_uri) as store:
        for name in ("a", "b", "c"):
            store.upsert(name, "", ADDED_AT, embedded(name, 30, options=BOTH))
        before = store.search(query, limit=200)
    with open_store(store_uri) as store:
        assert store.count() == 180
        after = store.search(query, limit=200)
        assert [s.segment for s in after] == [s.segment for s in before]
        visual = store.search(query, filters=Filters(options=("visual",)), limit=200)
        assert len(visual) == 90


def test_a_row_is_found_as_soon_as_it_is_stored(store_uri: str) -> None:
    with open_store(store_uri) as store:
        for number, option in enumerate(("visual", "audio", "visual", "transcription")):
            (stored,) = store.upsert(
                f"v{number}", "", ADDED_AT, embedded(f"v{number}", 1, options=(option,))
            )
            vector = vector_of(f"v{number}/{option}/0.0")
            assert store.search(vector, limit=1)[0].segment == stored
            only = Filters(options=(option,))
            assert store.search(vector, filters=only, limit=1)[0].segment == stored


def test_what_one_store_stores_another_of_the_same_process_finds_at_once(store_uri: str) -> None:
    with open_store(store_uri) as one, open_store(store_uri) as other:
        assert other.count() == 0
        for number, option in enumerate(BOTH):
            (stored,) = one.upsert(
                f"v{number}", "", ADDED_AT, embedded(f"v{number}", 1, options=(option,))
            )
            assert other.count() == number + 1
            assert other.segments([stored.id]) == [stored]
            assert stored.id in other.ids()
            only = Filters(options=(option,))
            (found,) = other.search(vector_of("q"), filters=only, limit=5)
            assert found.segment == stored
        one.delete([stored.id])
        assert other.count() == 1


def test_searches_during_writes_see_every_acknowledged_row(store_uri: str) -> None:
    acknowledged: list[str] = []
    with open_store(store_uri) as store:

        def add(name: str) -> None:
            for number in range(8):
                video = f"{name}{number}"
                store.upsert(video, "", ADDED_AT, embedded(video, 15, options=BOTH))
                acknowledged.append(video)

        writers = [threading.Thread(target=add, args=(name,)) for name in "abc"]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            known = set(acknowledged)
            found = store.search(vector_of("q"), limit=2000)
            assert known <= {s.segment.video_id for s in found}
            assert len({s.segment.id for s in found}) == len(found) >= 30 * len(known)
        assert store.count() == 3 * 8 * 30


@pytest.mark.parametrize(
    "vector",
    [
        np.full(DIMENSION, math.nan, dtype=np.float32),
        np.full(DIMENSION, -math.inf, dtype=np.float32),
        np.zeros(DIMENSION, dtype=np.float32),
        np.ones(DIMENSION - 1, dtype=np.float32),
        np.ones(0, dtype=np.float32),
    ],
    ids=["nan", "infinite", "zero", "too short", "empty"],
)
def test_a_bad_vector_stores_nothing_of_its_video(store_uri: str, vector: Vector) -> None:
    good = embedded("v", 3)
    with open_store(store_uri) as store:
        with pytest.raises(StoreError):
            store.upsert("v", "", ADDED_AT, [*good, EmbeddedSegment(12.0, 16.0, "visual", vector)])
        assert store.count() == 0
        assert len(store.upsert("v", "", ADDED_AT, good)) == 3


def test_a_span_that_is_not_finite_is_refused(store_uri: str) -> None:
    with open_store(store_uri) as store, pytest.raises(StoreError):
        store.upsert("v", "", ADDED_AT, [replace(embedded("v", 1)[0], end_offset_sec=math.nan)])


def test_two_spaces_of_one_place_do_not_mix(store_uri: str) -> None:
    with open_store(store_uri) as one, open_store(store_uri, model="m-2", dimension=8) as two:
        one.upsert("v", "", ADDED_AT, embedded("v", 3))
        two.upsert("v", "", ADDED_AT, embedded("v", 5, dimension=8))
        assert (one.count(), two.count()) == (3, 5)
        one.close()
        assert two.count() == 5
        assert len(two.search(vector_of("q", 8), limit=10)) == 5


def test_a_collection_of_another_model_is_refused_with_both_names(store_uri: str) -> None:
    with open_store(store_uri, model="n.1") as store:
        store.upsert("v", "", ADDED_AT, embedded("v", 1))
        with pytest.raises(CollectionMismatch, match=r"n\.1.*not test, n-1") as caught:
            open_store(store_uri, model="n-1")
        assert caught.value.hint
        assert store.count() == 1


def test_collections_are_named_after_their_space() -> None:
    assert collection_name("local", "concepts-v1", 1000) == "seekpoint_local_concepts_v1_1000"
    long = collection_name("local", "m" * 400, 8)
    assert len(long) < 255
    assert long != collection_name("local", "m" * 401, 8)


def test_keys_are_safe_and_tell_videos_options_and_starts_apart() -> None:
    assert segment_id("abc", "visual", 12.3456) == "abc:visual:12346"
    keys = {
        segment_id(video, option, start)
        for video in ("a", "a:b", "a b", "日本", "x" * 129, "x" * 130, "'", '"', "\ud800", "")
        for option in BOTH
        for start in (0.0, 0.001, 60.0)
    }
    assert len(keys) == 10 * 2 * 3
    assert all(key.isascii() and len(key) < 256 and not set(key) & set("'\"\\ ") for key in keys)


@pytest.mark.parametrize("option", ["", "two words", 'a"b', "x" * 33, "_default/../x"])
def test_an_option_that_cannot_name_a_partition_is_refused(option: str) -> None:
    with pytest.raises(StoreError):
        segment_id("v", option, 0.0)
