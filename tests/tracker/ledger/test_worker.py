"""The worker serves ledgers and sums page by page, at any moment. Each page continues the one
before."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trio
from attrs import evolve

from eventlog import Reader, first_seq, open_log
from tests.eventlog.logs import running
from tests.support import (
    SECOND,
    Announce,
    Rig,
    StillLog,
    endpoint4,
    endpoint6,
    hash_of,
    key_text,
    keys_of,
    own_keys,
)
from tests.tracker.logged import write_log
from tests.tracker.pruned import prune
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.settings import Settings
from tracker.ledger import client
from tracker.ledger import pages as ledger_pages
from tracker.ledger.account import Ledger
from tracker.ledger.client import LogLedgers
from tracker.ledger.torrent import Contributions
from tracker.ledger.walk import Decryption, Walk
from tracker.ledger.worker import LedgerWorker
from tracker.ports import (
    BookPage,
    BookQuery,
    BookRow,
    BusyError,
    EntriesPage,
    LedgerAnnounce,
    LedgerOpening,
    Moment,
    NoMomentError,
    PrunedMomentError,
    SumsPage,
)
from tracker.workers import question_pipe
from tracker.workers.question_pipe import Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from tracker.ports import LedgerEntry, LedgerSums

HASHES = [hash_of(number) for number in range(3)]


def write_history(rig: Rig, announces: int = 300) -> Iterator[None]:
    """Writes announces of two accounts with three keys and two addresses, with factors and
    corrections, in three torrents."""
    rng = random.Random(7)
    rig.service.change_settings(Settings(private=True, max_peer_timeout=60))
    for number, owner in ((1, "alice"), (2, None), (3, "alice")):
        rig.issue(number, owner=owner)
    kinds = [events.NONE] * 6 + [events.STARTED, events.STOPPED, events.COMPLETED]
    for number in range(announces):
        rig.time.advance(rng.randrange(9 * SECOND))
        key = rng.randrange(1, 4)
        place = (endpoint4 if rng.random() < 0.7 else endpoint6)(key % 2 + 1)
        counters = {
            "uploaded": number * rng.randrange(9),
            "downloaded": number,
            "left": rng.choice([0, 5]),
        }
        peer_id = b"-XX0001.%012d" % (key % 2)
        rig.announce(
            Announce(
                rng.choice(HASHES),
                place,
                peer_id,
                event=rng.choice(kinds),
                key=key_text(key),
                **counters,
            )
        )
        if number % 70 == 35:
            rig.set_factor(upload_percent=150 + number, info_hash=rng.choice(HASHES))
        if number % 40 == 20:
            rig.correct(
                rng.choice([1, 2]),
                rng.randrange(50),
                rng.randrange(50),
                rig.state.seq - rng.randrange(1, 9),
            )
            rig.correct(2, 1, -1 if rig.totals(2).credited_downloaded else 0, rig.state.seq - 1)
        if number % 25 == 0:
            rig.service.tick()
            yield
    yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ledgers") / "log"
    write_log(made, write_history, segment_bytes=4000)
    return made


class Entries(NamedTuple):
    """The arguments of `LedgerWorker.entries`."""

    account: int
    info_hash: bytes | None = None
    moment: Moment | None = None
    after: int = -1
    limit: int = 1000


def whole_ledger(
    folder: Path, account: int, end: int | None = None
) -> tuple[list[LedgerEntry], Ledger]:
    """Reads the ledger in one walk."""
    ledger = Ledger(account)
    walk = Walk(folder, Decryption(folder, None))
    return list(walk.tell(ledger, end)), ledger


def ask(worker: LedgerWorker, asked: Entries) -> EntriesPage:
    page = worker.answer(Question("entries", asked))
    assert isinstance(page, EntriesPage), page
    return page


def ask_sums(
    worker: LedgerWorker,
    of: int | bytes,
    moment: Moment | None = None,
    after: Any = None,
    limit: int = 100,
) -> SumsPage:
    method = "torrent_totals" if isinstance(of, bytes) else "account_totals"
    page = worker.answer(Question(method, (of, moment, after, limit)))
    assert isinstance(page, SumsPage), page
    return page


def ask_rows(worker: LedgerWorker, of: int | bytes, moment: Moment | None = None) -> BookPage:
    method = "torrent_rows" if isinstance(of, bytes) else "account_rows"
    page = worker.answer(Question(method, (of, moment, BookQuery(limit=100), True)))
    assert isinstance(page, BookPage), page
    return page


def pages(worker: LedgerWorker, asked: Entries) -> tuple[list[LedgerEntry], LedgerSums, int]:
    """Returns all entries, the sums, and the number of pages. It reads every page twice."""
    found: list[LedgerEntry] = []
    for number in count(1):
        page = ask(worker, asked)
        assert page == ask(worker, asked)
        found += page.entries
        if page.following is None:
            assert page.sums is not None
            return found, page.sums, number
        assert page.sums is None
        assert page.following > asked.after
        asked = asked._replace(after=page.following)
    raise AssertionError


def of_torrent(entry: LedgerEntry, info_hash: bytes) -> bool:
    return not isinstance(entry, LedgerOpening) and entry.info_hash == info_hash


def peer_id_sizes(entries: Iterable[LedgerEntry]) -> set[int]:
    return {len(one.peer_id) for one in entries if isinstance(one, LedgerAnnounce)}


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of the walks that the worker began."""
    begun: list[Path] = []

    class Counted(Walk):
        def __init__(self, folder: Path, *rest: Any) -> None:
            begun.append(folder)
            super().__init__(folder, *rest)

    monkeypatch.setattr(ledger_pages, "Walk", Counted)
    return begun


