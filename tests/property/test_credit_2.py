"""Accounting rules 2: after any history all that count agree, and nothing counts twice.

`count_credit` is the measure, because it shares no code with the tracker and works with the whole
log: it joins the spans of time in which peers were listed, so that no moment can count twice.
`check_rules` says that each announce goes on from the one before it, once, unless the rules name a
reason: so no byte counts twice, and none is lost without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from attrs import astuple, evolve
from hypothesis import strategies as st

import tracker.domain.state
from tests.independent_reader import check_rules
from tests.independent_reader.count_credit import count
from tests.property.world import (
    ENDPOINTS,
    FIRST_SETTINGS,
    HASHES,
    KEYS,
    OWNERS,
    PEER_IDS,
    Step,
    World,
    factors,
    merges,
    sanctions,
    splits,
)
from tests.support import (
    SECOND,
    Announce,
    HandTime,
    MemoryLog,
    events_in,
    few_or_many,
    ledger_of,
    replayed,
    try_examples,
    undated,
)
from tracker.domain import image
from tracker.domain.accounts import NOTHING
from tracker.domain.booking import Booking
from tracker.domain.events import LEFT_UNKNOWN
from tracker.domain.events.admin import TrackerStopped
from tracker.domain.policy import Policy
from tracker.domain.state import State
from tracker.ledger.torrent import Contributions

if TYPE_CHECKING:
    from eventlog import Frame
    from tracker.ledger.account import Ledger

DAY = 86_400  # seconds

announces = st.builds(
    Announce,
    info_hash=st.sampled_from(HASHES[:2]),
    endpoint=st.sampled_from(ENDPOINTS),
    peer_id=st.sampled_from(PEER_IDS),
    uploaded=st.integers(0, 5000),
    downloaded=st.integers(0, 5000),
    left=st.sampled_from([0, 0, 7, LEFT_UNKNOWN]),
    event=st.sampled_from([0, 0, 0, 0, 1, 3, 4, 4]),
    key=st.sampled_from([*KEYS[:3], *KEYS]),
)
# One client that goes on, so that many gaps are credited.
steady_client = st.builds(
    lambda moved, event: Announce(
        HASHES[0], ENDPOINTS[0], PEER_IDS[0], moved, moved, 0, event, key=KEYS[0]
    ),
    st.integers(5000, 9000),
    st.sampled_from([0, 0, 0, 0, 3]),
)
seconds = st.sampled_from([0, 1, 5, 19, 20, 21, 40, 100])
batches = st.tuples(
    st.just("announce"), st.lists(st.one_of(announces, steady_client), min_size=1, max_size=5)
)
policies = st.builds(
    Policy,
    remember_days=st.sampled_from([0, 1, 1, 7]),
    bases_per_account=st.sampled_from([0, 1, 2]),
    resumed_rate=st.sampled_from([0, 1, 50]),
)
changes = st.one_of(
    st.fixed_dictionaries({"policy": policies}),
    st.fixed_dictionaries({"listed": st.booleans()}),
    st.fixed_dictionaries({"private": st.just(False)}),
    st.fixed_dictionaries({"max_peer_timeout": st.sampled_from([1, 20, 60])}),
    st.fixed_dictionaries({"inactive_peer_cleanup_interval": st.sampled_from([0, 10, 30])}),
)
accounts, download = st.integers(1, 3), st.sampled_from([0, 50, 200])
tokens = st.tuples(
    accounts,
    st.sampled_from(HASHES[:2]),
    st.sampled_from([None, 1, 20, 100]),  # seconds until it ends
    st.sampled_from([None, 1, 700, 10_000]),  # bytes
    st.booleans(),
)
ticks = st.tuples(st.just("tick"), seconds)
restarts = st.tuples(st.booleans(), st.sampled_from([0, 5, 100, 2 * DAY]))
disturbances = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 20, DAY // 2, DAY])),
    st.tuples(st.just("change"), changes),
    st.tuples(st.just("whitelist"), st.sampled_from(HASHES[:2])),
    st.tuples(st.just("delist"), st.sampled_from(HASHES[:2])),
    st.tuples(st.just("ban"), st.tuples(st.sampled_from(HASHES[:2]), st.booleans())),
    st.tuples(st.just("revoke owner"), st.sampled_from(OWNERS[2:])),
    st.tuples(st.just("sanction"), sanctions),
    st.tuples(st.just("merge"), merges),
    st.tuples(st.just("merge"), merges),
    st.tuples(st.just("split"), splits),
    st.tuples(st.just("key"), st.tuples(st.sampled_from(KEYS), st.sampled_from(OWNERS), st.none())),
    st.tuples(st.just("rotate"), st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS))),
    st.tuples(st.just("factor"), factors),
    st.tuples(st.just("factor"), factors),
    st.tuples(st.just("end factor"), st.integers(0, 2)),
    st.tuples(st.just("group"), st.tuples(accounts, st.sampled_from([None, "vip", "new"]))),
    st.tuples(st.just("group factor"), st.tuples(st.sampled_from(["vip", "new"]), download)),
    st.tuples(st.just("freeleech"), tokens),
    st.tuples(st.just("freeleech"), tokens),
    st.tuples(st.just("withdraw"), st.integers(1, 3)),
    st.tuples(st.just("shred"), st.sampled_from(["2027-01-15", "2027-01-16"])),
    st.tuples(st.just("lose"), st.none()),
    st.tuples(st.just("leap"), st.sampled_from([11, 50, 2 * DAY, -11, -2 * DAY])),
    st.tuples(st.just("restart"), restarts),
    st.tuples(st.just("restart"), restarts),
)
# Peers come, are swept, and come back; now and then something else happens.
rounds = st.lists(st.one_of(batches, batches, ticks), min_size=2, max_size=8)
histories = st.lists(st.tuples(rounds, disturbances), min_size=3, max_size=9).map(
    lambda parts: [step for steps, other in parts for step in (*steps, other)]
)


def live(history: list[Step]) -> tuple[World, list[Frame]]:
    """Runs a history under rules 2, with a frame for each step, and restarts in it."""
    log = MemoryLog()
    first = evolve(FIRST_SETTINGS, private=True, accounting=2)
    world = World(log, State(), HandTime(), first_settings=first)
    world.start()
    for name, argument in history:
        log.frames()
        if name == "restart":
            orderly, wait = argument
            if orderly:
                world.service.append(TrackerStopped("a test"))
            world.time.advance(wait * SECOND)
            world = World(log, replayed(log.frames()), world.time, world.model)
            world.start()
        elif name == "leap":
            world.time.wall += argument * SECOND
            world.service.tick()
            world.model.resumed_us = world.state.tally.resumed_us
            world.model.tick(world.state.time_us)
        else:
            world.step((name, argument))
            if name == "change" and not world.state.settings.private:
                world.step(("change", {"private": True}))
    return world, log.frames()


def without_keys(frames: list[Frame], gone: list[bool]) -> list[Frame]:
    """Returns the frames as a reader without some days' keys reads them."""
    return [
        one._replace(protected=memoryview(b"")) if gone[number % len(gone)] else one
        for number, one in enumerate(frames)
    ]


