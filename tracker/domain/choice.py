"""Draws the numbers that choose peers for a reply, and those that vary the interval.

A draw depends on a secret and on the number of the announce in the log, and on nothing else. So
nobody can predict whom he is handed, and whoever has the secret and the log can compute it
afterwards. The settings in the log name the rule by which it was drawn
(docs/adr/0003-who-gets-whom.md).
"""

from __future__ import annotations

from array import array
from hashlib import blake2s
from struct import Struct

RULE = 2
"""The number of the rule that this version draws by."""

PEERS, INTERVAL = 0, 2  # what a draw is for: where its half of the secret begins

_WORDS = Struct("<4Q").unpack
_ALL = 2**64 - 1


def halves(secret: bytes) -> array[int]:
    """Returns the two keys in 32 secret bytes, each of two numbers: for `PEERS` and `INTERVAL`."""
    return array("Q", _WORDS(secret))


def drawn(secret: array[int], purpose: int, seq: int) -> int:
    """Returns the 64 bits that rule 2 draws for announce `seq`: SipHash-1-3 of its 8 bytes.

    `secret` comes from `halves`. Compiled code has the function of the .pxd beside this file.
    """
    one, other = secret[purpose], secret[purpose + 1]
    v0, v1 = one ^ 0x736F6D6570736575, other ^ 0x646F72616E646F6D
    v2, v3 = one ^ 0x6C7967656E657261, other ^ 0x7465646279746573 ^ seq
    size = 8 << 56  # the second block says how long the text is
    for before, after in ((seq, size), (size, 0), (0, 0), (0, 0), (0, 0)):
        v0 = v0 + v1 & _ALL
        v2 = v2 + v3 & _ALL
        v1 = (v1 << 13 | v1 >> 51) & _ALL ^ v0
        v3 = (v3 << 16 | v3 >> 48) & _ALL ^ v2
        v0 = (v0 << 32 | v0 >> 32) & _ALL
        v2 = v2 + v1 & _ALL
        v0 = v0 + v3 & _ALL
        v1 = (v1 << 17 | v1 >> 47) & _ALL ^ v2
        v3 = (v3 << 21 | v3 >> 43) & _ALL ^ v0 ^ after
        v2 = (v2 << 32 | v2 >> 32) & _ALL
        v0 ^= before
        if before == size:
            v2 ^= 0xFF
    return v0 ^ v1 ^ v2 ^ v3


def drawn_by_rule_1(secret: bytes, seq: int, purpose: bytes = b"") -> int:
    """Returns the 64 bits that earlier versions drew, where the settings name no rule.

    For the peers in a reply, `seq` is that of the event after the announce. For the interval,
    `purpose` is b"interval"; over HTTP, `seq` is the same, and over UDP it is that of the event
    that came next when the request was read: the announce, or a client's number or an eviction that
    it brought about.
    """
    text = seq.to_bytes(8, "little")
    hashed = blake2s(text, key=secret, digest_size=8, person=purpose)
    return int.from_bytes(hashed.digest(), "big")
