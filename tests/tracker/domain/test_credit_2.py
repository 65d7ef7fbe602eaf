"""Accounting rules 2: the worked examples of docs/credit.md, and what ends a base."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from attrs import define, evolve, field

from tests.independent_reader.count_credit import count
from tests.support import (
    SECOND,
    START_US,
    Announce,
    Rig,
    endpoint4,
    endpoint6,
    events_in,
    hash_of,
    key_text,
    replayed,
)
from tracker.domain import by_age, events, image, packed
from tracker.domain.bases import Base, Bases
from tracker.domain.events.admin import (
    AddressesLost,
    AddressesShredded,
    ClockStepped,
    CreditFactorEnded,
    TorrentDelisted,
    TorrentWhitelisted,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.ledger.account import Ledger
from tracker.ledger.torrent import Contributions

HASH = hash_of(1)
MINUTE = 60
DAY = 86_400
TIMEOUT = 45 * MINUTE
MIB = 1 << 20
MIDNIGHT_US = START_US // events.DAY_US * events.DAY_US
FIRST_SETTINGS = 1  # the number of that event
BASE_SIZE = 128  # bytes, the most that a base may take with its index


def moment_us(time: str) -> int:
    """Reads "13:30", or "13:30 +2" (days later)."""
    clock, _, days = time.partition(" +")
    hours, minutes = map(int, clock.split(":"))
    return MIDNIGHT_US + ((int(days or 0) * 24 + hours) * 60 + minutes) * MINUTE * SECOND


@define
class Site(Rig):
    """A tracker in a private mode under rules 2, whose clock tests set to minutes of a day."""

    settings: Settings = field(
        default=Settings(
            private=True, max_peer_timeout=TIMEOUT, inactive_peer_cleanup_interval=10, accounting=2
        )
    )

    step: int = 5 * 60 * SECOND  # from one tick to the next

    @classmethod
    def begun(cls, **changed: Any) -> Site:
        site = cls()
        site.time.wall = MIDNIGHT_US
        site.service._clock = site.time.log_clock()
        site.service.append(TrackerStarted("test", 1))
        site.service.change_settings(evolve(site.settings, **changed))
        site.issue(1)
        site.issue(2)
        return site

    def at(self, time: str, *, quiet: bool = False) -> Site:
        """Lets time pass until then, with the ticks until then, or `quiet`."""
        until_us = moment_us(time)
        assert until_us >= self.time.wall
        while not quiet and self.time.wall + self.step < until_us:
            self.time.advance(self.step)
            self.service.tick()
        self.time.advance(until_us - self.time.wall)
        if not quiet:
            self.service.tick()
        return self

    def says(self, client: int = 1, up: int = 0, down: int = 0, left: int = 0, **more: Any) -> str:
        """Announces as a client of the first member; returns the rule."""
        one = Announce(
            HASH, endpoint4(client), b"-XX0001-%012d" % client, up, down, left, key=key_text(1)
        )
        self.announce(evolve(one, **more))
        frame = self.log.frames()[-1]
        return events.RULE_NAMES[packed.announced(frame.plain, len(frame.plain) - 80)[-1]]

    def stops(self, client: int = 1, **more: Any) -> str:
        return self.says(client, event=events.STOPPED, **more)

    def seconds(self, account: int = 1) -> tuple[int, int]:
        """Returns the seconds of seeding and of partial seeding, which all parts agree on."""
        self.check()
        totals = self.totals(account)
        return totals.seeding_us // SECOND, totals.partial_us // SECOND

    def credited(self) -> tuple[int, int, int, int]:
        """Returns the bytes up and down, raw and credited, which all parts agree on."""
        self.check()
        up, down, credited_up, credited_down = self.totals(1)[:4]
        return up, down, credited_up, credited_down

    def check(self) -> None:
        """Compares the live state with its replays, with and without keys, and with ledgers."""
        frames = self.log.frames()
        for keys in True, False:
            for by_number in True, False:
                read = [
                    frame if keys else frame._replace(protected=memoryview(b"")) for frame in frames
                ]
                state = replayed(read, by_number=by_number)
                assert state.digest(addresses=keys) == self.state.digest(addresses=keys)
                assert state.totals(1) == self.totals(1)
        ledger = Ledger(1)
        for _ in ledger.entries(frames):
            pass
        assert ledger.whole().totals == self.totals(1)
        by_torrent = [sums.totals for sums in ledger.sums().values()]
        assert sum(one.seeding_us for one in by_torrent) == self.totals(1).seeding_us
        torrent = Contributions(HASH)
        list(torrent.entries(frames))
        assert torrent.sums()[1].totals == ledger.sums()[HASH].totals
        if self.state.listing.since_seq == FIRST_SETTINGS:
            told = count(events_in(frames))[1, HASH.hex()]
            totals = self.totals(1)
            assert told == [*totals[:4], totals.seeding_us, totals.partial_us]

    def rules(self) -> list[str]:
        """Returns the rules of the first member's ledger, in words."""
        return [getattr(one, "rule", "") for one in Ledger(1).entries(self.log.frames())]


