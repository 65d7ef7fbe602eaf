"""What is compiled does the same as its source in Python, byte for byte.

Some modules have two sources, because compiled code handles bytes without objects: the `.pxd` files
that say with pointers what a `.py` says with objects, and the table of torrents, which is a
dictionary in the pure build. Both builds live here through the same datagrams.
"""

from __future__ import annotations

from importlib import import_module
from random import Random
from typing import Any

import pytest

from tests.sources import Sources
from tests.support import few_or_many
from tests.tracker.frontends.udp import lives
from tracker import build

POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {},
    lives.RULES,
    {"enforce_interval_min": True, "refused_ports": ("65535",), "max_torrents": 4},
    {"requests_per_minute": 6, "clients_allowed": ("-XX", "-TR"), "max_peers": 70},
)
PURE = Sources()


@few_or_many(1, 5)
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_both_builds_give_the_same(
    count: int, private: bool, listed: bool, policy: dict[str, Any]
) -> None:
    """Replies, records and the digest of the state are the same, in small and in large swarms."""
    for number in range(count):
        chance = Random(f"{number} {private} {listed} {policy}")
        life = {
            "seed": chance.getrandbits(32),
            "torrents": chance.choice((1, 3, 9)),
            "addresses": chance.choice((5, 90, 400)),
            "private": private,
            "listed": listed,
            "policy": policy,
            "external": chance.choice((None, bytes([198, 51, 100, 7]), bytes(range(16)))),
        }
        ours = lives.life(**life)
        with PURE.in_force():
            theirs = import_module(lives.__name__).life(**life)
        for one, other in zip(ours, theirs, strict=True):
            assert one == other


def test_the_other_source_is_pure() -> None:
    """Modules from sources are Python, and only where they are asked for."""
    here = build.build()
    with PURE.in_force():
        assert import_module("tracker.build").build() == "pure Python"
    assert import_module("tracker.build").build() == here
