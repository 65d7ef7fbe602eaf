"""Makes elements of SVG, and says where values lie on an axis."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING, Final

from attrs import frozen
from markupsafe import Markup, escape

from tracker import times

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SECOND_US: Final = 1_000_000
_STEPS_US: Final = tuple(
    seconds * _SECOND_US
    for seconds in (
        *(1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400),
        *(5 * 86_400, 10 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400, 1825 * 86_400),
    )
)
"""Microseconds between two marks of a time axis."""
_DAY_US: Final = 86_400 * _SECOND_US


@frozen
class Axis:
    """A straight axis: values from `low` to `high` lie from `begin` to `end` in the picture."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Says where a value lies; those outside lie at the nearer end."""
        if self.high <= self.low:
            return self.begin
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.begin + part * (self.end - self.begin), 1)


def element(name: str, *inside: str, **attributes: object) -> Markup:
    """Makes an element. `class_` is `class`, `_` in other names is `-`, None leaves one out.

    Texts and values are escaped, markup stays.
    """
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    named = Markup(name)  # noqa: S704 - names of elements are ours
    if not inside:
        return Markup("<{0}{1}/>").format(named, said)
    text = Markup("").join(escape(part) for part in inside)
    return Markup("<{0}{1}>{2}</{0}>").format(named, said, text)


def picture(
    width: int, height: int, title: str, desc: str, *inside: str, kind: str, linked: bool = False
) -> Markup:
    """Makes the picture of these parts. `title` and `desc` are what a screen reader says of it.

    `linked`: parts of it are links, so that it is a group and not one image.
    """
    return element(
        "svg",
        element("title", title),
        element("desc", desc),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        class_=f"picture {kind}",
        role="group" if linked else "img",
        aria_label=f"{title}. {desc}",
    )


def text(x: float, y: float, words: str, **attributes: object) -> Markup:
    return element("text", words, x=x, y=y, **attributes)


def linked(href: str | None, words: str, *inside: str, small: bool = False) -> Markup:
    """Makes parts of a picture a link that says `words`; without `href` they only say it on hover.

    `small`: the parts are too small to be hit safely, or too many to be passed one by one. Then
    the link is for a pointer, and the page has another one with the same aim for the keyboard.
    """
    parts = (element("title", words), *inside)
    if href is None:
        return element("g", *parts)
    if small:
        return element("a", *parts, href=href, aria_label=words, tabindex=-1)
    return element("a", *parts, href=href)


def time_marks(low_us: int, high_us: int, most: int = 6) -> list[tuple[int, str]]:
    """Chooses round times between two, at most `most`, with their texts in UTC."""
    length = max(high_us - low_us, 1)
    step = next((one for one in _STEPS_US if length / one <= most), _STEPS_US[-1])
    first = -(-low_us // step)
    marks = [at * step for at in range(first, high_us // step + 1)]
    return [(one, _time_text(one, step)) for one in marks[: 2 * most]]


def _time_text(time_us: int, step_us: int) -> str:
    said = times.rfc3339(time_us)
    if step_us >= _DAY_US or time_us % _DAY_US == 0:
        return said[:10] if step_us >= 365 * _DAY_US else said[5:10]
    return said[11:19] if step_us < 60 * _SECOND_US else said[11:16]


def value_marks(high: float, *, binary: bool = False, most: int = 4) -> list[float]:
    """Chooses round values from 0 to `high` or a little above: 1, 2 and 5 of each power of ten.
    From 1 on they are whole.

    `binary`: of each power of 1024, because sizes are written in binary units.
    """
    if high <= 0:
        return [0.0, 1.0]
    unit = 1.0
    while binary and high / unit >= 1000:
        unit *= 1024
    rough = high / unit / most
    power = 10.0 ** floor(log10(rough)) if rough > 0 else 1.0
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough) * unit
    if not binary and high >= 1:
        step = max(step, 1.0)
    return [step * at for at in range(ceil(high / step) + 1)]


def grid(
    down: Axis, marks: Sequence[float], words: Callable[[float], str], left: float, right: float
) -> list[Markup]:
    """Draws a line and a text for each mark of the axis at the left."""
    drawn: list[Markup] = []
    for mark in marks:
        y = down.at(mark)
        drawn.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        drawn.append(text(left - 6, y + 4, words(mark), class_="mark", text_anchor="end"))
    return drawn


def time_axis(across: Axis, y: float, top: float) -> Markup:
    """Draws the marks of a time axis below a picture, with thin lines up to `top`.

    They are in UTC. The group says from when to when it is (Unix milliseconds) and where, so that
    static/console.js can draw the marks of the browser's zone.
    """
    drawn: list[Markup] = []
    for at, words in time_marks(int(across.low), int(across.high)):
        x = across.at(at)
        drawn.append(element("line", x1=x, x2=x, y1=top, y2=y, class_="grid"))
        drawn.append(text(x, y + 14, words, class_="mark", text_anchor="middle"))
    when = f"{across.low / 1000:.0f} {across.high / 1000:.0f}"
    return element("g", *drawn, data_axis=f"{when} {across.begin:g} {across.end:g} {y:g} {top:g}")
