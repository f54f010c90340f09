"""Adding videos: addresses, a list, uploads and the server's folder, all reviewed before they start.

Paths on the server are for scripts, not for visitors: they would let anybody look around its disk.
Only the folder that the operator has set is open to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import streamlit as st

from components.feedback import show_error
from components.links import Links
from components.review_table import review_table
from components.uploader import uploader
from core import Library, SeekpointError, SourceLine
from core.review import Review
from core.sources import inside, mark_duplicates, parse_csv, parse_lines

_LIST_MB = 20


@dataclass
class _Desk:
    """What one visitor is about to add.

    Another `form` number empties the form. The expander is folded by drawing another one: one that
    reports its state to the server is folded again by a redraw that began before it was opened.
    """

    open: bool
    review: Review | None = None
    reviews: int = 0
    form: int = 0
    drawn: int = 0

    def begin(self, review: Review) -> None:
        self.close()
        self.review = review
        self.reviews += 1
        self._set_open(False)

    def end(self, added: bool) -> None:
        self.close()
        self.form += added
        self._set_open(not added)

    def close(self) -> None:
        if self.review is not None:
            self.review.close()
        self.review = None

    def _set_open(self, is_open: bool) -> None:
        self.open = is_open
        self.drawn += 1


@st.cache_resource(scope="session", show_spinner=False, on_release=_Desk.close)
def _desk(_library: Library) -> _Desk:
    """Kept while the visitor stays, also on other pages; closed when they go."""
    return _Desk(open=not _library.videos())


def add_videos(library: Library, links: Links) -> None:
    """The form, and under it the review of what was typed."""
    desk = _desk(library)
    with st.expander(
        "Add videos", icon=":material/add:", expanded=desk.open, key=f"add_open_{desk.drawn}"
    ):
        _form(library, links, desk)
    if desk.review is not None:
        review_table(library, desk.review, key=f"review_{desk.reviews}", on_close=desk.end)


def _form(library: Library, links: Links, desk: _Desk) -> None:
    """Every way in. What is typed stays until it was added."""
    typed = st.text_area(
        "Addresses of video files, one per line, each with its category after a comma if you like",
        key=f"add_addresses_{desk.form}",
        placeholder="https://example.org/film.mp4\nhttps://example.org/match.mp4, Sports",
        height=110,
    )
    copies = uploader(library, links, key="add_uploads")
    folder = library.settings.media_folder
    picked = [] if folder is None else _from_folder(library, folder, f"add_folder_{desk.form}")
    table = st.file_uploader(
        "Or a list as CSV with the columns video_url, title and category",
        type="csv",
        key=f"add_list_{desk.form}",
        max_upload_size=_LIST_MB,
    )
    category = st.text_input(
        "Category for those without one",
        key=f"add_category_{desk.form}",
        max_chars=64,
        placeholder="Optional: a name to group these videos under",
    )
    if st.button("Review", type="primary", icon=":material/fact_check:", key="review"):
        try:
            lines = parse_lines(typed)
            if table is not None:
                lines += parse_csv(table.getvalue(), table.name)
        except SeekpointError as error:
            show_error(error)
            return
        files = (*copies, *picked)
        lines += [SourceLine(str(file), where=PurePath(file).name) for file in files]
        if not lines:
            st.toast("Paste an address or choose a file first.", icon=":material/info:")
            return
        lines = [replace(line, category=line.category or category.strip()) for line in lines]
        desk.begin(library.review(mark_duplicates(lines)))
        st.rerun()


def _from_folder(library: Library, folder: Path, key: str) -> list[Path]:
    names = [str(path.relative_to(folder)) for path in library.folder_files()]
    chosen = st.multiselect(
        "Or videos in the server's folder",
        names,
        key=key,
        placeholder="Choose files" if names else "No videos in it",
    )
    return [inside(folder, name) for name in chosen]