@pytest.mark.parametrize("account", [1, 2, 3])
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages(folder: Path, walks: list[Path], account: int, limit: int) -> None:
    """All pages together are the whole ledger, and take one walk over the log."""
    entries, ledger = whole_ledger(folder, account)
    assert len(entries) > 80 or account == 3  # key 3 is alice's second, so account 3 has no entries
    found = pages(LedgerWorker(folder, None), Entries(account, limit=limit))
    assert found[:2] == (entries, ledger.account.value())
    assert len(walks) == 1


def test_pages_of_a_torrent(folder: Path) -> None:
    """With an info hash the pages hold the entries and sums of that torrent only."""
    entries, ledger = whole_ledger(folder, 1)
    for info_hash in HASHES:
        found = pages(LedgerWorker(folder, None), Entries(1, info_hash, None, -1, 9))
        assert found[0] == [one for one in entries if of_torrent(one, info_hash)]
        assert found[1] == ledger.torrents[info_hash].value()


def test_pages_at_a_moment(folder: Path, walks: list[Path]) -> None:
    """A ledger at a moment ends with that event. A moment beyond the end of the log is refused."""
    worker = LedgerWorker(folder, None)
    last = whole_ledger(folder, 1)[0][-1].seq
    for seq in range(3, last, 37):
        entries, ledger = whole_ledger(folder, 1, seq + 1)
        found = pages(worker, Entries(1, None, Moment(seq=seq), -1, 50))
        assert found[:2] == (entries, ledger.account.value())
        assert all(one.seq <= seq for one in entries)
    assert len(walks) == len(range(3, last, 37))
    beyond = worker.answer(Question("entries", Entries(1, moment=Moment(seq=10**6))))
    assert isinstance(beyond, NoMomentError)


