"""Draws how many events of each kind there were in each piece of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from api.console import formats
from api.console.svg.drawing import (
    Axis,
    element,
    grid,
    linked,
    picture,
    text,
    time_axis,
    value_marks,
)
from tracker import times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

_WIDTH: Final = 640
_HEIGHT: Final = 178
_LEFT: Final = 56  # units for the texts of the axis at the left
_TOP: Final = 42  # units for the legend
_BOTTOM: Final = 20  # units for the times
_LEGEND: Final = 192  # units of a name in the legend
_ACROSS: Final = 3  # names in a row of the legend
_ROW: Final = 18  # units from a row to the next
_NAME: Final = 26  # characters of a name that fit
_COLOURS: Final = 6  # kinds with a colour of their own; further ones share the last


@frozen
class Bar:
    """A bar: Unix microseconds from its begin to its end, counts by kind, where it leads."""

    begin_us: int
    end_us: int
    counts: Mapping[str, int]
    href: str | None = None


def histogram(bars: Sequence[Bar], kinds: Sequence[str], title: str) -> Markup:
    """Draws bars with the kinds one on the other, in the order of `kinds`. Each bar is a link."""
    begin = min((bar.begin_us for bar in bars), default=0)
    end = max((bar.end_us for bar in bars), default=1)
    most = max((sum(bar.counts.values()) for bar in bars), default=0)
    marks = value_marks(most)
    across = Axis(begin, end, _LEFT, _WIDTH - 8)
    down = Axis(0, marks[-1], _HEIGHT - _BOTTOM, _TOP)
    drawn = [
        *grid(down, marks, formats.number, _LEFT, _WIDTH - 8),
        time_axis(across, _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM),
        *(_bar(bar, kinds, across, down) for bar in bars),
    ]
    for at, kind in enumerate(kinds[:_COLOURS]):
        x, y = _LEFT + at % _ACROSS * _LEGEND, 4 + at // _ACROSS * _ROW
        drawn.append(element("rect", x=x, y=y, width=10, height=10, class_=f"bar series-{at}"))
        drawn.append(text(x + 14, y + 9, formats.words(kind)[:_NAME], class_="mark"))
    said = f"{formats.number(sum(sum(bar.counts.values()) for bar in bars))} events in {len(bars)} bars, at most {formats.number(most)} in one"
    return picture(_WIDTH, _HEIGHT, title, said, *drawn, kind="histogram", linked=True)


def _bar(bar: Bar, kinds: Sequence[str], across: Axis, down: Axis) -> Markup:
    x, right = across.at(bar.begin_us), across.at(bar.end_us)
    told = [
        f"{formats.number(bar.counts[kind])} {formats.words(kind)}"
        for kind in kinds
        if bar.counts.get(kind)
    ]
    words = f"{formats.moment(times.rfc3339(bar.begin_us))} UTC: {', '.join(told) or 'nothing'}"
    drawn, below = [], 0
    for at, kind in enumerate(kinds):
        count = bar.counts.get(kind, 0)
        if count:
            top, bottom = down.at(below + count), down.at(below)
            series = f"bar series-{min(at, _COLOURS - 1)}"
            drawn.append(
                element("rect", x=x, y=top, width=max(right - x - 1, 1.0), height=round(bottom - top, 1), class_=series)
            )  # fmt: skip
            below += count
    # A bar is as easy to hit when it is low, because the whole column leads to its events.
    column = element(
        "rect",
        x=x,
        y=down.end,
        width=max(right - x, 1.0),
        height=down.begin - down.end,
        class_="column",
    )
    return linked(bar.href if told else None, words, column, *drawn, small=True)
