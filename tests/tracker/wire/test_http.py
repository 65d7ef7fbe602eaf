"""Targets, announces and scrapes as the HTTP tracker reads them, and the answers it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracker.domain import events
from tracker.wire import http
from tracker.wire.bencode import decode
from tracker.wire.http import Target, WireError

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = bytes.fromhex("b6256c5f8e8f5c7c0f0b50a43d52ae7c5662dea5")
RAW_HASH = b"%b6%25l_%8e%8f%5c%7c%0f%0bP%a4%3dR%ae%7cVb%de%a5"
PEER_ID = b"-qB4520-d!)-Q0VIuoRb"
BASE = b"info_hash=" + RAW_HASH + b"&peer_id=" + PEER_ID + b"&port=6881"
KEY = b"0123456789abcdefABCDEF0123456789"

ANNOUNCE_FAILED = "Bad request. Cannot parse query params for announce request: "
SCRAPE_FAILED = "Bad request. Cannot parse query params for scrape request: "
QUERY_FAILED = "Bad request. Cannot parse query params: "


def announce_with(extra: bytes) -> http.Announce:
    return http.parse_announce(BASE + b"&" + extra)


def refusal(query: bytes | None) -> str:
    with pytest.raises(WireError) as refused:
        http.parse_announce(query)
    return refused.value.reason


def complaint(parse: Callable[[bytes], object], query: bytes) -> str | None:
    try:
        parse(query)
    except WireError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    "name", ["NONE", "COMPLETED", "STARTED", "STOPPED", "PAUSED", "LEFT_UNKNOWN"]
)
def test_numbers_of_the_log(name: str) -> None:
    """Wire and domain do not import each other, yet an event has one number in both."""
    assert getattr(http, name) == getattr(events, name)


def test_smallest_announce() -> None:
    """Only three parameters are needed; the rest has its documented meaning when absent."""
    assert http.parse_announce(BASE) == http.Announce(
        info_hash=HASH,
        peer_id=PEER_ID,
        port=6881,
        uploaded=0,
        downloaded=0,
        left=http.LEFT_UNKNOWN,
        event=http.NONE,
        numwant=None,
        compact=True,
        no_peer_id=False,
        key=b"",
        passkey=None,
        ip=None,
    )


@pytest.mark.parametrize(
    ("extra", "field", "value"),
    [
        (b"uploaded=1", "uploaded", 1),
        (b"downloaded=9223372036854775807", "downloaded", 2**63 - 1),
        (b"left=0", "left", 0),
        (b"left=0000000000000000000000012", "left", 12),
        (b"event=", "event", http.NONE),
        (b"event=empty", "event", http.NONE),
        (b"event=completed", "event", http.COMPLETED),
        (b"event=started", "event", http.STARTED),
        (b"event=stopped", "event", http.STOPPED),
        (b"event=paused", "event", http.PAUSED),
        (b"event=Started", "event", http.STARTED),
        (b"numwant=0", "numwant", 0),
        (b"numwant=4294967295", "numwant", 2**32 - 1),
        (b"compact=1", "compact", True),
        (b"compact=0", "compact", False),
        (b"no_peer_id=1", "no_peer_id", True),
        (b"no_peer_id=0", "no_peer_id", False),
        (b"key=%2C%F8h%F1%5B%0AdK", "key", b"\x2c\xf8h\xf1[\x0adK"),
        (b"key=%zz", "key", b"%zz"),
        (b"passkey=" + KEY, "passkey", KEY),
        (b"ip=2001%3Adb8::1", "ip", b"2001%3Adb8::1"),
        (b"ip=", "ip", b""),
        (b"left=1&left=2", "left", 1),
        (b"port=1&peer_id=x", "port", 6881),
        (b"corrupt=x&trackerid=%zz&=&supportcrypto=1", "left", http.LEFT_UNKNOWN),
        # values that clients escape
        (b"left=%30", "left", 0),
        (b"left=%31%32", "left", 12),
        (b"event=%73%74%61%72%74%65%64", "event", http.STARTED),
        (b"event=%53topped", "event", http.STOPPED),
        (b"numwant=%35", "numwant", 5),
        (b"compact=%30", "compact", False),
        (b"no_peer_id=%31", "no_peer_id", True),
        (b"passkey=%30" + KEY[1:], "passkey", KEY),
        # empty pieces
        (b"left=7&", "left", 7),
        (b"&&left=7", "left", 7),
    ],
)
def test_parameters(extra: bytes, field: str, value: object) -> None:
    """Each parameter is read as stated, whatever else is there."""
    assert getattr(announce_with(extra), field) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"%2d%71%42%34%35%32%30%2d%64%21%29%2d%51%30%56%49%75%6f%52%62", PEER_ID),
        (b"%2D%71B4520-d!)-Q0VIuoRb", PEER_ID),
        (b"-qB4520-d!)-Q0VI+oRb", b"-qB4520-d!)-Q0VI+oRb"),
        (b"-qB4520-%25%32%35\\x41\\abcd", b"-qB4520-%25\\x41\\abcd"),
        (b"-qB4520-?abcde%3d%26%5C%5c\\\n", b"-qB4520-?abcde=&\\\\\\\n"),
        (b"%00" * 20, bytes(20)),
        (b"\xff" * 20, b"\xff" * 20),
    ],
)
def test_escapes(raw: bytes, value: bytes) -> None:
    """Escapes of any case decode to bytes, and everything else stays as it is, `+` too."""
    query = b"info_hash=" + RAW_HASH.upper() + b"&port=1&peer_id=" + raw + b"&left=0"
    announce = http.parse_announce(query)
    assert announce.peer_id == value
    assert announce.info_hash == HASH.replace(b"l", b"L").replace(b"b", b"B")


@given(st.binary(min_size=20, max_size=20), st.sampled_from(["", "!()*~?+"]))
def test_any_identifier(value: bytes, safe: str) -> None:
    """Any 20 bytes survive percent-encoding, even when every byte is escaped."""
    raw = quote_from_bytes(value, safe).encode()
    announce = http.parse_announce(b"info_hash=" + raw + b"&peer_id=" + raw + b"&port=1")
    assert (announce.info_hash, announce.peer_id) == (value, value)
    assert http.parse_scrape(b"info_hash=" + raw) == [value]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (None, ANNOUNCE_FAILED + "missing query params for announce request in query"),
        (b"", ANNOUNCE_FAILED + "missing query params for announce request in query"),
        (b" ?", ANNOUNCE_FAILED + "missing query params for announce request in query"),
        (b"&", ANNOUNCE_FAILED + "missing param info_hash in query"),
        (b"port=1", ANNOUNCE_FAILED + "missing param info_hash in query"),
        (b"info_hash=" + RAW_HASH, ANNOUNCE_FAILED + "missing param peer_id in query"),
        (BASE.replace(b"port", b"Port"), ANNOUNCE_FAILED + "missing param port in query"),
        (BASE + b"&info_hash=x", ANNOUNCE_FAILED + "repeated param info_hash in query"),
        (
            b"info_hash=invalid",
            ANNOUNCE_FAILED + "invalid param value invalid for info_hash in not enough bytes "
            "for infohash: got 7 bytes, expected 20 in query",
        ),
        (
            b"info_hash=" + b"a1" * 20,
            ANNOUNCE_FAILED + "invalid param value " + "a1" * 20 + " for info_hash in too many "
            "bytes for infohash: got 40 bytes, expected 20 in query; it is in hexadecimal: "
            "send its first 20 bytes, each as %xx",
        ),
        (
            b"info_hash=" + RAW_HASH + b"&peer_id=",
            ANNOUNCE_FAILED + "invalid param value  for peer_id in not enough bytes "
            "for peer id: got 0 bytes, expected 20 in query",
        ),
        (
            b"info_hash=%zz",
            ANNOUNCE_FAILED + "invalid param value %zz for info_hash in bad percent-encoding "
            "in query",
        ),
        (
            b"info_hash=" + RAW_HASH + b"&peer_id=-qB4520-d!)-Q0VIuoRb%4",
            ANNOUNCE_FAILED + "invalid param value -qB4520-d!)-Q0VIuoRb%4 for peer_id in "
            "bad percent-encoding in query",
        ),
        (
            b"info_hash=\xff" + b"x" * 500,
            ANNOUNCE_FAILED + "invalid param value \\xff" + "x" * 127 + " for info_hash in "
            "too many bytes for infohash: got 501 bytes, expected 20 in query",
        ),
        (BASE + b"&a=b=c", QUERY_FAILED + "invalid param a=b=c in query"),
        (BASE + b"&passkey=" + KEY + b"=", QUERY_FAILED + "invalid param passkey= in query"),
        (BASE + b"&left=1=2", QUERY_FAILED + "invalid param left=1=2 in query"),
        (b"info_hash=a=b&port=1", QUERY_FAILED + "invalid param info_hash=a=b in query"),
        (
            BASE + b"&a=b" + b"?a=b" * 9,
            QUERY_FAILED + "invalid param a=b" + "?a=b" * 9 + " in query",
        ),
        (b"invalid", ANNOUNCE_FAILED + "missing param info_hash in query"),
        (b"a=b=c?d=e", QUERY_FAILED + "invalid param a=b=c?d=e in query"),
    ],
)
def test_refused_queries(query: bytes | None, reason: str) -> None:
    """The reason names the missing or malformed parameter."""
    assert refusal(query) == reason


@pytest.mark.parametrize(
    "value",
    ["", "0", "-1", "65536", "0x1AE1", " 6881", "1.5", "+1", "%20", "%36%38%3", "9" * 5000],
)
def test_refused_ports(value: str) -> None:
    """The reason has the wrong port as it was sent."""
    others = BASE.replace(b"&port=6881", b"")
    reason = f"{ANNOUNCE_FAILED}invalid param value {value[:128]} for port in query"
    assert refusal(b"%b&port=%b&compact=1" % (others, value.encode())) == reason


NO_NUMBERS = ["", "-1", "a", "1.1", "+1", "1_0", "\u0663", " 1", "%", "%zz", "%2D1", "9" * 5000]


@pytest.mark.parametrize(
    ("name", "values", "otherwise"),
    [
        *[(name, [*NO_NUMBERS, str(2**63), str(2**64)], 0) for name in ("uploaded", "downloaded")],
        ("left", [*NO_NUMBERS, str(2**63), str(2**64 - 1), str(2**64)], http.LEFT_UNKNOWN),
        ("numwant", [*NO_NUMBERS, str(2**32)], None),
        ("event", ["unknown", "start", "0", "%", "%zz", "\xff"], http.NONE),
        ("compact", ["", "2", "-1", "true", "01", "%zz"], True),
        ("no_peer_id", ["", "2", "true", "%zz"], False),
    ],
)
def test_optional_values(name: str, values: list[str], otherwise: object) -> None:
    """An optional value that cannot be used counts as absent, and the announce goes on."""
    for value in values:
        announce = announce_with(f"{name}={value}&ip=x".encode())
        assert (value, getattr(announce, name), announce.ip) == (value, otherwise, b"x")


@pytest.mark.parametrize(
    "query",
    [
        b"info_hash=a=b=======-+~!&()*12".replace(b"&", b"%26") + b"&peer_id==9=456789012345678==",
        b"left=5&peer_id==9=456789012345678==&info_hash=a=b=======-+~!%26()*12",
        b"x=y?info_hash=a=b=======-+~!%26()*12?peer_id==9=456789012345678==&left=5",
        b"?info_hash=a=b=======-+~!%26()*12&peer_id=%3d9=456789012345678%3D=&&",
    ],
)
def test_equals_signs_in_identifiers(query: bytes) -> None:
    """The bytes of info hash and peer id may hold equals signs that are not escaped."""
    announce = http.parse_announce(query + b"&port=6881")
    assert announce.info_hash == b"a=b=======-+~!&()*12"
    assert announce.peer_id == b"=9=456789012345678=="
    assert http.parse_scrape(query) == [announce.info_hash]


def test_escaped_names() -> None:
    """A client that escapes every byte, those of the names too, is understood."""
    fields = {b"info_hash": HASH, b"peer_id": PEER_ID, b"port": b"6881", b"left": b"0"}
    every = [
        b"=".join(map(_escape_all, pair)) for pair in [*fields.items(), (b"event", b"started")]
    ]
    announce = http.parse_announce(b"&".join(every))
    assert announce[:3] == (HASH, PEER_ID, 6881)
    assert (announce.left, announce.event) == (0, http.STARTED)
    assert http.parse_scrape(b"&".join(every)) == [HASH]
    with pytest.raises(WireError, match="repeated param info_hash"):
        http.parse_announce(b"&".join([*every, every[0]]))


def _escape_all(text: bytes) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in text)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({}, "info_hash"),
        ({"info_hash"}, "peer_id"),
        ({"info_hash", "peer_id"}, "port"),
    ],
)
def test_order_of_checks(parameters: set[str], complaint: str) -> None:
    """With several faults the first in the contract's order is reported."""
    good = {"info_hash": RAW_HASH.decode(), "peer_id": PEER_ID.decode(), "port": "1"}
    names = ["left", "port", "peer_id", "info_hash"]
    values = {name: good.get(name, "1") if name in parameters else "bad" for name in names}
    query = "&".join(f"{name}={value}" for name, value in values.items())
    assert f" for {complaint} in " in refusal(query.encode())


