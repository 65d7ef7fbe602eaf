"""The detectors on simulated members: few cases against honest ones, and most cheats found.

`python -m tests.population --members 20000 --days 30` measures a whole site.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from eventlog import Reader
from tests.population.measure import beyond_receivable, feed_of, measure, report
from tests.population.shares import Cheats
from tests.population.simulator import Population
from tests.population.writing import write
from tests.support import events_in, keys_of
from tests.tracker.domain.detecting.said import fields_of
from tests.tracker.upkeep.test_case_keeping import Everything
from tracker.domain.detecting.intervals import CASE, PROOF
from tracker.domain.detecting.watch import Watch
from tracker.domain.state import State
from tracker.store import frames
from tracker.upkeep.case_keeping import CaseKeeper

if TYPE_CHECKING:
    from pathlib import Path

TRAITS = {
    "household", "CGNAT", "IPv4 and IPv6", "seedbox", "falls silent", "downloaded stays 0",
    "downloads again", "rechecks", "adds existing files", "restarts", "wrong clock", "sleeps",
    "moves between networks", "VPN", "cross-seeds", "deselects files", "super-seeding",
    "several clients", "daily address", "ends without stopped", "a version of its own",
}  # fmt: skip
"""The oddities that are in every population of 300 members and ten days."""


def test_bytes_are_conserved_in_honest_swarms() -> None:
    """What clients say that they uploaded is what others received, and up to 3 % more."""
    population = Population(300, 10, seed=3)
    said = list(population.announces())
    assert all(one.time_us <= after.time_us for one, after in pairwise(said))
    assert {trait for member in population.all.values() for trait in member.traits} >= TRAITS
    peaks: dict[tuple[int, bytes, bytes], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one in said:
        key = one.account, one.info_hash, one.peer_id
        up, down = peaks[key]
        peaks[key] = max(up, one.uploaded), max(down, one.downloaded)
    moved = 0
    for swarm in population.swarms:
        sessions = [peak for (_, name, _), peak in peaks.items() if name == swarm.info_hash]
        assert sum(up for up, _ in sessions) <= swarm.received * 1.03
        assert sum(down for _, down in sessions) <= swarm.received
        moved += sum(up for up, _ in sessions)
    assert moved >= 0.8 * sum(swarm.received for swarm in population.swarms)


@pytest.mark.parametrize(
    ("members", "days"), [(300, 10), pytest.param(3000, 15, marks=pytest.mark.faults)]
)
def test_honest_members_are_left_in_peace(members: int, days: int) -> None:
    measured = measure(Population(members, days))
    grades = measured.by_detector().values()
    assert sum(one[CASE] for one in grades) <= 2, "\n".join(report(measured))
    assert not sum(one[PROOF] for one in grades), "\n".join(report(measured))


@pytest.mark.parametrize(
    ("members", "days"), [(300, 8), pytest.param(1500, 10, marks=pytest.mark.faults)]
)
def test_ghost_uploads_are_found(members: int, days: int) -> None:
    """95 % of those who claim, in a torrent, more than 20 % of its size beyond what others can have
    received.
    """
    measured = measure(Population(members, days, 4, cheats=evolve(Cheats(), share=0.2)))
    classes = [one for one in measured.ghosts(beyond_receivable) if one[0] >= 0.2]
    pairs, found = sum(one[1] for one in classes), sum(one[2] for one in classes)
    assert pairs >= members // 20
    assert found >= 0.95 * pairs, "\n".join(report(measured))


def test_a_log_has_what_the_population_said(tmp_path: Path) -> None:
    """The tracker refuses nothing, its log replays, and its feed makes the intervals of ours."""
    cheats = evolve(Cheats(), share=0.3)
    count = write(Population(60, 3, cheats=cheats), tmp_path)
    log, keys = tmp_path / "log", keys_of(tmp_path / "secrets")
    logged = [
        (one["key_ref"], one["info_hash"], one["uploaded"], one["downloaded"], one["left"])
        for one in events_in(Reader(log, to_end=True, keys=keys).frames())
        if one["type"] == "announced"
    ]
    population, ours, theirs = Population(60, 3, cheats=cheats), Everything(), Everything()
    feed = feed_of(population, Watch([ours]))
    said = list(population.announces())
    assert logged == [
        (one.account, one.info_hash.hex(), one.uploaded, one.downloaded, one.left) for one in said
    ]
    for one in said:
        assert list(feed.announced(one))
    keeper = CaseKeeper(log, keys, watch=Watch([theirs]))
    state = State()
    for frame in Reader(log, to_end=True, keys=keys).frames():
        keeper.before(state)
        frames.apply(state, frame)
        keeper.after(state, frame)
    assert state.seq == count
    assert plain(theirs) == plain(ours)


def plain(detector: Everything) -> list[dict[str, Any]]:
    """Returns the intervals of announces, without numbers that each log counts for itself. Ends of
    peer_ids, which the feed hashes, are numbers in the order in which they come.
    """
    ends: dict[bytes, bytes] = {}
    return [
        fields_of(one)
        | {
            "seq": 0,
            "client": 0,
            "peer_id": one.peer_id[:8] + ends.setdefault(one.peer_id[8:], b"%d" % len(ends)),
        }
        for one in detector.heard_of
        if not one.gone
    ]
