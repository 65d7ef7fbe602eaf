"""The book: its rows are the sums of the ledger, whatever happens to its files and to the log."""

from __future__ import annotations

import errno
import random
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import define, evolve, field

import eventlog.log
from eventlog import LogCorruptError, LogPrunedError, Reader, first_seq, open_log
from tests.eventlog.logs import running
from tests.support import (
    SECOND,
    START_US,
    Announce,
    HandTime,
    Rig,
    endpoint4,
    hash_of,
    key_text,
    own_keys,
    replayed,
)
from tests.tracker.pruned import prune
from tracker.domain.accounts import Totals
from tracker.domain.events import DAY_US, codec
from tracker.domain.events.admin import TrackerStarted
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.ledger.account import Ledger
from tracker.ledger.pages import SumsPages
from tracker.ledger.walk import Decryption, Walk
from tracker.ledger.worker import LedgerWorker
from tracker.ports import BookQuery
from tracker.store import book_files, book_rows, checked_segments, snapshots
from tracker.store.book import named, open_newest
from tracker.store.book_rows import EMPTY, History, pair
from tracker.store.checked_segments import CheckedSegments
from tracker.store.replay import replay
from tracker.upkeep import bookkeeping, follower_process, retention
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import Frame
    from tracker.ports import BookRow, LedgerSums

MEMBERS, TORRENTS = 3, 4
QUARTER_US = DAY_US // 4
PRIVATE = Settings(
    private=True, max_peer_timeout=60, inactive_peer_cleanup_interval=10, accounting=2
)