def test_port_zero_on_stopped() -> None:
    """A client that leaves may say port 0: it wants no connections any more."""
    query = BASE.replace(b"6881", b"0")
    assert http.parse_announce(query + b"&event=stopped").port == 0
    assert "invalid param value 0 for port" in refusal(query + b"&event=started")


@pytest.mark.parametrize(
    "query",
    [
        b"passkey=" + KEY + b"?" + BASE,
        b"?passkey=" + KEY + b"?" + BASE,
        b"passkey=" + KEY + b"&x=y?" + BASE,
        b" passkey=" + KEY + b"&" + BASE + b" ",
    ],
)
def test_second_question_mark(query: bytes) -> None:
    """A query appended to an announce URL that has its own query is understood."""
    announce = http.parse_announce(query)
    assert (announce.passkey, announce.info_hash, announce.port) == (KEY, HASH, 6881)
    assert http.query_passkey(query) == KEY


@pytest.mark.parametrize("query", [None, b"", b"x=y", b"xpasskey=1"])
def test_no_passkey(query: bytes | None) -> None:
    """Without a passkey parameter there is none."""
    assert http.query_passkey(query) is None


def test_long_queries() -> None:
    """Of a long query the first 512 parameters are read, because each takes time."""
    many = b"&".join(b"info_hash=%020d" % number for number in range(10)) + b"&passkey=" + KEY
    assert http.parse_announce(b"a=b&" * 509 + BASE).port == 6881
    with pytest.raises(http.WireError, match="missing param port"):
        http.parse_announce(b"a=b&" * 510 + BASE)
    assert http.query_passkey(b"a&" * 501 + many) == KEY
    assert http.query_passkey(b"a&" * 502 + many) is None
    assert len(http.parse_scrape(b"a&" * 507 + many)) == 5


