"""The follower replays beside the tracker: its snapshots, its findings and its end."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import define, field

from eventlog import Reader, open_log
from tests.eventlog.logs import running
from tests.support import START_US, Rig, keys_of
from tests.tracker.logged import write_log
from tracker.cli import main
from tracker.domain import image
from tracker.domain.events import codec, schemas
from tracker.domain.events.records import Tick
from tracker.offline.verify import Verification
from tracker.store import frames, snapshot_file, snapshots
from tracker.store.address_keys import day_of
from tracker.store.replay import replay
from tracker.upkeep import follower_process
from tracker.upkeep.case_keeping import CaseKeeper
from tracker.upkeep.follower import FollowerSupervisor
from tracker.upkeep.follower_process import (
    CANNOT,
    DISAGREES,
    LOG_DAMAGED,
    DisagreementError,
    Follower,
)
from tracker.workers import child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.domain.state import State

EAGER = ("--events", "1", "--seconds", "0", "--pause", "0")
DEADLINE = 60.0


@define
class Site:
    """A log of an afternoon, and its keys."""

    folder: Path
    said: list[dict[str, Any]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.go_on()
        keys_of(self.secrets).prepare(day_of(START_US))

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def secrets(self) -> Path:
        return self.log / "secrets"

    def go_on(self) -> None:
        write_log(self.log)

    def break_it(self) -> int:
        """Appends a tick with a wrong digest; returns its number."""

        def script(rig: Rig) -> Iterator[None]:
            now = rig.state.time_us
            record = Tick(now, 10_000, False, 0, 1).pack()
            seqs.append(rig.log.pool.append(Tick.kind, Tick.schema, now, record))
            rig.log.appended()
            yield

        seqs: list[int] = []
        write_log(self.log, script)
        return seqs[0]

    def say(self, **message: Any) -> None:
        if "sealed" not in message:
            self.said.append(message)

    def follower(self, **limits: float) -> Follower:
        return Follower(self.log, self.secrets, self.say, **limits)  # type: ignore[arg-type]  # numbers

    def process(self) -> subprocess.Popen[bytes]:
        module = "tracker.upkeep.follower_process"
        return subprocess.Popen(
            child.python(module, str(self.log), str(self.secrets), *EAGER),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def supervisor(self) -> FollowerSupervisor:
        return FollowerSupervisor(self.log, self.secrets, EAGER, delay=0, first_pause=0.01)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_it_keeps_up_and_writes(site: Site) -> None:
    """The follower reaches the state of the durable log, and writes a snapshot each time."""
    follower = site.follower(events=1, seconds=0, pause=0)
    for _ in range(2):
        follower.catch_up()
        expected = replay(Reader(site.log))
        assert follower.state.digest() == expected.digest()
        (newest,) = snapshots.found(site.log)[-1:]
        assert snapshots.seq_of(newest) == expected.seq
        log_id = Reader(site.log)._log_id
        loaded = snapshot_file.read(newest, log_id, keys_of(site.secrets)).state()
        assert loaded.digest() == expected.digest()
        assert [one["seq"] for one in site.said if "seq" in one][-1] == expected.seq
        site.go_on()
    assert [one["snapshot"] for one in site.said if "snapshot" in one] == list(
        map(snapshots.seq_of, snapshots.found(site.log))
    )


@pytest.mark.parametrize(
    "limits",
    [
        {"events": 1, "seconds": 0, "pause": 1e9},
        {"events": 10**9, "seconds": 1e9, "pause": 0},
    ],
    ids=["too soon", "too few"],
)
def test_it_writes_when_it_is_due(site: Site, limits: dict[str, float]) -> None:
    """The follower writes no snapshot within the pause, nor for a few events."""
    site.follower(**limits).catch_up()
    assert snapshots.found(site.log) == []


def test_too_little_memory_is_no_disagreement(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory is no disagreement, because a restart helps and the alarm would last."""

    def apply(*_: object) -> None:
        raise MemoryError

    follower = site.follower(events=1, seconds=0, pause=0)
    monkeypatch.setattr(frames, "apply", apply)
    with pytest.raises(MemoryError):
        follower.catch_up()
    with pytest.raises(MemoryError):
        list(Verification(site.log).findings(lambda _done, _total: None))


