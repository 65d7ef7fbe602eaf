"""Parses and prints times in RFC 3339, for people and for JSON.

Inside the tracker a time is Unix microseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


_UNIT: Final = r"s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?|w(?:eeks?)?"
_PART: Final = re.compile(rf"(\d{{1,9}}) ?({_UNIT})(?![a-z])", re.ASCII)
_LENGTH: Final = re.compile(rf"(?:\d{{1,9}} ?(?:{_UNIT})(?![a-z]) ?)+", re.ASCII)
_SPAN: Final = re.compile(r"([+-]?) ?(.*?)( ago)?", re.ASCII)
_CLOCK: Final = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_ZONE: Final = re.compile(r"(?<=\d) ?(?:z|UTC|GMT)$", re.IGNORECASE)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}
_DAY: Final = timedelta(days=1)
DAY_US: Final = 86_400_000_000
_LAST_US: Final = 253_402_300_799_999_999  # the last microsecond of the year 9999


def rfc3339(time_us: int) -> str:
    """Prints Unix microseconds as `2026-11-21T20:24:00.000000Z`.

    Times that RFC 3339 cannot write become the nearest one that it can: only damage brings them.
    """
    moment = _EPOCH + timedelta(microseconds=min(max(time_us, 0), _LAST_US))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z".rjust(27, "0")


def date(day: int) -> str:
    """Prints a number of days since 1970 as `2026-11-21`."""
    return rfc3339(day * DAY_US)[:10]


def parse_date(text: str) -> int | None:
    """Parses what `date` prints; None for anything else."""
    time_us = parse(f"{text}T00:00:00Z")
    return None if time_us is None else time_us // DAY_US


def parse(text: str) -> int | None:
    """Parses a time with its zone as RFC 3339 writes it; Unix microseconds.

    None for anything else, and for times that `rfc3339` cannot print: before 1970, and those that
    are in the year 10000 in UTC.
    """
    match = _TIME.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    micros = int((match[7] or "0").ljust(6, "0")[:6])
    hours, minutes = int(match[9] or 0), int(match[10] or 0)
    if hours > 23 or minutes > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        there = datetime(year, month, day, hour, minute, second, micros, UTC)
        since = there - _EPOCH + (offset if match[8] == "-" else -offset)
    except (ValueError, OverflowError):
        return None
    time_us = since // timedelta(microseconds=1)
    return time_us if 0 <= time_us <= _LAST_US else None


def parse_loosely(text: str) -> tuple[int, bool]:
    """Parses any ISO 8601 time that a person may type; Unix microseconds, and whether it names a
    zone.

    A time without a zone is read as UTC. Raises `ValueError`, also for times that `rfc3339` cannot
    print.
    """
    moment = datetime.fromisoformat(text)
    zoned = moment.tzinfo is not None
    if not zoned:
        moment = moment.replace(tzinfo=UTC)
    try:
        time_us = (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    except OverflowError:
        raise ValueError(f"{text} is out of range") from None
    return _in_range(time_us, text), zoned


def parse_typed(text: str, now_us: int, *, ahead: bool) -> int:
    """Parses a time that a person types at the command line; Unix microseconds.

    Besides what `parse_loosely` reads: `now`; `+3m`, `-1h30m`, `10m ago` and `2 hours ago`, counted
    from now (s, m, h, d, w); `07:02`, the next time that it is so late, if `ahead`, or else the
    last one; `yesterday`, `today` and `tomorrow`, which begin at midnight, and `yesterday 20:15`.
    All in UTC. Raises `ValueError`.
    """
    text = _ZONE.sub("Z", text.strip())
    if text == "now":
        return now_us
    if (length_us := _span_us(text)) is not None:
        return _in_range(now_us + length_us, text)
    now = _EPOCH + timedelta(microseconds=now_us)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day, _, clock = text.partition(" ") if text.split(" ")[0] in _DAYS else ("", "", text)
    match = _CLOCK.fullmatch(clock.removesuffix("Z"))
    if not match and (clock or not day):
        return parse_loosely(text)[0]
    there = midnight + _DAYS.get(day, 0) * _DAY
    if match:
        there = there.replace(hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0))
    if not day and ahead and there <= now:
        there += _DAY
    elif not day and not ahead and there > now:
        there -= _DAY
    return (there - _EPOCH) // timedelta(microseconds=1)


def seconds_of(text: str) -> int:
    """Parses a length of time, `72h`, `1h30m` or `2 days`; seconds. Raises `ValueError`."""
    if not _LENGTH.fullmatch(text):
        raise ValueError(f"{text} is no length of time")
    return sum(int(count) * _SECONDS[unit[0]] for count, unit in _PART.findall(text))


def _span_us(text: str) -> int | None:
    """Parses a time that is counted from now, as microseconds from now; None for others."""
    match = _SPAN.fullmatch(text)
    if not match or bool(match[1]) == bool(match[3]) or not _LENGTH.fullmatch(match[2]):
        return None
    length = seconds_of(match[2]) * 1_000_000
    return length if match[1] == "+" else -length


def _in_range(time_us: int, text: str) -> int:
    if not 0 <= time_us <= _LAST_US:
        raise ValueError(f"{text} is out of range")
    return time_us