def test_scrape_hashes() -> None:
    """All hashes come in order, repeated ones too."""
    other = b"x" * 20
    query = b"info_hash=" + other + b"&a=b&info_hash=" + RAW_HASH + b"&info_hash=" + other + b"&"
    assert http.parse_scrape(query) == [other, HASH, other]


def test_scrape_limit() -> None:
    """Text behind the hundredth hash is not decoded."""
    query = b"&".join(b"info_hash=%020d" % number for number in range(100))
    hashes = http.parse_scrape(query + b"&info_hash=%zz")
    assert hashes == [b"%020d" % number for number in range(100)]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (None, SCRAPE_FAILED + "missing query params for scrape request in query"),
        (b"?", SCRAPE_FAILED + "missing query params for scrape request in query"),
        (b"a=b", SCRAPE_FAILED + "missing param info_hash in query"),
        (b"info_hash", SCRAPE_FAILED + "missing param info_hash in query"),
        (
            b"info_hash=" + RAW_HASH + b"&info_hash=short",
            SCRAPE_FAILED + "invalid param value short for info_hash in not enough bytes "
            "for infohash: got 5 bytes, expected 20 in query",
        ),
    ],
)
def test_refused_scrapes(query: bytes | None, reason: str) -> None:
    """A scrape's faults are named like an announce's."""
    with pytest.raises(WireError) as refused:
        http.parse_scrape(query)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("target", "kind", "key", "query"),
    [
        (b"/announce?a=b", http.ANNOUNCE, None, b"a=b"),
        (b"/announce?a=b?c=d", http.ANNOUNCE, None, b"a=b?c=d"),
        (b"/announce", http.ANNOUNCE, None, None),
        (b"/announce?", http.ANNOUNCE, None, b""),
        (b"/announce/?a=b", http.ANNOUNCE, None, b"a=b"),
        (b"/announce/" + KEY + b"?a=b", http.ANNOUNCE, KEY, b"a=b"),
        (b"/announce/INVALID?a=b", http.ANNOUNCE, b"INVALID", b"a=b"),
        (b"/announce/%30" + KEY[1:], http.ANNOUNCE, KEY, None),
        (b"/%61nnounce/%zz", http.ANNOUNCE, b"%zz", None),
        (b"/%30" + KEY[1:] + b"/s%63rape", http.SCRAPE, KEY, None),
        (b"/announce%2f" + KEY, http.UNKNOWN, None, None),
        (b"/" + KEY + b"/announce?a=b", http.ANNOUNCE, KEY, b"a=b"),
        (b"/" + KEY + b"?a=b", http.ANNOUNCE, KEY, b"a=b"),
        (b"/announce.php?passkey=x", http.ANNOUNCE, None, b"passkey=x"),
        (b"/scrape?a=b", http.SCRAPE, None, b"a=b"),
        (b"/scrape/" + KEY, http.SCRAPE, KEY, None),
        (b"/" + KEY + b"/scrape?", http.SCRAPE, KEY, b""),
        (b"/scrape.php", http.SCRAPE, None, None),
        (b"/health_check", http.HEALTH, None, None),
        (b"http://tracker:7070/announce?a=b", http.ANNOUNCE, None, b"a=b"),
        (b"HTTPS://[::1]/announce/" + KEY, http.ANNOUNCE, KEY, None),
        (b"http://tracker/" + KEY + b"/scrape", http.SCRAPE, KEY, None),
        (b"http://tracker/health_check", http.HEALTH, None, None),
        (b"http://tracker?/announce", http.UNKNOWN, None, b"/announce"),
        (b"http:/announce", http.UNKNOWN, None, None),
        (b"http:", http.UNKNOWN, None, None),
        (b"ftp://tracker/announce", http.UNKNOWN, None, None),
        (b"tracker:7070", http.UNKNOWN, None, None),
        (b"announce", http.UNKNOWN, None, None),
        (b"*", http.UNKNOWN, None, None),
        (b"", http.UNKNOWN, None, None),
        (b"/", http.UNKNOWN, None, None),
        (b"//announce", http.ANNOUNCE, None, None),
        (b"http://tracker//announce/" + KEY + b"/#x", http.ANNOUNCE, KEY, None),
        (b"http://announce", http.UNKNOWN, None, None),
        (b"/health_check/", http.UNKNOWN, None, None),
        (b"/Announce", http.UNKNOWN, None, None),
        (b"/announce/a/b", http.UNKNOWN, None, None),
        (b"/INVALID/announce", http.UNKNOWN, None, None),
        (b"/short-key1/ann?a=b", http.ANNOUNCE, b"short-key1", b"a=b"),
        (b"/" + b"f0" * 32 + b"/scrape.php", http.SCRAPE, b"f0" * 32, None),
        (b"/" + b"f" * 65 + b"/announce", http.UNKNOWN, None, None),
        (b"/no.key.at.all/announce", http.UNKNOWN, None, None),
        (b"/" + KEY + b"/", http.ANNOUNCE, KEY, None),
        (b"/" + KEY + b"/stats", http.UNKNOWN, None, None),
        (b"/" + KEY[:31] + b"-", http.UNKNOWN, None, None),
        (b"/health_check/" + KEY, http.UNKNOWN, None, None),
        (b"/api/v1/stats", http.UNKNOWN, None, None),
    ],
)
def test_targets(target: bytes, kind: int, key: bytes | None, query: bytes | None) -> None:
    """Every spelling of the tracker's paths is found, and nothing else."""
    assert http.parse_target(target) == Target(kind, key, query)


