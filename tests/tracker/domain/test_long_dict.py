"""A dictionary in parts holds what a usual one holds, in its order."""

from __future__ import annotations

import random

import pytest

from tracker.domain import long_dict
from tracker.domain.long_dict import LongDict


def test_any_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_dict, "_MOST", 8)
    chance, usual = random.Random(1), dict[int, int]()
    own = LongDict[int, int]()
    for step in range(6000):
        key = chance.randrange(100 if step % 2000 < 1400 else 10)
        if chance.random() < (0.7 if step % 1000 < 500 else 0.2):
            own[key] = usual[key] = step
        else:
            assert own.pop(key, -1) == usual.pop(key, -1)
        assert own.get(key, -1) == usual.get(key, -1)
        assert (key in own) == (key in usual)
        assert (len(own), bool(own)) == (len(usual), bool(usual))
        if step % 10 == 0:
            assert list(own.items()) == list(usual.items())
            assert own == usual
            assert all(own._parts) or len(own._parts) == 1
            assert len(own._parts) <= 1 + len(usual)
    with pytest.raises(KeyError):
        own[1000]
    assert list(LongDict(usual.items()).items()) == list(usual.items())
