"""What clients are told when an announce is refused. They match substrings of the reference's texts."""

from __future__ import annotations

from typing import Literal

from tracker.domain import policy
from tracker.service import announce

_AUTHENTICATION = "Tracker authentication error: Authentication error: "

INVALID_KEY = _AUTHENTICATION + "Invalid format for authentication key param."

_TEXTS = {
    announce.LOG_FULL: "Tracker error: the tracker cannot record announces now, try again later",
    announce.KEY_MISSING: _AUTHENTICATION + "Missing authentication key param for private tracker.",
    announce.KEY_EXPIRED: _AUTHENTICATION + "Key has expired",
    policy.CLIENT_REFUSED: "Tracker error: this client is not allowed here",
    policy.PORT_REFUSED: "Tracker error: this port is not allowed here, choose another",
    policy.TORRENTS_FULL: "Tracker error: the tracker takes no more torrents now",
    policy.SWARM_FULL: "Tracker error: this torrent takes no more peers now",
    policy.PEERS_FULL: "Tracker error: the tracker takes no more peers now",
    policy.ACCOUNT_FULL: "Tracker error: too many clients with your key on this torrent",
    policy.RATE_EXCEEDED: "Tracker error: too many requests from your address, try again in a minute",
}


def refusal_text(refusal: int, info_hash: bytes, key: bytes | None) -> str:
    """The reason for a refusal of `Service.announce` or `Service.authenticate`; `key` as the client gave it."""
    if refusal == announce.NOT_WHITELISTED:
        return f"Tracker error: The torrent: {info_hash.hex()}, is not whitelisted"
    if refusal in (announce.KEY_UNKNOWN, announce.KEY_REVOKED):
        return f"{_AUTHENTICATION}Failed to read key: {(key or b'').decode('ascii', 'replace')}"
    return _TEXTS[refusal]


_LATER = (
    announce.NOT_WHITELISTED,
    policy.TORRENTS_FULL,
    policy.SWARM_FULL,
    policy.PEERS_FULL,
    policy.ACCOUNT_FULL,
)


def retry_in(refusal: int, minutes: int) -> int | Literal["never"] | None:
    """Minutes after which asking again may help (BEP 31); `minutes` where nobody knows."""
    if refusal in (announce.KEY_REVOKED, policy.CLIENT_REFUSED):
        return "never"
    if refusal == policy.RATE_EXCEEDED:
        return 1
    return minutes if refusal in _LATER else None
