"""Snapshot files: a loaded state is the written one, and a file that does not fit is never used."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from eventlog import LogCorruptError, Reader
from tests.days import Site, address_of, endpoints, forms
from tests.support import START_US, Announce, Rig, endpoint4, hash_of, keys_of, own_keys
from tests.tracker.logged import HASH, write_log
from tracker.domain import addresses_by_day, image
from tracker.domain.state import State
from tracker.offline.verify import Verification
from tracker.ports import Moment
from tracker.store import snapshot_file, snapshots
from tracker.store.address_keys import Keyring, day_of
from tracker.store.moments import ForwardReplay
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventlog import Finding


def replayed_to(log: Path, seq: int, keys: Keyring | None = None) -> State:
    """The state after the first frame that reaches `seq`."""
    state = State()
    for frame in Reader(log, to_end=True, keys=keys).frames():
        if state.seq >= seq:
            break
        header = frame.header
        state.apply(header.kind, header.schema, header.base_seq, frame.plain, frame.protected)
    return state


def write_at(log: Path, seqs: list[int], keys: Keyring | None = None) -> list[Path]:
    """Writes snapshots of the states at about these events."""
    written = []
    keys = keys or own_keys(log)
    for seq in seqs:
        state = replayed_to(log, seq, keys)
        path = snapshots.write(log, state, keys)
        assert path is not None
        written.append(path)
    return written


def end(log: Path, keys: Keyring | None = None) -> State:
    return replay(Reader(log, to_end=True, keys=keys))


def started(log: Path, keys: Keyring | None, refused: list[str] | None = None) -> tuple[int, State]:
    """The event that a start begins with, and the state that it comes to."""
    why = [] if refused is None else refused
    state, reader = snapshots.start(log, keys, to_end=True, refused=why.append)
    begin = state.seq
    return begin, replay(reader, state=state)


def test_a_start_from_a_snapshot(tmp_path: Path) -> None:
    """A start from a snapshot comes to the same state, with every address; without keys to the same
    as replay."""
    site = Site(tmp_path)
    site.live(4, leave=False)
    keys = keys_of(site.secrets)
    (path,) = write_at(site.log, [30], keys)
    begin, state = started(site.log, keys)
    assert 30 <= begin == snapshots.seq_of(path) < state.seq
    assert state.digest() == end(site.log, keys).digest()
    assert path.stat().st_mode & 0o777 == 0o640
    begin, blind = started(site.log, None)
    assert begin == 0
    assert blind.hidden_peers()
    assert blind.digest(addresses=False) == state.digest(addresses=False)


def test_the_newest_three_are_kept(tmp_path: Path) -> None:
    """A start takes the newest.

    None is written twice or of an empty log, and the files of a killed writer go.
    """
    write_log(tmp_path)
    (tmp_path / "snap").mkdir()
    (tmp_path / "snap" / f"{5:020d}.snap.99999999.tmp").write_bytes(b"half")
    paths = write_at(tmp_path, [4, 9, 14, 20, 25])
    assert snapshots.found(tmp_path) == paths[-3:] == sorted((tmp_path / "snap").iterdir())
    keys = own_keys(tmp_path)
    begin, _ = started(tmp_path, keys)
    assert begin == snapshots.seq_of(paths[-1])
    assert snapshots.write(tmp_path, replayed_to(tmp_path, begin), keys) is None
    assert snapshots.write(tmp_path, State(), keys) is None


@pytest.mark.parametrize(
    ("number", "room", "left"), [(20, 2000, 20), (100, 10_000, 32), (20, 500, 5), (20, 99, 0)]
)
def test_older_ones_are_spread_over_the_log(number: int, room: int, left: int) -> None:
    """As many stay as there may be, or there is room for, at even distances."""
    sizes: dict[int, int] = {}
    for seq in range(1, number + 1):  # each is written when the ones before were thinned
        sizes[1000 * seq] = 100
        for gone in snapshots.thinned(sizes, 1000 * (seq + 1), room):
            del sizes[gone]
    assert len(sizes) == left
    ends = [0, *sizes, 1000 * (number + 1)]
    gaps = [after - before for before, after in pairwise(ends)]
    assert max(gaps) <= 3 * ends[-1] / len(gaps)


def test_those_of_a_lost_end(tmp_path: Path) -> None:
    """Snapshots of events that are lost have higher numbers, or the same one: a new one is written
    and stays."""
    write_log(tmp_path)
    path, later = write_at(tmp_path, [30, 60])
    for number in range(900, 900 + snapshots.KEPT):
        later.with_name(f"{number:020d}.snap").write_bytes(later.read_bytes())
    state = replayed_to(tmp_path, 30)
    path.write_bytes(later.read_bytes())
    keys = own_keys(tmp_path)
    assert snapshots.write(tmp_path, state, keys) == path
    assert snapshots.write(tmp_path, state, keys) is None
    assert started(tmp_path, keys)[0] == state.seq
    assert len(snapshots.found(tmp_path)) == snapshots.KEPT


def test_a_snapshot_under_another_name(tmp_path: Path) -> None:
    """A look back does not take a later state for an earlier one."""
    write_log(tmp_path)
    path, later = write_at(tmp_path, [20, 60])
    later.rename(path)
    at = snapshots.seq_of(path)
    state = ForwardReplay(tmp_path, lambda _done, _total: None, own_keys(tmp_path)).at(
        Moment(seq=at)
    )
    assert state.digest() == replayed_to(tmp_path, at + 1).digest()


def test_addresses_are_taken_in_pieces() -> None:
    """Writing makes no object for each peer at once, because the follower shares memory with the
    tracker."""
    rig = Rig()
    peers = 40_000
    for first in range(0, peers, 1000):
        rig.announce(*(Announce(hash_of(at), endpoint4(at)) for at in range(first, first + 1000)))
    tracemalloc.start()
    private = addresses_by_day.dump(rig.state.swarms, rig.state.bases)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(map(len, private.values())) == 18 * peers
    assert peak < 200 * peers


def test_a_folder_in_the_place_of_a_snapshot(tmp_path: Path) -> None:
    """The folder is named and passed over, and does not count as one of those that are kept."""
    write_log(tmp_path)
    paths = write_at(tmp_path, [4, 9])
    paths[0].unlink()
    paths[0].mkdir()
    paths += write_at(tmp_path, [14, 20, 25])
    paths[-1].unlink()
    paths[-1].mkdir()
    refused: list[str] = []
    _, reader = snapshots.start(tmp_path, own_keys(tmp_path), refused=refused.append)
    (said,) = refused
    assert f"{paths[-1].name} is not used: is a folder" in said
    assert next(reader.frames()).header.base_seq == snapshots.seq_of(paths[-2])
    paths += write_at(tmp_path, [30])
    assert snapshots.found(tmp_path) == [paths[0], *paths[2:]]


def test_a_file_in_the_place_of_their_folder(tmp_path: Path) -> None:
    """The text says what to do; a start goes on without it."""
    write_log(tmp_path)
    (tmp_path / "snap").touch()
    assert started(tmp_path, None, [])[0] == 0
    with pytest.raises(OSError, match="is a file, and should be a folder: move it away"):
        snapshots.write(tmp_path, end(tmp_path), None)


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def exchanged(path: Path) -> None:
    """Puts another file in its place."""
    path.write_bytes(snapshots.found(path.parent.parent)[0].read_bytes())


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of the header": (lambda path: flipped(path, 40), "header is damaged"),
    "a byte of the table": (lambda path: flipped(path, 162), "SHA-256"),
    "a byte in the middle": (lambda path: flipped(path, path.stat().st_size * 9 // 10), "SHA-256"),
    "a bit of the MAC": (
        lambda path: flipped(path, path.stat().st_size - 10),
        "checksum of its MAC",
    ),
    "a part is missing": (cut, "SHA-256"),
    "nothing is left": (lambda path: path.write_bytes(b""), "incomplete"),
}


@pytest.mark.parametrize("name", HARM)
def test_damage_is_passed_over(tmp_path: Path, name: str) -> None:
    """A start reports the file and takes the one before; `verify` finds it."""
    harm, said = HARM[name]
    write_log(tmp_path)
    first, second = write_at(tmp_path, [9, 20])
    harm(second)
    refused: list[str] = []
    begin, state = started(tmp_path, own_keys(tmp_path), refused)
    assert begin == snapshots.seq_of(first)
    assert state.digest() == end(tmp_path).digest()
    assert len(refused) == 1
    assert second.name in refused[0]
    assert said in refused[0]
    assert [(one.path, one.damage) for one in verified(tmp_path, own_keys(tmp_path))] == [
        (second, True)
    ]


def verified(log: Path, keys: Keyring | None = None) -> list[Finding]:
    return list(Verification(log, keys).findings(lambda _done, _total: None))


def test_every_byte_is_checked(tmp_path: Path) -> None:
    """A file with any bit flipped, in its MAC too, is passed over as damaged: no bad sector makes
    it forged, which would end a start."""
    write_log(tmp_path)
    (path,) = write_at(tmp_path, [9])
    whole = path.read_bytes()
    log_id, keys = Reader(tmp_path)._log_id, own_keys(tmp_path)
    for at in (*range(0, len(whole), 7), *range(len(whole) - 68, len(whole))):
        flipped(path, at)
        with pytest.raises(snapshot_file.SnapshotError) as refused:
            snapshot_file.read(path, log_id, keys)
        assert not isinstance(refused.value, snapshot_file.ForgedSnapshotError)
        path.write_bytes(whole)
    assert snapshot_file.read(path, log_id, keys).state().seq == snapshots.seq_of(path)


def test_other_logs_and_other_histories(tmp_path: Path) -> None:
    """A snapshot of another log ends a start. One of another history is not used."""
    one, other = tmp_path / "one", tmp_path / "other"
    for log in one, other:
        write_log(log)
    (own,), (foreign,) = write_at(one, [9]), write_at(other, [20])
    foreign.rename(one / "snap" / foreign.name)
    refused: list[str] = []
    with pytest.raises(LogCorruptError, match="that these secrets do not hold"):
        started(one, own_keys(one))
    (one / "snap" / foreign.name).unlink()
    assert started(one, own_keys(one), refused)[0] == snapshots.seq_of(own)
    assert refused == []
    # The same numbers, other frames: the folder was restored from a backup and went on.
    for path in (other / "seg").iterdir():
        path.unlink()
    write_log(other)
    (late,) = write_at(other, [20])
    for path in (other / "seg").iterdir():
        path.unlink()
    write_log(other)
    refused.clear()
    assert started(other, own_keys(other), refused)[0] == 0
    assert "another history" in refused[0]
    assert verified(other, own_keys(other))[0].what == "replay comes to another state"
    for path in sorted((other / "seg").iterdir())[1:]:
        path.unlink()
    refused.clear()
    assert started(other, own_keys(other), refused)[0] == 0
    assert "beyond the durable end" in refused[0]
    assert [one.what for one in verified(other, own_keys(other))] == [
        "no frame of the log ends there"
    ]
    late.unlink()
    assert verified(other, own_keys(other)) == []


def test_those_of_other_versions_are_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots of other versions are left alone, and the log is replayed."""
    write_log(tmp_path)
    with monkeypatch.context() as later:
        later.setattr(image, "PROJECTOR", 99)
        (path,) = write_at(tmp_path, [9])
    refused: list[str] = []
    assert started(tmp_path, own_keys(tmp_path), refused)[0] == 0
    assert "rules 99" in refused[0]
    assert [(one.path, one.damage) for one in verified(tmp_path, own_keys(tmp_path))] == [
        (path, False)
    ]


