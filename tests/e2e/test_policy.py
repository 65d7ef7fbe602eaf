"""Tests the site's policy from the configuration: its effect, and its record in the log."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tests.e2e.clients import (
    UdpClient,
    announce,
    announce_datagram,
    api,
    torrent,
    udp_client,
)
from tests.e2e.process import DEADLINE, Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

RULES = """[policy]
max_torrents = 3
refused_ports = ["1-1023"]
clients_denied = ["-ZZ"]
"""


def test_connection_id_settings(new_tracker: Callable[..., Tracker]) -> None:
    """`cookie_lifetime` belongs to a listener: an id too old for one is good for the other."""
    listeners = Listeners(udp=("127.0.0.1:0", "127.0.0.1:0"))
    tracker = new_tracker(listeners)
    text, bind = tracker.config.read_text(), f'bind_address = "{listeners.udp[0]}"'
    tracker.config.write_text(text.replace(bind, f"{bind}\ncookie_lifetime = 1", 1))
    tracker.start()
    with udp_client(tracker.udp[0]) as short, udp_client(tracker.udp[1]) as usual:
        began = time.monotonic()
        while _announced(short):
            assert time.monotonic() - began < DEADLINE
            time.sleep(0.1)
        assert _announced(usual)


def test_connection_ids_unchecked(new_tracker: Callable[..., Tracker]) -> None:
    """With validation disabled any connection id is good, and the start warns."""
    tracker = new_tracker(extra='[policy]\nconnection_id_validation = "disabled"').start()
    with udp_client(tracker.udp[0]) as client:
        client.connection_id = bytes(8)
        assert _announced(client)
    assert tracker.stop() == 0
    assert tracker.lines is not None
    assert any("connection ids are not checked" in line for line in tracker.lines.all())


def _announced(client: UdpClient) -> bool:
    reply = client.exchange(announce_datagram(client.connection_id, torrent(1), 1, 2001))
    return reply[:4] == bytes(3) + b"\x01"


def test_flood_and_ban(new_tracker: Callable[..., Tracker]) -> None:
    """New torrents end at the cap, known peers go on; wrong connection ids end in silence."""
    tracker = new_tracker(extra=RULES).start()
    chance, mine = random.Random(5), torrent(1)
    with udp_client(tracker.udp[0]) as client:
        assert client.announce(mine, 1, 2001).seeders == 1
        for number in range(300):
            datagram = announce_datagram(client.connection_id, chance.randbytes(20), 9, 2000)
            refused = (
                client.exchange(datagram)[8:]
                == b"Tracker error: the tracker takes no more torrents now"
            )
            assert refused == (number >= 2)
        for _ in range(20):
            answer = announce(tracker.http[0], chance.randbytes(20), 9, 2000)
            assert answer == {
                "failure reason": b"Tracker error: the tracker takes no more torrents now",
                "retry in": 30,
            }
        assert client.announce(mine, 2, 2002).seeders == 2
        assert (
            b"this port is not allowed" in announce(tracker.http[0], mine, 1, 80)["failure reason"]
        )
    with udp_client(tracker.udp[0], "127.0.0.2") as client:
        for _ in range(11):
            reply = client.exchange(announce_datagram(bytes(8), mine, 1, 2001))
            assert reply[8:] == b"connection id could not be verified"
        client.send(announce_datagram(bytes(8), mine, 1, 2001))
        client.send(client.connection_id + bytes(8))  # a connect with the wrong constant
        assert client.announce(mine, 3, 2003).seeders == 3
    # Whoever forged these came from elsewhere: the address's holder is served as before.
    with udp_client(tracker.udp[0], "127.0.0.2") as client:
        assert client.announce(mine, 3, 2003).seeders == 3
        assert client.scrape(mine) == [(3, 0, 0)]
    assert api(tracker, "/api/v1/stats")["torrents"] == 3
    assert tracker.stop() == 0
    (changed,) = tracker.events("--type", "settings_changed")
    policy = changed["settings"]["policy"]
    assert (policy["max_torrents"], policy["refused_ports"]) == (3, ["1-1023"])
    assert (policy["clients_denied"], policy["max_peers"]) == (["-ZZ"], 0)
