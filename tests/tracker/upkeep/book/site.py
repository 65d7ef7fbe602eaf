"""A tracker in private mode, and the book that its follower keeps, for tests."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import trio
from attrs import define, evolve, field

from eventlog import Reader, open_log
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
from tracker.domain.settings import Settings
from tracker.ledger.account import Ledger
from tracker.store import book_files, frames, snapshots
from tracker.store.book import open_newest
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from collections.abc import Callable
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
        speak: Callable[[Rig], None] = lambda _rig: None,
    ) -> None:
        """Runs a tracker for some rounds of announces, and then for some days; then removes what
        can be removed. `wall_us` sets the clock; None = it is right. `speak`: what happens after
        the rounds."""
        log = open_log(
            self.log, codec.RECORD_SIZES, self.keys.tags, segment_bytes=3000, linger_seconds=0,
            encryptor=self.keys,
        )  # fmt: skip
        state, reader = snapshots.start(self.log, self.keys, to_end=True)
        for frame in reader.frames():
            frames.apply(state, frame)
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
                speak(rig)
                if days:  # with few ticks
                    rig.service.change_settings(evolve(settings, tick_ms=QUARTER_US // 1000))
                for _ in range(4 * days):
                    rig.time.advance(QUARTER_US)
                    rig.service.tick()
                await log.wait_durable(log.next_seq - 1)
                self.take()
                if pruned:
                    assert await prune(rig.service, log, 6000, after_each=self.take)

        trio.run(main)
        self.take()
        if pruned:  # as a stop does, because the opening has no peer ids
            snapshots.write(self.log, state, self.keys)

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


def seq_of_newest(site: Site) -> int:
    return max(map(book_files.seq_of, site.files(".book")))
