"""Turns a state into plain values: its numbers, a swarm's members, and a picture to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import events, refusals
from tracker.domain.dates import SECOND_US
from tracker.service.members import Member, member
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.access import Key
    from tracker.domain.accounts import Totals
    from tracker.domain.state import State

_ANNOUNCES = ("http4", "http6", "udp4", "udp6")


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
    found = [member(state, peer) for peer in swarms.peers(torrent)] if torrent else []
    return sorted(found, key=lambda one: one.last_seq)


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
