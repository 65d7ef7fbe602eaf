"""An insider without secrets forges, exchanges and deletes seals, and changes history digests."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import Reader, open_log
from tests.attacks.support import (
    Files,
    check_accepted,
    check_refused,
    files_in,
    put,
    site,
    with_crc,
)
from tests.eventlog.logs import running
from tests.support import SECOND, HandTime, Rig
from tests.tracker.pruned import prune
from tracker.cli import main
from tracker.domain.events import codec
from tracker.domain.events.admin import LogPruned
from tracker.store import frames, high_water_mark
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventlog import EventLog


def seals(files: Files) -> list[str]:
    return sorted(name for name in files if "/seal/" in name)


def segments(files: Files) -> list[str]:
    return sorted(name for name in files if "/seg/" in name)


def changed(files: Files, **members: object) -> Files:
    """Changes members of the newest seal."""
    name = seals(files)[-1]
    content = {**json.loads(files[name]), **members}
    return files | {name: json.dumps(content).encode() + b"\n"}


def as_format_1(files: Files) -> Files:
    name = seals(files)[-1]
    content = {**json.loads(files[name]), "format": 1}
    for each in ("history", "tag", "key", "mac"):
        del content[each]
    return files | {name: json.dumps(content).encode() + b"\n"}


def of_another_segment(files: Files) -> Files:
    *_, one, other = seals(files)
    return files | {other: files[one]}


def of_another_branch(files: Files) -> Files:
    """Takes the seals of a log that began as this one did, served with the same secrets."""
    branch = site(branch=1)
    names = [name for name in seals(branch) if files.get(name, branch[name]) != branch[name]]
    assert names
    return files | {names[0]: branch[names[0]]}


def without(files: Files, names: list[str]) -> Files:
    return {name: data for name, data in files.items() if name not in names}


def other_digest(files: Files) -> Files:
    """Changes the history digest in the header of a segment, with its checksum made right."""
    name = segments(files)[-1]
    data = files[name]
    assert data[96:128] != bytes(32)
    head = with_crc(data[:96] + bytes([data[96] ^ 1]) + data[97:188])
    return files | {name: head + data[192:]}


ATTACKS: dict[str, Callable[[Files], Files]] = {
    "another checksum": lambda files: changed(files, sha256="00" * 32),
    "another history": lambda files: changed(files, history="00" * 32),
    "another last tag": lambda files: changed(files, tag="00" * 16),
    "a seal without MAC": as_format_1,
    "of another segment": of_another_segment,
    "of another branch": of_another_branch,
    "one deleted": lambda files: without(files, seals(files)[:1]),
    "all deleted": lambda files: without(files, seals(files)),
    "a digest in a header": other_digest,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_seals(tmp_path: Path, name: str) -> None:
    """`verify` finds damage, and a start ends with exit code 3 and changes nothing."""
    check_refused(tmp_path / "site", ATTACKS[name](site()))


def test_what_was_not_changed_is_accepted(tmp_path: Path) -> None:
    """Neither is a seal that is not written yet damage: the note does not count it."""
    check_accepted(tmp_path / "site", site())


def test_the_follower_seals(tmp_path: Path) -> None:
    """It writes the same seals as the tracker, and none from a damaged segment on."""
    files = site()
    put(tmp_path, without(files, seals(files)))
    told: list[dict[str, object]] = []
    follower = Follower(tmp_path / "log", tmp_path / "secrets", lambda **one: told.append(one))
    follower.catch_up()
    for name in seals(files):
        assert (tmp_path / name).read_bytes() == files[name]
    last = json.loads(files[seals(files)[-1]])
    assert {"sealed": last["history"], "after": last["next_seq"]} in told

    damaged = segments(files)[2]
    data = bytearray(files[damaged])
    data[-20] ^= 1
    put(tmp_path, without(files, seals(files)) | {damaged: bytes(data)})
    follower._seal_from = 0.0
    follower.catch_up()
    assert re.search(r"\.evl: damaged at byte", str(told[-1]["unsealed"]))
    there = [name for name in seals(files) if (tmp_path / name).exists()]
    assert there == seals(files)[:2]


def pruned_copy(
    folder: Path, part: int, sealed: Callable[[EventLog], None] = lambda _: None
) -> LogPruned:
    """Serves a copy of the site that removes its oldest segments, so that one part of so many
    stays; returns what that logged."""
    keep_bytes = sum(len(data) for name, data in site().items() if "/seg/" in name) // part
    put(folder, site())
    keys, path = Keyring(folder / "secrets"), folder / "log"
    log = open_log(
        path, codec.RECORD_SIZES, keys.tags, segment_bytes=1500, linger_seconds=0, encryptor=keys,
    )  # fmt: skip
    state = replay(Reader(path, to_end=True, keys=keys))
    rig = Rig(log=log, time=HandTime(wall=state.time_us + SECOND), state=state)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            await log.seal_finished()
            sealed(log)
            assert await prune(rig.service, log, keep_bytes, keys)

    trio.run(main)
    high_water_mark.note(folder / "secrets", log, rig.state.time_us)
    at = rig.state.tally.pruned[-1].seq
    (said,) = (
        record.event()
        for frame in Reader(path, at, to_end=True, keys=keys).frames()
        for seq, record in frames.admin(frame)
        if seq == at
    )
    assert isinstance(said, LogPruned)
    return said


def test_copies_pruned_at_different_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each names the same newest sealed history digest, as the header of its next segment does, and
    `replay` gives it for every copy, also for the whole log. `verify` finds nothing wrong."""
    put(tmp_path / "whole", site())
    said = {tmp_path / name: pruned_copy(tmp_path / name, part) for name, part in (("a", 2), ("b", 3))}  # fmt: skip
    begins = {one.first_seq for one in said.values()}
    assert len(begins) == 2
    ((told, after),) = {(one.history, one.history_seq) for one in said.values()}
    assert after is not None
    assert after > max(begins)
    for folder in (tmp_path / "whole", *said):
        check_accepted(folder, files_in(folder))
        options = ["--log", str(folder / "log"), "--secrets", str(folder / "secrets")]
        capsys.readouterr()
        assert main(["replay", "--json", "--at", str(after - 1), *options]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["history"], shown["history_seq"]) == (told, after)


def test_a_removal_that_names_another_history(tmp_path: Path) -> None:
    """Only the tracker itself can log it; `verify` finds it, and a start refuses it."""

    def other(log: EventLog) -> None:
        log.note_sealed((bytes(32), log.sealed[1]))

    pruned_copy(tmp_path / "site", 2, other)
    check_refused(tmp_path / "site", files_in(tmp_path / "site"))