def test_too_little_memory_for_a_snapshot(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower without memory for a snapshot goes on, because the next one may fit."""

    def dump(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(image, "dump", dump)
    site.follower(events=1, seconds=0, pause=0).catch_up()
    assert site.said[-1] == {"failed": "there is too little memory for the state of this log"}


def test_too_little_memory_for_a_command(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command without memory prints one sentence, and its exit code does not mean damage."""

    def apply(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(frames, "apply", apply)
    for command in ("replay", "verify"):
        assert main([command, "--log", str(site.log)]) == 1
        assert "tracker: there is too little memory" in capsys.readouterr().err


def test_an_error_without_text(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error without text is reported by its name."""

    def newest(*_: object) -> None:
        raise IndexError

    follower = site.follower(events=1, seconds=0, pause=0)
    monkeypatch.setattr(schemas, "newest", newest)
    with pytest.raises(DisagreementError, match=r"cannot be applied: IndexError$"):
        follower.catch_up()
    found = list(Verification(site.log).findings(lambda _done, _total: None))
    assert [one.what[-30:] for one in found] == [" cannot be applied: IndexError"]


def test_it_forgets_the_keys_of_shredded_days(site: Site) -> None:
    """The follower forgets the keys of shredded days with the next snapshot."""
    follower = site.follower(events=1, seconds=0, pause=0)
    follower._keys.prepare(day_of(START_US))
    keys_of(site.secrets).destroy(day_of(START_US))
    follower.catch_up()
    assert site.said[-1].keys() >= {"snapshot"}
    assert not follower._keys._keys


def test_it_writes_for_many_events_before_the_time(site: Site) -> None:
    """Many events make a snapshot due early. A restarted follower goes on from its own snapshot."""
    site.follower(events=30, seconds=1e9, pause=0).catch_up()
    assert len(snapshots.found(site.log)) == 1
    site.said.clear()
    again = site.follower(events=1, seconds=0, pause=0)
    assert again.state.seq == snapshots.seq_of(snapshots.found(site.log)[0])
    again.catch_up()
    assert site.said == [{"seq": again.state.seq}]


def test_what_detectors_remember_is_written_more_seldom_than_snapshots(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it takes long, because snapshots may follow one another at once."""
    now, wrote = [1000.0], []

    def remember(_keeper: CaseKeeper, state: State) -> None:
        wrote.append(state.seq)
        now[0] += 3

    monkeypatch.setattr(CaseKeeper, "remember", remember)
    monkeypatch.setattr(follower_process, "time", SimpleNamespace(monotonic=lambda: now[0]))
    follower = site.follower(events=1, seconds=0.0, pause=0.0, cases=True)
    ends = []
    for _ in range(4):
        site.go_on()
        follower.catch_up()
        ends.append(follower.state.seq)
        now[0] += 25
    assert wrote == [ends[0], ends[3]]


def test_a_full_disk_is_logged_and_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The follower goes on when a snapshot finds the disk full."""
    monkeypatch.setattr(snapshot_file, "SPARE_BYTES", 1 << 60)
    follower = site.follower(events=1, seconds=0, pause=0)
    follower.catch_up()
    assert "too little free space" in site.said[-1]["failed"]
    monkeypatch.undo()
    site.go_on()
    follower.catch_up()
    assert "snapshot" in site.said[-1]


def test_disagreement(site: Site) -> None:
    """A wrong digest names the event, and no snapshot is written of that state."""
    follower = site.follower(events=1, seconds=0, pause=0)
    follower.catch_up()
    before = snapshots.found(site.log)
    seq = site.break_it()
    with pytest.raises(DisagreementError, match=f"event {seq} holds the digest of another state"):
        follower.catch_up()
    assert snapshots.found(site.log) == before


def test_the_process_ends_with_its_input(site: Site) -> None:
    """The follower ends with its input, and signals do not end it."""
    with site.process() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "snapshot" in json.loads(process.stdout.readline() and process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(DEADLINE) == 0


def test_exit_codes(site: Site) -> None:
    """The exit code is 4 if log and replay disagree, 3 for damage, and 1 where there is no log."""
    seq = site.break_it()
    with site.process() as process:
        assert process.wait(DEADLINE) == DISAGREES
        assert process.stdout is not None
        said = json.loads(process.stdout.read().splitlines()[-1])
    assert f"event {seq} holds" in said["alarm"]
    first = min((site.log / "seg").iterdir())
    data = bytearray(first.read_bytes())
    data[300] ^= 1
    first.write_bytes(data)
    with site.process() as process:
        assert process.wait(DEADLINE) == LOG_DAMAGED
    site.log.rename(site.folder / "aside")
    with site.process() as process:
        assert process.wait(DEADLINE) == CANNOT


async def until(condition: Any) -> None:
    with trio.fail_after(DEADLINE):
        while not condition():  # noqa: ASYNC110  # it is another process's doing
            await trio.sleep(0.01)


def ended(process_id: int) -> int:
    """Returns a descriptor that becomes readable when the process has ended."""
    return os.pidfd_open(process_id)


async def test_it_is_started_again(site: Site) -> None:
    """A killed follower starts again after a pause, and a cancelled one stays away. Its progress is
    known.
    """
    supervisor = site.supervisor()
    assert supervisor.lag(100) is None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        end = replay(Reader(site.log)).seq
        await until(lambda: supervisor.seq == end)
        await until(lambda: supervisor.snapshot_seq == end)
        assert supervisor.lag(end + 5) == 5
        first = supervisor.process_id
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.starts == 2 and supervisor.seq == end)
        second = supervisor.process_id
        assert second is not None
        descriptor = ended(second)
        nursery.cancel_scope.cancel()
    assert select.select([descriptor], [], [], 0)[0]
    os.close(descriptor)
    assert (supervisor.seq, supervisor.process_id) == (None, None)


@pytest.fixture
def broken_at(site: Site) -> int:
    """Returns the event that makes log and replay disagree."""
    return site.break_it()


async def test_the_alarm(site: Site, broken_at: int, caplog: pytest.LogCaptureFixture) -> None:
    """A disagreement logs an error with the event, and no follower starts again."""
    supervisor = site.supervisor()
    with trio.fail_after(DEADLINE):
        await supervisor.run()
    assert supervisor.starts == 1
    assert f"event {broken_at} holds the digest" in supervisor.alarm
    assert any(
        record.levelname == "ERROR" and supervisor.alarm in record.getMessage()
        for record in caplog.records
    )


async def test_it_follows_a_log_that_is_being_written(site: Site) -> None:
    """The follower reads durable events within moments."""
    log = open_log(site.log, codec.RECORD_SIZES, keys_of(site.secrets).tags, linger_seconds=0)
    supervisor = site.supervisor()
    async with running(log), trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        rig = Rig(log=log, state=replay(Reader(site.log, to_end=True)))
        await until(lambda: supervisor.seq == log.durable_seq)
        rig.service.tick()
        await log.wait_durable(log.next_seq - 1)
        await until(lambda: supervisor.lag(log.next_seq) == 0)
        nursery.cancel_scope.cancel()


async def test_a_hung_one_is_started_again(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent follower is killed and replaced, and the text log says so."""
    monkeypatch.setattr(child, "_END_SECONDS", 0.1)
    supervisor = site.supervisor()
    supervisor.silence = 2.0  # it tells something every second
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await until(lambda: supervisor.seq is not None)
        first = supervisor.process_id
        assert first is not None
        descriptor = ended(first)
        os.kill(first, signal.SIGSTOP)
        with trio.fail_after(DEADLINE):
            await trio.lowlevel.wait_readable(descriptor)
        await until(lambda: supervisor.starts > 1 and supervisor.seq is not None)
        os.close(descriptor)
        nursery.cancel_scope.cancel()
    assert [r.getMessage() for r in caplog.records if "it was silent" in r.getMessage()]


async def test_a_stopped_one_does_not_hold_the_end_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped follower cannot see the end of its input, so the tracker kills it; its unfinished
    file does no harm.
    """
    monkeypatch.setattr(child, "_END_SECONDS", 0.1)
    supervisor = site.supervisor()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await until(lambda: supervisor.seq is not None)
        process_id = supervisor.process_id
        assert process_id is not None
        descriptor = ended(process_id)
        os.kill(process_id, signal.SIGSTOP)
        nursery.cancel_scope.cancel()
    assert select.select([descriptor], [], [], DEADLINE)[0]
    os.close(descriptor)


PARENT = """
import sys, time
from tracker.workers.child import Child, python
import trio
async def main():
    child = Child(python("tracker.upkeep.follower_process", *sys.argv[1:]))
    await child.output.receive_some(1)
    print(child.pid, flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


def test_a_stopped_one_does_not_outlive_the_tracker(site: Site) -> None:
    """A stopped follower goes when the tracker is killed."""
    arguments = [str(site.log), str(site.secrets), *EAGER]
    command = [sys.executable, "-c", PARENT, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline())
        descriptor = ended(process_id)
        os.kill(process_id, signal.SIGSTOP)
        parent.kill()
    assert select.select([descriptor], [], [], DEADLINE)[0]
    os.close(descriptor)


def test_one_writes_at_a_time(site: Site) -> None:
    """A second follower leaves the snapshot to the first one, and tries again later."""
    follower = site.follower(events=1, seconds=0, pause=0)
    (site.log / "snap").mkdir()
    descriptor = os.open(site.log / "snap", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    follower.catch_up()
    assert "another process is writing there" in site.said[-1]["failed"]
    assert list((site.log / "snap").iterdir()) == []
    os.close(descriptor)
    site.go_on()
    follower.catch_up()
    assert "snapshot" in site.said[-1]


def test_old_rows_without_room_are_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    supervisor = FollowerSupervisor(tmp_path, tmp_path)
    for why in ("no space", "no space", "", ""):
        supervisor._hear(json.dumps({"crowded": why}).encode())
    warning, over = caplog.messages
    assert "no space" in warning
    assert "Free as much space" in warning
    assert "removed again" in over
