"""Orders the bases of an account by their announces, so that the oldest and any other is found in a
few steps, however many the account has and in whatever order they come.

The order is a search tree in the rows themselves. A base has two children: the first of the newer
ones and the first of the older ones below it; 0 = none. No child ranks above its base, and the rank
is made from the number. So the tree is mostly flat, and depends on nothing but what is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import packed

if TYPE_CHECKING:
    from array import array

_all, _spread = 0xFFFFFFFF, 0x9E3779B1  # odd, so that no two ranks are equal; typed in the .pxd


def _rank(number: int) -> int:
    return number * _spread & _all


def insert(rows: bytearray, root: int, number: int) -> int:
    """Adds a base without children to a tree; returns the new root."""
    seq, rank = packed.wide(rows, number * 104 + 72), _rank(number)
    at, node = 100, root  # the root is a child of row 0 meanwhile
    while node and _rank(node) > rank:
        at = node * 104 + (96 if seq > packed.wide(rows, node * 104 + 72) else 100)
        node = packed.word(rows, at)
    # What is below goes on both sides of the base.
    newer_at, older_at = number * 104 + 96, number * 104 + 100
    packed.put_word(rows, 100, root)
    packed.put_word(rows, at, number)
    while node:
        if packed.wide(rows, node * 104 + 72) > seq:
            packed.put_word(rows, newer_at, node)
            newer_at = node * 104 + 100
            node = packed.word(rows, newer_at)
        else:
            packed.put_word(rows, older_at, node)
            older_at = node * 104 + 96
            node = packed.word(rows, older_at)
    packed.put_word(rows, newer_at, 0)
    packed.put_word(rows, older_at, 0)
    return _taken(rows)


def remove(rows: bytearray, root: int, number: int) -> int:
    """Takes a base out of its tree; returns the new root."""
    seq = packed.wide(rows, number * 104 + 72)
    at, node = 100, root
    while node != number:
        at = node * 104 + (96 if seq > packed.wide(rows, node * 104 + 72) else 100)
        node = packed.word(rows, at)
    newer, older = packed.word(rows, number * 104 + 96), packed.word(rows, number * 104 + 100)
    packed.put_word(rows, 100, root)
    while newer and older:
        if _rank(newer) > _rank(older):
            packed.put_word(rows, at, newer)
            at = newer * 104 + 100
            newer = packed.word(rows, at)
        else:
            packed.put_word(rows, at, older)
            at = older * 104 + 96
            older = packed.word(rows, at)
    packed.put_word(rows, at, newer or older)
    return _taken(rows)


def _taken(rows: bytearray) -> int:
    """Takes the root out of row 0."""
    root = packed.word(rows, 100)
    packed.put_word(rows, 100, 0)
    return root


def oldest(rows: bytearray, root: int) -> int:
    """Returns the base with the oldest announce; 0 = the tree is empty."""
    node = 0
    while root:
        node = root
        root = packed.word(rows, node * 104 + 100)
    return node


def find(rows: bytearray, root: int, seq: int) -> int:
    """Returns the base of this announce; 0 = none."""
    while root:
        own = packed.wide(rows, root * 104 + 72)
        if own == seq:
            break
        root = packed.word(rows, root * 104 + (96 if seq > own else 100))
    return root


def newest_first(rows: bytearray, root: int) -> list[int]:
    """Returns the bases of a tree in their order."""
    found: list[int] = []
    above: list[int] = []
    while root or above:
        while root:
            above.append(root)
            root = packed.word(rows, root * 104 + 96)
        root = above.pop()
        found.append(root)
        root = packed.word(rows, root * 104 + 100)
    return found


def check(rows: bytearray, roots: array[int], counts: array[int]) -> None:
    """Raises `ValueError` unless these are trees of the bases in the rows, by account.

    So no search in them can be endless.
    """
    seen = bytearray(len(rows) // 104)
    for root in roots:
        _see(seen, root)
    for number in range(1, len(seen)):
        for at in (96, 100):
            child = packed.word(rows, number * 104 + at)
            _see(seen, child)
            if child and _rank(child) >= _rank(number):
                raise ValueError("a base is below one that it ranks above")
    for account in range(len(roots)):
        last = 1 << 64
        found = newest_first(rows, roots[account])
        for number in found:
            seq = packed.wide(rows, number * 104 + 72)
            if not 0 < seq < last or packed.word(rows, number * 104 + 40) != account:
                raise ValueError("a base is not where its account's others say")
            last = seq
        if len(found) != counts[account]:
            raise ValueError("an account has more bases or fewer")


def _see(seen: bytearray, number: int) -> None:
    """Notes that a base is somewhere; it may be in one place only."""
    if number:
        if seen[number]:
            raise ValueError("a base is in two places")
        seen[number] = 1
