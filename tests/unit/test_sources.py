from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import sources
from core.errors import MediaError
from core.export import to_csv
from core.findings import findings_of
from core.models import Filters, Hit, Moment, SearchResult, Segment, SourceLine, Video
from core.recipe import Recipe
from core.sources import folder_files, inside, mark_duplicates, parse_csv, parse_lines

A = "https://example.com/a.mp4"
B = "https://example.com/b.mp4"


# Pasted lines


@pytest.mark.parametrize(
    ("line", "address", "category"),
    [
        (A, A, ""),
        (f"{A}, cats", A, "cats"),
        (f"{A},cats", A, "cats"),
        (f"{A} , cats and dogs ", A, "cats and dogs"),
        (f"{A}\tcats", A, "cats"),
        (f"{A},", A, ""),
        (f"{A}, cats, dogs", A, "cats, dogs"),
        (f"{A},2024", A, "2024"),
        (f"{A}, News/Sport", A, "News/Sport"),
        (f"{A}, Q&A", A, "Q&A"),
        (f"{A}?token=abc,cats", f"{A}?token=abc", "cats"),
        ("https://example.com/w_10,h_20/a.mp4", "https://example.com/w_10,h_20/a.mp4", ""),
        ("https://example.com/w_10,h_20/a.mp4,cats", "https://example.com/w_10,h_20/a.mp4", "cats"),
        ("https://example.com/one,two.MP4", "https://example.com/one,two.MP4", ""),
        ("https://example.com/one,two.mp4, cats", "https://example.com/one,two.mp4", "cats"),
        ("https://example.com/One, two.mp4, cats", "https://example.com/One, two.mp4", "cats"),
        (f"{A}#t=10,20", f"{A}#t=10,20", ""),
        (f"{A}#t=10.5,20.25, cats", f"{A}#t=10.5,20.25", "cats"),
        (f"{A}?box=1,2,3,4,cats", f"{A}?box=1,2,3,4", "cats"),
        (f"{A}?a=1,b=2", f"{A}?a=1,b=2", ""),
        ("HTTP://EXAMPLE.COM/A.MP4, cats", "HTTP://EXAMPLE.COM/A.MP4", "cats"),
        (f"{A}, 赤い車", A, "赤い車"),
    ],
)
def test_a_category_is_told_from_a_comma_of_the_address(
    line: str, address: str, category: str
) -> None:
    assert parse_lines(line) == [SourceLine(address, category=category, where="line 1")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_empty_lines_are_skipped_but_counted_with_every_kind_of_line_end(end: str) -> None:
    text = end.join(["", f"  {A}  ", "   ", f"{B}, cats", ""])
    assert parse_lines(text) == [
        SourceLine(A, where="line 2"),
        SourceLine(B, category="cats", where="line 4"),
    ]


def test_characters_that_nobody_sees_are_left_out() -> None:
    text = f"\ufeff\u200b{A}\u200e\n{B[:12]}\u200b{B[12:]}\u2060,\u200bcats\n\u200b\n"
    assert parse_lines(text) == [
        SourceLine(A, where="line 1"),
        SourceLine(B, category="cats", where="line 2"),
    ]


@pytest.mark.parametrize(
    "line",
    ["example.com/a.mp4", "/srv/videos/a.mp4", "file:///etc/passwd", "C:\\a.mp4", "ftp://x/a", ","],
)
def test_a_line_that_is_no_web_address_says_so_and_names_no_file(line: str) -> None:
    (only,) = parse_lines(line)
    assert only.source == line
    assert only.problem.startswith("This is no address")


@pytest.mark.parametrize("between", [" ", ", ", ",", ";", "\t"])
def test_two_addresses_on_a_line_are_no_address_with_a_category(between: str) -> None:
    (only,) = parse_lines(f"{A}{between}{B}")
    assert "two addresses" in only.problem


def test_a_category_that_cannot_be_kept_is_the_problem_of_its_line_only() -> None:
    long, control, good = parse_lines(f"{A}, {'x' * 70_000}\n{A}, a\x01b\n{B}, cats")
    assert "Shorten it" in long.problem
    assert "control characters" in control.problem
    assert good == SourceLine(B, category="cats", where="line 3")


def test_five_thousand_lines_take_no_time() -> None:
    text = "\n".join(f"https://example.com/{n}/w_1,h_2/a.mp4?k={n}, cats" for n in range(5_000))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        lines = parse_lines(text)
        times.append(time.perf_counter() - start)
    assert len(lines) == 5_000
    assert min(times) < 0.2


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    for line in mark_duplicates(parse_lines(text)):
        assert line.source
        assert line.problem or line.source.lower().startswith(("http://", "https://"))


@given(
    st.from_regex(
        r"https://[a-z]{1,9}\.com(/[a-z0-9,_=-]{1,9}){0,3}/[a-z]{1,9}\.mp4", fullmatch=True
    ),
    st.text(st.characters(categories=["L"]), min_size=1),
)
def test_any_address_of_a_video_is_parted_from_any_word(address: str, word: str) -> None:
    assert parse_lines(address) == [SourceLine(address, where="line 1")]
    for comma in (",", ", "):
        (line,) = parse_lines(f"{address}{comma}{word}")
        assert (line.source, line.category) == (address, word)


# CSV


def rows(text: str, encoding: str = "utf-8") -> list[SourceLine]:
    return parse_csv(text.encode(encoding), "list.csv")


def test_columns_may_stand_in_any_order_beside_others() -> None:
    text = f"Rank,CATEGORY, Video_URL ,Title\n1,cats,{A},One\n2,,{B},"
    assert rows(text) == [
        SourceLine(A, "One", "cats", "row 2 of list.csv"),
        SourceLine(B, "", "", "row 3 of list.csv"),
    ]


def test_a_list_of_addresses_only_is_enough() -> None:
    assert rows(f"video_url\n{A}\n") == [SourceLine(A, where="row 2 of list.csv")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_what_spreadsheets_write_is_read(delimiter: str, encoding: str) -> None:
    cells = [["title", "video_url", "category"], ["Über “uns”", A, "Café"], ["b", B, ""]]
    text = "\r\n".join(delimiter.join(row) for row in cells)
    assert rows(text, encoding) == [
        SourceLine(A, "Über “uns”", "Café", "row 2 of list.csv"),
        SourceLine(B, "b", "", "row 3 of list.csv"),
    ]


def test_rows_are_counted_as_a_spreadsheet_shows_them() -> None:
    text = f'\nvideo_url,title\n{A},"two\nlines, ""quoted"""\n\n,\n{B},last\n'
    assert rows(text) == [
        SourceLine(A, 'two\nlines, "quoted"', "", "row 3 of list.csv"),
        SourceLine(B, "last", "", "row 6 of list.csv"),
    ]


def test_old_line_ends_are_read() -> None:
    assert [line.source for line in rows(f"video_url,title\r{A},a\r{B},b")] == [A, B]


def test_a_bad_row_says_what_is_wrong_and_the_others_go_on() -> None:
    text = f"video_url,title\n,Lost\n/etc/passwd,x\n{A},Cats, dogs\n{B},fine,,\nfile:///a,x\n{A}"
    nothing, path, shifted, padded, file, short = rows(text)
    assert nothing.problem == "This row has no video_url."
    assert path.problem.startswith("This is no address")
    assert "more cells" in shifted.problem
    assert padded == SourceLine(B, "fine", "", "row 5 of list.csv")
    assert file.problem.startswith("This is no address")
    assert short == SourceLine(A, "", "", "row 7 of list.csv")


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "list.csv is empty.", "Save"),
        (b"\n \r\n", "list.csv is empty.", "Save"),
        (b"\xef\xbb\xbf", "list.csv is empty.", "Save"),
        (b";;", "has no column video_url.", "Name"),
        (b"video_url,title\n,\n", "list.csv lists no videos.", "each row"),
        (b"url;title\nx;y", "has no column video_url. Its first row says: url, title.", "Name"),
        (b"PK\x03\x04\x14\0\x06\0", "list.csv is not a text file.", "save the list as CSV"),
        (b"\0\0\0\x18ftypmp42\x81", "list.csv is not a text file.", "save the list as CSV"),
        (b"\xff\xfea\0b", "list.csv is not a text file.", "save the list as CSV"),
        (b'video_url\n"https://x', "Row 2 of list.csv cannot be read.", "quotation marks"),
        (b'video_url\n"https://x"y\n', "Row 2 of list.csv cannot be read.", "quotation marks"),
        (b"video_url\nhttps://" + b"x" * 200_000, "Row 2 of list.csv cannot be read.", "CSV"),
    ],
)
def test_a_file_that_is_no_list_says_why(content: bytes, message: str, hint: str) -> None:
    with pytest.raises(MediaError) as caught:
        parse_csv(content, "list.csv")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_our_own_export_is_read_back_with_each_video_once() -> None:
    titles = ["A cat", "=cmd()", "-1", "'quoted'", "two\r\nlines", "one, two; three", "赤い車"]
    moments = []
    for rank, title in enumerate([*titles, *titles], start=1):
        url = f"https://example.com/{titles.index(title)}.mp4"
        video = Video("v", title, url, 9, "+cats", "m-1", 1, datetime.now(UTC))
        segment = Segment("v:visual:1500", "v", 1.5, 5.25)
        moments.append(Moment(video, 1.5, 9.0, (Hit(segment, video, 0.5, {}, rank),), rank))
    result = SearchResult((), tuple(moments), Recipe.parse("x"), Filters(), "m-1")
    assert parse_csv(to_csv(findings_of(result), datetime.now(UTC)), "moments.csv") == [
        SourceLine(
            f"https://example.com/{number}.mp4", title, "+cats", f"row {number + 2} of moments.csv"
        )
        for number, title in enumerate(titles)
    ]


