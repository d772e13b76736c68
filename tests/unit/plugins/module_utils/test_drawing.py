# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of timelines: what is in it, and that all of it can be seen."""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._drawing import draw
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import End, timeline
from ansible_collections.keepalive.hardening.plugins.module_utils._values import LONGEST_TIME

SVG = "{http://www.w3.org/2000/svg}"
# Less than the letters of any font of 12 px are wide on average, so that no test fails for the font's sake.
LETTER = 5.5
# More lines than this, 3 px wide each, are no lines any more.
MOST_LINES = 100

QUICK = End("client", 5, 3)
SILENT = End("server", 0, 3)
DEAF = End("server", 0, 3, tcp_keepalive=False)
EAGER = End("client", 1, 10000)


class Lane(NamedTuple):
    """What is drawn for one end; all numbers are distances from the left."""

    start: float
    stop: float
    dashed: bool
    probes: list[float]
    windows: list[tuple[float, float]]
    ends: list[float]


class Text(NamedTuple):
    """A text and the least room it takes."""

    words: str
    left: float
    right: float
    y: float


class Picture:
    """An SVG, taken apart."""

    def __init__(self, ends: dict[str, End], title: str = "A title"):
        self.root = ElementTree.fromstring(draw({label: timeline(end) for label, end in ends.items()}, title))
        self.width, self.height = (float(number) for number in self.root.attrib["viewBox"].split()[2:])

    def shapes(self, tag: str, kind: str = "") -> list[dict[str, float]]:
        return [
            {name: float(text) for name, text in shape.attrib.items() if re.fullmatch(r"[xy][12]?|width|height", name)}
            for shape in self.root.iter(f"{SVG}{tag}")
            if kind in shape.get("class", "").split() or not kind
        ]

    @property
    def texts(self) -> list[Text]:
        texts = []
        for element in self.root.iter(f"{SVG}text"):
            words, at = element.text or "", float(element.attrib["x"])
            room = LETTER * len(words)
            before = {"start": 0.0, "middle": room / 2, "end": room}[element.get("text-anchor", "start")]
            texts.append(Text(words, at - before, at - before + room, float(element.attrib["y"])))
        return texts

    @property
    def axis(self) -> list[Text]:
        return [text for text in self.texts if re.fullmatch(r"\d+ s", text.words)]

    @property
    def lanes(self) -> list[Lane]:
        lanes = []
        for shape in self.root.iter(f"{SVG}line"):
            kind = shape.get("class", "").split()
            if "lane" not in kind:
                continue
            y = float(shape.attrib["y1"])
            across = [line for line in self.shapes("line") if line["y1"] < y < line["y2"]]
            probes = [line for line in self.shapes("line", "probe") if line in across]
            ends = [line for line in self.shapes("line", "end") if line in across]
            windows = [box for box in self.shapes("rect", "window") if box["y"] < y < box["y"] + box["height"]]
            lanes.append(
                Lane(
                    float(shape.attrib["x1"]),
                    float(shape.attrib["x2"]),
                    "never" in kind,
                    [line["x1"] for line in probes],
                    [(box["x"], box["x"] + box["width"]) for box in windows],
                    [line["x1"] for line in ends],
                )
            )
        return lanes


KERNELS = strategies.builds(
    Kernel,
    strategies.integers(1, 7200),
    strategies.integers(1, 75),
    strategies.integers(1, 9),
    strategies.integers(3, 20),
)
ENDS = strategies.builds(
    End,
    strategies.sampled_from(["server", "client"]),
    strategies.sampled_from([0, 1, 5, 15, 30, 60, 300, 600, 3600]) | strategies.integers(0, LONGEST_TIME),
    strategies.integers(0, 10) | strategies.just(10000),
    strategies.sampled_from([(8, 1), (8, 4), (9, 2), (10, 6)]),
    strategies.booleans(),
    strategies.just(Kernel()) | KERNELS,
)
PICTURES = strategies.dictionaries(strategies.sampled_from(["client", "server", "web1", "web2"]), ENDS).map(Picture)


@given(PICTURES)
def test_every_line_and_box_is_inside_the_picture(picture: Picture) -> None:
    for line in picture.shapes("line"):
        assert 0 <= line["x1"] <= line["x2"] <= picture.width
        assert 0 <= line["y1"] <= line["y2"] <= picture.height
    for box in picture.shapes("rect"):
        assert box["width"] >= 0
        assert 0 <= box.get("x", 0) <= box.get("x", 0) + box["width"] <= picture.width
        assert 0 <= box.get("y", 0) <= box.get("y", 0) + box["height"] <= picture.height


@given(PICTURES)
def test_every_text_is_inside_the_picture(picture: Picture) -> None:
    for text in picture.texts:
        assert text.left >= 0, text
        assert text.right <= picture.width, text
        assert 12 <= text.y <= picture.height, text


@given(PICTURES)
def test_the_end_is_at_the_right_of_all_else_in_its_lane(picture: Picture) -> None:
    for lane in picture.lanes:
        for end in lane.ends:
            assert end == lane.stop
            assert all(lane.start <= probe <= end for probe in lane.probes)
            assert all(lane.start <= left <= right <= end + 0.11 for left, right in lane.windows)


