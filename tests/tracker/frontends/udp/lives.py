"""Lets a tracker live through random datagrams, and tells what it replied and logged."""

from __future__ import annotations

import random
import socket
import struct
import sys
from typing import Any

from tests.support import SECOND, Rig, replayed, revoke
from tracker.domain import choice
from tracker.domain.events.admin import TorrentDelisted, TorrentWhitelisted
from tracker.domain.policy import Policy
from tracker.frontends.udp.handler import DatagramHandler
from tracker.frontends.udp.mmsg import MESSAGE, vector_size
from tracker.frontends.udp.recvmmsg import SLOT, Batch
from tracker.wire.connection_id import ConnectionIds

COUNTERS = (0, 0, 1, 7, 1000, 2**32, 2**62, 2**63 - 1, -1, -(2**63))
NUMWANTS = (-(2**31), -1, 0, 1, 30, 73, 74, 75, 65535, 65536, 2**31 - 1)
EVENTS = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 7, 2**32 - 1)
LEFTS = (0, 0, 0, 7, 1000, -1, 2**63 - 1)
RULES = {
    "interval_jitter": 9,
    "peers_per_account": 3,
    "clients_denied": ("-TR",),
    "max_peers_per_torrent": 100,
}
POLICY = Policy(**RULES)


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


def batch_of(family: socket.AddressFamily) -> Batch:
    """Returns a batch that nobody receives."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        return Batch(sock, local_addresses=False)


def put(batch: Batch, slot: int, address: bytes, request: bytes) -> None:
    """Puts a datagram from an address into a slot, as if it had been received."""
    batch.data[slot * SLOT : slot * SLOT + len(request)] = request
    if batch.v6:
        name = bytes(8) + (address if len(address) == 16 else bytes(10) + b"\xff\xff" + address)
    else:
        name = bytes(4) + address
    batch.names[slot * 32 : slot * 32 + len(name)] = name
    end = (slot + 1) * MESSAGE.size
    batch.heads[end - 8 : end - 4] = len(request).to_bytes(4, sys.byteorder)


def life(
    seed: int,
    torrents: int,
    addresses: int,
    private: bool,
    listed: bool,
    policy: dict[str, Any],
    external: bytes | None,
) -> list[object]:
    """Returns every reply, the records of every frame, and a digest of the state.

    Datagrams come in batches, by turns of an IPv4 and of an IPv6 socket with both families. It
    takes and gives plain values, because each build has classes of its own. `external`: see
    `DatagramHandler`; a tenth of the clients is on the tracker's machine.
    """
    chance = random.Random(seed)
    rig = Rig.with_settings(
        private=private, listed=listed, policy=Policy(**policy), max_peer_timeout=300,
        choice=choice.RULE,
    )  # fmt: skip
    keys = [
        rig.issue(number, owner, rig.service.date_us() + 40 * SECOND if number == 3 else None)
        for number, owner in enumerate((None, "anna", "anna", "bert"))
    ]
    ids = ConnectionIds(b"k")
    handler = DatagramHandler(rig.service, ids, 255, external)
    hashes = [chance.randbytes(20) for _ in range(torrents)]
    for info_hash in hashes[: max(1, torrents // 2)]:
        rig.service.append(TorrentWhitelisted(info_hash))
    where = [
        bytes([127]) + chance.randbytes(3) if chance.random() < 0.1
        else chance.randbytes(chance.choice((4, 4, 16)))
        for _ in range(addresses)
    ]  # fmt: skip
    where.append(bytes([127, 0, 0, 9]))  # at least one of IPv4
    batches = [batch_of(family) for family in (socket.AF_INET, socket.AF_INET6)]
    told: list[object] = []
    for number in range(40):
        data = [datagram(chance, hashes, keys if private else []) for _ in range(25)]
        batch = batches[number % 2]
        sources = chance.choices(
            [each for each in where if batch.v6 or len(each) == 4], k=len(data)
        )
        handler.begin()
        for slot, (source, one) in enumerate(zip(sources, data, strict=True)):
            put(batch, slot, source, ids.issue(source) + one[8:])
        handler.answer_all(batch, len(data))
        handler.end()
        sizes = [vector_size(batch.vectors, slot) for slot in range(len(data))]
        told += [sizes, batch.silent, bytes(batch.replies[: sum(sizes)])]
        rig.time.advance(SECOND // 2)
        if number % 7 == 3:
            rig.time.advance(chance.choice((5, 150)) * SECOND)
            rig.service.tick()
        if number == 20 and private:
            rig.set_factor(upload_percent=200, download_percent=50)
            revoke(rig.service, keys[0])
        if number == 30 and listed:
            rig.service.append(TorrentDelisted(hashes[0]))
            rig.service.append(TorrentWhitelisted(hashes[-1]))
    frames = rig.log.frames()
    assert replayed(frames).digest() == rig.state.digest()
    told += [(one.header.kind, bytes(one.plain), bytes(one.protected)) for one in frames]
    return [*told, rig.state.digest()]
