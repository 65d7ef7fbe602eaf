"""Upload beyond what others can have received is what a recomputation by docs/audit.md alone finds,
in random histories."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tests.independent_reader.unexplained import DAY_US, Told, find
from tests.support import START_US, few_or_many, try_examples
from tracker.domain.detecting.intervals import CASE, Finding, Interval
from tracker.domain.detecting.received import UploadBeyondReceived
from tracker.domain.events import NONE, STOPPED

GIB = 1 << 30
MINUTE_US = 60_000_000
SILENT_US = 360 * MINUTE_US
SIZES = {b"s" * 20: 3 * GIB, b"l" * 20: 40 * GIB}


@few_or_many(60, 1000)
def test_a_recomputation_agrees(count: int) -> None:
    try_examples(count, _check, seed=st.integers(0, 2**32))


def test_random_histories_have_cases_and_what_explains_them() -> None:
    told = [_told(random.Random(seed)) for seed in range(40)]
    sent = sum(each.up > 0 and each.account > 0 for one in told for each in one)
    found = [each for one in told for each in find(one, SIZES, [])]
    assert sent / 10 < len(found) < sent / 2
    assert len(found) / 10 < sum(case for _, _, case in found) < len(found) * 2 / 3


def _check(seed: int) -> None:
    dice = random.Random(seed)
    told = _told(dice)
    outages = _outages(dice, told)
    heard = [(each.evidence[-1], each) for each in _heard(told, outages)]
    expected = find(told, SIZES, outages)
    assert [(each.amount, each.grade == CASE) for _, each in heard] == [
        (amount, case) for _, amount, case in expected
    ]
    leads = [seq for seq, each in heard if each.grade != CASE]
    assert leads == [end + 1 for end, _, case in expected if not case]


def _told(dice: random.Random) -> list[Told]:
    """Lives some time in two torrents with up to four members, two of whom have two clients."""
    told: list[Told] = []
    listed: dict[Any, int] = {}
    known: dict[Any, int | None] = {}
    totals: dict[Any, tuple[int, int]] = {}
    peaks: dict[Any, tuple[int, int]] = {}
    time_us, liar = START_US, dice.random() * 1.2
    slow = dice.random() < 0.3
    for _ in range(dice.choice([20, 60, 120])):
        days = dice.choice([1, 3, 6, 7]) if slow and dice.random() < 0.1 else 0
        time_us += dice.choice([0, 1, 10, 20]) * MINUTE_US + days * DAY_US
        silent = [name for name, at_us in listed.items() if time_us - at_us > SILENT_US]
        told += [Told(listed.pop(name) + SILENT_US, *name, "silent") for name in silent]
        info_hash = dice.choice([b"s" * 20, b"l" * 20, b"l" * 20])
        account = dice.choice([0, 1, 1, 1, 1, 2, 3] if info_hash < b"m" else [1, 1, 2])
        name = account, info_hash, bytes([account, dice.choice([0, 0, account % 2])]).ljust(20)
        size, before = SIZES[info_hash], known.get(name)
        kind = dice.choice(["next"] * 9 + ["stopped"])
        if name not in listed:
            kind = "next" if name in known and dice.random() < 0.6 else "first"
        left: int | None = dice.choice([0, size, size - size // 7, dice.randrange(size)])
        if name in known and before is not None and dice.random() < 0.8:
            left = before - dice.choice([0, size // 20, size // 5])
        left = None if dice.random() < 0.02 else max(left or 0, 0)
        up = dice.choice([0, size // 30, size // 8, size // 2, size, dice.randrange(3 * size)])
        up *= dice.random() < (liar if account == 1 else 0.3)
        down = dice.choice([0, 0, 0, dice.randrange(size // 3)])
        first = kind == "first"
        had = totals.get(name, (0, 0))
        said = had[0] + up, had[1] + down
        if name in peaks and dice.random() < 0.8:  # an old announce came before this one
            peak = peaks.pop(name)
            said = peak[0] + dice.choice([0, 0, up]), peak[1] + down
        elif name in totals and dice.random() < 0.3:  # this is an old one
            peaks[name], some = had, dice.choice([0, up])
            said = max(0, had[0] - some), had[1] - dice.choice([0, 0, min(down, had[1])])
        up, down = (0, 0) if first else (max(0, said[0] - had[0]), max(0, said[1] - had[1]))
        totals[name] = said
        told.append(Told(time_us, *name, kind, up, down, left, None if first else before, *said))
        known[name] = left
        listed[name] = time_us
        if kind == "stopped":
            del listed[name]
    return sorted(told, key=lambda each: each.time_us)


def _outages(dice: random.Random, told: list[Told]) -> list[int]:
    """When outages ended: at announces for which nothing happened in the ten minutes before."""
    waited = [b.time_us for a, b in pairwise(told) if b.time_us - a.time_us > 10 * MINUTE_US]
    return [time_us for time_us in waited if dice.random() < 0.1]


def _heard(told: list[Told], outages: list[int]) -> list[Finding]:
    detector, now_us = UploadBeyondReceived(), START_US - 10 * MINUTE_US
    last: dict[Any, int] = {}
    left: dict[Any, int | None] = {}
    found: list[Finding] = []
    for at, one in enumerate(told):
        if one.time_us in outages:
            now_us = one.time_us - 10 * MINUTE_US
        while now_us < one.time_us:
            now_us = min(one.time_us, now_us + 10 * MINUTE_US)
            found += detector.ticked(now_us)
        gone = one.kind in ("stopped", "silent")
        found += detector.heard(
            Interval(
                at + 1, one.time_us, last.get(one.peer, one.time_us), one.account, one.info_hash,
                one.peer_id, None, 0, None, 0, STOPPED if one.kind == "stopped" else NONE, one.up,
                one.down, left[one.peer] if one.kind == "silent" else one.left,
                one.left_before, one.uploaded, one.downloaded, one.kind == "first", False, gone,
                SIZES[one.info_hash],
            )
        )  # fmt: skip
        if one.kind != "silent":
            last[one.peer] = one.time_us
            left[one.peer] = one.left
    return found
