"""An insider without secrets forges, exchanges and deletes seals, and changes history digests."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from eventlog import history_at
from tests.attacks.support import Files, check_accepted, check_refused, put, site, with_crc
from tracker.store import opening_balance
from tracker.store.address_keys import Keyring
from tracker.upkeep import pruning
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("unsynced")


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


def test_copies_pruned_at_different_places(tmp_path: Path) -> None:
    """They have the same history digest as the whole log, at every place that all hold."""
    put(tmp_path / "whole", site())
    keys = Keyring(tmp_path / "whole/secrets")
    names = segments(site())
    end = int(names[-1][-35:-15])
    expected = history_at(tmp_path / "whole/log", end, bytes(32))
    for begin in {int(name[-35:-15]) for name in names[1:4]}:
        copy = tmp_path / str(begin)
        put(copy, site())
        made = pruning.make(copy / "log", begin, keys)
        pruning.adopt(copy / "log", made)
        pruning.finish(copy / "log", begin)
        assert opening_balance.history(copy / "log", keys).hex() == made.history
        assert history_at(copy / "log", end, bytes.fromhex(made.history)) == expected
