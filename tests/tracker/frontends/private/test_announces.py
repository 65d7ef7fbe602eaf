"""Announces in private modes: the ways to give a key, and the texts of refusals."""

from __future__ import annotations

from struct import pack, unpack_from
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import issue, revoke, steady
from tests.tracker.frontends.private.front import (
    EXPIRED,
    EXPIRED_TEXT,
    FORMAT_TEXT,
    GOOD,
    HASH,
    MISSING_TEXT,
    MODES,
    PRIVATE,
    PUBLIC,
    REVOKED,
    UNKNOWN,
    UNLISTED,
    UNLISTED_TEXT,
    UNREADABLE_TEXT,
    V4,
    V6,
    Front,
    announce,
    query,
    scrape,
    url,
)

if TYPE_CHECKING:
    from collections.abc import Callable


MALFORMED = {
    "too short": b"a" * 31,
    "too long": b"a" * 33,
    "a dash": b"-" * 32,
    "no ASCII": b"\xc3\xa9" * 16,
    "one character": b"0",
}

# Contract, section 2.2 and the modes of section 5: key, torrent, and the text of each mode that
# refuses it.
CASES: dict[str, tuple[bytes, bytes, dict[str, str]]] = {
    "no key": (b"", HASH, {"private": MISSING_TEXT, "private_listed": MISSING_TEXT}),
    "no key, unlisted": (
        b"",
        UNLISTED,
        {"listed": UNLISTED_TEXT, "private": MISSING_TEXT, "private_listed": MISSING_TEXT},
    ),
    "a good key": (GOOD, HASH, {}),
    "a good key, unlisted": (
        GOOD,
        UNLISTED,
        {"listed": UNLISTED_TEXT, "private_listed": UNLISTED_TEXT},
    ),
    "an unknown key": (
        UNKNOWN,
        HASH,
        dict.fromkeys(("private", "private_listed"), UNREADABLE_TEXT),
    ),
    "an unknown key, unlisted": (
        UNKNOWN,
        UNLISTED,
        {"listed": UNLISTED_TEXT, "private": UNREADABLE_TEXT, "private_listed": UNREADABLE_TEXT},
    ),
    "a revoked key": (REVOKED, HASH, dict.fromkeys(("private", "private_listed"), UNREADABLE_TEXT)),
    "an expired key": (EXPIRED, HASH, dict.fromkeys(("private", "private_listed"), EXPIRED_TEXT)),
    "an expired key, unlisted": (
        EXPIRED,
        UNLISTED,
        {"listed": UNLISTED_TEXT, "private": EXPIRED_TEXT, "private_listed": EXPIRED_TEXT},
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("key", "info_hash", "texts"), CASES.values(), ids=CASES)
def test_announces_over_http(
    mode: str, key: bytes, info_hash: bytes, texts: dict[str, str]
) -> None:
    """Each mode refuses its wrong announces with the reference's texts."""
    front = Front(MODES[mode])
    reply = front.get(announce(key, info_hash))
    expected = texts.get(mode)
    if expected is None:
        assert (reply["complete"], reply["incomplete"]) == (0, 1)
    else:
        assert expected in reply["failure reason"].decode()
        assert front.rig.state.swarms.torrents_total == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("key", "info_hash", "texts"), CASES.values(), ids=CASES)
def test_announces_over_udp(mode: str, key: bytes, info_hash: bytes, texts: dict[str, str]) -> None:
    """A key in BEP 41 URL data has the same effect as a key over HTTP."""
    front = Front(MODES[mode])
    reply = front.udp(url(b"/announce/" + key) if key else b"", info_hash)
    expected = texts.get(mode)
    if expected is None:
        assert unpack_from(">I4sIII", reply) == (1, b"tran", 120, 1, 0)
    else:
        assert expected in reply[8:].decode()
        assert front.rig.state.swarms.torrents_total == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", MALFORMED.values(), ids=MALFORMED)
def test_malformed_keys(mode: str, key: bytes) -> None:
    """In the path of an HTTP request a malformed key is an error in every mode. Elsewhere it is one
    in private modes only, because clients send other URL data, and sites other parameters."""
    front = Front(MODES[mode])
    for target in (announce(key), scrape(key)):
        assert FORMAT_TEXT in front.failure(target)
    if "private" in mode:
        for target in (announce(extra=b"&passkey=" + key), scrape(extra=b"&passkey=" + key)):
            assert FORMAT_TEXT in front.failure(target)
        assert FORMAT_TEXT in front.udp_failure(b"/announce/" + key)
        assert FORMAT_TEXT in front.udp_failure(b"/announce?passkey=" + key)
    else:
        assert front.udp(url(b"/announce/" + key))[:4] == pack(">I", 1)


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "/announce/KEY": lambda key: b"/announce/" + key + query(),
    "/KEY/announce": lambda key: b"/" + key + b"/announce" + query(),
    "/KEY": lambda key: b"/" + key + query(),
    "?passkey=KEY": lambda key: b"/announce" + query(extra=b"&passkey=" + key),
    "absolute": lambda key: b"http://tracker.example/announce/" + key + query(),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_http_accepts_a_key_in_each_path(way: Callable[[bytes], bytes]) -> None:
    front = Front(PRIVATE)
    assert front.get(way(GOOD))["incomplete"] == 1
    assert front.rig.events()[-1]["key_ref"] == 1
    assert UNREADABLE_TEXT + "it is not known" in front.failure(way(UNKNOWN))


