"""Makes admin writes under load, records which were acknowledged, and checks the log for them."""

from __future__ import annotations

import json
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from threading import Condition, Thread
from typing import TYPE_CHECKING

from tests.e2e.clients import UdpClient, announce_datagram, torrent
from tests.e2e.process import DEADLINE
from tracker.ports.errors import NOT_VOUCHED

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

ANNOUNCES = 1000  # announces of one life at most, because its log is replayed several times


class Writes:
    """Whitelists numbered torrents one by one. `acknowledged` has the numbers answered with
    success, `not_vouched` counts those that are in the log while its note cannot be written.
    """

    def __init__(self) -> None:
        self.acknowledged: set[int] = set()
        self.refused = 0
        self.not_vouched = 0
        self.changed = Condition()
        self._next = 0
        self._threads: list[Thread] = []

    def begin(self, tracker: Tracker, writers: int = 3) -> None:
        """Starts writers, each on its own connection, and a client that announces."""
        assert not self._threads
        self._threads = [Thread(target=self._write, args=[tracker]) for _ in range(writers)]
        client = UdpClient(tracker.udp[0])
        client.connect()
        client.wait_at_most(0.05)
        self._threads.append(Thread(target=self._announce, args=[client]))
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Waits for the writers, once the tracker has ended."""
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        self._threads = []

    def wait(self, number: int) -> bool:
        """Waits until `number` more are acknowledged.

        Returns false if one was refused meanwhile, or the tracker is gone.
        """
        with self.changed:
            due, refused = len(self.acknowledged) + number, self.refused
            self.changed.wait_for(
                lambda: len(self.acknowledged) >= due or self.refused > refused or self._gone(),
                DEADLINE,
            )
            return len(self.acknowledged) >= due

    def _gone(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads[:-1])

    def write(self, connection: HTTPConnection) -> bool:
        """Makes one more write; returns whether it was acknowledged. Raises `OSError`,
        `HTTPException`.
        """
        with self.changed:
            number = self._next
            self._next += 1
        connection.request("POST", f"/api/v1/whitelist/{number:040x}?token=MyAccessToken")
        response = connection.getresponse()
        body = response.read()
        done = body == b'{"status":"ok"}' and response.status == 200
        with self.changed:
            if done:
                self.acknowledged.add(number)
            self.refused += not done
            self.not_vouched += response.status == 503 and NOT_VOUCHED.encode() in body
            self.changed.notify_all()
        return done

    def _write(self, tracker: Tracker) -> None:
        connection = HTTPConnection(*tracker.api, timeout=DEADLINE)
        try:
            while True:
                self.write(connection)
        except (OSError, HTTPException):
            with self.changed:
                self.changed.notify_all()
        finally:
            connection.close()

    def _announce(self, client: UdpClient) -> None:
        """Announces beside the writes. A kill may lose announces: no reply promises them."""
        try:
            for number in range(ANNOUNCES):
                datagram = announce_datagram(
                    client.connection_id, torrent(number % 5), number, 7000
                )
                with suppress(TimeoutError):  # the next datagram fails if the tracker is gone
                    client.exchange(datagram)
        except OSError:
            pass
        finally:
            client.close()

    def check(self, tracker: Tracker) -> None:
        """Checks that the ended tracker's log is whole and holds every acknowledged write.

        It is whole before and after another start, and `verify` and `replay` reach the same digest.
        """
        verified = tracker.command("verify", "--json")
        assert verified.returncode == 0, verified.stdout
        tracker.start()
        assert tracker.stop() == 0
        check_whole(tracker)
        listed = tracker.events("--type", "torrent_whitelisted")
        found = {int(one["info_hash"], 16) for one in listed}
        assert self.acknowledged <= found
        assert found <= set(range(self._next))


def check_whole(tracker: Tracker) -> None:
    """Checks that the log is whole, and that `verify` and `replay` reach the same digest."""
    verified = tracker.command("verify", "--json")
    assert verified.returncode == 0, verified.stdout
    *_, summary = map(json.loads, verified.stdout.splitlines())
    replayed = tracker.command("replay", "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["digest"] == summary["digest"]