def test_the_seeding_time_of_two_clients() -> None:
    """Client 1 seeds 10:00 to 11:15 and 14:00 to 14:40; client 2 of the same member adds none."""
    site = Site.begun()
    site.at("10:00").says(1)
    site.at("10:15").says(2)
    site.at("10:30").says(1)
    site.at("10:45").says(2)
    site.at("11:00").stops(2)
    assert site.at("13:00").seconds() == (75 * MINUTE, 0)
    assert site.at("14:00").says(1) == "resumed"
    site.at("14:30").says(1)
    site.at("14:40").stops(1)
    assert site.seconds() == (6900, 0)


def test_several_clients_across_a_snapshot() -> None:
    """A state from an image goes on with the clients of a member in a torrent as the tracker does,
    until one is left and until none is.
    """
    site = Site.begun()
    site.at("10:00").says(1)
    site.at("10:10").says(2, left=5, event=events.PAUSED)
    site.at("10:20").says(3)
    site.at("10:30").says(4, left=7)
    site.at("10:40").says(1)
    taken = image.dump(site.state)
    loaded, before = image.load(taken.plain, taken.private), len(site.log.frames())
    site.at("10:50").stops(1)
    site.at("11:00").says(2, left=5, event=events.PAUSED)
    site.stops(3)
    site.at("11:10").says(4)
    site.at("11:20").stops(4)
    site.at("11:30").says(2)
    assert site.seconds() == (60 * MINUTE + 10 * MINUTE, 20 * MINUTE)
    site.at("13:00")
    for frame in site.log.frames()[before:]:
        head = frame.header
        loaded.apply(head.kind, head.schema, head.base_seq, frame.plain, frame.protected)
    assert loaded.digest() == site.state.digest()
    assert loaded.totals(1) == site.totals(1)
    assert (site.state.seeding.settled, loaded.seeding.settled) == ({}, {})
    site.check()


def test_an_outage_counts_as_listed() -> None:
    """The tracker is down from 14:10 to 16:10: 14:00 to 16:35 counts."""
    site = Site.begun()
    site.at("14:00").says()
    site.at("14:10")
    site.service.append(TrackerStopped("a test"))
    site.at("16:10", quiet=True).service.append(TrackerStarted("test", 2))
    assert site.at("16:35").says() == "continued"
    assert site.seconds() == (9300, 0)


def test_runs_without_a_tick() -> None:
    """The tracker ends soon after each start from 10:10 on: no time is in two outages."""
    site = Site.begun()
    site.at("10:00").says()
    site.at("10:10")
    for epoch, time in enumerate(("10:40", "11:10", "11:40"), 2):
        site.at(time, quiet=True).service.append(TrackerStarted("test", epoch))
    assert site.at("12:16").says() == "resumed"
    assert site.seconds() == (135 * MINUTE, 0)


