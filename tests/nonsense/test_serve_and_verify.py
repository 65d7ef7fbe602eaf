"""Serving and verifying agree about damaged files: whatever a start refuses, verifying finds."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.nonsense.forging import Files, drop
from tests.nonsense.whole import findings, put, refusal, whole

if TYPE_CHECKING:
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
def test_they_agree(tmp_path: Path, unsynced: None, seed: int) -> None:
    """A start never refuses what verifying calls whole."""
    del unsynced
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
def test_a_segment_in_the_middle(tmp_path: Path, pruned: bool, unsynced: None) -> None:
    """A start tells from the neighbours that a segment and its seal are gone."""
    del unsynced
    names = [one for one in whole(pruned=pruned) if one.endswith(".evl")]
    for name in names[1:-1]:
        files = dict(whole(pruned=pruned))
        del files[name]
        files.pop(name.replace("/seg/", "/seal/").replace(".evl", ".json"), None)
        put(tmp_path / "site", files)
        assert "are missing before this file" in str(refusal(tmp_path / "site"))
