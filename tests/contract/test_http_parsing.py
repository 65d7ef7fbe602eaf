"""Tests the parameters of an HTTP announce, refused and accepted (BEP 3, 7, 21, 23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.asking import PEER_ID, ask, counts, escaped, peers, reason, target
from tests.contract.cases import case
from tests.e2e.clients import bdecode, body, get

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

UNKNOWN = 2**63 - 1  # the API shows it as `left` of an announce without one
HEX = "0123456789abcdef0123456789abcdef01234567"
NO_QUERY = "missing query params for announce request"

# A row has changed parameters, appended text, and text that the reason must contain.
REFUSED = [
    case(9, "port 0", {"port": 0}, "", "value 0 for port"),
    case(9, "port 0 with started", {"port": 0, "event": "started"}, "", "value 0 for port"),
    case(10, "port 65536", {"port": 65536}, "", "value 65536 for port"),
    case(10, "port -1", {"port": -1}, "", "value -1 for port"),
    case(10, "port in hexadecimal", {"port": "0x1AE1"}, "", "value 0x1AE1 for port"),
    case(10, "port after a blank", {"port": "%206881"}, "", "value %206881 for port"),
    case(10, "port with an escape cut off",
         {"port": "%36%38%38%3"}, "", "value %36%38%38%3 for port"),
    case(10, "empty port", {"port": ""}, "", "invalid param value  for port"),
    case(10, "no port", {"port": None}, "", "missing param port"),
    case(29, "info_hash twice", {}, f"&info_hash={'a' * 20}", "repeated param info_hash"),
    case(30, "no info hash", {"info_hash": None}, "", "missing param info_hash"),
    case(30, "an info hash of 19 bytes",
         {"info_hash": "a" * 19}, "", "infohash: got 19 bytes, expected 20"),
    case(30, "an info hash of 21 bytes",
         {"info_hash": "a" * 21}, "", "infohash: got 21 bytes, expected 20"),
    case(30, "an info hash in hexadecimal", {"info_hash": HEX}, "", "got 40 bytes, expected 20 in"
         " query; it is in hexadecimal: send its first 20 bytes, each as %xx"),
    case(30, "an info hash of version 2, in hexadecimal",
         {"info_hash": "ab" * 32}, "", "got 64 bytes, expected 20 in query; it is in hexadecimal"),
    case(30, "an info hash of version 2", {"info_hash": "%ab" * 32}, "",
         "got 32 bytes, expected 20 in query; of a version 2 hash send the first 20 bytes"),
    case(32, "an info hash that is encoded twice", {"info_hash": "%25ab" * 20}, "",
         "got 60 bytes, expected 20 in query; it is percent-encoded twice: encode it once"),
    case(31, "no peer id", {"peer_id": None}, "", "missing param peer_id"),
    case(31, "a peer id of 19 bytes", {"peer_id": "a" * 19}, "", "peer id: got 19 bytes"),
    case(31, "a peer id of 21 bytes", {"peer_id": "a" * 21}, "", "peer id: got 21 bytes"),
    case(31, "a peer id in hexadecimal", {"peer_id": HEX}, "", "it is in hexadecimal"),
    case(32, "an escape without hexadecimal digits in the info hash",
         {"info_hash": "%zz" + "a" * 19}, "", "bad percent-encoding"),
    case(32, "an escape cut off in the info hash",
         {"info_hash": "a" * 19 + "%a"}, "", "bad percent-encoding"),
    case(32, "an escape cut off in the peer id",
         {"peer_id": "a" * 19 + "%a"}, "", "bad percent-encoding"),
    case(35, "a value with a second equals sign", {}, "&a=b=c", "invalid param a=b=c in query"),
    case(35, "a number with an equals sign", {"left": "1=2"}, "", "invalid param left=1=2 in query"),
    case(35, "a passkey with an equals sign", {}, "&passkey=s3cret=", "invalid param passkey= in"),
    case(35, "another site's key with an equals sign",
         {}, "&x=1?uk=s3cret=", "invalid param x=1?uk= in query"),
    case(35, "a key whose name is escaped", {}, "&authke%79=s3cret=%z", "invalid param authkey= in"),
    case(36, "a semicolon between two parameters",
         {"left": "5;key=1"}, "", "invalid param left=5;key=1"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "more", "text"), REFUSED)
def test_refused(
    public: Tracker, info_hash: bytes, changed: dict[str, Any], more: str, text: str
) -> None:
    """A bad parameter fails with a reason that names it, and adds no peer to the swarm."""
    assert text in reason(ask(public.http[0], target(info_hash, more, **changed)))
    assert counts(public, info_hash) == (0, 0, 0)


@pytest.mark.parametrize("asked", [
    case(39, "an announce without a query", "/announce"),
    case(39, "an announce with an empty query", "/announce?"),
])  # fmt: skip
def test_no_query(public: Tracker, asked: str) -> None:
    """An announce without a query fails as plain text, because people open the URL in a browser."""
    response = get(public.http[0], asked)
    assert response.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain")
    assert NO_QUERY in reason(bdecode(body(response)))


# A row has changed parameters, appended text, and the peer as the API shows it.
ACCEPTED = [
    case(1, "compact of 2 counts as absent", {"compact": 2}, "", {"left": 1000}),
    case(5, "numwant of -1 counts as absent", {"numwant": -1}, "", {"left": 1000}),
    case(8, "numwant in letters counts as absent", {"numwant": "abc"}, "", {"left": 1000}),
    case(9, "port 65535", {"port": 65535}, "", {"peer_addr": "127.0.0.1:65535"}),
    case(11, "no left", {"left": None}, "", {"left": UNKNOWN}),
    case(11, "left of 0", {"left": 0}, "", {"left": 0}),
    case(12, "left of 2**63 - 1", {"left": 2**63 - 1}, "", {"left": 2**63 - 1}),
    case(12, "left beyond 63 bits is unknown", {"left": 2**63}, "", {"left": UNKNOWN}),
    case(12, "left of 2**64 - 1 is unknown", {"left": 2**64 - 1}, "", {"left": UNKNOWN}),
    case(12, "left that would wrap to 0 is unknown", {"left": 2**64}, "", {"left": UNKNOWN}),
    case(12, "left of 5,000 digits is unknown", {"left": "9" * 5000}, "", {"left": UNKNOWN}),
    case(12, "left of -1 is unknown", {"left": -1}, "", {"left": UNKNOWN}),
    case(12, "an empty left is unknown", {"left": ""}, "", {"left": UNKNOWN}),
    case(12, "left after a blank is unknown", {"left": "%200"}, "", {"left": UNKNOWN}),
    case(13, "uploaded in letters counts as 0", {"uploaded": "much"}, "", {"uploaded": 0}),
    case(13, "uploaded of -5 counts as 0", {"uploaded": -5}, "", {"uploaded": 0}),
    case(13, "uploaded beyond 63 bits counts as 0", {"uploaded": 2**63}, "", {"uploaded": 0}),
    case(13, "downloaded with an exponent counts as 0",
         {"downloaded": "1e9"}, "", {"downloaded": 0}),
    case(13, "uploaded of 2**63 - 1", {"uploaded": 2**63 - 1}, "", {"uploaded": 2**63 - 1}),
    case(13, "no totals count as 0", {}, "", {"uploaded": 0, "downloaded": 0}),
    case(14, "event started", {"event": "started"}, "", {"event": "Started"}),
    case(14, "event completed", {"event": "completed", "left": 0}, "", {"event": "Completed"}),
    case(14, "no event", {}, "", {"event": "None"}),
    case(14, "an empty event counts as none", {"event": ""}, "", {"event": "None"}),
    case(14, "event empty counts as none", {"event": "empty"}, "", {"event": "None"}),
    case(14, "an event in capital letters", {"event": "STARTED"}, "", {"event": "Started"}),
    case(14, "an unknown event counts as none", {"event": "exploded"}, "", {"event": "None"}),
    case(14, "an event by its number counts as none", {"event": 2}, "", {"event": "None"}),
    case(15, "event paused", {"event": "paused"}, "", {"left": 1000}),
    case(15, "event paused with a capital letter", {"event": "Paused"}, "", {"left": 1000}),
    case(25, "unused and unknown parameters", {}, "&corrupt=0&redundant=0&supportcrypto=1"
         "&requirecrypto=1&cryptoport=1&azudp=2&hide=1&no_such_thing=%", {"left": 1000}),
    case(26, "a key of eight digits", {"key": "3E49DA2C"}, "", {"left": 1000}),
    case(26, "a key of any bytes", {"key": "%2c%f8h%f1%5b%0a%00%ff"}, "", {"left": 1000}),
    case(26, "a key with a malformed escape", {"key": "%zz%a"}, "", {"left": 1000}),
    case(27, "an unknown tracker id", {"trackerid": "x"}, "", {"left": 1000}),
    case(28, "ip, ipv4 and ipv6 are ignored", {"ip": "", "ipv4": "8.8.8.8", "ipv6": "2001:db8::1"},
         "", {"peer_addr": "127.0.0.1:6881"}),
    case(29, "the first of a repeated left and port counts", {"left": 0}, "&left=5&port=2",
         {"left": 0, "peer_addr": "127.0.0.1:6881"}),
    case(32, "malformed escapes in unused parameters",
         {"supportcrypto": "%zz"}, "&x=%a", {"left": 1000}),
    case(32, "values with every byte escaped",
         {"port": "%36%38%38%31", "left": "%30", "uploaded": "%37", "numwant": "%35",
          "event": "%73%74%61%72%74%65%64", "compact": "%31"}, "",
         {"left": 0, "uploaded": 7, "peer_addr": "127.0.0.1:6881", "event": "Started"}),
    case(35, "empty parameters", {}, "&&", {"left": 1000}),
    case(35, "names without a value count as absent",
         {"left": None}, "&compact&no_peer_id&left&event&x&%&?", {"left": UNKNOWN}),
    case(35, "a fragment after the last number", {"left": None}, "&left=5#top", {"left": 5}),
    case(10, "a fragment after the port", {"port": None}, "&port=7#a",
         {"peer_addr": "127.0.0.1:7"}),
    case(14, "a fragment after the event", {}, "&event=started#a", {"event": "Started"}),
    case(32, "some names escaped", {"port": None, "left": None},
         "&p%6frt=7&%6ceft=5&%65vent=%53tarted",
         {"left": 5, "peer_addr": "127.0.0.1:7", "event": "Started"}),
    case(37, "a question mark before a name", {"port": None, "left": None}, "&site?port=7&a?left=5",
         {"left": 5, "peer_addr": "127.0.0.1:7"}),
    case(43, "a malformed passkey, which a public tracker has no use for",
         {}, "&passkey=no/key", {"left": 1000}),
    case(36, "a semicolon makes left unknown", {"left": "5;"}, "", {"left": UNKNOWN}),
    case(36, "a semicolon in the key", {"key": "a;b"}, "", {"left": 1000}),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "more", "known"), ACCEPTED)
def test_accepted(
    public: Tracker, info_hash: bytes, changed: dict[str, Any], more: str, known: dict[str, Any]
) -> None:
    """The tracker answers the announce, and the API shows the peer with the expected values."""
    answer = ask(public.http[0], target(info_hash, more, **changed))
    (peer,) = peers(public, info_hash)
    assert {name: peer[name] for name in known} == known
    seeds = changed.get("left") in (0, "%30")
    assert (answer["complete"], answer["incomplete"]) == (int(seeds), int(not seeds))


def test_case_37_a_second_question_mark_separates(public: Tracker, info_hash: bytes) -> None:
    """A `?` within the query separates parameters, because some clients append theirs with it."""
    asked = target(info_hash).partition("?")[2]
    for site in ("site=x?", "site=x&", "site?", "site&", "a?b?"):
        assert ask(public.http[0], f"/announce?{site}{asked}")["incomplete"] == 1
    assert ask(public.http[0], f"/announce??{asked}")["incomplete"] == 1
    assert counts(public, info_hash) == (0, 0, 1)


def test_case_32_escaped_names(public: Tracker, info_hash: bytes) -> None:
    """Names of parameters may be escaped too, every byte of them."""
    pairs = [pair.split("=") for pair in target(info_hash, left=0).partition("?")[2].split("&")]
    query = "&".join(f"{escaped(name.encode())}={value}" for name, value in pairs)
    assert ask(public.http[0], f"/announce?{query}")["complete"] == 1


def test_case_35_parameters_in_any_order(public: Tracker, info_hash: bytes) -> None:
    """Parameters may come in any order; the info hash may be last."""
    query = f"left=0&numwant=5&port=6881&peer_id={PEER_ID.decode()}&info_hash={escaped(info_hash)}"
    assert ask(public.http[0], f"/announce?{query}")["complete"] == 1


def test_case_26_the_log_holds_a_hash_of_the_key(public: Tracker, info_hash: bytes) -> None:
    """The log holds a hash of the client's `key`; equal bytes give equal hashes."""
    for key in ("%2cA%ff", "%2C%41%FF", "%2cA%fe", None):
        ask(public.http[0], target(info_hash, key=key))
    found = public.events_until(lambda events: len(events) == 4, "--info-hash", info_hash.hex())
    one, same, other, none = (event["client_key_hash"] for event in found)
    assert one == same
    assert len({one, other, none}) == 3


