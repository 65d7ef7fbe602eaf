"""Tests private modes: keys in requests, and the peers of a key (BEP 41, BEP 48)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.asking import (
    addresses,
    ask,
    counts,
    from_host,
    issue_key,
    peers,
    reason,
    revoke_key,
    target,
    udp_announce,
    udp_counts,
    udp_error,
    url_data,
    whitelist,
)
from tests.contract.cases import case
from tests.e2e.clients import STOPPED, endpoints, udp_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Address, Tracker

ME, OTHER = "-QS0001-00000000000a", "-QS0001-00000000000b"
MISSING = "Missing authentication key param for private tracker"
MALFORMED = "Invalid format for authentication key param"
UNKNOWN = "k" * 32


@pytest.fixture(scope="module")
def key(private: Tracker) -> str:
    return issue_key(private)


def four(tracker: Tracker, protocol: str = "http") -> Address:
    """Returns the IPv4 address of a tracker for both families."""
    return "127.0.0.1", getattr(tracker, protocol)[0][1]


def six(tracker: Tracker) -> Address:
    return "::1", tracker.http[0][1]


PATHS = [
    case(38, "the key after announce", "/announce/KEY", ""),
    case(38, "the key before announce", "/KEY/announce", ""),
    case(38, "the key alone", "/KEY", ""),
    case(38, "passkey in the query", "/announce", "&passkey=KEY"),
    case(38, "passkey in the query of announce.php", "/announce.php", "&passkey=KEY"),
    case(37, "passkey before a second question mark", "/announce?passkey=KEY", ""),
    case(38, "doubled slashes", "//announce//KEY", ""),
    case(38, "a slash at the end", "/announce/KEY/", ""),
    case(38, "a slash at the end of the key before announce", "/KEY/announce/", ""),
    case(38, "a slash after the key alone", "/KEY/", ""),
    case(38, "a fragment after the key", "/announce/KEY#top", ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "more"), PATHS)
def test_paths(private: Tracker, key: str, info_hash: bytes, path: str, more: str) -> None:
    """The tracker reads the key in every usual place, and refuses a key that was never issued."""
    good = target(info_hash, more.replace("KEY", key), path.replace("KEY", key))
    assert ask(four(private), good)["incomplete"] == 1
    wrong = good.replace(key, UNKNOWN)
    assert "Failed to read key: it is not known" in reason(ask(four(private), wrong))


@pytest.mark.parametrize(("path", "text"), [
    case(38, "no key", "/announce", MISSING),
    case(38, "a name without a value", f"/announce?{UNKNOWN}", MISSING),
    case(38, "a malformed passkey", "/announce?passkey=short", MALFORMED),
    case(38, "a short key", "/announce/short", MALFORMED),
    case(38, "a key with punctuation", "/announce/" + "k" * 31 + "!", MALFORMED),
])  # fmt: skip
def test_no_valid_key(private: Tracker, info_hash: bytes, path: str, text: str) -> None:
    """A missing or malformed key fails with the reference's text, and adds no peer."""
    assert text in reason(ask(four(private), target(info_hash, path=path)))
    assert counts(private, info_hash) == (0, 0, 0)


def test_case_43_a_public_tracker_ignores_keys(public: Tracker, info_hash: bytes) -> None:
    """A public tracker serves an announce that has a well-formed key."""
    assert ask(public.http[0], target(info_hash, path=f"/announce/{UNKNOWN}"))["incomplete"] == 1


