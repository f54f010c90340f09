"""What only a server has: a choice of index, databases, encryption, and answers that stay away."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from pymilvus import MilvusClient

import core.engines
import core.store
from core.errors import ConfigurationError, StoreUnavailable
from core.models import Filters, Vector
from core.store import VectorStore
from tests.milvus.proxy import Certificate, make_certificate, running_proxy
from tests.milvus.rows import ADDED_AT, EMBEDDER, MODEL, SEGMENT_SEC, embedded, vector_of

DIMENSION = 16
# Fewer in a partition and a server looks at each of them, whatever the index.
ROWS = 3000


def open_store(uri: str, model: str = MODEL, **how: Any) -> VectorStore:
    return VectorStore(uri, embedder=EMBEDDER, model=model, dimension=DIMENSION, **how)


@pytest.fixture(scope="module")
def server(milvus_server: str) -> str:
    """The address of a database of these tests' own."""
    MilvusClient(milvus_server).create_database("test_server")
    return f"{milvus_server}/test_server"


@pytest.fixture(scope="module")
def indexed(server: str) -> str:
    """The address of a server that has indexed ROWS rows."""
    with open_store(server, "indexed") as store:
        segments = embedded("v", ROWS, dimension=DIMENSION)
        store.upsert("v", "", ADDED_AT, segments)
        MilvusClient(server).flush(store.collection)
    return server


def nearest(query: Vector, count: int, *, start: float) -> list[str]:
    rows = [s for s in embedded("v", ROWS, dimension=DIMENSION) if s.end_offset_sec > start]
    scores = np.array([row.vector for row in rows]) @ query
    return [f"v:visual:{rows[i].start_offset_sec * 1000:.0f}" for i in np.argsort(-scores)[:count]]


@pytest.mark.parametrize(
    ("profile", "least"),
    [
        ({"index_type": "IVF_FLAT", "params": {"nlist": 64}}, 1.0),
        ({"index_type": "AUTOINDEX"}, 0.8),
    ],
    ids=["lists", "the server's choice"],
)
def test_a_collection_is_searched_as_its_index_wants_it(
    indexed: str, profile: dict[str, Any], least: float
) -> None:
    client = MilvusClient(indexed)
    with open_store(indexed, "indexed") as store:
        name = store.collection
    client.release_collection(name)
    client.drop_index(name, "embedding")
    index = client.prepare_index_params()
    index.add_index("embedding", metric_type="COSINE", **profile)
    client.create_index(name, index, timeout=60)
    with open_store(indexed, "indexed") as store:
        right = 0
        for number in range(5):
            query = vector_of(f"query {number}", DIMENSION)
            start = ROWS * SEGMENT_SEC / 2
            found = store.search(query, filters=Filters(start=start), limit=20)
            expected = nearest(query, 20, start=start)
            right += len({scored.segment.id for scored in found} & set(expected))
        assert right >= least * 5 * 20


def test_a_new_collection_has_a_graph(server: str) -> None:
    with open_store(server) as store:
        assert MilvusClient(server).describe_index(store.collection, "embedding")["index_type"] == (
            "HNSW"
        )


def test_a_server_that_chooses_the_index_itself_is_let(server: str) -> None:
    with running_proxy(server, knows_hnsw=False) as proxy:
        uri = f"{proxy.url}/test_server"
        with open_store(uri, "chosen") as store:
            (stored,) = store.upsert("v", "", ADDED_AT, embedded("v", 1, dimension=DIMENSION))
            (found,) = store.search(vector_of("q", DIMENSION), limit=5)
            assert found.segment == stored
            index = MilvusClient(server).describe_index(store.collection, "embedding")
            assert index["index_type"] == "AUTOINDEX"


def test_a_database_has_its_own_rows(milvus_server: str, server: str) -> None:
    with (
        open_store(server) as one,
        open_store(milvus_server, database="test_server") as same,
        open_store(milvus_server) as other,
    ):
        one.upsert("v", "", ADDED_AT, embedded("v", 2, dimension=DIMENSION))
        assert same.count() == one.count() >= 2
        assert other.count() == 0


