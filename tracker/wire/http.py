"""Parses the HTTP tracker's request targets and queries, and builds its bencoded replies.

Knows bytes only: no sockets, clocks, configuration or swarms. Other modules decide whether a key is
valid, a torrent listed or a peer known. Every announce passes through `parse_target`,
`parse_announce` and `announce_reply`, so these three save nanoseconds: one split, no regular
expressions, no decoding of unused values.

Sources: BEP 3, 7, 23, 31, 48; contract sections 2.1 to 2.7.
"""

from __future__ import annotations

import re
from codecs import escape_decode
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")
Pair = tuple[bytes, bytes]
"""A parameter: its name, decoded, and its value as sent."""

# The numbers 0 to 3 are those of BEP 15; `paused` (BEP 21) travels over HTTP only.
NONE: Final = 0
COMPLETED: Final = 1
STARTED: Final = 2
STOPPED: Final = 3
PAUSED: Final = 4

LEFT_UNKNOWN: Final = 2**64 - 1  # `left` was absent, or no number of 63 bits
MAX_SCRAPED: Final = 100  # info hashes of one scrape; the rest is ignored undecoded

UNKNOWN: Final = 0
ANNOUNCE: Final = 1
SCRAPE: Final = 2
HEALTH: Final = 3

_I64_MAX: Final = 2**63 - 1
_U32_MAX: Final = 2**32 - 1
_U16_MAX: Final = 2**16 - 1
_MOST_DIGITS: Final = 40  # longer numbers are not read, because `int` is quadratic
_MOST_MARKS: Final = 8  # `?` in one piece that separate parameters; each costs a copy of the rest
_PERCENT: Final = ord("%")  # `in` looks for a number several times as fast as for a byte string
_MARK: Final = ord("?")
_EQUALS: Final = ord("=")
_BACKSLASH: Final = ord("\\")
_MOST_SHOWN: Final = 128  # bytes of a bad value that a failure repeats
LONG: Final = 1024  # bytes of a query beyond which only so many parameters are read:
_MOST_PARAMETERS: Final = LONG // 2  # a scrape has about a hundred; each costs a microsecond

_IN_ANNOUNCE: Final = "Bad request. Cannot parse query params for announce request: "
_IN_SCRAPE: Final = "Bad request. Cannot parse query params for scrape request: "
_IN_QUERY: Final = "Bad request. Cannot parse query params: "

_EVENTS: Final[dict[bytes | None, int]] = {
    None: NONE,
    b"": NONE,
    b"empty": NONE,
    b"completed": COMPLETED,
    b"started": STARTED,
    b"stopped": STOPPED,
    b"paused": PAUSED,
}
_COMPACT: Final[dict[bytes | None, bool]] = {None: True, b"1": True, b"0": False}
_IDENTIFIERS: Final = (b"info_hash", b"peer_id")
_TRACKER: Final = {
    b"announce": ANNOUNCE,
    b"announce.php": ANNOUNCE,
    b"ann": ANNOUNCE,
    b"scrape": SCRAPE,
    b"scrape.php": SCRAPE,
}
_ISSUED: Final = re.compile(rb"[0-9A-Za-z_-]{10,64}")
_OTHER_KEYS: Final = (b"uk", b"pid", b"authkey", b"credential")
_KEYS: Final = (b"passkey", *_OTHER_KEYS)  # parameters whose values no failure repeats
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
_NAMED: Final = _TRACKER | {b"health_check": HEALTH}
_PLAIN: Final = {b"/" + name: kind for name, kind in _NAMED.items()}


class WireError(Exception):
    """A request that cannot be parsed. `reason` is the text for the client. `problem` is the word
    for the metrics: the parameter that is missing or wrong, or "query" for the whole.
    """

    def __init__(self, reason: str, problem: str = "query") -> None:
        super().__init__(reason)
        self.reason = reason
        self.problem = problem


