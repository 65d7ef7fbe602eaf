"""What decisions depend on. It comes from the configuration, but is in force only once it is an event.

Replay uses the settings of the log, never today's file; so a decision can be judged by the rules of its day.
"""

from __future__ import annotations

from typing import Any

from attrs import asdict, fields, frozen


@frozen
class Settings:
    """Times in seconds. `identity` and `accounting` number the rules that this code implements."""

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

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Settings:
        """Settings of an event; keys this version does not know are left aside."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})