def test_compact_reply() -> None:
    """The contract's sample, and both lists present when empty."""
    ints = b"d8:completei333e10:incompletei444e8:intervali111e12:min intervali222e"
    reply = http.announce_reply(111, 222, 333, 444, b"iiiipp", b"iiiiiiiiiiiiiiiipp")
    assert reply == ints + b"5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe"
    assert http.announce_reply(111, 222, 333, 444, b"", b"") == ints + b"5:peers0:6:peers60:e"


def test_dictionary_reply() -> None:
    """The contract's sample, with and without peer ids."""
    peers = [
        (b"-qB00000000000000001", "105.105.105.105", 28784),
        (b"-qB00000000000000002", "6969:6969:6969:6969:6969:6969:6969:6969", 28784),
    ]
    ints = b"d8:completei333e10:incompletei444e8:intervali111e12:min intervali222e"
    assert http.announce_reply_dicts(111, 222, 333, 444, peers, no_peer_id=False) == ints + (
        b"5:peersld2:ip15:105.105.105.1057:peer id20:-qB000000000000000014:porti28784ee"
        b"d2:ip39:6969:6969:6969:6969:6969:6969:6969:6969"
        b"7:peer id20:-qB000000000000000024:porti28784eeee"
    )
    assert http.announce_reply_dicts(111, 222, 333, 444, peers[:1], no_peer_id=True) == ints + (
        b"5:peersld2:ip15:105.105.105.1054:porti28784eeee"
    )
    assert http.announce_reply_dicts(111, 222, 333, 444, [], no_peer_id=False) == (
        ints + b"5:peerslee"
    )


