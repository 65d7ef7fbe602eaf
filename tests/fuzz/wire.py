"""What strangers send: datagrams, HTTP requests, and the texts in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from hashlib import blake2b
from ipaddress import ip_address
from random import Random
from socket import AF_INET, AF_INET6, SOCK_DGRAM, inet_pton, socket
from struct import pack, unpack
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
from tests.tracker.wire.test_proxy_protocol import BAD_ONES as BAD_HEADERS
from tests.tracker.wire.test_proxy_protocol import GOOD as GOOD_HEADERS
from tests.tracker.wire.test_proxy_protocol import SIGNATURE
from tracker import times
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.forwarding import Proxies, parse_address
from tracker.frontends.addresses import claimed_address, forwarded_address
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp.handler import DatagramHandler
from tracker.frontends.udp.mmsg import MESSAGE, VECTOR
from tracker.frontends.udp.recvmmsg import BATCH, SLOT, Batch
from tracker.wire import bencode, clients, http, proxy_protocol
from tracker.wire.connection_id import ConnectionIds
from tracker.wire.query import AnnounceQuery
from tracker.wire.request import BAD, INCOMPLETE, REQUEST_LIMIT, RequestParser, may_end

if TYPE_CHECKING:
    from collections.abc import Callable
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

    def __init__(self, make: Callable[[Front, int], Any]) -> None:
        """`make`: makes a handler of a tracker; the number says which."""
        self._make = make
        self._fronts: dict[int, tuple[Front, dict[int, Any]]] = {}
        self._used = 0

    def take(self, choice: int, which: int = 0) -> Any:
        """Returns a handler of one of the trackers."""
        self._used += 1
        if self._used >= _LIFE * len(SITES):
            for front, _ in self._fronts.values():
                assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()
            self._used, self._fronts = 0, {}
        number = choice % len(SITES)
        if number not in self._fronts:
            self._fronts[number] = Front(SITES[number]), {}
        front, handlers = self._fronts[number]
        front.rig.time.advance(SECOND // 10)
        if which not in handlers:
            handlers[which] = self._make(front, which)
        return handlers[which]


def _datagrams(front: Front, which: int) -> DatagramHandler:
    ids = ConnectionIds(b"c" * 32, checked=which & 2 == 0)
    return DatagramHandler(front.rig.service, ids, 0, V4 if which & 4 else None)


def _check_reply(sent: bytes, reply: bytes, proved: bool) -> None:
    assert len(sent) >= 16
    action = int.from_bytes(reply[:4], "big")
    assert reply[4:8] == sent[12:16]
    assert action in (3, int.from_bytes(sent[8:12], "big"))
    assert proved or action == 0 or len(reply) <= len(sent)


_DATAGRAM = udp_announce(bytes(8), HASH)
_DATAGRAMS = (
    bytes.fromhex("00000417271019800000000074657374"),
    _DATAGRAM,
    _DATAGRAM + url(b"/announce/" + GOOD),
    _DATAGRAM + url(b"/announce?passkey=" + REVOKED) + b"\1\1\0",
    _DATAGRAM + b"\2\x30" + b"/announce/" + GOOD[:20] + b"\2\x0c" + GOOD[20:],
    bytes(8) + pack(">I4s", 2, b"tran") + HASH * 3,
)
_DATAGRAM_WORDS = b"~".join((GOOD, REVOKED, UNKNOWN, HASH, b"passkey=", b"/announce/", b"uk=", b"\2", b"\1", b"\0\0\0\3"))  # fmt: skip


def udp(_folder: Path, _closing: ExitStack) -> Target:
    """Datagrams; the first byte chooses mode and address, and the next whether the id is good."""
    trackers = Trackers(_datagrams)

    def run(data: bytes) -> None:
        choice, how, sent = *data[:2].ljust(2, b"\0"), data[2 : SLOT + 2]
        handler, address = trackers.take(choice, how & 6), _ADDRESSES[choice // 16 % 4]
        handler.begin()
        proved = how & 1 == 1 and len(sent) >= 8
        if proved:
            sent = handler.ids.issue(address) + sent[8:]
        reply = handler.answer(sent, 0, len(sent), address)
        handler.end()
        if reply is not None:
            _check_reply(sent, reply, proved)

    heads = [bytes([mode | at << 4, 1]) for mode in range(len(SITES)) for at in range(4)]
    return Target([head + one for head in heads[::2] for one in _DATAGRAMS], run, _DATAGRAM_WORDS)


def udp_batches(_folder: Path, closing: ExitStack) -> Target:
    """Datagrams as the kernel gives them, many at once.

    The first byte chooses mode and family. Each datagram has two bytes before it: where it comes
    from and whether its id is good, and its length.
    """
    trackers = Trackers(_datagrams)
    batches = []
    for family in (AF_INET, AF_INET6):
        sock = closing.enter_context(socket(family, SOCK_DGRAM))
        batches.append(Batch(sock, local_addresses=False))

    def run(data: bytes) -> None:
        choice, rest = data[:1] or b"\0", data[1:]
        handler = trackers.take(choice[0], choice[0] >> 4 & 6)
        v6 = choice[0] & 128 > 0
        batch, name, count = batches[v6], 8 if v6 else 4, 0
        handler.begin()
        expected = []
        while len(rest) > 2 and count < BATCH:
            where, size = rest[0], rest[1]
            sent, rest = rest[2 : size + 2], rest[size + 2 :]
            address = _ADDRESSES[where % 4] if v6 else _ADDRESSES[where % 2 * 2]
            proved = where & 4 > 0 and len(sent) >= 8
            if proved:
                sent = handler.ids.issue(address) + sent[8:]
            batch.data[count * SLOT : count * SLOT + len(sent)] = sent
            listed = bytes(10) + b"\xff\xff" + address if v6 and len(address) == 4 else address
            batch.names[count * 32 + name : count * 32 + name + len(listed)] = listed
            end = (count + 1) * MESSAGE.size
            batch.heads[end - 8 : end - 4] = len(sent).to_bytes(4, sys.byteorder)
            expected.append((sent, proved))
            count += 1
        handler.answer_all(batch, count)
        handler.end()
        at, silent = 0, False
        for slot, (sent, proved) in enumerate(expected):
            place, size = VECTOR.unpack_from(batch.vectors, slot * VECTOR.size)
            assert place == batch.base + at
            if size:
                _check_reply(sent, bytes(batch.replies[at : at + size]), proved)
            at += size
            silent = silent or not size
        assert batch.silent == silent

    def packed(*which: int) -> bytes:
        return b"".join(bytes([4 | n % 4, len(_DATAGRAMS[n])]) + _DATAGRAMS[n] for n in which)

    seeds = [
        bytes([mode | more]) + packed(*which)
        for mode in range(len(SITES))
        for more, which in ((0, (0, 1, 2, 3, 4, 5)), (128, (2,) * 20), (160, (1, 5) * 4))
    ]
    return Target(seeds, run, _DATAGRAM_WORDS)


def http_requests(_folder: Path, _closing: ExitStack) -> Target:
    """Requests as connections bring them; the first byte chooses the mode, the next the cut."""

    def made(front: Front, which: int) -> RequestHandler:
        header = "forwarded" if which & 2 else "x-forwarded-for"
        proxies = Proxies((), header)
        return RequestHandler(front.rig.service, 1, proxied=which & 1 > 0, proxies=proxies)

    trackers = Trackers(made)

    def run(data: bytes) -> None:
        choice, cut, sent = *data[:2].ljust(2, b"\0"), data[2 : REQUEST_LIMIT + 2]
        header = b"forwarded" if cut & 128 else b"x-forwarded-for"
        proxied = choice & 64 > 0
        requests = _read(sent, header if proxied else b"", len(sent))
        if cut & 3 == 0:  # some of them, because it takes as long as all the rest
            assert difference(sent, header if proxied else b"") == ""
        elif cut & 3 == 1:
            # In pieces it may be seen later that something is malformed.
            assert requests[0] == _read(sent, header if proxied else b"", 1 + cut % 64)[0]
        handler = trackers.take(choice, cut >> 6 & 2 | proxied)
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
        [sys.executable, "-m", "tests.fuzz.pure"], cwd=ROOT, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
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

    found = AnnounceQuery()

    def run(data: bytes) -> None:
        data = data[:REQUEST_LIMIT]
        _, _, asked = http.parse_target(data)
        if asked and found.read(data, len(data) - len(asked)):
            whole = http.parse_announce(asked)
            taken = AnnounceQuery()
            taken.take(whole)
            for name in http.Announce._fields:
                assert getattr(found, name) == getattr(taken, name), name
        for parse in (http.parse_announce, http.parse_scrape, http.query_passkey, http.other_key):
            with suppress(http.WireError):
                parse(asked)

    seeds = [announce(), announce(GOOD), scrape(), b"/" + GOOD + b"/scrape" + query()]
    return Target(
        seeds,
        run,
        b"&info_hash=~&peer_id=~&passkey=~?~&~%3d~&uk=~&port=~&left=~http://",
    )


PROXY_LINE = re.compile(rb"PROXY (TCP[46]) ([^ ]+) ([^ ]+) (\d{1,5}) (\d{1,5})\r\n")


def _proxy_line(data: bytes) -> tuple[int, bytes]:
    """Reads a header of version 1, by the C library's rules for addresses."""
    line, end, _ = data[:107].partition(b"\n")
    if not end:
        return INCOMPLETE if len(data) < 107 else BAD, b""
    if re.fullmatch(rb"PROXY UNKNOWN( .*)?\r", line, re.DOTALL):
        return len(line) + 1, b""
    match = PROXY_LINE.fullmatch(line + end)
    if match is None or any(
        b"%d" % int(port) != port or int(port) >> 16 for port in match.group(4, 5)
    ):
        return BAD, b""
    family = AF_INET if match[1] == b"TCP4" else AF_INET6
    try:
        source, _ = (inet_pton(family, name.decode("ascii")) for name in match.group(2, 3))
    except (OSError, ValueError):
        return BAD, b""
    return match.end(), source


