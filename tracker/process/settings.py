"""Makes the settings that the log keeps as events from the configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attrs import asdict, evolve

from tracker.config.logged import key_of
from tracker.config.schema import MOST_PEERS
from tracker.domain import choice
from tracker.domain.origins import named
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings, tick_ms_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.config import Config
    from tracker.domain.state import State

ACCOUNTING = 2
"""The number of the accounting rules (docs/credit.md). The first start of a version that knows them
puts them in force, by an event.
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
        tick_ms=tick_ms_of(cleanup),
        policy=_policy(config),
        accounting=ACCOUNTING,
        choice=choice.RULE,
    )


def unlike_file(state: State, file: Settings) -> Iterator[str]:
    """Describes the settings that differ from a file's after a start with it, and what that start
    would change.
    """
    then = now = state.settings
    if state.settings_seq >= 0:
        then = state.origins.from_start(now, file)
    in_force, after, own = named(now), named(then), named(file)
    origins = state.origins.in_force()
    for name, value in after.items():
        if (key := key_of(name)) is None:
            continue
        if value != own[name]:
            change = origins.get(name)
            by = f", set by {change.by} in event {change.seq}" if change and change.by else ""
            yield f"{key} is {json.dumps(value)}{by}; the file has {json.dumps(own[name])}"
        elif value != in_force[name]:
            yield f"{key} is {json.dumps(in_force[name])} until the next start, which puts the file's {json.dumps(value)} in force"


def _policy(config: Config) -> Policy:
    """Bases hold a part of the peers' addresses, so they do not outlive the keys to those."""
    policy, shred_days = Policy.from_data(asdict(config.policy)), config.event_log.shred_days
    if not shred_days:
        return policy
    return evolve(policy, remember_days=min(policy.remember_days, shred_days))