class Announce(NamedTuple):
    """One announce, as the client sent it."""

    info_hash: bytes  # 20 bytes
    peer_id: bytes  # 20 bytes
    port: int  # 1 to 65535; 0 only together with STOPPED
    uploaded: int  # bytes since the client's `started`, 0 to 2**63 - 1; 0 when unusable
    downloaded: int  # likewise
    left: int  # bytes still to download, 0 to 2**63 - 1, or LEFT_UNKNOWN
    event: int  # NONE, COMPLETED, STARTED, STOPPED or PAUSED
    numwant: int | None  # peers wanted; None = absent, 0 = none
    compact: bool  # False only for `compact=0`
    no_peer_id: bool
    key: bytes  # any bytes, which identify a client when its address changes; b"" when absent
    passkey: bytes | None  # value of `passkey=`, decoded and unchecked
    ip: bytes | None  # value of `ip=`, unchecked and still percent-encoded


class Target(NamedTuple):
    """The parts of a request target."""

    kind: int  # ANNOUNCE, SCRAPE, HEALTH or UNKNOWN
    key: bytes | None  # tracker key in the path; its form is unchecked after /announce/
    query: bytes | None  # everything after the first `?`; None without one


def parse_target(target: bytes) -> Target:
    """Routes a request target in origin form or absolute form (RFC 9112, 3.2). Never raises.

    Paths: /announce, /announce/KEY, /KEY/announce, /KEY, the same with scrape (except /KEY),
    announce.php, ann, scrape.php and /health_check. KEY alone is 32 alphanumeric characters, and
    in front whatever can be issued as a key. Any of it may be percent-encoded, but for the slashes.
    Slashes may be doubled, and one may end the path of an announce or scrape, because people join a
    tracker's URL from parts. A fragment is cut off.
    """
    path, mark, query = target.partition(b"?")
    kind, key = _PLAIN.get(path), None
    if kind is None:
        segments = path.partition(b"#")[0].split(b"/")
        kind, key = _route([*map(_decoded, segments)] if _PERCENT in path else segments)
    return Target(kind, key, query if mark else None)


def _route(segments: list[bytes]) -> tuple[int, bytes | None]:
    if segments[0] and not _cut_origin(segments):
        return UNKNOWN, None
    match [name for name in segments if name]:
        case [name]:
            if is_key(name):
                return ANNOUNCE, name
            return (_TRACKER if not segments[-1] else _NAMED).get(name, UNKNOWN), None
        case [first, last]:
            if kind := _TRACKER.get(first):
                return kind, last
            if (kind := _TRACKER.get(last)) and _ISSUED.fullmatch(first):
                return kind, first
    return UNKNOWN, None


def _cut_origin(segments: list[bytes]) -> bool:
    """Takes `http:`, an empty segment and the host off an absolute form; False = it is none."""
    absolute = segments[0].lower() in (b"http:", b"https:") and len(segments) > 2
    if absolute and not segments[1]:
        del segments[:3]
        return True
    return False


def is_key(text: bytes) -> bool:
    """Tells whether a text has the form of a tracker key: 32 letters and digits."""
    return len(text) == 32 and text.isalnum()


