"""The rows of stays cover exactly the time for which each peer is listed, in any history."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from hypothesis import strategies as st

from tests.property.test_replay import crowd
from tests.property.world import FIRST_SETTINGS, HASHES, KEYS, Step, World, steps
from tests.support import (
    HandTime,
    MemoryLog,
    events_in,
    few_or_many,
    hash_of,
    replayed,
    try_examples,
)
from tracker.domain import events, staying
from tracker.domain.clients import PREFIX_BYTES
from tracker.domain.state import State
from tracker.domain.staying import (
    ACCOUNT_CHANGED,
    ANOTHER_ACCOUNT,
    BEGUN,
    ENDED_WORDS,
    UNKNOWN,
    V6,
    Staying,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame

Listed = tuple[int, bytes, bytes, int, bool, bytes]
"""Peer, info hash, beginning of the peer_id, account, whether by IPv6, address (b"" = it cannot be
read)."""
DAY = 86_400  # seconds

modes = pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
waits = st.tuples(st.just("wait"), st.sampled_from([DAY // 3, DAY, 2 * DAY]))


def one_by_one(frame: Frame) -> Iterator[tuple[int, bytes, bytes]]:
    """Yields the records of a frame as frames of their own; a frame of admin events as it is."""
    plain, protected, header = bytes(frame.plain), bytes(frame.protected), frame.header
    if header.kind == events.ADMIN or not header.records:
        yield header.base_seq, plain, protected
        return
    size, more = len(plain) // header.records, len(protected) // header.records
    for number in range(header.records):
        own = plain[number * size : (number + 1) * size]
        yield header.base_seq + number, own, protected[number * more : (number + 1) * more]


class Owners:
    """Tells whose a peer is, by what events say of keys: not by the state."""

    def __init__(self) -> None:
        self._accounts, self._next = {0: 0}, dict[int, int]()  # by key_ref
        self._keys = dict[int, int]()  # by announce

    def hear(self, event: dict[str, Any]) -> None:
        accounts, key = self._accounts, event.get("key_ref") or 0
        match event["type"]:
            case "announced":
                self._keys[event["seq"]] = key
            case "key_issued":
                accounts[key] = event["account"]
            case "key_rotated":
                accounts[key] = accounts[event["old_key_ref"]]
                self._next[event["old_key_ref"]] = key
            case "account_merged":
                moved = [each for each, whose in accounts.items() if whose == event["account"]]
                accounts |= dict.fromkeys(moved, event["to"])
            case "account_split":
                accounts |= dict.fromkeys(event["key_refs"], event["to"])

    def of(self, announce: int) -> int:
        """Returns the account of the peer with this last announce."""
        key = self._keys[announce]
        while key in self._next:
            key = self._next[key]
        return self._accounts[key]


def in_state(state: State, owners: Owners) -> set[Listed]:
    swarms, found = state.swarms, set()
    for peer in filter(swarms.present, range(1, swarms.peer_slots)):
        row = swarms.peer(peer)
        account = owners.of(row.last_seq)
        info_hash = swarms.hash_of(row.torrent)
        for family in (swarms.v4, swarms.v6):
            if peer in family:
                endpoint = family.endpoint(peer)
                address = b"" if endpoint.endswith(b"\0\0") else endpoint[:-2]
                prefix, by_ipv6 = row.peer_id[:PREFIX_BYTES], family is swarms.v6
                found.add((peer, info_hash, prefix, account, by_ipv6, address))
        # One whose only address another peer took is listed without one, and nobody gets it.
    return found


class Rows:
    """What the rows say now. Checks that each begins and ends once, and in order."""

    def __init__(self, stays: Staying) -> None:
        self._stays = stays
        self.rows: list[Listed] = []
        self.open: set[int] = set()
        self.whys: set[int] = set()

    def take(self, seqs: range) -> set[Listed]:
        """Takes over what began and ended with these events."""
        took_over = set()
        for row in BEGUN.iter_unpack(bytes(self._stays.begun)):
            assert row[0] in seqs
            by_ipv6 = row[7] & V6 != 0
            address = row[10] if by_ipv6 else row[10][12:]
            self.open.add(len(self.rows))
            if row[7] & 0xF0 == ANOTHER_ACCOUNT:
                took_over.add((*row[:3], by_ipv6))
            known = b"" if row[7] & UNKNOWN else address
            self.rows.append((row[2], row[8], row[9], row[4], by_ipv6, known))
        ended, gone_on = self._stays.ended, set()
        for at in range(0, len(ended), ENDED_WORDS):
            assert ended[at + 1] in seqs
            assert ended[at + 3] <= ended[at + 2]
            number, why = ended[at] & (1 << 56) - 1, ended[at] >> 56
            self.open.remove(number)  # raises where it is not open
            self.whys.add(why)
            if why == ACCOUNT_CHANGED:
                gave = *ended[at + 1 : at + 3], self.rows[number][0], self.rows[number][4]
                gone_on.add(gave)
        assert gone_on == took_over  # by event and time, so that there is no gap
        self._stays.clear()
        assert self._stays.rows == len(self.rows)
        return {self.rows[number] for number in self.open}


def follow(frames: list[Frame], gone: list[bool]) -> set[int]:
    """Replays event by event, and compares the rows with the state after each of them.

    `gone`: which frames are read without their addresses. Returns why rows ended.
    """
    state, stays = State(), Staying()
    state.stays = stays
    rows, owners = Rows(stays), Owners()
    for number, frame in enumerate(frames):
        stays.day, told = frame.header.time_us // events.DAY_US, deque(events_in([frame]))
        for base_seq, plain, protected in one_by_one(frame):
            readable = b"" if gone[number % len(gone)] else protected
            state.apply(frame.header.kind, frame.header.schema, base_seq, plain, readable)
            while told and told[0]["seq"] < state.seq:
                owners.hear(told.popleft())
            assert rows.take(range(base_seq, state.seq)) == in_state(state, owners)
    return rows.whys


@modes
@few_or_many(15, 150)
def test_rows_are_what_the_state_says_after_each_event(count: int, private: bool) -> None:
    history = st.lists(st.one_of(steps, steps, waits), min_size=10, max_size=40)
    gone = st.one_of(st.just([False]), st.lists(st.booleans(), min_size=1, max_size=8))
    try_examples(count, rows_agree, history=history, gone=gone, private=st.just(private))


def rows_agree(history: list[Step], gone: list[bool], private: bool) -> None:
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=private))
    world.start()
    for step in history:
        world.step(step)
        log.frames()
    follow(log.frames(), gone)


@modes
def test_large_swarms_end_for_every_reason(private: bool) -> None:
    chance, log = random.Random(7), MemoryLog()
    hashes = [hash_of(number) for number in range(0, 100, 11)]
    first = evolve(FIRST_SETTINGS, private=private, max_peer_timeout=3 * DAY)
    world = World(log, State(), HandTime(), hashes=hashes, first_settings=first)
    world.start()
    for number in range(30):
        world.step(("announce", crowd(chance, hashes)))
        if number % 9 == 8:
            world.step(("wait", DAY))
            log.frames()
    for seconds in (2 * DAY, 60, 60):  # too long only for the first ones
        world.step(("tick", seconds))
    world = World(log, replayed(log.frames()), world.time, world.model, hashes)
    world.start()
    for seconds in (4 * DAY, 60, 60):
        world.step(("tick", seconds))
    whys = follow(log.frames(), [False])
    both = {staying.STOPPED, staying.SUPERSEDED, staying.NEXT_DAY, staying.EXPIRED}
    both.add(staying.TRACKER_DOWN)
    assert whys == both | ({staying.MOVED, staying.FAMILY_ENDED} if private else set())


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(1, 30))]
)
def test_rows_change_hands_with_their_peers(seed: int) -> None:
    """By merges and splits, also of peers of an earlier day, and where addresses cannot be read."""
    chance, log = random.Random(seed), MemoryLog()
    first = evolve(FIRST_SETTINGS, private=True, max_peer_timeout=3 * DAY)
    world = World(log, State(), HandTime(), hashes=HASHES, first_settings=first)
    world.start()
    for _ in range(20):
        world.step(("announce", crowd(chance, HASHES)))
        world.step(("merge", (chance.randint(1, 3), chance.randint(1, 3))))
        keys, owner = chance.sample((1, 2, 3, 4), 2), chance.choice(("anna", "carl"))
        world.step(("split", (chance.randint(1, 3), keys, owner, 0, 0)))
        world.step(chance.choice((("wait", DAY), ("tick", 9), ("rotate", chance.sample(KEYS, 2)))))
        log.frames()
    assert ACCOUNT_CHANGED in follow(log.frames(), [chance.random() < 0.3 for _ in range(9)])
