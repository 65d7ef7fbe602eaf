"""Ledgers page by page, sums by torrent and by account: at any moment, each page from where the one before it ended."""

from __future__ import annotations

import json
import random
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import evolve

from eventlog import Reader, first_seq, open_log
from tests.eventlog.logs import running
from tests.support import SECOND, Announce, Rig, endpoint4, endpoint6, hash_of, key_text
from tests.tracker.logged import write_log
from tests.tracker.pruned import prune
from tracker.domain import codec, events
from tracker.domain.settings import Settings
from tracker.ledger import client
from tracker.ledger import worker as ledger_worker
from tracker.ledger.account import Ledger
from tracker.ledger.client import LedgerReads
from tracker.ledger.pages import EntriesAsked, SumsAsked, entry_shown, sums_shown
from tracker.ledger.torrent import Contributions
from tracker.ledger.walk import Walk, decryptor
from tracker.ledger.worker import Worker
from tracker.ports import BusyError, Moment, NoMomentError, PrunedMomentError
from tracker.store.address_keys import Keyring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASHES = [hash_of(number) for number in range(3)]


def lively(rig: Rig, announces: int = 300) -> Iterator[None]:
    """Two accounts with three keys, two addresses, factors and corrections, in three torrents."""
    rng = random.Random(7)
    rig.service.change_settings(Settings(private=True, max_peer_timeout=60))
    for number, owner in ((1, "alice"), (2, None), (3, "alice")):
        rig.issue(number, owner=owner)
    kinds = [events.NONE] * 6 + [events.STARTED, events.STOPPED, events.COMPLETED]
    for number in range(announces):
        rig.time.advance(rng.randrange(9 * SECOND))
        key = rng.randrange(1, 4)
        place = (endpoint4 if rng.random() < 0.7 else endpoint6)(key % 2 + 1)
        said = {
            "uploaded": number * rng.randrange(9),
            "downloaded": number,
            "left": rng.choice([0, 5]),
        }
        peer_id = b"-XX0001-%012d" % (key % 2)
        rig.announce(
            Announce(
                rng.choice(HASHES),
                place,
                peer_id,
                event=rng.choice(kinds),
                key=key_text(key),
                **said,
            )
        )
        if number % 70 == 35:
            rig.set_factor(upload_percent=150 + number, info_hash=rng.choice(HASHES).hex())
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
    write_log(made, lively, segment_bytes=4000)
    return made


def whole(
    folder: Path, account: int, end: int | None = None
) -> tuple[list[dict[str, Any]], Ledger]:
    ledger = Ledger(account)
    walk = Walk(folder, decryptor(folder, None))
    entries = [entry_shown(one) for one in walk.tell(ledger, end)]
    return json.loads(json.dumps(entries)), ledger


def ask(worker: Worker, asked: EntriesAsked | SumsAsked) -> dict[str, Any]:
    text = worker.answer(asked)
    assert isinstance(text, str), text
    answer: dict[str, Any] = json.loads(text)
    return answer


def pages(worker: Worker, asked: EntriesAsked) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """All entries, the totals, and in how many pages they came; every page is asked for twice."""
    found = []
    for number in count(1):
        page = ask(worker, asked)
        assert page == ask(worker, asked)
        found += page["entries"]
        assert (page["next"] is None) == (page["totals"] is not None)
        if page["next"] is None:
            return found, page["totals"], number
        assert page["next"] > asked.after
        asked = asked._replace(after=page["next"])
    raise AssertionError


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The walks that were begun."""
    begun: list[Path] = []

    class Counted(Walk):
        def __init__(self, folder: Path, decrypt: Any) -> None:
            begun.append(folder)
            super().__init__(folder, decrypt)

    monkeypatch.setattr(ledger_worker, "Walk", Counted)
    return begun


@pytest.mark.parametrize("account", [1, 2, 3])
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages(folder: Path, walks: list[Path], account: int, limit: int) -> None:
    """They are the whole ledger, and one walk over the log is enough for all of them."""
    entries, ledger = whole(folder, account)
    assert len(entries) > 80 or account == 3  # whose key is alice's second
    found = pages(Worker(folder, None), EntriesAsked(account, None, None, -1, limit))
    assert found[:2] == (entries, sums_shown(ledger.account))
    assert len(walks) == 1


def test_pages_of_a_torrent(folder: Path) -> None:
    """The entries and the sums of one alone."""
    entries, ledger = whole(folder, 1)
    for info_hash in HASHES:
        found = pages(Worker(folder, None), EntriesAsked(1, info_hash, None, -1, 9))
        assert found[0] == [one for one in entries if one["info_hash"] == info_hash.hex()]
        assert found[1] == sums_shown(ledger.torrents[info_hash])


def test_pages_at_a_moment(folder: Path, walks: list[Path]) -> None:
    """Up to any event there is, and no further; what is beyond the log's end is no moment."""
    worker = Worker(folder, None)
    last = whole(folder, 1)[0][-1]["seq"]
    for seq in range(3, last, 37):
        entries, ledger = whole(folder, 1, seq + 1)
        found = pages(worker, EntriesAsked(1, None, Moment(seq=seq), -1, 50))
        assert found[:2] == (entries, sums_shown(ledger.account))
        assert all(one["seq"] <= seq for one in entries)
    assert len(walks) == len(range(3, last, 37))
    beyond = worker.answer(EntriesAsked(1, None, Moment(seq=10**6), -1, 5))
    assert isinstance(beyond, NoMomentError)


