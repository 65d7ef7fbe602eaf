"""Serving and verifying agree about damaged files: whatever a start refuses, verifying finds."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from eventlog import LogCorruptError, remove_before
from tests.nonsense.forging import Files, drop
from tests.nonsense.whole import findings, put, refusal, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS = 25
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(2, 40))]


def damaged(files: Files, chance: Random) -> Files:
    """Returns the files after one to three accidents."""
    found = dict(files)
    if chance.random() < 0.5:
        drop(found, ".snap")
    for _ in range(chance.randrange(1, 4)):
        _accident(found, chance.choice(sorted(found)), chance)
    return found


def _accident(files: Files, name: str, chance: Random) -> None:
    data = files[name]
    at = chance.randrange(len(data) + 1)
    how = chance.randrange(7)
    if how == 0:
        del files[name]
    elif how == 1:
        files[name] = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :] if at < len(data) else b""  # fmt: skip
    elif how == 2:
        files[name] = data[:at]
    elif how == 3:
        files[name] = data + chance.choice((bytes(16), data[-96:], chance.randbytes(100)))
    elif how == 4:
        end = min(len(data), at + 512)
        files[name] = data[:at] + bytes(end - at) + data[end:]
    elif how == 5:
        files[name] = files[chance.choice(sorted(files))]
    else:
        stem = name.rpartition("/")[2].partition(".evl")[0].partition(".json")[0]
        for each in [one for one in files if stem in one]:
            del files[each]


@pytest.mark.parametrize("seed", SEEDS)
def test_they_agree(tmp_path: Path, seed: int) -> None:
    """A start never refuses what verifying calls whole."""
    chance = Random(seed)
    refused = 0
    for number in range(ROUNDS):
        files = damaged(whole(pruned=number % 2 == 1), chance)
        put(tmp_path / "site", files)
        said = findings(tmp_path / "site")
        calls_damaged = isinstance(said, Exception) or any(one.damage for one in said)
        why = refusal(tmp_path / "site")
        refused += why is not None
        assert calls_damaged or why is None, why
    assert refused > ROUNDS // 8


@pytest.mark.parametrize("pruned", [False, True])
def test_a_segment_in_the_middle(tmp_path: Path, pruned: bool) -> None:
    """A start tells from the neighbours and the note that a segment and its seal are gone."""
    names = [one for one in whole(pruned=pruned) if one.endswith(".evl")]
    for name in names[1:-1]:
        files = dict(whole(pruned=pruned))
        del files[name]
        files.pop(name.replace("/seg/", "/seal/").replace(".evl", ".json"), None)
        put(tmp_path / "site", files)
        assert isinstance(refusal(tmp_path / "site"), LogCorruptError)
        assert _damage(tmp_path / "site")


def _damage(site: Path) -> bool:
    """Says whether verifying finds damage."""
    said = findings(site)
    return isinstance(said, Exception) or any(one.damage for one in said)


IN_PLACE: dict[str, Callable[[Path], None]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing/there"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("what", IN_PLACE)
def test_no_file(tmp_path: Path, what: str) -> None:
    """In the place of any file: nobody waits for a pipe or reads a device, and both agree."""
    files = whole(pruned=True)
    kinds = {name.rpartition("/")[0]: name for name in files}  # the last file of each folder
    newest_seal = max(name for name in files if name.endswith(".evl"))
    newest_seal = newest_seal.replace("/seg/", "/seal/").replace(".evl", ".json")
    for name in (*kinds.values(), "log/LOCK", "log/identity.json", newest_seal):
        put(tmp_path / "site", files)
        path = tmp_path / "site" / name
        path.unlink(missing_ok=True)
        IN_PLACE[what](path)
        assert _damage(tmp_path / "site"), name
        refusal(tmp_path / "site")
    put(tmp_path / "site", files)
    (tmp_path / "site" / "log" / "quarantine").mkdir()
    IN_PLACE[what](tmp_path / "site" / "log" / "quarantine" / "x")
    assert not _damage(tmp_path / "site")


def test_folders_where_files_are_removed(tmp_path: Path) -> None:
    """They stay, and do not keep a removal from its end."""
    files = whole(pruned=True)
    put(tmp_path / "site", files)
    log = tmp_path / "site" / "log"
    segments = sorted(name.rpartition("/")[2] for name in files if name.endswith(".evl"))
    begin = int(segments[0][:20])
    for name in (f"seal/{1:020d}.{1:010d}.json", f"quarantine/{1:020d}.{1:010d}.evl.9", f"opening/{1:020d}.opening", f"kept/{0:020d}.{1:020d}.evk", "seal/x.tmp"):  # fmt: skip
        (log / name).mkdir(parents=True)
    (log / "kept" / "old.tmp").touch()
    remove_before(log, begin)
    assert not (log / "kept" / "old.tmp").exists()
    assert refusal(tmp_path / "site") is None


@pytest.mark.parametrize("name", ["secrets/server.key", "secrets/privacy/"])
def test_a_secret_that_is_gone(tmp_path: Path, name: str) -> None:
    """Verifying tells of every secret that the log needs."""
    files = whole(pruned=False)
    put(tmp_path / "site", {one: data for one, data in files.items() if not one.startswith(name)})
    said = findings(tmp_path / "site")
    assert not isinstance(said, Exception)
    assert any("is missing" in one.what for one in said if one.damage)


@pytest.mark.parametrize("left", [None, 0, 64, 127])
def test_the_newest_segment(tmp_path: Path, left: int | None) -> None:
    """The seal of the segment before shows that it is gone, or that its header was whole once."""
    files = {name: data for name, data in whole(pruned=False).items() if "/reached/" not in name}
    drop(files, ".snap")
    newest = max(name for name in files if name.endswith(".evl"))
    data = files.pop(newest)
    if left is not None:
        files[newest] = data[:left]
    put(tmp_path / "site", files)
    assert _damage(tmp_path / "site")
    refused = str(refusal(tmp_path / "site"))
    assert ("that one is missing" if left is None else "incomplete segment header") in refused


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A bad sector is a finding, and the files after it are verified too. A start names the file.

    The process's own memory stands for the bad sector: nobody can read its first bytes.
    """
    files = dict(whole(pruned=False))
    names = sorted(name for name in files if name.endswith(".evl"))
    files[names[2]] = files[names[2]][:-1]
    put(tmp_path / "site", files)
    bad = tmp_path / "site" / names[1]
    bad.unlink()
    bad.symlink_to("/proc/self/mem")
    said = findings(tmp_path / "site")
    assert not isinstance(said, Exception)
    told = {one.path.name: one.what for one in reversed(said) if one.damage}
    assert told[bad.name] == "cannot be read: Input/output error"
    assert names[2].rpartition("/")[2] in told
    bad.parent.joinpath(names[2].rpartition("/")[2]).write_bytes(whole(pruned=False)[names[2]])
    assert bad.name in str(refusal(tmp_path / "site"))


def test_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its owner may not write is damage for verifying, because no tracker starts with it."""
    owner = os.getuid() or 1000
    for name in ("log", "log/seg", "log/LOCK", "secrets", max(n for n in whole(pruned=False) if n.endswith(".evl"))):  # fmt: skip
        put(tmp_path / "site", whole(pruned=False))
        path = tmp_path / "site" / name
        mode = path.stat().st_mode
        if not os.getuid():
            os.chown(path, owner, owner)
        monkeypatch.setattr(os, "geteuid", lambda: owner)
        assert not _damage(tmp_path / "site"), name
        path.chmod(0o500 if path.is_dir() else 0o400)
        assert _damage(tmp_path / "site"), name
        path.chmod(mode)
