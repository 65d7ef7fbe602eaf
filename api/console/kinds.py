"""Names the kinds of events that pages ask for, and says what they mean. Tests compare them with
the log's declarations, which the console does not import.
"""

from __future__ import annotations

from typing import Any, Final

from api.console import formats

STAFF: Final = (
    "torrent_whitelisted", "torrent_delisted", "key_issued", "key_revoked", "key_rotated",
    "key_changed", "owner_keys_revoked", "completed_imported", "torrent_described",
    "settings_changed", "credit_factor_set", "credit_factor_ended", "credit_corrected",
    "account_grouped", "freeleech_given", "freeleech_withdrawn", "hit_and_run_rule_set",
    "hit_and_run_rule_ended", "hit_and_run_pardoned", "hit_and_run_voided", "immunity_changed",
    "addresses_shredded", "server_key_changed", "case_taken", "case_waiting", "case_closed",
    "case_noted", "leech_off_changed", "hiding_changed", "torrent_blacklisted",
    "torrent_unblacklisted", "network_blocked", "network_unblocked", "client_rule_set",
    "client_rule_ended", "limits_set", "token_issued", "token_revoked", "account_merged",
    "account_split",
)  # fmt: skip
"""Changes by staff, or by a schedule in their place."""
ANY_OF_STAFF: Final = "staff"
"""The name that the API and the command have for all of them."""

KEY: Final = (
    "key_issued", "key_rotated", "key_changed", "key_revoked", "owner_keys_revoked", "account_split",
)  # fmt: skip
"""Changes by staff that are about a key."""

UNASKED: Final = (
    "tracker_started", "tracker_stopped", "clock_stepped", "announce_refused", "addresses_lost",
    "addresses_seen", "log_pruned", "format_begun", "token_used",
)  # fmt: skip
"""Admin events that change nothing by somebody's will; looks at addresses are among them."""

RECORDS: Final = (
    "announced", "evicted", "tick", "counted", "refusals_counted", "client_named", "unknown",
)  # fmt: skip
"""The kinds of events that are no admin events."""

REFUSALS: Final = (
    "malformed", "log_full", "not_whitelisted", "key_missing", "key_unknown", "key_expired",
    "key_revoked", "client_refused", "port_refused", "torrents_full", "swarm_full", "peers_full",
    "account_full", "rate_exceeded", "torrent_blacklisted", "network_blocked", "client_ruled_out",
    "slots_full", "started_full",
)  # fmt: skip
"""Reasons of refused requests, by the label of the counter `refused_requests`."""

_UNSAID: Final = ("seq", "time", "log_time", "type", "by", "key_hash", "token_hash")
BYTES: Final = (
    "uploaded", "downloaded", "left", "size", "max_bytes", "credited_uploaded", "credited_downloaded",
)  # fmt: skip
"""Members of events that count bytes."""
_SHOWN: Final = 200  # characters of what an event says in one line


def refusal(label: int) -> str:
    return REFUSALS[label] if 0 <= label < len(REFUSALS) else f"reason {label}"


def in_words(event: dict[str, Any]) -> str:
    """Says in one line what an event says, without when, who and why."""
    if event["type"] == "announced":
        return _announced(event)
    parts = [
        f"{name.replace('_', ' ')} {_told(name, given)}"
        for name, given in event.items()
        if name not in _UNSAID and given is not None and given != ""
    ]
    text = ", ".join(parts)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _told(name: str, given: Any) -> str:
    """Writes a value of a change: bytes as a size."""
    if name in BYTES and type(given) is int:
        return formats.size(given)
    return said(given)


def _announced(event: dict[str, Any]) -> str:
    """Says what matters of an announce; its page has the rest."""
    who = event.get("owner") or (f"member {event['account']}" if event.get("account") else "")
    what = event["event"] if event["event"] != "none" else "goes on"
    parts = [
        who,
        event.get("label") or f"torrent {event['info_hash'][:10]}",
        what,
        f"up {formats.size(event['uploaded'])}",
        f"down {formats.size(event['downloaded'])}",
        f"left {formats.size(event['left'])}",
        formats.client(event["peer_id"]),
    ]
    return ", ".join(part for part in parts if part)


def said(given: object) -> str:
    """Writes any value of an event on one line."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, list):
        return " ".join(map(said, given)) or "none"
    if isinstance(given, dict):
        known = {name: each for name, each in given.items() if each is not None}
        return " ".join(f"{name} {said(each)}" for name, each in known.items())
    return str(given)
