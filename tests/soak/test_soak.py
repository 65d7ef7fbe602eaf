"""Ten minutes of mixed load: honest clients are served, nothing acknowledged is lost, and memory,
descriptors, threads and the log's folder stay flat.

The tracker lives several times. Between two lives it is stopped or killed. At the end of each life
the load stops, and what is left of it is compared with the other lives. A table of both, and one of
the honest clients' waits by the minute, are printed.

`SWARMLOG_SOAK_SECONDS` sets the seconds in all; fewer than 300 show that the test works, and little
else.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from tests.e2e.certificates import make
from tests.e2e.clients import UdpClient, announce_datagram, announce_target, api, ask, torrent
from tests.e2e.load import check_whole
from tests.e2e.process import Listeners, Tracker, free_ports
from tests.soak import hostile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = float(os.environ.get("SWARMLOG_SOAK_SECONDS", "600"))
LIVES = 7  # of the tracker; every second one ends with SIGKILL
LIFE = SECONDS / LIVES
UNANSWERED = 5.0  # seconds after which an honest request counts as unanswered
SEGMENT, KEEP = 262_144, 2_097_152  # bytes of a segment, and of the log
MORE_MEGABYTES = 25  # of resident memory, from the second life's end to the last one's
MORE_DESCRIPTORS, MORE_THREADS = 3, 1
FOR_A_HELPER = 3  # descriptors that a helper process takes at most in the tracker
HELPERS = 5  # the follower, and one process each for events, past moments, indexes and ledgers
SETTLED = 15.0  # seconds after which all that the load needed is given back: idle threads last 10
CERTIFICATE = make("soak")
POLICY = "[policy]\nmax_torrents = 5000\nmax_peers = 20000\nmax_connection_id_errors = 0\n"
CORE = "inactive_peer_cleanup_interval = 5\n[core.tracker_policy]\nmax_peer_timeout = 20\n"


@define
class Sample:
    """What the tracker and its helper processes use at a moment."""

    life: int
    moment: float  # seconds since the beginning
    megabytes: float  # resident, of the tracker
    helpers_megabytes: float  # resident, of its helper processes together
    descriptors: int
    threads: int
    children: int
    log_bytes: int
    peers: int = 0  # when the load ended; known of the ends of lives only

    @property
    def of_helper(self) -> float:
        """Resident megabytes of one helper process, on average."""
        return self.helpers_megabytes / max(self.children, 1)


@define
class Honest:
    """The honest clients' record. A request counts only if no restart came between."""

    life: int = 0
    served: bool = False
    took: list[tuple[float, str, float]] = field(factory=list)  # moment, request, seconds
    failures: list[str] = field(factory=list)
    whitelisted: set[str] = field(factory=set)  # from here on what was acknowledged
    issued: set[int] = field(factory=set)  # keys that nobody revokes
    revoked: set[int] = field(factory=set)
    lock: Lock = field(factory=Lock)

    def ask(self, name: str, request: Callable[[], object]) -> bool:
        """Makes a request and notes how long it took; returns whether it was answered."""
        life, began = self.life, time.monotonic()
        if not self.served:
            time.sleep(0.05)
            return False
        try:
            request()
        except Exception as error:
            with self.lock:
                if self.served and life == self.life:
                    self.failures.append(f"life {life}, {name}: {error!r}")
            return False
        with self.lock:
            self.took.append((began, name, time.monotonic() - began))
        return True


