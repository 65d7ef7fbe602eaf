"""The log holds refusals of known keys and no key's text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.support import SECOND, Announce, announce_one, endpoint4, hash_of, replayed
from tests.tracker.frontends.private.front import (
    BOTH,
    EXPIRED,
    GOOD,
    HASH,
    PRIVATE,
    REVOKED,
    UNKNOWN,
    UNLISTED,
    Front,
    announce,
    scrape,
    url,
)
from tracker.domain import events
from tracker.domain.events.records import AnnounceRefused
from tracker.service import refused_keys

if TYPE_CHECKING:
    import pytest


def test_refusals_of_known_keys_are_events() -> None:
    """The log holds refusals of keys that were ever issued, and none of unknown keys."""
    front = Front(BOTH)
    for target in (announce(REVOKED), announce(EXPIRED), announce(GOOD, UNLISTED), announce(UNKNOWN),
                   announce(), announce(b"bad")):  # fmt: skip
        front.failure(target)
    expected = [
        (3, "key_revoked", HASH.hex()),
        (2, "key_expired", HASH.hex()),
        (1, "not_whitelisted", UNLISTED.hex()),
    ]
    assert front.refusals() == expected
    assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()


def test_refusals_are_logged_once_in_an_interval() -> None:
    """The log takes one refusal in ten minutes for each key, reason and torrent, so that no client
    fills the disk."""
    front = Front(BOTH)

    def all_again() -> None:
        for _ in range(5):
            front.failure(announce(REVOKED))
            front.udp_failure(b"/" + REVOKED, UNLISTED)
            front.failure(announce(EXPIRED))
            front.failure(announce(GOOD, UNLISTED))
            front.udp_failure(b"/" + GOOD, UNLISTED)

    all_again()
    assert len(front.refusals()) == 4
    front.rig.time.advance(599 * SECOND)
    all_again()
    assert len(front.refusals()) == 4
    front.rig.time.advance(2 * SECOND)
    all_again()
    assert sorted(front.refusals()) == sorted(front.refusals()[:4] * 2)
    assert {frame.header.kind for frame in front.rig.log.frames()} >= {AnnounceRefused.kind}


def test_refusals_of_an_interval_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key gets some of the refusals, and all keys together get some."""
    monkeypatch.setattr(refused_keys, "MOST", 10)
    monkeypatch.setattr(refused_keys, "MOST_OF_KEY", 3)
    front = Front(BOTH)
    keys = [front.rig.issue(100 + number) for number in range(6)]
    for interval in (1, 2):
        for key in keys:
            for number in range(5):
                front.failure(announce(key, hash_of(200 + number)))
        logged = Counter(key_ref for key_ref, _, _ in front.refusals())
        assert sorted(logged.values()) == [interval, *[3 * interval] * 3]
        front.rig.time.advance(600 * SECOND)
    front.failure(announce(keys[5], UNLISTED))
    assert len(front.refusals()) == 21
    assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()


def test_refusals_in_the_middle_of_a_batch() -> None:
    """The log holds served and refused requests of one batch in their order, and replays to the
    same state."""
    rig = Front(BOTH).rig
    rig.service.begin()
    for number in range(6):
        one = Announce(
            HASH, endpoint4(number), b"-XX0001.%012d" % number, key=(GOOD, REVOKED)[number % 2]
        )
        announce_one(rig.service, one)
    rig.service.end()
    types = [one["type"] for one in rig.events()][-4:]
    assert types == ["announced", "announce_refused", "announced", "announced"]
    assert [one["seq"] for one in rig.events()] == list(range(len(rig.events())))
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_a_batch_with_a_refusal_keeps_log_time_in_order() -> None:
    """Log time never goes back, although a refusal reads the clock within a batch."""
    rig = Front(PRIVATE).rig
    rig.service.begin()
    announce_one(rig.service, Announce(HASH, endpoint4(1), b"a" * 20, key=GOOD))
    rig.time.advance(SECOND)
    announce_one(rig.service, Announce(HASH, endpoint4(2), b"b" * 20, key=REVOKED))
    announce_one(rig.service, Announce(HASH, endpoint4(3), b"c" * 20, key=GOOD))
    rig.service.end()
    times = [one["time"] for one in rig.events()]
    assert times == sorted(times)


def test_refusals_are_counted_by_reason() -> None:
    """Refusals count by reason, those of unknown keys too."""
    front = Front(PRIVATE)
    for target in (
        announce(),
        announce(UNKNOWN),
        announce(UNKNOWN),
        announce(REVOKED),
        announce(b"x"),
    ):
        front.failure(target)
    front.udp_failure(b"")
    front.rig.service.flush_counters()
    labels = {
        label: count
        for (counter, label), count in front.rig.state.tally.counters.items()
        if counter == events.REFUSED_REQUESTS
    }
    # Labels are the numbers of refusals, and 0 stands for malformed requests.
    assert labels == {0: 1, 3: 2, 4: 2, 6: 1}


def test_a_full_log_refuses_private_announces() -> None:
    """With a full log nothing is appended or applied, and refusals are not logged."""
    front = Front(BOTH)
    front.rig.log.room = False
    before = front.rig.state.digest()
    assert "cannot record announces" in front.failure(announce(GOOD))
    assert "cannot record announces" in front.udp_failure(b"/" + GOOD)
    front.failure(announce(REVOKED))
    front.failure(announce(GOOD, UNLISTED))
    assert front.rig.state.digest() == before


def test_no_record_holds_the_text_of_a_key() -> None:
    front = Front(BOTH)
    for key in (GOOD, EXPIRED, REVOKED, UNKNOWN):
        for info_hash in (HASH, UNLISTED):
            front.get(announce(key, info_hash))
            front.udp(url(b"/" + key), info_hash)
            front.get(scrape(key))
    whole = b"".join(bytes(one.plain) + bytes(one.protected) for one in front.rig.log.frames())
    for key in (GOOD, EXPIRED, REVOKED, UNKNOWN):
        assert key not in whole
