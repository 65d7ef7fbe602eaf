"""Lists every refusal of a request: its number, its name, the text for clients, and when to retry.

The log holds the numbers, negated (docs/log-format.md, counter 7 `refused_requests`). The API and
the metrics show the names. Clients match substrings of the texts, so a text is the reference's if
the reference has the same refusal. But no text repeats a key, because clients show and log the
texts, and members post pictures of them.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from tracker.domain.events import DROPPED_BANNED

MALFORMED = 0
LOG_FULL = -1
NOT_WHITELISTED = -2
KEY_MISSING = -3
KEY_UNKNOWN = -4
KEY_EXPIRED = -5
KEY_REVOKED = -6
CLIENT_REFUSED = -7
PORT_REFUSED = -8
TORRENTS_FULL = -9
SWARM_FULL = -10
PEERS_FULL = -11
ACCOUNT_FULL = -12
RATE_EXCEEDED = -13
TORRENT_BLACKLISTED = -14
NETWORK_BLOCKED = -15
CLIENT_RULED_OUT = -16
SLOTS_FULL = -17
STARTED_FULL = -18

Retry = int | Literal["never"] | None
"""Minutes after which a retry may help, "never", or None for no advice (BEP 31, `retry in`)."""

SITE = -1
"""Stands in `retry` for the minutes of the setting `retry_in_minutes`."""

AUTHENTICATION = "Tracker authentication error: Authentication error: "
INVALID_KEY = AUTHENTICATION + "Invalid format for authentication key param."
"""Text for a key that is not 32 letters and digits; such a request counts as malformed."""


@frozen
class Refusal:
    """One row of the table.

    `text` may contain `{info_hash}` (hexadecimal).
    """

    name: str
    text: str
    retry: Retry = None


REFUSALS = {
    # Each malformed request has a text of its own.
    MALFORMED: Refusal("malformed", ""),
    LOG_FULL: Refusal(
        "log_full", "Tracker error: the tracker cannot record announces now, try again later"
    ),
    NOT_WHITELISTED: Refusal(
        "not_whitelisted", "Tracker error: The torrent: {info_hash}, is not whitelisted", SITE
    ),
    KEY_MISSING: Refusal(
        "key_missing",
        AUTHENTICATION + "Missing authentication key param for private tracker.",
    ),
    KEY_UNKNOWN: Refusal(
        "key_unknown",
        AUTHENTICATION + "Failed to read key: it is not known here, copy your announce URL again",
    ),
    KEY_EXPIRED: Refusal("key_expired", AUTHENTICATION + "Key has expired, get a new one"),
    KEY_REVOKED: Refusal(
        "key_revoked", AUTHENTICATION + "Failed to read key: it was revoked, get a new one", "never"
    ),
    CLIENT_REFUSED: Refusal(
        "client_refused", "Tracker error: this client is not allowed here", "never"
    ),
    PORT_REFUSED: Refusal(
        "port_refused", "Tracker error: this port is not allowed here, choose another"
    ),
    TORRENTS_FULL: Refusal(
        "torrents_full", "Tracker error: the tracker takes no more torrents now", SITE
    ),
    SWARM_FULL: Refusal("swarm_full", "Tracker error: this torrent takes no more peers now", SITE),
    PEERS_FULL: Refusal("peers_full", "Tracker error: the tracker takes no more peers now", SITE),
    ACCOUNT_FULL: Refusal(
        "account_full", "Tracker error: too many clients with your key on this torrent", SITE
    ),
    RATE_EXCEEDED: Refusal(
        "rate_exceeded",
        "Tracker error: too many requests from your address or key, try again in a minute",
        1,
    ),
    TORRENT_BLACKLISTED: Refusal(
        "torrent_blacklisted", "Tracker error: The torrent: {info_hash}, is blacklisted", SITE
    ),
    NETWORK_BLOCKED: Refusal(
        "network_blocked", "Tracker error: your network is blocked here", SITE
    ),
    CLIENT_RULED_OUT: Refusal(
        "client_ruled_out",
        "Tracker error: this version of your client is not allowed here",
        "never",
    ),
    SLOTS_FULL: Refusal(
        "slots_full", "Tracker error: your account downloads as many torrents as it may", SITE
    ),
    STARTED_FULL: Refusal(
        "started_full", "Tracker error: your account started as many torrents today as it may", SITE
    ),
}

BARRING = TORRENT_BLACKLISTED, NETWORK_BLOCKED, CLIENT_RULED_OUT
"""The refusals of what staff barred, which may have a reason for clients."""

NAMES = {number: refusal.name for number, refusal in REFUSALS.items()}


def name_of(label: int) -> str:
    """Returns the name of a refusal by its label in the log, or the label if it is unknown."""
    return NAMES.get(-label, str(label))


def dropped_name(label: int) -> str:
    """Returns why datagrams got no reply, by the label of the counter `udp_dropped`."""
    return "banned" if label == DROPPED_BANNED else NAMES[MALFORMED]


def text_of(number: int, info_hash: bytes, contact: str, reason: str = "") -> str:
    """Returns the text of a refusal for the client. `contact`: the setting, "" = none. `reason`:
    what staff said, "" = nothing that clients may read.
    """
    text = REFUSALS[number].text.format(info_hash=info_hash.hex())
    return with_contact(f"{text}: {reason}" if reason else text, contact)


def with_contact(text: str, contact: str) -> str:
    """Adds whom to ask to a text for a member; nothing where the site has set no contact."""
    return f"{text.removesuffix('.')}. Contact: {contact}" if contact else text


def retry_in(number: int, site_minutes: int) -> Retry:
    """Returns the advice for `retry in`; `site_minutes` is the setting `retry_in_minutes`."""
    retry = REFUSALS[number].retry
    return site_minutes if retry == SITE else retry
