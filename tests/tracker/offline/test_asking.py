"""How an instance's URL and its answers are read, whatever answers."""

from __future__ import annotations

from struct import pack

import pytest

from tracker.offline.asking import UNANSWERED, Answer, _read_http, _read_udp, asking

SERVED = b"d8:completei3e10:incompletei2e8:intervali120e"

HTTP = {
    SERVED + b"5:peers12:abcdefghijkl6:peers618:aaaaaaaaaaaaaaaaaae": Answer("", 120, 3, 2, 3),
    SERVED + b"5:peersld4:porti1eeee": Answer("", 120, 3, 2, 1),
    b"d14:failure reason2:noe": Answer("no"),
    SERVED + b"e": Answer("no reply of a tracker: 'HTTP/1.1 200 OK'"),
    b"d8:completei3e10:incompletei2e8:interval1:x5:peers0:e": Answer(
        "no reply of a tracker: 'HTTP/1.1 200 OK'"
    ),
    b"le": Answer("no reply of a tracker: 'HTTP/1.1 200 OK'"),
    b"<html>": Answer("no reply of a tracker: 'HTTP/1.1 200 OK'"),
}
UDP = {
    pack(">IIIII12x", 1, 7, 120, 2, 3): Answer("", 120, 3, 2, 2),
    pack(">II", 3, 7) + b"no": Answer("no"),
    pack(">II", 9, 7): Answer(UNANSWERED),
    b"": Answer(UNANSWERED),
}


@pytest.mark.parametrize("body", HTTP)
def test_answers_over_http(body: bytes) -> None:
    assert _read_http(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + body) == HTTP[body]


@pytest.mark.parametrize("reply", UDP)
def test_answers_over_udp(reply: bytes) -> None:
    assert _read_udp(reply, 6) == UDP[reply]


def test_urls() -> None:
    """The path of a URL is kept, and its end may be a key."""
    found = asking("http://127.0.0.1:7070/announce/KEY")
    assert (found.host, found.port, found.path, found.udp) == ("127.0.0.1", 7070, b"/announce/KEY", False)  # fmt: skip
    assert (found.has_key, asking("http://[::1]:7070/announce").has_key) == (True, False)
    found = asking("udp://127.0.0.1:6969")
    assert (found.path, found.udp, found.has_key) == (b"/announce", True, False)
    for wrong in ("127.0.0.1:6969", "https://127.0.0.1:1/announce", "udp://127.0.0.1", "udp://:7"):
        with pytest.raises(ValueError, match="expected http://HOST:PORT/announce"):
            asking(wrong)
