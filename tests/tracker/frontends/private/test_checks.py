"""The checks come in a fixed order, and a refusal names the minutes after which a new attempt may
succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tracker.frontends.private.front import (
    BOTH,
    EXPIRED,
    EXPIRED_TEXT,
    FORMAT_TEXT,
    GOOD,
    HASH,
    LISTED,
    MISSING_TEXT,
    PRIVATE,
    REVOKED,
    UNKNOWN,
    UNLISTED,
    UNLISTED_TEXT,
    UNREADABLE_TEXT,
    V4,
    Front,
    announce,
    udp_announce,
    url,
)
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from tracker.domain.settings import Settings

PROXY_TEXT = "missing or invalid the right most X-Forwarded-For IP"


# The checks in their order: each request is wrong in all later checks too.
BROKEN = b"?info_hash=abc&peer_id=x&port=1"
ORDER: dict[str, tuple[bytes, str]] = {
    "no query at all": (b"/announce/bad", "missing query params for announce request"),
    "the query before the key": (b"/announce/bad" + BROKEN, "for info_hash in"),
    "the form of the key before the key": (announce(b"bad", UNLISTED), FORMAT_TEXT),
    "the key before the list": (announce(UNKNOWN, UNLISTED), UNREADABLE_TEXT),
    "a missing key before the list": (announce(b"", UNLISTED), MISSING_TEXT),
    "an expired key before the list": (announce(EXPIRED, UNLISTED), EXPIRED_TEXT),
    "the list before the address": (announce(GOOD, UNLISTED), UNLISTED_TEXT),
    "the address last": (announce(GOOD), PROXY_TEXT),
}


@pytest.mark.parametrize(("target", "text"), ORDER.values(), ids=ORDER)
def test_order_of_checks(target: bytes, text: str) -> None:
    """Behind a proxy that sends no address each request is wrong in all later checks too. The first
    check answers."""
    front = Front(BOTH, proxied=True)
    assert text in front.failure(target, forwarded=b"INVALID IP")
    assert front.rig.types().count("announced") == 0


def test_the_connection_id_is_checked_before_the_key() -> None:
    """A client without a connection id learns nothing about keys."""
    front = Front(PRIVATE)
    handler = DatagramHandler(front.rig.service, ConnectionIds(b"c" * 32), 0)
    handler.begin()
    datagram = udp_announce(b"no id of", HASH) + url(b"/" + UNKNOWN)
    reply = handler.answer(datagram, 0, len(datagram), V4)
    handler.end()
    assert reply is not None
    assert reply[8:] == b"connection id could not be verified"


RETRIES = {
    "revoked": (PRIVATE, announce(REVOKED), b"never"),
    "revoked, by passkey": (PRIVATE, announce(extra=b"&passkey=" + REVOKED), b"never"),
    "unlisted": (LISTED, announce(b"", UNLISTED), 30),
    "unlisted, with a key": (BOTH, announce(GOOD, UNLISTED), 30),
    "unknown": (PRIVATE, announce(UNKNOWN), None),
    "missing": (PRIVATE, announce(), None),
    "expired": (PRIVATE, announce(EXPIRED), None),
    "malformed": (PRIVATE, announce(b"bad"), None),
}


@pytest.mark.parametrize(("mode", "target", "retry"), RETRIES.values(), ids=RETRIES)
def test_retry_in(mode: Settings, target: bytes, retry: bytes | int | None) -> None:
    """`retry in` (BEP 31) is the number of minutes after which a new attempt may succeed."""
    assert Front(mode).get(target).get("retry in") == retry