@pytest.mark.parametrize(("left", "rule"), [("16:44", "continued"), ("16:46", "resumed")])
def test_the_listed_time_after_an_outage(left: str, rule: str) -> None:
    """After 14:00 the timeout ends at 16:45, because two hours of it nobody could announce."""
    site = Site.begun()
    site.at("14:00").says()
    site.at("14:10").service.append(TrackerStopped("a test"))
    site.at("16:10", quiet=True).service.append(TrackerStarted("test", 2))
    assert site.at(left).says() == rule
    assert site.seconds()[0] == min(165, 164 if rule == "continued" else 165) * MINUTE


def test_an_outage_counts_for_a_day_at_most() -> None:
    """Without a `tracker_stopped` it begins with the last tick. Of 30 hours 24 count."""
    site = Site.begun()
    site.at("10:00").says()
    site.at("16:10 +1", quiet=True).service.append(TrackerStarted("test", 2))
    assert site.at("16:20 +1").says() == "resumed"
    assert site.seconds() == (DAY + TIMEOUT, 0)


def test_a_step_of_the_clock_is_an_outage() -> None:
    """The machine sleeps for two hours: a seeder stays listed."""
    site = Site.begun()
    site.at("14:00").says()
    site.at("16:00", quiet=True).service.append(ClockStepped(2 * 3600 * SECOND))
    assert site.at("16:30").says() == "continued"
    assert site.seconds() == (9000, 0)


def test_partial_seeding_is_a_second_column() -> None:
    """It counts moments in which no other client of the member seeds."""
    site = Site.begun()
    site.at("10:00").says(1, left=7, event=events.PAUSED)
    site.at("10:20").says(2, left=0)
    site.at("10:30").says(1, left=7, event=events.PAUSED)
    site.at("10:40").stops(2)
    site.at("11:00").stops(1, left=7)
    assert site.seconds() == (20 * MINUTE, 40 * MINUTE)


def test_one_client_over_both_families_counts_once() -> None:
    site = Site.begun()
    site.at("10:00").says()
    site.says(endpoint=endpoint6(1))
    site.at("10:30").says(endpoint=endpoint6(1))
    site.says()
    site.at("10:40").stops()
    assert site.seconds() == (40 * MINUTE, 0)


@pytest.mark.parametrize(
    ("begins", "ends", "first", "second", "credited"),
    [
        ("17:00", "18:00", "17:50", "18:20", 0),  # in force at the first end
        ("18:00", "18:10", "17:50", "18:20", 100),  # between the ends
        ("18:10", "19:00", "17:50", "18:20", 0),  # in force at the second end
        ("10:00 +2", "20:00 +2", "17:50", "12:00 +2", 100),  # swept between
        ("10:00", "20:00 +2", "17:50", "12:00 +2", 0),  # in force at both
    ],
)
def test_factors_over_a_gap(begins: str, ends: str, first: str, second: str, credited: int) -> None:
    """A listed peer gets the better of the factors at both ends, a resumed one the worse."""
    site = Site.begun()
    from_us, until_us = moment_us(begins), moment_us(ends)
    site.set_factor(download_percent=0, from_us=from_us, until_us=until_us)
    site.at(first).says(left=9)
    site.at(second).says(left=9, down=100)
    assert site.credited() == (0, 100, 0, credited)


def test_upload_and_download_are_judged_on_their_own() -> None:
    """The ledger names the factors of both ends."""
    site = Site.begun()
    double = site.set_factor(upload_percent=200)
    site.at("10:00").says()
    site.service.append(CreditFactorEnded(double))
    site.set_factor(download_percent=50)
    site.at("10:10").says(up=100, down=100)
    assert site.credited() == (100, 100, 200, 50)
    assert site.rules() == [
        "first",
        "continued, upload 200% (200% by factor 1 at its beginning, 100% at its end), download 50% (100% at its beginning, 50% by factor 2 at its end)",
    ]


