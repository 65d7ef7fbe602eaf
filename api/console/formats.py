"""Writes numbers, bytes, times and clients as staff reads them, for templates and for pictures.

Inputs are what the API gives: bytes, seconds and counts as numbers, times as RFC 3339 in UTC. All
functions return plain text, which templates escape. What is not known (None) is a dash.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from tracker import times
from tracker.wire.clients import OTHERS, client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

UNKNOWN: Final = "–"
"""What stands for a value that nobody knows."""
_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SPANS: Final = (
    (86_400, "day", "d"),
    (3600, "hour", "h"),
    (60, "minute", "min"),
    (1, "second", "s"),
)
"""Seconds of a unit of time, its name, and its short name."""
_HASH_SHOWN: Final = 10  # digits of an info hash that name a torrent in tables
_CLIENT_SHOWN: Final = 40  # characters of a client that has no known form
_AGENT: Final = re.compile(
    r"([^\W\d_][\w .+-]{0,30}?)[/ ]v?(\d[\w.+-]{0,20})(?:[ ;(].*)?", re.DOTALL
)


def size(count: float | None) -> str:
    """Writes bytes with three digits in binary units: `1.50 GiB`."""
    if count is None:
        return UNKNOWN
    if abs(count) < 1000:
        return f"{_minus(f'{count:.0f}')} B"
    amount, power = count / 1024, 0
    while abs(amount) >= 999.5 and power < len(_UNITS) - 1:
        amount, power = amount / 1024, power + 1
    digits = 2 if abs(amount) < 9.995 else 1 if abs(amount) < 99.95 else 0
    return _minus(f"{amount:.{digits}f} {_UNITS[power]}")


def signed_size(count: int | None) -> str:
    """Writes a difference of bytes with its sign: `+1.50 GiB`."""
    return f"+{size(count)}" if count is not None and count > 0 else size(count)


def exact_bytes(count: int | None) -> str:
    """Writes every byte, for those who hover over a size: `1,610,612,736 bytes`."""
    return UNKNOWN if count is None else f"{number(count)} {'byte' if abs(count) == 1 else 'bytes'}"


def number(count: float | None) -> str:
    """Writes a number with commas between thousands: `1,234,567`. Halves keep one decimal, and what
    is less than one two digits: `0.013`.
    """
    if count is None:
        return UNKNOWN
    if 0 < abs(count) < 1:
        return _minus(f"{count:.2g}")
    return _minus(
        f"{count:,.0f}" if float(count).is_integer() or abs(count) >= 100 else f"{count:,.1f}"
    )


def ratio(value: float | None) -> str:
    """Writes a ratio with three decimals, as the API rounds it; None = nothing was downloaded."""
    return UNKNOWN if value is None else f"{value:,.3f}"


def rate(per_second: float | None) -> str:
    """Writes bytes a second: `1.20 MiB/s`."""
    return UNKNOWN if per_second is None else f"{size(per_second)}/s"


def milliseconds(seconds: float | None) -> str:
    """Writes a short time in milliseconds, with two digits at least: `4.2 ms`."""
    if seconds is None:
        return UNKNOWN
    amount = seconds * 1000
    return f"{amount:,.0f} ms" if amount >= 10 or amount == 0 else f"{amount:.2g} ms"


def percent(part: float | None, whole: float | None) -> str:
    """Writes which part of a whole something is, rounded down: 100 % means all of it."""
    if part is None or not whole:
        return UNKNOWN
    tenths = int(1000 * part / whole)
    return f"{tenths / 10:.0f} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def span(seconds: float | None) -> str:
    """Writes a length of time in its two largest units: `3 d 4 h`, `12 min`."""
    if seconds is None:
        return UNKNOWN
    left = int(abs(seconds))
    if left == 0:
        return "0 s"
    for at, (unit, _name, short) in enumerate(_SPANS):
        if left >= unit:
            parts = [f"{left // unit} {short}"]
            if at + 1 < len(_SPANS) and (rest := left % unit // _SPANS[at + 1][0]):
                parts.append(f"{rest} {_SPANS[at + 1][2]}")
            return ("−" if seconds < 0 else "") + " ".join(parts)
    return "0 s"


def age(moment: str | None, now_us: int | None = None) -> str:
    """Tells in words how long ago a time is, or how far ahead: `3 hours ago`, `in 2 days`."""
    time_us = None if moment is None else times.parse(moment)
    if time_us is None:
        return UNKNOWN
    seconds = ((time.time_ns() // 1000 if now_us is None else now_us) - time_us) / 1_000_000
    for unit, name, _short in _SPANS:
        if abs(seconds) >= unit:
            count = int(abs(seconds) // unit)
            words = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now"


def moment(text: str | None) -> str:
    """Writes a time to the second, in UTC: `2026-11-30 18:21:09`."""
    return UNKNOWN if text is None else text[:19].replace("T", " ")


def clock(text: str | None) -> str:
    """Writes a time in UTC as those who hover over it see it: `2026-11-30 18:21:09.210482 UTC`."""
    return UNKNOWN if text is None else text.replace("T", " ").removesuffix("Z") + " UTC"


def microseconds(text: str | None) -> int | None:
    """Reads a time of the API as Unix microseconds, for pictures; None stays None."""
    return None if text is None else times.parse(text)


def short_hash(info_hash: str | None) -> str:
    """Writes the first ten digits of an info hash, which name a torrent in commands too."""
    return UNKNOWN if not info_hash else info_hash[:_HASH_SHOWN]


def words(name: str | None) -> str:
    """Writes a name of the API (`at_risk`, `upload_beyond_received`) as words."""
    return UNKNOWN if name is None else name.replace("_", " ")


def client(peer_id: str | None, user_agent: str | None = None) -> str:
    """Names a client in words: `qBittorrent 4.6.3`.

    Its User-Agent says it exactly. Else the peer id does (text, or 40 hexadecimal digits), of
    which the first eight characters are enough.
    """
    said = _AGENT.fullmatch((user_agent or "").strip())
    if said:
        return f"{said[1]} {said[2]}"
    if peer_id:
        raw = bytes.fromhex(peer_id) if re.fullmatch("[0-9a-f]{40}", peer_id) else peer_id.encode()
        name, version = client_of(raw[:20].ljust(20, b"0"))
        if (name, version) != OTHERS:
            return f"{name} {_dotted(version)}".rstrip()
        if len(raw) == 20:
            peer_id = "".join(chr(byte) if 32 < byte < 127 else "." for byte in raw[:8])
    text = (user_agent or peer_id or UNKNOWN).strip()
    return text if len(text) <= _CLIENT_SHOWN else f"{text[:_CLIENT_SHOWN]}…"


def _dotted(version: str) -> str:
    """Writes the version in a peer id with dots: `4630` is 4.6.3, `20B0` is 2.0.11."""
    parts = [str(int(one, 36)) if one.isdigit() or one.isupper() else one for one in version]
    while len(parts) > 2 and parts[-1] == "0":
        parts.pop()
    return ".".join(parts)


def _minus(text: str) -> str:
    """Puts the sign that is as wide as a plus before a negative number."""
    return text.replace("-", "−", 1)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    one.__name__: one
    for one in (
        *(size, signed_size, exact_bytes, number, ratio, rate, milliseconds, percent, span, age),
        *(moment, clock, microseconds, short_hash, words, client),
    )
}
"""The functions by the names that templates have for them."""


def add_to(environment: Environment) -> None:
    """Gives the filters to an environment of templates."""
    environment.filters.update(FILTERS)
