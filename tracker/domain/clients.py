"""Numbers the clients that announce: pairs of the beginning of a peer_id and a User-Agent.

An announce in the log names its client by this number, because the texts would be longer than the
record. `find` runs for every announce, so it makes no object for a known client.
"""

from __future__ import annotations

import os
from array import array

from tracker.domain import packed

MOST = 4096
"""Largest number of pairs. An announce of a further pair has the number 0, "other"."""

MOST_OF_ACCOUNT = 16
"""Largest number of pairs that the announces of one account get while a tracker runs, so that one
member who makes up clients leaves numbers for all others."""

PREFIX_BYTES = 8
AGENT_BYTES = 104  # a longer User-Agent counts by its first bytes

_SLOTS = 2 * MOST  # of the table


def prefix_of(peer_id: bytes) -> bytes:
    """Returns the part of a peer_id that names a client: its first 8 bytes, or b"".

    They do so in the usual forms (`-qB4650-`, `M7-10-5-`), which are printable and end in a dash.
    Elsewhere they may be random, and would fill the numbers with single sessions.
    """
    prefix = peer_id[:PREFIX_BYTES]
    usual = prefix[-1:] == b"-" and prefix.isascii() and prefix.decode().isprintable()
    return prefix if usual else b""


def shown_text(raw: bytes) -> str:
    """Returns a prefix or User-Agent for people: all but printable ASCII as escapes."""
    text = raw.decode("ascii", "backslashreplace")
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


class Clients:
    """The pairs that have a number, from 1 on. `pairs[n - 1]` is that of number n."""

    __slots__ = ("_agents", "_numbers", "_secret", "_table", "pairs")

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self._numbers: dict[tuple[bytes, bytes], int] = {}  # the pure build's table
        self._secret = array("Q", os.urandom(32))  # see `packed.slot`
        self._agents: dict[bytes, int] = {}  # numbers of User-Agents, only for `_table`
        # Pairs of words: a prefix, and the number of the User-Agent above the client's. 0 = free.
        self._table = array("Q", bytes(16 * _SLOTS))

    def find(self, peer_id: bytes, agent: bytes) -> int:
        """Returns the number of the client with this peer_id and User-Agent (b"" = none).

        `peer_id`: 20 bytes; a pointer in compiled code, which alone can call this. 0 = it has none,
        or needs the longer way by `prefix_of` and `number`.
        """
        if not packed.COMPILED:
            return self._numbers.get((peer_id[:8] if peer_id[7] == 0x2D else b"", agent), 0)
        which = 0
        if agent:
            known = self._agents.get(agent)
            if known is None:
                return 0
            which = known
        prefix = packed.prefix(peer_id)
        table = self._table
        at = packed.slot(self._secret, prefix, which)
        found = packed.u64(table, 2 * at + 1)
        while found:
            if found >> 16 == which and packed.u64(table, 2 * at) == prefix:
                return found & 0xFFFF
            at = (at + 1) & 8191  # _SLOTS - 1
            found = packed.u64(table, 2 * at + 1)
        return 0

    def number(self, prefix: bytes, agent: bytes) -> int:
        """Returns the number of a pair; 0 = it has none."""
        name = prefix.ljust(20, b"\0")
        return self.find(name, agent)

    def add(self, prefix: bytes, agent: bytes) -> int:
        """Gives a new pair the next number, and returns it."""
        self.pairs.append((prefix, agent))
        if not packed.COMPILED:
            self._numbers.setdefault((prefix, agent), len(self.pairs))
            return len(self.pairs)
        which = self._agents.setdefault(agent, len(self._agents) + 1) if agent else 0
        name = packed.prefix(prefix.ljust(20, b"\0"))
        at = packed.slot(self._secret, name, which)
        while self._table[2 * at + 1]:
            at = (at + 1) % _SLOTS
        self._table[2 * at] = name
        self._table[2 * at + 1] = which << 16 | len(self.pairs)
        return len(self.pairs)

    def shown(self, number: int) -> tuple[str, str]:
        """Returns prefix and User-Agent of a number for people."""
        prefix, agent = self.pairs[number - 1]
        return shown_text(prefix), shown_text(agent)

    def as_data(self) -> list[list[str]]:
        """Returns the pairs for JSON, each byte as one character."""
        return [[text.decode("latin-1") for text in pair] for pair in self.pairs]

    @classmethod
    def from_data(cls, data: list[list[str]]) -> Clients:
        """Makes the pairs from `as_data`. Raises `TypeError`, `ValueError` or `AttributeError`."""
        made = cls()
        if len(data) > MOST:
            raise ValueError("more clients than there are numbers")
        for prefix, agent in data:
            made.add(prefix.encode("latin-1"), agent.encode("latin-1"))
        return made


if _SLOTS != 8192:
    raise AssertionError("Clients.find and packed.slot spell this number out")
