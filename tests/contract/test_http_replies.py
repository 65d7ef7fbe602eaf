"""Tests answers of the HTTP tracker: peer lists, failures, warnings (BEP 3, 7, 20, 23, 31)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.asking import (
    PEER_ID,
    ask,
    counts,
    escaped,
    headers,
    issue_key,
    reason,
    revoke_key,
    target,
)
from tests.contract.cases import case
from tests.e2e.clients import api, body, endpoints, exchange, get

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

BIG = b"a swarm of 101 peers"


@pytest.fixture(scope="module")
def big(public: Tracker) -> Tracker:
    """A tracker with a swarm of 101 peers, more than any answer holds; 50 of them seed."""
    for port in range(1, 102):
        ask(public.http[0], target(BIG, port=port, left=port % 2))
    return public


def ports(answer: dict[str, Any]) -> set[int]:
    """Returns the ports of the peers in a compact answer, each of which is listed once."""
    found = [port for _, port in endpoints(answer["peers"])]
    assert len(found) == len(set(found))
    return set(found)


FORMS = [
    case(1, "without compact the form is compact", {}, b"5:peers6:\x7f\0\0\x01\0\x01"),
    case(1, "compact=1 is compact", {"compact": 1}, b"5:peers6:\x7f\0\0\x01\0\x01"),
    case(1, "compact=0 is a dictionary for each peer", {"compact": 0},
         b"5:peersld2:ip9:127.0.0.17:peer id20:" + PEER_ID + b"4:porti1eee"),
    case(2, "no_peer_id=1 leaves the peer id out", {"compact": 0, "no_peer_id": 1},
         b"5:peersld2:ip9:127.0.0.14:porti1eee"),
    case(2, "no_peer_id=1 does not change the compact form", {"compact": 1, "no_peer_id": 1},
         b"5:peers6:\x7f\0\0\x01\0\x01"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), FORMS)
def test_forms(public: Tracker, info_hash: bytes, asked: dict[str, Any], expected: bytes) -> None:
    """The answer lists the other peer in the form that the request asks for."""
    ask(public.http[0], target(info_hash, port=1))
    assert expected in body(get(public.http[0], target(info_hash, port=2, **asked)))


@pytest.mark.parametrize(("asked", "expected"), [
    case(3, "compact", {}, b"5:peers0:6:peers60:e"),
    case(3, "dictionaries", {"compact": 0}, b"5:peerslee"),
    case(3, "numwant of 0", {"numwant": 0}, b"5:peers0:6:peers60:e"),
])  # fmt: skip
def test_an_empty_list(
    public: Tracker, info_hash: bytes, asked: dict[str, Any], expected: bytes
) -> None:
    """An answer without peers has an empty `peers`, because some clients reject one without it."""
    assert body(get(public.http[0], target(info_hash, **asked))).endswith(expected)


def test_case_03_only_peers_of_the_other_family(both: Tracker, info_hash: bytes) -> None:
    """With IPv6 peers alone, `peers` is empty beside a filled `peers6`."""
    port = both.http[0][1]
    ask(("::1", port), target(info_hash, port=1))
    answer = ask(("127.0.0.1", port), target(info_hash, port=2))
    assert answer["peers"] == b""
    assert endpoints(answer["peers6"], v6=True) == [("::1", 1)]


@pytest.mark.parametrize("asked", [
    case(4, "compact", {}),
    case(4, "dictionaries", {"compact": 0}),
    case(4, "a failure", {"port": 0}),
])  # fmt: skip
def test_keys_in_order(public: Tracker, info_hash: bytes, asked: dict[str, Any]) -> None:
    """Keys are sorted as bytes at every level; `bdecode` checks it."""
    ask(public.http[0], target(info_hash, port=1))
    assert ask(public.http[0], target(info_hash, **{"port": 2, **asked}))


def test_case_27_no_tracker_id(public: Tracker, info_hash: bytes) -> None:
    """An answer has no `tracker id`, so clients send none back."""
    answer = ask(public.http[0], target(info_hash))
    assert set(answer) >= {"complete", "incomplete", "interval", "min interval", "peers", "peers6"}
    assert "tracker id" not in answer


WANTED = [
    case(5, "without numwant 74 peers", {}, 74),
    case(6, "numwant 0 gives none", {"numwant": 0}, 0),
    case(7, "numwant 1 gives one", {"numwant": 1}, 1),
    case(7, "numwant 2 gives two", {"numwant": 2}, 2),
    case(7, "numwant 7 gives seven", {"numwant": 7}, 7),
    case(7, "numwant 74 gives 74", {"numwant": 74}, 74),
    case(8, "numwant 75 gives 74", {"numwant": 75}, 74),
    case(8, "numwant of 32 bits gives 74", {"numwant": 2**32 - 1}, 74),
    case(20, "stopped gives none", {"numwant": 200, "event": "stopped", "port": 999}, 0),
    case(52, "a seeder gets as many as it wants", {"numwant": 40, "left": 0, "port": 2}, 40),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "count"), WANTED)
def test_numbers_wanted(big: Tracker, asked: dict[str, Any], count: int) -> None:
    """An answer has as many peers as the request wants: each once, and never the client."""
    asked = {"port": 1, "left": 1, **asked}
    answer = ask(big.http[0], target(BIG, **asked))
    assert (answer["complete"], answer["incomplete"]) == (50, 51)
    found = ports(answer)
    assert len(found) == count
    assert found <= set(range(1, 102)) - {asked["port"]}


def test_case_52_a_seeder_is_sent_to_leechers(big: Tracker) -> None:
    """In a swarm larger than the answer a seeder gets leechers only; they have odd ports here."""
    assert all(
        port % 2 for port in ports(ask(big.http[0], target(BIG, port=2, left=0, numwant=40)))
    )


def test_case_52_a_leecher_gets_seeders_and_leechers(big: Tracker) -> None:
    """A leecher gets seeders and leechers in equal parts."""
    found = ports(ask(big.http[0], target(BIG, port=1, left=1, numwant=40)))
    assert sum(port % 2 for port in found) == 20


def test_case_58_each_answer_lists_other_peers(big: Tracker) -> None:
    """Repeated announces in a large swarm return more peers together than one answer holds."""
    found = set()
    for _ in range(60):
        found |= ports(ask(big.http[0], target(BIG, port=1, left=1, numwant=30)))
    assert len(found) > 74


@pytest.mark.parametrize("wanted", [
    case(60, "the configured interval", "interval"),
    case(61, "the configured least interval", "min interval"),
])  # fmt: skip
def test_intervals(big: Tracker, info_hash: bytes, wanted: str) -> None:
    """Every client gets the configured interval, in a small swarm and a large one."""
    for asked in (info_hash, BIG):
        for left in (0, 1):
            assert ask(big.http[0], target(asked, port=1, left=left))[wanted] == 120


# Failures and warnings.


@pytest.mark.parametrize("asked", [
    case(43, "an announce with a bad port", "/announce?port=0"),
    case(43, "a scrape with a bad info hash", "/scrape?info_hash=short"),
    case(43, "an announce with a malformed key",
         "/announce/short?" + target(BIG).partition("?")[2]),
])  # fmt: skip
def test_failures(public: Tracker, asked: str) -> None:
    """A failure has status 200, because many clients show their users no other body."""
    response = get(public.http[0], asked)
    assert headers(response)["status"] == "HTTP/1.1 200 OK"
    assert body(response).startswith(b"d14:failure reason")


@pytest.mark.parametrize("asked", [
    case(43, "an unknown page", "/index.html"),
    case(43, "the root", "/"),
    case(43, "a path that begins with announce", "/announcement"),
])  # fmt: skip
def test_unknown_paths(public: Tracker, asked: str) -> None:
    """An unknown path gets status 404."""
    response = get(public.http[0], asked)
    assert headers(response)["status"] == "HTTP/1.1 404 Not Found"
    assert body(response) == b""


def test_case_44_an_unlisted_torrent(listed: Tracker, info_hash: bytes) -> None:
    """An unlisted torrent is refused with `retry in` 30, because it may be listed by then."""
    answer = ask(listed.http[0], target(info_hash))
    assert f"The torrent: {info_hash.hex()}, is not whitelisted" in reason(answer)
    assert answer["retry in"] == 30


def test_case_44_a_revoked_key(private: Tracker, info_hash: bytes) -> None:
    """A revoked key is refused with `retry in` never, and the text does not repeat it."""
    key = issue_key(private)
    revoke_key(private, key)
    port = private.http[0][1]
    answer = ask(("127.0.0.1", port), target(info_hash, path=f"/announce/{key}"))
    assert "Failed to read key: it was revoked" in reason(answer)
    assert key not in reason(answer)
    assert answer["retry in"] == b"never"


@pytest.mark.parametrize(("seconds", "warned"), [
    case(45, "the key expires in an hour", 3600, True),
    case(45, "the key expires in ten days", 864_000, False),
])  # fmt: skip
def test_a_warning_comes_with_peers(
    private: Tracker, info_hash: bytes, seconds: int, warned: bool
) -> None:
    """A warning is the last key of a usual answer, which lists peers too."""
    address = ("127.0.0.1", private.http[0][1])
    path = f"/announce/{issue_key(private, seconds)}"
    ask(address, target(info_hash, path=path, port=1, peer_id="a" * 20))
    answer = ask(address, target(info_hash, path=path, port=2))
    assert endpoints(answer["peers"]) == [("127.0.0.1", 1)]
    assert ("warning message" in answer) == warned
    assert list(answer)[-1] == ("warning message" if warned else "peers6")


SIZED = [
    case(46, "an announce", target(BIG, numwant=74)),
    case(46, "a long scrape",
         "/scrape?" + "&".join(f"info_hash={escaped(bytes([n]) * 20)}" for n in range(60))),
    case(46, "a failure", "/announce?port=0"),
]  # fmt: skip


@pytest.mark.parametrize("asked", SIZED)
def test_never_compressed(big: Tracker, asked: str) -> None:
    """A client that accepts gzip gets a plain answer, because compression would save nothing."""
    request = (
        f"GET {asked} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    response = exchange(big.http[0], request.encode())
    assert "content-encoding" not in headers(response)
    assert body(response).startswith(b"d")


@pytest.mark.parametrize(("asked", "content_type"), [
    case(48, "an announce", target(BIG), "application/octet-stream"),
    case(48, "a scrape", f"/scrape?info_hash={escaped(BIG)}", "application/octet-stream"),
    case(48, "a failure", "/announce", "text/plain; charset=utf-8"),
    case(48, "an unknown path", "/nothing", None),
])  # fmt: skip
def test_a_length_and_no_chunks(big: Tracker, asked: str, content_type: str | None) -> None:
    """Every answer has a length, because old clients cannot read chunks, and its content type."""
    response = get(big.http[0], asked)
    found = headers(response)
    assert int(found["content-length"]) == len(body(response))
    assert "transfer-encoding" not in found
    assert found.get("content-type") == content_type


def test_case_20_an_unknown_peer_stops(public: Tracker, info_hash: bytes) -> None:
    """`stopped` from an unknown peer gets a usual answer and creates no torrent."""
    answer = ask(public.http[0], target(info_hash, event="stopped", port=0))
    assert (answer["complete"], answer["incomplete"], answer["peers"]) == (0, 0, b"")
    assert "failure reason" not in answer
    assert counts(public, info_hash) == (0, 0, 0)
    assert api(public, f"/api/v1/torrent/{info_hash.hex()}") == "torrent not known"