def test_short_pages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time for a page it is short or empty, and the next one goes on."""
    monkeypatch.setattr(ledger_worker, "PAGE_SECONDS", -1.0)
    entries, ledger = whole(folder, 2)
    found = pages(Worker(folder, None), EntriesAsked(2, None, None, -1, 1000))
    assert found[:2] == (entries, sums_shown(ledger.account))
    assert found[2] > 20


def test_earlier_pages_again(folder: Path) -> None:
    """Who goes back gets the same, and so does who asks a process that knows nothing."""
    worker = Worker(folder, None)
    asked = EntriesAsked(1, None, None, -1, 10)
    first = ask(worker, asked)
    second = ask(worker, asked._replace(after=first["next"]))
    third = ask(worker, asked._replace(after=second["next"]))
    assert ask(worker, asked) == first
    for each in (worker, Worker(folder, None)):
        assert ask(each, asked._replace(after=second["next"])) == third


@pytest.mark.parametrize("end", [None, 60, 200])
def test_sums(folder: Path, end: int | None) -> None:
    """By torrent they are the account's ledger, by account the same numbers; at any moment."""
    worker = Worker(folder, None)
    moment = None if end is None else Moment(seq=end - 1)
    last = 0
    by_torrent: dict[tuple[int, str], dict[str, Any]] = {}
    for account in (1, 2):
        ledger = whole(folder, account, end)[1]
        answer = ask(worker, SumsAsked(account, moment, None, 100))
        names = sorted(ledger.torrents, key=lambda name: name or b"")
        assert [one["info_hash"] for one in answer["totals"]] == [
            n.hex() if n else None for n in names
        ]
        for name, row in zip(names, answer["totals"], strict=True):
            hexed = row.pop("info_hash")
            assert row == sums_shown(ledger.torrents[name])
            if hexed:
                by_torrent[account, hexed] = row
        last = answer["seq"]
        assert (answer["first_seq"], answer["next"]) == (0, None)
        assert end is None or last == end - 1
    for info_hash in HASHES:
        for row in ask(worker, SumsAsked(info_hash, moment, None, 100))["totals"]:
            assert row == {
                "account": row["account"],
                **by_torrent.pop((row["account"], info_hash.hex())),
            }
    assert by_torrent == {}
    assert ask(worker, SumsAsked(hash_of(9), moment, None, 100)) == {
        "totals": [], "next": None, "first_seq": 0, "seq": last,
    }  # fmt: skip


def test_pages_of_sums(folder: Path, walks: list[Path]) -> None:
    """Rows after a name; the same walk serves them, and goes on to later moments."""
    worker = Worker(folder, None)
    for of in (1, HASHES[0]):
        every = ask(worker, SumsAsked(of, Moment(seq=100), None, 100))["totals"]
        name = next(iter(every[0]))
        found, after = [], None
        while True:
            page = ask(worker, SumsAsked(of, Moment(seq=100), after, 1))
            found += page["totals"]
            if page["next"] is None:
                break
            after = bytes.fromhex(page["next"]) if name == "info_hash" else page["next"]
        assert found == every
        ask(worker, SumsAsked(of, None, None, 1))
    assert len(walks) == 2
    ask(worker, SumsAsked(1, Moment(seq=100), None, 1))
    assert len(walks) == 3


def test_sums_of_what_goes_on(tmp_path: Path) -> None:
    """What comes to the log later comes to the ledger and to the sums."""
    write_log(tmp_path / "log", lambda rig: lively(rig, 60))
    worker = Worker(tmp_path / "log", None)
    asked, sums = EntriesAsked(1, None, None, -1, 1000), SumsAsked(1, None, None, 100)
    before, first = pages(worker, asked)[0], ask(worker, sums)

    def more(rig: Rig) -> Iterator[None]:
        rig.announce(Announce(HASHES[0], endpoint4(1), key=key_text(1), uploaded=5, left=0))
        yield

    write_log(tmp_path / "log", more)
    page = ask(worker, asked._replace(after=before[-1]["seq"]))
    (entry,) = page["entries"]
    assert (entry["info_hash"], page["next"]) == (HASHES[0].hex(), None)
    then = ask(worker, sums)
    assert then["seq"] > first["seq"]
    assert (
        sum(one["announces"] for one in then["totals"])
        == len([one for one in before if one["type"] == "announce"]) + 1
    )