def test_stand_ins_for_addresses_are_no_damage(tmp_path: Path) -> None:
    """A snapshot made where some addresses could not be read is whole for a reader of all."""
    site = Site(tmp_path)
    site.live(3, leave=False)
    blind = replayed_to(site.log, 40)
    assert blind.hidden_peers()
    assert snapshots.write(site.log, blind, keys_of(site.secrets)) is not None
    assert verified(site.log, keys_of(site.secrets)) == []


def test_verify_compares_with_replay(tmp_path: Path) -> None:
    """`verify` finds a whole file with another state, addresses included, and counts the right
    ones."""
    site = Site(tmp_path)
    site.live(3, leave=False)
    keys = keys_of(site.secrets)
    right, wrong, elsewhere = write_at(site.log, [10, 20, 40], keys)
    assert verified(site.log, keys) == []
    log_id = Reader(site.log)._log_id
    one = snapshot_file.read(wrong, log_id, keys)
    state = one.state()
    state.swarms.completed_total += 1
    snapshot_file.write(wrong, one.position, state, keys)
    one = snapshot_file.read(elsewhere, log_id, keys)
    state = one.state()
    v4 = state.swarms.v4
    v4.addresses[6 * min(v4.positions())] ^= 1
    snapshot_file.write(elsewhere, one.position, state, keys)
    verification = Verification(site.log, keys)
    findings = list(verification.findings(lambda _done, _total: None))
    assert [one.path for one in findings] == [wrong, elsewhere]
    assert {one.what for one in findings} == {"replay comes to another state"}
    assert verification.snapshots == 3
    assert right.exists()