def told(frames: list[Frame], opening: State | None, world: World) -> dict[Any, list[int]]:
    """Returns what the ledgers of all accounts say by account and torrent, and checks their
    sums.
    """

    def opened(ledger: Ledger) -> None:
        if opening is not None:
            list(ledger.opening([], image.load(image.dump(opening).plain, {})))

    found = {}
    torrents = {info_hash: Contributions(info_hash) for info_hash in HASHES[:2]}
    for info_hash, book in torrents.items():
        if opening is None:
            list(book.entries(frames))
            torrents[info_hash] = book
    for account in range(1, world.model.key_refs + 1):
        ledger, _ = ledger_of(account, frames, opened)
        assert undated(ledger.whole().totals) == undated(world.state.totals(account))
        for info_hash, sums in ledger.sums().items():
            totals = sums.totals
            row = [*totals[:4], totals.seeding_us, totals.partial_us]
            if any(row) and info_hash is not None:
                found[account, info_hash.hex()] = row
            if info_hash is not None and opening is None:
                assert undated(torrents[info_hash].sums()[account].totals) == undated(totals)
    return found


def check_book(frames: list[Frame], state: State, ledgers: dict[Any, list[int]]) -> None:
    """Notes the gains of these frames: they are the account's, and with the open time the
    ledger's.
    """
    before = [state.accounts.totals(account) for account in range(len(state.accounts.uploaded))]
    state.book = book = Booking()
    for one in frames:
        header = one.header
        state.apply(header.kind, header.schema, header.base_seq, one.plain, one.protected)
    sums = {account: [0] * 8 for account in range(len(state.accounts.uploaded))}
    for account, info_hash, words in book.gains():
        sums[account] = [a + b for a, b in zip(sums[account], words, strict=False)]
        told = ledgers.get((account, info_hash.hex()))
        if told is not None and account not in book.corrections:
            assert list(words[:4]) == told[:4]
            assert all(a <= b for a, b in zip(words[4:6], told[4:6], strict=True))
    for account, (_, up, down) in book.corrections.items():
        sums[account][2] += up
        sums[account][3] += down
    for account, moved in book.moves.items():
        for at, amount in enumerate([*astuple(moved)]):
            sums[account][at] += amount
    for account, found in sums.items():
        now = state.accounts.totals(account)
        then = before[account] if account < len(before) else NOTHING
        gained = [a - b for a, b in zip(now, then, strict=True)]
        assert found == [*gained[:4], now[4] - then[4], now[9] - then[9], *gained[5:7]]