@pytest.mark.parametrize(
    "options",
    [
        url(b"/announce/" + GOOD),
        url(b"/" + GOOD),
        url(b"/" + GOOD + b"/announce"),
        url(b"/announce?passkey=" + GOOD),
        url(b"/announce/" + GOOD + b"?x=1"),
        url(b"/announce/") + url(GOOD) + b"\0",
        b"\x01\x09\x02ab" + url(b"/announce/" + GOOD[:5]) + b"\x01" + url(GOOD[5:]) + b"\0more",
    ],
    ids=lambda options: repr(options[:14]),
)
def test_udp_accepts_a_key_in_each_path(options: bytes) -> None:
    """UDP accepts a key in any path of HTTP, in one option or in several."""
    front = Front(PRIVATE)
    assert unpack_from(">I4sIII", front.udp(options)) == (1, b"tran", 120, 1, 0)
    assert front.rig.events()[-1]["key_ref"] == 1


@pytest.mark.parametrize(
    "path",
    [
        b"/announce?passkey=a=b",
        b"/announce?a=b=c&passkey=" + GOOD,
        b"/?passkey",
        b"/announce?&?&passkey=",
    ],
    ids=repr,
)
def test_a_malformed_query_in_url_data_is_refused(path: bytes) -> None:
    """A malformed query gets an error, and the tracker continues."""
    front = Front(PRIVATE)
    assert front.udp(url(path))[:8] == pack(">I4s", 3, b"tran")
    assert front.udp(url(b"/" + GOOD))[:4] == pack(">I", 1)


@settings(steady)
@given(
    data=st.one_of(
        st.binary(max_size=60),
        st.lists(
            st.sampled_from(
                [b"/", b"?", b"&", b"=", b"passkey=", b"announce", GOOD, b"%", b"http://"]
            ),
            max_size=8,
        ).map(lambda parts: url(b"".join(parts))),
    )
)
def test_any_url_data_gets_an_answer(data: bytes) -> None:
    assert _FUZZED.udp(data)[:4] in (pack(">I", 1), pack(">I", 3))


_FUZZED = Front(PRIVATE)


def test_a_key_in_the_path_wins_over_passkey() -> None:
    front = Front(PRIVATE)
    assert front.get(announce(GOOD, extra=b"&passkey=" + UNKNOWN))["incomplete"] == 1
    assert UNREADABLE_TEXT in front.failure(announce(UNKNOWN, extra=b"&passkey=" + GOOD))


def test_peers_of_a_private_swarm() -> None:
    """A UDP reply has peers of the client's family, an HTTP reply has both families, and no peer
    gets itself."""
    front = Front(PRIVATE)
    other = front.rig.issue(8)
    for address in (V4, V6):
        assert front.get(announce(GOOD), address=address) == {
            "complete": 0, "incomplete": 1, "interval": 120, "min interval": 120,
            "peers": b"", "peers6": b"",
        }  # fmt: skip
    target = announce(other).replace(b"abcdefghijkl", b"lkjihgfedcba").replace(b"6881", b"6882")
    reply = front.get(target)
    assert (reply["peers"], reply["peers6"]) == (V4 + b"\x1a\xe1", V6 + b"\x1a\xe1")
    assert reply["incomplete"] == 2
    assert front.udp(url(b"/" + GOOD))[20:] == V4 + b"\x1a\xe2"


SHORT, LONG = b"Xy-4567_89", b"a" * 64
NAMES = (b"uk", b"pid", b"authkey", b"credential", b"passkey")


def test_keys_of_other_sites() -> None:
    """A key in another form, or in another site's parameter, counts if it was issued. Other values
    of those parameters mean nothing, as before.
    """
    front = Front(PRIVATE)
    for text in (SHORT, LONG):
        issue(front.rig.service, text)
    for target in (
        announce(SHORT),
        b"/announce/" + LONG + query(),
        *(b"/ann" + query(extra=b"&%b=%b" % (name, SHORT)) for name in NAMES),
        b"/announce.php" + query(extra=b"&pid=" + GOOD),
        b"/" + SHORT + b"/announce" + query(),
    ):
        assert "failure reason" not in front.get(target), target
    assert front.get(scrape(extra=b"&uk=" + LONG))["files"][HASH][b"incomplete"]
    assert front.udp(url(b"/announce/" + SHORT))[:4] == bytes([0, 0, 0, 1])
    assert front.udp(url(b"/announce?uk=" + LONG))[:4] == bytes([0, 0, 0, 1])
    for name in NAMES[:4]:
        assert MISSING_TEXT in front.failure(announce(extra=b"&%b=unknown-0001" % name))
    assert FORMAT_TEXT in front.failure(announce(b"unknown-0001"))
    revoke(front.rig.service, SHORT)
    assert FORMAT_TEXT not in front.failure(announce(SHORT))
    public = Front(PUBLIC)
    assert "failure reason" not in public.get(announce(extra=b"&pid=unknown-0001"))
    assert FORMAT_TEXT in public.failure(announce(b"unknown-0001"))
