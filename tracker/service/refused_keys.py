"""Decides which refusals of known keys the log holds, so that they cannot fill it."""

from __future__ import annotations

INTERVAL_SECONDS = 600
"""Length of an interval. In each one the first refusal of a key for a reason and torrent counts."""

MOST = 4096
"""Largest number of refusals that the log gets in an interval."""
MOST_OF_KEY = 32
"""Largest number of them for one key, so that one member's torrents do not hide other members."""


class RefusedKeys:
    """Remembers the refusals of one interval."""

    __slots__ = ("_noted", "_of_key", "_until_us")

    def __init__(self) -> None:
        self._until_us = 0
        self._noted: set[tuple[int, int, bytes]] = set()
        self._of_key: dict[int, int] = {}  # refusals by key_ref

    def first(self, key_ref: int, refusal: int, info_hash: bytes, now_us: int) -> bool:
        """Notes a refusal; tells whether it is the first of its kind and within the bounds."""
        if now_us >= self._until_us:
            self._until_us = now_us + INTERVAL_SECONDS * 1_000_000
            self._noted.clear()
            self._of_key.clear()
        which = key_ref, refusal, info_hash
        count = self._of_key.get(key_ref, 0)
        if which in self._noted or count >= MOST_OF_KEY or len(self._noted) >= MOST:
            return False
        self._noted.add(which)
        self._of_key[key_ref] = count + 1
        return True
