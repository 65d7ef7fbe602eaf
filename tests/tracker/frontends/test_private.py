"""Private modes as clients see them: the texts of refusals, the order of checks, and the log of
refusals.
"""

from __future__ import annotations

from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest
import trio
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import (
    SECOND,
    Announce,
    Rig,
    announce_one,
    endpoint4,
    hash_of,
    key_text,
    replayed,
    steady,
)
from tracker.domain import events
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.domain.settings import Settings
from tracker.frontends.http import server as http_server
from tracker.frontends.http.connections import ConnectionLimits
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp import server as udp_server
from tracker.frontends.udp.handler import DatagramHandler
from tracker.service import announce as announce_path
from tracker.wire.bencode import decode
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from collections.abc import Callable

V4 = bytes([127, 0, 0, 9])
V6 = bytes.fromhex("20010db8") + bytes(11) + b"\x09"
HASH, UNLISTED = hash_of(1), hash_of(2)
DAY = 86_400
TEXT, PLAIN = b"application/octet-stream", b"text/plain; charset=utf-8"

GOOD, EXPIRED, REVOKED, UNKNOWN = (key_text(number) for number in range(4))
MALFORMED = {
    "too short": b"a" * 31,
    "too long": b"a" * 33,
    "a dash": b"-" * 32,
    "no ASCII": b"\xc3\xa9" * 16,
    "one character": b"0",
}

AUTH = "Tracker authentication error: Authentication error: "
MISSING_TEXT = AUTH + "Missing authentication key param for private tracker."
FORMAT_TEXT = AUTH + "Invalid format for authentication key param."
EXPIRED_TEXT = AUTH + "Key has expired"
UNREADABLE_TEXT = AUTH + "Failed to read key: "
UNLISTED_TEXT = f"Tracker error: The torrent: {UNLISTED.hex()}, is not whitelisted"
PROXY_TEXT = "missing or invalid the right most X-Forwarded-For IP"


@define
class Front:
    """A tracker's two front ends without sockets, over one state: a good key, an expired and a
    revoked one.
    """

    settings: Settings
    proxied: bool = False
    rig: Rig = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rig = Rig()
        self.rig.service.change_settings(self.settings)
        self.rig.service.append(TorrentWhitelisted(HASH))
        self.rig.issue(0)
        self.rig.issue(1, valid_until_us=self.rig.service.now_us() + SECOND)
        self.rig.issue(2)
        self.rig.revoke(REVOKED)
        self.rig.time.advance(2 * SECOND)

    def http(self, target: bytes, address: bytes = V4, forwarded: bytes | None = None) -> bytes:
        """The response to a GET."""
        handler = RequestHandler(self.rig.service, 1, proxied=self.proxied)
        handler.begin()
        response = handler.answer(b"GET", target, address, forwarded, False)
        handler.end()
        return response

    def get(self, target: bytes, **more: Any) -> dict[str, Any]:
        """The decoded body; success and failure have each their content type."""
        head, _, body = self.http(target, **more).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        values = decode(body)
        assert isinstance(values, dict)
        decoded: dict[str, Any] = {key.decode(): value for key, value in values.items()}
        assert (PLAIN if "failure reason" in decoded else TEXT) in head
        return decoded

    def failure(self, target: bytes, **more: Any) -> str:
        return str(self.get(target, **more)["failure reason"].decode())

    def udp(self, options: bytes = b"", info_hash: bytes = HASH, **more: Any) -> bytes:
        """The reply to a good announce with BEP 41 options behind it."""
        ids = ConnectionIds(b"c" * 32)
        handler = DatagramHandler(self.rig.service, ids, 0)
        handler.begin()
        datagram = udp_announce(ids.issue(V4), info_hash, **more) + options
        reply = handler.answer(datagram, 0, len(datagram), V4)
        handler.end()
        assert reply is not None
        return bytes(reply)

    def udp_failure(self, path: bytes, info_hash: bytes = HASH) -> str:
        reply = self.udp(url(path) if path else b"", info_hash)
        assert reply[:8] == pack(">I4s", 3, b"tran")
        return reply[8:].decode()

    def refusals(self) -> list[tuple[int, str, str]]:
        return [
            (one["key_ref"], one["reason"], one["info_hash"])
            for one in self.rig.events()
            if one["type"] == "announce_refused"
        ]


def url(path: bytes) -> bytes:
    """BEP 41 URL data."""
    return bytes([2, len(path)]) + path


def udp_announce(connection_id: bytes, info_hash: bytes, port: int = 6881) -> bytes:
    return connection_id + pack(
        ">I4s20s20sQQQIIIiH", 1, b"tran", info_hash, b"-XX0001-abcdefghijkl", 0, 7, 0, 0, 0, 0, -1, port
    )  # fmt: skip


