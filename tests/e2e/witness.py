"""Checks after hostile input that the tracker still answers and has recorded none of it.

It announces a peer of its own, waits until that announce is in the log, and checks the events
before it. The log is ordered, so an effect of the input would be there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.clients import announce, torrent, udp_client
from tests.e2e.process import Follower

if TYPE_CHECKING:
    from tests.e2e.process import Event, Tracker

TORRENT = torrent(0xEE)


class Witness:
    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._follower = Follower(tracker, "--type", "announced")
        self._announced = 0

    def close(self) -> None:
        self._follower.close()

    def check_http(self) -> None:
        """Checks that the HTTP tracker answers, and that no other peer has announced."""
        self._announced += 1
        reply = announce(self._tracker.http[0], TORRENT, self._announced, self._announced)
        assert reply["complete"] + reply["incomplete"] == self._announced
        self._check_log()

    def check_udp(self) -> None:
        """Checks the same of the UDP tracker."""
        self._announced += 1
        with udp_client(self._tracker.udp[0]) as client:
            reply = client.announce(TORRENT, self._announced, self._announced)
        assert reply.seeders + reply.leechers == self._announced
        self._check_log()

    def _check_log(self) -> None:
        def arrived(events: list[Event]) -> bool:
            return any(self._is_mine(one) and one["port"] == self._announced for one in events)

        events = self._follower.until(arrived)
        assert [one for one in events if not self._is_mine(one)] == []
        assert [one["port"] for one in events] == list(range(1, self._announced + 1))

    @staticmethod
    def _is_mine(event: Event) -> bool:
        return bool(event["info_hash"] == TORRENT.hex())
