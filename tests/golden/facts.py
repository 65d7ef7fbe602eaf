"""Facts of a golden log, in words that mean the same to every later version.

`State.digest()` covers everything that a version keeps, so it may change from version to version,
as tables, numbers and orders may. These facts never change: a version that finds others reads the
log differently.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracker.domain.access import Key
    from tracker.domain.state import State


def facts(state: State) -> dict[str, Any]:
    swarms, access, settings = state.swarms, state.access, state.settings
    return {
        "seq": state.seq,
        "time_us": state.time_us,
        "private": settings.private,
        "listed": settings.listed,
        "max_peer_timeout": settings.max_peer_timeout,
        "announces": list(swarms.announces),
        "counters": sorted([*key, count] for key, count in state.tally.counters.items()),
        "torrents": {
            info_hash.hex(): [*swarms.counts(info_hash), _peers(state, info_hash)]
            for info_hash in swarms.all_hashes()
        },
        "retired": {info_hash.hex(): count for info_hash, count in swarms.retired.items()},
        "whitelist": [each.hex() for each in access.listed_after(b"")],
        "keys": {each.hex(): _key(key) for each, key in access.keys.items()},
        "revoked": {each.hex(): _key(key) for each, key in access.revoked.items()},
        "owners": access.owners,
        "accounts": {
            str(number): list(state.accounts.totals(number)[:9])
            for number in sorted(set(access.account_of) - {0})
        },
        "factors": [
            [each.number, each.account, each.info_hash.hex(), each.upload_percent, each.download_percent,
             each.from_us, each.until_us, each.label]
            for each in state.factors.current.values()
        ],
        "shredded": sorted(state.tally.shredded),
        "first_seqs": [each.first_seq for each in state.tally.pruned],
        **_later(state),
    }  # fmt: skip


def _later(state: State) -> dict[str, Any]:
    """What came with format 2; in a log of format 1 there is none of it."""
    swarms = state.swarms
    hashes = {*swarms.retired, *swarms.all_hashes()}
    sizes = {one.hex(): size for one in hashes if (size := swarms.least_size(one))}
    found = {
        "clients": [[each.hex() for each in pair] for pair in state.clients.pairs],
        "facts": {each.hex(): json.loads(text) for each, text in state.facts.items()},
        "sizes": sizes,
    }
    return {name: value for name, value in found.items() if value}


def digest(state: State) -> str:
    """64 hex digits over the facts of a state."""
    text = json.dumps(facts(state), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def _key(key: Key) -> list[Any]:
    return [key.key_ref, key.account, key.valid_until_us, key.owner, key.label]


def _peers(state: State, info_hash: bytes) -> list[list[Any]]:
    """Peers of a torrent, by their last announce."""
    swarms = state.swarms
    found = []
    for number in swarms.peers(swarms.lookup(info_hash)):
        row = swarms.peer(number)
        endpoints = [each.endpoint(number).hex() for each in (swarms.v4, swarms.v6)]
        words = [row.last_seq, *endpoints, row.peer_id.hex(), row.uploaded, row.downloaded]
        found.append([*words, row.left, row.seen_us, row.key_ref])
    return sorted(found)