@define
class Site:
    """A private log, and every frame that it ever had."""

    log: Path
    frames: list[Frame] = field(factory=list)
    said: list[dict[str, Any]] = field(factory=list)
    dice: random.Random = field(factory=lambda: random.Random(15))
    time: HandTime = field(factory=HandTime)

    @property
    def keys(self) -> Any:
        return own_keys(self.log)

    def go_on(
        self,
        rounds: int = 30,
        *,
        pruned: bool = False,
        settings: Settings = PRIVATE,
        wall_us: int | None = None,
        days: int = 0,
    ) -> None:
        """Runs a tracker for some rounds of announces, and then for some days; then removes what
        can be removed. `wall_us` sets the clock; None = it is right."""
        log = open_log(
            self.log, codec.RECORD_SIZES, self.keys.tags, segment_bytes=3000, linger_seconds=0
        )
        state = replay(Reader(self.log, to_end=True))
        right_us = max(START_US, self.time.wall, state.time_us + 30 * SECOND)
        self.time.wall = right_us if wall_us is None else wall_us
        rig = Rig(log=log, state=state, time=self.time)  # type: ignore[arg-type]  # a real log
        rig.service._clock = self.time.log_clock(state.time_us)

        async def main() -> None:
            async with running(log):
                self._begin(rig, settings)
                for _ in range(rounds):
                    self._round(rig)
                    await log.wait_durable(log.next_seq - 1)
                if days:  # with few ticks
                    rig.service.change_settings(evolve(settings, tick_ms=QUARTER_US // 1000))
                for _ in range(4 * days):
                    rig.time.advance(QUARTER_US)
                    rig.service.tick()
                await log.wait_durable(log.next_seq - 1)
                self.take()
                if pruned:
                    assert await prune(rig.service, log, 6000)

        trio.run(main)
        self.take()

    def _begin(self, rig: Rig, settings: Settings) -> None:
        first = not rig.state.seq
        rig.service.append(TrackerStarted("test", 1))
        rig.service.change_settings(settings)
        if first:
            for number in range(1, MEMBERS + 1):
                if settings.private:
                    rig.issue(number)

    def _round(self, rig: Rig) -> None:
        dice = self.dice
        rig.time.advance(dice.choice([1, 10, 30, 100]) * SECOND)
        rig.service.tick()
        member = dice.randint(1, MEMBERS)
        moved = dice.randrange(10_000)
        client = 10 * member + dice.choice([0, 0, 1])
        one = Announce(
            hash_of(dice.randint(1, TORRENTS)), endpoint4(member * 10 + dice.randint(0, 1)),
            b"-XX0001-%012d" % client, moved, moved // 2, dice.choice([0, 0, 9]),
            dice.choice([0, 0, 0, 1, 3, 4]), key=key_text(member),
        )  # fmt: skip
        rig.announce(one, evolve(one, uploaded=moved + 500, event=0))
        if dice.random() < 0.1 and rig.state.settings.private:
            rig.correct(member, 700, dice.choice([0, 30]), 1)

    def take(self) -> None:
        """Takes the frames that are new."""
        have = self.frames[-1].header.next_seq if self.frames else 0
        reader = Reader(self.log, to_end=True, keys=self.keys)
        self.frames += [one for one in reader.frames() if one.header.base_seq >= have]

    def follow(self, **limits: float) -> Follower:
        """Catches up with the log, and writes snapshot and book."""
        limits = {"events": 1, "seconds": 0, "pause": 0} | limits
        follower = Follower(self.log, self.log / "secrets", self._say, **limits)  # type: ignore[arg-type]  # numbers
        follower.catch_up()
        return follower

    def _say(self, **message: Any) -> None:
        self.said.append(message)

    def rows(self) -> dict[tuple[int, bytes | None], BookRow]:
        """Returns the rows of the newest book, read by account and by torrent."""
        book = open_newest(self.log, self.keys)
        assert book is not None
        found = [row for account in range(1, MEMBERS + 2) for row in book.of_account(account)]
        by_torrent = [
            row for number in range(TORRENTS + 2) for row in book.of_torrent(hash_of(number))
        ]
        named = [row for row in found if row.info_hash is not None]
        assert sorted(by_torrent, key=repr) == sorted(named, key=repr)
        for row in found:
            assert book.row(row.account, row.info_hash) == row
        hashes = [row.info_hash or b"" for row in book.of_account(1)]
        assert hashes == sorted(hashes)
        for at, info_hash in enumerate(hashes):
            if info_hash:
                rest = [row.info_hash for row in book.of_account(1, info_hash)]
                assert rest == hashes[at + 1 :]
        return {(row.account, row.info_hash): row for row in found}

    def ledger(self, upto: int) -> dict[tuple[int, bytes | None], LedgerSums]:
        """Returns what the ledgers say by account and torrent, without the time that is open in
        the state.
        """
        found: dict[tuple[int, bytes | None], LedgerSums] = {}
        frames = [one for one in self.frames if one.header.base_seq < upto]
        state = replayed(frames)
        for account in range(1, MEMBERS + 1):
            ledger = Ledger(account)
            list(ledger.entries(frames))
            sums = ledger.sums()
            for info_hash, seeding_us, partial_us in state.seeding.open(account, state.time_us):
                sums[info_hash].gain(-seeding_us, -partial_us)
            found |= {(account, info_hash): each.value() for info_hash, each in sums.items()}
        return found

    def check(self) -> None:
        """Compares the book with the ledgers of every frame that there ever was."""
        book = open_newest(self.log, self.keys)
        assert book is not None
        rows, told = self.rows(), self.ledger(book.upto)
        assert rows.keys() == told.keys()
        for name, row in rows.items():
            sums, totals = told[name], told[name].totals
            assert (row.announces, row.corrections) == (sums.announces, sums.corrections)
            assert [row.uploaded, row.downloaded] == [totals.uploaded, totals.downloaded]
            credited = [totals.credited_uploaded, totals.credited_downloaded]
            assert [row.credited_uploaded, row.credited_downloaded] == credited
            assert [row.seeding_us, row.partial_us] == [totals.seeding_us, totals.partial_us]
            assert [row.sessions, row.snatched] == [totals.sessions, totals.snatched]
            assert [row.first_us, row.last_us] == [totals.first_us, totals.last_us]
            assert bool(row.completed_us) == bool(row.snatched)

    def totals(
        self, rows: dict[tuple[int, bytes | None], BookRow], account: int
    ) -> tuple[int, ...]:
        """Returns the sums over an account's rows, in the order of `Totals`."""
        own = [row for name, row in rows.items() if name[0] == account]
        return tuple(sum(getattr(row, one) for row in own) for one in Totals._fields[:7])

    def files(self, *suffixes: str) -> list[Path]:
        folder = self.log / book_files.FOLDER
        return sorted(path for path in folder.iterdir() if path.suffix in suffixes)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 64)
    return Site(tmp_path / "log")


def test_the_book_is_the_ledger(site: Site) -> None:
    """Over restarts of tracker and follower, and removals; the parts stay few."""
    for number in range(6):
        site.go_on(pruned=number in (2, 4))
        site.follow()
        site.check()
        assert len(site.files(".part")) < 10
    assert first_seq(site.log) > 0
    assert len(site.files(".named")) == 1
    assert not [one for one in site.said if {"refused", "unbooked"} & one.keys()]


def test_it_is_made_again_from_what_the_log_names(site: Site) -> None:
    """Without any other file of the book the same one is made, also without a snapshot."""
    for number in range(3):
        site.go_on(pruned=number == 1)
        site.follow()
    expected = site.rows()
    (named,) = site.files(".named")
    parts = book_files.read_list(named, Reader(site.log)._log_id, site.keys).parts
    kept = {named.name, *(part.name for part in parts)}
    for path in site.files(".book", ".part"):
        if path.name not in kept:
            path.unlink()
    for path in snapshots.found(site.log):
        path.unlink()
    site.follow()
    assert site.rows() == expected
    site.check()


def test_a_removal_takes_the_parts(site: Site) -> None:
    """A follower whose last list ended before the log now begins ends, and the next one goes on."""
    site.go_on()
    follower = site.follow(pause=1000)
    (last,) = site.files(".book")
    site.go_on(60)
    follower.catch_up()
    site.go_on(1, pruned=True)
    assert book_files.seq_of(last) < first_seq(site.log) < follower.state.seq
    follower.catch_up()
    follower._book_from = 0.0
    with pytest.raises(LogPrunedError):
        follower.catch_up()
    assert not [one for one in site.said if "unbooked" in one]
    site.follow()
    site.check()


def test_a_log_of_the_version_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first removal makes a book; what had been removed before is in the rows "no torrent"."""
    with monkeypatch.context() as before:
        before.setattr(bookkeeping.Bookkeeper, "name", lambda *_: ("", ""))
        site.go_on(pruned=True)
    gone = first_seq(site.log)
    assert gone
    site.go_on(pruned=True)
    assert site.files(".part")
    site.follow()
    rows, told, before_it = (
        site.rows(),
        site.ledger(site.frames[-1].header.next_seq),
        site.ledger(gone),
    )
    book = open_newest(site.log, site.keys)
    assert book is not None
    assert book.since == gone
    for account in range(1, MEMBERS + 1):
        here = [row for name, row in rows.items() if name[0] == account]
        there = [sums.totals for name, sums in told.items() if name[0] == account]
        for one in ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded",
                    "seeding_us", "partial_us", "sessions", "snatched"):  # fmt: skip
            assert sum(getattr(row, one) for row in here) == sum(getattr(row, one) for row in there)
        none = rows[account, None]
        up = sum(sums.totals.uploaded for name, sums in before_it.items() if name[0] == account)
        assert none.uploaded == up > 0
        assert none.announces == 0


@pytest.mark.parametrize("damage", ["cut", "bit", "list", "gone"])
def test_a_damaged_book_is_made_again(site: Site, damage: str) -> None:
    """With one line; from the list before it, or from the log."""
    for _ in range(2):
        site.go_on()
        site.follow()
    expected = site.rows()
    newest = site.files(".book")[-1]
    part = site.files(".part")[-1]
    if damage == "list":
        newest.write_bytes(newest.read_bytes().replace(b'"upto"', b'"updo"'))
    elif damage == "gone":
        part.unlink()
    else:
        data = bytearray(part.read_bytes())
        data[-1] ^= 1
        part.write_bytes(data[: -1 if damage == "cut" else None])
    site.said.clear()
    site.follow()
    assert site.rows() == expected
    site.check()
    refused = [one["refused"] for one in site.said if "refused" in one]
    assert len(refused) <= 3


@pytest.mark.parametrize("what", ["lists", "parts", "server key"])
def test_a_book_is_made_again_beside_later_lists(
    site: Site, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written several times before it reaches as far as the lists that were passed over."""
    monkeypatch.setattr(follower_process, "_REPORTED_FRAMES", 3)
    monkeypatch.setattr(follower_process, "BOOK_SECONDS", 0.0)
    for _ in range(2):
        site.go_on()
        site.follow()
    expected = site.rows()
    if what == "server key":
        site.keys.tags.change()
    for path in {"lists": site.files(".book"), "parts": site.files(".part")}.get(what, []):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    site.said.clear()
    site.follow()
    assert site.rows() == expected
    assert not [one for one in site.said if "unbooked" in one]
    assert len(site.files(".book", ".part")) < 10


@pytest.mark.parametrize(("damage", "error"), [("cut", OSError), ("gone", LogPrunedError)])
def test_a_part_that_is_damaged_meanwhile(site: Site, damage: str, error: type[Exception]) -> None:
    """The follower ends, because only its next start can make the book again."""
    site.go_on()
    follower = site.follow()
    site.go_on()
    for path in site.files(".part"):
        path.unlink()
        if damage == "cut":
            path.touch()
    with pytest.raises(error, match=r"the book cannot be written|were removed"):
        follower.catch_up()
    site.follow()
    site.check()


@pytest.mark.parametrize("opening", [False, True])
def test_a_removal_that_holds_the_folder(
    site: Site, opening: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower begins all the same, holds few rows, and writes no snapshot beyond the book.
    Afterwards it goes on."""
    if opening:
        with monkeypatch.context() as before:
            before.setattr(bookkeeping.Bookkeeper, "name", lambda *_: ("", ""))
            site.go_on(pruned=True)
    monkeypatch.setattr(bookkeeping, "MOST_ROWS", 2)
    site.go_on(10)
    there = snapshots.found(site.log)
    with book_files.locked(site.log):
        follower = site.follow()
        for _ in range(3):
            site.go_on(10)
            follower.catch_up()
            assert len(follower._keeper._booking) <= 4 * 2 + 3
        stopped = follower.state.seq
        assert stopped < site.frames[-1].header.next_seq
        assert site.said[-1] == {"seq": stopped}
        assert (site.files(".book"), snapshots.found(site.log)) == ([], there)
    follower.catch_up()
    assert follower.state.seq == site.frames[-1].header.next_seq
    assert seq_of_newest(site) == snapshots.seq_of(snapshots.found(site.log)[-1])
    assert not [one for one in site.said if "unbooked" in one]
    if not opening:
        site.check()
    rows, state = site.rows(), replayed(site.frames)
    for account in range(1, MEMBERS + 1):
        assert site.totals(rows, account) == state.accounts.totals(account)[:7]


def seq_of_newest(site: Site) -> int:
    return max(map(book_files.seq_of, site.files(".book")))


@pytest.mark.parametrize("damage", ["list", "part"])
def test_a_damaged_book_that_the_log_names(site: Site, damage: str) -> None:
    """Nothing is made in its place, because what was removed is in no other file."""
    site.go_on()
    site.follow()
    site.go_on(pruned=True)
    (named,) = site.files(".named")
    for path in site.files(".book"):
        path.unlink()
    parts = book_files.read_list(named, Reader(site.log)._log_id, site.keys).parts
    path = named if damage == "list" else named.with_name(parts[0].name)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogCorruptError, match="restore the file"):
        site.follow()


def test_a_start_reads_only_parts_that_were_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_segments, "REST_NS", 0)
    site.go_on()
    site.follow()
    site.go_on(pruned=True)
    state = replay(Reader(site.log, to_end=True))

    def start() -> int:
        """Returns how many parts were read."""
        book_files._checked.clear()
        checked = CheckedSegments(site.log, site.keys)
        listed = named(site.log, state, site.keys, checked)
        checked.save()
        assert listed is not None
        return len(book_files._checked)

    (first, *_), whole = site.files(".named"), start()
    assert (start(), whole > 0) == (0, True)
    part = book_files.read_list(first, Reader(site.log)._log_id, site.keys).parts[0]
    path = first.with_name(part.name)
    path.chmod(0o640)
    assert (start(), start()) == (1, 0)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(LogCorruptError, match="restore the file"):
            start()
    path.unlink()
    with pytest.raises(LogCorruptError, match="is missing"):
        start()


def test_a_forged_book_is_seen_without_secrets(site: Site) -> None:
    """The log names its SHA-256, which a reader without the secrets can check."""
    site.go_on()
    site.follow()
    site.go_on(pruned=True)
    rows = list(Walk(site.log, Decryption(site.log, None)).tell(Ledger(1)))
    assert rows == list(Walk(site.log, Decryption(site.log, site.keys)).tell(Ledger(1)))
    (named,) = site.files(".named")
    part = book_files.read_list(named, Reader(site.log)._log_id, site.keys).parts[0]
    data = bytearray(named.with_name(part.name).read_bytes())
    data[32 + 44] ^= 1  # of the bytes uploaded of the first row
    named.with_name(part.name).write_bytes(data)
    said = named.read_bytes().replace(part.sha256.encode(), sha256(data).hexdigest().encode())
    named.write_bytes(said)
    with pytest.raises(LogCorruptError, match="not the book that the log vouches for"):
        list(Walk(site.log, Decryption(site.log, None)).tell(Ledger(1)))


@pytest.mark.parametrize("step", range(1, 15))
def test_a_kill_at_any_step_of_writing(
    site: Site, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves a usable book, and the next one is the same as without the kill."""
    monkeypatch.setattr(book_files, "GROWTH", 10**9)
    site.go_on()
    site.follow()
    site.go_on()
    left = [step]

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as killing:
        for name in ("create_file", "write_all", "sync_directory", "write_new"):
            killing.setattr(book_files, name, counted(getattr(book_files, name)))
        killing.setattr(type(site.log), "unlink", counted(type(site.log).unlink))
        with suppress(KeyboardInterrupt):
            site.follow()
    site.follow()
    site.check()
    assert len(site.files(".part")) <= 2 * book_files.KEPT
    monkeypatch.undo()


def test_public_modes_have_no_book(site: Site) -> None:
    site.go_on(settings=Settings())
    site.follow()
    assert not (site.log / "book").exists()
    site.go_on(settings=Settings(), pruned=True)
    site.follow()
    assert not (site.log / "book").exists() or not site.files(".named", ".book", ".part")


def limited(history_days: int) -> Settings:
    return evolve(PRIVATE, policy=Policy(history_days=history_days))


def torrents(site: Site) -> dict[tuple[int, bytes | None], BookRow]:
    """Returns the newest book's rows but for those "no torrent"."""
    return {name: row for name, row in site.rows().items() if name[1]}


def made_again(site: Site) -> dict[tuple[int, bytes | None], BookRow]:
    """Returns the rows of a book that is made again from what the log names, to the same event."""
    newest = open_newest(site.log, site.keys)
    assert newest is not None
    for path in (*site.files(".book"), *snapshots.found(site.log)):
        path.unlink()
    site.follow()
    again = open_newest(site.log, site.keys)
    assert again is not None
    assert again.upto == newest.upto
    assert again.listed.facts == newest.listed.facts
    return site.rows()


@pytest.mark.parametrize(
    "seed", [0, 2, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(3, 10))]
)
def test_a_history_does_not_depend_on_the_files(
    site: Site, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on when old rows are removed, over wrong clocks, outages and changes of the setting."""
    dice = site.dice
    dice.seed(seed)
    for number in range(14):
        monkeypatch.setattr(book_files, "GROWTH", dice.choice([0, 3, 10**9]))
        monkeypatch.setattr(book_files, "MOST_DROPPED", dice.choice([0, 1, 500_000]))
        wrong = dice.choice([None, None, None, START_US + 9000 * DAY_US, 1_000_000])
        settings = limited(dice.choice([2, 2, 30, 0]))
        rounds, days = dice.choice([1, 4, 9]), dice.choice([0, 1, 3])
        site.go_on(rounds, settings=settings, wall_us=wrong, days=days, pruned=number == 5)
        if wrong is not None:
            site.time.wall = START_US + 40 * number * DAY_US
        site.time.wall += dice.choice([0, DAY_US, 9 * DAY_US])
        if number % 4 or number == 13:
            site.follow()
    rows, state = site.rows(), replayed(site.frames)
    for account in range(1, MEMBERS + 1):
        assert site.totals(rows, account) == state.accounts.totals(account)[:7]
    assert made_again(site) == rows


def test_a_history_that_ends(site: Site) -> None:
    """Rows do not show after `history_days`, and are removed some days later; until then they go
    on with the next announce. The totals of accounts stay."""
    site.go_on(settings=limited(9))
    site.follow()
    old = torrents(site)
    site.go_on(0, settings=limited(9), days=10)
    site.follow()
    assert not torrents(site)
    site.go_on(3, settings=limited(9))  # not yet
    site.follow()
    again = torrents(site)
    assert 0 < len(again) <= 3
    assert all(row.announces > old[name].announces for name, row in again.items() if name in old)
    kept = sum(part.rows for part in _parts(site))
    site.go_on(0, settings=limited(9), days=5)
    site.follow()
    assert torrents(site).keys() == again.keys()
    assert sum(part.pairs for part in _parts(site)) == len(again) < kept
    site.go_on(0, settings=limited(9), days=15)
    site.go_on(6, settings=limited(9))
    site.follow()
    rows = site.rows()
    anew = {name: row for name, row in rows.items() if name[1]}
    assert sum(row.announces for row in anew.values()) == 2 * 6
    for account in range(1, MEMBERS + 1):
        totals = replayed(site.frames).accounts.totals(account)
        assert site.totals(rows, account) == totals[:7]


def _parts(site: Site) -> tuple[book_files.Part, ...]:
    newest = open_newest(site.log, site.keys)
    assert newest is not None
    return newest.listed.parts


@pytest.mark.parametrize("days", [0, 3])
@pytest.mark.parametrize("wrong_us", [START_US + 1000 * DAY_US, 1_000_000])
def test_a_history_under_a_wrong_clock(site: Site, wrong_us: int, days: int) -> None:
    """A clock that was ahead for less than a day, or was behind, ends no row: not when an account
    announces meanwhile, and not afterwards. One that is ahead for longer ends old rows for good.
    """
    settings = limited(200)
    site.go_on(settings=settings, days=3)
    site.follow()
    before = torrents(site)
    site.go_on(6, settings=settings, wall_us=wrong_us)
    site.follow()
    meanwhile = {name for name, row in torrents(site).items() if row != before.get(name)}
    assert meanwhile
    assert meanwhile == torrents(site).keys() or wrong_us < START_US
    site.go_on(0, settings=settings, wall_us=site.time.wall, days=days)
    site.go_on(6, settings=settings, wall_us=START_US + 9 * DAY_US, days=3)
    site.follow()
    rows = torrents(site)
    if days and wrong_us > START_US:
        told = site.ledger(site.frames[-1].header.next_seq)
        ended = {
            name
            for name in before
            if name not in rows or rows[name].announces < told[name].announces
        }
        assert ended == before.keys() - meanwhile
    else:
        site.check()
    assert made_again(site) == site.rows()


def test_a_removal_under_a_wrong_clock(site: Site) -> None:
    """What is hidden meanwhile is in its torrent for later ledgers."""
    settings = limited(200)
    site.go_on(settings=settings)
    site.follow()
    before = torrents(site)
    site.go_on(6, settings=settings, wall_us=START_US + 1000 * DAY_US)
    site.follow()
    assert len(torrents(site)) < len(before)
    ahead = seq_of_newest(site)
    site.go_on(9, settings=settings, wall_us=site.time.wall, pruned=True)
    assert first_seq(site.log) > ahead
    site.go_on(1, settings=settings, wall_us=START_US + 2 * DAY_US)
    told = [
        (account, row.info_hash)
        for account in range(1, MEMBERS + 1)
        for row in SumsPages(site.log, account, Decryption(site.log, site.keys)).rows(None)[0]
    ]
    assert before.keys() <= set(told)
    site.follow()
    site.check()


def test_after_an_outage_who_announces_first_goes_on(site: Site) -> None:
    """His rows are not old, though the outage counts a day later; the others have ended."""
    site.go_on(settings=limited(30), days=3)
    site.follow()
    site.time.wall += 300 * DAY_US
    site.go_on(4, settings=limited(30))
    site.go_on(0, settings=limited(30), days=4)
    site.follow()
    rows = torrents(site)
    told = site.ledger(site.frames[-1].header.next_seq)
    assert 0 < len(rows) < len([name for name in told if name[1]])
    assert all(row.announces == told[name].announces for name, row in rows.items())


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_without_room_for_the_whole_book(
    site: Site, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old rows stay there for another day, and do not show; the book goes on."""
    site.go_on(settings=limited(2))
    site.follow()
    follower = site.follow()

    def full(*_: Any) -> Any:
        raise OSError(error, "a test")

    with monkeypatch.context() as crowded:
        crowded.setattr(book_files, "without_old", full)
        for _ in range(2):
            site.go_on(2, settings=limited(2), days=3)
            follower.catch_up()
            upto = site.frames[-1].header.next_seq
            assert [path for path in site.files(".book") if book_files.seq_of(path) == upto]
            assert len(torrents(site)) < sum(part.pairs for part in _parts(site))
    assert [one["crowded"] for one in site.said if "crowded" in one] == [f"[Errno {error}] a test"]
    rows = site.rows()
    site.go_on(0, settings=limited(2), days=1)
    follower.catch_up()
    assert site.said[-1] == {"crowded": ""} or {"crowded": ""} in site.said
    assert sum(part.pairs for part in _parts(site)) <= len(rows)


def test_the_last_client_and_the_completion(site: Site) -> None:
    site.go_on(60)
    site.follow()
    rows = site.rows()
    assert {row.client for name, row in rows.items() if name[1]} == {1}
    done = [row for row in rows.values() if row.completed_us]
    assert done
    assert all(row.first_us <= row.completed_us <= row.last_us for row in done)  # type: ignore[operator]


def test_a_disk_that_is_full_in_the_middle_of_a_merge(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended in that merge is still in the older part, and must not be counted again."""
    site.go_on(3)
    history, write = History(0), book_files.write_part

    def noted(day: int) -> tuple[bytes, bytes]:
        row = EMPTY._replace(announces=1, cut=day - 1, day=day)
        return book_rows.pack(book_rows.name(1, hash_of(1)), row), pair(hash_of(1), 1)

    def full(log: Path, seq: int, rows: Any, pairs: Any, most: int, spare: int) -> Any:
        if most == 2:
            assert len(list(rows)) == 1
            raise OSError(errno.ENOSPC, "a test")
        return write(log, seq, rows, pairs, most, spare)

    with book_files.locked(site.log):
        old = book_files.with_rows(site.log, 1, (), noted(1), history, 0)
        monkeypatch.setattr(book_files, "write_part", full)
        parts = book_files.with_rows(site.log, 2, old, noted(3), history, 0)
    assert [part.rows for part in parts] == [1, 1]
    assert not history.ended


@pytest.mark.parametrize("of", [1, hash_of(1)])
def test_pages_go_on_while_the_book_is_replaced(site: Site, of: int | bytes) -> None:
    """Each row of the first page's book comes once, in order, whatever happened to the files: newer
    lists, merges, a removal, and no list at all. A book that is open is read to its end."""
    site.go_on(60)
    site.follow()
    opened = open_newest(site.log, site.keys)
    assert opened is not None
    if isinstance(of, bytes):
        open_rows, expected = opened.of_torrent(of), list(opened.of_torrent(of))
    else:
        open_rows, expected = opened.of_account(of), list(opened.of_account(of))
    assert len(expected) >= 3
    worker, found, query = LedgerWorker(site.log, site.log / "secrets"), [], BookQuery(limit=1)
    read = [next(open_rows)]
    for step in range(10):
        ask = worker.torrent_rows if isinstance(of, bytes) else worker.account_rows
        page = ask(of, None, query, True)  # type: ignore[arg-type]  # the right one of the two
        found += page.rows
        if page.following is None:
            break
        query = evolve(query, after=page.following)
        site.go_on(10, pruned=step == 1)
        if step < 2:
            site.follow()
        else:
            for path in site.files(".book"):
                path.unlink()
    names = [(row.account, row.info_hash) for row in found]
    assert {(row.account, row.info_hash) for row in expected} <= set(names)
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda name: (name[0], name[1] or b""))
    assert read + list(open_rows) == expected
