"""Looks through the packed rows of the index of stays. Compiled, because there are millions.

`stay_files` has the layout of the rows. A flag is a byte for each row of the index: 1 = it is one
of those that are looked for.
"""

from __future__ import annotations

ROW, END = 50, 20
"""Bytes of a row that began, and of one that ended."""


def select(
    rows: bytes,
    places: bytes,
    masks: bytes,
    wanted: bytes,
    clients: bytes,
    flags: bytearray,
    at: int,
) -> None:
    """Sets the flags, from `at` on, of the rows whose bytes at `places`, masked, are those wanted.

    `clients`: a byte for each number of a client, 1 = it is wanted too; b"" = all are.
    """
    data, where, mask, sought, named = rows, places, masks, wanted, clients  # typed in the .pxd
    tests, some = len(places), len(clients)
    for start in range(0, len(rows), 50):  # ROW
        fits = True
        for number in range(tests):
            if data[start + where[number]] & mask[number] != sought[number]:
                fits = False
                break
        if fits and some:
            client = data[start + 46] | data[start + 47] << 8
            fits = named[client] != 0
        if fits:
            flags[at] = 1
        at += 1


def clear_ended(ends: bytes, flags: bytearray, first: int) -> None:
    """Clears the flags of rows that ended. `first`: number of the row that has the first flag."""
    data, size = ends, len(flags)
    for start in range(0, len(ends), 20):  # END
        row = 0
        for number in range(6, -1, -1):
            row = row << 8 | data[start + number]
        row -= first
        if 0 <= row < size:
            flags[row] = 0


def ends_of(ends: bytes, flags: bytearray, first: int) -> list[int]:
    """Returns where the ends of rows with a flag begin."""
    data, size, found = ends, len(flags), []
    for start in range(0, len(ends), 20):  # END
        row = 0
        for number in range(6, -1, -1):
            row = row << 8 | data[start + number]
        row -= first
        if 0 <= row < size and flags[row]:
            found.append(start)
    return found


# Fails when one of these constants changes, because the code above has literals in their place.
if (ROW, END) != (50, 20):
    raise AssertionError("the scan of stays spells these numbers out")
