"""Builds valid requests of clients, of which a test changes one part, and reads the answers."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

from tests.e2e.clients import announce_datagram, api, bdecode, body, get, read_all
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from tests.e2e.clients import UdpClient
    from tests.e2e.process import Address, Tracker

PEER_ID = b"-QS0001-000000000001"


def escaped(value: bytes) -> str:
    """Escapes every byte as `%xx`."""
    return "".join(f"%{byte:02x}" for byte in value)


def target(
    info_hash: bytes, /, more: str = "", path: str = "/announce", **changed: str | int | None
) -> str:
    """Returns the request target of a leecher's announce. A parameter that is None is left out."""
    fields: dict[str, str | int | None] = {
        "info_hash": escaped(info_hash),
        "peer_id": PEER_ID.decode(),
        "port": 6881,
        "left": 1000,
        **changed,
    }
    query = "&".join(f"{name}={value}" for name, value in fields.items() if value is not None)
    return f"{path}?{query}{more}"


def ask(address: Address, request_target: str) -> dict[str, Any]:
    """Sends an HTTP request and returns the decoded answer, whose keys must be sorted."""
    answer = bdecode(body(get(address, request_target)))
    assert isinstance(answer, dict)
    return answer


def from_host(host: str, address: Address, request_target: str) -> dict[str, Any]:
    """Sends an HTTP request from another local address; returns the decoded answer."""
    request = f"GET {request_target} HTTP/1.0\r\n\r\n".encode()
    with socket.create_connection(address, DEADLINE, source_address=(host, 0)) as sock:
        sock.sendall(request)
        answer = bdecode(body(read_all(sock)))
    assert isinstance(answer, dict)
    return answer


def reason(answer: dict[str, Any]) -> str:
    """Returns a failure's reason. A failure may hold one more key, `retry in`."""
    assert set(answer) <= {"failure reason", "retry in"}, answer
    return str(answer["failure reason"].decode())


def headers(response: bytes) -> dict[str, str]:
    """Returns the headers by lower-case name; `status` is the first line."""
    first, *lines = response.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return {"status": first, **{name.lower(): value for name, _, value in pairs}}


def counts(tracker: Tracker, info_hash: bytes) -> tuple[int, int, int]:
    """Returns seeders, completed and leechers from the API; zeros for an unknown torrent."""
    found = torrent(tracker, info_hash)
    return found.get("seeders", 0), found.get("completed", 0), found.get("leechers", 0)


def peers(tracker: Tracker, info_hash: bytes) -> list[dict[str, Any]]:
    """Returns a torrent's peers as the API lists them."""
    return list(torrent(tracker, info_hash).get("peers", []))


def addresses(tracker: Tracker, info_hash: bytes) -> list[str]:
    return sorted(one["peer_addr"] for one in peers(tracker, info_hash))


def torrent(tracker: Tracker, info_hash: bytes) -> dict[str, Any]:
    found = api(tracker, f"/api/v1/torrent/{info_hash.hex()}")
    return found if isinstance(found, dict) else {}


def issue_key(tracker: Tracker, seconds: int = 864_000) -> str:
    """Issues a key with an account of its own. Ten days are long enough for no expiry warning."""
    return str(api(tracker, f"/api/v1/key/{seconds}", "POST")["key"])


def revoke_key(tracker: Tracker, key: str) -> None:
    api(tracker, f"/api/v1/key/{key}", "DELETE")


def whitelist(tracker: Tracker, info_hash: bytes) -> None:
    api(tracker, f"/api/v1/whitelist/{info_hash.hex()}", "POST")


# UDP


def url_data(*parts: bytes) -> bytes:
    """Returns BEP 41 options that carry the path of the tracker's URL in these parts."""
    return b"".join(bytes([2, len(part)]) + part for part in parts)


def udp_announce(client: UdpClient, info_hash: bytes, options: bytes = b"", **fields: int) -> bytes:
    """Returns the raw reply to an announce that is followed by BEP 41 options."""
    fields = {"peer": 1, "port": 6881, "left": 1000, **fields}
    datagram = announce_datagram(client.connection_id, info_hash, **fields)
    return client.exchange(datagram + options)


def udp_error(reply: bytes) -> str:
    """Returns the text of an error, after checking the transaction id."""
    assert reply[:8] == struct.pack(">II", 3, 7), reply
    return reply[8:].decode()


def udp_counts(reply: bytes) -> tuple[int, int]:
    """Returns seeders and leechers from the reply to an announce."""
    assert reply[:8] == struct.pack(">II", 1, 7), reply
    leechers, seeders = struct.unpack_from(">II", reply, 12)
    return seeders, leechers


def converse(address: Address, *requests: bytes) -> bytes:
    """Sends several requests at once on one connection; returns everything that comes back."""
    with socket.create_connection(address, DEADLINE) as sock:
        sock.sendall(b"".join(requests))
        return read_all(sock)