def test_looking_back_begins_at_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay to a moment begins with no later snapshot; every state is the same with snapshots
    and without."""
    write_log(tmp_path)
    keys = own_keys(tmp_path)
    keys.prepare(day_of(START_US))
    last = end(tmp_path).seq - 1
    plain = [
        ForwardReplay(tmp_path, lambda *_: None, keys).at(Moment(seq=n)).digest()
        for n in range(last + 1)
    ]
    paths = write_at(tmp_path, [9, 20], keys)
    used = []
    read = snapshots.read
    monkeypatch.setattr(
        snapshots, "read", lambda log, path, keys: used.append(path) or read(log, path, keys)
    )
    for number, expected in enumerate(plain):
        used.clear()
        assert (
            ForwardReplay(tmp_path, lambda *_: None, keys).at(Moment(seq=number)).digest()
            == expected
        )
        nearest = [path for path in paths if snapshots.seq_of(path) <= number + 1]
        assert used == nearest[-1:]


def test_shredding_reaches_snapshots(tmp_path: Path) -> None:
    """No address is in a snapshot in clear.

    Without a day's key only the addresses of that day are gone.
    """
    site = Site(tmp_path)
    site.live(2, leave=False)
    keys = keys_of(site.secrets)
    write_at(site.log, [site.replayed().seq], keys)
    assert site.traces() == []
    keys.destroy(site.first_day)
    _, state = started(site.log, keys_of(site.secrets))
    assert state.hidden_peers()
    there = bytes(state.swarms.v4.addresses) + bytes(state.swarms.v6.addresses)
    gone, left = endpoints(site.first_day), endpoints(site.first_day + 1)
    assert not any(endpoint in there for endpoint in gone)
    assert all(endpoint in there for endpoint in left)
    assert state.digest(addresses=False) == site.replayed().digest(addresses=False)


def test_a_key_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    """A snapshot leaves out addresses of a day whose key is gone."""
    site = Site(tmp_path)
    state = site.live(1, leave=False)
    keys_of(site.secrets).destroy(site.first_day)
    keys = keys_of(site.secrets)
    path = snapshots.write(site.log, state, keys)
    assert keys.days() == []
    assert path is not None
    data = path.read_bytes()
    for endpoint in endpoints(site.first_day):
        assert not any(form in data for form in forms(address_of(endpoint)))
    assert started(site.log, keys)[1].swarms.counts(HASH) == state.swarms.counts(HASH)


def test_the_last_space_is_left_to_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little free space no snapshot is written, and no file is left behind."""
    write_log(tmp_path)
    monkeypatch.setattr(snapshot_file, "SPARE_BYTES", 1 << 60)
    with pytest.raises(OSError, match="too little free space"):
        write_at(tmp_path, [9])
    assert list((tmp_path / "snap").iterdir()) == []


@pytest.mark.parametrize("number", [-1, 2**64, 2**70, 1.5, None])
def test_numbers_that_no_log_has(number: object) -> None:
    """A file with numbers too large for a state is no usable snapshot, in either build."""
    plain: dict[str, image.Buffer] = dict(image.dump(State()).plain)
    rest = json.loads(bytes(plain["state"]))
    rest["clock"]["seq"] = number
    plain["state"] = json.dumps(rest).encode()
    made = snapshot_file.Snapshot(
        2, snapshot_file.Position(b"", 7, 0, bytes(16)), 0, b"", plain, {}
    )
    with pytest.raises(snapshot_file.SnapshotError):
        made.state()
