"""Holds the site's own rules: the settings of `[policy]` that decide about announces.

With the defaults every announce passes. `tracker.domain.rules` decides by them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from attrs import field, fields, frozen

# Kinds of setting; the configuration has a reader for each (`tracker/config/schema.py`).
Limit = Annotated[int, "limit"]
"""The largest number of something; 0 = no limit."""
Jitter = Annotated[int, "jitter"]
"""Seconds, 0 to 86,400."""
Minutes = Annotated[int, "minutes"]
"""Minutes, 1 to 525,600."""
RememberDays = Annotated[int, "remember_days"]
"""Days, 0 to 366."""
HistoryDays = Annotated[int, "history_days"]
"""Days, 0 to 36,500; 0 = for ever."""
Rate = Annotated[int, "rate"]
"""Bytes a second; 0 = no limit."""
Clients = Annotated[tuple[str, ...], "clients"]
"""First characters of peer ids, such as "-qB"."""
Ports = Annotated[tuple[str, ...], "ports"]
"""Ports and ranges of them, "25" or "6881-6889"."""
Contact = Annotated[str, "contact"]
"""A line of text or a URL, up to 200 characters; "" = none."""

_OF_RULES_2 = "remember_days", "bases_per_account", "resumed_rate"
"""Keys that are in the events of all logs, although digests leave them out with their defaults."""


@frozen
class Policy:
    """The keys of `[policy]` that decide about announces. They are logged with the settings.

    With the defaults the tracker behaves like the reference.
    """

    interval_jitter: Jitter = 0  # the most seconds that are added to `interval`
    enforce_interval_min: bool = False
    peers_per_account: Limit = 0  # on one torrent
    clients_allowed: Clients = ()  # () = all
    clients_denied: Clients = ()
    refused_ports: Ports = ()
    requests_per_minute: Limit = 0  # of one account or, without a valid key, one address
    max_torrents: Limit = 0
    max_peers: Limit = 0
    max_peers_per_torrent: Limit = 0
    retry_in_minutes: Minutes = 30
    ip_parameter: Literal["ignored", "local", "always"] = "ignored"
    partial_seeds: bool = False  # scrapes give `downloaders` (BEP 21)
    external_ip_in_replies: bool = False  # BEP 24
    # Later keys are not in the repr, because digests of older logs have it: see `later`. These are
    # for accounting rules 2.
    remember_days: RememberDays = field(default=7, repr=False)  # how long a base stays
    bases_per_account: Limit = field(default=2000, repr=False)
    resumed_rate: Rate = field(default=104_857_600, repr=False)  # of upload in a resumed gap
    history_days: HistoryDays = field(default=0, repr=False)  # how long the book keeps a row
    contact: Contact = field(default="", repr=False)  # whom a refused member may ask
    leeching_slots: Limit = field(default=0, repr=False)  # torrents an account leeches at once
    started_per_day: Limit = field(default=0, repr=False)  # torrents that an account starts
    handed_per_hour: Limit = field(default=0, repr=False)  # peers in replies to an account
    handed_per_day: Limit = field(default=0, repr=False)
    leave_out_own_clients: bool = field(default=False, repr=False)  # of replies to their account

    def later(self) -> dict[str, object]:
        """Returns the later keys that do not have their default: what digests, events and images
        have of them. A key is later if it is not in the repr.
        """
        return {
            each.name: value
            for each in fields(Policy)
            if not each.repr and (value := getattr(self, each.name)) != each.default
        }

    def added(self) -> tuple[object, ...]:
        """Returns what digests have beside the repr, () if all later keys have their defaults."""
        later = self.later()
        found: tuple[object, ...] = ()
        if later.keys() & {*_OF_RULES_2, "history_days"}:
            found = tuple(getattr(self, name) for name in _OF_RULES_2)
        for name in _OF_RULES_2:
            later.pop(name, None)
        if "history_days" in later:  # the form that older logs have
            found = (*found, later.pop("history_days"))
        return (*found, *later.items())

    def left_out(self) -> set[str]:
        """Returns the keys that events and images leave out."""
        later = {each.name for each in fields(Policy) if not each.repr}
        return later - self.later().keys() - set(_OF_RULES_2)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Policy:
        """Reads the policy in an event, without the keys that this version does not know."""
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name in known
        }
        return cls(**values)