def query(info_hash: bytes = HASH, extra: bytes = b"") -> bytes:
    quoted = quote_from_bytes(info_hash).encode()
    return b"?info_hash=" + quoted + b"&peer_id=-XX0001-abcdefghijkl&port=6881&left=7" + extra


def announce(key: bytes = b"", info_hash: bytes = HASH, extra: bytes = b"") -> bytes:
    return b"/announce" + (b"/" + key if key else b"") + query(info_hash, extra)


def scrape(key: bytes = b"", info_hash: bytes = HASH, extra: bytes = b"") -> bytes:
    path = b"/scrape" + (b"/" + key if key else b"")
    return path + b"?info_hash=" + quote_from_bytes(info_hash).encode() + extra


PUBLIC, LISTED = Settings(), Settings(listed=True)
PRIVATE, BOTH = Settings(private=True), Settings(private=True, listed=True)
MODES = {"public": PUBLIC, "listed": LISTED, "private": PRIVATE, "private_listed": BOTH}

# Contract, section 2.2 and the modes of section 5: key, torrent; what each mode says, None =
# served.
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
    """Who is refused in which mode, and in which words."""
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
    """The same by BEP 41 URL data."""
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
    """Over HTTP the form of a key matters in every mode and to scrapes too; over UDP, where others
    send along what they like, only where keys count.
    """
    front = Front(MODES[mode])
    for target in (announce(key), scrape(key), announce(extra=b"&passkey=" + key),
                   scrape(extra=b"&passkey=" + key)):  # fmt: skip
        assert FORMAT_TEXT in front.failure(target)
    if "private" in mode:
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
def test_ways_to_give_a_key_over_http(way: Callable[[bytes], bytes]) -> None:
    """Each path is as good as any other, and refuses alike."""
    front = Front(PRIVATE)
    assert front.get(way(GOOD))["incomplete"] == 1
    assert front.rig.events()[-1]["key_ref"] == 1
    assert UNREADABLE_TEXT + UNKNOWN.decode() in front.failure(way(UNKNOWN))


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
def test_ways_to_give_a_key_over_udp(options: bytes) -> None:
    """Any path that HTTP has, in one option or in several."""
    front = Front(PRIVATE)
    assert unpack_from(">I4sIII", front.udp(options)) == (1, b"tran", 120, 1, 0)
    assert front.rig.events()[-1]["key_ref"] == 1


@pytest.mark.parametrize(
    "path",
    [
        b"/announce?passkey=a=b",
        b"/announce?a&passkey=" + GOOD,
        b"/?passkey",
        b"/announce?&?&passkey=",
    ],
    ids=repr,
)
def test_nonsense_in_url_data(path: bytes) -> None:
    """A malformed query gets an error, and the tracker goes on."""
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
def test_any_url_data(data: bytes) -> None:
    """Whatever follows an announce, there is an answer."""
    assert _FUZZED.udp(data)[:4] in (pack(">I", 1), pack(">I", 3))


_FUZZED = Front(PRIVATE)


def test_a_key_in_the_path_comes_first() -> None:
    """With a key in the path and another behind `passkey=`, the path's counts."""
    front = Front(PRIVATE)
    assert front.get(announce(GOOD, extra=b"&passkey=" + UNKNOWN))["incomplete"] == 1
    assert UNREADABLE_TEXT in front.failure(announce(UNKNOWN, extra=b"&passkey=" + GOOD))


# What is asked first: each request is wrong in all that follows, too.
BROKEN = b"?info_hash=abc&peer_id=x&port=1"
ORDER: dict[str, tuple[bytes, str]] = {
    "no query at all": (b"/announce/bad", "missing query params for announce request"),
    "the query before the key": (b"/announce/bad" + BROKEN, "for info_hash in"),
    "the form of the key before the key": (announce(b"bad", UNLISTED), FORMAT_TEXT),
    "the key before the list": (announce(UNKNOWN, UNLISTED), UNREADABLE_TEXT),
    "a missing key before the list": (announce(b"", UNLISTED), MISSING_TEXT),
    "an expired key before the list": (announce(EXPIRED, UNLISTED), EXPIRED_TEXT),
    "the list before the address": (announce(GOOD, UNLISTED), UNLISTED_TEXT),
    "the address at last": (announce(GOOD), PROXY_TEXT),
}


