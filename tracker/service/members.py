"""Shows a peer of a swarm as staff reads it: live, at a moment of the past, and in a comparison."""

from __future__ import annotations

from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from tracker.domain import events
from tracker.domain.hidden_peers import NO_PORT, is_unknown_tail
from tracker.domain.swarms import MARK_EVENT
from tracker.store.address_keys import day_of
from tracker.times import rfc3339
from tracker.wire.clients import client_name

if TYPE_CHECKING:
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring


@frozen
class Member:
    """A peer of a swarm."""

    # One a family at most; none when another peer took the address, or it cannot be read.
    addresses: tuple[str, ...]
    peer_id: bytes  # 20 bytes, or the first 8 when no more can be read
    client: str | None
    seeder: bool
    uploaded: int  # bytes
    downloaded: int
    left: int | None  # None = unknown
    event: str  # of the last announce
    last_seq: int
    last_us: int  # date
    seen_us: int  # the same as log time
    key_ref: int | None
    account: int | None
    owner: str | None  # of the account, where the site gave one
    identity: tuple[object, ...]  # what makes it the same peer at two moments

    @property
    def role(self) -> str:
        return "seeder" if self.seeder else "leecher"


def member(state: State, peer: int) -> Member:
    """Reads a peer, by its number."""
    swarms = state.swarms
    row = swarms.peer(peer)
    account = state.access.account_of[row.key_ref]
    families = (swarms.v4, swarms.v6)
    endpoints = tuple(endpoint for each in families if (endpoint := each.endpoint(peer)))
    known = [endpoint for endpoint in endpoints if not endpoint.endswith(NO_PORT)]
    unread = bool(endpoints) and not known and is_unknown_tail(row.peer_id[8:], row.last_seq)
    return Member(
        addresses=tuple(format_endpoint(endpoint) for endpoint in known),
        peer_id=row.peer_id[:8] if unread else row.peer_id,
        client=client_name(row.peer_id),
        seeder=row.left == 0,
        uploaded=row.uploaded,
        downloaded=row.downloaded,
        left=None if row.left == events.LEFT_UNKNOWN else row.left,
        event=events.EVENT_NAMES[row.mark & MARK_EVENT],
        last_seq=row.last_seq,
        last_us=state.dates.of(row.seen_us),
        seen_us=row.seen_us,
        key_ref=row.key_ref or None,
        account=account or None,
        owner=state.access.owner_of(account),
        identity=(account or endpoints, row.peer_id),
    )


def as_json(member: Member) -> dict[str, Any]:
    shown = asdict(member)
    del shown["seeder"], shown["last_us"], shown["seen_us"], shown["identity"]
    return {
        **shown,
        "peer_id": member.peer_id.hex(),
        "role": member.role,
        "last_time": rfc3339(member.last_us),
    }


def of_member(member: Member, keys: Keyring | None) -> dict[str, Any]:
    """Returns a peer of a swarm as JSON values, its addresses with port and pseudonym, which is of
    the day of its last announce; null without keys.
    """
    found = []
    for text in member.addresses:
        host, _, port = text.rpartition(":")
        host = host.strip("[]")
        day, packed = day_of(member.seen_us), ip_address(host).packed
        name = keys.pseudonym(day, packed) if keys else None
        found.append({"address": host, "port": int(port), "pseudonym": name})
    return {**as_json(member), "addresses": found}


def format_endpoint(endpoint: bytes) -> str:
    """Writes 6 or 18 bytes as `192.0.2.1:6881` or `[2001:db8::1]:6881`."""
    port = int.from_bytes(endpoint[-2:], "big")
    if len(endpoint) == 6:
        return f"{inet_ntop(AF_INET, endpoint[:4])}:{port}"
    return f"[{inet_ntop(AF_INET6, endpoint[:16])}]:{port}"
