"""Reads and writes rows and pairs of the book where they lie (`book_rows` has the layout).

The pure build uses these functions. Compiled callers use those of book_bytes.pxd, which do the
same, as `packed` and packed.pxd.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812  # an exception
from typing import TYPE_CHECKING

from tracker.domain.events.announce import NOT_RECORDED

if TYPE_CHECKING:
    from array import array
    from mmap import mmap

NAME_SIZE = 25
BODY = Struct("<BHIIII9QII")
ROW_SIZE = NAME_SIZE + BODY.size  # 124 bytes
PAIR_SIZE = 24
DAY_BODY = Struct("<B5Q3I")
DAY_SIZE = NAME_SIZE + DAY_BODY.size  # 78 bytes: a row of `daily_rows`
JUDGED_SIZE = 162
SEEDED_SIZE = 62
"""Bytes of a row of `judged_rows` and of `seeded_rows`; the newest one of a name counts."""


def put_row(to: bytearray, at: int, name: bytes, words: array[int], start: int) -> None:
    """Writes a row without corrections. `name` and the words from `start` on: those of `Booking`.

    Raises `OverflowError` or `struct.error` for a number without room in its field.
    """
    up, down, credited_up, credited_down, seeding, partial, sessions, snatched, announces = words[
        start : start + 9
    ]
    first_us, last_us, completed_us, client, cut, day = words[start + 9 : start + 15]
    to[at : at + ROW_SIZE] = (name[3::-1] + b"\1" + name[4:]) + BODY.pack(
        0, client if announces else NOT_RECORDED, announces, sessions, snatched, 0, up, down,
        credited_up, credited_down, seeding, partial, first_us, last_us, completed_us, cut, day,
    )  # fmt: skip


def put_pair(to: bytearray, at: int, name: bytes) -> None:
    """Writes the pair of a row with this name of `Booking`."""
    to[at : at + PAIR_SIZE] = name[4:] + name[3::-1]


def put_day(to: bytearray, at: int, name: bytes, words: array[int], start: int) -> bool:
    """Writes a row of the daily series. `name` and the words from `start` on: those of `Daily`.

    Returns False, and writes nothing, where all of them are 0. Raises `OverflowError` or
    `struct.error` for a number without room in its field.
    """
    numbers = words[start : start + 8]
    if not any(numbers):
        return False
    to[at : at + DAY_SIZE] = name + DAY_BODY.pack(0, *numbers)
    return True


def add_day(to: bytearray, at: int, newer: bytes, start: int) -> bool:
    """Adds a newer row of the daily series of the same name to one, where it stands.

    Returns False, and changes nothing, where signs or limits matter.
    """
    a = DAY_BODY.unpack_from(to, at + NAME_SIZE)
    b = DAY_BODY.unpack_from(newer, start + NAME_SIZE)
    if a[0] or b[0]:
        return False
    sums = [x + y for x, y in zip(a[1:7], b[1:7], strict=True)]
    try:
        to[at + NAME_SIZE : at + DAY_SIZE] = DAY_BODY.pack(
            0, *sums, max(a[7], b[7]), max(a[8], b[8])
        )
    except StructError:  # a sum that is too large for its field
        return False
    return True


def sort(rows: bytearray, size: int) -> None:
    """Sorts rows or pairs of `size` bytes by their names, of which no two may be the same."""
    rows[:] = b"".join(sorted([row for (row,) in Struct(f"{size}s").iter_unpack(rows)]))


def compare(older: bytes, at: int, newer: bytes, start: int, size: int) -> int:
    """Returns which of two strings of `size` bytes is before the other: -1, 0 or 1, by its sign."""
    one, other = older[at : at + size], newer[start : start + size]
    return (one > other) - (one < other)


def find(
    data: bytes | mmap, begin: int, count: int, size: int, named: int, sought: bytes, low: int
) -> int:
    """Returns the first of `count` sorted rows, from `low` on, whose name is not before `sought`.

    The rows begin at byte `begin` and take `size` bytes each, their names `named`. It looks near
    `low` first, because a merge goes on from there.
    """
    step, high = 1, low
    while high < count and _name(data, begin + high * size, named) < sought:
        low = high + 1
        high += step
        step *= 2
    high = min(high, count)
    while low < high:
        middle = (low + high) // 2
        if _name(data, begin + middle * size, named) < sought:
            low = middle + 1
        else:
            high = middle
    return low


def _name(data: bytes | mmap, at: int, named: int) -> bytes:
    return data[at : at + named]


def copy(to: bytearray, at: int, source: bytes, start: int, size: int) -> None:
    to[at : at + size] = source[start : start + size]


def add(to: bytearray, at: int, newer: bytes, start: int) -> bool:
    """Adds a newer row of the same name to one, where it stands.

    Returns False, and changes nothing, where signs or limits matter, where the older one is over,
    and for a row "no torrent".
    """
    a, b = BODY.unpack_from(to, at + NAME_SIZE), BODY.unpack_from(newer, start + NAME_SIZE)
    if a[0] or b[0] or a[16] < b[15] or not to[at + 4]:
        return False
    try:
        to[at + NAME_SIZE : at + ROW_SIZE] = BODY.pack(
            0, b[1] if b[2] else a[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5],
            a[6] + b[6], a[7] + b[7], a[8] + b[8], a[9] + b[9], a[10] + b[10], a[11] + b[11],
            a[12] or b[12], b[13] if b[2] else a[13] or b[13], a[14] or b[14], a[15], b[16],
        )  # fmt: skip
    except StructError:  # a sum that is too large for its field
        return False
    return True
