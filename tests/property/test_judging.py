"""The judge finds what a recomputation by docs/hit-and-run.md alone finds, in random histories."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from tests.independent_reader import judge as independent
from tests.support import START_US, few_or_many, try_examples
from tests.tracker.domain.judged import judge, seen
from tests.tracker.domain.test_judging import BY, GIB, PRIVATE, TORRENT, Site
from tracker.domain import events
from tracker.domain.events.admin import (
    CreditFactorEnded,
    CreditFactorSet,
    HitAndRunPardoned,
    HitAndRunRuleEnded,
    HitAndRunRuleSet,
    HitAndRunVoided,
    ImmunityChanged,
    TorrentBlacklisted,
    TorrentDelisted,
    TorrentUnblacklisted,
    TorrentWhitelisted,
)
from tracker.domain.hit_and_run import Rule
from tracker.ports import SplitTerms
from tracker.service.commands.accounts import merging, splitting

HOUR = 3600
SWEPT = evolve(PRIVATE, inactive_peer_cleanup_interval=10)


@few_or_many(12, 300)
def test_a_recomputation_agrees(count: int) -> None:
    try_examples(count, _check, seed=st.integers(0, 2**32))


def _check(seed: int) -> None:
    site = _lived(random.Random(seed))
    told: Any = defaultdict(list)
    for account, info_hash, *what in seen(judge(site.rig.log.frames()).made):
        told[account, info_hash.hex()].append(tuple(what))
    found: Any = defaultdict(list)
    for account, name, *what in independent.judge(site.rig.events()):
        found[account, name].append(tuple(what))
    assert dict(told) == dict(found), (seed, _days(told), _days(found))


def _days(told: Any) -> Any:
    return [
        (name[0], [(s, (t - START_US) / 3.6e9) for s, t in each]) for name, each in told.items()
    ]


def _rule(dice: random.Random) -> Rule:
    return Rule(
        seed_seconds=dice.choice([2, 6]) * HOUR + dice.choice([0, 7]),
        seed_by_size=dice.choice([(), ((1 << 30, 3 * HOUR), (1 << 40, HOUR))]),
        ratio_permille=dice.choice([1000, 500, None]),
        warn_absent=dice.choice([3, 5]) * HOUR,
        grace_absent=9 * HOUR,
        window=dice.choice([None, None, 30 * HOUR]),
        freeleech_exempts=dice.random() < 0.3,
        partial_counts=dice.random() < 0.5,
    )


def _lived(dice: random.Random) -> Site:
    """Lives some days with three members of one torrent."""
    known = dice.random() < 0.7
    site = Site(None, evolve(SWEPT, listed=dice.random() < 0.4), size=10 * GIB if known else None)
    if not known:  # a torrent that was completed is remembered without peers, and so its size
        site.announce(0, 3, events.STARTED, who=3)
        site.announce(0, 0, events.COMPLETED, who=3)
    if dice.random() < 0.8:
        site.say(HitAndRunRuleSet(_rule(dice)))
    clients: dict[int, list[float]] = {}  # downloaded and uploaded, in GiB
    for _ in range(dice.choice([15, 40, 90])):
        minutes = dice.choice([3, 20, 29, 40, 40, 120, 700, dice.choice([1, 2200])])
        site.to(1, (site.at_us - START_US) / 3.6e9 + minutes / 60)
        if dice.random() < 0.15:
            _change(site, dice)
        state = site.rig.state
        delisted = TORRENT in state.sanctions.blacklist or (
            site.settings.listed and TORRENT not in state.access.whitelist
        )
        for who in (1, 2, 3):
            if delisted or dice.random() < 0.4:
                continue
            got = clients.setdefault(who, [0, 0])
            seeds = dice.random() < 0.5
            if got[0] or dice.random() < 0.7:
                got[0] += dice.choice([0, 0, 0.7, 1, 5, 10])
            got[1] += dice.choice([0, 0, 1, 4])
            event = dice.choice([0, 0, 0, events.STARTED, events.STOPPED])
            if not seeds and not event and dice.random() < 0.6:
                event = events.PAUSED
            left = 0 if seeds else dice.choice([4, 4, 4, 40])
            site.announce(got[0], left, event, up=got[1], who=who)
            if event == events.STOPPED and dice.random() < 0.5:
                clients[who] = [0, 0]
    site.to(1, (site.at_us - START_US) / 3.6e9 + 50)
    return site


def _change(site: Site, dice: random.Random) -> None:
    state, who = site.rig.state, dice.choice([1, 2, 3])
    kind = dice.randrange(12)
    if kind == 0:
        site.say(HitAndRunRuleSet(_rule(dice)))
    elif kind == 1:
        site.say(HitAndRunRuleEnded())
    elif kind == 2:
        now = site.rig.service.now_us()
        site.say(
            HitAndRunPardoned(dice.choice([None, who]), None, dice.choice([None, now - 10**11]))
        )
    elif kind == 3:
        site.say(HitAndRunVoided(TORRENT, dice.choice([None, who])))
    elif kind == 4:
        site.say(ImmunityChanged(who, dice.random() < 0.6))
    elif kind == 5 and site.settings.listed:
        listed = TORRENT in state.access.whitelist
        site.say(TorrentDelisted(TORRENT) if listed else TorrentWhitelisted(TORRENT))
    elif kind == 6 and state.factors.current:
        site.say(CreditFactorEnded(next(iter(state.factors.current))))
    elif kind == 6:
        number, now = state.factors.next_number, site.rig.service.now_us()
        site.say(CreditFactorSet(number, "global", now, None, "", download_percent=0))
    elif kind == 9:
        banned = TORRENT in state.sanctions.blacklist
        site.say(TorrentUnblacklisted(TORRENT) if banned else TorrentBlacklisted(TORRENT))
    elif kind > 9:
        _move(site, who, dice)
    elif kind > 6:
        site.down(dice.choice([0.1, 2, 8, 30]))


def _move(site: Site, who: int, dice: random.Random) -> None:
    """Merges an account into another one, or opens a merged one again."""
    service, access = site.rig.service, site.rig.state.access
    now = service.now_us()
    if who in access.merged:
        into = access.merged[who].into
        if not access.has_account(into) or access.account_of[who] != into:
            return
        event = splitting(site.rig.state, into, SplitTerms((who,), f"owner {who}"), "why")
    else:
        others = [each for each in (1, 2, 3) if each != who and access.has_account(each)]
        if not others:
            return
        event = merging(site.rig.state, who, dice.choice(others), "why", now)
    service.append(event, BY, now)