def test_a_swept_peer_keeps_its_counters() -> None:
    """What it moved meanwhile is credited once: the base is gone afterwards."""
    site = Site.begun()
    site.at("10:00").says(up=100, down=10, left=9)
    assert site.at("12:00").state.swarms.torrents_total == 0
    assert site.says(up=150, down=15, left=0) == "resumed"
    assert site.credited() == (50, 5, 50, 5)
    assert site.totals(1).sessions == 1
    assert site.totals(1).snatched == 1
    assert site.stops(up=150, down=15) == "continued"
    assert site.says(up=200) == "first"
    assert site.credited() == (50, 5, 50, 5)


@pytest.mark.parametrize("cleanup", [0, 10])
def test_a_download_that_ends_in_a_gap(cleanup: int) -> None:
    """It is completed once, whether the peer was swept or not."""
    site = Site.begun(inactive_peer_cleanup_interval=cleanup)
    site.at("10:00").says(left=9)
    for time, rule in ("12:00", "resumed"), ("12:01", "continued"), ("14:00", "resumed"):
        assert site.at(time).says(event=events.COMPLETED) == rule
        assert site.state.swarms.counts(HASH)[1] == site.state.swarms.completed_total == 1
        assert site.totals(1).snatched == 1
    site.check()


def test_no_byte_counts_twice_where_the_policy_changes() -> None:
    """A base that was too old stays so, also where a later policy remembers for longer."""
    site = hourly(Site.begun(policy=Policy(remember_days=1)))
    site.at("10:00").says(up=100)
    site.at("09:00 +1")
    site.at("11:00 +1", quiet=True).says(up=500)
    assert site.state.bases.count == 1
    site.service.change_settings(evolve(site.state.settings, policy=Policy(remember_days=7)))
    site.stops(up=600)
    assert site.says(up=700) == "first"
    assert site.credited() == (100, 0, 100, 0)


def test_a_peer_that_is_late_but_not_swept_is_resumed() -> None:
    site = Site.begun(inactive_peer_cleanup_interval=0)
    site.at("10:00").says(up=100)
    assert site.at("11:00").says(up=150) == "resumed"
    assert site.at("11:00 +8").says(up=200) == "restarted"
    assert site.credited() == (50, 0, 50, 0)
    assert site.seconds() == (2 * TIMEOUT, 0)


def test_lower_counters_are_a_new_session() -> None:
    site = Site.begun()
    site.at("10:00").says(up=100)
    assert site.at("12:00").says(up=50) == "restarted"
    assert site.totals(1).sessions == 2
    site.stops(up=50)
    assert site.says(up=120) == "first"
    assert site.credited() == (0, 0, 0, 0)


def test_stopped_finds_a_base_and_ends_it() -> None:
    site = Site.begun()
    site.at("10:00").says(up=100)
    assert site.at("12:00").stops(up=130) == "resumed"
    assert site.at("12:01").says(up=140) == "first"
    assert site.credited() == (30, 0, 30, 0)


def test_an_evicted_peer_is_remembered() -> None:
    """Another member takes its address, and it comes back from another one."""
    site = Site.begun()
    site.at("10:00").says(up=100)
    one = Announce(HASH, endpoint4(1), b"-XX0001-%012d" % 9, key=key_text(2))
    site.at("10:10").announce(one)
    assert site.seconds() == (10 * MINUTE, 0)
    assert site.says(up=150, endpoint=endpoint4(3)) == "resumed"
    assert site.credited() == (50, 0, 50, 0)


def test_the_clip() -> None:
    """Upload of a resumed gap counts up to the rate times the gap. The ledger says the rest."""
    site = Site.begun(policy=Policy(resumed_rate=10))
    site.at("10:00").says()
    site.at("12:00").says(up=100_000)
    assert site.credited() == (72_000, 0, 72_000, 0)
    assert site.rules()[-1] == "resumed, upload clipped by 28000 bytes"
    site.at("14:00").says(up=100_000 + 72_000)
    assert site.credited() == (144_000, 0, 144_000, 0)
    assert site.rules()[-1] == "resumed"