def test_case_12_a_magnet_link_is_a_leecher(public: Tracker, info_hash: bytes) -> None:
    """A client that knows no size yet sends a huge `left`, and counts as a leecher."""
    answer = ask(public.http[0], target(info_hash, left=9_223_372_036_854_775_807))
    assert (answer["complete"], answer["incomplete"]) == (0, 1)


# A row has the text in the request and the bytes that it stands for.
ENCODED = [
    case(31, "unescaped punctuation", "-qB4520-d!)-Q0VIuoRb", b"-qB4520-d!)-Q0VIuoRb"),
    case(31, "brackets and dots", "-LT2080-UlBU6za(w3.w", b"-LT2080-UlBU6za(w3.w"),
    case(31, "tilde", "-DE203s-~rKfBcRj7Qd1", b"-DE203s-~rKfBcRj7Qd1"),
    case(31, "asterisk and slash", "-XX0001-*/*/*/*/*/*/", b"-XX0001-*/*/*/*/*/*/"),
    case(32, "escapes in lower case", "%b6%25l_%8e%8f%5c%7c%0f%0bP%a4%3dR%ae%7cVb%de%a5",
         b"\xb6%l_\x8e\x8f\\|\x0f\x0bP\xa4=R\xae|Vb\xde\xa5"),
    case(32, "escapes in capitals", "%B6%25l_%8E%8F%5C%7C%0F%0BP%A4%3DR%AE%7CVb%DE%A5",
         b"\xb6%l_\x8e\x8f\\|\x0f\x0bP\xa4=R\xae|Vb\xde\xa5"),
    case(32, "letters and digits escaped", "%2DAZ%35%37%35%30%2D" + "%5F" * 6 + "%2E" * 6,
         b"-AZ5750-" + b"_" * 6 + b"......"),
    case(32, "bytes that are not UTF-8", "%ff%fe%c0%80" + "%00" * 15 + "%ed",
         b"\xff\xfe\xc0\x80" + bytes(15) + b"\xed"),
    case(32, "equals signs that are not escaped", "==a=b%3dc=============", b"==a=b=c============="),
    case(32, "a question mark between them", "?=a?b===============", b"?=a?b==============="),
    case(33, "a plus is a plus", "++++++++++%2b%2B++++++++", b"+" * 20),
    case(33, "an escaped blank is a blank", "%20" * 10 + "+" * 10, b" " * 10 + b"+" * 10),
]  # fmt: skip


@pytest.mark.parametrize(("text", "decoded"), ENCODED)
def test_encoded_peer_id(public: Tracker, info_hash: bytes, text: str, decoded: bytes) -> None:
    """The peer has the decoded peer id, byte for byte."""
    ask(public.http[0], target(info_hash, peer_id=text))
    (peer,) = peers(public, info_hash)
    assert peer["peer_id"]["id"] == f"0x{decoded.hex()}"


@pytest.mark.parametrize(("text", "decoded"), ENCODED)
def test_encoded_info_hash(public: Tracker, text: str, decoded: bytes) -> None:
    """The announce counts in the torrent of the decoded info hash."""
    ask(public.http[0], target(b"", info_hash=text))
    assert counts(public, decoded) == (0, 0, 1)
