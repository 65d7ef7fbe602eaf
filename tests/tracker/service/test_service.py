"""The write path: a refused request changes nothing, an accepted one is logged and applied."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tests.support import (
    SECOND,
    Announce,
    Rig,
    endpoint4,
    endpoint6,
    hash_of,
    replayed,
)
from tracker.domain import events
from tracker.domain.events.admin import TorrentDelisted, TorrentWhitelisted, TrackerStopped
from tracker.domain.refusals import LOG_FULL, NOT_WHITELISTED
from tracker.domain.settings import Settings
from tracker.service.service import MOST_CLIENTS

HASH = hash_of(1)
LEECHER = Announce(HASH, endpoint4(1))


def whitelist(rig: Rig, info_hash: bytes = HASH) -> None:
    rig.service.append(TorrentWhitelisted(info_hash))


def delist(rig: Rig, info_hash: bytes = HASH) -> None:
    rig.service.append(TorrentDelisted(info_hash))


def test_a_full_log_refuses_announces() -> None:
    """A full log refuses announces without a change of state. When there is room again, it takes
    them.
    """
    rig = Rig()
    rig.log.room = False
    before = rig.state.digest()
    assert rig.announce(LEECHER) == [LOG_FULL]
    assert rig.state.digest() == before
    assert rig.types() == []
    rig.log.room = True
    assert rig.announce(LEECHER) == [1]


def test_listed_mode() -> None:
    """Only torrents on the list are served; counts of others read as zero."""
    rig = Rig()
    rig.announce(LEECHER)
    rig.service.change_settings(Settings(listed=True))
    assert rig.announce(LEECHER) == [NOT_WHITELISTED]
    assert rig.service.scrape(HASH) == (0, 0, 0)
    whitelist(rig)
    assert rig.announce(LEECHER) == [1]
    assert rig.service.scrape(HASH) == (0, 0, 1)
    rig.service.change_settings(Settings(listed=False))
    assert rig.announce(evolve(LEECHER, info_hash=hash_of(2))) == [2]
    assert rig.types().count("announced") == 3


def test_delisting_sends_peers_away_in_listed_mode_only() -> None:
    """On the open tracker the list means nothing; in listed mode the swarm of a delisted torrent
    goes.
    """
    rig = Rig()
    whitelist(rig)
    rig.announce(LEECHER)
    delist(rig)
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)
    rig.service.change_settings(Settings(listed=True))
    whitelist(rig)
    rig.announce(LEECHER, evolve(LEECHER, event=1), evolve(LEECHER, endpoint=endpoint6(1), left=0))
    delist(rig)
    assert rig.state.swarms.counts(HASH) == (0, 1, 0)
    assert rig.state.swarms.torrents_total == 0
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_the_settings_of_the_log_are_in_force_at_once() -> None:
    """A service over a state that was replayed obeys the settings in it."""
    rig = Rig.with_settings(listed=True, max_peers_per_announce=5)
    again = Rig(log=rig.log, state=replayed(rig.log.frames()))
    assert again.announce(LEECHER) == [NOT_WHITELISTED]
    assert (again.service.cap, again.service.settings.listed) == (5, True)


def test_settings_are_an_event_only_when_they_change() -> None:
    """The first run logs its settings, a run with the same ones does not."""
    rig = Rig.with_settings()
    rig.service.change_settings(Settings())
    assert rig.types() == ["settings_changed"]
    rig.service.change_settings(Settings(interval=7))
    assert rig.types() == ["settings_changed"] * 2


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "the same again": ({}, "continued"),
    "more of everything": ({"uploaded": 11, "downloaded": 11, "left": 0}, "continued"),
    "uploaded went down": ({"uploaded": 9}, "restarted"),
    "downloaded went down": ({"downloaded": 9}, "restarted"),
    "left went up": ({"left": 5000}, "continued"),
    "another peer id": ({"peer_id": b"-XX0002-abcdefghijkl"}, "restarted"),
    "another end of the peer id": ({"peer_id": b"-XX0001.abcdefghijkX"}, "restarted"),
    "another port": ({"endpoint": endpoint4(1, 1)}, "first"),
    "another torrent": ({"info_hash": hash_of(2)}, "first"),
    "stopped with zeros": ({"event": 3, "uploaded": 0, "downloaded": 0}, "continued"),
    "stopped by another": ({"event": 3, "peer_id": b"-XX0002-abcdefghijkl"}, "restarted"),
}


@pytest.mark.parametrize("name", RULES)
def test_the_rule_of_an_announce(name: str) -> None:
    """The service decides the rule of an announce once, from the announce before, and logs the
    number of that one.
    """
    changed, rule = RULES[name]
    rig = Rig.with_settings()
    first = evolve(LEECHER, uploaded=10, downloaded=10)
    rig.announce(first)
    rig.announce(evolve(first, **changed))
    last = rig.events()[-1]
    assert (last["rule"], last["prev_seq"]) == (rule, None if rule == "first" else 1)


def test_a_batch_has_one_time() -> None:
    """All events of a batch have one log time."""
    rig = Rig()
    rig.announce(LEECHER, evolve(LEECHER, endpoint=endpoint4(2)))
    rig.time.advance(SECOND)
    rig.announce(evolve(LEECHER, endpoint=endpoint4(3)))
    times = [event["time"] for event in rig.events()]
    assert times[0] == times[1] < times[2]
    assert rig.state.time_us == rig.service.now_us()


def test_a_frame_tells_the_time_of_its_first_record() -> None:
    """A frame has the time of its first record, even when an empty batch opened the frame."""
    rig = Rig()
    rig.announce()
    rig.time.advance(60 * SECOND)
    now = rig.service.now_us()
    rig.announce(LEECHER)
    (frame,) = rig.log.frames()
    assert frame.header.time_us == now


def test_a_refused_batch_between_others() -> None:
    """Empty batches, and events of other kinds between batches, do not disturb the numbering."""
    rig = Rig()
    rig.announce(LEECHER)
    rig.announce()
    rig.service.tick()
    rig.announce()
    rig.log.frames()
    rig.announce()
    whitelist(rig)
    rig.announce(LEECHER)
    assert [event["seq"] for event in rig.events()] == [0, 1, 2, 3]
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_counters_are_logged_as_deltas() -> None:
    """A flush logs one event for each counter, in order, and sets the pending counts to zero."""
    rig = Rig()
    for counter in (events.UDP6_SCRAPES, events.UDP4_CONNECTS, events.UDP6_SCRAPES):
        rig.service.count(counter)
    rig.service.refused(NOT_WHITELISTED)
    assert rig.state.tally.counters == {}
    rig.service.flush_counters()
    rig.service.flush_counters()
    told = [(e["counter"], e["label"], e["delta"]) for e in rig.events() if e["type"] == "counted"]
    assert told == [
        ("udp4_connects", 0, 1), ("udp6_scrapes", 0, 2), ("refused_requests", -NOT_WHITELISTED, 1),
    ]  # fmt: skip
    assert rig.state.tally.counters[events.UDP6_SCRAPES, 0] == 2
    assert rig.service.pending == {}


def test_refusals_by_client() -> None:
    """Refusals are counted by reason, client and version. The number of versions is limited, the
    number of clients is not.
    """
    rig = Rig()
    for _ in range(2):
        rig.service.refused(NOT_WHITELISTED, b"-qB4650-abcdefghijkl")
    rig.service.refused(0)
    rig.service.refused(0, b"\xff" * 20)
    rig.service.flush_refusals()
    told = [e for e in rig.events() if e["type"] == "refusals_counted"]
    assert [(e["label"], e["client"], e["version"], e["delta"]) for e in told] == [
        (0, None, None, 1), (0, "Other", None, 1), (-NOT_WHITELISTED, "qBittorrent", "4650", 2),
    ]  # fmt: skip
    for number in range(2 * MOST_CLIENTS):
        rig.service.refused(NOT_WHITELISTED, b"-TR%04d-abcdefghijkl" % number)
    rig.service.refused(NOT_WHITELISTED, b"-qB4651-abcdefghijkl")
    rig.service.flush_refusals()
    known = rig.state.tally.refusals
    assert len({key[1:] for key in known}) == MOST_CLIENTS + 2
    assert known[-NOT_WHITELISTED, "Transmission", ""] == MOST_CLIENTS + 3
    assert known[-NOT_WHITELISTED, "qBittorrent", ""] == 1
    assert sum(known.values()) == 2 * MOST_CLIENTS + 5
    rig.log.room = False
    rig.service.refused(LOG_FULL)
    rig.service.flush_refusals()
    assert (-LOG_FULL, "", "") not in known  # until there is room
    assert rig.service.refusals == {(-LOG_FULL, "", ""): 1}
    rig.log.room = True
    rig.service.flush_refusals()
    assert known[-LOG_FULL, "", ""] == 1
    again = replayed(rig.log.frames())
    assert (again.tally.refusals, again.digest()) == (known, rig.state.digest())


def test_an_unknown_admin_event_leaves_the_log_as_it_was() -> None:
    """An event that JSON cannot hold is refused before anything is appended."""
    rig = Rig()
    for value in (float("nan"), {1, 2}, "\ud800"):
        with pytest.raises((ValueError, TypeError)):
            rig.service.append(TrackerStopped(value))  # type: ignore[arg-type]  # on purpose
    assert rig.types() == []
    assert rig.state.seq == 0
