"""A month of a community: the tracker, its ledgers and an independent count agree about all credit.

`COMMUNITY_SEED=7 scripts/test --faults -k month` lives another month.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.independent_reader import check_rules, count_credit
from tests.simulation.community import TORRENTS, Community
from tests.support import events_in, hash_of, replayed, undated
from tracker.domain import image
from tracker.ledger.account import Ledger
from tracker.ledger.torrent import Contributions

if TYPE_CHECKING:
    from eventlog import Frame
    from tracker.domain.accounts import Totals
    from tracker.domain.state import State

SEED = int(os.environ.get("COMMUNITY_SEED", "30"))
ENDED = ("its key", "its torrent", "lost addresses", "the mode", "shredded", "age", "cap")
"""The reasons for which a peer's counters are not remembered."""

Rows = dict[tuple[int, str], list[int]]


@pytest.mark.parametrize(
    ("members", "days"), [(20, 6), pytest.param(200, 30, marks=pytest.mark.faults)]
)
def test_a_month_is_counted_alike(members: int, days: int) -> None:
    """Live, replayed with and without keys, from an opening, in the ledgers and by the script, for
    each account and torrent. Each new session has a reason.
    """
    community = Community(SEED, members, days)
    community.live()
    state, frames = community.service.state, community.log.frames()
    told = [event for frame in frames for event in events_in([frame])]
    found = check_rules.check(told)
    rules = ("first", "continued", "resumed", "restarted")
    missing = [name for name in (*rules, *ENDED) if not found[name]]
    assert not missing or members < 200, f"no {missing} in this month"
    counted, corrections = by_script(told), Counter[tuple[int, int]]()
    for one in told:
        if one["type"] == "credit_corrected":
            corrections[one["account"], 2] += one["uploaded"]
            corrections[one["account"], 3] += one["downloaded"]
    for account in range(1, state.access.next_key_ref):
        rows = [row for (whose, _), row in counted.items() if whose == account]
        totals = [sum(column) for column in zip(*rows, strict=True)] or [0] * 6
        assert amounts(state.totals(account)) == [
            total + corrections[account, at] for at, total in enumerate(totals)
        ], account
    check_replays(frames, state)
    check_ledgers(frames, state, counted)


def amounts(totals: Totals) -> list[int]:
    return [*totals[:4], totals.seeding_us, totals.partial_us]


def by_script(told: list[dict[str, object]]) -> Rows:
    """Returns what `count_credit.py` prints, by account and torrent."""
    script = Path(count_credit.__file__)
    assert len(script.read_text().splitlines()) <= 180
    lines = "\n".join(map(json.dumps, told))
    done = subprocess.run(
        [sys.executable, script], input=lines, capture_output=True, text=True, check=True
    )
    rows = map(ast.literal_eval, done.stdout.splitlines())
    return {name: row for name, row in rows if any(row)}


def hidden(frame: Frame) -> Frame:
    """Returns a frame as a reader without its day's key reads it."""
    return frame._replace(protected=memoryview(b""))


def check_replays(frames: list[Frame], state: State) -> None:
    """Replays with all keys, without those that were shredded, and without any."""
    assert replayed(frames).digest() == state.digest()
    days = {frame.header.time_us // count_credit.DAY for frame in frames}
    kept = {max(days), max(days) - 1}
    some = [
        one if one.header.time_us // count_credit.DAY in kept else hidden(one) for one in frames
    ]
    for part in some, list(map(hidden, frames)):
        assert replayed(part).digest(addresses=False) == state.digest(addresses=False)


def check_ledgers(frames: list[Frame], state: State, counted: Rows) -> None:
    """Compares the ledgers by account and by torrent, and those of a log that was pruned."""
    found: Rows = {}
    cut = len(frames) * 2 // 3
    opening = image.dump(replayed(frames[:cut]), addresses=False)
    late = image.load(opening.plain, {})
    for one in frames[cut:]:
        header = one.header
        late.apply(header.kind, header.schema, header.base_seq, one.plain, one.protected)
    assert late.digest(addresses=False) == state.digest(addresses=False)
    for account in sorted({account for account, _ in counted}):
        ledger = Ledger(account)
        for _ in ledger.entries(frames):
            pass
        assert undated(ledger.whole().totals) == undated(state.totals(account))
        for info_hash, sums in ledger.sums().items():
            if info_hash is not None and any(amounts(sums.totals)):
                found[account, info_hash.hex()] = amounts(sums.totals)
        if account % 5 == 0:
            pruned = Ledger(account)
            list(pruned.opening([], image.load(opening.plain, {})))
            for _ in pruned.entries(frames[cut:]):
                pass
            assert undated(pruned.whole().totals) == undated(state.totals(account))
    assert found == counted
    for number in range(0, TORRENTS, 3):
        torrent = Contributions(hash_of(number))
        list(torrent.entries(frames))
        for account, sums in torrent.sums().items():
            row = amounts(sums.totals)
            assert row == found.get((account, hash_of(number).hex()), [0] * 6)