def test_the_default_clip() -> None:
    site = Site.begun()
    site.at("10:00").says()
    site.at("12:00").says(up=1 << 60)
    assert site.credited()[0] == 100 * MIB * 7200


def hourly(site: Site) -> Site:
    """Lets the tracker tick once an hour."""
    site.step = 3600 * SECOND
    return site


ENDS: dict[str, tuple[Any, str]] = {
    "revocation": (lambda site: (site.revoke(key_text(1)), site.issue(1, "x"))[0], "first"),
    "rotation": (lambda site: site.rotate(key_text(1), key_text(5)), "resumed"),
    "shredding its day": (
        lambda site: site.service.append(AddressesShredded(("2027-01-15",))),
        "first",
    ),
    "shredding another day": (
        lambda site: site.service.append(AddressesShredded(("2027-01-14",))),
        "resumed",
    ),
    "delisting": (
        lambda site: (
            site.service.append(TorrentDelisted(HASH)),
            site.service.append(TorrentWhitelisted(HASH)),
        )[0],
        "first",
    ),
    "lost addresses": (lambda site: site.service.append(AddressesLost()), "first"),
    "leaving the private modes": (
        lambda site: (
            site.service.change_settings(evolve(site.state.settings, private=False)),
            site.service.change_settings(evolve(site.state.settings, private=True)),
        )[0],
        "first",
    ),
    "a wait of a week": (lambda site: hourly(site).at("12:00 +7"), "first"),
    "a wait of nearly a week": (lambda site: hourly(site).at("09:59 +7"), "resumed"),
}


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_a_base(what: str) -> None:
    """The base is not used any more. Rotation keeps it, for the new key."""
    site = Site.begun(listed=True)
    site.service.append(TorrentWhitelisted(HASH))
    site.at("10:00").says(up=100)
    site.at("12:00")
    assert site.state.bases.count == 1
    does, rule = ENDS[what]
    does(site)
    key = key_text(5) if what == "rotation" else key_text(1)
    assert site.says(up=150, key=key) == rule
    account = site.state.access.account_of[site.state.access.next_key_ref - 1]
    if what != "revocation":
        assert site.totals(1).uploaded == (50 if rule == "resumed" else 0)
        site.check()
    assert account
    assert list(site.state.bases.numbers()) == []


def test_a_peer_that_is_not_swept_yet_ends_as_a_base() -> None:
    """Without a sweep nothing goes on from an announce of a shredded day either."""
    site = Site.begun(inactive_peer_cleanup_interval=0)
    site.at("10:00").says(up=100)
    site.at("12:00")
    assert site.state.bases.count == 0
    site.service.append(AddressesShredded(("2027-01-15",)))
    assert site.says(up=150) == "restarted"
    assert site.totals(1).uploaded == 0
    site.check()


def test_delisting_a_torrent_whose_hash_is_zeros() -> None:
    """The rows of bases that are gone are zeros too."""
    site = Site.begun(listed=True)
    site.service.append(TorrentWhitelisted(HASH))
    site.service.append(TorrentWhitelisted(bytes(20)))
    site.at("10:00").says(1, up=100)
    site.says(2, up=100)
    site.says(2, up=100, info_hash=bytes(20))
    site.at("12:00").says(1, up=150)
    assert site.state.bases.count == 2
    site.service.append(TorrentDelisted(bytes(20)))
    assert site.state.bases.count == 1
    assert site.says(2, up=150) == "resumed"
    assert replayed(site.log.frames()).digest() == site.state.digest()


def test_an_expired_key_keeps_its_base() -> None:
    site = Site.begun()
    until_us = MIDNIGHT_US + 11 * 3600 * SECOND
    site.issue(3, "carl", until_us)
    site.at("10:00").says(up=100, key=key_text(3))
    site.at("12:00")
    assert site.state.bases.count == 1
    site.issue(4, "carl")
    site.says(up=150, key=key_text(4))
    assert site.totals(3).uploaded == 50