def test_a_database_that_is_not_there_is_named_by_its_setting(milvus_server: str) -> None:
    with pytest.raises(StoreUnavailable, match="database") as caught:
        open_store(milvus_server, database="nowhere")
    assert "MILVUS_DATABASE" in caught.value.hint


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (lambda store: store.ids(), "DescribeCollection"),
        (lambda store: store.ids(), "Query"),
        (lambda store: store.count(), "Query"),
        (lambda store: store.search(vector_of("q", DIMENSION), limit=5), "Search"),
        (lambda store: store.segments(["v:visual:0"]), "Query"),
        (lambda store: store.delete(["v:visual:0"]), "Delete"),
        (
            lambda store: store.upsert("v", "", ADDED_AT, embedded("v", 1, dimension=DIMENSION)),
            "Upsert",
        ),
    ],
    ids=["ids, first call", "ids", "count", "search", "segments", "delete", "upsert"],
)
def test_an_answer_that_stays_away_is_given_up(
    server: str, monkeypatch: pytest.MonkeyPatch, call: Any, method: str
) -> None:
    with running_proxy(server) as proxy, open_store(f"{proxy.url}/test_server") as store:
        monkeypatch.setattr(core.store, "READ_SEC", 0.5)
        monkeypatch.setattr(core.store, "WRITE_SEC", 0.5)
        proxy.held = {method}
        with pytest.raises(StoreUnavailable, match="in time"):
            call(store)


# Encryption


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def test_a_server_is_known_by_the_authority_of_the_settings(
    server: str, certificate: Certificate
) -> None:
    with running_proxy(server, certificate=certificate) as proxy:
        uri = f"{proxy.url}/test_server"
        with open_store(uri, ca_file=certificate.file) as store:
            store.upsert("v", "", ADDED_AT, embedded("v", 2, dimension=DIMENSION))
            assert store.search(vector_of("q", DIMENSION), limit=5)


def test_a_server_nobody_vouches_for_is_not_trusted(
    server: str, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.engines, "CONNECT_SEC", 2.0)
    with running_proxy(server, certificate=certificate) as proxy:
        with pytest.raises(StoreUnavailable, match="certificate") as caught:
            open_store(proxy.url)
        assert "MILVUS_CA_FILE" in caught.value.hint


def test_a_server_that_does_not_encrypt_is_told_from_one_that_does(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.engines, "CONNECT_SEC", 2.0)
    with running_proxy(server) as proxy:
        with pytest.raises(StoreUnavailable, match="encrypted") as caught:
            open_store(proxy.url.replace("http:", "https:"))
        assert "http://" in caught.value.hint


def test_what_answers_later_at_the_same_port_gets_a_connection_of_its_own(
    server: str, certificate: Certificate
) -> None:
    with running_proxy(server, certificate=certificate) as proxy:
        open_store(proxy.url, ca_file=certificate.file).close()
    with running_proxy(server, port=urlsplit(proxy.url).port or 0) as proxy:
        open_store(proxy.url).close()


def test_an_authority_for_an_address_without_encryption_is_refused(
    server: str, certificate: Certificate
) -> None:
    with pytest.raises(ConfigurationError, match="MILVUS_CA_FILE"):
        open_store(server, ca_file=certificate.file)


def test_an_authority_that_is_no_certificate_is_explained(server: str, tmp_path: Path) -> None:
    (tmp_path / "notes.pem").write_text("milk")
    with (
        running_proxy(server) as proxy,
        pytest.raises(ConfigurationError, match="notes.pem"),
    ):
        open_store(proxy.url.replace("http:", "https:"), ca_file=tmp_path / "notes.pem")


def test_what_another_process_has_stored_is_counted_at_once(server: str) -> None:
    with (
        open_store(server, "counted") as store,
        multiprocessing.get_context("spawn").Pool(1) as other,
    ):
        for number in range(1, 9):
            other.apply(store_one, (server, f"v{number}"))
            assert store.count() == number


def store_one(server: str, video_id: str) -> None:
    with open_store(server, "counted") as store:
        store.upsert(video_id, "", ADDED_AT, embedded(video_id, 1, dimension=DIMENSION))