def test_scrape_reply() -> None:
    """Sorted by hash, each hash once."""
    first, second = b"\x00" * 20, b"\xff" * 20
    reply = http.scrape_reply([(second, 1, 2, 3), (first, 4, 5, 6), (second, 1, 2, 3)])
    assert reply == (
        b"d5:filesd20:%bd8:completei4e10:downloadedi5e10:incompletei6ee"
        b"20:%bd8:completei1e10:downloadedi2e10:incompletei3eeee" % (first, second)
    )
    assert http.scrape_reply(iter(())) == b"d5:filesdee"


@pytest.mark.parametrize(
    ("body", "encoded"),
    [
        (http.failure("no"), b"d14:failure reason2:noe"),
        (http.failure(b"\xff"), b"d14:failure reason1:\xffe"),
        (http.failure("µ"), b"d14:failure reason2:\xc2\xb5e"),
        (http.failure("\ud800"), b"d14:failure reason1:?e"),
        (http.failure("no", 5), b"d14:failure reason2:no8:retry ini5ee"),
        (http.failure("no", "never"), b"d14:failure reason2:no8:retry in5:nevere"),
    ],
)
def test_failure(body: bytes, encoded: bytes) -> None:
    """Reasons are text or bytes; the time to retry is there when given."""
    assert body == encoded
    assert decode(body)