def test_an_account_keeps_its_newest_bases() -> None:
    site = Site.begun(policy=Policy(bases_per_account=2))
    for number, time in enumerate(("10:00", "10:01", "10:02"), 1):
        site.at(time).says(number, up=100)
    site.at("12:00")
    assert [site.says(number, up=150) for number in (1, 2, 3)] == ["first", "resumed", "resumed"]
    site.check()


def test_which_bases_an_account_keeps() -> None:
    """Those of a shredded day count no more. A lower limit holds at once."""

    def base(seq: int, day: int) -> Base:
        return Base(HASH, b"%020d" % seq, 1, 1, 0, 0, day * events.DAY_US, seq, 0, 0, 0, 0)

    def seqs() -> list[int]:
        return sorted(bases.base(number).seq for number in bases.numbers())

    bases = Bases()
    for seq, day in ((2, 1), (3, 2), (4, 2)):
        bases.add(base(seq, day), 3)
    bases.drop_days([2])
    bases.add(base(5, 3), 3)
    assert seqs() == [2, 5]
    bases.limit(1)
    assert seqs() == [5]
    bases.add(base(1, 1), 1)
    assert seqs() == [5]


@pytest.mark.parametrize("days", [0, 1])
def test_how_long_a_base_stays(days: int) -> None:
    """Old bases leave the memory with the ticks, and none of them counts before that."""
    site = Site.begun(policy=Policy(remember_days=days))
    site.at("10:00").says(up=100)
    site.at("12:00")
    assert site.state.bases.count == days
    site.at("10:01 +1")
    assert site.state.bases.count == 0
    assert site.says(up=150) == "first"
    site.check()


