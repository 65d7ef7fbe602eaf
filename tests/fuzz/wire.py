"""What strangers send: datagrams, HTTP requests, and the texts in them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from hashlib import blake2b
from ipaddress import ip_address
from random import Random
from struct import pack
from typing import TYPE_CHECKING, Any

from attrs import evolve

from api.times import parse_in_query
from tests.fuzz.engine import ROOT
from tests.fuzz.target import Target
from tests.support import SECOND, replayed
from tests.tracker.frontends.private.front import (
    GOOD,
    HASH,
    MODES,
    REVOKED,
    UNKNOWN,
    V4,
    V6,
    Front,
    announce,
    query,
    scrape,
    udp_announce,
    url,
)
from tests.tracker.frontends.udp.lives import POLICY, datagram
from tests.tracker.wire.requests import Request, difference
from tracker import times
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.forwarding import Proxies, parse_address
from tracker.frontends.addresses import claimed_address, forwarded_address
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire import bencode, clients, http
from tracker.wire.connection_id import ConnectionIds
from tracker.wire.request import INCOMPLETE, REQUEST_LIMIT, RequestParser, may_end

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

SITES = (
    *MODES.values(),
    Settings(policy=POLICY),
    Settings(private=True, policy=Policy(ip_parameter="any", external_ip_in_replies=True, partial_seeds=True, enforce_interval_min=True)),
)  # fmt: skip
AGREED = (*MODES.values(), Settings(private=True, policy=evolve(POLICY, interval_jitter=0)))
"""Modes in which nothing that clients are told is random."""
_LIFE = 500
"""Inputs after which a tracker is replayed and begins anew."""
_ADDRESSES = (V4, V6, bytes([203, 0, 113, 7]), bytes(15) + b"\1")


class Trackers:
    """A tracker for each mode, without sockets. Its log is replayed from time to time."""

    def __init__(self) -> None:
        self._fronts: dict[int, tuple[Front, int]] = {}

    def take(self, choice: int) -> Front:
        number = choice % len(SITES)
        front, used = self._fronts.get(number) or (Front(SITES[number]), 0)
        if used >= _LIFE:
            assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()
            front, used = Front(SITES[number]), 0
        self._fronts[number] = front, used + 1
        front.rig.time.advance(SECOND)
        return front


def udp(_folder: Path, _closing: ExitStack) -> Target:
    """Datagrams; the first byte chooses mode and address, and the next whether the id is good."""
    trackers = Trackers()

    def run(data: bytes) -> None:
        choice, how, sent = *data[:2].ljust(2, b"\0"), data[2:]
        front, address = trackers.take(choice), _ADDRESSES[choice // 16 % 4]
        checked = how & 2 == 0
        ids = ConnectionIds(b"c" * 32, checked=checked)
        handler = DatagramHandler(front.rig.service, ids, 0, V4 if how & 4 else None)
        handler.begin()
        proved = how & 1 == 1 and len(sent) >= 8
        if proved:
            sent = ids.issue(address) + sent[8:]
        reply = handler.answer(sent, 0, len(sent), address)
        handler.end()
        if reply is None:
            return
        assert len(sent) >= 16
        action = int.from_bytes(reply[:4], "big")
        assert reply[4:8] == sent[12:16]
        assert action in (3, int.from_bytes(sent[8:12], "big"))
        assert proved or action == 0 or len(reply) <= len(sent)

    good = udp_announce(bytes(8), HASH)
    sent = [
        bytes.fromhex("00000417271019800000000074657374"),
        good,
        good + url(b"/announce/" + GOOD),
        good + url(b"/announce?passkey=" + REVOKED) + b"\1\1\0",
        good + b"\2\x30" + b"/announce/" + GOOD[:20] + b"\2\x0c" + GOOD[20:],
        bytes(8) + pack(">I4s", 2, b"tran") + HASH * 3,
    ]
    heads = [bytes([mode | at << 4, 1]) for mode in range(len(SITES)) for at in range(4)]
    words = b"~".join((GOOD, REVOKED, UNKNOWN, HASH, b"passkey=", b"/announce/", b"uk=", b"\2", b"\1", b"\0\0\0\3"))  # fmt: skip
    return Target([head + one for head in heads[::2] for one in sent], run, words)


def http_requests(_folder: Path, _closing: ExitStack) -> Target:
    """Requests as connections bring them; the first byte chooses the mode, the next the cut."""
    trackers = Trackers()

    def run(data: bytes) -> None:
        choice, cut, sent = *data[:2].ljust(2, b"\0"), data[2 : REQUEST_LIMIT + 2]
        header = b"forwarded" if cut & 128 else b"x-forwarded-for"
        proxied = choice & 64 > 0
        assert difference(sent, header if proxied else b"") == ""
        requests = _read(sent, header if proxied else b"", len(sent))
        # In pieces it may be seen later that something is malformed.
        assert requests[0] == _read(sent, header if proxied else b"", 1 + cut % 64)[0]
        front = trackers.take(choice)
        handler = RequestHandler(
            front.rig.service, 1, proxied=proxied, proxies=Proxies((), header.decode())
        )
        handler.begin()
        for method, target, forwarded, keep, agent in requests[0]:
            reply = handler.answer(
                method, target, _ADDRESSES[choice // 16 % 4], forwarded, keep, agent
            )
            head, end, body = reply.partition(b"\r\n\r\n")
            assert end
            assert (b"Connection: close" in head) != keep
            if method == b"HEAD":
                assert not body
                continue
            assert b"Content-Length: %d" % len(body) in head
            if head.startswith(b"HTTP/1.1 200") and b"json" not in head:
                assert isinstance(bencode.decode(body), dict)
        handler.end()

    end = b" HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n\r\n"
    targets = [
        announce(), announce(GOOD), announce(extra=b"&passkey=" + REVOKED), scrape(), scrape(GOOD),
        b"/" + GOOD + b"/announce" + query(extra=b"&event=started&numwant=3&compact=0&no_peer_id=1"),
        b"/announce" + query(extra=b"&ip=%5B2001:db8::1%5D:443&uploaded=1&downloaded=2&key=ab"),
        b"http://tracker/announce.php" + query(extra=b"?passkey=" + UNKNOWN), b"/health_check",
    ]  # fmt: skip
    seeds = [bytes([n * 37 % 256, n]) + b"GET " + one + end for n, one in enumerate(targets * 4)]
    seeds += [b"\x40\x80GET " + announce() + b" HTTP/1.1\r\nForwarded: for=\"[2001:db8::1]:1\";by=x, for=192.0.2.1\r\n\r\n"]  # fmt: skip
    seeds += [b"\0\7POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + b"HEAD /announce HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"]  # fmt: skip
    words = b"~".join((GOOD, REVOKED, HASH, b"&info_hash=", b"&peer_id=", b"&port=", b"&left=", b"&event=", b"&compact=0", b"&passkey=", b"&numwant=", b"/announce", b"/scrape", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"CONNECT ", b"HEAD ", b" HTTP/1.0\r\n", b"X-Forwarded-For: ", b"Forwarded: for=", b"&authkey=", b"%2", b"?"))  # fmt: skip
    return Target(seeds, run, words)


def _read(sent: bytes, header: bytes, size: int) -> tuple[list[Request], bool]:
    """Reads requests in pieces of `size`, as the engine does; the second value tells whether
    nonsense followed.
    """
    parser, requests = RequestParser(header), []
    data, again = bytearray(), 0
    for at in range(0, len(sent), max(1, size)):
        have = len(data)
        data += sent[at : at + size]
        early = len(data) < again and len(data) <= REQUEST_LIMIT
        if have and early and not may_end(data, have, len(data)):
            continue
        while (taken := parser.parse(data, 0, len(data))) > 0:
            del data[:taken]
            requests.append(
                Request(parser.method, parser.target, parser.forwarded, parser.keep, parser.agent)
            )
            if not parser.keep:
                return requests, False
        if taken != INCOMPLETE:
            return requests, True
        again = parser.needed or 2 * len(data)
    return requests, False


def http_and_udp(_folder: Path, _closing: ExitStack) -> Target:
    """The same announce over both protocols has the same outcome and leaves the same record."""

    def run(data: bytes) -> None:
        chance = Random(data)
        settings = chance.choice(AGREED)
        fronts = Front(settings), Front(settings)
        for _ in range(chance.randrange(1, 8)):
            info_hash, port = chance.choice((HASH, bytes(20))), chance.choice((0, 1, 6881, 65_535))
            counts = [chance.choice((0, 1, 7, 2**32, 2**63 - 1)) for _ in range(3)]
            event, numwant = chance.randrange(4), chance.choice((None, 1, 30, 74, 75, 65_534))
            # Outside of private modes UDP looks at no key, and HTTP at its form alone.
            odd = (b"x", b"y" * 40) if settings.private else ()
            key = chance.choice((b"", GOOD, GOOD, REVOKED, UNKNOWN, *odd))
            peer = b"-XX0001-" + chance.choice((b"a", b"b")) * 12
            unknown = chance.random() < 0.2
            path = b"/announce" + (b"/" + key if key else b"")
            sent = pack(
                ">I4s20s20sqqqIIIiH", 1, b"tran", info_hash, peer, counts[0], -1 if unknown else counts[1], counts[2],
                event, 0, 0, -1 if numwant is None else numwant, port,
            ) + url(path)  # fmt: skip
            handler = DatagramHandler(fronts[0].rig.service, ids, 1)
            handler.begin()
            sent = ids.issue(V4) + sent
            reply = handler.answer(sent, 0, len(sent), V4)
            handler.end()
            assert reply is not None
            target = path + b"?info_hash=%s&peer_id=%s&port=%d&downloaded=%d&uploaded=%d&event=%s" % (
                b"".join(b"%%%02x" % one for one in info_hash), peer, port, counts[0], counts[2],
                (b"empty", b"completed", b"started", b"stopped")[event],
            )  # fmt: skip
            target += b"" if unknown else b"&left=%d" % counts[1]
            target += b"" if numwant is None else b"&numwant=%d" % numwant
            answer = fronts[1].get(target)
            if reply[:4] == b"\0\0\0\3":
                same = (
                    reply[8:] == answer.get("failure reason") or not port
                )  # its text is each one's own
                assert same, (reply, answer)
            else:
                numbers = [int.from_bytes(reply[at : at + 4], "big") for at in (8, 12, 16)]
                assert numbers == [answer[one] for one in ("interval", "incomplete", "complete")]
                assert (reply[20:] if event != 3 else b"") == (
                    answer["peers"] if event != 3 else b""
                )
            seconds = chance.choice((0, 1, 400))
            for front in fronts:
                front.rig.time.advance(seconds * SECOND)
                front.rig.service.tick()
        over = [_without_protocol(front.rig.events()) for front in fronts]
        assert over[0] == over[1], [
            pair for pair in zip(*over, strict=False) if pair[0] != pair[1]
        ][:1]

    ids = ConnectionIds(b"c" * 32)
    return Target([bytes([one]) for one in range(20)], run)


def _without_protocol(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for event in events:
        for name in ("protocol", "client_key_hash"):
            event.pop(name, None)
    return [event for event in events if event["type"] not in ("counted", "refusals_counted")]


def builds(_folder: Path, closing: ExitStack) -> Target:
    """The same datagrams give the same replies and records on this build and on the pure one."""
    other = subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.wire"], cwd=ROOT, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "SWARMLOG_PURE": "1"},
    )  # fmt: skip
    closing.enter_context(other)
    assert other.stdin is not None
    assert other.stdout is not None
    closing.callback(other.stdin.close)
    asked, answers = other.stdin, other.stdout

    def run(data: bytes) -> None:
        asked.write(f"{data.hex()}\n")
        assert answers.readline().strip() == lived(data)

    return Target([bytes([one]) * 120 for one in range(20)], run)


def lived(data: bytes) -> str:
    """Returns a digest of the replies to random datagrams and to `data`, and of what is logged."""
    chance, hasher = Random(data), blake2b(digest_size=16)
    private = chance.random() < 0.5
    front = Front(
        Settings(private=private, policy=chance.choice((Policy(), POLICY)), max_peer_timeout=300)
    )
    rig, ids = front.rig, ConnectionIds(b"k")
    handler = DatagramHandler(rig.service, ids, 255)
    hashes = [chance.randbytes(20) for _ in range(chance.choice((1, 3, 9)))]
    where = [chance.randbytes(chance.choice((4, 4, 16))) for _ in range(chance.choice((2, 9)))]
    for number in range(16):
        sent, source = (
            datagram(chance, hashes, [GOOD, REVOKED] if private else []),
            chance.choice(where),
        )
        if number % 4 == 3:
            sent = sent[: chance.randrange(len(sent))] + data
        handler.begin()
        reply = handler.answer(ids.issue(source) + sent[8:], 0, max(8, len(sent)), source)
        handler.end()
        hasher.update(repr(reply).encode())
        rig.time.advance(chance.choice((1, 150)) * SECOND)
        rig.service.tick()
    for frame in rig.log.frames():
        hasher.update(bytes(frame.plain) + bytes(frame.protected))
    return hasher.hexdigest()


def bencoding(_folder: Path, _closing: ExitStack) -> Target:
    """One value has one encoding. Peer ids, which replies and metrics name, are read here too."""

    def run(data: bytes) -> None:
        name, version = clients.client_of(data[:20].ljust(20))
        for text in (name, version, clients.client_name(data[:20].ljust(20)) or ""):
            assert text.isascii()
            assert text.isprintable()
        with suppress(bencode.BencodeError):
            assert bencode.encode(bencode.decode(data)) == data

    seeds = b'd8:completei1e10:incompletei2e5:peers6:abcdefe~li-7ei0el4:spamed3:cow3:mooee~le~de~-qB4650-abcdefghijkl~M7-10-5--abcdefghijk~S58B-----abcdefghijk~exbc\x00\x01LORDabcdefghij~-XX0001-abcdefghijkl'.split(b'~')  # fmt: skip
    return Target(seeds, run, b"i~e~l~d~0:~1:a~-0~-TR~T03I--")


def addresses(_folder: Path, _closing: ExitStack) -> Target:
    """Addresses in headers of proxies and in `ip=`, alone and in lists."""
    named = Proxies(("192.0.2.0/24", "2001:db8::/32", "unix")), Proxies((), "Forwarded")

    def run(data: bytes) -> None:
        text = data.decode("latin-1")
        for proxies in named:
            client, _ = proxies.client(text)
            assert client is None or client == parse_address(str(client))
            assert len(forwarded_address(proxies, bytes([192, 0, 2, 1]), data)) in (0, 4, 16)
        for source in (V4, V6):
            assert len(claimed_address(data, source)) in (0, 4, 16)
        with suppress(ValueError):
            address = parse_address(text)
            assert address == ip_address(address.packed)
            assert parse_address(f"[{address}]:443") == address or address.version == 4

    seeds = b'203.0.113.7~203.0.113.7:51234, 192.0.2.1~[2001:db8::5]:443~2001:db8::5~::ffff:192.0.2.9~for="[2001:db8::1]:_x";proto=https, for=192.0.2.43, For=unknown~fe80::1%eth0~192.0.2.1, , x'.split(b'~')  # fmt: skip
    return Target(
        seeds,
        run,
        b"for=~;~,~[~]~:~%25~unknown~_hidden~::ffff:~0x7f~010",
    )


def times_typed(_folder: Path, _closing: ExitStack) -> Target:
    """Times as people and programs write them."""
    now = 1_800_000_000_000_000

    def run(data: bytes) -> None:
        text = data.decode(errors="replace") if len(data) % 2 else os.fsdecode(data)
        found = times.parse(text)
        assert parse_in_query(text) == found or found is None
        if found is not None:
            assert times.parse(times.rfc3339(found)) == found
            assert times.parse_loosely(text.replace("t", "T").replace("z", "Z"))[1]
        for ahead in (False, True):
            with suppress(ValueError):
                times.rfc3339(times.parse_typed(text, now, ahead=ahead))

    seeds = b'2026-11-21T20:24:00Z~2026-11-21t20:24:00.123456789+02:00~2026-11-21 20:24:00 02:00~07:02~23:59:59~+3m~-2h~+999999999d~2026-W47-6~20261121T202400~9999-12-31T23:59:59-23:59~0001-01-01~1970-01-01T00:00:00+00:01~2026-02-29T24:00:00Z'.split(b'~')  # fmt: skip
    return Target(seeds, run, b"Z~T~+00:00~-23:59~:60~.5~9999~0000~W53")


def urls(_folder: Path, _closing: ExitStack) -> Target:
    """Targets and queries alone, more of them than as whole requests."""

    def run(data: bytes) -> None:
        _, _, asked = http.parse_target(data)
        for parse in (http.parse_announce, http.parse_scrape, http.query_passkey, http.other_key):
            with suppress(http.WireError):
                parse(asked)

    seeds = [announce(), announce(GOOD), scrape(), b"/" + GOOD + b"/scrape" + query()]
    return Target(
        seeds,
        run,
        b"&info_hash=~&peer_id=~&passkey=~?~&~%3d~&uk=~&port=~&left=~http://",
    )


TARGETS = (udp, http_requests, http_and_udp, builds, bencoding, addresses, times_typed, urls)

if __name__ == "__main__":  # the other build
    for line in sys.stdin:
        sys.stdout.write(f"{lived(bytes.fromhex(line))}\n")
        sys.stdout.flush()