def parse_announce(query: bytes | None) -> Announce:
    """Reads an announce's query. Raises `WireError`, and nothing else, for any bytes.

    The first value of a repeated parameter counts; only `info_hash` must not be repeated. Contract
    section 2.1, in its order of checks. Other than there, an optional value that cannot be used
    counts as absent, because an announce is worth more than any of them; and an absent `left` is
    not zero.
    """
    get = _announce_fields(query).get
    info_hash = _identifier(get(b"info_hash"), "info_hash", _IN_ANNOUNCE)
    peer_id = _identifier(get(b"peer_id"), "peer_id", _IN_ANNOUNCE)
    port = _port(get(b"port"))
    event = _EVENTS.get(raw_event := get(b"event"))
    if event is None:
        event = _EVENTS.get(_decoded((raw_event or b"").partition(b"#")[0]).lower(), NONE)
    if not port and event != STOPPED:
        raise _invalid(b"0", "port")
    compact = _COMPACT.get(raw_compact := get(b"compact"))
    if compact is None:
        compact = _decoded(raw_compact or b"") != b"0"
    return Announce(
        info_hash,
        peer_id,
        port,
        _number(get(b"uploaded"), _I64_MAX, 0),
        _number(get(b"downloaded"), _I64_MAX, 0),
        _number(get(b"left"), _I64_MAX, LEFT_UNKNOWN),
        event,
        _number(get(b"numwant"), _U32_MAX, None),
        compact,
        _decoded(get(b"no_peer_id", b"")) == b"1",
        _decoded(get(b"key", b"")),
        _decoded(passkey) if (passkey := get(b"passkey")) else passkey,
        get(b"ip"),
    )


def parse_scrape(query: bytes | None) -> list[bytes]:
    """Returns the first `MAX_SCRAPED` info hashes of a scrape, in order.

    Raises only `WireError`.
    """
    pairs = _pairs(_present(query, _IN_SCRAPE, "scrape"))
    raws: list[bytes | None] = [value for name, value in pairs if name == b"info_hash"]
    return [_identifier(raw, "info_hash", _IN_SCRAPE) for raw in raws[:MAX_SCRAPED] or [None]]


def query_passkey(query: bytes | None) -> bytes | None:
    """Returns the first `passkey=` value of a query, or None. Raises only `WireError`."""
    if not query:
        return None
    pairs = _pairs(_trimmed(query))
    return next((_decoded(value) for name, value in pairs if name == b"passkey"), None)


def other_key(query: bytes | None) -> bytes | None:
    """Returns the key in the parameters of other sites' trackers, or None. Raises only `WireError`.

    These parameters may mean something else, so it is a key only if the tracker knows it.
    """
    if not query:
        return None
    values = dict(reversed(_pairs(_trimmed(query))))
    return next((_decoded(values[name]) for name in _OTHER_KEYS if name in values), None)


def unescape(raw: bytes) -> bytes:
    """Percent-decodes to bytes; `+` stays a plus. Raises `ValueError` for a bad escape.

    Replaces `%` by Python's own escape for a byte, which the decoder for byte literals resolves
    strictly and in one pass. That is about nine times as fast as `urllib.parse.unquote_to_bytes`,
    which also accepts bad escapes.
    """
    if _BACKSLASH in raw:
        raw = raw.replace(b"\\", b"\\\\")
    return escape_decode(raw.replace(b"%", b"\\x"))[0]


def _announce_fields(query: bytes | None) -> dict[bytes, bytes]:
    query = _present(query, _IN_ANNOUNCE, "announce")
    pieces = query.split(b"&")
    try:
        # `dict` itself refuses anything but pairs, so a well-formed query is checked for free.
        fields = dict([piece.split(b"=") for piece in pieces])
    except ValueError:
        return _first_values(_pairs(query))
    names = b"".join(fields)
    plain = len(fields) == len(pieces) and _PERCENT not in names and _MARK not in names
    return fields if plain else _first_values(_pairs(query))


def _first_values(pairs: list[Pair]) -> dict[bytes, bytes]:
    if sum(name == b"info_hash" for name, _ in pairs) > 1:
        raise WireError(f"{_IN_ANNOUNCE}repeated param info_hash in query", "info_hash")
    return dict(reversed(pairs))


def _present(query: bytes | None, context: str, request: str) -> bytes:
    query = query and _trimmed(query)
    if not query:
        raise WireError(f"{context}missing query params for {request} request in query")
    return query


def _trimmed(query: bytes) -> bytes:
    query = query.strip().removeprefix(b"?")
    if len(query) > LONG:
        query = b"&".join(query.split(b"&", _MOST_PARAMETERS)[:_MOST_PARAMETERS])
    return query


