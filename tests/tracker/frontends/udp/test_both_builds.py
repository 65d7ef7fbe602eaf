"""The compiled build gives the same replies and records as the pure build, over seeded runs.

The digests cover every reply, and every announce, eviction and tick of the log. A tick holds a
digest of peers, torrents and accounts. After an intended change, put in the digests of a pure build
(SWARMLOG_PURE=1)."""

from __future__ import annotations

import random
import struct
from hashlib import blake2b

import pytest

from tests.support import SECOND, Rig, replayed, revoke
from tracker.domain import events
from tracker.domain.events.records import Evicted, Tick
from tracker.domain.policy import Policy
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.connection_id import ConnectionIds

COUNTERS = (0, 0, 1, 7, 1000, 2**32, 2**62, 2**63 - 1, -1, -(2**63))
NUMWANTS = (-(2**31), -1, 0, 1, 30, 73, 74, 75, 65535, 65536, 2**31 - 1)
EVENTS = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 7, 2**32 - 1)
LEFTS = (0, 0, 0, 7, 1000, -1, 2**63 - 1)
POLICY = Policy(
    interval_jitter=9, peers_per_account=3, clients_denied=("-TR",), max_peers_per_torrent=100
)
# Torrents, addresses, private, policy, and the digest of a pure build.
RUNS = {
    "small swarms": (9, 5, False, Policy(), "014399d690e703c00b3243e35539df72"),
    "a large swarm": (1, 400, False, Policy(), "1262d52ed69d19111c93a7b291851f5d"),
    "small private swarms": (9, 5, True, Policy(), "429a924a441e956d2ef37eb5efdfa8f2"),
    "a large private swarm": (1, 400, True, Policy(), "bdb54c365fd7f23b099193cf8070ac52"),
    "with rules": (3, 90, False, POLICY, "84755ae9015ba8e4359391d55a35094a"),
    "private with rules": (3, 90, True, POLICY, "cb74afcc8e0af8ca5065182ea4ee3a15"),
}


def datagram(chance: random.Random, hashes: list[bytes], keys: list[bytes]) -> bytes:
    client = chance.choice((b"-XX0001-", b"-XX0001-", b"-TR3000-"))
    data = struct.pack(
        ">8sI4s20s20sqqqIIIiH",
        bytes(8), 1, chance.randbytes(4), chance.choice(hashes), client + chance.choice((b"a", b"b")) * 12,
        chance.choice(COUNTERS), chance.choice(LEFTS), chance.choice(COUNTERS), chance.choice(EVENTS), 0,
        chance.getrandbits(32), chance.choice(NUMWANTS), chance.choice((0, 65535, 6881, 6881, 6881, 6881)),
    )  # fmt: skip
    if not keys or chance.random() < 0.02:
        return data[: chance.choice((98, 98, 98, 97, 15, 20))]
    path = b"/announce/" + chance.choice(keys)
    return data + bytes([2, len(path)]) + path


@pytest.mark.parametrize(
    ("torrents", "addresses", "private", "policy", "expected"), RUNS.values(), ids=RUNS.keys()
)
def test_a_seeded_run(
    torrents: int, addresses: int, private: bool, policy: Policy, expected: str
) -> None:
    """Replies and records equal those of the pure build byte for byte, and a replay gives the same
    state."""
    chance, hasher = random.Random(torrents * addresses), blake2b(digest_size=16)
    rig = Rig.with_settings(private=private, policy=policy, max_peer_timeout=300)
    keys = [rig.issue(number, owner) for number, owner in enumerate((None, "anna", "anna", "bert"))]
    ids = ConnectionIds(b"k")
    handler = DatagramHandler(rig.service, ids, 255)
    hashes = [chance.randbytes(20) for _ in range(torrents)]
    where = [chance.randbytes(chance.choice((4, 4, 16))) for _ in range(addresses)]
    for number in range(120):
        data = [datagram(chance, hashes, keys if private else []) for _ in range(25)]
        places = [sum(map(len, data[:one])) for one in range(len(data))]
        sources = chance.choices(where, k=len(data))
        handler.begin()
        replies = handler.answers(
            bytearray().join(
                [
                    *(
                        ids.issue(source) + one[8:]
                        for source, one in zip(sources, data, strict=True)
                    ),
                    bytes(98),
                ]
            ),
            places,
            [len(one) for one in data],
            sources,
        )
        handler.end()
        hasher.update(repr(replies).encode())
        rig.time.advance(SECOND // 2)
        if number % 20 == 9:
            rig.time.advance(chance.choice((5, 150)) * SECOND)
            rig.service.tick()
        if number == 60 and private:
            rig.set_factor(upload_percent=200, download_percent=50)
            revoke(rig.service, keys[0])
    frames = rig.log.frames()
    for frame in frames:
        if frame.header.kind in (events.ANNOUNCE, Evicted.kind, Tick.kind):
            hasher.update(bytes(frame.plain) + bytes(frame.protected))
    assert hasher.hexdigest() == expected
    assert replayed(frames).digest() == rig.state.digest()
