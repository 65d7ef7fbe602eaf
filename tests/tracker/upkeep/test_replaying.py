"""A replay of the whole log beside the tracker notices where the log no longer leads to the state
that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from attrs import define

from eventlog import LogCorruptError, read_identity, seal_path, segments_of
from tests.nonsense.whole import put, whole
from tests.support import hash_of
from tracker.metrics import swarmlog
from tracker.store import snapshot_file, snapshots
from tracker.store.address_keys import Keyring
from tracker.upkeep.follower_process import DisagreementError
from tracker.upkeep.replaying import Replaying
from tracker.upkeep.replaying_process import Pace, compare

if TYPE_CHECKING:
    from pathlib import Path


def another_state(site: Path) -> None:
    """Makes the newest snapshot, with the secrets, one of a state that no event tells."""
    keys, log = Keyring(site / "secrets"), site / "log"
    path = snapshots.found(log)[-1]
    found = snapshot_file.read(path, read_identity(log), keys)
    state = found.state()
    state.access.add_to_whitelist(hash_of(77))
    snapshot_file.write(path, found.position, state, keys)


@pytest.mark.parametrize("pruned", [False, True], ids=["from event 0", "from an opening"])
def test_it_compares(tmp_path: Path, pruned: bool) -> None:
    """A log that leads to its snapshot passes; one that leads to another state does not."""
    put(tmp_path, whole(pruned=pruned))
    log, keys = tmp_path / "log", Keyring(tmp_path / "secrets")
    end = snapshots.seq_of(snapshots.found(log)[-1])
    assert compare(log, keys, Pace(0)).seq == end
    another_state(tmp_path)
    with pytest.raises(DisagreementError, match=f"comes to another state before event {end}"):
        compare(log, keys, Pace(0))


class Killed(BaseException):
    """The tracker ends, and this process with it."""


@define
class Short(Pace):
    """Lets a process live for some frames."""

    frames: int = 3

    def rest(self, done: int, total: int) -> None:
        assert done <= total
        self.frames -= 1
        if not self.frames:
            raise Killed


@pytest.mark.parametrize("pruned", [False, True], ids=["from event 0", "from an opening"])
def test_trackers_that_are_started_again_and_again(tmp_path: Path, pruned: bool) -> None:
    """Each lives for three frames. Together they come to the end, and then begin anew."""
    put(tmp_path, whole(pruned=pruned))
    log, keys = tmp_path / "log", Keyring(tmp_path / "secrets")
    lives = 0
    place = log / "snap" / snapshots.PLACE
    while lives < 1000:
        lives += 1
        try:
            state = compare(log, keys, Short(1e6), place_seconds=0)
        except Killed:
            assert place.exists()
        else:
            break
    assert lives > 5
    assert state.seq == snapshots.seq_of(snapshots.found(log)[-1])
    assert not place.exists()


def older_segment(log: Path) -> Path:
    """Changes a bit of an address in a segment before the newest snapshot, whose seal is there."""
    path = segments_of(log)[1]
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))
    assert seal_path(path).exists()
    return path


def test_an_older_segment(tmp_path: Path) -> None:
    """It tells of one that was changed with its length kept; no place written before hides that
    from the next replay. A snapshot in the place of the place does not either."""
    put(tmp_path, whole(pruned=False))
    log, keys = tmp_path / "log", Keyring(tmp_path / "secrets")
    with pytest.raises(Killed):
        compare(log, keys, Short(1e6, frames=12), place_seconds=0)
    place = log / "snap" / snapshots.PLACE
    written = place.read_bytes()
    path = older_segment(log)
    place.write_bytes(snapshots.found(log)[-1].read_bytes())
    with pytest.raises(LogCorruptError, match=path.name):
        compare(log, keys, Pace(0))
    assert not place.exists()
    place.write_bytes(written)
    assert compare(log, keys, Pace(0)).seq
    with pytest.raises(LogCorruptError, match=path.name):
        compare(log, keys, Pace(0))


def test_it_rests() -> None:
    """It works a twentieth of the time, and goes on without rest where it is behind the day."""
    slept: list[float] = []
    pace = Pace(1e6, slept.append)
    while not slept:
        pace.rest(1, 2)
    assert 0.05 * 19 <= slept[0] < 0.2 * 19
    behind = Pace(0.0, slept.append)
    while len(slept) < 2:
        behind.rest(1, 2)
    assert slept[1] == 0


def test_the_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and counted, and goes when a later replay finds nothing."""
    put(tmp_path, whole(pruned=True))
    newest = snapshots.found(tmp_path / "log")[-1]
    good = newest.read_bytes()
    another_state(tmp_path)
    replaying = Replaying(tmp_path / "log", tmp_path / "secrets", pass_seconds=0.0, delay=0.0)

    def alarm() -> float:
        shown, _ = swarmlog.of_replaying(replaying)
        return next(iter(shown.samples)).value

    async def main() -> None:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(replaying.run)
                while not replaying.alarm:  # noqa: ASYNC110  # no event tells
                    await trio.sleep(0.02)
                assert alarm() == 1
                newest.write_bytes(good)
                while replaying.alarm:  # noqa: ASYNC110  # likewise
                    await trio.sleep(0.02)
                assert alarm() == 0
                nursery.cancel_scope.cancel()

    trio.run(main)
    told = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert told[0].startswith("THE LOG AND THE STATE DISAGREE: replay from event")