def _pairs(query: bytes) -> list[Pair]:
    """Returns the parameters. A piece without an equals sign has no value, and counts as absent."""
    pairs: list[Pair] = []
    for piece in query.split(b"&"):
        if _EQUALS not in piece:
            continue
        pair = _pair(piece)
        pairs += [pair] if pair else _split(piece)
    return pairs


def _split(piece: bytes) -> list[Pair]:
    """Splits a piece at each `?`, because some clients append their query with a second one."""
    pairs: list[Pair] = []
    rest = piece
    for _ in range(_MOST_MARKS):
        if last := _pair(rest):
            return [*pairs, last]
        head, _mark, rest = rest.partition(b"?")
        if first := _pair(head):
            pairs.append(first)
        elif b"=" in head:
            break
    raise WireError(
        f"{_IN_QUERY}invalid param {_shown(_without_key(piece[:_MOST_SHOWN]))} in query"
    )


def _without_key(piece: bytes) -> bytes:
    """Cuts off the value of a parameter that may hold a key, which is nobody else's."""
    for name in _KEYS:
        head, mark, _ = unquote_to_bytes(piece).partition(name + b"=")
        if mark:
            piece = head + mark
    return piece


def _pair(text: bytes) -> Pair | None:
    """Returns name and value; None unless there is just one equals sign.

    The 20 bytes of an identifier may hold more of them, because some clients escape too little. A
    `?` before the name ends the query that the tracker's URL had.
    """
    name, equals, value = text.partition(b"=")
    if _MARK in name:
        name = name.rpartition(b"?")[2]
    if _PERCENT in name:
        name = _decoded(name)
    if equals and (b"=" not in value or (name in _IDENTIFIERS and len(_decoded(value)) == 20)):
        return name, value
    return None


def _identifier(raw: bytes | None, name: str, context: str) -> bytes:
    if raw is None:
        raise WireError(f"{context}missing param {name} in query", name)
    try:
        value = unescape(raw) if _PERCENT in raw else raw
    except ValueError:
        raise _invalid(raw, name, context, "bad percent-encoding in query") from None
    if len(value) != 20:
        raise _invalid(raw, name, context, _wrong_length(value, name))
    return value


def _wrong_length(value: bytes, name: str) -> str:
    count = len(value)
    few = "not enough" if count < 20 else "too many"
    noun = "infohash" if name == "info_hash" else "peer id"
    wrong = f"{few} bytes for {noun}: got {count} bytes, expected 20 in query"
    if count >= 40 and _HEX_DIGITS.issuperset(value):
        return f"{wrong}; it is in hexadecimal: send its first 20 bytes, each as %xx"
    if count > 20 and len(_decoded(value)) == 20:
        return f"{wrong}; it is percent-encoded twice: encode it once"
    if count == 32:
        return f"{wrong}; of a version 2 hash send the first 20 bytes"
    return wrong


def _port(raw: bytes | None) -> int:
    if raw is None:
        raise WireError(f"{_IN_ANNOUNCE}missing param port in query", "port")
    port = _number(raw, _U16_MAX, None)
    if port is None:
        raise _invalid(raw, "port")
    return port


def _number(raw: bytes | None, most: int, otherwise: T) -> int | T:
    """Reads a number up to `most`; returns `otherwise` for everything else."""
    if raw is None:
        return otherwise
    if not raw.isdigit():
        raw = _decoded(raw.partition(b"#")[0])  # a fragment may follow the last parameter
        if not raw.isdigit():
            return otherwise
    return value if len(raw) <= _MOST_DIGITS and (value := int(raw)) <= most else otherwise


def _decoded(raw: bytes) -> bytes:
    """Decodes a name or an optional value: with a bad escape it stays as sent."""
    try:
        return unescape(raw) if _PERCENT in raw else raw
    except ValueError:
        return raw


