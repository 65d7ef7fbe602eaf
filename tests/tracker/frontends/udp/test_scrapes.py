"""A scrape with a remembered connection id takes a short way; its reply is that of the long one."""

from __future__ import annotations

from struct import Struct

import pytest

from tests.support import Rig
from tracker.domain import events
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.connection_id import ConnectionIds

ANNOUNCE = Struct(">8sI4s20s20sqqqIIIiH")
SOURCES = (b"\x0a\0\0\1", b"\x20\1" + bytes(13) + b"\1")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [16, 17, 35, 36, 56, 76, 77, 98, 118, 1496, 1516, 2016])
def test_both_ways_agree(source: bytes, size: int) -> None:
    rig = Rig.with_settings(max_peer_timeout=300)
    ids = ConnectionIds(b"k")
    handler = DatagramHandler(rig.service, ids, 0)
    handler.begin()
    connection_id = ids.issue(source)
    for event, port, left in ((0, 1, 0), (0, 2, 9), (0, 3, 9), (1, 2, 0), (3, 2, 0)):
        announce = ANNOUNCE.pack(
            connection_id, 1, b"tran", b"a" * 20, b"-XX0001-%012d" % port, 0, left, 0, event, 0, 0, 0, port,
        )  # fmt: skip
        assert handler.answer(announce, 0, 98, source)
    scrape = (connection_id + b"\0\0\0\2scra" + b"a" * 20 + bytes(20) + b"a" * 2000)[:size]
    short = handler.answer(scrape, 0, size, source)
    ids.forget()
    assert handler.answer(scrape, 0, size, source) == short
    handler.end()
    counter = events.UDP6_SCRAPES if len(source) == 16 else events.UDP4_SCRAPES
    counted = rig.service.pending.get((counter, 0), 0)
    assert handler.traffic.scrapes == counted
    if size == 56:
        assert short is not None
        assert short[8:] == bytes.fromhex("000000010000000100000001" + "00" * 12)
        assert counted == 2