QUERIES = st.binary() | st.lists(
    st.tuples(
        st.sampled_from([b"", b"info_hash", b"peer_id", b"port", b"left", b"event", b"key", b"?"]),
        st.sampled_from([b"", b"=", b"=="]),
        st.sampled_from([RAW_HASH, PEER_ID, b"1", b"%", b"\\x", b"?", b"started"]) | st.binary(),
    ).map(b"".join)
).map(b"&".join)


@given(QUERIES)
@example(b"info_hash=" + b"\\" * 20)
@example(BASE + b"&left=" + b"9" * 4301)
def test_any_query(query: bytes) -> None:
    """No bytes make a parser raise anything but its own error, whose text can be sent."""
    for parse in (http.parse_announce, http.parse_scrape, http.query_passkey):
        reason = complaint(parse, query)
        assert reason is None or reason.startswith("Bad request. ")
        assert decode(http.failure(reason or ""))


@given(
    st.binary()
    | st.lists(st.sampled_from([b"/", b"http:", b"announce", b"?", KEY, b"scrape"])).map(b"".join)
)
def test_any_target(target: bytes) -> None:
    """No bytes make a target fail; its query is what follows the first question mark."""
    parsed = http.parse_target(target)
    assert parsed.kind in (http.UNKNOWN, http.ANNOUNCE, http.SCRAPE, http.HEALTH)
    assert parsed.query == (target.split(b"?", 1)[1] if b"?" in target else None)
