"""Measures the detectors on a population: whom they blame, and which cheats they find."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from attrs import define, field

from tests.population.feed import Feed
from tests.population.simulator import DAY, log_time
from tests.support import START_US
from tracker.domain.detecting.intervals import CASE, GRADES, LEAD, PROOF, Finding
from tracker.domain.detecting.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.population.people import Member
    from tests.population.simulator import Claim, Population

CLASSES = (0.0, 0.2, 1.0, 5.0, 1e18)  # sizes of the torrent, beyond what others can have received


def is_honest(member: Member) -> bool:
    """Tells whether a member is no cheat."""
    return not member.cheat


@define
class Measured:
    """What the detectors found. `honest` has the findings about honest members."""

    population: Population
    announces: int = 0
    honest: list[Finding] = field(factory=list)
    grades: dict[tuple[str, int], int] = field(factory=dict)  # highest, by detector and account
    torrents: set[tuple[int, bytes | None]] = field(factory=set)  # account, torrent

    def found(self, finding: Finding) -> None:
        """Notes a finding."""
        key = finding.detector, finding.account
        self.grades[key] = max(self.grades.get(key, 0), finding.grade)
        self.torrents.add((finding.account, finding.info_hash))
        if not self.population.all[finding.account].cheat:
            self.honest.append(finding)

    def by_detector(self, chosen: Callable[[Member], bool] = is_honest) -> dict[str, Counter[int]]:
        """Returns for each detector how many members, of those chosen, have which highest grade."""
        told: dict[str, Counter[int]] = defaultdict(Counter)
        for (name, account), grade in self.grades.items():
            if chosen(self.population.all[account]):
                told[name][grade] += 1
        return told

    def ghosts(self, excess: Callable[[Claim], float]) -> list[tuple[float, int, int]]:
        """Returns for each class of `CLASSES`: its least excess, how many pairs of an account and a
        torrent it has, and how many of these are found.

        A pair belongs to the class of its greatest claim in one window.
        """
        most: dict[tuple[int, bytes], float] = defaultdict(float)
        for claim in self._greatest():
            key = claim.account, claim.swarm.info_hash
            most[key] = max(most[key], excess(claim) / claim.swarm.size)
        told = []
        for least, below in pairwise(CLASSES):
            pairs = [key for key, size in most.items() if least < size <= below]
            told.append((least, len(pairs), sum(key in self.torrents for key in pairs)))
        return told

    def _greatest(self) -> Iterator[Claim]:
        """Yields a few claims of each pair, the greatest."""
        pairs: dict[tuple[int, bytes], list[Claim]] = defaultdict(list)
        for claim in self.population.claims:
            pairs[claim.account, claim.swarm.info_hash].append(claim)
        for claims in pairs.values():
            yield from sorted(claims, key=beyond_received)[-5:]


def beyond_received(claim: Claim) -> float:
    """Returns what was claimed beyond what all others truly received in this window."""
    entries = claim.swarm.history or []
    total, at = 0, bisect_left(entries, (claim.begin,))
    while at < len(entries) and entries[at][0] <= claim.end:
        _, amount, account = entries[at]
        total += amount if account != claim.account else 0
        at += 1
    return claim.uploaded - total


def beyond_receivable(claim: Claim) -> float:
    """Returns what was claimed beyond what others can have received, for who sees announces only:
    all of each window that overlaps.
    """
    return claim.uploaded - sum(
        window.received
        for window in claim.swarm.windows
        if window.account != claim.account
        and window.end >= claim.begin
        and window.begin <= claim.end
    )


GHOSTS = (("received", beyond_received), ("can have received", beyond_receivable))


def feed_of(population: Population, watch: Watch) -> Feed:
    """Returns a feed that knows the torrents of a population, and when the tracker is down."""
    return Feed(
        watch,
        {swarm.info_hash: swarm.size for swarm in population.swarms},
        [(log_time(begin), log_time(end)) for begin, end in population.outages],
    )


def measure(population: Population, say: Callable[[str], None] | None = None) -> Measured:
    """Lets a population live under the eyes of all detectors. `say` hears of each day."""
    measured = Measured(population)
    feed = feed_of(population, Watch())
    day = 0
    for one in population.announces():
        measured.announces += 1
        for finding in feed.announced(one):
            measured.found(finding)
        if say and population.now >= (day + 1) * DAY:
            day += 1
            say(f"day {day} of {population.days:g}: {measured.announces:,} announces")
    for finding in feed.ticked(log_time((population.days + 8) * DAY)):
        measured.found(finding)
    return measured


def report(measured: Measured) -> Iterator[str]:
    """Yields lines: rates of each detector, of each kind of cheat, and of ghost uploads."""
    people = measured.population
    cheats = sum(member.cheat is not None for member in people.all.values())
    yield (
        f"{people.members - cheats:,} honest members, {cheats:,} cheats, {people.days:g} days, "
        f"{len(people.swarms):,} torrents, {measured.announces:,} announces"
    )
    yield "Among the honest:"
    yield from _report_grades(measured.by_detector())
    for kind, size in people.cheats.all() if cheats else ():
        yield from _report_kind(measured, kind, size)
    if people.claims:
        for words, excess in GHOSTS:
            yield f"Ghost uploads in a torrent, beyond what others {words}, in sizes of it:"
            for least, pairs, found in measured.ghosts(excess):
                yield f"  above {least:g}: {pairs}, found {found}"


def _report_grades(detectors: dict[str, Counter[int]]) -> Iterator[str]:
    for name, grades in sorted(detectors.items()):
        counts = ", ".join(f"{grades[one]} {GRADES[one]}s" for one in (LEAD, CASE, PROOF))
        yield f"  {name}: {counts}"


def _report_kind(measured: Measured, kind: str, size: float) -> Iterator[str]:
    """Yields lines on the cheats of a kind and size that cheated at least once."""

    def chosen(member: Member) -> bool:
        return member.cheat == kind and member.amount == size and member.acts > 0

    count = sum(map(chosen, measured.population.all.values()))
    yield f"{count} cheats, {kind} {size:g}:"
    yield from _report_grades(measured.by_detector(chosen))


def told(measured: Measured, finding: Finding) -> str:
    """Returns a line on a finding about an honest member: what was found, and who it is."""
    member = measured.population.all[finding.account]
    hours = [(at - START_US) / 3.6e9 for at in (finding.begin_us, finding.end_us)]
    return (
        f"{finding.detector} {GRADES[finding.grade]}: account {finding.account}, "
        f"torrent {finding.info_hash.hex()[:8] if finding.info_hash else '-'}, "
        f"hours {hours[0]:.2f} to {hours[1]:.2f}, {finding.amount} {finding.unit}, "
        f"events {list(finding.evidence)}, {dict(finding.facts)}; "
        f"honest: {', '.join(sorted(member.traits))}"
    )
