"""Every way in which opening can fail says what happened and what to do."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

import core.engines
from core.errors import CollectionMismatch, StoreError, StoreLocked, StoreUnavailable
from tests.milvus.rows import ADDED_AT, embedded, open_store, vector_of

NOBODY = 65534


@contextmanager
def another_process_holding(path: Path) -> Iterator[int]:
    """The id of a process that has this file open meanwhile."""
    code = (
        "import sys; from tests.milvus.rows import open_store;"
        "store = open_store(sys.argv[1]); print(store.count(), flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(core.engines.__file__).parents[1],
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        assert child.stdout.readline().strip().isdigit(), "the child did not open the file"
        yield child.pid
        child.stdin.close()


def refusal(uri: object) -> StoreError:
    with pytest.raises(StoreError) as caught:
        open_store(uri)
    assert caught.value.hint
    assert not any(word in str(caught.value) for word in ("Exception", "Errno", "Traceback"))
    return caught.value


def test_a_file_of_another_process_is_locked_and_named(lite_path: Path) -> None:
    with another_process_holding(lite_path) as process:
        error = refusal(lite_path)
        assert isinstance(error, StoreLocked)
        assert str(lite_path) in error.message
        assert f"(process {process})" in error.message
        assert "MILVUS_URI" in error.hint
    open_store(lite_path).close()


def test_closing_frees_the_file_for_another_process(lite_path: Path) -> None:
    store = open_store(lite_path)
    store.close()
    store.close()
    with another_process_holding(lite_path):
        pass


def test_the_last_store_of_a_process_frees_the_file(lite_path: Path) -> None:
    one, two = open_store(lite_path), open_store(lite_path, model="m-2", dimension=8)
    one.close()
    assert two.upsert("v", "", ADDED_AT, embedded("v", 1, dimension=8))
    two.close()
    with another_process_holding(lite_path):
        pass


def test_a_closed_store_says_so(lite_path: Path) -> None:
    store = open_store(lite_path)
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.count()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.upsert("v", "", ADDED_AT, embedded("v", 1))


def test_a_store_that_could_not_be_opened_leaves_the_file_free(lite_path: Path) -> None:
    open_store(lite_path, dimension=8).close()
    (space,) = lite_path.rglob("schema.json")
    space.write_text(space.read_text().replace("m-1", "m.1"))
    with pytest.raises(CollectionMismatch):
        open_store(lite_path, dimension=8)
    with another_process_holding(lite_path):
        pass


def test_two_spellings_of_a_path_are_one_file(lite_path: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.db").symlink_to(lite_path)
    with open_store(lite_path) as store:
        store.upsert("v", "", ADDED_AT, embedded("v", 2))
        for spelling in (tmp_path / "folder" / ".." / lite_path.name, tmp_path / "link.db"):
            with open_store(spelling) as same:
                assert same.count() == 2
        assert store.count() == 2


def test_missing_folders_are_made(tmp_path: Path) -> None:
    with open_store(tmp_path / "a" / "b" / "c.db") as store:
        assert store.count() == 0


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store("~/milvus.db").close()
    assert (tmp_path / "milvus.db").is_dir()


@pytest.mark.parametrize("uri", ["milvus", "data/milvus.sqlite", "localhost:19530", "", "ftp://x/"])
def test_what_is_neither_a_database_nor_an_address_is_refused(uri: str) -> None:
    error = refusal(uri)
    assert "MILVUS_URI" in error.message
    assert ".db" in error.hint


def test_a_path_that_cannot_exist_is_refused() -> None:
    refusal("a\0b.db")
    refusal("~there is no such user/x.db")


def test_a_file_of_an_older_milvus_lite_is_left_alone(lite_path: Path) -> None:
    with sqlite3.connect(lite_path) as old:
        old.execute("create table collection_meta (name text)")
    old.close()
    before = lite_path.read_bytes()
    assert "older Milvus Lite" in refusal(lite_path).message
    assert lite_path.read_bytes() == before


def test_a_file_of_another_program_is_left_alone(lite_path: Path) -> None:
    lite_path.write_text("shopping list")
    assert "another program" in refusal(lite_path).message
    assert lite_path.read_text() == "shopping list"


def test_a_parent_that_is_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refusal(tmp_path / "file" / "milvus.db")
    assert isinstance(error, StoreUnavailable)
    assert "Not a directory" in error.message


@pytest.fixture
def plain_user() -> Iterator[None]:
    """The superuser may write anywhere, so those tests step down for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_write_permission_is_explained(
    tmp_path: Path, request: pytest.FixtureRequest, exists: bool
) -> None:
    path = tmp_path / "milvus.db"
    if exists:
        open_store(path).close()
        path.chmod(0o500)
    tmp_path.chmod(0o500)
    request.getfixturevalue("plain_user")
    error = refusal(path)
    assert isinstance(error, StoreUnavailable)
    assert "Permission denied" in error.message


