"""What other settings would have made of a random history is what a tracker with them makes of the
same requests.
"""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.property.replies import Frames, Life
from tests.support import few_or_many, hash_of
from tracker.config.logged import BadSettingError, Changes, typed
from tracker.config.logged import changes as read
from tracker.domain.policy import Policy
from tracker.domain.refusals import NAMES
from tracker.history.what_if import KEYS, Gain, WhatIf

if TYPE_CHECKING:
    from tracker.domain.settings import Settings

SETS = (
    ("policy.peers_per_account=1",),
    ("policy.clients_denied=['-TR']", "policy.refused_ports=['1000-1003']"),
    ("policy.clients_allowed=['-XX', '-YY']", "core.announce_policy.max_peers_per_announce=2"),
    ("policy.max_peers_per_torrent=9", "policy.max_torrents=3"),
    ("policy.max_peers=20", "policy.resumed_rate=1"),
    ("policy.enforce_interval_min=true", "core.announce_policy.interval_min=40"),
    ("core.tracker_policy.max_peer_timeout=100",),
)
NOTHING = ("policy.max_peers=1000000",)


def changes(texts: list[str]) -> Changes:
    return read(typed(texts), KEYS)


def lived(seed: str, private: bool, made: Changes | None) -> Life:
    """Returns a life without rules of the site, but with these changes."""

    def change(settings: Settings) -> Settings:
        settings = evolve(settings, policy=Policy())
        return made.made_in(settings) if made else settings

    life = Life(Random(seed), private, 2, change)
    life.go()
    return life


def replayed(life: Life, made: Changes, first: int = 0) -> WhatIf:
    run = WhatIf(Frames(life.rig.log.frames()), first, life.rig.state.seq, made)
    run.go(lambda _done: None)
    return run


def peers_in(told: dict[int, tuple[Any, ...]]) -> int:
    return sum(len(peers4) // 6 + len(peers6) // 18 for *_, peers4, peers6 in told.values())


def refusals(life: Life) -> Counter[str]:
    """Returns the requests that were refused, by reason."""
    found = Counter[str]()
    for (label, *_), count in life.rig.service.refusals.items():
        found[NAMES[-label]] += count
    return found


@few_or_many(1, 10)
@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
@pytest.mark.parametrize("texts", SETS, ids=lambda each: each[0])
def test_it_is_what_a_tracker_with_these_settings_does(
    count: int, private: bool, texts: tuple[str, ...]
) -> None:
    """Refusals, replies, peers, swarms and credit are those of a tracker that lived by them."""
    for number in range(count):
        seed, made = f"{number} {private}", changes([*texts])
        life, other = lived(seed, private, None), lived(seed, private, made)
        run = replayed(life, made)
        assert run.announces == run.then.replies == len(life.told)
        assert (run.then.peers, run.now.peers) == (peers_in(life.told), peers_in(other.told))
        assert (run.now.replies, run.refused) == (
            len(other.told), refusals(other) - refusals(life),
        )  # fmt: skip
        for torrent in range(4):
            name = hash_of(torrent)
            assert run.other.swarms.counts(name) == other.rig.state.swarms.counts(name)
        assert run.other.accounts.digest() == other.rig.state.accounts.digest()
        assert run.recorded.digest() == life.rig.state.digest()
        total, changed = run.gains()
        assert total.credited_uploaded == credit(other) - credit(life)
        assert bool(changed) == any(total[1:]) or len(changed) > 1


def credit(life: Life) -> int:
    accounts = life.rig.state.accounts
    return sum(accounts.totals(each).credited_uploaded for each in range(1, len(accounts.uploaded)))


@few_or_many(1, 10)
@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_a_setting_without_effect_changes_nothing(count: int, private: bool) -> None:
    """From wherever the part begins and ends, such a setting makes no difference."""
    for number in range(count):
        life = lived(f"{number} nothing {private}", private, None)
        last = life.rig.state.seq
        frames = Frames(life.rig.log.frames())
        for first, end in (
            (0, last),
            *(sorted(Random(number).sample(range(last), 2)) for _ in "ab"),
        ):
            run = WhatIf(frames, first, end, changes([*NOTHING]))
            run.go(lambda _done: None)
            assert (run.then, run.refused, run.left_out) == (run.now, {}, [])
            assert run.gains() == (Gain(0, 0, 0, 0, 0, 0), [])


def test_settings() -> None:
    """Each key that works is read as in the configuration; others are errors that name them."""
    for key in KEYS:
        with pytest.raises(BadSettingError, match=re.escape(key)):
            changes([f"{key}=3.5"])
    made = changes(["core.listed=true", "policy.clients_denied=['-XX']"])
    assert made == Changes({"listed": True}, {"clients_denied": ("-XX",)})
    with pytest.raises(BadSettingError, match="expected KEY=VALUE"):
        changes(["policy.max_peers"])
    for text in ("policy.history_days=3", "core.private=true", "x=1"):
        with pytest.raises(BadSettingError, match=r"These work: policy\.interval_jitter, "):
            changes([text])
    for value in ("9" * 5000, "[" * 5000):
        with pytest.raises(BadSettingError, match="must be a whole number"):
            changes([f"policy.interval_jitter={value}"])
