"""Shows a swarm, a peer and an account of a state as JSON values, for explanations."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING, Any

from tracker.domain import events, packed
from tracker.domain.hidden_peers import NO_PORT, is_unknown_tail
from tracker.domain.swarms import MARK_COMPLETED, MARK_EVENT, MARK_SNATCHED
from tracker.times import rfc3339

if TYPE_CHECKING:
    from tracker.domain.bases import Base
    from tracker.domain.state import State

SECOND_US = 1_000_000


def seconds(time_us: int) -> float:
    """Returns microseconds as seconds, exact to the microsecond for a century."""
    return time_us / SECOND_US


def swarm(state: State, info_hash: bytes) -> dict[str, int]:
    """Returns the counts of a swarm."""
    seeders, completed, leechers = state.swarms.counts(info_hash)
    partial = leechers - state.swarms.downloaders(info_hash)
    return {
        "seeders": seeders,
        "leechers": leechers,
        "partial_seeds": partial,
        "completed": completed,
    }


def address(endpoint: bytes) -> dict[str, Any]:
    """Returns address and port of an endpoint; nulls where they cannot be read."""
    if endpoint.endswith(NO_PORT):
        return {"address": None, "port": None}
    family = AF_INET if len(endpoint) == 6 else AF_INET6
    return {
        "address": inet_ntop(family, endpoint[:-2]),
        "port": int.from_bytes(endpoint[-2:], "big"),
    }


def listed(state: State, torrent: int, endpoint: bytes) -> dict[str, Any]:
    """Returns a peer in a reply: its endpoint there, and the announce by which it is known."""
    number = state.swarms.find(torrent, endpoint)
    return {
        **address(endpoint),
        "peer_id": peer_id(state, number),
        "seq": state.swarms.peer(number).last_seq,
    }


def peer_id(state: State, number: int) -> str:
    """Returns the peer_id of a peer, or its first 8 bytes if no more can be read."""
    row = state.swarms.peer(number)
    unread = is_unknown_tail(row.peer_id[8:], row.last_seq)
    return (row.peer_id[:8] if unread else row.peer_id).hex()


def peer_of(state: State, torrent: int, seq: int) -> int:
    """Returns the peer of a torrent whose latest announce has this number; 0 = none."""
    if not torrent or not seq:
        return 0
    rows = state.swarms.rows
    for number in state.swarms.peers(torrent):
        if packed.standing(rows, number * 72)[1] == seq:
            return number
    return 0


def peer(state: State, number: int) -> dict[str, Any]:
    """Returns the row of a peer, with its addresses."""
    swarms = state.swarms
    row = swarms.peer(number)
    found = (swarms.v4.endpoint(number), swarms.v6.endpoint(number))
    return {
        "seq": row.last_seq,
        "time": rfc3339(state.dates.of(row.seen_us)),
        "addresses": [address(endpoint) for endpoint in found if endpoint],
        "peer_id": peer_id(state, number),
        "role": "seeder" if row.left == 0 else "leecher",
        **_session(row.uploaded, row.downloaded, row.mark),
        "left": None if row.left == events.LEFT_UNKNOWN else row.left,
        "key_ref": row.key_ref or None,
    }


def base(state: State, one: Base) -> dict[str, Any]:
    """Returns what is remembered of a peer that is not listed any more."""
    return {
        "seq": one.seq,
        "time": rfc3339(state.dates.of(one.seen_us)),
        **_session(one.uploaded, one.downloaded, one.mark),
        "key_ref": one.key_ref or None,
    }


def _session(uploaded: int, downloaded: int, mark: int) -> dict[str, Any]:
    return {
        "uploaded": uploaded,
        "downloaded": downloaded,
        "event": events.EVENT_NAMES[mark & MARK_EVENT],
        "completed": bool(mark & MARK_COMPLETED),
        "snatched": bool(mark & MARK_SNATCHED),
    }


def account(state: State, number: int) -> dict[str, Any]:
    """Returns what is counted of an account so far."""
    totals = state.accounts.totals(number)
    return {
        "uploaded": totals.uploaded,
        "downloaded": totals.downloaded,
        "credited_uploaded": totals.credited_uploaded,
        "credited_downloaded": totals.credited_downloaded,
        "seeding_seconds": seconds(totals.seeding_us),
        "partial_seeding_seconds": seconds(totals.partial_us),
        "sessions": totals.sessions,
        "snatched": totals.snatched,
    }
