"""What decisions depend on. It comes from the configuration, but is in force only once it is an event.

Replay uses the settings of the log, never today's file; so a decision can be judged by the rules of its day.
"""

from __future__ import annotations

from typing import Any

from attrs import asdict, field, fields, frozen

from tracker.domain.policy import Policy

KNOWN_RULES = 1, 1
"""Of identity and accounting: those that this code implements."""


@frozen
class Settings:
    """Times in seconds. `identity` and `accounting` number the rules that are in force, see `KNOWN_RULES`."""

    private: bool = False
    listed: bool = False
    check_keys_expiration: bool = True
    interval: int = 120
    interval_min: int = 120
    max_peer_timeout: int = 900
    inactive_peer_cleanup_interval: int = 600
    remove_peerless_torrents: bool = True
    max_peers_per_announce: int = 74
    tick_ms: int = 10_000
    identity: int = 1
    accounting: int = 1
    policy: Policy = field(factory=Policy)

    def as_data(self) -> dict[str, Any]:
        return asdict(self, value_serializer=_as_json)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Settings:
        """Settings of an event; keys this version does not know are left aside."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        if "policy" in values:
            values["policy"] = Policy.from_data(values["policy"])
        return cls(**values)


def _as_json(_owner: object, _field: object, value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
