"""Writes the folders in `log-v2`: `python -m tests.golden.write_log_v2`. Once a version with format
2 is released, they are never written again.

Every later version must open them, replay them to the same facts and print the same events. A later
kind of event then gets folders of its own, beside these. The script shows what they hold, and
refuses to overwrite them: until the release, remove the folder first. Those of `log-v1` are of an
earlier version of this script.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import define, evolve, field

import eventlog.log
from eventlog import IGNORABLE, EventLog, Reader, first_seq, open_log, read_kept_frames
from tests.eventlog.logs import running
from tests.golden import facts
from tests.support import (
    SECOND,
    SELECTION_KEY,
    START_US,
    Announce,
    HandTime,
    announce,
    endpoint4,
    endpoint6,
    hash_of,
    keys_of,
)
from tracker.domain import events
from tracker.domain.events import DAY_US, codec, schemas
from tracker.domain.events.admin import (
    AddressesLost,
    CompletedImported,
    ServerKeyChanged,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.policy import Policy
from tracker.domain.refusals import NOT_WHITELISTED
from tracker.domain.settings import Settings
from tracker.history import event_json
from tracker.ports import (
    Actor,
    CaseClosing,
    ClientRuleTerms,
    Correction,
    FactorTerms,
    FreeleechTerms,
    JudgingRule,
    NewKey,
    NewToken,
    OwnLimits,
    Pardon,
    SplitTerms,
    TorrentFacts,
)
from tracker.service.commands import ServiceCommands
from tracker.service.service import Service
from tracker.store import format_border, opening_balance
from tracker.store.address_keys import Keyring, day_of
from tracker.store.replay import replay
from tracker.upkeep.retention import Pruner
from tracker.upkeep.shredding import Shredder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tracker.domain.state import State

FOLDER = Path(__file__).parent / "log-v2"
BY = Actor("ops", "192.0.2.1", "r-1", 'a reason: "é" \\ \t 日本')
ONCE = evolve(BY, idempotency_key="once-1")
QUICK = Settings(max_peer_timeout=60, inactive_peer_cleanup_interval=10)
PRIVATE = evolve(QUICK, private=True, listed=True)
OTHER_ID = b"-qB4500-zyxwvutsrqpo"


def no_report(_done: int, _total: int) -> None:
    """Drops the progress."""


@define
class Site:
    """A folder in which trackers ran, one after the other."""

    path: Path
    time: HandTime = field(factory=HandTime)
    encrypted: bool = True
    segment_bytes: int = 64 << 20

    def run(self, do: Callable[[Run], Awaitable[object]]) -> None:
        keyring = keys_of(self.path / "secrets")
        path = self.path / "log"
        begin = partial(opening_balance.history, path, keyring)
        log = open_log(
            path, {**codec.RECORD_SIZES, NO_KIND: 16}, keyring.tags, segment_bytes=self.segment_bytes,
            linger_seconds=0, encryptor=keyring if self.encrypted else None, begin=begin,
        )  # fmt: skip
        first = format_border.is_due(path, log.next_seq)
        state = replay(Reader(log.path, to_end=True, keys=keyring))

        async def main() -> None:
            async with running(log):
                one = Run(log, state, self.time, keyring)
                if first:
                    one.service.append(format_border.made(path, 0, begin(), [], no_report))
                cut_bytes = log.recovery.cut_bytes or None
                one.service.append(TrackerStarted("1.0.0", log.epoch, cut_bytes))
                await do(one)
                one.service.append(TrackerStopped("signal"))
                await one.commit()
                await log.seal_finished()

        trio.run(main)


@define
class Run:
    """One tracker, with time set by the script."""

    log: EventLog
    state: State
    time: HandTime
    keyring: Keyring
    service: Service = field(init=False)
    commands: ServiceCommands = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = self.time.log_clock(self.state.time_us)
        self.service = Service(self.log, self.state, clock, SELECTION_KEY)
        self.commands = ServiceCommands(self.service, self.log, b"s" * 32)

    async def commit(self) -> None:
        await self.log.wait_readable(self.log.next_seq - 1)

    async def announce(self, *announces: Announce, seconds: int = 1) -> None:
        self.time.advance(seconds * SECOND)
        announce(self.service, *announces)
        await self.commit()


# Public: several segments and epochs, a write that failed, a torn end, a clock that was set.


async def public_first(run: Run) -> None:
    run.service.change_settings(QUICK)
    one = Announce(hash_of(1), endpoint4(1), left=0)
    for number in range(1, 7):
        await run.announce(
            evolve(one, endpoint=endpoint4(number), left=number % 3, uploaded=number << 40),
            evolve(one, endpoint=endpoint6(number), event=events.STARTED, udp=False),
            Announce(hash_of(0x11), endpoint4(9), downloaded=number, left=6 - number, listener=3),
        )
    await run.announce(
        Announce(hash_of(0x11), endpoint4(9), downloaded=6, left=0, event=events.COMPLETED),
        evolve(one, endpoint=endpoint6(3), event=events.STOPPED, key_hash=0),
        evolve(one, endpoint=endpoint4(2), peer_id=OTHER_ID),
        evolve(one, endpoint=endpoint4(70, 80), left=events.LEFT_UNKNOWN, numwant=65535,
               flags=events.FLAG_NUMWANT_ABSENT | events.FLAG_DICTIONARIES, udp=False),
        evolve(one, endpoint=endpoint4(71), left=5, event=events.PAUSED, uploaded=2**64 - 1),
        evolve(one, endpoint=endpoint4(72), peer_id=OTHER_ID, udp=False, agent=b"a/1 \xe9\x1b"),
    )  # fmt: skip
    for counter in events.COUNTER_NAMES:
        run.service.count(counter, 2 if counter == events.REFUSED_REQUESTS else 0)
        run.service.count(counter, 0)
    run.service.refused(NOT_WHITELISTED, b"-qB4520-abcdefghijkl")
    run.service.refused(0)
    run.service.flush_counters()
    run.service.flush_refusals()
    run.service.tick()
    run.service.tick(goes_on=True)
    await run.commit()


async def public_second(run: Run) -> None:
    await run.announce(Announce(hash_of(1), endpoint4(1), left=0, uploaded=99))
    await run.announce(Announce(hash_of(2), endpoint4(2), left=0), seconds=50)
    run.time.advance(30 * SECOND)
    for _ in range(2):
        run.time.advance(10 * SECOND)
        run.service.tick()  # most are gone after this
    run.time.wall += 3600 * SECOND  # the machine slept
    run.service.tick()
    await run.commit()
    with failing_sync():
        await run.announce(Announce(hash_of(3), endpoint4(3), left=3))
    await run.announce(Announce(hash_of(3), endpoint6(3), left=0))


async def public_third(run: Run) -> None:
    await run.commands.whitelist_add([hash_of(3), hash_of(4)], BY)
    run.service.change_settings(evolve(QUICK, listed=True, policy=Policy(refused_ports=("25",))))
    await run.announce(Announce(hash_of(4), endpoint4(5), left=4))
    await run.commands.whitelist_remove(hash_of(3), BY)


class failing_sync:  # noqa: N801  # used like a function
    """Makes the first sync inside fail, so that the frames are written again in another segment."""

    def __enter__(self) -> None:
        self._sync = os.fdatasync

        def fail(_descriptor: int) -> None:
            os.fdatasync = self._sync
            raise OSError(errno.EIO, "made up")

        os.fdatasync = fail

    def __exit__(self, *_: object) -> None:
        assert os.fdatasync is self._sync


def public(site: Site) -> None:
    site.segment_bytes = 2500
    site.run(public_first)
    last = max((site.path / "log" / "seg").glob("*.evl"))
    last.write_bytes(last.read_bytes()[:-75])  # within the last watermark: a power cut
    site.time.advance(5 * SECOND)
    site.run(public_second)
    site.time.advance(5 * SECOND)
    site.run(public_third)


# Private: keys, accounts, factors, corrections, evictions, refusals, imports.


async def private_first(run: Run) -> None:
    run.service.change_settings(PRIVATE)
    await run.commands.whitelist_add([hash_of(1), hash_of(2)], BY)
    keys = [
        await run.commands.issue_key(NewKey(owner="anna", label="home"), ONCE),
        await run.commands.issue_key(NewKey("B" * 32, seconds_valid=3600), BY),
        await run.commands.issue_key(NewKey("C" * 32, valid_until_us=START_US + DAY_US, owner="каті"), BY),
        await run.commands.issue_key(NewKey("D" * 32), BY),
    ]  # fmt: skip
    anna, bert, cato, dora = (one.key.encode() for one in keys)
    mine = Announce(hash_of(1), endpoint4(1), key=anna, left=300)
    theirs = Announce(hash_of(1), endpoint4(2), key=bert, peer_id=OTHER_ID, left=0)
    await run.announce(mine, theirs, evolve(mine, endpoint=endpoint6(1)))
    await run.commands.set_factor(
        FactorTerms(upload_percent=200, download_percent=0, label="all"), BY
    )
    until = run.service.now_us() + 5 * SECOND
    await run.commands.set_factor(
        FactorTerms(
            account=1, info_hash=hash_of(1), upload_percent=300, until_us=until, label="for a while"
        ),
        BY,
    )
    await run.commands.set_factor(FactorTerms(info_hash=hash_of(2), download_percent=50), BY)
    await run.announce(
        evolve(mine, uploaded=1000, downloaded=100, left=200),
        evolve(theirs, uploaded=7777),
        evolve(mine, endpoint=endpoint6(1), uploaded=1000, downloaded=100, left=200),
        evolve(theirs, key=cato, info_hash=hash_of(2), endpoint=endpoint4(3), left=9),
    )
    await run.announce(
        evolve(mine, uploaded=1500, downloaded=300, left=0, event=events.COMPLETED), seconds=20
    )
    corrected = run.state.seq - 1
    await run.announce(
        evolve(theirs, key=dora, endpoint=endpoint4(1), left=8)
    )  # another account announces from anna's address now
    await run.commands.correct(
        Correction(1, -20, 5, corrected), evolve(BY, idempotency_key="once-2")
    )
    await run.commands.end_factor(1, BY)
    await run.commands.label_key(2, "seedbox", BY)
    await run.commands.label_key(2, None, BY)
    rotated = await run.commands.rotate_key(1, evolve(BY, idempotency_key="once-3"))
    await run.commands.revoke_key_ref(4, BY)
    await run.announce(
        evolve(mine, key=rotated.key.encode(), uploaded=1600, downloaded=300, left=0),
        evolve(mine, key=anna),
        evolve(theirs, info_hash=hash_of(9)),
    )
    said = TorrentFacts(
        label="Debian 日本",
        size=2**40,
        site_id=77,
        uploader="anna",
        added_us=START_US,
        tags=("a", "b"),
    )
    torrents = [(hash_of(1), said), (hash_of(2), TorrentFacts(label="gone"))]
    await run.commands.describe_torrents(torrents, BY)
    await run.commands.describe_torrents([(hash_of(2), TorrentFacts())], BY)
    by = Actor("import", "", "r-2", "dump.xml")
    run.service.append(CompletedImported(hash_of(1), 41), by)
    run.time.advance(10 * SECOND)
    run.service.tick()
    await run.commit()


async def private_second(run: Run) -> None:
    await run.announce(
        Announce(hash_of(1), endpoint4(2), key=b"B" * 32, peer_id=OTHER_ID, left=0, uploaded=9000)
    )
    await run.commands.issue_key(NewKey("D" * 32), BY)  # once more
    run.service.change_settings(QUICK)


def private(site: Site) -> None:
    site.run(private_first)
    site.time.advance(5 * SECOND)
    site.run(private_second)


# Shredded: four days, two of them shredded, and a start without the keys.


async def four_days(run: Run) -> None:
    run.service.change_settings(PRIVATE)
    await run.commands.whitelist_add([hash_of(1)], BY)
    await run.commands.issue_key(NewKey("A" * 32), BY)
    mine = Announce(hash_of(1), endpoint4(1), key=b"A" * 32, left=100)
    for day in range(4):
        for number in range(3):
            moved = 100 * day + number
            await run.announce(
                evolve(mine, uploaded=moved), evolve(mine, endpoint=endpoint6(1), uploaded=moved)
            )
        run.time.advance(61 * SECOND)
        run.service.tick()
        run.service.tick()
        run.time.advance(DAY_US)
    today = day_of(run.time.wall)
    shredder = Shredder(run.service, run.log, run.keyring)
    await shredder.shred((today - 4, today - 3), Actor("shred", "", "r-3", "they are old"))
    for number in range(3):
        await run.announce(evolve(mine, uploaded=10**6 * number))


async def start_without_keys(run: Run) -> None:
    assert run.state.hidden_peers()
    run.service.append(AddressesLost())
    await run.announce(Announce(hash_of(1), endpoint4(1), key=b"A" * 32, left=0))


def shredded(site: Site) -> None:
    site.run(four_days)
    aside = site.path / "secrets" / "privacy" / "aside"
    newest = max((site.path / "secrets" / "privacy").glob("*.key"))
    newest.rename(aside)
    site.time.advance(DAY_US)
    site.run(start_without_keys)
    aside.rename(newest)  # the keys are found again, and replay gives the same state


# Pruned: twice, with openings and kept frames.


async def busy(run: Run) -> None:
    run.service.change_settings(evolve(PRIVATE, listed=False))
    keys = b"A" * 32, b"B" * 32
    if not run.state.tally.pruned:
        for key, owner in zip(keys, ("anna", None), strict=True):
            await run.commands.issue_key(NewKey(key.decode(), owner=owner), BY)
        await run.commands.set_factor(FactorTerms(upload_percent=150), BY)
        await run.commands.whitelist_add([hash_of(5)], BY)
    for number in range(8):
        for key, peer_id in zip(keys, (b"-XX0001-abcdefghijkl", OTHER_ID), strict=True):
            at = endpoint4(key[0], 7000 + number)
            moved = 1000 * number
            await run.announce(
                Announce(hash_of(6), at, peer_id, uploaded=moved, left=100 - number, key=key)
            )
    run.service.count(events.UDP4_CONNECTS)
    run.service.flush_counters()
    run.time.advance(1000 * SECOND)
    run.service.tick()
    run.service.tick()
    await run.announce(Announce(hash_of(6), endpoint4(66), key=keys[0], left=1))
    pruner = Pruner(run.service, run.log, 1000, 1500, run.keyring.secrets)
    assert await pruner.look()
    await run.announce(Announce(hash_of(6), endpoint4(66), key=keys[0], left=0, uploaded=10))


def pruned(site: Site) -> None:
    site.segment_bytes = 900
    site.run(busy)
    site.time.advance(5 * SECOND)
    site.run(busy)


# In clear: written without an encryptor, with events that a later version may add.

NO_KIND = 239
NO_TYPE = 65535
"""A kind that is never assigned."""


async def in_clear(run: Run) -> None:
    run.service.change_settings(QUICK)
    await run.announce(
        Announce(hash_of(1), endpoint4(1)), Announce(hash_of(1), endpoint6(1), left=0)
    )
    now = run.service.now_us()
    unknown = run.log.pool.frame(NO_KIND, 7, now)
    unknown.flags = IGNORABLE
    unknown.plain += bytes(range(32))
    unknown.protected += b"and nobody can say what"
    body = codec.encode_admin(NO_TYPE, now, {"of": ["a", "later", "version"], "seq": 0}, schema=3)
    run.log.pool.append(events.ADMIN, schemas.NEWEST[events.ADMIN], now, body)
    run.log.pool.frame(events.ADMIN, schemas.NEWEST[events.ADMIN], now).flags = IGNORABLE
    run.log.appended()
    run.state.seq += 3
    await run.commit()
    await run.announce(Announce(hash_of(1), endpoint4(1), left=1))


def clear(site: Site) -> None:
    site.encrypted = False
    site.run(in_clear)


# Two keys of the server: the second one vouches for what comes after it.


def rekeyed(site: Site) -> None:
    async def first(run: Run) -> None:
        run.service.change_settings(QUICK)
        await run.announce(Announce(hash_of(1), endpoint4(1)))

    async def second(run: Run) -> None:
        run.service.append(ServerKeyChanged(before.hex(), after.hex()), BY)
        await run.commands.see_addresses("/api/v2/announces/2/explain", 1, BY)
        await run.announce(Announce(hash_of(1), endpoint4(1), left=1))

    site.run(first)
    tags = keys_of(site.path / "secrets").tags
    before, after = tags.key_id, tags.change()
    site.run(second)


# Judged: a rule of hit and run, and what staff does about it.


async def judged_by_rules(run: Run) -> None:
    run.service.change_settings(evolve(PRIVATE, listed=False, accounting=2))
    await run.commands.issue_key(NewKey("A" * 32, owner="anna"), BY)
    rule = JudgingRule(seed_by_size=((5, 60), (9, 90)), window=120, ratio_permille=None)
    await run.commands.set_hit_and_run_rule(rule, BY)
    mine = Announce(hash_of(1), endpoint4(1), key=b"A" * 32)
    await run.announce(mine, evolve(mine, downloaded=700, left=300))
    run.time.advance(150 * SECOND)
    run.service.tick()
    await run.commands.pardon(Pardon(account=1, until_us=run.service.now_us()), BY)
    await run.commands.set_hit_and_run_rule(JudgingRule(), BY)
    await run.commands.void(hash_of(1), 1, BY)
    await run.commands.change_immunity(1, True, run.service.now_us() + 5 * SECOND, BY)
    await run.commands.change_immunity(1, False, None, BY)
    await run.commands.end_hit_and_run_rule(BY)


def judged(site: Site) -> None:
    site.run(judged_by_rules)


# Cases: what staff says about them.


async def spoken_of(run: Run) -> None:
    run.service.change_settings(evolve(PRIVATE, listed=False, accounting=2))
    await run.commands.issue_key(NewKey("A" * 32, owner="anna"), BY)
    await run.announce(Announce(hash_of(1), endpoint4(1), key=b"A" * 32))
    case = 1, "impossible_rate"
    await run.commands.take_case(*case, BY)
    await run.commands.note_case(*case, 'a note: "é" \\ \t 日本', BY)
    await run.commands.wait_for_member(*case, BY)
    until_us = run.service.now_us() + DAY_US
    await run.commands.close_case(*case, CaseClosing("harmless", 3, until_us), BY)
    await run.commands.close_case(*case, CaseClosing("mistaken", 6), BY)


def cases(site: Site) -> None:
    site.run(spoken_of)


# Freed: groups, and freeleech tokens in every state.


async def freed_by_tokens(run: Run) -> None:
    run.service.change_settings(evolve(PRIVATE, listed=False, accounting=2))
    await run.commands.issue_key(NewKey("A" * 32, owner="anna"), BY)
    await run.commands.group_account(1, "vip", BY)
    await run.commands.set_factor(FactorTerms(group="vip", download_percent=75), BY)
    now = run.service.now_us()
    for number, ends in enumerate(((now + DAY_US, 700), (None, 9), (now + SECOND, None)), 1):
        await run.commands.give_freeleech(FreeleechTerms(1, hash_of(number), *ends), BY)
    withdrawn = await run.commands.give_freeleech(FreeleechTerms(1, hash_of(4)), BY)
    await run.commands.withdraw_freeleech(withdrawn.number, BY)
    await run.commands.give_freeleech(FreeleechTerms(1, hash_of(5), label="won"), BY)
    for number in range(1, 6):
        mine = Announce(hash_of(number), endpoint4(1), key=b"A" * 32, left=100)
        await run.announce(mine, evolve(mine, downloaded=500, left=50))
    run.time.advance(10 * SECOND)
    run.service.tick()
    await run.announce(evolve(mine, downloaded=550, left=0))
    await run.commands.group_account(1, None, BY)


def freed(site: Site) -> None:
    site.run(freed_by_tokens)


# Sanctioned: accounts, torrents, networks, and all keys of an owner.


async def sanctioned_by_staff(run: Run) -> None:
    run.service.change_settings(
        evolve(PRIVATE, listed=False, policy=Policy(contact="https://example.org/é"))
    )
    for key, owner in (("A", "anna"), ("B", "anna"), ("C", None)):
        await run.commands.issue_key(NewKey(key * 32, owner=owner), BY)
    mine = Announce(hash_of(1), endpoint4(1), key=b"A" * 32)
    theirs = Announce(hash_of(1), endpoint4(2), key=b"C" * 32, peer_id=OTHER_ID, left=0)
    await run.announce(mine, theirs)
    soon = run.service.now_us() + 20 * SECOND
    await run.commands.impose("leech_off", 1, None, BY)
    await run.commands.impose("hidden", 3, soon, BY)
    await run.announce(mine, theirs, evolve(mine, info_hash=hash_of(2)))
    await run.commands.blacklist(hash_of(2), True, BY)
    await run.commands.blacklist(hash_of(3), False, BY)
    await run.commands.unblacklist(hash_of(3), BY)
    await run.commands.block("127.0.0.2/32", soon, False, BY)
    await run.commands.block("2001:db8::/48", None, True, BY)
    await run.commands.block("198.51.100.0/24", None, False, BY)
    await run.commands.unblock("198.51.100.0/24", BY)
    await run.announce(evolve(mine, info_hash=hash_of(2)), theirs)
    run.time.advance(30 * SECOND)
    run.service.tick()
    await run.announce(theirs)
    await run.commands.lift("leech_off", 1, BY)
    await run.commands.impose("leech_off", 3, None, BY)
    assert await run.commands.revoke_owner("anna", BY) == 2


def sanctioned(site: Site) -> None:
    site.run(sanctioned_by_staff)


# Staffed: settings that staff changed, and access tokens.


async def changed_by_staff(run: Run) -> None:
    run.service.start_with(QUICK)
    await run.commands.change_settings({"policy.max_peers_per_torrent": 3}, BY)
    run.service.start_with(evolve(QUICK, interval=1800))
    await run.announce(*(Announce(hash_of(1), endpoint4(number)) for number in range(1, 5)))
    for label, scope, seconds in (("anna", "full", None), ("bert", "moderator", 60)):
        await run.commands.issue_token(NewToken(label, scope, seconds), BY)
    run.commands.use_token(1)
    await run.commands.revoke_token(2, BY)


def staffed(site: Site) -> None:
    site.run(changed_by_staff)


# Ruled: versions of clients that are refused, at once and from a date on.


async def clients_ruled_out(run: Run) -> None:
    run.service.change_settings(evolve(PRIVATE, listed=False, accounting=2))
    await run.commands.issue_key(NewKey("A" * 32, owner="anna"), BY)
    later = run.service.now_us() + 5 * SECOND
    await run.commands.rule_client(ClientRuleTerms("-XX", "0002", "0009", public=True), BY)
    await run.commands.rule_client(ClientRuleTerms("-YY", from_us=later), BY)
    await run.commands.end_client_rule(1, BY)
    run.time.advance(10 * SECOND)
    run.service.tick()
    await run.announce(Announce(hash_of(1), endpoint4(1), key=b"A" * 32))


def ruled(site: Site) -> None:
    site.run(clients_ruled_out)


async def limited_by_staff(run: Run) -> None:
    policy = Policy(leeching_slots=2, peers_per_account=2, started_per_day=4)
    run.service.change_settings(evolve(PRIVATE, listed=False, policy=policy))
    for key, owner in (("A", "anna"), ("B", "bert")):
        await run.commands.issue_key(NewKey(key * 32, owner=owner), BY)
    mine = Announce(hash_of(1), endpoint4(1), key=b"A" * 32)
    await run.announce(mine, evolve(mine, info_hash=hash_of(2)))
    await run.announce(evolve(mine, endpoint=endpoint4(1, 7001), peer_id=OTHER_ID))  # gives way
    await run.announce(evolve(mine, info_hash=hash_of(3)))  # refused
    await run.commands.limit(1, OwnLimits(slots=3), BY)
    await run.commands.limit(2, OwnLimits(slots=0, locations=1), BY)
    await run.announce(evolve(mine, info_hash=hash_of(3)))
    run.time.advance(200 * SECOND)
    await run.announce(evolve(mine, info_hash=hash_of(4), endpoint=endpoint4(1, 7001)))
    await run.commands.limit(2, OwnLimits(), BY)
    await run.announce(evolve(mine, info_hash=hash_of(5)))  # refused: the fifth of the day
    await run.commands.limit(1, OwnLimits(slots=5, started_per_day=5, handed_per_hour=1), BY)
    await run.announce(evolve(mine, info_hash=hash_of(5)))
    await run.announce(evolve(mine, endpoint=endpoint4(2), key=b"B" * 32), mine)  # hands one
    run.time.advance(10 * SECOND)
    run.service.tick()


def limited(site: Site) -> None:
    site.run(limited_by_staff)


async def joined_by_staff(run: Run) -> None:
    run.service.change_settings(evolve(PRIVATE, listed=False, accounting=2))
    for key, owner in (("A", "anna"), ("B", "bert"), ("C", "bert")):
        await run.commands.issue_key(NewKey(key * 32, owner=owner), BY)
    mine = Announce(hash_of(1), endpoint4(1), key=b"A" * 32, left=0)
    other = evolve(mine, endpoint=endpoint4(2), key=b"B" * 32)
    third = Announce(hash_of(2), endpoint4(3), key=b"C" * 32, peer_id=OTHER_ID)
    await run.announce(mine, other, third)
    await run.announce(evolve(other, uploaded=700), evolve(third, downloaded=90))
    await run.commands.merge(2, 1, BY)
    await run.announce(evolve(mine, uploaded=5), evolve(third, downloaded=95, uploaded=60))
    await run.commands.split(1, SplitTerms((2,), "bert", 600, 50), BY)
    await run.announce(evolve(third, downloaded=99, uploaded=61))


def joined(site: Site) -> None:
    site.run(joined_by_staff)


WRITERS = (
    public,
    private,
    shredded,
    pruned,
    clear,
    rekeyed,
    judged,
    cases,
    freed,
    sanctioned,
    staffed,
    ruled,
    limited,
    joined,
)
SITES = {one.__name__: one for one in WRITERS}


def record(path: Path) -> None:
    """Write the facts that this version finds in the folder beside it."""
    log, keyring = path / "log", Keyring(path / "secrets")
    reader = Reader(log, keys=keyring)
    frames = [*read_kept_frames(log, reader.first_seq, keyring), *reader.frames()]
    lines = [event_json.line(event) for frame in frames for event in event_json.narrate(frame)]
    (path / "events.jsonl").write_text("\n".join(lines) + "\n")
    state = replay(Reader(log, keys=keyring))
    told = {"first_seq": first_seq(log), "seq": state.seq, "facts": facts.digest(state)}
    (path / "expected.json").write_text(json.dumps(told, indent=1) + "\n")


def main() -> int:
    eventlog.log.WATERMARK_SECONDS = 0.001
    for name, write in SITES.items():
        path = FOLDER / name
        if path.exists():
            sys.stderr.write(f"{path} is there: it is never written again\n")
            continue
        path.mkdir(parents=True)
        write(Site(path))
        record(path)
        (path / "log" / "LOCK").unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
