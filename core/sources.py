"""Where lists of videos come from: pasted addresses, a CSV file, a folder on the server.

Lists name web addresses only: no line of a list makes the server open a file of its own.
"""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from io import StringIO
from itertools import islice
from pathlib import Path

from core.errors import MediaError, StoreError
from core.export import inert
from core.fetch import canonical_url
from core.models import SourceLine
from core.store import stored_text

VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm"),
)
MOST_FILES = 5_000

_ADDRESS = re.compile(r"https?://\S", re.IGNORECASE)
_SECOND_ADDRESS = re.compile(r"[\s,;]https?://", re.IGNORECASE)
_ADDRESS_MARKS = frozenset("/?=&#%")
# What comes along unseen when text is copied from a page or a document: zero-width spaces, word
# joiners, byte order marks and marks of direction.
_UNSEEN = dict.fromkeys(
    [0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
_DELIMITERS = ",;\t"
_DIGITS = re.compile(r"(\d+)")


# Lists


def parse_lines(text: str) -> list[SourceLine]:
    """Pasted addresses, one a line; a category may follow after a comma or a tab.

    Addresses may hold commas themselves. The category begins at the first comma after which no
    piece between commas reads on as an address: a piece does when it ends like a video file
    (`b.mp4`), or stands right after its comma, without a space, and holds one of `/ ? = & # %` or,
    behind a `?` or `#`, is a number (`#t=10,20`). Empty lines are skipped; `where` counts them.
    """
    lines = enumerate(text.translate(_UNSEEN).splitlines(), 1)
    return [_pasted(line.strip(), f"line {number}") for number, line in lines if line.strip()]


def parse_csv(content: bytes, name: str) -> list[SourceLine]:
    """The rows of a CSV file called `name`, which has the column video_url in its first row, and
    perhaps title and category; other columns are passed over.

    Cells are separated by commas, semicolons or tabs; the text is UTF-8, UTF-16 or Windows-1252.
    `where` names the row as a spreadsheet does. Of a list of moments, as Seekpoint exports it, each
    video is taken once.

    Raises:
        MediaError: not a text file, without rows or the column video_url, or not well-formed.
    """
    header, rows = _table(_decoded(content, name), name)
    lines = [_listed(header, row, where) for where, row in rows]
    if not lines:
        raise MediaError(f"{name} lists no videos.", "Put one address in each row.")
    if "start_offset_sec" in header:
        lines = list({line.source: line for line in reversed(lines)}.values())[::-1]
    return lines


def mark_duplicates(lines: Sequence[SourceLine]) -> list[SourceLine]:
    """The lines; one whose address stood in an earlier line has that as its problem."""
    first: dict[str, SourceLine] = {}
    marked = []
    for line in lines:
        if not line.problem:
            address = _identity(line.source)
            if address in first:
                earlier = first[address].where or first[address].source
                line = replace(line, problem=f"The same address as {earlier}.")
            else:
                first[address] = line
        marked.append(line)
    return marked


def _pasted(line: str, where: str) -> SourceLine:
    if _SECOND_ADDRESS.search(line):
        return SourceLine(
            line, where=where, problem="There are two addresses on this line. Give each its own."
        )
    address, category = _split(line)
    return _line(address or line, "", category, where)


def _split(line: str) -> tuple[str, str]:
    """The address and the category of a line; `parse_lines` has the rule."""
    address, tab, category = line.partition("\t")
    if tab:
        return address, category
    pieces = line.split(",")
    end = len(pieces)
    while end > 1 and not _reads_on(pieces[end - 1], in_query="?" in line or "#" in line):
        end -= 1
    return ",".join(pieces[:end]), ",".join(pieces[end:])


def _reads_on(piece: str, *, in_query: bool) -> bool:
    """Whether what stands between two commas is part of an address."""
    if piece.rstrip().lower().endswith(VIDEO_SUFFIXES):
        return True
    if piece[:1].isspace():
        return False
    number = in_query and piece.replace(".", "", 1).isdecimal()
    return number or not _ADDRESS_MARKS.isdisjoint(piece)


def _listed(header: Sequence[str], row: Sequence[str], where: str) -> SourceLine:
    cells = dict(zip(header, row, strict=False))
    line = _line(
        cells.get("video_url", "").translate(_UNSEEN),
        _as_typed(cells.get("title", "")),
        _as_typed(cells.get("category", "")),
        where,
    )
    if any(map(str.strip, row[len(header) :])):
        problem = "This row has more cells than the first one. Put cells with a comma into quotes."
        return replace(line, problem=problem)
    return line


def _line(address: str, title: str, category: str, where: str) -> SourceLine:
    line = SourceLine(address.strip(), title.strip(), category.strip(), where)
    if not line.source:
        return replace(line, problem="This row has no video_url.")
    if not _ADDRESS.match(line.source):
        return replace(
            line,
            problem="This is no address: it should begin with https://. Files are uploaded, or "
            "picked from the server's folder.",
        )
    problem = _problem_of_category(line.category)
    return replace(line, category="", problem=problem) if problem else line


@lru_cache
def _problem_of_category(category: str) -> str:
    """Remembered, because a list has few categories and many lines."""
    try:
        stored_text(category, "the category")
    except StoreError as error:
        return str(error)
    return ""


def _identity(source: str) -> str:
    try:
        return canonical_url(source)
    except MediaError:
        return source


def _decoded(content: bytes, name: str) -> str:
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp1252"):
        with suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            if "\0" not in text:
                return text
    raise MediaError(
        f"{name} is not a text file.", "In your spreadsheet, save the list as CSV and add that."
    )


def _table(text: str, name: str) -> tuple[list[str], Iterator[tuple[str, list[str]]]]:
    """The names of the columns, in small letters, and the rows below, each with where it is."""
    if not text.strip():
        raise MediaError(f"{name} is empty.", "Save the list again, then add it.")
    found: list[str] = []
    for delimiter in _DELIMITERS:
        rows = _rows(text, delimiter, name)
        with suppress(MediaError):
            _, names = next(rows, ("", []))
            header = [cell.translate(_UNSEEN).strip().lower() for cell in names]
            if "video_url" in header:
                return header, rows
            found = max(found, header, key=len)
    raise MediaError(
        f"{name} has no column video_url. Its first row says: {', '.join(found)[:200]}.",
        "Name the columns in the first row: video_url and, if you like, title and category.",
    )


def _rows(text: str, delimiter: str, name: str) -> Iterator[tuple[str, list[str]]]:
    """The rows that are not empty, each with where it is."""
    number = 0
    try:
        table = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for number, row in enumerate(table, 1):
            if any(map(str.strip, row)):
                yield f"row {number} of {name}", row
    except csv.Error as error:
        raise MediaError(
            f"Row {number + 1} of {name} cannot be read.",
            "Check its quotation marks, or save the list from a spreadsheet as CSV again.",
        ) from error


def _as_typed(cell: str) -> str:
    """A cell without the apostrophe that our export puts before what looks like a formula."""
    return cell[1:] if cell.startswith("'") and inert(cell[1:]) == cell else cell


# Folders


def folder_files(folder: Path) -> list[Path]:
    """The video files in a folder and the folders below it, in natural order of their paths; at
    most MOST_FILES. Hidden files, and links that lead outside, are left out.

    Raises:
        MediaError: when there is no such folder.
    """
    if not folder.is_dir():
        raise MediaError(f"There is no folder {folder}.", "Check SEEKPOINT_MEDIA_FOLDER.")
    files = islice(_videos_below(folder), MOST_FILES)
    return sorted(files, key=lambda path: [_natural(part) for part in path.parts])


def inside(folder: Path, relative: str | Path) -> Path:
    """The real path of `relative` in `folder`.

    Raises:
        MediaError: when that is outside of the folder, also by way of a link.
    """
    try:
        path = (folder / relative).resolve()
        if path.is_relative_to(folder.resolve()):
            return path
    except (OSError, RuntimeError, ValueError):
        pass  # links in a circle, or a name that no disk has
    raise MediaError(
        f"{Path(relative).name} is not in the server's folder.", "Pick a file from the list."
    )


def _videos_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted((n for n in folders if not n.startswith(".")), key=_natural)
        for name in sorted(names, key=_natural):
            path = Path(parent, name)
            if _is_video_of(folder, path):
                yield path


def _is_video_of(folder: Path, path: Path) -> bool:
    if path.name.startswith(".") or not path.name.lower().endswith(VIDEO_SUFFIXES):
        return False
    if not path.is_symlink():
        return path.is_file()
    try:
        return inside(folder, path).is_file()
    except MediaError:
        return False


def _natural(name: str) -> tuple[list[str | int], str]:
    """Orders clip2 before clip10."""
    pieces = _DIGITS.split(name.casefold())
    return [int(p) if index % 2 else p for index, p in enumerate(pieces)], name
