"""Draws values over time as lines with axes and a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from api.console import formats
from api.console.svg.drawing import Axis, element, grid, picture, text, time_axis, value_marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_WIDTH: Final = 640
_HEIGHT: Final = 200  # units, unless a page wants it lower
_LEFT: Final = 64  # units for the texts of the axis at the left
_TOP: Final = 24  # units for the legend
_BOTTOM: Final = 20  # units for the times
_LEGEND: Final = 130  # units of a name in the legend


@frozen
class Line:
    """A line: its name, and pairs of Unix microseconds and a value (None: a gap), ascending."""

    name: str
    points: Sequence[tuple[int, float | None]]


def line_chart(
    lines: Sequence[Line],
    title: str,
    within: tuple[int, int],
    *,
    binary: bool = False,
    height: int = _HEIGHT,
) -> Markup:
    """Draws lines over the time `within` (Unix microseconds), from 0 up.

    `binary`: values are bytes. The description names each line's highest value.
    """
    values = [value for line in lines for _, value in line.points if value is not None]
    words = formats.size if binary else formats.number
    marks = value_marks(max(values, default=0), binary=binary)
    across = Axis(*within, _LEFT, _WIDTH - 8)
    down = Axis(0, marks[-1], height - _BOTTOM, _TOP)
    drawn = [
        *grid(down, marks, words, _LEFT, _WIDTH - 8),
        time_axis(across, height - _BOTTOM, _TOP),
    ]
    for at, line in enumerate(lines):
        drawn.extend(_drawn(line, at, across, down))
        x = _LEFT + at * _LEGEND
        drawn.append(element("line", x1=x, x2=x + 18, y1=9, y2=9, class_=f"curve series-{at}"))
        drawn.append(text(x + 24, 13, line.name, class_="mark"))
    said = "; ".join(f"{line.name}: at most {words(_highest(line))}" for line in lines)
    return picture(_WIDTH, height, title, said or "no values", *drawn, kind="chart")


def _drawn(line: Line, at: int, across: Axis, down: Axis) -> list[Markup]:
    """Draws each run without a gap; a value between two gaps is a dot."""
    drawn: list[Markup] = []
    run: list[tuple[float, float]] = []
    for time_us, value in (*line.points, (0, None)):
        if value is not None:
            run.append((across.at(time_us), down.at(value)))
        elif run:
            if len(run) == 1:
                drawn.append(
                    element("circle", cx=run[0][0], cy=run[0][1], r=2, class_=f"dot series-{at}")
                )
            else:
                points = " ".join(f"{x},{y}" for x, y in run)
                drawn.append(
                    element("polyline", points=points, fill="none", class_=f"curve series-{at}")
                )
            run = []
    return drawn


def _highest(line: Line) -> float:
    return max((value for _, value in line.points if value is not None), default=0)