def test_short_pages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose time is over is short or empty, and the next one continues."""
    monkeypatch.setattr(ledger_pages, "PAGE_SECONDS", -1.0)
    entries, ledger = whole_ledger(folder, 2)
    found = pages(LedgerWorker(folder, None), Entries(2, limit=1000))
    assert found[:2] == (entries, ledger.account.value())
    assert found[2] > 20


def test_earlier_pages_again(folder: Path) -> None:
    """An earlier page comes out the same again, also from a worker without any walk."""
    worker = LedgerWorker(folder, None)
    asked = Entries(1, limit=10)
    first = ask(worker, asked)
    second = ask(worker, asked._replace(after=first.following or 0))
    third = ask(worker, asked._replace(after=second.following or 0))
    assert ask(worker, asked) == first
    for each in (worker, LedgerWorker(folder, None)):
        assert ask(each, asked._replace(after=second.following or 0)) == third


@pytest.mark.parametrize("end", [None, 60, 200])
def test_sums(folder: Path, end: int | None) -> None:
    """Sums by torrent equal the account's ledger, and sums by account are the same numbers, at any
    moment."""
    worker = LedgerWorker(folder, None)
    moment = None if end is None else Moment(seq=end - 1)
    last = 0
    by_torrent: dict[tuple[int, bytes], LedgerSums] = {}
    for account in (1, 2):
        ledger = whole_ledger(folder, account, end)[1]
        page = ask_sums(worker, account, moment)
        names = sorted(ledger.torrents, key=lambda name: name or b"")
        assert page.rows == [(name, ledger.torrents[name].value()) for name in names]
        by_torrent |= {(account, name): sums for name, sums in page.rows if isinstance(name, bytes)}
        last = page.seq
        assert (page.first_seq, page.following) == (0, None)
        assert end is None or last == end - 1
    for info_hash in HASHES:
        for account, sums in ask_sums(worker, info_hash, moment).rows:
            assert isinstance(account, int)
            assert sums == by_torrent.pop((account, info_hash))
    assert by_torrent == {}
    assert ask_sums(worker, hash_of(9), moment) == SumsPage([], None, 0, last)


def test_pages_of_sums(folder: Path, walks: list[Path]) -> None:
    """A page begins after a name. One walk serves all pages, and continues to later moments."""
    worker = LedgerWorker(folder, None)
    at = Moment(seq=100)
    for of in (1, HASHES[0]):
        every = ask_sums(worker, of, at).rows
        found: list[Any] = []
        after = None
        while True:
            page = ask_sums(worker, of, at, after, 1)
            found += page.rows
            if page.following is None:
                break
            after = page.following
        assert found == every
        ask_sums(worker, of)
    assert len(walks) == 2
    ask_sums(worker, 1, at, None, 1)
    assert len(walks) == 3


@pytest.mark.parametrize("end", [60, 200, None])
def test_rows_of_the_book(folder: Path, end: int | None) -> None:
    """Without a book the rows come from the log: those of an account sum up to its totals, with all
    corrections in the row without a torrent, and those of the torrents are the same rows."""
    worker = LedgerWorker(folder, None)
    moment = None if end is None else Moment(seq=end - 1)
    found: dict[bytes | None, list[BookRow]] = {}
    for account in (1, 2):
        ledger = whole_ledger(folder, account, end)[1]
        page = ask_rows(worker, account, moment)
        assert page.following is None
        assert page.seq == (ask_sums(worker, account, moment).seq if end is None else end - 1)
        totals = ledger.whole().value()
        for name in (
            "uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "seeding_us",
            "partial_us", "snatched", "sessions",
        ):  # fmt: skip
            assert sum(getattr(row, name) for row in page.rows) == getattr(totals.totals, name)
        assert sum(row.announces for row in page.rows) == totals.announces
        assert [row.corrections for row in page.rows if row.info_hash] == [0] * len(HASHES)
        assert sum(row.corrections for row in page.rows) == totals.corrections
        for row in page.rows:
            found.setdefault(row.info_hash, []).append(row)
            announces = [
                one
                for one in whole_ledger(folder, account, end)[0]
                if isinstance(one, LedgerAnnounce) and one.info_hash == row.info_hash
            ]
            if announces:
                assert (row.first_us, row.last_us) == (announces[0].time_us, announces[-1].time_us)
                assert row.client == (announces[-1].client and announces[-1].client.number)
                assert (row.completed_us is None) is (row.snatched == 0)
                assert row.completed_us in (None, *(one.time_us for one in announces))
    for info_hash in HASHES:
        assert ask_rows(worker, info_hash, moment).rows == found.pop(info_hash, [])
    assert all(row.info_hash is None for rows in found.values() for row in rows)


def test_new_events_reach_an_open_ledger(tmp_path: Path) -> None:
    """New events reach a ledger and sums that were read before."""
    write_log(tmp_path / "log", lambda rig: write_history(rig, 60))
    worker = LedgerWorker(tmp_path / "log", None)
    asked = Entries(1)
    before, first = pages(worker, asked)[0], ask_sums(worker, 1)

    def more(rig: Rig) -> Iterator[None]:
        rig.announce(Announce(HASHES[0], endpoint4(1), key=key_text(1), uploaded=5, left=0))
        yield

    write_log(tmp_path / "log", more)
    page = ask(worker, asked._replace(after=before[-1].seq))
    (entry,) = page.entries
    assert of_torrent(entry, HASHES[0])
    assert page.following is None
    then = ask_sums(worker, 1)
    assert then.seq > first.seq
    announces = [one for one in before if isinstance(one, LedgerAnnounce)]
    assert sum(sums.announces for _, sums in then.rows) == len(announces) + 1


def test_peer_ids_are_cut_once_their_key_is_shredded(tmp_path: Path) -> None:
    """Peer ids are whole while the day's key exists and are cut after it is shredded, in cached
    pages too."""
    keys = keys_of(tmp_path / "secrets")
    log = open_log(
        tmp_path / "log", codec.RECORD_SIZES, keys.tags, linger_seconds=0, encryptor=keys
    )
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            for _ in write_history(rig, 20):
                await log.wait_durable(log.next_seq - 1)

    trio.run(main)
    worker = LedgerWorker(tmp_path / "log", tmp_path / "secrets")
    asked = Entries(1)
    assert peer_id_sizes(ask(worker, asked).entries) == {20}
    cut = asked._replace(moment=Moment(seq=rig.state.seq - 2))
    assert peer_id_sizes(ask(worker, cut).entries) == {20}
    for day in keys.days():
        keys.destroy(day)
    assert peer_id_sizes(ask(worker, asked).entries) == {8}


def test_a_ledger_outlives_a_removal_while_its_file_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that was begun before a removal continues while its file can be read, and is then
    refused.

    The sums of the remaining events agree by torrent and by account."""
    monkeypatch.setattr("eventlog.log.WATERMARK_SECONDS", 0.001)
    folder = tmp_path / "log"
    log = open_log(
        folder, codec.RECORD_SIZES, own_keys(folder).tags, segment_bytes=3000, linger_seconds=0
    )
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            for _ in write_history(rig):
                await log.wait_durable(log.next_seq - 1)
            rig.service.change_settings(evolve(rig.state.settings, max_peer_timeout=30))
            rig.time.advance(600 * SECOND)
            for _ in range(70):  # all peers expire, so no old event is needed
                rig.service.tick()
                rig.time.advance(10 * SECOND)
            rig.announce(Announce(HASHES[0], endpoint4(1), key=key_text(1), uploaded=5, left=0))
            await log.wait_durable(log.next_seq - 1)
            both = LedgerWorker(folder, None), LedgerWorker(folder, None)
            asked = Entries(1, limit=9)
            page = ask(both[0], asked)
            ask(both[1], asked._replace(limit=1000))
            assert await prune(rig.service, log)
            begin = first_seq(folder)
            assert begin > (page.following or 0)
            gone: object = page
            while isinstance(gone, EntriesPage):  # the worker still reads its open file
                page = gone
                gone = both[0].answer(
                    Question("entries", asked._replace(after=page.following or 0))
                )
            assert isinstance(gone, PrunedMomentError)
            assert gone.first_seq == begin
            # The second worker had read the whole ledger before.
            assert ask(both[1], asked._replace(limit=1000)).following is None
            for info_hash in (None, HASHES[1]):
                fresh = LedgerWorker(folder, None)
                behind = fresh.answer(Question("entries", (1, info_hash, None, page.following, 9)))
                assert isinstance(behind, PrunedMomentError)
            found, totals, _ = pages(both[0], asked._replace(limit=1))
            assert (found, totals) == ((w := whole_ledger(folder, 1))[0], w[1].account.value())
            assert any(isinstance(one, LedgerOpening) for one in found)

    trio.run(main)
    for info_hash in HASHES:
        book = Contributions(info_hash)
        list(Walk(folder, Decryption(folder, None)).tell(book))
        for account in (1, 2):
            torrents = whole_ledger(folder, account)[1].torrents
            assert book.sums().get(account) == torrents.get(info_hash)
    early = LedgerWorker(folder, None).answer(
        Question("account_totals", (1, Moment(seq=0), None, 5))
    )
    assert isinstance(early, PrunedMomentError)
    assert Reader(folder).first_seq > 0


