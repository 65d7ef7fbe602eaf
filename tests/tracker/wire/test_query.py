"""Queries of announces that are read in place have the values that the whole parser gives them."""

from __future__ import annotations

from random import Random

import pytest

from tests.tracker.wire.test_http import BASE
from tracker.wire import http
from tracker.wire.query import ABSENT, AnnounceQuery

USUAL = (
    BASE + b"&uploaded=1&downloaded=22&left=333&corrupt=0&key=3E49DA2C&event=started&numwant=200"
    b"&compact=1&no_peer_id=1&supportcrypto=1&redundant=0"
)
READ = [
    BASE, USUAL, BASE + b"&event=&compact=0&numwant=0&left=0&ip=192.0.2.1%20&passkey=abc&no_peer_id=0",
    BASE + b"&event=stopped&x=%zz&x=1&#a=b", BASE + b"&event=completed&left=999999999999999999&no_peer_id=",
    BASE.replace(b"port=6881", b"port=65535&key="), BASE.replace(b"port=6881", b"port=00001"),
]  # fmt: skip
ANOTHER_LOOK = [
    b"", b"?" + BASE, BASE + b"&", b" " + BASE, BASE + b"\n", BASE + b"&port=1", BASE + b"&left=1&left=2", BASE + b"&a",
    BASE + b"&a=b=c", BASE + b"?a=b", BASE + b"&%61=b", BASE + b"&event=STARTED", BASE + b"&event=paused", BASE + b"&left=-1",
    BASE + b"&left=9223372036854775807", BASE + b"&left=1#a", BASE + b"&numwant=-1", BASE + b"&numwant=4294967296",
    BASE + b"&compact=2", BASE + b"&compact=", BASE + b"&key=%2c", BASE + b"&passkey=%31", BASE + b"&no_peer_id=%31",
    BASE.replace(b"6881", b"0"), BASE.replace(b"6881", b"65536"), BASE.replace(b"port", b"p"), BASE.replace(b"%b6", b"%zz"),
    BASE.replace(b"%b6", b""), BASE.replace(b"-qB", b"-"), BASE.replace(b"-qB", b"-=B"), BASE.replace(b"%b6", b"%b6%b6"),
]  # fmt: skip
WORDS = [
    b"&",
    b"=",
    b"%",
    b"?",
    b"%31",
    b"%2",
    b"&left=",
    b"&event=",
    b"&port=7",
    b"started",
    b"9" * 19,
    b" ",
    b"#",
    b"a",
]


def agrees(query: bytes) -> bool:
    """Checks the values of a query that is read in place; False = it needs another look."""
    found = AnnounceQuery()
    if not found.read(b"/announce?" + query, 10):
        return False
    whole = http.parse_announce(query)
    for name in http.Announce._fields:
        value = getattr(found, name)
        if name == "numwant" and value == ABSENT:
            value = None
        assert value == getattr(whole, name), (name, query)
    return True


@pytest.mark.parametrize("query", READ)
def test_usual_queries(query: bytes) -> None:
    assert agrees(query)


@pytest.mark.parametrize("query", ANOTHER_LOOK)
def test_other_queries(query: bytes) -> None:
    assert not agrees(query)


def test_changed_queries() -> None:
    """Whatever is changed in a query, it is read right or left to the whole parser."""
    chance = Random(2)
    read = 0
    for _ in range(15_000):
        data = bytearray(chance.choice(READ * 5 + ANOTHER_LOOK))
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(data) + 1)
            end = at + chance.choice((0, 1, 2, 9))
            data[at:end] = chance.choice((b"", chance.choice(WORDS), chance.randbytes(1)))
        read += agrees(bytes(data))
    assert read > 500


def test_fields_of_the_whole_parser() -> None:
    """A query is used again: nothing of the one before is left in it."""
    query = AnnounceQuery()
    query.take(http.parse_announce(USUAL + b"&event=paused&passkey=%31&ip=x"))
    assert (query.numwant, query.passkey, query.ip, query.no_peer_id) == (200, b"1", b"x", True)
    assert query.read(BASE, 0)
    assert (query.numwant, query.passkey, query.ip, query.no_peer_id) == (ABSENT, None, None, False)
    assert (query.left, query.event, query.key) == (http.LEFT_UNKNOWN, 0, b"")
