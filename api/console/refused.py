"""Says in words why the tracker refused an announce: what staff tells a member who asks."""

from __future__ import annotations

from typing import Final

WORDS: Final = {
    "malformed": "the request is not a valid announce",
    "log_full": "the tracker could not record announces then",
    "not_whitelisted": "the torrent is not on the whitelist",
    "key_missing": "the announce URL has no key",
    "key_unknown": "the key in the announce URL is not known here",
    "key_expired": "the key has expired: the member needs a new one",
    "key_revoked": "the key was revoked: the member needs a new one",
    "client_refused": "the client is not allowed here",
    "port_refused": "the client's port is not allowed here: another one must be chosen",
    "torrents_full": "the tracker took no more torrents then",
    "swarm_full": "the torrent took no more peers then",
    "peers_full": "the tracker took no more peers then",
    "account_full": "too many clients with the member's keys are on this torrent",
    "rate_exceeded": "too many requests within a minute",
    "torrent_blacklisted": "the torrent is on the blacklist",
    "network_blocked": "the member's network is blocked",
    "client_ruled_out": "this version of the client is not allowed here",
    "slots_full": "the member downloads as many torrents as its slots allow",
    "started_full": "the member started as many torrents on that day as it may",
}
"""Sentences by the names of refusals."""


def in_words(reason: str) -> str:
    """Returns the sentence of a refusal; its name in words where a newer tracker has another."""
    return WORDS.get(reason, reason.replace("_", " "))