# A row has a function that makes the BEP 41 options of a UDP announce from a valid key.
OPTIONS = [
    case(71, "the key in one option", lambda key: url_data(b"/announce/" + key)),
    case(71, "the key in two options", lambda key: url_data(b"/announce/" + key[:7], key[7:])),
    case(71, "an empty option between two", lambda key: url_data(b"/ann", b"", b"ounce/" + key)),
    case(71, "other options between two",
         lambda key: url_data(b"/") + b"\1\x77\1x" + url_data(key)),
    case(71, "an end option after the key", lambda key: url_data(b"/" + key) + b"\0\2\4/abc"),
    case(71, "no-op options around the key", lambda key: b"\1\1\1" + url_data(b"/" + key) + b"\1"),
    case(71, "an unknown option before the key", lambda key: b"\x77\3abc" + url_data(b"/" + key)),
    case(71, "an unknown empty option before the key",
         lambda key: b"\x77\0" + url_data(b"/" + key)),
    case(71, "a truncated option after the key", lambda key: url_data(b"/" + key) + b"\2\xffabc"),
    case(71, "an option without a length after the key", lambda key: url_data(b"/" + key) + b"\2"),
    case(72, "the key after announce, as libtorrent sends it",
         lambda key: b"\2\x2a/announce/" + key),
    case(72, "the key alone", lambda key: url_data(b"/" + key)),
    case(72, "passkey in the query", lambda key: url_data(b"/announce?passkey=" + key)),
    case(72, "the key before announce", lambda key: url_data(b"/" + key + b"/announce")),
    case(72, "more slashes and a fragment", lambda key: url_data(b"//announce/" + key + b"/#top")),
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_options(
    private: Tracker, key: str, info_hash: bytes, options: Callable[[bytes], bytes]
) -> None:
    """The tracker reads the key in the URL data, among any other options."""
    with udp_client(four(private, "udp")) as client:
        assert udp_counts(udp_announce(client, info_hash, options(key.encode()))) == (0, 1)


@pytest.mark.parametrize(("options", "text"), [
    case(71, "no options", b"", MISSING),
    case(71, "an end option before the key", b"\0" + url_data(b"/announce/" + b"k" * 32), MISSING),
    case(71, "a key that is cut off", url_data(b"/announce/" + b"k" * 32)[:-1], MISSING),
    case(72, "a path without a key", url_data(b"/announce"), MISSING),
    case(72, "an unknown key",
         url_data(b"/announce/" + b"k" * 32), "Failed to read key: it is not known"),
    case(72, "a malformed key", url_data(b"/announce/short"), MALFORMED),
    case(72, "a malformed query", url_data(b"/announce?passkey=a=b"), "Cannot parse query params"),
])  # fmt: skip
def test_no_key_in_options(private: Tracker, info_hash: bytes, options: bytes, text: str) -> None:
    """Options without a valid key get an error that says so, and add no peer."""
    with udp_client(four(private, "udp")) as client:
        assert text in udp_error(udp_announce(client, info_hash, options))
    assert counts(private, info_hash) == (0, 0, 0)


def test_case_72_revoked_over_udp(private: Tracker, info_hash: bytes) -> None:
    """A revoked key is refused at the next announce, and its peer leaves the swarm."""
    revoked = issue_key(private)
    options = url_data(f"/announce/{revoked}".encode())
    with udp_client(four(private, "udp")) as client:
        assert udp_counts(udp_announce(client, info_hash, options)) == (0, 1)
        revoke_key(private, revoked)
        text = udp_error(udp_announce(client, info_hash, options))
    assert "Failed to read key: it was revoked" in text
    assert revoked not in text
    assert counts(private, info_hash) == (0, 0, 0)


def test_case_80_a_member_and_an_unlisted_torrent(
    private_listed: Tracker, info_hash: bytes
) -> None:
    """The tracker checks the key first, then the whitelist."""
    good = issue_key(private_listed)
    options = url_data(f"/announce/{good}".encode())
    with udp_client(private_listed.udp[0]) as client:
        assert MISSING in udp_error(udp_announce(client, info_hash))
        assert "is not whitelisted" in udp_error(udp_announce(client, info_hash, options))
        whitelist(private_listed, info_hash)
        assert udp_counts(udp_announce(client, info_hash, options)) == (0, 1)


# Identity of peers.


def test_case_51_two_machines_of_one_member(private: Tracker, key: str, info_hash: bytes) -> None:
    """Two peers with one key are both in the swarm and are given to each other."""
    path = f"/announce/{key}"
    ask(four(private), target(info_hash, path=path, peer_id=ME, port=1, left=0))
    answer = ask(four(private), target(info_hash, path=path, peer_id=OTHER, port=2))
    assert endpoints(answer["peers"]) == [("127.0.0.1", 1)]
    assert (answer["complete"], answer["incomplete"]) == (1, 1)


def test_case_54_two_families_are_one_peer(private: Tracker, key: str, info_hash: bytes) -> None:
    """A client with two addresses counts once, and is listed at both addresses."""
    path = f"/announce/{key}"
    for address in (four(private), six(private)):
        answer = ask(address, target(info_hash, path=path, peer_id=ME, port=1, left=0))
        assert (answer["complete"], answer["peers"], answer["peers6"]) == (1, b"", b"")
    assert len(peers(private, info_hash)) == 1
    other = target(info_hash, path=f"/announce/{issue_key(private)}", peer_id=OTHER, port=2)
    answer = ask(four(private), other)
    assert endpoints(answer["peers"]) == [("127.0.0.1", 1)]
    assert endpoints(answer["peers6"], v6=True) == [("::1", 1)]
    gone = target(info_hash, path=path, peer_id=ME, port=1, event="stopped")
    assert ask(six(private), gone)["complete"] == 0
    assert addresses(private, info_hash) == ["127.0.0.1:2"]


@pytest.mark.parametrize(("changed", "addresses_left"), [
    case(55, "another peer id at the same address and port replaces the peer", {"peer_id": OTHER},
         ["127.0.0.1:1"]),
    case(55, "another peer id at another port is a second peer", {"peer_id": OTHER, "port": 2},
         ["127.0.0.1:1", "127.0.0.1:2"]),
    case(55, "the same peer id at another port moves the peer", {"port": 2}, ["127.0.0.1:2"]),
])  # fmt: skip
def test_a_second_announce_of_a_member(
    private: Tracker,
    key: str,
    info_hash: bytes,
    changed: dict[str, Any],
    addresses_left: list[str],
) -> None:
    """In a swarm an address has one peer, and a peer has one address of each family."""
    first: dict[str, Any] = {"path": f"/announce/{key}", "peer_id": ME, "port": 1}
    ask(four(private), target(info_hash, **first))
    ask(four(private), target(info_hash, **{**first, **changed}))
    assert addresses(private, info_hash) == addresses_left


def test_case_09_leaving_with_port_0(private: Tracker, key: str, info_hash: bytes) -> None:
    """A member may send `stopped` with port 0."""
    path = f"/announce/{key}"
    ask(four(private), target(info_hash, path=path))
    answer = ask(four(private), target(info_hash, path=path, port=0, event="stopped"))
    assert (answer["incomplete"], addresses(private, info_hash)) == (0, [])


def test_case_56_a_member_moves(private: Tracker, key: str, info_hash: bytes) -> None:
    """A peer with the same key may come from another address, even with another `key=`."""
    path = f"/announce/{key}"
    ask(four(private), target(info_hash, path=path, peer_id=ME, key="one"))
    asked = target(info_hash, path=path, peer_id=ME, key="two")
    assert from_host("127.0.0.2", four(private), asked)["incomplete"] == 1
    assert addresses(private, info_hash) == ["127.0.0.2:6881"]


def test_case_56_another_member_with_the_same_id(
    private: Tracker, key: str, info_hash: bytes
) -> None:
    """A peer id under another key is another peer: it neither moves nor stops the first."""
    other = f"/announce/{issue_key(private)}"
    ask(four(private), target(info_hash, path=f"/announce/{key}", peer_id=ME, port=1))
    stopped = target(info_hash, path=other, peer_id=ME, port=1, event="stopped")
    assert from_host("127.0.0.2", four(private), stopped)["incomplete"] == 1
    joined = target(info_hash, path=other, peer_id=ME, port=1)
    assert from_host("127.0.0.2", four(private), joined)["incomplete"] == 2


def test_case_57_stopped_by_another_member_over_udp(
    private: Tracker, key: str, info_hash: bytes
) -> None:
    """Another member cannot stop a peer, even from the same address and port."""
    ours = url_data(f"/announce/{key}".encode())
    theirs = url_data(f"/announce/{issue_key(private)}".encode())
    with udp_client(four(private, "udp")) as client:
        assert udp_counts(udp_announce(client, info_hash, ours)) == (0, 1)
        assert udp_counts(udp_announce(client, info_hash, theirs, event=STOPPED)) == (0, 1)
        assert udp_counts(udp_announce(client, info_hash, ours, event=STOPPED)) == (0, 0)
