"""Both front ends without sockets, and the requests that the tests send."""

from __future__ import annotations

from struct import pack
from typing import Any
from urllib.parse import quote_from_bytes

from attrs import define, field

from tests.support import SECOND, Rig, hash_of, key_text
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.domain.settings import Settings
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.bencode import decode
from tracker.wire.connection_id import ConnectionIds

V4 = bytes([127, 0, 0, 9])
V6 = bytes.fromhex("20010db8") + bytes(11) + b"\x09"
HASH, UNLISTED = hash_of(1), hash_of(2)
TEXT, PLAIN = b"application/octet-stream", b"text/plain; charset=utf-8"

GOOD, EXPIRED, REVOKED, UNKNOWN = (key_text(number) for number in range(4))

AUTH = "Tracker authentication error: Authentication error: "
MISSING_TEXT = AUTH + "Missing authentication key param for private tracker."
FORMAT_TEXT = AUTH + "Invalid format for authentication key param."
EXPIRED_TEXT = AUTH + "Key has expired"
UNREADABLE_TEXT = AUTH + "Failed to read key: "
UNLISTED_TEXT = f"Tracker error: The torrent: {UNLISTED.hex()}, is not whitelisted"


@define
class Front:
    """Both front ends without sockets, over one state with a good, an expired and a revoked key."""

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
        """Returns the response to a GET."""
        handler = RequestHandler(self.rig.service, 1, proxied=self.proxied)
        handler.begin()
        response = handler.answer(b"GET", target, address, forwarded, False)
        handler.end()
        return response

    def get(self, target: bytes, **more: Any) -> dict[str, Any]:
        """Returns the decoded body, after a check of the content type."""
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
        """Returns the reply to a good announce with these BEP 41 options."""
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
        ">I4s20s20sQQQIIIiH", 1, b"tran", info_hash, b"-XX0001.abcdefghijkl", 0, 7, 0, 0, 0, 0, -1, port
    )  # fmt: skip


def query(info_hash: bytes = HASH, extra: bytes = b"") -> bytes:
    quoted = quote_from_bytes(info_hash).encode()
    return b"?info_hash=" + quoted + b"&peer_id=-XX0001.abcdefghijkl&port=6881&left=7" + extra


def announce(key: bytes = b"", info_hash: bytes = HASH, extra: bytes = b"") -> bytes:
    return b"/announce" + (b"/" + key if key else b"") + query(info_hash, extra)


def scrape(key: bytes = b"", info_hash: bytes = HASH, extra: bytes = b"") -> bytes:
    path = b"/scrape" + (b"/" + key if key else b"")
    return path + b"?info_hash=" + quote_from_bytes(info_hash).encode() + extra


PUBLIC, LISTED = Settings(), Settings(listed=True)
PRIVATE, BOTH = Settings(private=True), Settings(private=True, listed=True)
MODES = {"public": PUBLIC, "listed": LISTED, "private": PRIVATE, "private_listed": BOTH}
