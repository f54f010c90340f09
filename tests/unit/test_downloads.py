from __future__ import annotations

import pytest
from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from components import downloads
from tests.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(downloads.time, "monotonic", clock)
    # Put back afterwards: it is set for the whole process.
    monkeypatch.setattr(
        media_file_manager, "MediaFileMetadata", media_file_manager.MediaFileMetadata
    )
    downloads.keep_for_a_while()
    return clock


@pytest.fixture
def files() -> MediaFileManager:
    return MediaFileManager(MemoryMediaFileStorage("/media"))


def made(files: MediaFileManager) -> str:
    """The name of a file that a download button made, for a page that has gone since."""
    button = files.add_deferred(lambda: b"a,b\n", "text/csv", "1.2", "moments.csv")
    name = files.execute_deferred(button).rpartition("/")[2].partition(".")[0]
    files.clear_session_refs()
    return name


def test_a_made_file_stays_while_others_draw_their_pages(
    files: MediaFileManager, clock: Clock
) -> None:
    name = made(files)
    for _ in range(100):
        files.remove_orphaned_files()
        clock.sleep(0.5)

    found = files.read_file(name)

    assert found is not None
    assert found.content == b"a,b\n"


def test_a_made_file_goes_once_it_had_time_to_be_fetched(
    files: MediaFileManager, clock: Clock
) -> None:
    name = made(files)
    files.remove_orphaned_files()
    clock.sleep(downloads.KEPT_SEC)
    files.remove_orphaned_files()

    assert files.read_file(name) is None


def test_a_file_that_is_made_again_has_its_time_again(
    files: MediaFileManager, clock: Clock
) -> None:
    made(files)
    files.remove_orphaned_files()
    clock.sleep(downloads.KEPT_SEC - 1)
    name = made(files)
    files.remove_orphaned_files()
    clock.sleep(2)
    files.remove_orphaned_files()

    assert files.read_file(name) is not None