@given(PICTURES)
def test_an_end_that_gives_up_has_one_end_and_one_window_and_another_has_neither(picture: Picture) -> None:
    for lane in picture.lanes:
        assert (len(lane.ends), len(lane.windows)) == ((0, 0) if lane.dashed else (1, 1))


@given(PICTURES)
def test_the_numbers_of_the_axis_do_not_run_into_each_other(picture: Picture) -> None:
    axis = picture.axis
    assert axis[0].words == "0 s"
    assert all(one.right < other.left for one, other in zip(axis, axis[1:]))


@given(PICTURES)
def test_probes_stay_lines_that_can_be_told_apart(picture: Picture) -> None:
    for lane in picture.lanes:
        assert len(lane.probes) <= MOST_LINES


@pytest.mark.parametrize(
    ("end", "probes"),
    [
        (End("server", 15, 3, (10, 0)), 3),
        (End("client", 15, 3), 3),
        # At 30, 60 and 90 s; given up after 120 s.
        (End("server", 15, 3, (9, 2)), 3),
        (End("client", 20, 1), 1),
        (End("server", 10, 12, (10, 0)), 12),
        # Given up after the first interval, with nothing asked.
        (End("client", 20, 0), 0),
        # Asked for ever, given up by TCP after 300 + 1047.6 s.
        (End("server", 300, 0, (10, 0)), 4),
        (SILENT, 0),
        (DEAF, 0),
    ],
)
def test_a_lane_has_a_line_for_each_unanswered_probe(end: End, probes: int) -> None:
    (lane,) = Picture({"one": end}).lanes
    assert len(lane.probes) == probes


def test_probes_are_as_far_apart_as_the_axis_says() -> None:
    picture = Picture({"one": End("server", 15, 3, (10, 0))})
    (lane,) = picture.lanes
    at = {text.words: (text.left + text.right) / 2 for text in picture.axis}
    second = (at["60 s"] - at["0 s"]) / 60
    expected = [at["0 s"] + second * moment for moment in (0, 15, 30, 45, 60)]
    assert [lane.start, *lane.probes, *lane.ends] == pytest.approx(expected, abs=0.2)


def test_all_lanes_have_one_axis() -> None:
    quick, silent = Picture({"quick": QUICK, "silent": SILENT}).lanes
    assert quick.start == silent.start
    assert (quick.stop - quick.start) / (silent.stop - silent.start) == pytest.approx(20 / 7875, abs=0.001)


def test_probes_too_many_to_draw_do_not_look_as_if_they_ceased() -> None:
    # One every second for 1048 s.
    (lane,) = Picture({"eager": EAGER}).lanes
    assert lane.probes
    assert max(lane.probes) - lane.start > (lane.stop - lane.start) / 2


def test_an_end_that_never_gives_up_has_a_dashed_lane_to_the_end_of_the_axis_and_says_so() -> None:
    picture = Picture({"deaf": DEAF, "silent": SILENT})
    deaf, silent = picture.lanes
    assert deaf.dashed
    assert not silent.dashed
    assert deaf.stop >= silent.stop
    assert "never gives up" in [text.words for text in picture.texts]


def test_the_words_say_when_and_by_which_layer() -> None:
    words = [text.words for text in Picture({"quick": QUICK, "silent": SILENT}).texts]
    assert "gives up after 14 to 20 s (ssh)" in words
    assert "gives up after 675 to 7875 s (tcp_keepalive)" in words


def test_a_hardened_kernel_beside_one_as_shipped_has_its_words_inside_the_picture() -> None:
    hardened = End("server", 0, 3, kernel=Kernel(120, 30, 5))
    for text in Picture({"hardened": hardened, "as shipped": SILENT}).texts:
        assert text.left >= 0, text


MARKUP = """<b> & "quoted" 'single' ]]> &amp;"""


def test_labels_and_title_are_text_whatever_is_in_them() -> None:
    picture = Picture({MARKUP: QUICK}, title=MARKUP)
    title = picture.root.find(f"{SVG}title")
    assert title is not None
    assert title.text == MARKUP
    # The title once more, to be seen, and the label.
    assert [text.words for text in picture.texts].count(MARKUP) == 2
    assert not list(picture.root.iter(f"{SVG}b"))


@given(strategies.text(strategies.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Cn"])))
def test_no_label_breaks_the_xml(label: str) -> None:
    assert label in [text.words for text in Picture({label: QUICK}).texts]


def test_a_picture_of_nothing_is_an_axis() -> None:
    picture = Picture({})
    assert picture.lanes == []
    assert len(picture.axis) > 1


def test_each_lane_makes_the_picture_higher_and_none_covers_another() -> None:
    pictures = [Picture({str(number): QUICK for number in range(lanes)}) for lanes in range(1, 5)]
    assert [len(picture.lanes) for picture in pictures] == [1, 2, 3, 4]
    heights = [picture.height for picture in pictures]
    assert len({after - before for before, after in zip(heights, heights[1:])}) == 1
    for picture in pictures:
        assert all(len(lane.probes) == 3 for lane in picture.lanes)


def test_a_timeline_that_came_through_json_is_drawn_as_well() -> None:
    timelines = {"server": timeline(QUICK), "client": timeline(DEAF)}
    assert draw(json.loads(json.dumps(timelines)), "A title") == draw(timelines, "A title")