def resident(pid: int) -> tuple[float, int]:
    """Returns resident megabytes and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = [re.search(rf"{name}:\s+(\d+)", status) for name in ("VmRSS", "Threads")]
    kilobytes, threads = (int(one.group(1)) if one else 0 for one in found)
    return kilobytes / 1024, threads


def measured(tracker: Tracker, life: int, begin: float) -> Sample:
    """Takes a sample. Raises `OSError` if a process ends meanwhile."""
    pid = tracker.pid
    megabytes, threads = resident(pid)
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return Sample(
        life,
        time.monotonic() - begin,
        megabytes,
        sum(resident(child)[0] for child in children),
        len(os.listdir(f"/proc/{pid}/fd")),
        threads,
        len(children),
        sum(path.stat().st_size for path in (tracker.folder / "log" / "seg").iterdir()),
    )


@pytest.fixture
def soaked(tmp_path: Path) -> Iterator[Tracker]:
    """A private tracker on lasting ports: UDP over IPv4 and IPv6, HTTP, HTTP with TLS."""
    first, second, plain, secure, api_port = free_ports(5)
    listeners = Listeners(
        (f"127.0.0.1:{first}", f"[::1]:{second}"),
        (f"127.0.0.1:{plain}", f"127.0.0.1:{secure}"),
        f"127.0.0.1:{api_port}",
    )
    with closing(Tracker(tmp_path / "tracker", listeners, CORE + POLICY)) as tracker:
        text = tracker.config.read_text()
        sizes = f"[event_log]\nsegment_bytes = {SEGMENT}\nkeep_bytes = {KEEP}\n"
        text = text.replace("[event_log]\n", sizes)
        before, mark, after = text.rpartition("[[http_trackers]]\n")
        tls = f"tls_config = {CERTIFICATE.write(tmp_path)}\n"
        tracker.config.write_text(f"{before}{mark}{tls}{after}")
        tracker.switch_on("private")
        yield tracker


def udp_announce(tracker: Tracker, listener: int, key: bytes, number: int) -> None:
    source = "127.0.0.2" if listener == 0 else None
    with closing(UdpClient(tracker.udp[listener], source)) as client:
        client.connect()
        client.wait_at_most(UNANSWERED)
        datagram = announce_datagram(
            client.connection_id, torrent(number % 50), number % 200, 6000 + number % 200
        )
        reply = client.exchange(datagram + hostile.url_data(b"/announce/" + key))
        # An error is an answer: announces are refused while the log is at its bound.
        assert reply[:4] in (b"\0\0\0\1", b"\0\0\0\3"), reply
        client.scrape(torrent(1))


def fetched(connection: http.client.HTTPConnection, target: str) -> bytes:
    connection.request("GET", target, headers={"Authorization": "Bearer MyAccessToken"})
    response = connection.getresponse()
    body = response.read()
    # 503 is an answer of the API: its helper processes have as many questions as they take.
    assert response.status in (200, 503), (response.status, body[:200])
    return body


class Clients:
    """The honest clients, each a thread that lives as long as the soak."""

    def __init__(self, tracker: Tracker, key: str, honest: Honest) -> None:
        self._tracker, self._key, self._honest = tracker, key, honest
        self._over = Event()
        kinds = (self._udp, self._http, self._kept_alive, self._tls, self._reads, self._writes)
        self._threads = [Thread(target=kind) for kind in kinds]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _udp(self) -> None:
        number = 0
        while not self._over.wait(0.1):
            number += 1
            for listener, name in enumerate(("udp4", "udp6")):
                self._honest.ask(
                    name,
                    lambda listener=listener, number=number: udp_announce(
                        self._tracker, listener, self._key.encode(), number
                    ),
                )

    def _target(self, number: int) -> str:
        target = announce_target(torrent(number % 50), number % 200, 7000, left=number % 2)
        return target.replace("/announce?", f"/announce/{self._key}?")

    def _http(self) -> None:
        number = 0
        while not self._over.wait(0.1):
            number += 1
            self._honest.ask("http", lambda number=number: self._once(number))

    def _once(self, number: int) -> None:
        connection = http.client.HTTPConnection(*self._tracker.http[0], timeout=UNANSWERED)
        with closing(connection):
            assert fetched(connection, self._target(number))[:1] == b"d"

    def _kept_alive(self) -> None:
        connection = http.client.HTTPConnection(*self._tracker.http[0], timeout=UNANSWERED)
        number = 0
        while not self._over.wait(0.1):
            number += 1
            target = self._target(number)
            if not self._honest.ask(
                "kept alive", lambda target=target: fetched(connection, target)
            ):
                connection.close()
        connection.close()

    def _tls(self) -> None:
        context = ssl.create_default_context(cadata=CERTIFICATE.cert.decode())
        number = 0

        def secure(number: int) -> None:
            host, port = self._tracker.http[1]
            connection = http.client.HTTPSConnection(
                host, port, timeout=UNANSWERED, context=context
            )
            with closing(connection):
                fetched(connection, self._target(number))

        while not self._over.wait(0.5):
            number += 1
            self._honest.ask("tls", lambda number=number: secure(number))

    def _reads(self) -> None:
        targets = (
            "/api/v1/stats", "/api/v1/metrics?format=prometheus", "/api/v1/torrents?limit=20",
            "/api/v2/events?limit=20", "/api/v2/accounts/1/totals", "/api/v2/keys?limit=5",
            "/api/v2/accounts/1/ledger?limit=20", "/api/v1/stats?at={recent}",
        )  # fmt: skip
        number = 0

        def read(target: str) -> None:
            address = self._tracker.health if target == "/health_check" else self._tracker.api
            with closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
                fetched(connection, target)

        self._over.wait(5)  # because the log must reach back to the moments that are asked for
        while not self._over.wait(0.1):
            number += 1
            target = targets[number % len(targets)]
            if "{recent}" in target:
                moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 2))
                target = target.format(recent=moment)
            past = any(word in target for word in ("at=", "events", "totals", "ledger"))
            name = "api past" if past else "api"
            self._honest.ask(name, lambda target=target: read(target))
            self._honest.ask("health", lambda: read("/health_check"))

    def _writes(self) -> None:
        number = 0
        while not self._over.wait(0.2):
            number += 1
            info_hash = f"{number:040x}"

            def write(info_hash: str = info_hash) -> None:
                done = ask(self._tracker, "PUT", f"/api/v2/whitelist/{info_hash}")
                assert done.status in (200, 201, 204), done
                self._honest.whitelisted.add(info_hash)
                issued = ask(self._tracker, "POST", "/api/v2/keys", {"owner": "soak"})
                assert issued.status == 201, issued
                key_ref = issued.json["key_ref"]
                if int(info_hash, 16) % 2:
                    self._honest.issued.add(key_ref)
                else:
                    assert ask(self._tracker, "DELETE", f"/api/v2/keys/{key_ref}").status == 204
                    self._honest.revoked.add(key_ref)

            self._honest.ask("api write", write)


def settled(tracker: Tracker, life: int, begin: float, base: Sample | None) -> Sample:
    """Returns what is in use once the load has gone.

    Waits until descriptors, threads and processes are back at those of the first life's end, if
    they ever are.
    """
    give_up = time.monotonic() + (SETTLED if base is None else 3 * SETTLED)
    while True:
        time.sleep(1)
        try:
            sample = measured(tracker, life, begin)
        except OSError:
            continue  # a helper process ended meanwhile
        if time.monotonic() > give_up or (base is not None and is_back(sample, base)):
            return sample


def is_back(sample: Sample, base: Sample) -> bool:
    own = [one.descriptors - FOR_A_HELPER * one.children for one in (sample, base)]
    descriptors = own[0] <= own[1] + MORE_DESCRIPTORS
    threads = sample.threads <= base.threads + MORE_THREADS
    return descriptors and threads and sample.children <= HELPERS


def listed(tracker: Tracker, path: str, name: str) -> list[Any]:
    """Returns all that a list of the API has, page by page."""
    found: list[Any] = []
    after = ""
    while True:
        page = api(tracker, f"{path}limit=1000{after}")
        found += page[name]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def check_acknowledged(tracker: Tracker, honest: Honest) -> None:
    assert honest.whitelisted <= set(listed(tracker, "/api/v2/whitelist?", "whitelist"))
    for state, acknowledged in (("valid", honest.issued), ("revoked", honest.revoked)):
        keys = listed(tracker, f"/api/v2/keys?state={state}&", "keys")
        assert acknowledged <= {one["key_ref"] for one in keys}, state


def told(samples: list[Sample], ends: list[Sample], honest: Honest, begin: float) -> None:
    """Prints the tables: lives, their ends without load, and the honest clients' minutes."""
    head = "life  second  RSS MB  helpers MB  descriptors  threads  children  log KiB  peers"
    print(f"\nUnder load: medians of the last third of each life\n{head}")  # noqa: T201
    rows = []
    for life in range(LIVES):
        last = [one for one in samples if one.life == life]
        last = last[2 * len(last) // 3 :]
        columns = zip(*[list(_columns(one)) for one in last], strict=True)
        rows.append(tuple(median(column) for column in columns))
    for title, table in (("", rows), ("Without load, at its end", [*map(_columns, ends)])):
        print(title and f"{title}\n{head}")  # noqa: T201
        for life, second, *numbers in table:
            print(f"{life:4.0f} {second:7.0f}" + "".join(f"{one:12.1f}" for one in numbers))  # noqa: T201
    print("minute  request      answers  median ms  95 % ms  99 % ms  most ms")  # noqa: T201
    minutes = sorted({int((moment - begin) // 60) for moment, _, _ in honest.took})
    names = sorted({name for _, name, _ in honest.took})
    for minute in minutes:
        for name in names:
            took = [
                1000 * seconds
                for moment, kind, seconds in honest.took
                if kind == name and int((moment - begin) // 60) == minute
            ]
            if len(took) > 1:
                cut = quantiles(took, n=100, method="inclusive")
                numbers = (cut[49], cut[94], cut[98], max(took))
                row = "".join(f"{one:10.1f}" for one in numbers)
                print(f"{minute:6} {name:12} {len(took):7}{row}")  # noqa: T201


def _columns(one: Sample) -> tuple[float, ...]:
    return (
        one.life, one.moment, one.megabytes, one.helpers_megabytes, one.descriptors, one.threads,
        one.children, one.log_bytes / 1024, one.peers,
    )  # fmt: skip


@pytest.mark.soak
def test_soak(soaked: Tracker) -> None:
    """Nothing grows from life to life, honest clients are answered, and the log is whole."""
    tracker, honest, begin = soaked, Honest(), time.monotonic()
    samples: list[Sample] = []
    ends: list[Sample] = []
    tracker.start()
    key, member = (
        ask(tracker, "POST", "/api/v2/keys", {"owner": name}).json["key"]
        for name in ("anna", "mallory")
    )
    clients = Clients(tracker, key, honest)
    clients.begin()
    try:
        for life in range(LIVES):
            honest.life, honest.served = life, True
            over = Event()
            enemies = [
                Thread(target=one, args=[tracker, member.encode(), over]) for one in hostile.ALL
            ]
            for enemy in enemies:
                enemy.start()
            end = time.monotonic() + LIFE
            while time.monotonic() < end:
                time.sleep(1)
                assert tracker.running, "the tracker ended"
                try:
                    samples.append(measured(tracker, life, begin))
                except OSError:
                    continue  # a helper process ended, or a segment was removed meanwhile
            over.set()
            for enemy in enemies:
                enemy.join(60)
            honest.served = False
            stats = api(tracker, "/api/v1/stats")
            ends.append(settled(tracker, life, begin, ends[0] if ends else None))
            ends[-1].peers = stats["seeders"] + stats["leechers"]
            if life % 2:
                tracker.kill()
            else:
                assert tracker.stop() == 0
            tracker.restart()
    finally:
        honest.served = False
        clients.end()
        told(samples, ends, honest, begin)
    check_acknowledged(tracker, honest)
    # All peers go, because `verify` leaves out addresses while the log lacks those of some peers.
    give_up = time.monotonic() + 60
    while api(tracker, "/api/v1/stats")["torrents"]:
        assert time.monotonic() < give_up, "peers stay"
        time.sleep(1)
    assert tracker.stop() == 0
    check_whole(tracker)
    assert honest.failures == []
    slow = [one for one in honest.took if one[2] > UNANSWERED and one[1] != "api past"]
    assert slow == []
    assert max(one.log_bytes for one in samples) <= KEEP + 4 * SEGMENT
    base, last = ends[1], ends[-1]
    assert last.megabytes - base.megabytes <= MORE_MEGABYTES
    assert last.of_helper - base.of_helper <= MORE_MEGABYTES
    assert [end for end in ends if not is_back(end, ends[0])] == []
