"""Holds the settings that decisions depend on. They come from the configuration, by way of the log.

Replay uses the settings in the log, never today's configuration, because an event must be applied
by the settings at its time.
"""

from __future__ import annotations

from typing import Any

from attrs import asdict, field, fields, frozen

from tracker.domain.policy import Policy

KNOWN_RULES = (1, 1), (1, 2)
"""The numbers of the rules of identity and accounting that this code implements."""

LONGEST_TICK_MS = 10_000
"""Longest time between two ticks, in milliseconds. It applies if the clean-up interval is longer,
or if there is no clean-up.
"""


def tick_ms_of(cleanup: int) -> int:
    """Returns the time between two ticks, in milliseconds, for a clean-up interval in seconds."""
    return min(LONGEST_TICK_MS, cleanup * 1000) if cleanup else LONGEST_TICK_MS


@frozen
class Settings:
    """Times are in seconds. `identity`, `accounting` and `choice` are the numbers of the rules in
    force.

    No state depends on that of the choice of peers (`tracker.domain.choice`), so replay takes any.
    """

    private: bool = False
    listed: bool = False
    check_keys_expiration: bool = True
    interval: int = 120
    interval_min: int = 120
    max_peer_timeout: int = 900
    inactive_peer_cleanup_interval: int = 600
    remove_peerless_torrents: bool = True
    max_peers_per_announce: int = 74
    tick_ms: int = LONGEST_TICK_MS
    identity: int = 1
    accounting: int = 1
    policy: Policy = field(factory=Policy)
    choice: int = field(default=1, repr=False)  # not in the repr, as those in `Policy`

    def as_data(self) -> dict[str, Any]:
        """Returns the settings as members of an event's JSON, without those that came later and
        have their default.
        """
        data = asdict(self, value_serializer=_as_json)
        for name in self.policy.left_out():
            del data["policy"][name]
        if self.choice == 1:
            del data["choice"]
        return data

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Settings:
        """Reads the settings of an event. Ignores unknown members; absent members get their
        default.
        """
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        if "policy" in values:
            values["policy"] = Policy.from_data(values["policy"])
        return cls(**values)


def _as_json(_owner: object, _field: object, value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
