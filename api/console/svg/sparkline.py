"""Draws a sparkline: a small curve beside a number that shows how it came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console.svg.drawing import Axis, element, picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_WIDTH: Final = 120
_HEIGHT: Final = 24
_EDGE: Final = 2  # units around the curve, so that its line is not cut


def sparkline(
    values: Sequence[float | None], title: str, before: Sequence[float | None] = ()
) -> Markup:
    """Draws values from the left to the right, the lowest at 0 or below it.

    `before`: values of another time, such as the same hour last week, in a quieter colour. None
    is a gap.
    """
    known = [value for value in (*values, *before) if value is not None]
    low, high = min((0.0, *known)), max((1e-9, *known))
    down = Axis(low, high, _HEIGHT - _EDGE, _EDGE)
    curves = [
        element("polyline", points=points, class_=name, fill="none")
        for some, name in ((before, "before"), (values, "curve"))
        for points in _runs(some, down)
    ]
    said = f"{len(values)} values" if known else "no values"
    return picture(_WIDTH, _HEIGHT, title, said, *curves, kind="sparkline")


def _runs(values: Sequence[float | None], down: Axis) -> list[str]:
    """Gives the points of each run of values without a gap."""
    across = Axis(0, max(len(values) - 1, 1), _EDGE, _WIDTH - _EDGE)
    runs: list[list[str]] = [[]]
    for at, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{across.at(at)},{down.at(value)}")
    return [" ".join(run if len(run) > 1 else run * 2) for run in runs if run]
