"""Tests scrapes over both protocols, in every mode (BEP 48, BEP 15)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.contract.asking import (
    ask,
    escaped,
    issue_key,
    reason,
    revoke_key,
    target,
    udp_error,
    whitelist,
)
from tests.contract.cases import case
from tests.e2e.clients import UdpClient, bdecode, body, get, torrent, udp_client

if TYPE_CHECKING:
    from tests.e2e.process import Address, Tracker

NOTHING = {"complete": 0, "downloaded": 0, "incomplete": 0}
LEECHER = {"complete": 0, "downloaded": 0, "incomplete": 1}
UNKNOWN = torrent(0xFE)
Files = dict[str, dict[str, int]]


def scrape(address: Address, *hashes: bytes, path: str = "/scrape", more: str = "") -> Files:
    query = "&".join(f"info_hash={escaped(one)}" for one in hashes)
    answer = ask(address, f"{path}?{query}{more}")
    assert list(answer) == ["files"], "the answer has another key than `files`"
    files: Files = answer["files"]
    return files


def name(info_hash: bytes) -> str:
    """Returns an info hash as `bdecode` returns a key."""
    return info_hash.decode("latin-1")


def test_case_64_several_torrents(public: Tracker, info_hash: bytes) -> None:
    """The answer has every requested torrent, sorted as bytes; unknown ones have zeros."""
    ask(public.http[0], target(info_hash))
    files = scrape(public.http[0], UNKNOWN, info_hash)
    assert files == {name(info_hash): LEECHER, name(UNKNOWN): NOTHING}


def test_case_64_an_unlisted_torrent(listed: Tracker, info_hash: bytes) -> None:
    """An unlisted torrent has zeros, like an unknown one; a listed one has its counts."""
    whitelist(listed, info_hash)
    ask(listed.http[0], target(info_hash))
    files = scrape(listed.http[0], info_hash, UNKNOWN)
    assert files == {name(info_hash): LEECHER, name(UNKNOWN): NOTHING}
    with udp_client(listed.udp[0]) as client:
        assert client.scrape(UNKNOWN, info_hash) == [(0, 0, 0), (0, 0, 1)]


@pytest.mark.parametrize(("asked", "text"), [
    case(65, "no query", "/scrape", "missing query params for scrape request"),
    case(65, "an empty query", "/scrape?", "missing query params for scrape request"),
    case(65, "no info hash", "/scrape?passkey=x", "missing param info_hash"),
    case(65, "an empty info hash", "/scrape?info_hash=", "got 0 bytes, expected 20"),
])  # fmt: skip
def test_no_full_scrape(public: Tracker, asked: str, text: str) -> None:
    """A scrape without a torrent fails: the tracker never lists everything."""
    assert text in reason(bdecode(body(get(public.http[0], asked))))


def test_case_66_no_flags(public: Tracker, info_hash: bytes) -> None:
    """The answer has `files` with three counts each, and no other key."""
    ask(public.http[0], target(info_hash))
    whole = body(get(public.http[0], f"/scrape?info_hash={escaped(info_hash)}"))
    counts = b"d8:completei0e10:downloadedi0e10:incompletei1ee"
    assert whole == b"d5:filesd20:" + info_hash + counts + b"ee"


def test_case_67_a_scrape_needs_a_key(private: Tracker, info_hash: bytes) -> None:
    """A scrape without a valid key gets zeros over both protocols; with one it gets the counts."""
    address = ("127.0.0.1", private.http[0][1])
    good, revoked = issue_key(private), issue_key(private)
    expired = issue_key(private, 0)
    revoke_key(private, revoked)
    ask(address, target(info_hash, path=f"/announce/{good}"))
    for path in ("/scrape", f"/scrape/{'k' * 32}", f"/scrape/{expired}", f"/scrape/{revoked}"):
        assert scrape(address, info_hash, path=path) == {name(info_hash): NOTHING}
    for path in (f"/scrape/{good}", f"/{good}/scrape"):
        assert scrape(address, info_hash, path=path) == {name(info_hash): LEECHER}
    for path in ("/scrape", "/scrape.php"):
        files = scrape(address, info_hash, path=path, more=f"&passkey={good}")
        assert files == {name(info_hash): LEECHER}
    with udp_client(("127.0.0.1", private.udp[0][1])) as client:
        assert client.scrape(info_hash) == [(0, 0, 0)]


def test_case_67_a_malformed_key(private: Tracker, info_hash: bytes) -> None:
    """A scrape with a malformed key fails."""
    address = ("127.0.0.1", private.http[0][1])
    asked = f"/scrape/short?info_hash={escaped(info_hash)}"
    assert "Invalid format for authentication key" in reason(ask(address, asked))


def test_case_67_a_member_and_an_unlisted_torrent(
    private_listed: Tracker, info_hash: bytes
) -> None:
    """A key does not reveal the counts of an unlisted torrent."""
    address, key = private_listed.http[0], issue_key(private_listed)
    whitelist(private_listed, info_hash)
    assert ask(address, target(info_hash, path=f"/announce/{key}"))["incomplete"] == 1
    files = scrape(address, info_hash, UNKNOWN, path=f"/scrape/{key}")
    assert files == {name(info_hash): LEECHER, name(UNKNOWN): NOTHING}


def test_case_68_a_repeated_torrent(public: Tracker, info_hash: bytes) -> None:
    """A repeated torrent is one entry over HTTP, and one triple each over UDP, in request order."""
    ask(public.http[0], target(info_hash))
    files = scrape(public.http[0], info_hash, UNKNOWN, info_hash)
    assert files == {name(info_hash): LEECHER, name(UNKNOWN): NOTHING}
    with udp_client(public.udp[0]) as client:
        found = client.scrape(info_hash, UNKNOWN, info_hash)
    assert found == [(0, 0, 1), (0, 0, 0), (0, 0, 1)]


@pytest.mark.parametrize(("asked", "answered"), [
    case(79, "one torrent", 1, 1),
    case(79, "74 torrents", 74, 74),
    case(79, "75 torrents", 75, 74),
])  # fmt: skip
def test_as_many_as_fit(public: Tracker, info_hash: bytes, asked: int, answered: int) -> None:
    """A UDP scrape answers the first 74 torrents."""
    with udp_client(public.udp[0]) as client:
        client.announce(info_hash, 1, 1)
        found = client.scrape(
            info_hash, *(number.to_bytes(20, "big") for number in range(1, asked))
        )
    assert found == [(1, 0, 0)] + [(0, 0, 0)] * (answered - 1)


@pytest.mark.parametrize(("hashes", "text"), [
    case(79, "an empty list", b"", "bad request: Full scrapes are not allowed"),
    case(79, "19 bytes", bytes(19), "bad request: Invalid info hash list"),
    case(79, "21 bytes", bytes(21), "bad request: Invalid info hash list"),
    case(65, "a full scrape", b"", "Full scrapes are not allowed"),
])  # fmt: skip
def test_invalid_lists(public: Tracker, hashes: bytes, text: str) -> None:
    """An incomplete list gets an error with the request's transaction id."""
    with udp_client(public.udp[0]) as client:
        assert text in udp_error(client.exchange(head(client) + hashes))


def head(client: UdpClient) -> bytes:
    return struct.pack(">8sII", client.connection_id, 2, 7)
