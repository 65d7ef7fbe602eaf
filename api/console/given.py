"""Reads what a person typed into a form or an address.

Errors say which field it is, and what that takes.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from api.console.api import ProblemError
from tracker import times

if TYPE_CHECKING:
    from api.console.page import Asked, Form

_SIZE: Final = re.compile(
    r"([+-]?\d{1,20}(?:\.\d{1,20})?|[+-]?\d{1,3}(?:,\d{3}){1,6}(?= ?B?$)) ?(?:([KMGTPE])(i?)B|B)?",
    re.IGNORECASE,
)
"""Commas stand in exact bytes only, because `1,5 GiB` is 1.5 GiB to many people."""
_POWERS: Final = "KMGTPE"
_MOST_SECONDS: Final = 253_402_300_799
"""The last second of the year 9999."""


def whole(form: Form | Asked, name: str) -> int | None:
    """Reads a whole number; None = the field is empty."""
    text = form.get(name)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise _wrong(name, text, "a whole number")
    return int(text)


def size(form: Form | Asked, name: str) -> int:
    """Reads signed bytes, with a unit or without: `-1.5 GiB`, `1500`; 0 = the field is empty."""
    text = form.get(name).replace("−", "-")
    if not text:
        return 0
    found = _SIZE.fullmatch(text)
    if found is None:
        raise _wrong(name, text, "bytes such as 1500, 1.5 GiB or -300 MB")
    unit = 1024 if found[3] else 1000
    scale: int = unit ** (_POWERS.index(found[2].upper()) + 1) if found[2] else 1
    # A float would not be exact from 8 PiB on.
    return round(Fraction(found[1].replace(",", "")) * scale)


def moment(form: Form | Asked, name: str, now: float, *, ahead: bool) -> str | None:
    """Reads a time as `2026-12-31 20:00`, `+14d`, `2 hours ago`, or seconds since 1970.

    Returns it as the API has it; None = the field is empty. `ahead`: a time of day alone is the
    next one, else the last one.
    """
    text = form.get(name)
    if not text:
        return None
    if re.fullmatch(r"\d{9,12}", text) and int(text) <= _MOST_SECONDS:
        return times.rfc3339(int(text) * 1_000_000)
    try:
        return times.rfc3339(times.parse_typed(text, int(now * 1_000_000), ahead=ahead))
    except ValueError:
        raise _wrong(name, text, "a time such as 2026-12-31 20:00, +14d or 2 hours ago") from None


def torrent(asked: Asked) -> str:
    """Returns what names a torrent in a path: its info hash, or `label:Debian` as it stands."""
    text = asked.get("info_hash")
    return text if text.startswith("label:") else text.lower()


def place(asked: Asked, name: str) -> str:
    """Reads a place in the log, the number of an event or a time, as the API has it; "" = the field
    is empty.
    """
    text = asked.get(name)
    if not text or re.fullmatch(r"[0-9]{1,19}", text):
        return text
    try:
        return times.rfc3339(times.parse_typed(text, int(asked.now * 1_000_000), ahead=False))
    except ValueError:
        wanted = "the number of an event, or a time such as 2026-11-30 20:15 or 2h ago (UTC)"
        raise _wrong(name, text, wanted) from None


def _wrong(name: str, text: str, wanted: str) -> ProblemError:
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    return ProblemError(422, "This cannot be read", f"{name}: {shown!r} is not {wanted}")
