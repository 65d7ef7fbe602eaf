"""A UDP tracker whose datagrams are received and sent by threads answers as one without.

Where the tracker is not compiled, `receivers` is without effect, and the tests hold all the same.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM
from threading import Event, Thread
from time import sleep
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import MAGIC, UdpClient, announce_datagram, api, torrent, udp_client
from tests.e2e.process import Listeners, Tracker, lasting_listeners
from tests.e2e.test_metrics import exposed, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.process import Address

CLIENTS, ROUNDS, WINDOW = 12, 10, 40
BANNED_AFTER = 11  # errors for wrong connection ids, as shipped
both = pytest.mark.parametrize("receivers", [1, 3])


def configure(tracker: Tracker, *receivers: int) -> Tracker:
    """Sets the receivers of each UDP tracker, before a start."""
    head, *tables = tracker.config.read_text().split("[[udp_trackers]]\n")
    texts = [
        f"[[udp_trackers]]\nreceivers = {n}\n{t}" for n, t in zip(receivers, tables, strict=True)
    ]
    tracker.config.write_text(head + "".join(texts))
    return tracker


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A tracker with a helper process and two listeners, without receivers and with three."""
    listeners = Listeners(("0.0.0.0:0", "0.0.0.0:0"))
    tracker = Tracker(tmp_path_factory.mktemp("tracker"), listeners)
    try:
        yield configure(tracker, 1, 3).start()
    finally:
        tracker.close()


def at(tracker: Tracker, receivers: int, host: str = "127.0.0.1") -> Address:
    return host, tracker.udp[0 if receivers == 1 else 1][1]


def numbered(transaction: int, connection_id: bytes, info_hash: bytes, port: int) -> bytes:
    """Returns an announce with this transaction id; its port is a peer of its own."""
    datagram = announce_datagram(connection_id, info_hash, port, port)
    return datagram[:12] + struct.pack(">I", transaction) + datagram[16:]


def ask_window(client: UdpClient, number: int, begin: int, info_hash: bytes) -> None:
    """Sends announces and connects in turn, and checks that the replies come in their order."""
    sent = range(begin, begin + WINDOW)
    for transaction in sent:
        client.send(
            struct.pack(">QII", MAGIC, 0, transaction)
            if transaction % 4 == 3
            else numbered(
                transaction, client.connection_id, info_hash, 1000 + number * 4000 + transaction
            )
        )
    for transaction in sent:
        reply = client.receive()
        if transaction % 4 == 3:
            assert (reply[:8], len(reply)) == (struct.pack(">II", 0, transaction), 16)
        else:
            assert reply[:8] == struct.pack(">II", 1, transaction)
            assert (len(reply) - 20) % 6 == 0
            assert int.from_bytes(reply[16:20], "big") > transaction - begin - WINDOW // 4


