"""Defines the numbers and names that events have in the log.

Numbers are part of the log format: a released number keeps its meaning for ever.
"""

from __future__ import annotations

from datetime import date

# Kinds of frames with a codec of their own. `events.records` declares the other kinds. Kinds from
# 240 on belong to eventlog.
ANNOUNCE = 1
ADMIN = 2

# The `event` of an announce: BEP 3's events with BEP 15's numbers, and BEP 21's `paused`.
NONE = 0
COMPLETED = 1
STARTED = 2
STOPPED = 3
PAUSED = 4

EVENT_NAMES = ("none", "completed", "started", "stopped", "paused")

# The protocol and address family of an announce: the high nibble of the record's `what`.
HTTP4 = 0
HTTP6 = 1
UDP4 = 2
UDP6 = 3

PROTOCOL_NAMES = ("http", "http", "udp", "udp")

# Flags of an announce.
FLAG_NUMWANT_ABSENT = 0x0001
FLAG_DICTIONARIES = 0x0002  # the client wants a reply with dictionaries (`compact=0`)
FLAG_EARLY = 0x0004
"""It came too early, so its reply lists no peers. Only where budgets of peers are in force."""

# Rules: how an announce relates to the same peer's announce before it. The live tracker decides the
# rule and logs it; replay takes it from the log.
RULE_FIRST = 1
RULE_CONTINUED = 2
RULE_RESTARTED = 3  # a counter went down, or another peer id appeared at the same address

RULE_RESUMED = 4  # the peer was not listed any more, but is remembered; by accounting rules 2

RULE_NAMES = {
    RULE_FIRST: "first",
    RULE_CONTINUED: "continued",
    RULE_RESTARTED: "restarted",
    RULE_RESUMED: "resumed",
}

DAY_US = 86_400_000_000  # microseconds in a day
_FIRST_DAY = date(1970, 1, 1).toordinal()


def day_name(day: int) -> str:
    """Returns a day, counted from 1970-01-01, as `2026-11-21`."""
    return date.fromordinal(_FIRST_DAY + day).isoformat()


def day_number(name: str) -> int:
    """Undoes `day_name`. Raises `ValueError`."""
    return date.fromisoformat(name).toordinal() - _FIRST_DAY


LEFT_UNKNOWN = 2**64 - 1
"""Logged if `left` was absent, or no number of bytes that a torrent can have. Such a peer is a
leecher.
"""

# Counters of requests that leave no event: connects, scrapes, refusals. They are logged as deltas.
UDP4_CONNECTS = 1
UDP6_CONNECTS = 2
TCP4_SCRAPES = 3
TCP6_SCRAPES = 4
UDP4_SCRAPES = 5
UDP6_SCRAPES = 6
REFUSED_REQUESTS = 7  # by reason, in the label
UDP_DROPPED = 8  # datagrams without a reply; label `DROPPED_BANNED`: from banned addresses
DROPPED_BANNED = 1

COUNTER_NAMES = {
    UDP4_CONNECTS: "udp4_connects",
    UDP6_CONNECTS: "udp6_connects",
    TCP4_SCRAPES: "tcp4_scrapes",
    TCP6_SCRAPES: "tcp6_scrapes",
    UDP4_SCRAPES: "udp4_scrapes",
    UDP6_SCRAPES: "udp6_scrapes",
    REFUSED_REQUESTS: "refused_requests",
    UDP_DROPPED: "udp_dropped",
}