def test_peer_ids_end_with_their_key(tmp_path: Path) -> None:
    """Their last bytes are read while the day's key is there; a page at hand is not told from memory afterwards."""
    keys = Keyring(tmp_path / "secrets")
    log = open_log(tmp_path / "log", codec.RECORD_SIZES, linger_seconds=0, encryptor=keys)
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            for _ in lively(rig, 20):
                await log.wait_durable(log.next_seq - 1)

    trio.run(main)
    worker = Worker(tmp_path / "log", tmp_path / "secrets")
    asked = EntriesAsked(1, None, None, -1, 1000)
    sizes = {
        len(one["peer_id"]) for one in ask(worker, asked)["entries"] if one["type"] == "announce"
    }
    assert sizes == {40}
    cut = ask(worker, asked._replace(moment=Moment(seq=rig.state.seq - 2)))["entries"]
    assert {len(one["peer_id"]) for one in cut if one["type"] == "announce"} == {40}
    for day in keys.days():
        keys.destroy(day)
    told = ask(worker, asked)["entries"]
    assert {len(one["peer_id"]) for one in told if one["type"] == "announce"} == {16}


def test_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who began before a removal goes on as long as there is something to read; else it is said that the beginning is gone.
    The sums of what is left agree by torrent and by account."""
    monkeypatch.setattr("eventlog.log.WATERMARK_SECONDS", 0.001)
    folder = tmp_path / "log"
    log = open_log(folder, codec.RECORD_SIZES, segment_bytes=3000, linger_seconds=0)
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            for _ in lively(rig):
                await log.wait_durable(log.next_seq - 1)
            rig.service.change_settings(evolve(rig.state.settings, max_peer_timeout=30))
            rig.time.advance(600 * SECOND)
            for _ in range(70):  # everybody has gone: nothing old is needed
                rig.service.tick()
                rig.time.advance(10 * SECOND)
            rig.announce(Announce(HASHES[0], endpoint4(1), key=key_text(1), uploaded=5, left=0))
            await log.wait_durable(log.next_seq - 1)
            both = Worker(folder, None), Worker(folder, None)
            asked = EntriesAsked(1, None, None, -1, 9)
            page = ask(both[0], asked)
            ask(both[1], asked._replace(limit=1000))
            assert await prune(rig.service, log)
            begin = first_seq(folder)
            assert begin > page["next"]
            gone: object = ""
            while isinstance(gone, str):  # the file it was reading is still there for it
                gone = both[0].answer(asked._replace(after=page["next"]))
                page = json.loads(gone) if isinstance(gone, str) else page
            assert isinstance(gone, PrunedMomentError)
            assert gone.first_seq == begin
            assert ask(both[1], asked._replace(limit=1000))["next"] is None  # it had read them all
            for info_hash in (None, HASHES[1]):
                fresh = Worker(folder, None)
                behind = fresh.answer(EntriesAsked(1, info_hash, None, page["next"], 9))
                assert isinstance(behind, PrunedMomentError)
            found, totals, _ = pages(both[0], asked._replace(limit=1))
            assert (found, totals) == ((w := whole(folder, 1))[0], sums_shown(w[1].account))
            assert "opening" in {one["type"] for one in found}

    trio.run(main)
    for info_hash in HASHES:
        book = Contributions(info_hash)
        list(Walk(folder, decryptor(folder, None)).tell(book))
        for account in (1, 2):
            torrents = whole(folder, account)[1].torrents
            assert book.sums().get(account) == torrents.get(info_hash)
    early = Worker(folder, None).answer(SumsAsked(1, Moment(seq=0), None, 5))
    assert isinstance(early, PrunedMomentError)
    assert Reader(folder).first_seq > 0


# The process.


async def test_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions over its pipe; one at a time, and it ends when nobody asks."""
    monkeypatch.setattr(client, "IDLE_SECONDS", 0.1)
    reads = LedgerReads(folder, None)
    refused = []

    async def ask_too() -> None:
        try:
            await reads.ask(SumsAsked(1, None, None, 5))
        except BusyError as error:
            refused.append(str(error))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads.run)
            async with trio.open_nursery() as both:
                both.start_soon(ask_too)
                both.start_soon(ask_too)
            (said,) = refused
            assert "already" in said
            with pytest.raises(NoMomentError):
                await reads.ask(SumsAsked(1, Moment(seq=10**6), None, 5))
            while reads._helper.runs:
                await trio.lowlevel.checkpoint()
            answer = json.loads(await reads.ask(SumsAsked(1, None, None, 5)))
            assert answer["totals"]
            nursery.cancel_scope.cancel()
    assert not reads._helper.runs


async def test_slow_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited long enough is told to come again; then the answer is there."""
    reads = LedgerReads(folder, None)
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.0)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads.run)
            with pytest.raises(BusyError, match="still being read"):
                await reads.ask(SumsAsked(1, None, None, 5))
            monkeypatch.setattr(client, "ANSWER_SECONDS", 60.0)
            assert json.loads(await reads.ask(SumsAsked(1, None, None, 5)))["totals"]
            nursery.cancel_scope.cancel()
