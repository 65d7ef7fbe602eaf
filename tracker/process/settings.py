"""Makes the settings that the log keeps as events from the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict, evolve

from tracker.config.schema import MOST_PEERS
from tracker.domain import choice
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from tracker.config import Config

ACCOUNTING = 2
"""The number of the accounting rules (docs/credit.md). The first start of a version that knows them
puts them in force, by an event.
"""

LONGEST_TICK_MS = 10_000
"""Longest time between two ticks, in milliseconds. It applies if the clean-up interval is longer,
or if there is no clean-up.
"""


def settings_of(config: Config) -> Settings:
    core = config.core
    private_mode, cleanup = core.private_mode, core.inactive_peer_cleanup_interval
    return Settings(
        private=core.private,
        check_keys_expiration=private_mode.check_keys_expiration if private_mode else True,
        listed=core.listed,
        interval=core.announce_policy.interval,
        interval_min=core.announce_policy.interval_min,
        max_peers_per_announce=min(core.announce_policy.max_peers_per_announce, MOST_PEERS),
        max_peer_timeout=core.tracker_policy.max_peer_timeout,
        inactive_peer_cleanup_interval=cleanup,
        remove_peerless_torrents=core.tracker_policy.remove_peerless_torrents,
        tick_ms=min(LONGEST_TICK_MS, cleanup * 1000) if cleanup else LONGEST_TICK_MS,
        policy=_policy(config),
        accounting=ACCOUNTING,
        choice=choice.RULE,
    )


def _policy(config: Config) -> Policy:
    """Bases hold a part of the peers' addresses, so they do not outlive the keys to those."""
    policy, shred_days = Policy.from_data(asdict(config.policy)), config.event_log.shred_days
    if not shred_days:
        return policy
    return evolve(policy, remember_days=min(policy.remember_days, shred_days))