@pytest.fixture
def filled(lite_path: Path) -> Path:
    with open_store(lite_path) as store:
        store.upsert("v", "", ADDED_AT, embedded("v", 200))
    return lite_path


def test_a_broken_data_file_is_reported_as_damage(filled: Path) -> None:
    data = next(filled.rglob("*.parquet"))
    data.write_bytes(data.read_bytes()[:500])
    assert "damaged" in refusal(filled).message


def test_a_broken_schema_is_reported_as_damage(filled: Path) -> None:
    next(filled.rglob("schema.json")).write_text("{")
    assert "damaged" in refusal(filled).message


@pytest.mark.parametrize("content", ["", "{", "[]", None], ids=["empty", "cut", "list", "missing"])
def test_a_broken_manifest_is_reported_and_no_data_file_is_lost(
    filled: Path, content: str | None
) -> None:
    manifest = next(filled.rglob("manifest.json"))
    whole = manifest.read_text()
    if content is None:
        manifest.unlink()
    else:
        manifest.write_text(content)
    assert "damaged" in refusal(filled).message
    manifest.write_text(whole)
    with open_store(filled) as store:
        assert store.count() == 200


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_broken_index_is_built_again(filled: Path, share: float) -> None:
    indexes = list(filled.rglob("*.idx"))
    assert indexes
    for index in indexes:
        whole = index.read_bytes()
        index.write_bytes(whole[: int(len(whole) * share)] or b"junk")
    with open_store(filled) as store:
        assert len(store.search(vector_of("q"), limit=500)) == 200


def test_a_database_that_was_moved_opens_at_its_new_place(filled: Path, tmp_path: Path) -> None:
    shutil.move(filled, tmp_path / "moved.db")
    with open_store(tmp_path / "moved.db") as store:
        assert store.count() == 200


# --- servers


class _Refusing(grpc.GenericRpcHandler):
    """A server that answers every call with one status."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:  # noqa: ARG002
        def answer(_request: object, context: grpc.ServicerContext) -> None:
            context.abort(self._status, "no")

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "MILVUS_TOKEN"),
        (grpc.StatusCode.PERMISSION_DENIED, "MILVUS_TOKEN"),
        (grpc.StatusCode.UNAVAILABLE, "running"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Try again"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Wait"),
        (grpc.StatusCode.INTERNAL, "running"),
        (grpc.StatusCode.UNKNOWN, "running"),
        (grpc.StatusCode.UNIMPLEMENTED, "version"),
    ],
)
def test_a_server_that_refuses_is_explained(status: grpc.StatusCode, words: str) -> None:
    server = grpc.server(ThreadPoolExecutor(2), handlers=(_Refusing(status),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        error = refusal(f"http://127.0.0.1:{port}")
    finally:
        server.stop(None).wait()
    assert isinstance(error, StoreUnavailable)
    assert words in error.hint


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    error = refusal(f"http://name:secret@127.0.0.1:{port}")
    assert isinstance(error, StoreUnavailable)
    assert str(port) in error.message
    assert "secret" not in str(error)


def test_a_host_without_an_address_is_unavailable() -> None:
    assert "nowhere.invalid" in refusal("http://nowhere.invalid:19530").message


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.engines, "CONNECT_SEC", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refusal(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert isinstance(error, StoreUnavailable)
    assert "in time" in error.message
