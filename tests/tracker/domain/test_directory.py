"""The peer directory agrees with plain dictionaries: seeders and leechers of each torrent, and the
place of each peer."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import endpoint4, endpoint6, pick, steady
from tracker.domain.directory import NOWHERE, Directory, Tables

if TYPE_CHECKING:
    from collections.abc import Callable

TORRENTS = 4
WIDTHS = {6: endpoint4, 18: endpoint6}


def dense4(number: int) -> bytes:
    """Returns an endpoint of zeros and ones. Two of these side by side seem to hold others between
    them."""
    return bytes(number >> bit & 1 for bit in range(6))


def dense6(number: int) -> bytes:
    return bytes(number >> bit % 7 & 1 for bit in range(18))


@define
class Pair:
    """A directory and the model that it must match. A freed peer number is used again, the last
    freed first."""

    directory: Directory
    tables: Tables
    endpoint: Callable[[int], bytes]
    at: dict[tuple[int, bytes], int] = field(factory=dict)  # torrent and endpoint -> peer
    seeders: set[int] = field(factory=set)
    free: list[int] = field(factory=list)
    slots: int = 1

    @classmethod
    def of_width(cls, width: int, torrents: int = TORRENTS) -> Pair:
        tables = Tables()
        for _ in range(torrents):
            tables.add_torrent()
        return cls(Directory(width, 1, tables), tables, WIDTHS[width])

    def toggle(self, torrent: int, number: int, seeder: bool) -> None:
        """Inserts the peer, changes its role, or removes it when it already has the role."""
        endpoint = self.endpoint(number)
        peer = self.directory.lookup(torrent, endpoint)
        assert peer == self.at.get((torrent, endpoint), 0)
        if not peer:
            self._insert(torrent, endpoint, seeder)
        elif (peer in self.seeders) != seeder:
            self.directory.set_role(torrent, peer, seeder)
            self.seeders ^= {peer}
        else:
            self._remove(torrent, endpoint, peer)

    def _insert(self, torrent: int, endpoint: bytes, seeder: bool) -> None:
        if not self.free:
            self.tables.add_peer()
            self.free.append(self.slots)
            self.slots += 1
        peer = self.free.pop()
        self.directory.add(torrent, peer, endpoint, seeder)
        self.at[torrent, endpoint] = peer
        if seeder:
            self.seeders.add(peer)

    def _remove(self, torrent: int, endpoint: bytes, peer: int) -> None:
        self.directory.remove(torrent, peer)
        del self.at[torrent, endpoint]
        self.seeders.discard(peer)
        self.free.append(peer)

    def members(self, torrent: int) -> dict[bytes, int]:
        return {endpoint: peer for (at, endpoint), peer in self.at.items() if at == torrent}

    def check(self) -> None:
        """Checks that seeders come first, positions and endpoints are right, and no two peers share
        a place."""
        directory = self.directory
        places: set[int] = set()
        for torrent in range(1, TORRENTS + 1):
            expected = self.members(torrent)
            first, count, seeds = directory.run(torrent)
            owners = list(directory.owners[first : first + count])
            assert set(owners[:seeds]) == self.seeders & set(expected.values())
            assert sorted(owners) == sorted(expected.values())
            assert [directory.position(peer) for peer in owners] == list(
                range(first, first + count)
            )
            assert {directory.endpoint(peer): peer for peer in owners} == expected
            assert places.isdisjoint(range(first, first + count))
            places |= set(range(first, first + count))
        assert directory.total == len(self.at)
        assert [directory.position(peer) for peer in self.free] == [NOWHERE] * len(self.free)
        assert all(directory.endpoint(peer) == b"" for peer in self.free)

    def check_pick(self, torrent: int, want: int, asker: int, seeder: bool, seq: int) -> None:
        """Checks a pick: no peer twice, not the asker, as many as exist, and leechers first for a
        seeder."""
        found = pick(self.directory, torrent, want, asker, seeder, seq)
        others = {e for e, peer in self.members(torrent).items() if peer != asker}
        seeds = {e for e in others if self.at[torrent, e] in self.seeders}
        assert len(found) == len(set(found)) == min(want, len(others))
        assert set(found) <= others
        leechers = len(set(found) - seeds)
        if seeder:
            assert leechers == min(want, len(others - seeds))
        elif len(found) < len(others):
            half = want // 2
            enough = len(seeds) >= want - half and len(others - seeds) >= half
            assert (
                leechers == half if enough else leechers in {len(others - seeds), want - len(seeds)}
            )


operations = st.lists(
    st.tuples(st.integers(1, TORRENTS), st.integers(1, 12), st.booleans()),
    min_size=20,
    max_size=120,
)
asks = st.tuples(
    st.integers(1, TORRENTS),
    st.integers(0, 14),
    st.integers(0, 12),
    st.booleans(),
    st.integers(0, 2**64 - 1),
)


@pytest.mark.parametrize("endpoint", [dense4, dense6, endpoint4, endpoint6])
def test_growing_and_shrinking(endpoint: Callable[[int], bytes]) -> None:
    """A swarm grows to 150 peers and shrinks to none, twice. At every size the directory finds
    exactly its members."""
    crowd = list(dict.fromkeys(endpoint(number) for number in range(1, 150)))
    pair, chance = Pair.of_width(len(crowd[0])), random.Random(2)
    pair.endpoint = crowd.__getitem__
    for _ in range(2):
        for order in (chance.sample(range(len(crowd)), len(crowd)) for _ in range(2)):
            for number in order:
                here = pair.directory.lookup(1, crowd[number])
                seeder = here in pair.seeders if here else chance.random() < 0.4
                pair.toggle(1, number, seeder)
                if number % 8 == 0:
                    pair.check()
                    found = [pair.directory.lookup(1, each) for each in crowd]
                    assert found == [pair.at.get((1, each), 0) for each in crowd]
                    pair.toggle(2, number, seeder=False)
        assert pair.members(1) == {}


@pytest.mark.parametrize("endpoint", [dense4, dense6, endpoint4, endpoint6])
@pytest.mark.parametrize("crowd", [12, 40, 150])
def test_a_pick_leaves_out_the_peer_that_asks(endpoint: Callable[[int], bytes], crowd: int) -> None:
    """A pick leaves out the peer that asks, although another peer came, left or changed its role
    after the lookup."""
    chance = random.Random(crowd)
    pair = Pair.of_width(len(endpoint(0)))
    pair.endpoint = endpoint
    for _ in range(600):
        asker, other = endpoint(chance.randint(1, crowd)), chance.randint(1, crowd)
        seeder, leaves = chance.random() < 0.5, chance.random() < 0.3
        pair.directory.lookup(1, asker)
        peer_of_other = pair.at.get((1, endpoint(other)), 0)
        if peer_of_other and leaves:
            pair._remove(1, endpoint(other), peer_of_other)  # without a lookup
        else:
            pair.toggle(1, other, seeder)
        for want in 3, crowd:
            peer = pair.at.get((1, asker), 0)
            pair.check_pick(1, want, peer, seeder, chance.getrandbits(64))
    pair.check()


@settings(steady, max_examples=60)
@given(
    endpoint=st.sampled_from([endpoint4, endpoint6, dense4, dense6]),
    operations=operations,
    questions=st.lists(asks, max_size=10),
)
def test_any_history(
    endpoint: Callable[[int], bytes],
    operations: list[tuple[int, int, bool]],
    questions: list[tuple[int, int, int, bool, int]],
) -> None:
    """After any sequence of arrivals, departures and role changes the directory holds what the
    model holds."""
    pair = Pair.of_width(len(endpoint(0)))
    pair.endpoint = endpoint
    for operation in operations:
        torrent, number, seeder = operation
        pair.toggle(torrent, number, seeder)
        # An announce picks right after it found the peer and changed it.
        peer = pair.at.get((torrent, endpoint(number)), 0)
        pair.check_pick(torrent, 14, peer, seeder, 0)
        pair.check()
    for torrent, want, asker, seeder, seq in questions:
        peer = pair.directory.lookup(torrent, pair.endpoint(asker)) if asker else 0
        pair.check_pick(torrent, want, peer, seeder, seq)


@pytest.mark.parametrize("width", WIDTHS)
def test_many_peers(width: int) -> None:
    """Swarms of thousands grow and shrink through every size of run, and the tables follow."""
    pair, chance = Pair.of_width(width), random.Random(1)
    for crowd in (3000, 40, 3000, 5):
        for _ in range(6000):
            pair.toggle(chance.choice([1, 1, 1, 2]), chance.randrange(crowd), chance.random() < 0.3)
        pair.check()
        for want in (0, 1, 10, 74):
            asker = chance.choice([0, *pair.members(1).values()])
            pair.check_pick(1, want, asker, chance.random() < 0.5, chance.getrandbits(64))
    for (torrent, endpoint), peer in list(pair.at.items()):
        pair._remove(torrent, endpoint, peer)
    pair.check()


def test_one_endpoint_in_many_torrents() -> None:
    """A client in a thousand torrents is a separate peer in each of them."""
    pair = Pair.of_width(6, 1000)
    for torrent in range(1, 1001):
        pair.toggle(torrent, 7, torrent % 2 == 0)
    found = [pair.directory.lookup(torrent, endpoint4(7)) for torrent in range(1, 1001)]
    assert found == [pair.at[torrent, endpoint4(7)] for torrent in range(1, 1001)]
    assert len(set(found)) == 1000
    for torrent in range(1, 1001, 2):
        pair.toggle(torrent, 7, seeder=False)
    assert not any(pair.directory.lookup(torrent, endpoint4(7)) for torrent in range(1, 1001, 2))
    assert all(pair.directory.lookup(torrent, endpoint4(7)) for torrent in range(2, 1001, 2))


def test_memory_of_a_swarm_that_left_is_used_again() -> None:
    """A second swarm of the same size takes the room that the first one freed."""
    pair = Pair.of_width(6)
    grown = []
    for torrent in (1, 2, 3):
        for number in range(1, 300):
            pair.toggle(torrent, number, seeder=False)
        grown.append(len(pair.directory.owners))
        for number in range(1, 300):
            pair.toggle(torrent, number, seeder=False)
    assert grown[0] == grown[1] == grown[2]


@pytest.mark.parametrize("width", [*WIDTHS, 24])
def test_an_endpoint_of_another_length(width: int) -> None:
    directory = Directory(width, 1, Tables())
    for endpoint in (b"", bytes(width - 1), bytes(width + 1)):
        with pytest.raises(ValueError, match=f"{len(endpoint)} bytes, not {width}"):
            directory.lookup(1, endpoint)
        with pytest.raises(ValueError, match=f"{len(endpoint)} bytes, not {width}"):
            directory.add(1, 1, endpoint, True)


def test_every_peer_is_picked_by_some_draw() -> None:
    """The draw decides where a pick begins. Many announces together pick every peer."""
    pair = Pair.of_width(6)
    for number in range(1, 41):
        pair.toggle(1, number, number % 2 == 0)
    named = {
        endpoint for seq in range(400) for endpoint in pick(pair.directory, 1, 4, 0, False, seq)
    }
    assert named == {endpoint4(number) for number in range(1, 41)}