HEADING = b"video_url,title\n"


@given(st.one_of(st.binary(), st.binary().map(HEADING.__add__)))
def test_any_bytes_are_a_list_or_refused(content: bytes) -> None:
    try:
        lines = parse_csv(content, "list.csv")
    except MediaError:
        return
    assert lines


# Duplicates


def test_the_later_of_two_equal_addresses_says_where_the_first_one_is() -> None:
    lines = [
        *parse_lines(f"{A}\n\nHTTPS://Example.com:443/a.mp4#t=3, cats\n{B}"),
        *rows(f"video_url\n{A}\n{B}"),
    ]
    marked = mark_duplicates(lines)
    assert [line.problem for line in marked] == [
        "",
        "The same address as line 1.",
        "",
        "The same address as line 1.",
        "The same address as line 4.",
    ]
    assert [line.source for line in marked] == [line.source for line in lines]


def test_files_are_duplicates_by_their_path_and_bad_lines_are_left_alone() -> None:
    lines = [
        SourceLine(A, problem="Bad."),
        SourceLine(A),
        SourceLine("/v/a.mp4"),
        SourceLine("/v/a.mp4"),
    ]
    problems = [line.problem for line in mark_duplicates(lines)]
    assert problems == ["Bad.", "", "", "The same address as /v/a.mp4."]


