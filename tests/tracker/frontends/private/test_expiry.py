"""Keys expire, are revoked, and are issued again."""

from __future__ import annotations

import pytest

from tests.support import SECOND
from tests.tracker.frontends.private.front import (
    EXPIRED,
    EXPIRED_TEXT,
    GOOD,
    HASH,
    PRIVATE,
    UNREADABLE_TEXT,
    Front,
    announce,
    scrape,
)
from tracker.domain.settings import Settings

DAY = 86_400


@pytest.mark.parametrize(
    ("seconds", "warned"),
    [
        (3600, True),
        (DAY, True),
        (3 * DAY - 3, True),
        (3 * DAY + 3, False),
        (30 * DAY, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("extra", [b"", b"&compact=0"], ids=["compact", "dictionaries"])
def test_a_warning_before_a_key_expires(seconds: int | None, warned: bool, extra: bytes) -> None:
    """In the last three days of a key every reply has a warning."""
    front = Front(PRIVATE)
    until = None if seconds is None else front.rig.service.now_us() + seconds * SECOND
    key = front.rig.issue(8, valid_until_us=until)
    reply = front.get(announce(key, extra=extra))
    assert ("warning message" in reply) == warned
    assert reply["incomplete"] == 1
    if warned:
        assert b"expires" in reply["warning message"]
        assert key not in reply["warning message"]


def test_a_key_expires_at_its_moment() -> None:
    """A key is valid up to its moment and refused after it, without a tick between."""
    front = Front(PRIVATE)
    key = front.rig.issue(8, valid_until_us=front.rig.service.now_us() + 10 * SECOND)
    front.rig.time.advance(10 * SECOND)
    assert front.get(announce(key))["incomplete"] == 1
    front.rig.time.advance(1)
    assert EXPIRED_TEXT in front.failure(announce(key))
    assert EXPIRED_TEXT in front.udp_failure(b"/" + key)


def test_expired_keys_are_valid_where_expiry_is_not_checked() -> None:
    """With `check_keys_expiration = false` an expired key is valid, and no reply has a warning."""
    front = Front(Settings(private=True, check_keys_expiration=False))
    reply = front.get(announce(EXPIRED))
    assert reply["incomplete"] == 1
    assert "warning message" not in reply
    assert front.get(scrape(EXPIRED))["files"][HASH][b"incomplete"] == 1


def test_revocation_and_reissue_are_in_force_at_once() -> None:
    """A revocation and a new issue take effect at the next request."""
    front = Front(PRIVATE)
    front.get(announce(GOOD))
    front.rig.revoke(GOOD)
    assert front.get(announce(GOOD))["retry in"] == b"never"
    assert UNREADABLE_TEXT in front.udp_failure(b"/" + GOOD)
    front.rig.issue(0)
    assert front.get(announce(GOOD))["incomplete"] == 1
