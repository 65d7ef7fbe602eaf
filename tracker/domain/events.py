"""The event vocabulary: what can stand in the log, and the numbers it goes by.

Numbers are part of the log format: once released, a number keeps its meaning for ever.
"""

from __future__ import annotations

# Frame kinds (eventlog keeps 240 and above for itself).
ANNOUNCE = 1
ADMIN = 2
TICK = 3
COUNTERS = 4
EVICTIONS = 5
REFUSALS = 6

# What an announce says is happening: BEP 3's events by BEP 15's numbers, and BEP 21's `paused`.
NONE = 0
COMPLETED = 1
STARTED = 2
STOPPED = 3
PAUSED = 4

EVENT_NAMES = ("none", "completed", "started", "stopped", "paused")

# How an announce arrived: protocol and address family, the high nibble of the record's `what`.
HTTP4 = 0
HTTP6 = 1
UDP4 = 2
UDP6 = 3

PROTOCOL_NAMES = ("http", "http", "udp", "udp")

# Flags of an announce.
FLAG_NUMWANT_ABSENT = 0x0001
FLAG_DICTIONARIES = 0x0002  # asked for the non-compact form

# Rules: how an announce relates to the one before it of the same peer. Decided once, logged, obeyed
# by every replay.
RULE_FIRST = 1
RULE_CONTINUED = 2
RULE_RESTARTED = 3  # a counter went down, or another peer id appeared at the same address

RULE_NAMES = {RULE_FIRST: "first", RULE_CONTINUED: "continued", RULE_RESTARTED: "restarted"}

DAY_US = 86_400_000_000

LEFT_UNKNOWN = 2**64 - 1
"""`left` was absent, or not a number of bytes a torrent can have: the peer is a leecher."""

# Admin events: canonical JSON.
TRACKER_STARTED = 1
TRACKER_STOPPED = 2
CLOCK_STEPPED = 3
TORRENT_WHITELISTED = 10
TORRENT_DELISTED = 11
KEY_ISSUED = 20
KEY_REVOKED = 21
KEY_ROTATED = 22
KEY_CHANGED = 23
COMPLETED_IMPORTED = 30
SETTINGS_CHANGED = 40
ANNOUNCE_REFUSED = 50
CREDIT_FACTOR_SET = 60
CREDIT_FACTOR_ENDED = 61
CREDIT_CORRECTED = 62
ADDRESSES_SHREDDED = 70
ADDRESSES_LOST = 71
LOG_PRUNED = 80

ADMIN_NAMES = {
    TRACKER_STARTED: "tracker_started",
    TRACKER_STOPPED: "tracker_stopped",
    CLOCK_STEPPED: "clock_stepped",
    TORRENT_WHITELISTED: "torrent_whitelisted",
    TORRENT_DELISTED: "torrent_delisted",
    KEY_ISSUED: "key_issued",
    KEY_REVOKED: "key_revoked",
    KEY_ROTATED: "key_rotated",
    KEY_CHANGED: "key_changed",
    COMPLETED_IMPORTED: "completed_imported",
    SETTINGS_CHANGED: "settings_changed",
    ANNOUNCE_REFUSED: "announce_refused",
    CREDIT_FACTOR_SET: "credit_factor_set",
    CREDIT_FACTOR_ENDED: "credit_factor_ended",
    CREDIT_CORRECTED: "credit_corrected",
    ADDRESSES_SHREDDED: "addresses_shredded",
    ADDRESSES_LOST: "addresses_lost",
    LOG_PRUNED: "log_pruned",
}

# Counters that no announce event tells: connects, scrapes, refusals. Logged as deltas.
UDP4_CONNECTS = 1
UDP6_CONNECTS = 2
TCP4_SCRAPES = 3
TCP6_SCRAPES = 4
UDP4_SCRAPES = 5
UDP6_SCRAPES = 6
REFUSED_REQUESTS = 7  # by reason, in the label
UDP_DROPPED = 8  # datagrams that got no answer; label 1: of banned addresses
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

UNKNOWN = "unknown"
"""The `type` of what a newer version wrote, and this one does not know."""

EVENT_TYPES = (
    "announced",
    "evicted",
    "tick",
    "counted",
    "refusals_counted",
    *ADMIN_NAMES.values(),
    UNKNOWN,
)
"""Every `type` that `tracker events` can print."""