def _proxy_header(data: bytes) -> tuple[int, bytes]:
    """Reads a header of version 2 as the specification draws it."""
    if len(data) < 16:
        return INCOMPLETE, b""
    command, kind, size = unpack(">12xBBH", data[:16])
    if command not in (0x20, 0x21) or kind >> 4 > 3 or kind & 15 > 2 or size > REQUEST_LIMIT - 16:
        return BAD, b""
    block = data[16 : 16 + size]
    if len(block) < size:
        return INCOMPLETE, b""
    if command == 0x20 or kind not in (0x11, 0x21):
        return 16 + size, b""
    width = 4 if kind == 0x11 else 16
    source, more = block[:width], block[2 * width + 4 :]
    while len(more) > 2:
        (length,) = unpack(">xH", more[:3])
        if len(more) < 3 + length:
            return BAD, b""
        more = more[3 + length :]
    return (BAD, b"") if more or size < 2 * width + 4 else (16 + size, source)


def proxy_headers(_folder: Path, _closing: ExitStack) -> Target:
    """Headers of proxies, beside other readers of both versions; the first byte chooses a cut."""

    def run(data: bytes) -> None:
        cut, sent = (data[:1] or b"\0")[0], data[1 : REQUEST_LIMIT + 1]
        found = proxy_protocol.read(bytearray(sent), len(sent))
        begins = sent[: len(SIGNATURE)]
        if begins.startswith(b"PROXY "):
            taken, source = _proxy_line(sent)
        elif begins == SIGNATURE:
            taken, source = _proxy_header(sent)
        else:
            begun = b"PROXY ".startswith(begins) or SIGNATURE.startswith(begins)
            taken, source = INCOMPLETE if begun else BAD, b""
        mapped = source.startswith(bytes(10) + b"\xff\xff")
        assert found == (taken, source[12:] if mapped else source)
        end = cut * len(sent) // 256
        early, _ = proxy_protocol.read(bytearray(sent), end)
        if found[0] > end:
            assert early == INCOMPLETE
        elif early == INCOMPLETE:
            assert proxy_protocol.read(bytearray(sent[:end]), end) == (INCOMPLETE, b"")

    seeds = [
        bytes([n * 37 % 256]) + one
        for n, one in enumerate([*(header for header, _ in GOOD_HEADERS), *BAD_HEADERS])
    ]
    words = (
        b"PROXY ~TCP4 ~TCP6 ~UNKNOWN~ ~\r\n~::~::ffff:~203.0.113.7~65535~0~%eth0~"
        + SIGNATURE
        + b"~\x21\x11\0\x0c~\x21\x21\0\x24~\x20\0\0\0~\4\0\2xx"
    )
    return Target(seeds, run, words)


TARGETS = (
    udp,
    udp_batches,
    http_requests,
    proxy_headers,
    http_and_udp,
    builds,
    bencoding,
    addresses,
    times_typed,
    urls,
)
