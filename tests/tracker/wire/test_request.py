"""The parser of HTTP requests: what it takes, and that it agrees with httptools."""

from __future__ import annotations

from random import Random

import pytest

from tests.tracker.wire.requests import Request, difference, expected, found
from tracker.wire.request import BAD, INCOMPLETE, REQUEST_LIMIT, RequestParser

TARGET = b"/announce?info_hash=%01%02abcdefghijklmnopqr&peer_id=-TR3000-abcdefghijkl&port=6881"
PLAIN = (
    b"GET " + TARGET + b" HTTP/1.1\r\nHost: t\r\nUser-Agent: Transmission/3.00 \r\nAccept: */*\r\n"
)
END = b" HTTP/1.1\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
HEADERS = [
    b"Connection: close", b"connection:CLOSE", b"Connection: x,close ,y", b"Connection: close x", b"Connection:\tclose\t",
    b"Connection: keep-alive", b"Connection: close;", b"Proxy-Connection: close", b"Connection: keep-alive, close",
    b"Content-Length: 0", b"Content-Length: 3 ", b"Content-Length: 3 3", b"Content-Length:", b"Content-Length: +3",
    b"Content-Length: 3\r\nContent-Length: 3", b"Content-Length: 99999999999999999999", b"Content-Length: 03",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", b"Transfer-Encoding: ", b"Transfer-Encoding: chunked\t",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"Content-Length: 3\r\nTransfer-Encoding: chunked",
    b"Upgrade: x", b"Upgrade: x\r\nConnection: upgrade", b"Upgrade:\r\nConnection: upgrade",
    b"Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 3", b"A : b", b"A: b\r\n c", b" A: b", b"A:", b": b",
    b"A: \x80\xff", b"A: \x7f", b"A: b\rc", b"A: \x01", b"A\x80: b", b"A!#$%&'*+-.^_`|~1: x", b"A(: x", b"nonsense",
    b"X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nx-forwarded-FOR:\t9.9.9.9 ",
]  # fmt: skip
LINES = [
    b"\r\n\nGET /" + END, b" GET /" + END, b"GET  /  HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1 \r\n\r\n", b"GET /\r\n\r\n",
    b"GET /\n\r\n", b"GET / \r\n\r\n", b"GET /\ta" + END, b"GET /\x7f" + END, b"GET /\xff" + END, b"GET a" + END,
    b'GET /"<>\\^`{|}#a#b?c' + END, b"GET *" + END, b"GET http://h/p?q#f" + END, b"GET http:/h" + END, b"GET h1://x/" + END,
    b"GET http://u@[::1]:80?x" + END, b"GET http://a@@b/" + END, b"GET http://h#x" + END, b"GET ?x" + END, b"CONNECT h:80" + END,
    b"CONNECT /x" + END, b"HEAD / HTTP/1.0\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n",
    b"GET / HTTP/1.2\r\n\r\n", b"GET / http/1.1\r\n\r\n", b"FOO /" + END, b"get /" + END, b"M-SEARCH /" + END,
    b"GET / HTTP/1.1\n\n", b"GET / HTTP/1.1\r\n\n", b"GET / HTTP/1.1\r\nA: b\n\r\n", b"GET / HTTP/1.1\r\n\rX",
]  # fmt: skip
BODIES = [
    b"00\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"3;a=b;c\r\nabc\r\n0\r\nA: b\r\n\r\n", b'3;a="b;"\r\nabc\r\n0\r\n\r\n',
    b"3 \r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n", b"g\r\n", b"3\nabc\r\n", b"0\r\nConnection: close\r\n\r\n",
    b"0\r\nContent-Length: 3\r\n\r\n", b"0\r\nUser-Agent: y\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\n",
]  # fmt: skip
SEEDS = [
    *LINES,
    *(b"GET / HTTP/1.1\r\n" + one + b"\r\n\r\n" + b"3\r\nabc\r\n0\r\n\r\n" for one in HEADERS),
    *(CHUNKED + one for one in BODIES),
    *(
        PLAIN + end
        for end in (b"\r\n", b"Connection: close\r\n\r\n", b"Connection: keep-alive\r\n\r\n")
    ),
    (PLAIN + b"\r\n") * 3,
]
WORDS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\x7f", b"\x80", b",", b";", b"=", b'"', b"\\", b"?", b"#", b"@", b"[", b"a",
    b"0", b"close", b"upgrade", b"Upgrade: x\r\n", b"Connection: ", b"Content-Length: 3\r\n", b"chunked", b"://", b"HEAD ",
    b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"HTTP/1.0", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n",
]  # fmt: skip
FORWARDED = b"x-forwarded-for"


@pytest.mark.parametrize("seed", SEEDS)
def test_as_the_oracle(seed: bytes) -> None:
    assert difference(seed, FORWARDED) == ""


def test_changed_requests_as_the_oracle() -> None:
    """Requests with a few changes are read as the oracle reads them, whole and cut off."""
    chance = Random(1)
    for _ in range(15_000):
        data = bytearray(chance.choice(SEEDS))
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(data) + 1)
            end = at + chance.choice((0, 1, 2, 5, 20))
            match chance.randrange(4):
                case 0:
                    data[at:end] = chance.choice(WORDS)
                case 1:
                    del data[at:end]
                case 2:
                    data[at : at + 1] = chance.randbytes(1)
                case _:
                    other = chance.choice(SEEDS)
                    data[at:] = other[chance.randrange(len(other)) :]
        assert difference(bytes(data), chance.choice((b"", FORWARDED))) == ""


def test_what_is_read() -> None:
    sent = PLAIN + b"X-Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n"
    request = Request(b"GET", TARGET, b"1.2.3.4", False, b"Transmission/3.00")
    assert found(b"\r\n" + sent + b"ignored", FORWARDED) == ([request], "")
    assert found(sent) == ([request._replace(forwarded=None)], "")
    assert expected(sent, FORWARDED)[0] == [request]


@pytest.mark.parametrize("seed", [(PLAIN + b"\r\n") * 2, CHUNKED + BODIES[2]])
def test_cut_off_anywhere(seed: bytes) -> None:
    """Whatever a request's first piece is, it is incomplete; what follows it changes nothing."""
    parser, whole = RequestParser(), bytearray(seed)
    size = parser.parse(whole, 0, len(whole))
    assert size > 0
    for end in range(size):
        assert parser.parse(whole, 0, end) == INCOMPLETE
    assert parser.parse(whole, 0, size) == size


def test_long_requests() -> None:
    """A request of REQUEST_LIMIT bytes is read. A longer one is bad as soon as that is known."""
    parser = RequestParser()
    head = b"GET / HTTP/1.1\r\nX: %b\r\n\r\n"
    room = REQUEST_LIMIT - len(head % b"")
    assert parser.parse(bytearray(head % (b"x" * room)), 0, REQUEST_LIMIT) == REQUEST_LIMIT
    bodied = b"GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"
    assert parser.parse(bytearray(bodied), 0, len(bodied)) == INCOMPLETE
    assert parser.needed == len(bodied) + 9
    for data in (
        head % (b"x" * (room + 1)),
        b"GET /" + b"x" * REQUEST_LIMIT,
        bodied.replace(b"9", b"16384"),
        CHUNKED + b"4000\r\n",
    ):
        assert parser.parse(bytearray(data), 0, len(data)) == BAD
        assert parser.problem == "it is too long"