@few_or_many(15, 400)
def test_all_that_count_agree(count: int) -> None:
    """The live state, its replays with and without keys, from images and from an opening, the
    ledgers by account and by torrent, and the independent count.
    """
    gone = st.lists(st.booleans(), min_size=1, max_size=5)
    try_examples(count, agreement, history=histories, gone=gone, cut=st.floats(0, 1))


def test_a_merge_beside_a_peer_that_stopped() -> None:
    """The account that stays had the same client, which stopped: the other one goes on."""
    ours = Announce(HASHES[0], ENDPOINTS[0], PEER_IDS[0], 0, 0, 0, 0, key=KEYS[0])
    theirs = evolve(ours, key=KEYS[1])
    history: list[Step] = [
        ("announce", [ours]),
        ("announce", [theirs, evolve(theirs, event=3)]),
        ("merge", (1, 2)),
        ("announce", [evolve(ours, uploaded=5000)]),
    ]
    agreement(history, [True], 0.5)


def agreement(history: list[Step], gone: list[bool], cut: float) -> None:
    with patch.object(tracker.domain.state, "LOOKED_AT_ONCE", 1):  # so that old rows are there long
        _agreement(history, gone, cut)


def _agreement(history: list[Step], gone: list[bool], cut: float) -> None:
    world, frames = live(history)
    for by_number in True, False:
        assert replayed(frames, by_number=by_number).digest() == world.state.digest()
        rebuilt = replayed(without_keys(frames, gone), by_number=by_number)
        assert rebuilt.digest(addresses=False) == world.state.digest(addresses=False)
    at = int(len(frames) * cut)
    opening = replayed(frames[:at])
    taken = image.dump(opening)
    for private, addresses in ((taken.private, True), ({}, False)):
        state = image.load(taken.plain, private)
        assert image.dump(state).plain["bases.rows"] == taken.plain["bases.rows"]
        for one in frames[at:]:
            header = one.header
            state.apply(header.kind, header.schema, header.base_seq, one.plain, one.protected)
        assert state.digest(addresses=addresses) == world.state.digest(addresses=addresses)
    events = events_in(frames)
    check_rules.check(events)
    counted = {name: row for name, row in count(events).items() if any(row)}
    assert told(frames, None, world) == counted
    check_book(frames, State(), counted)
    for readable in frames, without_keys(frames, gone):
        check_book(readable[at:], replayed(readable[:at]), {})
    told(frames[at:], opening, world)