# The worker's process.


@asynccontextmanager
async def asking(reads: LogLedgers) -> AsyncIterator[None]:
    """Runs the process, and bounds the time of what is asked."""
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads.run)
            yield
            nursery.cancel_scope.cancel()


async def test_many_questions_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten questions get ten answers: they wait for their turn, up to a number of them."""
    reads = LogLedgers(StillLog(folder), None)
    rows = []

    async def ask(account: int) -> None:
        rows.append((await reads.account_totals(account, None, None, 5)).rows)

    async with asking(reads):
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(ask, 1 + number % 2)
        assert len(rows) == 10
        assert all(rows)
        monkeypatch.setattr(client, "MAX_ASKING", 1)
        with pytest.RaisesGroup(pytest.RaisesExc(BusyError, match="too many")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, 1)
                nursery.start_soon(ask, 1)


async def test_an_idle_process_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle process ends after a rest, and the next question starts another one."""
    for name in ("IDLE_SECONDS", "REST_SECONDS"):
        monkeypatch.setattr(question_pipe, name, 0.1)
    reads = LogLedgers(StillLog(folder), None)
    async with asking(reads):
        with pytest.raises(NoMomentError):
            await reads.account_totals(1, Moment(seq=10**6), None, 5)
        while reads._helper.runs:
            await trio.lowlevel.checkpoint()
        assert (await reads.account_totals(1, None, None, 5)).rows
    assert not reads._helper.runs


async def test_a_late_answer_comes_when_the_question_is_repeated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question is refused, because its answer takes too long."""
    reads = LogLedgers(StillLog(folder), None)
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.0)
    async with asking(reads):
        with pytest.raises(BusyError, match="still being read"):
            await reads.account_totals(1, None, None, 5)
        monkeypatch.setattr(client, "ANSWER_SECONDS", 60.0)
        assert (await reads.account_totals(1, None, None, 5)).rows