@pytest.mark.parametrize(("target", "text"), ORDER.values(), ids=ORDER)
def test_order_of_checks(target: bytes, text: str) -> None:
    """Behind a proxy that sends no address, everything is wrong: the first check answers."""
    front = Front(BOTH, proxied=True)
    assert text in front.failure(target, forwarded=b"INVALID IP")
    assert front.rig.types().count("announced") == 0


def test_connection_id_before_key() -> None:
    """A client without a connection id learns nothing about keys."""
    front = Front(PRIVATE)
    handler = DatagramHandler(front.rig.service, ConnectionIds(b"c" * 32), 0)
    handler.begin()
    datagram = udp_announce(b"no id of", HASH) + url(b"/" + UNKNOWN)
    reply = handler.answer(datagram, 0, len(datagram), V4)
    handler.end()
    assert reply is not None
    assert reply[8:] == b"connection id could not be verified"


RETRIES = {
    "revoked": (PRIVATE, announce(REVOKED), b"never"),
    "revoked, by passkey": (PRIVATE, announce(extra=b"&passkey=" + REVOKED), b"never"),
    "unlisted": (LISTED, announce(b"", UNLISTED), 30),
    "unlisted, with a key": (BOTH, announce(GOOD, UNLISTED), 30),
    "unknown": (PRIVATE, announce(UNKNOWN), None),
    "missing": (PRIVATE, announce(), None),
    "expired": (PRIVATE, announce(EXPIRED), None),
    "malformed": (PRIVATE, announce(b"bad"), None),
}


@pytest.mark.parametrize(("mode", "target", "retry"), RETRIES.values(), ids=RETRIES)
def test_retry_in(mode: Settings, target: bytes, retry: bytes | int | None) -> None:
    """BEP 31: minutes until it may help to ask again."""
    assert Front(mode).get(target).get("retry in") == retry


@pytest.mark.parametrize("mode", ["private", "private_listed"])
@pytest.mark.parametrize(
    ("key", "info_hash", "counts"),
    [
        (b"", HASH, (0, 0, 0)),
        (UNKNOWN, HASH, (0, 0, 0)),
        (EXPIRED, HASH, (0, 0, 0)),
        (REVOKED, HASH, (0, 0, 0)),
        (GOOD, HASH, (0, 0, 1)),
        (GOOD, hash_of(9), (0, 0, 0)),
    ],
    ids=["no key", "unknown", "expired", "revoked", "good", "good, no such torrent"],
)
def test_scrapes(mode: str, key: bytes, info_hash: bytes, counts: tuple[int, int, int]) -> None:
    """A scrape without a valid key gets zeros and no error; keys in path and parameter are
    equal."""
    front = Front(MODES[mode])
    front.get(announce(GOOD))
    for target in (scrape(key, info_hash),
                   scrape(b"", info_hash, b"&passkey=" + key) if key else scrape(b"", info_hash)):  # fmt: skip
        entry = front.get(target)["files"][info_hash]
        assert (entry[b"complete"], entry[b"downloaded"], entry[b"incomplete"]) == counts


def test_unlisted_scrapes_are_zero() -> None:
    """An unlisted torrent gets zeros, also with a valid key, and after it was listed once."""
    front = Front(PRIVATE)
    front.get(announce(GOOD, UNLISTED))
    assert front.get(scrape(GOOD, UNLISTED))["files"][UNLISTED][b"incomplete"] == 1
    front.rig.service.change_settings(BOTH)
    assert front.get(scrape(GOOD, UNLISTED))["files"][UNLISTED][b"incomplete"] == 0


def test_udp_scrapes_tell_nothing() -> None:
    """A UDP scrape cannot carry a key."""
    front = Front(PRIVATE)
    front.get(announce(GOOD))
    ids = ConnectionIds(b"c" * 32)
    handler = DatagramHandler(front.rig.service, ids, 0)
    handler.begin()
    datagram = ids.issue(V4) + pack(">I4s", 2, b"tran") + HASH + UNLISTED
    reply = handler.answer(datagram, 0, len(datagram), V4)
    handler.end()
    assert reply == pack(">I4s6I", 2, b"tran", 0, 0, 0, 0, 0, 0)


# Expiry.


