"""The index gives back what was entered, and nothing else, whatever keys meet in a place."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Announce, Rig, endpoint4, few_or_many, hash_of, steady
from tracker import build
from tracker.domain import events, packed
from tracker.domain.clients import MOST, Clients
from tracker.domain.directory import Directory, Tables
from tracker.domain.index import Index
from tracker.domain.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Few tables and few places, so that entries stand in each other's way, also across a table's end.
keys = st.builds(
    lambda table, place, high: table | place << 8 | high << 24,
    st.sampled_from((0, 255)),
    st.sampled_from((0, 1, 6, 7, 8, 15)),
    st.integers(0, 3),
)


def entries(index: Index, key: int) -> Iterator[int]:
    """Yields the numbers of a key, as whoever looks for a name goes through them."""
    table = index.tables[key & 255]
    at = key >> 8 & len(table) - 1
    while table[at]:
        if table[at] >> 32 == key:
            yield table[at] & 0xFFFFFFFF
        at = at + 1 & len(table) - 1


@settings(steady, max_examples=150)
@given(steps=st.lists(st.tuples(keys, st.integers(1, 9)), max_size=80), again=st.booleans())
def test_any_history(steps: list[tuple[int, int]], again: bool) -> None:
    """An entry is there from `add` to `drop`. Tables made anew hold the same."""
    index = Index()
    model: set[tuple[int, int]] = set()
    for key, number in steps:
        (index.drop if (key, number) in model else index.add)(key, number)
        model ^= {(key, number)}
    if again:
        index.fill(model)
    for key, _ in steps:
        assert sorted(entries(index, key)) == sorted(n for other, n in model if other == key)
    assert sum(len(table) - table.count(0) for table in index.tables) == len(model)


# Names that strangers may choose: counted up in some bytes, and all alike in the others.
INFO_HASHES = {
    "alike but for the last four bytes": lambda n: n.to_bytes(20, "big"),
    "alike but for the first four": lambda n: n.to_bytes(20, "little"),
    "alike but for four in the middle": lambda n: (n << 64).to_bytes(20, "little"),
    "steps of 4096": lambda n: (n << 12).to_bytes(20, "little"),
    "the same sum of words": lambda n: b"".join(
        each.to_bytes(4, "little") for each in (n, 2**32 - 1 - n, n, 2**32 - 1 - n, 7)
    ),
    "words far apart": lambda n: (n << 140).to_bytes(20, "little"),
}
ENDPOINTS = {
    "ports of some addresses": lambda n: b"\x0a\0" + n.to_bytes(4, "big"),
    "addresses with one port": lambda n: n.to_bytes(4, "big") + b"\x1a\xe1",
    "IPv6 addresses of one network": lambda n: n.to_bytes(16, "big") + b"\x1a\xe1",
    "IPv6 networks": lambda n: n.to_bytes(8, "big") + bytes(9) + b"\1",
    "peer ids of one account": lambda n: b"\1\0\0\0-XX0001-" + n.to_bytes(12, "big"),
}


def check_spread(index: Index, count: int) -> None:
    """Checks that no table has many more than its share, and that searches are as short as with
    random names: half a step on average, where a table is half full."""
    steps = 0
    for table in index.tables:
        assert len(table) <= 4 * max(count // 256, 2)
        mask = len(table) - 1
        steps += sum(at - (entry >> 40) & mask for at, entry in enumerate(table) if entry)
    assert steps < 0.7 * count


@few_or_many(16_384, 131_072)  # 1,000,000 ran once, as short
@pytest.mark.parametrize("make", INFO_HASHES.values(), ids=INFO_HASHES.keys())
def test_chosen_info_hashes_spread_like_random_ones(
    make: Callable[[int], bytes], count: int
) -> None:
    rig = Rig()
    for first in range(0, count, 1024):
        come(rig, map(make, range(first, min(first + 1024, count))))
        rig.log.pool.take()
    swarms = rig.state.swarms
    assert all(swarms.lookup(make(number)) == number + 1 for number in range(0, count, 100))
    check_spread(swarms._index, count)


@few_or_many(16_384, 131_072)  # 1,000,000 ran once, as short
@pytest.mark.parametrize("make", ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_chosen_peers_of_a_swarm_spread_like_random_ones(
    make: Callable[[int], bytes], count: int
) -> None:
    directory = Directory(len(make(0)), 1, Tables())
    for number in range(count):
        directory.add(1, number + 1, make(number), False)
    assert all(directory.lookup(1, make(n)) == n + 1 for n in range(0, count, 100))
    check_spread(directory._index, count)


def test_chosen_clients_spread_like_random_ones() -> None:
    """Without a secret, these prefixes of peer ids would all begin their search in 64 of 8192
    slots. The pure build has a dictionary in their place, and Python's hash of bytes has a secret.
    """
    every = (b"-%06d-" % number for number in range(10**6))
    spread = 0x1E3779B97F4A7C15
    chosen = (each for each in every if int.from_bytes(each, "little") * spread % 2**64 >> 57 == 0)
    clients, steps, found = Clients(), 0, 0
    for prefix in islice(chosen, MOST // 2):
        clients.add(prefix, b"")
    slots = len(clients._table) // 2
    for at in range(slots):
        if clients._table[2 * at + 1]:
            found += 1
            home = packed.slot(clients._secret, clients._table[2 * at], 0)
            steps += at - home & slots - 1
    assert found == (MOST // 2 if build.build() == "compiled" else 0)
    assert steps < MOST // 2  # one for each, on average


def come(rig: Rig, names: Iterable[bytes]) -> None:
    """Announces a peer in each of these torrents."""
    rig.announce(*(Announce(name, endpoint4(1)) for name in names))


@settings(steady, max_examples=60)
@given(steps=st.lists(st.integers(0, 12), max_size=60))
def test_names(steps: list[int]) -> None:
    """A whitelist holds what a set holds, and numbers are used again."""
    names, model = Names(), set[bytes]()
    for step in steps:
        info_hash = hash_of(step)
        (names.remove if info_hash in model else names.add)(info_hash)
        model ^= {info_hash}
        assert len(names) == len(model)
        for number in range(13):
            assert (hash_of(number) in names) == (hash_of(number) in model)
    assert len(names._hashes) <= 14 * 20
    assert b"" not in names


def test_torrents_keep_the_order_in_which_they_came() -> None:
    """Neither the index nor a number that is used again changes the order of a bucket."""
    rig = Rig()
    swarms = rig.state.swarms
    order: dict[bytes, None] = {}
    for number in range(3000):
        info_hash = hash_of(number * 256 + (number % 3))
        if number % 5 == 4:
            gone = next(iter(order))
            rig.announce(Announce(gone, endpoint4(1), event=events.STOPPED))
            swarms.drop_if_empty(swarms.lookup(gone))
            del order[gone]
        come(rig, [info_hash])
        order[info_hash] = None
    assert all(swarms.lookup(each) for each in order)
    for bucket in range(3):
        kept = [swarms.hash_of(torrent) for torrent in swarms.torrents_in(bucket)]
        assert kept == [each for each in order if each[0] == bucket]
        assert swarms.bucket_sizes[bucket] == len(kept)
    assert not swarms.lookup(hash_of(7))
