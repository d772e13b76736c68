# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timeline as a picture: SVG, a lane for each end of a connection. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_WIDTH = 860
_LEFT = 190
_RIGHT = 28
_TOP = 44
_LANE = 58
_BOTTOM = 62
# More probes than this would be a black bar.
_MOST_TICKS = 60
_MOST_NUMBERS = 9
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
# What the words above a lane take.
_WORDS = 270

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1c2530 }
  .title { font-weight: 600 }
  .quiet { fill: #5b6775; font-size: 12px }
  .lane { stroke: #c3cbd4; stroke-width: 2 }
  .never { stroke-dasharray: 4 4 }
  .probe { stroke: #1c63b7; stroke-width: 3 }
  .window { fill: #f3b63f; fill-opacity: .75 }
  .end { stroke: #b3261e; stroke-width: 3 }
  .grid { stroke: #e7ebef }
"""


def draw(timelines: Mapping[str, Mapping[str, Any]], title: str) -> str:
    """
    The SVG of these timelines, each by its label, on one axis.

    A timeline is what _timeline.timeline() returns. The last sign of life is at 0, and the path is cut
    at some moment between that and the first probe.
    """
    windows = [end["gives_up"]["idle"] for end in timelines.values()]
    latest = [window["latest"] for window in windows if window]
    latest += [3 * end["probes_every"] for end in timelines.values() if end["probes_every"]]
    longest = max(latest, default=60) * 1.04
    height = _TOP + _LANE * len(timelines) + _BOTTOM
    lanes_end = _TOP + _LANE * len(timelines)

    def x(seconds: float) -> str:
        return f"{_LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / longest:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="16" y="26">{escape(title)}</text>',
    ]
    step = next((step for step in _STEPS if longest / step <= _MOST_NUMBERS), int(longest / _MOST_NUMBERS) + 1)
    for seconds in range(0, int(longest) + 1, step):
        parts += [
            f'<line class="grid" x1="{x(seconds)}" y1="{_TOP}" x2="{x(seconds)}" y2="{lanes_end}"/>',
            f'<text class="quiet" text-anchor="middle" x="{x(seconds)}" y="{lanes_end + 16}">{seconds} s</text>',
        ]
    for row, (label, end) in enumerate(timelines.items()):
        parts += _lane(label, end, _TOP + _LANE * row + 36, x, longest)
    parts += [
        f'<text class="quiet" x="16" y="{lanes_end + 42}">0: last sign of life &#183; blue: unanswered probe &#183; '
        "red: gives up &#183; yellow: when that is, counted from the cut</text>",
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def _lane(label: str, end: Mapping[str, Any], y: int, x: Any, longest: float) -> Iterator[str]:
    window = end["gives_up"]["idle"]
    ends = window["latest"] if window else longest
    yield f'<text x="16" y="{y + 4}">{escape(label)}</text>'
    yield f'<line class="lane{"" if window else " never"}" x1="{x(0)}" y1="{y}" x2="{x(ends)}" y2="{y}"/>'
    if window:
        width = float(x(window["latest"])) - float(x(window["earliest"]))
        yield f'<rect class="window" x="{x(window["earliest"])}" y="{y - 9}" width="{width:.1f}" height="18"/>'
    period = end["probes_every"]
    # Of very many probes some stand for all.
    stride = period * (int(ends / period / _MOST_TICKS) + 1) if period else 0
    for moment in range(stride, int(ends) + 1, stride) if stride else ():
        if moment < ends:
            yield f'<line class="probe" x1="{x(moment)}" y1="{y - 8}" x2="{x(moment)}" y2="{y + 8}"/>'
    if window:
        yield f'<line class="end" x1="{x(ends)}" y1="{y - 11}" x2="{x(ends)}" y2="{y + 11}"/>'
        text = f"gives up after {window['earliest']:.0f} to {window['latest']:.0f} s ({window['layer']})"
    else:
        text = "never gives up"
    words_end = max(float(x(ends)), _LEFT + _WORDS)
    yield f'<text class="quiet" text-anchor="end" x="{words_end:.1f}" y="{y - 15}">{text}</text>'