@both
def test_a_flood_is_answered_in_order(running: Tracker, receivers: int) -> None:
    """Many clients at once get every reply, each in the order of its requests, from the address
    that they asked; the log has their announces in the same order.
    """
    info_hash, failures = torrent(receivers), []

    def client_at(number: int) -> None:
        address = at(running, receivers, f"127.0.0.{2 + number}")
        try:
            with udp_client(address, f"127.0.0.{100 + number}") as client:
                for turn in range(ROUNDS):
                    ask_window(client, number, turn * WINDOW, info_hash)
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [Thread(target=client_at, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    expected = CLIENTS * ROUNDS * WINDOW * 3 // 4
    with udp_client(at(running, receivers)) as client:
        assert client.scrape(info_hash) == [(expected, 0, 0)]
    events = running.events_until(
        lambda found: len(found) == expected, "--info-hash", info_hash.hex()
    )
    ports = [one["port"] for one in events]
    for number in range(CLIENTS):
        own = [port for port in ports if 0 <= port - 1000 - number * 4000 < 4000]
        assert own == sorted(own)
        assert len(own) == ROUNDS * WINDOW * 3 // 4


@both
def test_errors_count_for_all_receivers_together(running: Tracker, receivers: int) -> None:
    """One address gets as many errors for wrong connection ids as the policy says, whichever
    threads its sockets come to. With a good id it is served all the same.
    """
    source, replies = f"127.0.1.{receivers}", 0
    with ExitStack() as opened:
        clients = [
            opened.enter_context(udp_client(at(running, receivers), source)) for _ in range(9)
        ]
        for _ in range(4):
            for client in clients:
                found = client.replies(announce_datagram(bytes(8), torrent(9), 1, 1))
                assert all(one[:4] == struct.pack(">I", 3) for one in found)
                replies += len(found)
        assert replies == BANNED_AFTER
        assert clients[0].announce(torrent(10 + receivers), 1, 1).seeders == 1


def test_an_id_is_good_at_both(running: Tracker) -> None:
    """A connection id that a thread gave out is good without threads, and the other way round."""
    with udp_client(at(running, 1)) as one, udp_client(at(running, 3)) as other:
        one.connection_id, other.connection_id = other.connection_id, one.connection_id
        for client in (one, other):
            assert client.announce(torrent(20), 1, 1).seeders == 1
            for bit in range(0, 64, 7):
                wrong = int.from_bytes(client.connection_id, "big") ^ 1 << bit
                datagram = announce_datagram(wrong.to_bytes(8, "big"), torrent(20), 2, 2)
                (reply,) = client.replies(datagram) or [b"\0\0\0\3"]
                assert reply[:4] == b"\0\0\0\3"


@both
def test_counters(new_tracker: Callable[..., Tracker], receivers: int) -> None:
    """Each kind of datagram is counted, whoever answers it."""
    tracker = configure(new_tracker(), receivers).start()
    with udp_client(tracker.udp[0]) as client:
        for datagram in (b"short", struct.pack(">QII", 1, 9, 1) + bytes(90)):
            assert client.replies(datagram) == []
        client.announce(torrent(1), 1, 1)
        client.scrape(torrent(1))
    stats = api(tracker, "/api/v1/stats")
    counts = {name: stats[name] for name in stats if name.startswith("udp4_")}
    assert counts == {
        "udp4_announces_handled": 1, "udp4_connections_handled": 3, "udp4_errors_handled": 0,
        "udp4_requests": 7, "udp4_responses": 5, "udp4_scrapes_handled": 1,
    }  # fmt: skip


def test_the_kernels_numbers_are_those_of_all_sockets(running: Tracker) -> None:
    """The receive buffer in the metrics is the sum of all sockets', and so are the drops."""

    def told(what: str, receivers: int) -> float:
        port = str(at(running, receivers)[1])
        return total(exposed(running)[f"swarmlog_udp_{what}"], server_binding_port=port)

    tasks = Path(f"/proc/{running.pid}/task")
    compiled = "(compiled)" in running.command("--version").stdout
    size = told("receive_buffer_bytes", 1)
    assert told("receive_buffer_bytes", 3) == size * (3 if compiled else 1)
    running.send(SIGSTOP)
    while any(one.read_text().rpartition(") ")[2][0] != "T" for one in tasks.glob("*/stat")):
        sleep(0.01)
    client = UdpClient(at(running, 3))
    for _ in range(int(size) // 60_000 + 100):
        client.send(bytes(60_000))
    running.send(SIGCONT)
    client.close()
    assert told("kernel_dropped_total", 3) >= 100
    assert told("kernel_dropped_total", 1) == 0


def test_a_second_tracker_cannot_share_the_port(new_tracker: Callable[..., Tracker]) -> None:
    """The port of a tracker with receivers is taken, also for another one with receivers. One that
    cannot have them says so.
    """
    listeners = lasting_listeners()
    first = configure(new_tracker(listeners), 3).start()
    compiled = "(compiled)" in first.command("--version").stdout
    assert first.lines is not None
    warned = any("receivers = 3 needs the compiled tracker" in one for one in first.lines.so_far())
    assert warned is not compiled
    other = configure(new_tracker(Listeners(udp=listeners.udp)), 2)
    assert "for UDP: Address already in use" in other.start_refused()


@both
def test_a_stop_under_load(new_tracker: Callable[..., Tracker], receivers: int) -> None:
    """A stop ends at once while datagrams come, and loses no announce that got its reply. A new
    start has the same swarms.
    """
    tracker = configure(new_tracker(lasting_listeners()), receivers).start()
    begun, stopped, answered = Event(), Event(), [0] * 4

    def received(client: UdpClient) -> bytes:
        while True:
            try:
                return client.receive()
            except TimeoutError:
                if stopped.is_set():
                    raise

    def flood(number: int) -> None:
        client = UdpClient(tracker.udp[0], f"127.0.0.{2 + number}")
        client.connect()
        client.wait_at_most(0.2)
        try:
            for port in range(1, 60_000):
                client.send(announce_datagram(client.connection_id, torrent(number), port, port))
                if port > WINDOW and received(client)[:4] == b"\0\0\0\1":
                    answered[number] = port - WINDOW
                if port == 1000:
                    begun.set()
        except OSError:  # nothing listens any more, or nothing comes
            pass
        finally:
            client.close()

    threads = [Thread(target=flood, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    assert tracker.stop(SIGTERM) == 0
    stopped.set()
    for thread in threads:
        thread.join()
    assert sum(answered) > 900
    verified = tracker.command("verify")
    assert verified.returncode == 0, verified.stdout
    logged = [0] * 4
    for event in tracker.events("--type", "announced"):
        logged[int(event["info_hash"][:2], 16)] += 1
    for each, least in zip(logged, answered, strict=True):
        assert each >= least
    tracker.start()
    with udp_client(tracker.udp[0]) as client:
        assert [client.scrape(torrent(number))[0][0] for number in range(4)] == logged
