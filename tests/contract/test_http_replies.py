"""Answers of the HTTP tracker: forms, peer lists, failures, warnings (BEP 3, 7, 20, 23, 31)."""

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
    case(1, "nothing said of compact is compact", {}, b"5:peers6:\x7f\0\0\x01\0\x01"),
    case(1, "compact", {"compact": 1}, b"5:peers6:\x7f\0\0\x01\0\x01"),
    case(1, "not compact: a dictionary each", {"compact": 0},
         b"5:peersld2:ip9:127.0.0.17:peer id20:" + PEER_ID + b"4:porti1eee"),
    case(2, "and without the id, if that is wanted", {"compact": 0, "no_peer_id": 1},
         b"5:peersld2:ip9:127.0.0.14:porti1eee"),
    case(2, "which changes nothing in a compact one", {"compact": 1, "no_peer_id": 1},
         b"5:peers6:\x7f\0\0\x01\0\x01"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), FORMS)
def test_forms(public: Tracker, info_hash: bytes, asked: dict[str, Any], expected: bytes) -> None:
    """The one other peer is listed in the form that the client asked for."""
    ask(public.http[0], target(info_hash, port=1))
    assert expected in body(get(public.http[0], target(info_hash, port=2, **asked)))


@pytest.mark.parametrize(("asked", "expected"), [
    case(3, "an empty list is a list", {}, b"5:peers0:6:peers60:e"),
    case(3, "of dictionaries too", {"compact": 0}, b"5:peerslee"),
    case(3, "and for those who want none", {"numwant": 0}, b"5:peers0:6:peers60:e"),
])  # fmt: skip
def test_an_empty_list(
    public: Tracker, info_hash: bytes, asked: dict[str, Any], expected: bytes
) -> None:
    """An answer without peers has an empty `peers`, because some clients take none for an error."""
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
    case(5, "as many as allowed, if nothing is said", {}, 74),
    case(6, "none are none", {"numwant": 0}, 0),
    case(7, "one is one, in a swarm of many", {"numwant": 1}, 1),
    case(7, "two are two", {"numwant": 2}, 2),
    case(7, "an odd number is not rounded", {"numwant": 7}, 7),
    case(7, "as many as allowed", {"numwant": 74}, 74),
    case(8, "no more than allowed", {"numwant": 75}, 74),
    case(8, "not even with 32 bits", {"numwant": 2**32 - 1}, 74),
    case(20, "none for one who leaves", {"numwant": 200, "event": "stopped", "port": 999}, 0),
    case(52, "a seeder is one like others", {"numwant": 40, "left": 0, "port": 2}, 40),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "count"), WANTED)
def test_numbers_wanted(big: Tracker, asked: dict[str, Any], count: int) -> None:
    """An answer has as many peers as asked for, all different, without the client itself."""
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


def test_case_52_a_leecher_gets_both(big: Tracker) -> None:
    """A leecher gets seeders and leechers in equal parts."""
    found = ports(ask(big.http[0], target(BIG, port=1, left=1, numwant=40)))
    assert sum(port % 2 for port in found) == 20


def test_case_58_the_choice_varies(big: Tracker) -> None:
    """In a swarm larger than the answer, each answer lists other peers."""
    found = set()
    for _ in range(60):
        found |= ports(ask(big.http[0], target(BIG, port=1, left=1, numwant=30)))
    assert len(found) > 74


@pytest.mark.parametrize("wanted", [
    case(60, "the interval that is configured, for everybody", "interval"),
    case(61, "so is the least interval, which some clients keep to", "min interval"),
])  # fmt: skip
def test_intervals(big: Tracker, info_hash: bytes, wanted: str) -> None:
    """Every client gets the configured interval, in a small swarm and a large one."""
    for asked in (info_hash, BIG):
        for left in (0, 1):
            assert ask(big.http[0], target(asked, port=1, left=left))[wanted] == 120


# Failures and warnings.


@pytest.mark.parametrize("asked", [
    case(43, "a failure of the protocol", "/announce?port=0"),
    case(43, "of a scrape", "/scrape?info_hash=short"),
    case(43, "a key of no form", "/announce/short?" + target(BIG).partition("?")[2]),
])  # fmt: skip
def test_failures(public: Tracker, asked: str) -> None:
    """A failure has status 200, because many clients show their users no other body."""
    response = get(public.http[0], asked)
    assert headers(response)["status"] == "HTTP/1.1 200 OK"
    assert body(response).startswith(b"d14:failure reason")


@pytest.mark.parametrize("asked", [
    case(43, "another page", "/index.html"),
    case(43, "no page", "/"),
    case(43, "a part of ours", "/announcement"),
])  # fmt: skip
def test_other_pages(public: Tracker, asked: str) -> None:
    """A path that no client requests gets status 404."""
    response = get(public.http[0], asked)
    assert headers(response)["status"] == "HTTP/1.1 404 Not Found"
    assert body(response) == b""


def test_case_44_an_unlisted_torrent(listed: Tracker, info_hash: bytes) -> None:
    """The client may retry in 30 minutes, because the torrent may be listed by then."""
    answer = ask(listed.http[0], target(info_hash))
    assert f"The torrent: {info_hash.hex()}, is not whitelisted" in reason(answer)
    assert answer["retry in"] == 30


def test_case_44_a_revoked_key(private: Tracker, info_hash: bytes) -> None:
    """A client with a revoked key is told so without the key, and must never retry."""
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
    """A warning comes as the last key of a usual answer: clients show it and use the peers."""
    address = ("127.0.0.1", private.http[0][1])
    path = f"/announce/{issue_key(private, seconds)}"
    ask(address, target(info_hash, path=path, port=1, peer_id="a" * 20))
    answer = ask(address, target(info_hash, path=path, port=2))
    assert endpoints(answer["peers"]) == [("127.0.0.1", 1)]
    assert ("warning message" in answer) == warned
    assert list(answer)[-1] == ("warning message" if warned else "peers6")


SIZED = [
    case(46, "an announce", target(BIG, numwant=74)),
    case(46, "a long scrape", "/scrape?" + "&".join(f"info_hash={escaped(bytes([n]) * 20)}" for n in range(60))),
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
    case(48, "nothing there", "/nothing", None),
])  # fmt: skip
def test_a_length_and_no_chunks(big: Tracker, asked: str, content_type: str | None) -> None:
    """Answers have a length, as old clients know no chunks, and the reference's content type."""
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
