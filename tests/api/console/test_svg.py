"""Pictures are well-formed, show what they are given, and hold no styles and no foreign markup."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from api.console.svg import Bar, Lane, Line, Stay, histogram, lanes, line_chart, sparkline
from api.console.svg.drawing import Axis, time_marks, value_marks

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_US = 3_600_000_000
T0 = 1_800_000_000_000_000
HOSTILE = """</title><script>alert('x')</script>"&"""
SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own picture


def parts(picture: str, name: str, of_class: str = "") -> Iterator[ET.Element]:
    for one in parsed(picture).iter(SVG + name):
        if not of_class or of_class in one.get("class", "").split():
            yield one


def hostile() -> list[str]:
    """Every picture with texts that try to leave their places."""
    stay = Stay(T0, T0 + 1, HOSTILE, HOSTILE, HOSTILE)
    return [
        sparkline([1, 2], HOSTILE),
        line_chart([Line(HOSTILE, [(T0, 1)])], HOSTILE, (T0, T0 + 1)),
        lanes([Lane(HOSTILE, [stay], HOSTILE)], HOSTILE, (T0, T0 + 1)),
        histogram([Bar(T0, T0 + 1, {HOSTILE: 3}, HOSTILE)], [HOSTILE], HOSTILE),
    ]


@pytest.mark.parametrize("at", range(4))
def test_hostile_texts_stay_texts(at: int) -> None:
    picture = hostile()[at]
    root = parsed(picture)
    assert not list(root.iter(SVG + "script"))
    assert "<script" not in picture
    assert root.get("role") in ("img", "group")
    title = root.find(SVG + "title")
    assert title is not None
    assert title.text == HOSTILE
    assert not [one for one in root.iter() if one.get("style")]


def test_a_sparkline_has_gaps_and_another_time() -> None:
    picture = sparkline([0, 5, None, 10, 2], "announces", before=[1, 1, 1])
    assert [one.get("points") for one in parts(picture, "polyline", "curve")] == [
        "2.0,22.0 31.0,12.0", "89.0,2.0 118.0,18.0",
    ]  # fmt: skip
    assert len(list(parts(picture, "polyline", "before"))) == 1
    assert not list(parts(sparkline([], "nothing"), "polyline"))


def test_a_chart_says_its_highest_values() -> None:
    points = [(T0, 1 << 30), (T0 + HOUR_US, None), (T0 + 2 * HOUR_US, 3), (T0 + 3 * HOUR_US, 4)]
    picture = line_chart([Line("up", points)], "Traffic", (T0, T0 + 3 * HOUR_US), binary=True)
    root = parsed(picture)
    assert root.get("aria-label") == "Traffic. up: at most 1.00 GiB"
    assert len(list(parts(picture, "circle"))) == 1  # a value between two gaps
    assert len(list(parts(picture, "polyline"))) == 1
    assert "1.00 GiB" in [one.text for one in parts(picture, "text")]


def test_a_low_rate_has_marks_of_its_own() -> None:
    points = [(T0, 0.004), (T0 + HOUR_US, 0.013)]
    picture = line_chart([Line("now", points)], "Announces", (T0, T0 + HOUR_US), height=150)
    assert {"0", "0.005", "0.01", "0.015"} <= {one.text for one in parts(picture, "text")}


def test_a_lane_shows_its_stays_within_the_time() -> None:
    stays = [
        Stay(T0 - HOUR_US, T0 + HOUR_US, "began before", "leecher", "/events/1"),
        Stay(T0 + 2 * HOUR_US, None, "lasts", "seeder"),
        Stay(T0 - 9 * HOUR_US, T0 - 8 * HOUR_US, "is over"),
    ]
    within = (T0, T0 + 4 * HOUR_US)
    another = T0 + 2 * HOUR_US
    picture = lanes([Lane("anna", stays)], "Stays", within, T0 + HOUR_US, [(T0, T0 + 1)], another)
    bars = list(parts(picture, "rect", "stay"))
    assert [one.get("class") for one in bars] == ["stay leecher", "stay seeder"]
    assert [(one.get("x"), one.get("width")) for one in bars] == [
        ("150.0", "200.5"), ("551.0", "401.0"),
    ]  # fmt: skip
    assert len(list(parts(picture, "rect", "outage"))) == 1
    assert [one.get("x1") for one in parts(picture, "line", "moment")] == ["551.0", "350.5"]
    axis = next(one for one in parts(picture, "g") if one.get("data-axis"))
    assert axis.get("data-axis") == f"{T0 // 1000} {within[1] // 1000} 150 952 32 8"
    # Bars are for a pointer: there may be hundreds, and too small to be hit.
    assert [one.get("tabindex") for one in parts(picture, "a")] == ["-1"]


def test_bars_stand_on_each_other_and_lead_to_their_events() -> None:
    bars = [
        Bar(T0, T0 + HOUR_US, {"announced": 6, "key_issued": 4}, "/log?from=1"),
        Bar(T0 + HOUR_US, T0 + 2 * HOUR_US, {}, "/log?from=2"),
    ]
    picture = histogram(bars, ["announced", "key_issued"], "Events")
    assert [one.get("href") for one in parts(picture, "a")] == ["/log?from=1"]
    drawn = [one for one in parts(picture, "rect", "bar") if one.get("width") != "10"]
    heights = [float(one.get("height", "")) for one in drawn]
    assert heights[0] == pytest.approx(heights[1] * 1.5, abs=0.2)
    assert "10 events in 2 bars" in (parsed(picture).get("aria-label") or "")


def test_marks_are_round_and_few() -> None:
    assert value_marks(7) == [0, 2, 4, 6, 8]
    assert value_marks(0) == [0, 1]
    assert value_marks(3 << 30, binary=True) == [0, 1 << 30, 2 << 30, 3 << 30]
    assert [text for _, text in time_marks(T0, T0 + 5 * HOUR_US)] == [
        "08:00", "09:00", "10:00", "11:00", "12:00", "13:00",
    ]  # fmt: skip
    assert [text for _, text in time_marks(T0, T0 + 30 * 24 * HOUR_US)][:2] == ["01-17", "01-22"]
    assert len(time_marks(0, 2**62)) <= 12
    assert Axis(5, 5, 1, 9).at(7) == 1


def test_a_picture_of_nothing_is_a_picture() -> None:
    for picture in (
        line_chart([], "x", (T0, T0)),
        lanes([], "x", (T0, T0)),
        histogram([], [], "x"),
    ):
        assert parsed(picture).get("viewBox")
