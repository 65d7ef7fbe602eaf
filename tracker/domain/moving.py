"""Moves keys with their peers and bases from one account to another: merges and splits.

What the keys' peers did so far stays counted for the account that loses them. From the event on
they count for the other one (docs/credit.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain.listing import NEVER

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from tracker.domain.events.target import Target


def twins(to: Target, account: int, into: int) -> list[int]:
    """Returns the announces whose peers and bases end when an account is merged into another.

    Both accounts have the same client in the same torrent, and the other's announce is newer.
    """
    found: list[int] = []
    swarms, bases = to.swarms, to.bases
    # By torrent and peer_id: the latest announce of the account that stays.
    theirs: dict[tuple[bytes, bytes], int] = {}
    for number in bases.of_account(into):
        base = bases.base(number)
        name = base.info_hash, base.peer_id
        theirs[name] = max(base.seq, theirs.get(name, -1))
    rows = [(swarms.peer(peer), peer) for peer in swarms.peers_of(into)]
    theirs |= {(swarms.hash_of(row.torrent), row.peer_id): row.last_seq for row, _ in rows}
    ours = {
        (swarms.hash_of(row.torrent), row.peer_id): row.last_seq
        for row in map(swarms.peer, swarms.peers_of(account))
    }
    for number in bases.of_account(account):
        base = bases.base(number)
        name = base.info_hash, base.peer_id
        if name in theirs:
            found.append(min(base.seq, theirs[name]))
    found += [min(seq, theirs[name]) for name, seq in ours.items() if name in theirs]
    return sorted(set(found))


def drop(to: Target, accounts: Iterable[int], seqs: Container[int], why: int) -> None:
    """Removes the peers and bases of these announces. `why`: a number of `staying`."""
    for account in accounts:
        for number in to.bases.of_account(account):
            if to.bases.base(number).seq in seqs:
                to.bases.drop(number)
        for peer in sorted(to.swarms.peers_of(account)):
            row = to.swarms.peer(peer)
            if row.last_seq in seqs:
                to.leave(row.torrent, peer, why)
                if to.settings.remove_peerless_torrents:
                    to.swarms.drop_if_empty(row.torrent)


def move(to: Target, account: int, target: int, keys: Container[int]) -> None:
    """Gives the peers and bases of an account's keys to another account."""
    swarms, time_us = to.swarms, to.time_us
    _expire(to, account, keys)
    peers = [peer for peer in swarms.peers_of(account) if swarms.peer(peer).key_ref in keys]
    torrents = {swarms.peer(peer).torrent for peer in peers}
    in_order = sorted(torrents, key=swarms.hash_of)
    counting = to.listing.since_seq != NEVER
    if counting:
        for torrent in in_order:
            to.settle(account, torrent)
            to.settle(target, torrent)
    for peer in sorted(peers):
        swarms.change_account(peer, target)
        if to.stays is not None:
            to.stays.change_account(swarms, peer, target, to.seq - 1, time_us)
        if to.gone is not None:
            to.gone.append((swarms.peer(peer).last_seq, target))
    if counting:
        for torrent in in_order:
            to.seeding.again(account, torrent, time_us)
            to.seeding.again(target, torrent, time_us)
    to.look_up_started()
    swarms.conceal_account(target, to.sanctions.flags_of(target))
    to.bases.change_account(account, target, keys, to.settings.policy.bases_per_account)


def _expire(to: Target, account: int, keys: Container[int]) -> None:
    """Removes peers that are not listed any more, before the sweep finds them: they move as bases.

    So no moment before the move can be another account's.
    """
    swarms, listing = to.swarms, to.listing
    for peer in sorted(swarms.peers_of(account)):
        row = swarms.peer(peer)
        if row.last_seq < listing.since_seq or row.key_ref not in keys:
            continue
        if listing.until(row.seen_us) <= to.time_us:
            to.expire(row.torrent, peer)
            if to.settings.remove_peerless_torrents:
                swarms.drop_if_empty(row.torrent)
