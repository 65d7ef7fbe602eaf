"""Turns a state into plain values: its numbers, a swarm's members, and a picture to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import asdict, frozen

from tracker.domain import events, refusals
from tracker.domain.dates import SECOND_US
from tracker.domain.hidden_peers import NO_PORT, is_unknown_tail
from tracker.domain.swarms import MARK_EVENT
from tracker.service.read_model import format_endpoint
from tracker.times import rfc3339
from tracker.wire.clients import client_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.access import Key
    from tracker.domain.accounts import Totals
    from tracker.domain.state import State

_ANNOUNCES = ("http4", "http6", "udp4", "udp6")


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


def digest(state: State) -> str:
    """Returns the digest of a state that was replayed.

    Where the addresses of peers cannot be read it leaves all addresses out, because the stand-ins
    for them depend on where the replay began.
    """
    return state.digest(addresses=not state.hidden_peers())


def summary(state: State) -> dict[str, Any]:
    """Returns the numbers of a state as JSON values; without the digest, which takes long."""
    swarms, access = state.swarms, state.access
    return {
        "events": state.seq,
        "seq": state.seq - 1 if state.seq else None,
        "time": rfc3339(state.dates.of(state.time_us)) if state.seq else None,
        "lead_seconds": state.dates.lead_us // SECOND_US,
        "torrents": swarms.torrents_total,
        "seeders": swarms.seeders_total,
        "leechers": swarms.leechers_total,
        "completed": swarms.completed_total,
        "announces": dict(zip(_ANNOUNCES, swarms.announces, strict=True)),
        "counters": dict(_counters(state)),
        "whitelisted": len(access.whitelist),
        "described": len(state.facts),
        "clients": len(state.clients.pairs),
        "keys": len(access.keys),
        "revoked_keys": len(access.revoked),
        "accounts": len(set(access.account_of) - {0}),
        "starts": state.tally.starts,
        "ticks": state.tally.ticks,
        "settings": state.settings.as_data(),
    }


def _counters(state: State) -> Iterator[tuple[str, int]]:
    """Returns counters by name; those of refusals have their label in the name."""
    for (counter, label), count in sorted(state.tally.counters.items()):
        name = events.COUNTER_NAMES.get(counter, str(counter))
        if counter == events.REFUSED_REQUESTS:
            name = f"{name}_{refusals.name_of(label)}"
        elif counter == events.UDP_DROPPED:
            name = f"{name}_{refusals.dropped_name(label)}"
        yield name, count


def members(state: State, info_hash: bytes) -> list[Member]:
    """Lists the peers of a swarm in the order of their last announces."""
    swarms = state.swarms
    torrent = swarms.lookup(info_hash)
    owners = {account: owner for owner, account in state.access.owners.items()}
    found = [_member(state, owners, peer) for peer in swarms.peers(torrent)] if torrent else []
    return sorted(found, key=lambda member: member.last_seq)


def _member(state: State, owners: dict[int, str], peer: int) -> Member:
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
        owner=owners.get(account),
        identity=(account or endpoints, row.peer_id),
    )


class Picture(NamedTuple):
    """Copies of the values that a comparison of two moments needs; replay may go on meanwhile."""

    summary: dict[str, Any]
    torrents: dict[bytes, tuple[int, int, int]]  # seeders, completed, leechers
    whitelist: frozenset[bytes]
    facts: dict[bytes, str]  # JSON, by info hash
    keys: dict[int, Key]  # in force or expired, by key_ref
    totals: dict[int, Totals]  # by account
    owners: dict[int, str]  # by account
    members: list[Member]  # of the one swarm that is compared


def picture(state: State, info_hash: bytes | None) -> Picture:
    swarms, access = state.swarms, state.access
    accounts = set(access.account_of) - {0}
    return Picture(
        summary(state),
        {each: swarms.counts(each) for each in swarms.all_hashes()},
        frozenset(access.listed_after(b"")),
        dict(state.facts),
        {key.key_ref: key for key in access.keys.values()},
        {account: state.totals(account) for account in accounts},
        {account: owner for owner, account in access.owners.items()},
        members(state, info_hash) if info_hash else [],
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