def test_a_shredded_day_takes_its_bases_and_no_others() -> None:
    """Announces on both sides of midnight that are committed together lie in two frames. So a
    replay without the key of the first day agrees with the tracker on every byte.
    """
    site = Site.begun().at("00:00 +1", quiet=True)
    site.time.wall -= SECOND // 10
    site.service._clock = site.time.log_clock(site.state.time_us)
    for client in (1, 2, 3):
        one = Announce(HASH, endpoint4(client), b"-XX0001-%012d" % client, key=key_text(1))
        site.announce(one)
        site.time.advance(SECOND // 10)
    site.at("02:00 +1")
    assert site.state.bases.count == 3
    yesterday = (site.time.wall - DAY * SECOND) // events.DAY_US
    site.service.append(AddressesShredded((events.day_name(yesterday),)))
    frames = [
        frame._replace(protected=memoryview(b""))
        if frame.header.time_us // events.DAY_US == yesterday
        else frame
        for frame in site.log.frames()
    ]
    assert len(list(site.state.bases.numbers())) == 2
    loaded = image.load(*image.dump(site.state))
    assert replayed(frames).digest() == loaded.digest() == site.state.digest()
    site.service.tick()
    assert site.state.bases.count == 2
    assert [site.says(client, up=5) for client in (1, 2, 3)] == ["first", "resumed", "resumed"]
    site.check()


def test_many_bases_of_many_days() -> None:
    """Bases that go with their day leave all others to be found, in memory as from an image."""
    bases = Bases()
    for number in range(3_000):
        seen_us = (1 + number * 7 % 5) * events.DAY_US
        peer_id = b"-XX0001-%012d" % number
        account = 1 + number % 7
        bases.add(Base(HASH, peer_id, account, 1, 0, 0, seen_us, number + 1, 0, 0, 0, 0), 0)
    bases.drop_days([2, 4, 9])
    tails, digest = bases.tails(), bases.digest(addresses=True)
    loaded = Bases()
    loaded.rows = bytearray(bases.without_tails())
    loaded._free, loaded._roots = bases._free[:], bases._roots[:]
    loaded._counts, loaded.hand = bases._counts[:], bases.hand
    loaded.settle(tails)
    loaded.drop_days([2, 4, 9])
    assert sorted(tails) == [1, 3, 5]
    for rows in 3_000, 2_200, 1_800:
        for one in bases, loaded:
            assert (one.count, len(list(one.numbers()))) == (rows, 1_800)
            assert one.digest(addresses=True) == digest
            for number in range(3_000):
                day = 1 + number * 7 % 5
                found = one.find(1 + number % 7, HASH, b"-XX0001-%012d" % number)
                assert bool(found) == (day not in (2, 4)), number
                assert not found or one.base(found).seq == number + 1
            one.expire(0, 2_000)
        digest = bases.digest(addresses=True)
    for number in loaded.numbers():
        loaded.drop(number)
    assert (loaded.count, loaded.tails()) == (0, {})


def test_the_order_of_an_account() -> None:
    """It has the bases by their announces, in whatever order they come and go. Nonsense is refused
    in its place.
    """
    bases, there = Bases(), dict[int, int]()
    for step in range(600):
        seq = 1 + step * 7919 % 601
        if step % 3 == 2:
            bases.drop(there.pop(sorted(there)[step % len(there)]))
        else:
            one = Base(HASH, b"%020d" % seq, 1, 1, 0, 0, 1, seq, 0, 0, 0, 0)
            bases.add(one, 0)
            there[seq] = bases.find(1, HASH, one.peer_id)
    order = [there[seq] for seq in sorted(there, reverse=True)]
    assert bases.of_account(1) == order
    assert bases._counts.tolist() == [0, 200]
    for seq in range(1, 602):
        assert bases.by_seq(1, seq) == there.get(seq, 0)
    by_age.check(bases.rows, bases._roots, bases._counts)
    for number, at in itertools.product(order, (96, 100)):
        for wrong in number, bases.slots:
            rows = bytearray(bases.rows)
            packed.put_word(rows, number * 104 + at, wrong)
            with pytest.raises((ValueError, IndexError)):
                by_age.check(rows, bases._roots, bases._counts)


def test_no_base_in_a_public_mode() -> None:
    site = Site.begun(private=False)
    site.at("10:00").announce(Announce(HASH, endpoint4(1)))
    site.at("12:00")
    assert (site.state.swarms.seeders_total, site.state.bases.count) == (0, 0)


def test_the_change_of_the_rules() -> None:
    """Gaps across the change are judged by the old rule, and leave no base."""
    site = Site.begun(accounting=1)
    site.at("10:00").says(1, up=100, left=0)
    site.says(2, up=100, left=0)
    site.says(3, up=100, left=0)
    site.set_factor(upload_percent=200, until_us=site.time.wall + 15 * 60 * SECOND)
    site.service.change_settings(evolve(site.state.settings, accounting=2))
    site.at("10:10").says(2, up=110)
    site.at("10:20").says(1, up=110)
    assert site.credited() == (20, 0, 30, 0)
    assert site.seconds() == ((10 + 20 + 10) * MINUTE, 0)  # and of the new rule from 10:10 on
    assert site.at("12:00").says(3, up=200) == "first"
    assert site.at("12:01").says(1, up=120) == "resumed"
    site.check()


def test_a_shorter_timeout_counts_from_its_beginning() -> None:
    site = Site.begun(inactive_peer_cleanup_interval=0)
    site.at("10:00").says()
    site.at("10:30").service.change_settings(
        evolve(site.state.settings, max_peer_timeout=10 * MINUTE)
    )
    site.at("10:40")
    assert site.seconds() == (30 * MINUTE, 0)
    site.service.change_settings(evolve(site.state.settings, max_peer_timeout=3600))
    assert site.at("10:50").says() == "resumed"
    assert site.seconds() == (30 * MINUTE, 0)


def test_a_base_is_small() -> None:
    """With its share of the index and of the lists."""
    bases = Bases()
    for number in range(20_000):
        base = Base(
            HASH, b"-XX0001-%012d" % number, 1 + number % 500, 1, 0, 0, 1, number + 1, 0, 0, 0, 0
        )
        bases.add(base, 0)
    index = sum(table.itemsize * len(table) for table in bases._tables)
    size = len(bases.rows) + index + 2 * bases._roots.itemsize * len(bases._roots)
    assert size / bases.count <= BASE_SIZE