def _invalid(raw: bytes, name: str, context: str = _IN_ANNOUNCE, why: str = "query") -> WireError:
    return WireError(f"{context}invalid param value {_shown(raw)} for {name} in {why}", name)


def _shown(raw: bytes) -> str:
    return raw[:_MOST_SHOWN].decode("ascii", "backslashreplace")


def announce_reply(
    interval: int, min_interval: int, complete: int, incomplete: int, peers4: bytes, peers6: bytes
) -> bytes:
    """Builds a compact reply (BEP 23, BEP 7): intervals in seconds, 6 and 18 bytes per peer.

    Both lists are always present, because some clients take an absent `peers` for an error.
    """
    return (
        b"d8:completei%de10:incompletei%de8:intervali%de12:min intervali%de5:peers%d:%b6:peers6%d:%be"
        % (complete, incomplete, interval, min_interval, len(peers4), peers4, len(peers6), peers6)
    )


def with_warning(reply: bytes, text: str) -> bytes:
    """Adds a `warning message` to an announce reply; in key order it is the last."""
    message = text.encode()
    return b"%s15:warning message%d:%se" % (reply[:-1], len(message), message)


def with_external_ip(reply: bytes, address: bytes) -> bytes:
    """Adds the client's own address, 4 or 16 bytes, to an announce reply (BEP 24)."""
    head, incomplete, rest = reply.partition(b"10:incomplete")
    return b"%b11:external ip%d:%b%b%b" % (head, len(address), address, incomplete, rest)


def announce_reply_dicts(
    interval: int,
    min_interval: int,
    complete: int,
    incomplete: int,
    peers: Iterable[tuple[bytes, str, int]],
    no_peer_id: bool,
) -> bytes:
    """Builds a reply with a dictionary per peer (BEP 3); `peers` gives peer id, address and
    port."""
    head = b"d8:completei%de10:incompletei%de8:intervali%de12:min intervali%de5:peersl" % (
        complete,
        incomplete,
        interval,
        min_interval,
    )
    return head + b"".join([_peer(*peer, no_peer_id) for peer in peers]) + b"ee"


def _peer(peer_id: bytes, ip: str, port: int, no_peer_id: bool) -> bytes:
    middle = b"" if no_peer_id else b"7:peer id%d:%b" % (len(peer_id), peer_id)
    return b"d2:ip%d:%b%b4:porti%dee" % (len(ip), ip.encode("ascii"), middle, port)


def scrape_reply(
    files: Iterable[tuple[bytes, int, int, int]], downloaders: Mapping[bytes, int] | None = None
) -> bytes:
    """Builds a scrape's reply (BEP 48) from info hash, complete, downloaded and incomplete.

    A repeated hash appears once. `downloaders` has, by info hash, the incomplete without the
    partial seeds (BEP 21); None leaves the key out.
    """
    by_hash = {file[0]: file for file in files}
    middles = {each: b"11:downloadersi%de" % count for each, count in (downloaders or {}).items()}
    return b"d5:filesd%bee" % b"".join(
        [
            b"20:%bd8:completei%de10:downloadedi%de%b10:incompletei%dee"
            % (*by_hash[info_hash][:3], middles.get(info_hash, b""), by_hash[info_hash][3])
            for info_hash in sorted(by_hash)
        ]
    )


def failure(reason: str | bytes, retry_in: int | Literal["never"] | None = None) -> bytes:
    """Builds a failure reply. `retry_in` is in minutes, or "never" (BEP 31); None leaves it out."""
    text = reason.encode("utf-8", "replace") if isinstance(reason, str) else reason
    head = b"d14:failure reason%d:%b" % (len(text), text)
    if retry_in is None:
        return head + b"e"
    return head + (b"8:retry in5:nevere" if retry_in == "never" else b"8:retry ini%dee" % retry_in)
