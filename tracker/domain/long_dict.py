"""A dictionary that may become large, while strangers fill it.

A usual one copies itself when it is full: 0.1 s in one step with 1,400,000 entries. This one is a
chain of short ones. Its order is that of insertion too.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

K = TypeVar("K")
V = TypeVar("V")
_MOST = 1 << 16
"""Entries of a part, after which a new one begins. Its last growth takes 3 ms. A search in
2,000,000 entries looks into 31 parts, which takes a microsecond."""


class LongDict(MutableMapping[K, V]):
    __slots__ = ("_parts",)

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        self._parts: list[dict[K, V]] = [{}]  # none is empty, except an only one
        for key, value in items:
            self[key] = value

    def _part(self, key: K) -> int:
        """Returns the number of the part that has a key; -1 = none."""
        for number, part in enumerate(self._parts):
            if key in part:
                return number
        return -1

    def __getitem__(self, key: K) -> V:
        return self._parts[self._part(key)][key]

    def __contains__(self, key: object) -> bool:
        return any(key in part for part in self._parts)

    def get(self, key: K, default: V) -> V:  # type: ignore[override]  # without an exception
        number = self._part(key)
        return default if number < 0 else self._parts[number][key]

    def __setitem__(self, key: K, value: V) -> None:
        number = self._part(key)
        if number < 0 and len(self._parts[-1]) >= _MOST:
            self._parts.append({})
        self._parts[number][key] = value

    def __delitem__(self, key: K) -> None:
        number = self._part(key)
        parts = self._parts
        del parts[number][key]
        # Few parts are short, so that there are few.
        if number + 1 < len(parts) and len(parts[number]) + len(parts[number + 1]) <= _MOST // 4:
            parts[number].update(parts.pop(number + 1))
        elif not parts[number] and len(parts) > 1:
            del parts[number]

    def pop(self, key: K, default: V) -> V:  # type: ignore[override]  # without an exception
        number = self._part(key)
        if number < 0:
            return default
        value = self._parts[number][key]
        del self[key]
        return value

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __bool__(self) -> bool:
        return bool(self._parts[0])
