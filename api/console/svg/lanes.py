"""Draws who was there when: a lane for each peer or torrent, with a bar for each stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from api.console import formats
from api.console.svg.drawing import Axis, element, linked, picture, text, time_axis
from tracker import times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_WIDTH: Final = 960
_LEFT: Final = 150  # units for the names of lanes
_LANE: Final = 24  # units of a lane's height
_BAR: Final = 12  # units of a bar's height
_TOP: Final = 8
_BOTTOM: Final = 22  # units for the times
_NAME: Final = 20  # characters of a lane's name that fit
_LEAST: Final = 2.0  # units of the shortest bar, so that it is seen


@frozen
class Stay:
    """A stay: Unix microseconds from its begin to its end (None: it lasts), and what it is.

    `words` say what it is to a screen reader and on hover, `href` leads to its events. `kind` is
    `seeder`, `leecher`, or "" where the role is not known.
    """

    begin_us: int
    end_us: int | None
    words: str
    kind: str = "seeder"
    href: str | None = None


@frozen
class Lane:
    """A lane: its name, where the name leads, and its stays."""

    name: str
    stays: Sequence[Stay] = field(factory=list)
    href: str | None = None


def lanes(
    rows: Sequence[Lane],
    title: str,
    within: tuple[int, int],
    moment_us: int | None = None,
    outages: Sequence[tuple[int, int]] = (),
    other_us: int | None = None,
) -> Markup:
    """Draws lanes over the time `within` (Unix microseconds).

    `moment_us` is marked by a line over all lanes, `other_us` by a dashed one, `outages` (begin and
    end each) by bands.
    """
    bottom = _TOP + _LANE * max(len(rows), 1)
    across = Axis(*within, _LEFT, _WIDTH - 8)
    drawn = [*(_outage(across, *one, bottom) for one in outages), time_axis(across, bottom, _TOP)]
    for at, lane in enumerate(rows):
        drawn.extend(_lane(lane, _TOP + at * _LANE, across))
    for time_us, words, name in (
        (other_us, "compared with", "moment other"), (moment_us, "the moment", "moment"),
    ):  # fmt: skip
        if time_us is not None and within[0] <= time_us <= within[1]:
            x = across.at(time_us)
            line = element("line", x1=x, x2=x, y1=_TOP - 4, y2=bottom, class_=name)
            drawn.append(linked(None, f"{words} {_utc(time_us)}", line))
    count = sum(len(lane.stays) for lane in rows)
    said = f"{len(rows)} lanes with {count} stays, from {_utc(within[0])} to {_utc(within[1])}"
    return picture(_WIDTH, bottom + _BOTTOM, title, said, *drawn, kind="lanes", linked=True)


def _lane(lane: Lane, top: float, across: Axis) -> list[Markup]:
    name = lane.name if len(lane.name) <= _NAME else f"{lane.name[: _NAME - 1]}…"
    written = text(_LEFT - 8, top + 16, name, class_="name", text_anchor="end")
    drawn = [linked(lane.href, lane.name, written)]
    for stay in lane.stays:
        end_us = int(across.high) if stay.end_us is None else stay.end_us
        if end_us < across.low or stay.begin_us > across.high:
            continue
        begin, end = across.at(stay.begin_us), across.at(end_us)
        bar = element(
            "rect", x=begin, y=top + (_LANE - _BAR) / 2, width=max(end - begin, _LEAST), height=_BAR,
            rx=2, class_=" ".join(filter(None, ("stay", stay.kind))),
        )  # fmt: skip
        drawn.append(linked(stay.href, stay.words, bar, small=True))
    return drawn


def _outage(across: Axis, begin_us: int, end_us: int, bottom: float) -> Markup:
    begin, end = across.at(begin_us), across.at(end_us)
    band = element(
        "rect", x=begin, y=_TOP, width=max(end - begin, 1.0), height=bottom - _TOP, class_="outage"
    )
    return linked(None, f"nobody was served from {_utc(begin_us)} to {_utc(end_us)}", band)


def _utc(time_us: int) -> str:
    return formats.moment(times.rfc3339(time_us)) + " UTC"
