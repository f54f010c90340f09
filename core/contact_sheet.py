"""Findings on a sheet for people: one HTML file that needs nothing else, on the screen and on paper.

Everything in it is escaped, and its policy lets a browser load nothing and run nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from core.models import Finding
from core.timecode import clock, timecodes

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --soft: #aaa; } }
* { box-sizing: border-box; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; font-weight: 600; margin: 0 0 .25rem; }
header p, small { color: var(--soft); }
header p { margin: 0 0 1.5rem; }
main { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
article { border-top: 1px solid var(--line); padding-top: .75rem; }
img, .blank { width: 100%; aspect-ratio: 16 / 9; object-fit: contain; border-radius: 4px;
  background: #8882; display: grid; place-items: center; color: var(--soft); font-size: .85rem; }
h2 { font-size: 1rem; font-weight: 600; margin: .6rem 0 .1rem; display: -webkit-box;
  -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
p { margin: 0; }
.note { white-space: pre-line; margin: .3rem 0; }
@media print {
  :root { color-scheme: light; --soft: #555; }
  body { margin: 0; max-width: none; font-size: 10pt; }
  main { grid-template-columns: repeat(3, 1fr); gap: 6mm; }
  article { break-inside: avoid; }
}
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{heading}</h1>
<p>{summary}</p>
</header>
<main>
{cards}
</main>
</body>
</html>
"""


def to_html(
    findings: Sequence[Finding],
    exported_at: datetime,
    *,
    asked: str,
    poster: Callable[[Finding], Path | None],
) -> bytes:
    """A card for each finding, in the order given. `asked` is the question in words, if it has any;
    `poster` gives the JPEG of a finding, None for an empty frame."""
    heading = f"Moments for “{asked}”" if asked else "Moments"
    count = "1 moment" if len(findings) == 1 else f"{len(findings):,} moments"
    page = _PAGE.format(
        heading=escape(heading),
        style=_STYLE,
        summary=f"{count}, {exported_at.day} {exported_at:%B %Y}, {exported_at:%H:%M} UTC",
        cards="\n".join(_card(finding, poster(finding)) for finding in findings),
    )
    return page.encode()


def _card(finding: Finding, poster: Path | None) -> str:
    moment, video = finding.moment, finding.moment.video
    start, end = moment.start_offset_sec, moment.end_offset_sec
    first, behind = timecodes(start, end, video.frame_rate)
    relevance = "" if finding.relevance is None else f", {finding.relevance.level}"
    small = [
        f"{first} to {behind}" if first else "",
        f"Score {moment.score:.2f}{relevance}",
        video.category,
        ", ".join(finding.tags),
        video.video_url,
        "This video is no longer in the library." if video.removed else "",
    ]
    lines = [
        _picture(poster),
        f"<h2>{moment.rank}. {escape(video.title)}</h2>",
        f"<p>{clock(start, tenths=True)} to {clock(end, tenths=True)}</p>",
        f'<p class="note">{escape(finding.note)}</p>' if finding.note else "",
        *(f"<p><small>{escape(line)}</small></p>" for line in small if line),
    ]
    return "<article>\n" + "\n".join(line for line in lines if line) + "\n</article>"


def _picture(poster: Path | None) -> str:
    content = b""
    if poster is not None:
        try:
            content = poster.read_bytes()
        except OSError:
            content = b""  # its video was removed a moment ago
    if not content:
        return '<div class="blank">No picture</div>'
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(content).decode("ascii")}">'
