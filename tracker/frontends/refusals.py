"""What clients are told when an announce is refused. They match substrings of the reference's texts."""

from __future__ import annotations

from typing import Literal

from tracker import service

UNLISTED_RETRY_MINUTES = 30

_AUTHENTICATION = "Tracker authentication error: Authentication error: "

INVALID_KEY = _AUTHENTICATION + "Invalid format for authentication key param."

_TEXTS = {
    service.LOG_FULL: "Tracker error: the tracker cannot record announces now, try again later",
    service.KEY_MISSING: _AUTHENTICATION + "Missing authentication key param for private tracker.",
    service.KEY_EXPIRED: _AUTHENTICATION + "Key has expired",
}


def refusal_text(refusal: int, info_hash: bytes, key: bytes | None) -> str:
    """The reason for a refusal of `Service.announce` or `Service.authenticate`; `key` as the client gave it."""
    if refusal == service.NOT_WHITELISTED:
        return f"Tracker error: The torrent: {info_hash.hex()}, is not whitelisted"
    if refusal in (service.KEY_UNKNOWN, service.KEY_REVOKED):
        return f"{_AUTHENTICATION}Failed to read key: {(key or b'').decode('ascii', 'replace')}"
    return _TEXTS[refusal]


def retry_in(refusal: int) -> int | Literal["never"] | None:
    """Minutes after which asking again may help (BEP 31)."""
    if refusal == service.KEY_REVOKED:
        return "never"
    return UNLISTED_RETRY_MINUTES if refusal == service.NOT_WHITELISTED else None
