"""Retention: what goes and what stays, the log without its beginning, crashes on the way, damage in
what is left."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import aclosing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import evolve

import eventlog.log
from eventlog import (
    EventLog,
    LogCorruptError,
    LogError,
    LogPrunedError,
    Reader,
    first_seq,
    kept_frames,
    open_log,
    opening_path,
    read_kept_frames,
    segment,
)
from tests.eventlog.logs import running, segments
from tests.support import (
    SECOND,
    START_US,
    Announce,
    HandTime,
    Rig,
    StillLog,
    endpoint4,
    endpoint6,
    events_in,
    hash_of,
)
from tests.tracker.logged import history
from tests.tracker.pruned import InlinePruner, prune
from tracker.cli import main
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS, TorrentWhitelisted
from tracker.domain.settings import Settings
from tracker.history.events import LogEvents
from tracker.offline.verify import Verification
from tracker.ports import (
    EventFilter,
    EventPage,
    LogPart,
    LogUnavailableError,
    Moment,
    PrunedMomentError,
)
from tracker.store import snapshots
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.store.replay import replay
from tracker.upkeep import pruning
from tracker.upkeep.retention import (
    Due,
    Pruner,
    PruningError,
    Segment,
    days_left,
    due,
    keep_schedule,
)
from tracker.workers import child

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from eventlog import Finding, Frame

THERE = [Segment(0, 10, 100), Segment(5, 20, 100), Segment(5, 20, 100), Segment(9, 30, 50)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)


@pytest.mark.parametrize(
    ("keep_from_us", "keep_bytes", "expected"),
    [
        (0, 1000, None),
        (19, 350, None),
        (20, 350, Due(5, "keep_days")),
        (30, 350, Due(9, "keep_days")),
        (999, 350, Due(9, "keep_days")),
        (0, 349, Due(5, "keep_bytes")),
        (0, 159, Due(5, "keep_bytes")),
        (0, 158, Due(9, "keep_bytes")),
        (0, 0, Due(9, "keep_bytes")),
    ],
)
def test_due(keep_from_us: int, keep_bytes: int, expected: Due | None) -> None:
    """Whole leading segments that are old or too many, never the newest; of too many somewhat more
    than has to go."""
    assert due(THERE, keep_from_us, keep_bytes) == expected


def test_due_of_little_and_of_much() -> None:
    """A log of nothing, and of one segment, stays. Of very much a part goes at a time."""
    assert due([], 999, 0) is None
    assert due(THERE[:1], 999, 0) is None
    many = [Segment(number, number, 100) for number in range(100)]
    assert due(many, 999, 0) == Due(16, "keep_days")


def test_days_left() -> None:
    """By the growth of a day; for ever where retention comes first, or nothing grows."""
    assert days_left(24_000, 0, 30, 10**9, 2400.0) == 10
    assert days_left(24_000, 0, 9, 10**9, 2400.0) == float("inf")
    assert days_left(24_000, 1000, 30, 25_000, 2400.0) == float("inf")
    assert days_left(24_000, 1000, 30, 25_001, 2400.0) == 10
    assert days_left(5, 0, 30, 10**9, 0.0) == float("inf")


# Logs on disk.


def live(folder: Path, do: Callable[[Rig, EventLog], Awaitable[object]]) -> str:
    """Open a log, let something be done to a tracker over it, and close; the digest then."""
    log = open_log(folder, codec.RECORD_SIZES, segment_bytes=400, linger_seconds=0)
    try:
        state = replay(Reader(folder, to_end=True))
    except LogError:
        log.release()
        raise
    time = HandTime(wall=max(START_US, state.time_us))
    rig = Rig(log=log, state=state, time=time)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            await do(rig, log)

    trio.run(main)
    return rig.state.digest()


async def script(rig: Rig, log: EventLog) -> None:
    for _ in history(rig):
        await log.wait_durable(log.next_seq - 1)
    for number in range(20):
        rig.service.append(TorrentWhitelisted(hash_of(number)))
        await log.wait_durable(log.next_seq - 1)


async def script_and_prune(rig: Rig, log: EventLog) -> None:
    await script(rig, log)
    assert await prune(rig.service, log, 2000)


def findings(folder: Path) -> tuple[list[Finding], str]:
    verification = Verification(folder)
    found = list(verification.findings(lambda _done, _total: None))
    return found, verification.state.digest()


def files(folder: Path) -> set[str]:
    kinds = ("seg", "seal", "kept", "opening", "snap", "quarantine")
    return {str(each.relative_to(folder)) for kind in kinds for each in folder.glob(f"{kind}/*")}


def test_what_is_left(tmp_path: Path) -> None:
    """The state is the same; admin events are all there; the past begins where the log does."""
    folder = tmp_path / "log"
    live(folder, script)
    whole = {each["seq"]: each for each in events_in(Reader(folder).frames())}

    async def prune_it(rig: Rig, log: EventLog) -> None:
        assert await prune(rig.service, log, 2000)

    digest = live(folder, prune_it)
    begin = first_seq(folder)
    assert begin > 30
    assert findings(folder) == ([], digest)
    assert sum(each.stat().st_size for each in segments(folder)) < 3000
    left = {each["seq"]: each for each in events_in(read_kept_frames(folder, begin))}
    names = {one.name for one in ADMIN_EVENTS.values()}
    assert left == {s: e for s, e in whole.items() if e["type"] in names and s < begin}
    past = ForwardReplay(folder, lambda _done, _total: None)
    with pytest.raises(PrunedMomentError, match=f"begins with event {begin}:"):
        past.at(Moment(seq=begin - 1))
    assert past.at(Moment(seq=begin)).seq == begin + 1
    assert past.at(None).digest() == digest


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_the_api_tells_what_is_left(tmp_path: Path, limit: int) -> None:
    """As `tracker events`: the administrators' events of all times, in pages of any size, and the
    log."""
    folder = tmp_path / "log"
    live(folder, script_and_prune)
    begin = first_seq(folder)
    expected = events_in(read_kept_frames(folder, begin)) + events_in(Reader(folder).frames())
    assert expected[0]["seq"] < begin
    state = replay(Reader(folder))
    journal = LogEvents(StillLog(folder, state.seq), state.access.account_of, trio.Event())

    async def read(first: int, wanted: EventFilter) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        following: int | None = first
        while following is not None:
            page = await journal.read(LogPart(first=following), wanted, limit)
            found += page.events
            following = page.following
        return found

    for first in (0, 3, begin - 1, begin, begin + 2):
        found = trio.run(read, first, EventFilter())
        assert found == [each for each in expected if each["seq"] >= first]
    found = trio.run(read, 0, EventFilter(types=frozenset(["torrent_whitelisted"])))
    assert found == [each for each in expected if each["type"] == "torrent_whitelisted"]


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_listed_peers_do_not_hold_it(tmp_path: Path, private: bool) -> None:
    """The announces that say where listed peers are go too, because a snapshot knows the peers.

    A private peer has two addresses. Further removals keep a snapshot that knows them all.
    """
    folder, keys = tmp_path / "log", Keyring(tmp_path / "secrets")
    log = open_log(folder, codec.RECORD_SIZES, segment_bytes=400, linger_seconds=0, encryptor=keys)
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log

    async def busy() -> None:
        async with running(log):
            rig.service.change_settings(Settings(private=private))
            one = Announce(hash_of(1), endpoint4(1), key=rig.issue(1) if private else None)
            rig.announce(one, evolve(one, endpoint=endpoint6(1)))
            for _ in range(3):
                for number in range(30):
                    rig.announce(evolve(one, info_hash=hash_of(2), uploaded=number))
                    await log.wait_durable(log.next_seq - 1)
                assert (made := await prune(rig.service, log, keys=keys))
                assert made.first_seq > log.next_seq - 10
                assert made.no_snapshot == ""
                started, reader = snapshots.start(folder, keys, to_end=True)
                assert started.seq > made.first_seq
                assert replay(reader, state=started).digest() == rig.state.digest()

    trio.run(busy)
    assert rig.state.swarms.leechers_total == (2 if private else 3)
    assert list(Verification(folder, keys).findings(lambda _done, _total: None)) == []
    opened = replay(Reader(folder, keys=keys))
    assert opened.hidden_peers()
    assert opened.digest(addresses=False) == rig.state.digest(addresses=False)


def test_on_a_disk_that_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no space for a snapshot any more, which is said, and still enough to make some."""
    folder = tmp_path / "log"
    live(folder, script)
    space = os.statvfs(tmp_path)
    nearly = SimpleNamespace(f_bavail=(9 << 20) // space.f_frsize, f_frsize=space.f_frsize)
    monkeypatch.setattr(os, "statvfs", lambda _path: nearly)

    async def prune_it(rig: Rig, log: EventLog) -> None:
        with pytest.raises(OSError, match="too little free space"):
            snapshots.write(folder, rig.state, None)
        made = await prune(rig.service, log)
        assert made
        assert "too little free space" in made.no_snapshot
        assert "all swarms begin empty" in caplog.text

    live(folder, prune_it)


def test_a_segment_without_a_frame(tmp_path: Path) -> None:
    """What a crash left before anything was written to it does not keep the log from being
    shortened."""
    folder = tmp_path / "log"
    for _ in range(2):
        live(folder, script)
        newest = segments(folder)[-1]
        with newest.open("r+b") as file:
            file.truncate(128)  # killed just when it had been begun

    async def prune_it(rig: Rig, log: EventLog) -> None:
        made = await prune(rig.service, log)
        assert made
        assert made.first_seq > segment.base_seq_of(newest)

    digest = live(folder, lambda rig, log: beyond(rig, log, prune_it))
    assert findings(folder) == ([], digest)


async def beyond(rig: Rig, log: EventLog, do: Callable[[Rig, EventLog], Awaitable[object]]) -> None:
    """Some segments more, then something else."""
    await script(rig, log)
    await do(rig, log)


def test_one_at_a_time_seals(tmp_path: Path) -> None:
    """The log's own task, retention and removal come to the same moment and none is in another's
    way."""
    folder = tmp_path / "log"
    live(folder, script)

    async def at_once(_rig: Rig, log: EventLog) -> None:
        for _ in range(5):
            for seal in (folder / "seal").glob("*"):
                seal.unlink()
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(log.seal_finished)
            assert len(list((folder / "seal").glob("*.json"))) == len(segments(folder)) - 1

    live(folder, at_once)


def test_no_address_is_left(tmp_path: Path) -> None:
    """Neither the opening nor the kept events hold an address or the end of a peer id, in text or
    packed; frames in clear, of a log without keys, included."""
    peers = [
        Announce(hash_of(7), endpoint(number), b"-XX0001-secret%06d" % number)
        for number in range(40, 60)
        for endpoint in (endpoint4, endpoint6)
    ]

    async def announced(rig: Rig, log: EventLog) -> None:
        rig.service.change_settings(Settings(inactive_peer_cleanup_interval=10))
        for number, one in enumerate(peers * 2):
            rig.announce(evolve(one, uploaded=number))
            await log.wait_durable(log.next_seq - 1)
        assert await prune(rig.service, log)

    folder = tmp_path / "log"
    live(folder, announced)
    assert findings(folder)[0] == []
    data = b"".join(
        each.read_bytes()
        for kind in ("opening", "kept", "seal")
        for each in folder.glob(f"{kind}/*")
    )
    assert hash_of(7) in data
    for one in peers:
        address = one.endpoint[:-2]
        assert address not in data
        assert one.peer_id[8:] not in data
        assert ".".join(map(str, address)).encode() not in data


def test_many_removals(tmp_path: Path) -> None:
    """The number of files does not grow with the number of removals."""

    async def again(rig: Rig, log: EventLog) -> None:
        for number in range(20):
            for more in range(3):
                rig.service.append(TorrentWhitelisted(hash_of(3 * number + more)))
                await log.wait_durable(log.next_seq - 1)
            await prune(rig.service, log)
            assert len(kept_frames.list_kept(log.path)) <= kept_frames.MOST_FILES
            assert len(files(log.path)) < kept_frames.MOST_FILES + 12

    digest = live(tmp_path / "log", again)
    assert findings(tmp_path / "log") == ([], digest)
    listed = [
        e
        for e in events_in(read_kept_frames(tmp_path / "log", first_seq(tmp_path / "log")))
        if e["type"] == "torrent_whitelisted"
    ]
    assert len(listed) > 50


def test_overtaken(tmp_path: Path) -> None:
    """A reader whose next segment is removed says so; one that follows the end goes on."""

    async def overtake(rig: Rig, log: EventLog) -> None:
        await script(rig, log)
        behind, kept_behind = Reader(log.path).frames(), Reader(log.path)
        next(behind)
        ahead = Reader(log.path, to_end=True)
        seen = sum(frame.header.records for frame in ahead.frames())
        assert await prune(rig.service, log)
        with pytest.raises(LogPrunedError):
            list(behind)
        with pytest.raises(LogPrunedError):
            list(kept_behind.frames())
        seen += sum(frame.header.records for frame in ahead.frames())
        assert seen == rig.state.seq

    live(tmp_path / "log", overtake)


async def read_on(journal: LogEvents, page: EventPage) -> None:
    while page.following is not None:
        page = await journal.read(LogPart(first=page.following), EventFilter(), 1)


def test_the_api_is_overtaken(tmp_path: Path) -> None:
    """A page whose events are removed while it is read says where the log begins; so does a stream,
    and goes on there."""

    async def overtake(rig: Rig, log: EventLog) -> None:
        await script(rig, log)
        journal = LogEvents(log, rig.state.access.account_of, trio.Event())
        page = await journal.read(LogPart(), EventFilter(), 1)
        assert page.following == 1
        late = journal.follow(0, EventFilter())
        async with aclosing(late), aclosing(journal.follow(0, EventFilter())) as stream:
            monkeypatch = pytest.MonkeyPatch()
            monkeypatch.setattr("tracker.history.event_scan.STEP_SECONDS", 1e-9)
            assert (await anext(stream)).pruned is None
            assert await prune(rig.service, log)
            begin = first_seq(log.path)
            with pytest.raises(PrunedMomentError, match=f"begins with event {begin}"):
                await read_on(journal, page)
            monkeypatch.undo()
            first = await anext(late)
            assert (first.pruned, first.seen) == (begin, 0)
            for one in (stream, late):
                found, marks = [], []
                while not found or found[-1]["seq"] < log.durable_seq - 1:
                    each = await anext(one)
                    found += each.events
                    marks += [each.pruned] * (each.pruned is not None)
                assert marks == ([begin] if one is stream else [])
                rest = [event["seq"] for event in found if event["seq"] >= begin]
                assert rest == list(range(begin, log.durable_seq))

    live(tmp_path / "log", overtake)


@pytest.mark.parametrize("walked", [0, 1, 5])
def test_verify_is_overtaken(tmp_path: Path, walked: int) -> None:
    """However far it was when the log was shortened, it says that, and never that the log is
    damaged."""

    async def overtake(rig: Rig, log: EventLog) -> None:
        await script(rig, log)
        verification = Verification(log.path)
        marks: list[int] = []
        done = False

        def shorten() -> None:
            nonlocal done
            if len(marks) >= walked and not done:
                done = True
                trio.from_thread.run(prune, rig.service, log)

        real = verification._records.problems

        def problems(frame: Frame) -> Iterable[tuple[int, str]]:
            marks.append(frame.header.base_seq)
            shorten()
            return real(frame)

        verification._records.problems = problems  # type: ignore[method-assign]

        def verify() -> None:
            if walked == 0:
                shorten()
            list(verification.findings(lambda _done, _total: None))

        with pytest.raises(LogPrunedError):
            await trio.to_thread.run_sync(verify)
        assert done

    live(tmp_path / "log", overtake)


def test_the_ledger_begins_with_a_balance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Corrections from before are still there with their reasons, then the balance; the sums are
    the account's."""
    folder = tmp_path / "log"

    async def corrected(rig: Rig, log: EventLog) -> None:
        rig.service.change_settings(
            Settings(private=True, max_peer_timeout=60, inactive_peer_cleanup_interval=10)
        )
        one = Announce(hash_of(1), endpoint4(1), key=rig.issue(1, owner="anna"))
        for number in range(20):
            rig.announce(evolve(one, uploaded=10 * number))
            await log.wait_durable(log.next_seq - 1)
        rig.correct(1, -190, 7, rig.state.seq - 1)
        rig.time.advance(100 * SECOND)
        rig.service.tick()
        for number in range(4):
            rig.service.append(TorrentWhitelisted(hash_of(number)))
            await log.wait_durable(log.next_seq - 1)
        assert await prune(rig.service, log)
        rig.announce(evolve(one, uploaded=500), evolve(one, uploaded=503))

    live(folder, corrected)
    assert main(["ledger", "--json", "--log", str(folder), "anna"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == [
        "correction", "opening", "announce", "announce", "torrent", "torrent", "account",
    ]  # fmt: skip
    assert (lines[0]["credited_uploaded"], lines[0]["reason"]) == (-190, "a test")
    assert (lines[1]["uploaded"], lines[1]["credited_uploaded"]) == (190, 190)
    assert (lines[1]["seq"], lines[1]["sessions"]) == (first_seq(folder), 1)
    account = lines[-1]
    assert (account["uploaded"], account["credited_uploaded"]) == (193, 3)
    assert (account["credited_downloaded"], account["sessions"]) == (7, 2)
    assert main(["ledger", "--log", str(folder), "anna"]) == 0
    assert "  opening  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "said", "what"),
    [
        (1, b"a warning\nno space left\n", "no space left"),
        (1, b"", "exit code 1"),
        (0, b"", "exit code 0"),
        (-9, b"{", "{"),
        (0, b'{"first_seq": 1', '{"first_seq": 1'),
    ],
)
async def test_a_process_that_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: bytes, what: str
) -> None:
    """It failed, was killed, or ended before its time: that is said, and tried again in an hour."""

    async def run(_: list[str]) -> tuple[int, bytes]:
        await trio.lowlevel.checkpoint()
        return code, said

    monkeypatch.setattr(child, "run", run)
    log = open_log(tmp_path, codec.RECORD_SIZES)
    async with running(log):
        pruner = Pruner(Rig(log=log).service, log, 1, 0)
        with pytest.raises(PruningError, match=re.escape(what)):
            await pruner._make(7)


async def test_a_log_that_takes_nothing_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Why nothing was removed is said."""

    async def measure(_: Pruner) -> None:
        raise LogUnavailableError

    monkeypatch.setattr(Pruner, "measure", measure)
    log = open_log(tmp_path, codec.RECORD_SIZES)
    async with running(log):
        with trio.move_on_after(0):
            await keep_schedule(Pruner(Rig(log=log).service, log, 1, 0))
    assert caplog.messages == [
        "The log could not be pruned, tried again every minute: the log takes nothing in now: its disk is full, or cannot be written"
    ]


# Crashes.


class KilledError(Exception):
    """The process ends here."""


async def killed_in_make(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(pruning, "keep_frames", keep)
    await pruner.look()


async def killed_before_the_name(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
    def adopt(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(pruning, "adopt", adopt)
    await pruner.look()


async def killed_before_the_event(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(InlinePruner, "_write", write)
    await pruner.look()


def killed_at_removal(number: int) -> Callable[..., Awaitable[None]]:
    async def killed(pruner: InlinePruner, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Path.unlink
        left = [number]

        def unlink(path: Path, missing_ok: bool = False) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            real(path, missing_ok=missing_ok)

        def finish(folder: Path, begin: int) -> int:
            with pytest.MonkeyPatch.context() as patches:
                patches.setattr(Path, "unlink", unlink)
                return pruning_finish(folder, begin)

        pruning_finish = pruning.finish
        monkeypatch.setattr(pruning, "finish", finish)
        await pruner.look()

    killed.__name__ = f"killed_at_removal_{number}"
    return killed


POINTS = [killed_in_make, killed_before_the_name, killed_before_the_event]
POINTS += [killed_at_removal(number) for number in (0, 1, 2, 5, 9, 14, 17, 20, 22, 23, 24, 25)]


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that was pruned once, and can be again."""
    folder = tmp_path_factory.mktemp("retention") / "log"
    live(folder, script_and_prune)

    async def more(rig: Rig, log: EventLog) -> None:
        for number in range(20, 40):
            rig.service.append(TorrentWhitelisted(hash_of(number)))
            await log.wait_durable(log.next_seq - 1)

    live(folder, more)
    return folder


@pytest.mark.parametrize("point", POINTS, ids=lambda each: getattr(each, "__name__", ""))
def test_killed(twice: Path, tmp_path: Path, point: Callable[..., Awaitable[None]]) -> None:
    """Wherever a removal is cut off, the log is whole at once, and the next look leaves nothing
    over."""
    folder = tmp_path / "log"
    shutil.copytree(twice, folder)

    async def until_killed(rig: Rig, log: EventLog) -> None:
        with pytest.MonkeyPatch.context() as patches, suppress(KilledError):
            await point(InlinePruner(rig.service, log, 36_500, 2000), patches)

    digest = live(folder, until_killed)
    found, after = findings(folder)
    assert [one for one in found if one.damage] == []
    assert after == digest
    assert replay(Reader(folder)).digest() == digest

    async def look(rig: Rig, log: EventLog) -> None:
        assert rig.state.digest() == digest
        await InlinePruner(rig.service, log, 36_500, 10**9).finish()

    assert live(folder, look) == digest
    assert findings(folder) == ([], digest)
    begin = first_seq(folder)
    assert len(list((folder / "opening").iterdir())) == 1
    assert {each.path.name for each in kept_frames.files_below(folder, begin)} == {
        e.name for e in (folder / "kept").iterdir()
    }
    assert all(
        int(each.name[:20]) >= begin
        for kind in ("seg", "seal")
        for each in (folder / kind).iterdir()
    )


# Damage.


@pytest.mark.parametrize("kind", ["opening", "kept", "seal"])
def test_damage_is_found(twice: Path, tmp_path: Path, kind: str) -> None:
    """Any byte changed, the file cut, emptied or gone, in each kind of file: `verify` finds it."""
    folder = tmp_path / "log"
    shutil.copytree(twice, folder)
    path = min((folder / kind).iterdir())
    data = path.read_bytes()
    step = max(1, len(data) // 20)
    for at in range(0, len(data), step):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        assert any(one.damage for one in findings(folder)[0]), at
    for at in (0, 1, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:at])
        assert any(one.damage for one in findings(folder)[0]), at
    path.unlink()
    assert any(one.damage for one in findings(folder)[0]) == (kind != "seal")
    path.write_bytes(data)
    assert findings(folder)[0] == []


def test_damage_at_start(twice: Path, tmp_path: Path) -> None:
    """A start does without kept events; it refuses a log without its opening, with another one, or
    with a sealed segment missing or of another length."""
    folder = tmp_path / "log"
    shutil.copytree(twice, folder)
    begin = first_seq(folder)
    path, first = opening_path(folder, begin), segments(folder)[0]

    def starts() -> bool:
        try:
            live(folder, nothing)
        except LogError:
            return False
        return True

    for each in (path, first):
        data = each.read_bytes()
        each.write_bytes(data[:-1])
        assert not starts()
        each.write_bytes(data)
    first.rename(tmp_path / "aside")
    assert not starts()
    (tmp_path / "aside").rename(first)
    for each in (folder / "kept").iterdir():
        each.unlink()
    assert starts()


def test_without_its_opening(twice: Path, tmp_path: Path) -> None:
    """Whoever replays says which events are missing; `verify` says so once.

    No process beside the tracker takes it for a disagreement.
    """
    folder = tmp_path / "log"
    shutil.copytree(twice, folder)
    begin = first_seq(folder)
    shutil.rmtree(folder / "opening")
    shutil.rmtree(folder / "snap", ignore_errors=True)
    missing = f"events 0 to {begin - 1} are missing"
    with pytest.raises(LogCorruptError, match=missing):
        replay(Reader(folder))
    with pytest.raises(LogCorruptError, match=missing):
        snapshots.start(folder, None)
    with pytest.raises(LogCorruptError, match=missing):
        pruning.make(folder, begin)
    assert [missing in one.what for one in findings(folder)[0]] == [True]


def test_no_segment_begins_there(tmp_path: Path) -> None:
    """Where a log cannot begin there is no opening, and it is said why."""
    folder = tmp_path / "log"
    live(folder, script)
    begun = {int(each.name[:20]) for each in segments(folder)}
    inside = {frame.header.base_seq for frame in Reader(folder).frames()} - begun
    with pytest.raises(LogCorruptError, match="no segment begins with event"):
        pruning.make(folder, min(inside))


async def nothing(_rig: Rig, log: EventLog) -> None:
    await log.wait_durable(log.next_seq - 1)


def test_another_opening(twice: Path, tmp_path: Path) -> None:
    """An opening that is whole, but not the one that the log vouches for, is refused."""
    folder = tmp_path / "log"
    shutil.copytree(twice, folder)
    begin = first_seq(folder)
    data = opening_path(folder, begin).read_bytes()
    made = rewritten(folder, begin)
    assert made != data
    opening_path(folder, begin).write_bytes(made)
    with pytest.raises(LogCorruptError, match="no event of the log vouches"):
        replay(Reader(folder))
    assert ["the log says" in one.what for one in findings(folder)[0]] == [True]


def rewritten(folder: Path, begin: int) -> bytes:
    """The same opening, made once more: with another nonce."""
    from tracker.store import opening_balance

    name, _ = opening_balance.write(folder, opening_balance.begin(folder, begin)[0])
    path = folder / "opening" / name
    data = path.read_bytes()
    path.unlink()
    return data