# Folders


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_in(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder_files(folder)]


def test_videos_of_a_folder_come_in_the_order_people_count(tmp_path: Path) -> None:
    make(
        tmp_path, "clip10.mp4", "clip2.MP4", "b/2/x.mov", "b/10/x.mkv", "notes.txt", "mp4", "a.webm"
    )
    expected = ["a.webm", "b/2/x.mov", "b/10/x.mkv", "clip2.MP4", "clip10.mp4"]
    assert names_in(tmp_path) == expected


def test_what_is_hidden_or_no_file_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".a.mp4", ".trash/b.mp4", "c.mp4/d.mp4", "e.mp4")
    assert names_in(tmp_path) == ["c.mp4/d.mp4", "e.mp4"]


def test_links_are_followed_only_to_files_inside(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    make(folder, "a.mp4")
    make(outside, "secret.mp4")
    (folder / "inside.mp4").symlink_to(folder / "a.mp4")
    (folder / "outside.mp4").symlink_to(outside / "secret.mp4")
    (folder / "folder").symlink_to(outside, target_is_directory=True)
    (folder / "circle.mp4").symlink_to(folder / "circle.mp4")
    (folder / "gone.mp4").symlink_to(folder / "nothing.mp4")
    assert names_in(folder) == ["a.mp4", "inside.mp4"]


def test_a_huge_folder_is_not_listed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_FILES", 3)
    make(tmp_path, "1.mp4", "2.mp4", "a/3.mp4", "a/4.mp4", "b/5.mp4")
    assert names_in(tmp_path) == ["1.mp4", "2.mp4", "a/3.mp4"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="There is no folder"):
        folder_files(tmp_path / "missing")


def test_a_path_inside_the_folder_is_its_real_path(tmp_path: Path) -> None:
    make(tmp_path, "in/a b.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    real = (tmp_path / "in" / "a b.mp4").resolve()
    for folder in (tmp_path / "in", tmp_path / "link"):
        assert inside(folder, "a b.mp4") == real
        assert inside(folder, "x/../a b.mp4") == real


@pytest.mark.parametrize(
    "relative", ["../out.mp4", "/etc/passwd", "a/../../out.mp4", "link.mp4", "circle", "a\0b"]
)
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, relative: str) -> None:
    folder = tmp_path / "in"
    make(tmp_path, "in/a.mp4", "out.mp4", "inside.mp4")
    (folder / "link.mp4").symlink_to(tmp_path / "out.mp4")
    (folder / "circle").symlink_to(folder / "circle")
    with pytest.raises(MediaError, match="not in the server's folder") as caught:
        inside(folder, relative)
    assert str(tmp_path) not in str(caught.value)