@pytest.mark.parametrize(
    ("seconds", "warned"),
    [
        (3600, True),
        (DAY, True),
        (3 * DAY - 3, True),
        (3 * DAY + 3, False),
        (30 * DAY, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("extra", [b"", b"&compact=0"], ids=["compact", "dictionaries"])
def test_a_warning_before_a_key_expires(seconds: int | None, warned: bool, extra: bytes) -> None:
    """In the last three days of a key every reply warns, and is still valid bencoding."""
    front = Front(PRIVATE)
    until = None if seconds is None else front.rig.service.now_us() + seconds * SECOND
    key = front.rig.issue(8, valid_until_us=until)
    reply = front.get(announce(key, extra=extra))
    assert ("warning message" in reply) == warned
    assert reply["incomplete"] == 1
    if warned:
        assert b"expires" in reply["warning message"]
        assert key not in reply["warning message"]


def test_a_key_expires_at_its_moment() -> None:
    """Good until then, refused after, without a tick between."""
    front = Front(PRIVATE)
    key = front.rig.issue(8, valid_until_us=front.rig.service.now_us() + 10 * SECOND)
    front.rig.time.advance(10 * SECOND)
    assert front.get(announce(key))["incomplete"] == 1
    front.rig.time.advance(1)
    assert EXPIRED_TEXT in front.failure(announce(key))
    assert EXPIRED_TEXT in front.udp_failure(b"/" + key)


def test_expired_keys_where_expiry_is_not_checked() -> None:
    """`check_keys_expiration = false`: an expired key is as good as any, and nothing is announced
    to end.
    """
    front = Front(Settings(private=True, check_keys_expiration=False))
    reply = front.get(announce(EXPIRED))
    assert reply["incomplete"] == 1
    assert "warning message" not in reply
    assert front.get(scrape(EXPIRED))["files"][HASH][b"incomplete"] == 1


def test_revocation_and_reissue_are_in_force_at_once() -> None:
    """A key that was just good is refused with the next request, and good again when issued
    again."""
    front = Front(PRIVATE)
    front.get(announce(GOOD))
    front.rig.revoke(GOOD)
    assert front.get(announce(GOOD))["retry in"] == b"never"
    assert UNREADABLE_TEXT in front.udp_failure(b"/" + GOOD)
    front.rig.issue(0)
    assert front.get(announce(GOOD))["incomplete"] == 1


# What the log tells.


def test_refusals_of_known_keys_are_events() -> None:
    """Refusals are logged for keys that were ever issued, not for unknown ones."""
    front = Front(BOTH)
    for target in (announce(REVOKED), announce(EXPIRED), announce(GOOD, UNLISTED), announce(UNKNOWN),
                   announce(), announce(b"bad")):  # fmt: skip
        front.failure(target)
    expected = [
        (3, "key_revoked", HASH.hex()),
        (2, "key_expired", HASH.hex()),
        (1, "not_whitelisted", UNLISTED.hex()),
    ]
    assert front.refusals() == expected
    assert replayed(front.rig.log.frames()).digest() == front.rig.state.digest()


def test_refusals_are_logged_once_a_minute() -> None:
    """One refusal a minute is logged for each key and reason, so that no client fills the disk."""
    front = Front(BOTH)

    def all_again() -> None:
        for _ in range(5):
            front.failure(announce(REVOKED))
            front.udp_failure(b"/" + REVOKED, UNLISTED)
            front.failure(announce(EXPIRED))
            front.failure(announce(GOOD, UNLISTED))
            front.udp_failure(b"/" + GOOD, UNLISTED)

    all_again()
    assert len(front.refusals()) == 3
    front.rig.time.advance(59 * SECOND)
    all_again()
    assert len(front.refusals()) == 3
    front.rig.time.advance(2 * SECOND)
    all_again()
    assert sorted(front.refusals()) == sorted(front.refusals()[:3] * 2)


def test_refusals_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory for refused keys stays bounded, however many keys there are."""
    monkeypatch.setattr(announce_path, "_MOST_NOTED", 8)
    front = Front(BOTH)
    service = front.rig.service
    keys = [front.rig.issue(100 + number) for number in range(40)]
    for _ in range(3):
        for key in keys:
            front.rig.time.advance(10 * SECOND)
            front.failure(announce(key, UNLISTED))
            assert len(service._refused_us) <= 8
    assert len(front.refusals()) == 3 * len(keys)
    for key in keys[-5:]:
        front.failure(announce(key, UNLISTED))
    assert len(front.refusals()) == 3 * len(keys)


def test_refusals_in_the_middle_of_a_batch() -> None:
    """Served and refused requests of one batch stand in the log in their order, and replay to the
    same state.
    """
    rig = Front(BOTH).rig
    rig.service.begin()
    for number in range(6):
        one = Announce(
            HASH, endpoint4(number), b"-XX0001-%012d" % number, key=(GOOD, REVOKED)[number % 2]
        )
        announce_one(rig.service, one)
    rig.service.end()
    told = [one["type"] for one in rig.events()][-4:]
    assert told == ["announced", "announce_refused", "announced", "announced"]
    assert [one["seq"] for one in rig.events()] == list(range(len(rig.events())))
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_a_batch_with_a_refusal_keeps_log_time_in_order() -> None:
    """Log time never goes back, though a refusal reads the clock in the middle of a batch."""
    rig = Front(PRIVATE).rig
    rig.service.begin()
    announce_one(rig.service, Announce(HASH, endpoint4(1), b"a" * 20, key=GOOD))
    rig.time.advance(SECOND)
    announce_one(rig.service, Announce(HASH, endpoint4(2), b"b" * 20, key=REVOKED))
    announce_one(rig.service, Announce(HASH, endpoint4(3), b"c" * 20, key=GOOD))
    rig.service.end()
    times = [one["time"] for one in rig.events()]
    assert times == sorted(times)


def test_refusals_are_counted() -> None:
    """By reason, strangers' too."""
    front = Front(PRIVATE)
    for target in (
        announce(),
        announce(UNKNOWN),
        announce(UNKNOWN),
        announce(REVOKED),
        announce(b"x"),
    ):
        front.failure(target)
    front.udp_failure(b"")
    front.rig.service.flush_counters()
    labels = {
        label: count
        for (counter, label), count in front.rig.state.tally.counters.items()
        if counter == events.REFUSED_REQUESTS
    }
    # The labels are the refusals' numbers; 0 is what no key could mend.
    assert labels == {0: 1, 3: 2, 4: 2, 6: 1}


def test_a_full_log_refuses_private_announces() -> None:
    """With a full log nothing is appended or applied, not even the refusal of a known key."""
    front = Front(BOTH)
    front.rig.log.room = False
    before = front.rig.state.digest()
    assert "cannot record announces" in front.failure(announce(GOOD))
    assert "cannot record announces" in front.udp_failure(b"/" + GOOD)
    front.failure(announce(REVOKED))
    front.failure(announce(GOOD, UNLISTED))
    assert front.rig.state.digest() == before


def test_the_log_knows_no_key() -> None:
    """No key's text is in any record, whatever was done with it."""
    front = Front(BOTH)
    for key in (GOOD, EXPIRED, REVOKED, UNKNOWN):
        for info_hash in (HASH, UNLISTED):
            front.get(announce(key, info_hash))
            front.udp(url(b"/" + key), info_hash)
            front.get(scrape(key))
    whole = b"".join(bytes(one.plain) + bytes(one.protected) for one in front.rig.log.frames())
    for key in (GOOD, EXPIRED, REVOKED, UNKNOWN):
        assert key not in whole


def test_peers_of_a_private_swarm() -> None:
    """UDP replies have the client's own family, HTTP replies both; no peer gets itself."""
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


# Once with sockets.


async def test_over_sockets() -> None:
    """A valid and an invalid key work over HTTP and UDP through real sockets."""
    front = Front(PRIVATE)
    ids = ConnectionIds(b"c" * 32)
    datagrams, requests = (
        udp_server.open_socket("127.0.0.1", 0),
        http_server.open_socket("127.0.0.1", 0),
    )
    udp_port, http_port = (sock.getsockname()[1] for sock in (datagrams, requests))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(
                udp_server.serve, datagrams, DatagramHandler(front.rig.service, ids, 0)
            )
            handler = RequestHandler(front.rig.service, 1, proxied=False)
            await nursery.start(http_server.serve, requests, handler, ConnectionLimits(8))
            assert MISSING_TEXT.encode() in await request(http_port, announce())
            assert UNREADABLE_TEXT.encode() + UNKNOWN in await request(http_port, announce(UNKNOWN))
            assert b"10:incompletei1e" in await request(http_port, announce(GOOD))
            replies = await exchange(
                udp_port,
                [b"", url(b"/nonsense?passkey=a=b"), url(b"/" + UNKNOWN), url(b"/" + GOOD)],
            )
            nursery.cancel_scope.cancel()
    assert [one[:4] for one in replies] == [pack(">I", kind) for kind in (3, 3, 3, 1)]
    assert MISSING_TEXT.encode() in replies[0]
    assert UNREADABLE_TEXT.encode() + UNKNOWN in replies[2]


async def request(port: int, target: bytes) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(
            b"GET " + target + b" HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        return b"".join([chunk async for chunk in stream])


async def exchange(port: int, options: list[bytes]) -> list[bytes]:
    """Connects, then announces once with each of these options."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.connect(("127.0.0.1", port))
        await sock.send(bytes.fromhex("0000041727101980") + pack(">I4s", 0, b"tran"))
        connection_id = (await sock.recv(100))[8:]
        replies = []
        for one in options:
            await sock.send(udp_announce(connection_id, HASH) + one)
            replies.append(await sock.recv(1500))
        return replies
