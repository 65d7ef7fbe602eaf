"""In private modes a scrape without a valid key shows zeros."""

from __future__ import annotations

from struct import pack

import pytest

from tests.support import hash_of
from tests.tracker.frontends.private.front import (
    BOTH,
    EXPIRED,
    GOOD,
    HASH,
    MODES,
    PRIVATE,
    REVOKED,
    UNKNOWN,
    UNLISTED,
    V4,
    Front,
    announce,
    scrape,
)
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.connection_id import ConnectionIds


@pytest.mark.parametrize("mode", ["private", "private_listed"])
@pytest.mark.parametrize(
    ("key", "info_hash", "counts"),
    [
        (b"", HASH, (0, 0, 0)),
        (UNKNOWN, HASH, (0, 0, 0)),
        (EXPIRED, HASH, (0, 0, 0)),
        (REVOKED, HASH, (0, 0, 0)),
        (GOOD, HASH, (0, 0, 1)),
        (GOOD, hash_of(9), (0, 0, 0)),
    ],
    ids=["no key", "unknown", "expired", "revoked", "good", "good, no such torrent"],
)
def test_scrapes_without_a_valid_key_show_zeros(
    mode: str, key: bytes, info_hash: bytes, counts: tuple[int, int, int]
) -> None:
    """A scrape without a valid key gets zeros and no error. A key may stand in the path or in the
    parameter."""
    front = Front(MODES[mode])
    front.get(announce(GOOD))
    for target in (scrape(key, info_hash),
                   scrape(b"", info_hash, b"&passkey=" + key) if key else scrape(b"", info_hash)):  # fmt: skip
        entry = front.get(target)["files"][info_hash]
        assert (entry[b"complete"], entry[b"downloaded"], entry[b"incomplete"]) == counts


def test_unlisted_scrapes_are_zero() -> None:
    """An unlisted torrent gets zeros, with a valid key too, and after it had peers."""
    front = Front(PRIVATE)
    front.get(announce(GOOD, UNLISTED))
    assert front.get(scrape(GOOD, UNLISTED))["files"][UNLISTED][b"incomplete"] == 1
    front.rig.service.change_settings(BOTH)
    assert front.get(scrape(GOOD, UNLISTED))["files"][UNLISTED][b"incomplete"] == 0


def test_udp_scrapes_show_zeros() -> None:
    """A UDP scrape gets zeros in private modes, because it cannot carry a key."""
    front = Front(PRIVATE)
    front.get(announce(GOOD))
    ids = ConnectionIds(b"c" * 32)
    handler = DatagramHandler(front.rig.service, ids, 0)
    handler.begin()
    datagram = ids.issue(V4) + pack(">I4s", 2, b"tran") + HASH + UNLISTED
    reply = handler.answer(datagram, 0, len(datagram), V4)
    handler.end()
    assert reply == pack(">I4s6I", 2, b"tran", 0, 0, 0, 0, 0, 0)
