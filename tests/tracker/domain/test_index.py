"""The index gives back what was entered, and nothing else, whatever keys meet in a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import hash_of, steady
from tracker.domain.index import Index
from tracker.domain.names import Names
from tracker.domain.swarms import Swarms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


CHOSEN = {
    "counted up": lambda n: n.to_bytes(20, "big"),
    "counted up from the other end": lambda n: n.to_bytes(20, "little"),
    "the same sum of words": lambda n: b"".join(
        each.to_bytes(4, "little") for each in (n, 2**32 - 1 - n, n, 2**32 - 1 - n, 7)
    ),
    "words far apart": lambda n: (n << 141).to_bytes(20, "little"),
}


@pytest.mark.parametrize("make", CHOSEN.values(), ids=CHOSEN.keys())
def test_chosen_info_hashes_spread_like_random_ones(make: Callable[[int], bytes]) -> None:
    """Whatever info hashes strangers choose, no table gets many more than its share, and searches
    are short."""
    swarms = Swarms()
    for number in range(1, 16_385):
        swarms._add_torrent(make(number))
    assert all(swarms.lookup(make(number)) == number for number in range(1, 16_385, 100))
    steps = 0
    for table in swarms._index.tables:
        assert len(table) <= 256  # of 64 entries on average
        mask = len(table) - 1
        steps += sum(at - (entry >> 40) & mask for at, entry in enumerate(table) if entry)
    assert steps < 4 * 16_384  # one for each entry, on average


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
    assert len({names.number(each) for each in model}) == len(model)
    assert len(names._hashes) <= 14 * 20
    assert b"" not in names


def test_torrents_keep_the_order_in_which_they_came() -> None:
    """Neither the index nor a number that is used again changes the order of a bucket."""
    swarms = Swarms()
    order: dict[bytes, None] = {}
    for number in range(3000):
        info_hash = hash_of(number * 256 + (number % 3))
        if number % 5 == 4:
            gone = next(iter(order))
            swarms.drop_if_empty(swarms.lookup(gone))
            del order[gone]
        swarms._add_torrent(info_hash)
        order[info_hash] = None
    assert all(swarms.lookup(each) for each in order)
    for bucket in range(3):
        kept = [swarms.hash_of(torrent) for torrent in swarms.torrents_in(bucket)]
        assert kept == [each for each in order if each[0] == bucket]
        assert swarms.bucket_sizes[bucket] == len(kept)
    assert not swarms.lookup(hash_of(7))
