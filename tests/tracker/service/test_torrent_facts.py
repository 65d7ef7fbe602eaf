"""What the site says about torrents, and the sizes that clients show."""

from __future__ import annotations

from attrs import evolve

from tests.support import Announce, Rig, endpoint4, hash_of, replayed
from tracker.domain import events, image
from tracker.ports import Actor, TorrentFacts
from tracker.service.commands import ServiceCommands
from tracker.service.read_model import Projection

HASH, OTHER = hash_of(1), hash_of(2)
BY = Actor("ops", "192.0.2.1", "r-1", "upload 77")
FACTS = TorrentFacts(
    label="Debian 13", size=2**63 - 1, site_id=77, uploader="anna", added_us=5, tags=("a", "é\t")
)


def same(rig: Rig) -> None:
    """Checks that replay and image give the live state."""
    state = replayed(rig.log.frames())
    assert state.digest() == rig.state.digest()
    taken = image.dump(state)
    loaded = image.load(taken.plain, taken.private)
    assert (loaded.digest(), loaded.facts) == (state.digest(), rig.state.facts)
    assert loaded.swarms.retired_largest == rig.state.swarms.retired_largest


async def test_facts() -> None:
    """Facts take the place of those before. Saying the same again is no event."""
    rig = Rig.with_settings()
    commands = ServiceCommands(rig.service, rig.log, b"s" * 32)
    empty = rig.state.digest()
    reads = Projection(rig.state, {})
    assert reads.torrent(HASH) is None
    assert await commands.describe_torrents([(HASH, FACTS), (OTHER, FACTS)], BY) == 2
    assert await commands.describe_torrents([(HASH, FACTS)], BY) == 0
    fewer = TorrentFacts(label="Debian")
    assert await commands.describe_torrents([(HASH, fewer), (OTHER, FACTS)], BY) == 1
    shown = reads.torrent(HASH), reads.torrent(OTHER)
    assert [one and one.facts for one in shown] == [fewer, FACTS]
    same(rig)
    described = [one for one in rig.events() if one["type"] == "torrent_described"]
    assert [one["info_hash"] for one in described] == [HASH.hex(), OTHER.hex(), HASH.hex()]
    assert described[0]["by"]["reason"] == "upload 77"
    assert "size" not in described[2]
    both = [(HASH, TorrentFacts()), (OTHER, TorrentFacts())]
    assert [await commands.describe_torrents(both, BY) for _ in range(2)] == [2, 0]
    assert (reads.torrent(HASH), rig.state.facts) == (None, {})
    assert rig.state.digest() != empty  # the events count
    same(rig)


def test_a_torrent_has_at_least_the_largest_left() -> None:
    """The largest `left` counts, not that of `stopped`, and nothing beyond 63 bits; it outlives the
    peers of a torrent that was completed.
    """
    rig = Rig.with_settings()
    one = Announce(HASH, endpoint4(1), left=5)
    least = rig.state.swarms.least_size
    rig.announce(evolve(one, endpoint=endpoint4(9), left=0))
    before = rig.state.digest()
    for left, found in ((5, 5), (9, 9), (7, 9), (0, 9), (events.LEFT_UNKNOWN, 9), (2**63, 9)):
        rig.announce(evolve(one, left=left))
        assert least(HASH) == found
    assert rig.state.digest() != before
    rig.announce(evolve(one, left=2**63 - 1, event=events.STOPPED))
    assert least(HASH) == 9
    rig.announce(evolve(one, info_hash=OTHER, left=3))
    rig.announce(evolve(one, left=3), evolve(one, left=0, event=events.COMPLETED))
    same(rig)
    for info_hash in (HASH, OTHER):
        torrent = rig.state.swarms.lookup(info_hash)
        for peer in rig.state.swarms.peers(torrent):
            rig.state.swarms.remove(torrent, peer)
        rig.state.swarms.drop_if_empty(rig.state.swarms.lookup(info_hash))
    assert (least(HASH), least(OTHER)) == (9, 0)
    rig.announce(evolve(one, left=2))
    assert least(HASH) == 9
