"""Tests the API with a client as strict as Torrust's index.

The index compares the text of status 500 and the string for an unknown torrent by equality. It
accepts JSON only with every field it reads, of the right type.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests.e2e.clients import announce, api, ask, torrent

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

INVALID_TOKEN = 'Unhandled rejection: Err { reason: "token not valid" }'
NOT_KNOWN = '"torrent not known"'
COUNTS = ("seeders", "completed", "leechers")
AMOUNTS = ("uploaded", "downloaded", "left")
TIMES = ("updated", "updated_milliseconds_ago")


class InvalidTokenError(Exception):
    """The tracker refused the token with the text that the index compares."""


class NotKnownError(Exception):
    """The tracker does not know the torrent."""


@frozen
class IndexClient:
    """Makes the six calls of the index."""

    tracker: Tracker
    token: str = "MyAccessToken"

    def whitelist(self, info_hash: str) -> None:
        self._ask("POST", f"whitelist/{info_hash}")

    def remove_from_whitelist(self, info_hash: str) -> None:
        self._ask("DELETE", f"whitelist/{info_hash}")

    def new_key(self, seconds_valid: int) -> tuple[str, int]:
        """Returns a key and the second until which it is valid."""
        issued = json.loads(self._ask("POST", f"key/{seconds_valid}"))
        assert (type(issued["key"]), type(issued["valid_until"])) == (str, int)
        return issued["key"], issued["valid_until"]

    def torrent(self, info_hash: str) -> dict[str, Any]:
        text = self._ask("GET", f"torrent/{info_hash}")
        if text == NOT_KNOWN:
            raise NotKnownError
        found: dict[str, Any] = json.loads(text)
        assert found["info_hash"] == info_hash
        assert all(type(found[name]) is int for name in COUNTS)
        for peer in found["peers"]:
            assert all(type(peer[name]) is int for name in AMOUNTS + TIMES)
            assert (
                type(peer["peer_addr"]) is type(peer["event"]) is type(peer["peer_id"]["id"]) is str
            )
            assert peer["peer_id"]["client"] is None or type(peer["peer_id"]["client"]) is str
        return found

    def torrents(self, info_hashes: list[str]) -> list[dict[str, Any]]:
        """Returns the torrents of up to fifty info hashes."""
        query = "".join(f"info_hash={one}&" for one in info_hashes)
        found: list[dict[str, Any]] = json.loads(self._ask("GET", "torrents", query))
        assert all(type(one[name]) is int for one in found for name in COUNTS)
        return found

    def _ask(self, method: str, path: str, query: str = "") -> str:
        target = f"/api/v1/{path}?{query}token={self.token}"
        reply = ask(self.tracker, method, target, token="")
        if reply.status == 500 and reply.body == INVALID_TOKEN:
            raise InvalidTokenError
        assert reply.status == 200, reply.body
        return reply.body


def test_index(shared_tracker: Tracker) -> None:
    """The index lists torrents, reads what clients did, issues keys, and delists."""
    index = IndexClient(shared_tracker)
    hashes = [torrent(number).hex() for number in range(50)]
    for info_hash in hashes:
        index.whitelist(info_hash)
    index.whitelist(hashes[0])
    with pytest.raises(NotKnownError):
        index.torrent(hashes[0])
    assert index.torrents(hashes) == []
    announce(shared_tracker.http[0], torrent(7), 1, 6881, left=1, event="started")
    announce(
        shared_tracker.http[0], torrent(7), 1, 6881, uploaded=5, downloaded=7, event="completed"
    )
    announce(shared_tracker.http[0], torrent(3), 2, 6882, left=9)
    found = index.torrent(hashes[7])
    assert [found[name] for name in COUNTS] == [1, 1, 0]
    (peer,) = found["peers"]
    assert (peer["peer_addr"], peer["event"]) == ("127.0.0.1:6881", "Completed")
    assert [peer[name] for name in AMOUNTS] == [5, 7, 0]
    assert peer["updated"] == peer["updated_milliseconds_ago"] > 1_700_000_000_000
    listed = index.torrents(hashes)
    assert [one["info_hash"] for one in listed] == [hashes[3], hashes[7]]
    key, valid_until = index.new_key(3600)
    assert (len(key), valid_until > 1_700_000_000) == (32, True)
    for info_hash in (hashes[0], hashes[0]):
        index.remove_from_whitelist(info_hash)


def test_wrong_token(shared_tracker: Tracker) -> None:
    """The index recognises a wrong token by the exact text."""
    for call in (
        lambda index: index.whitelist("0" * 40),
        lambda index: index.torrent("0" * 40),
        lambda index: index.new_key(60),
    ):
        with pytest.raises(InvalidTokenError):
            call(IndexClient(shared_tracker, "other"))


def test_legacy_peer(tracker: Tracker) -> None:
    """The older paths have 16 counters, a peer as a pair, seconds, and no `0x`."""
    announce(tracker.http[0], torrent(9), 1, 6881, left=3, event="started")
    stats = api(tracker, "/api/stats")
    assert len(stats) >= 16
    assert (stats["torrents"], stats["leechers"], stats["tcp4_announces_handled"]) == (1, 1, 1)
    found = api(tracker, f"/api/torrent/{torrent(9).hex()}")
    assert list(found) == ["info_hash", "completed", "seeders", "leechers", "peers"]
    ((who, where),) = found["peers"]
    assert (list(who), len(who["id"])) == (["id", "client"], 40)
    assert list(where) == ["ip", "updated", "uploaded", "downloaded", "left", "event"]
    assert (where["ip"], where["left"], where["event"]) == ("127.0.0.1:6881", 3, "Started")
    assert 1_700_000_000 < where["updated"] < 17_000_000_000
    assert api(tracker, "/api/torrents") == [
        {name: found[name] for name in ("info_hash", "completed", "seeders", "leechers")}
    ]
