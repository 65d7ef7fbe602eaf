"""Downloads are judged as docs/hit-and-run.md says, on its own examples."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, evolve, field

from tests.support import START_US, Announce, Rig, endpoint4, hash_of, key_text
from tests.tracker.domain.judged import judge, seen
from tracker.domain import events
from tracker.domain.events.admin import (
    CreditFactorSet,
    HitAndRunPardoned,
    HitAndRunRuleEnded,
    HitAndRunRuleSet,
    HitAndRunVoided,
    ImmunityChanged,
    TorrentDelisted,
    TorrentDescribed,
    TorrentWhitelisted,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.hit_and_run import VIOLATED, Rule
from tracker.domain.settings import Settings
from tracker.ports import Actor

GIB = 1 << 30
HOUR = 3_600_000_000
MINUTE = HOUR // 60
TORRENT = hash_of(7)
PRIVATE = Settings(private=True, accounting=2, max_peer_timeout=2700)
BY = Actor("ops", "", "", "a test")


@define
class Site:
    """A private tracker with a torrent of 10 GiB. Its first day begins at 08:00."""

    rule: Rule | None = field(factory=Rule)
    settings: Settings = PRIVATE
    rig: Rig = field(factory=Rig)
    at_us: int = START_US + 8 * HOUR
    size: int | None = 10 * GIB  # as the site says it; None = it says nothing

    def __attrs_post_init__(self) -> None:
        self.rig.time.wall = self.at_us
        self.rig.service._clock = self.rig.time.log_clock()
        self.say(TrackerStarted("test", 1))
        self.rig.service.change_settings(self.settings)
        for number in (1, 2, 3):
            self.rig.issue(number)
        if self.size is not None:
            self.say(TorrentDescribed(TORRENT, size=self.size))
        if self.settings.listed:
            self.say(TorrentWhitelisted(TORRENT))
        if self.rule is not None:
            self.say(HitAndRunRuleSet(self.rule))

    def say(self, event: Any) -> int:
        return self.rig.service.append(event, BY)

    def to(self, day: int, hour: float, *, ticks: bool = True) -> None:
        """Lets time pass until a time of a day, from day 1 on. `ticks`: while the tracker runs."""
        until = START_US + round(((day - 1) * 24 + hour) * HOUR)
        while self.at_us < until:
            step = min(until - self.at_us, 10 * MINUTE if ticks else until)
            self.rig.time.advance(step)
            self.at_us += step
            if ticks:
                self.rig.service.tick()

    def announce(
        self, gib: float, left: float, event: int = 0, up: float = 0, who: int = 1
    ) -> None:
        one = Announce(
            TORRENT, endpoint4(who), b"-XX0001-%012d" % who, int(up * GIB), int(gib * GIB), int(left * GIB), event,
            key=key_text(who),
        )  # fmt: skip
        self.rig.announce(one)

    def stay(
        self, day: int, hour: float, gib: float, left: float, up: float = 0, who: int = 1
    ) -> None:
        """Announces every half hour until a time of a day."""
        until = START_US + round(((day - 1) * 24 + hour) * HOUR)
        while self.at_us < until:
            passed = (min(until, self.at_us + HOUR // 2) - START_US) / HOUR
            self.to(1, passed)
            self.announce(gib, left, up=up, who=who)

    def down(self, hours: float) -> None:
        self.say(TrackerStopped("test"))
        self.to(1, (self.at_us - START_US) / HOUR + hours, ticks=False)
        self.say(TrackerStarted("test", 2))

    def story(self, who: int = 1) -> list[tuple[str, int, float]]:
        """Returns what became of a member's download: state, day, and hour of the day."""
        told = seen(judge(self.rig.log.frames()).made)
        since = [
            (state, (time_us - START_US) / HOUR)
            for account, _, state, time_us in told
            if account == who
        ]
        return [(state, int(hour // 24) + 1, round(hour % 24, 6)) for state, hour in since]

    def leech(self, gib: float = 10, left: float = 0, hour: float = 9) -> None:
        """Begins at 08:30 and has downloaded so much at 09:00."""
        self.to(1, hour - 0.5)
        self.announce(0, 10, events.STARTED)
        self.to(1, hour)
        self.announce(gib, left)


def test_the_example_of_the_docs() -> None:
    """Liable, at risk, violated with an outage of three hours left out, and cured."""
    site = Site()
    site.leech(gib=1, left=9)
    site.stay(1, 13.5, 5, 5)
    site.to(1, 14)
    site.announce(10, 0, events.COMPLETED)
    site.stay(2, 19.5, 10, 0)
    site.to(2, 20)
    site.announce(10, 0, events.STOPPED)
    site.to(4, 12)
    site.down(3)
    site.to(9, 10)
    site.announce(0, 0, events.STARTED)
    site.stay(12, 0, 0, 0)
    assert site.story() == [
        ("liable", 1, 9), ("at_risk", 3, 20), ("violated", 5, 23), ("cured", 11, 4),
    ]  # fmt: skip


def test_a_little_is_no_download() -> None:
    site = Site()
    site.leech(gib=0.9, left=9.1)
    site.to(9, 0)
    assert site.story() == []


def test_own_uploads_and_cross_seeds() -> None:
    """Who has it already downloads nothing."""
    site = Site()
    site.announce(0, 0, events.STARTED)
    site.to(1, 9)
    site.announce(0, 0, events.STOPPED, up=3)
    site.to(9, 0)
    assert site.story() == []


def test_ratio_is_judged_anew() -> None:
    """Satisfied by ratio, and liable again after more was downloaded."""
    site = Site()
    site.leech()
    site.to(1, 9.5)
    site.announce(10, 0, up=10)
    site.to(1, 10)
    site.announce(20, 0, up=10)
    assert site.story() == [("liable", 1, 9), ("satisfied", 1, 9.5), ("liable", 1, 10)]


def test_time_is_final() -> None:
    """Whoever seeded long enough may download it again. The time is exact though no announce came
    then."""
    site = Site(Rule(seed_seconds=2 * 3600 + 600))
    site.leech()
    site.stay(1, 11, 10, 0)
    site.to(1, 11.4)
    assert site.story() == [("liable", 1, 9), ("satisfied", 1, 11.166667)]
    site.announce(30, 0)
    site.announce(30, 0, events.STOPPED)
    site.to(9, 0)
    assert len(site.story()) == 2


def test_a_changed_rule_leaves_earlier_downloads_alone() -> None:
    site = Site(Rule(seed_seconds=3600))
    site.leech()
    site.say(HitAndRunRuleSet(Rule(seed_seconds=360_000)))
    site.stay(1, 12, 10, 0)
    assert site.story() == [("liable", 1, 9), ("satisfied", 1, 10)]


def test_no_rule_no_new_liability() -> None:
    """After the rule ended, who was liable goes on being judged."""
    site = Site()
    site.leech()
    site.say(HitAndRunRuleEnded())
    site.to(1, 10)
    site.announce(10, 0, events.STARTED, who=2)
    site.to(1, 10.5)
    site.announce(20, 0, who=2)
    site.announce(10, 0, events.STOPPED)
    site.to(9, 0)
    assert site.story(2) == []
    assert [state for state, *_ in site.story()] == ["liable", "at_risk", "violated"]


def test_a_window() -> None:
    """Violated when the window is over, though the member is there."""
    site = Site(Rule(window=5 * 3600))
    site.leech()
    site.stay(1, 18, 10, 0)
    assert site.story() == [("liable", 1, 9), ("violated", 1, 14)]


def test_nobody_seeds() -> None:
    """For a member with something left the clock stands from the 24th hour on."""
    site = Site()
    site.announce(0, 0, events.STARTED, who=3)
    site.leech(gib=6, left=4)
    site.announce(6, 4, events.STOPPED)
    site.announce(0, 0, events.STOPPED, who=3)  # at 09:00 too
    site.to(6, 9)
    site.announce(0, 0, events.STARTED, who=3)
    site.stay(9, 0, 0, 0, who=3)
    assert site.story() == [("liable", 1, 9), ("at_risk", 2, 9), ("violated", 8, 9)]


def test_delisted() -> None:
    """The clock stands from the delisting on. The peer was listed until 09:45."""
    site = Site(settings=evolve(PRIVATE, listed=True))
    site.leech()
    site.to(1, 10)
    site.say(TorrentDelisted(TORRENT))
    site.to(4, 10)
    site.say(TorrentWhitelisted(TORRENT))
    site.to(8, 0)
    assert site.story() == [("liable", 1, 9), ("at_risk", 5, 9.75), ("violated", 7, 9.75)]


def test_immunity() -> None:
    """Nothing becomes liable, and clocks stand."""
    site = Site()
    site.leech()
    site.announce(10, 0, events.STOPPED)
    site.to(1, 20)
    site.say(ImmunityChanged(1, True))
    site.to(3, 20)
    site.say(ImmunityChanged(1, False))
    site.to(9, 0)
    assert site.story() == [("liable", 1, 9), ("at_risk", 4, 9), ("violated", 6, 9)]


def test_immunity_before_the_first_rule() -> None:
    site = Site(None)
    site.say(ImmunityChanged(1, True))
    site.say(HitAndRunRuleSet(Rule()))
    site.leech()
    site.to(9, 0)
    assert site.story() == []


def test_immunity_to_come() -> None:
    site = Site()
    site.say(ImmunityChanged(1, True, START_US + 10 * HOUR))
    site.leech(hour=10.5)
    site.to(9, 0)
    assert site.story() == []


def test_freeleech() -> None:
    """It does not exempt, unless the rule says so."""
    for exempts, states in ((False, ["liable", "at_risk", "violated"]), (True, [])):
        site = Site(Rule(freeleech_exempts=exempts))
        site.say(CreditFactorSet(1, "global", site.at_us, None, "", download_percent=0))
        site.leech()
        site.announce(10, 0, events.STOPPED)
        site.to(6, 0)
        assert [state for state, *_ in site.story()] == states


@pytest.mark.parametrize("event", [HitAndRunPardoned(1, TORRENT), HitAndRunPardoned()])
def test_pardoned(event: Any) -> None:
    """That is final."""
    site = Site()
    site.leech()
    site.announce(10, 0, events.STOPPED)
    site.to(5, 0)
    site.say(event)
    site.announce(0, 0, events.STARTED)
    site.stay(9, 0, 0, 0)
    assert [state for state, *_ in site.story()] == ["liable", "at_risk", "violated", "pardoned"]


def test_pardoned_by_time() -> None:
    """Only violations of that time."""
    site = Site()
    site.leech()
    site.announce(10, 0, events.STOPPED)
    site.to(5, 0)
    day = START_US + 72 * HOUR  # of day 4, whose ninth hour has the violation
    site.say(HitAndRunPardoned(from_us=day, until_us=day + 9 * HOUR))
    site.say(HitAndRunPardoned(from_us=day + 10 * HOUR))
    assert [state for state, *_ in site.story()] == ["liable", "at_risk", "violated"]
    site.say(HitAndRunPardoned(from_us=day + 9 * HOUR, until_us=day + 10 * HOUR))
    assert site.story()[-1] == ("pardoned", 5, 0)


def test_void() -> None:
    """All downloads of a torrent that have begun; a later one is judged."""
    site = Site()
    site.leech()
    site.say(HitAndRunVoided(TORRENT))
    site.announce(0, 10, events.STARTED, who=2)
    site.to(1, 9.5)
    site.announce(10, 0, who=2)
    site.announce(10, 0, events.STOPPED)
    site.to(9, 0)
    assert site.story() == [("liable", 1, 9), ("void", 1, 9)]
    assert [state for state, *_ in site.story(2)] == ["liable", "at_risk", "violated"]


def test_those_of_one_tick_are_numbered_by_name() -> None:
    """Two members leave in one moment, in whatever order."""
    site = Site()
    for event, hour, gib, left in ((events.STARTED, 8.5, 0, 10), (0, 9, 10, 0)):
        site.to(1, hour)
        for who in (2, 1):
            site.announce(gib, left, event, who=who)
    site.to(1, 10)
    for who in (2, 1):
        site.announce(10, 0, events.STOPPED, who=who)
    site.to(5, 0)
    told = [
        (one.n, one.name[3]) for one in judge(site.rig.log.frames()).made if one.state == VIOLATED
    ]
    assert told == [(0, 1), (1, 2)]


def test_one_place_in_the_queue() -> None:
    """The end of its duty moves on with each announce of a leecher."""
    site = Site(Rule(seed_seconds=10 * 3600))
    site.leech(gib=5, left=5)
    site.stay(1, 20, 5, 5)
    assert judge(site.rig.log.frames()).places == 1
