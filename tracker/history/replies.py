"""Computes what the reply to an announce said, from the log and the server's secret: the interval
and the peers.

The state is that right after the announce. `tracker.domain.choice` has the rules of the draws. By
rule 2 peers are chosen by the code that chose them. Rule 1 is of earlier versions, so its part is
kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from tracker.domain import choice, events
from tracker.domain.limits import NO_BUDGET

if TYPE_CHECKING:
    from tracker.domain.directory import Directory
    from tracker.domain.settings import Settings
    from tracker.domain.state import State
    from tracker.history.recorded import Recorded

KNOWN_CHOICES = (1, 2)
_LOW = 0xFFFFFFFF


@frozen
class Asked:
    """An announce, as far as its reply depends on it."""

    seq: int
    first_seq: int  # of the first event that it brought about, or `seq`
    path: int
    seeder: bool
    stopped: bool
    numwant: int | None  # None = absent

    @property
    def udp(self) -> bool:
        return self.path in (events.UDP4, events.UDP6)


def asked(one: Recorded) -> Asked:
    """Returns what the reply to an announce of the log depends on."""
    return Asked(
        one.seq,
        one.first_seq,
        one.path,
        seeder=one.left == 0,
        stopped=one.event == events.STOPPED,
        numwant=None if one.flags & events.FLAG_NUMWANT_ABSENT else one.numwant,
    )


def drawn(settings: Settings, secret: bytes, one: Asked, purpose: int) -> int:
    """Returns the 64 bits that were drawn for an announce: `choice.PEERS` or `choice.INTERVAL`.

    `secret`: see `server_secret.selection_key`.
    """
    if settings.choice != 1:
        return choice.drawn(choice.halves(secret), purpose, one.seq)
    if purpose == choice.PEERS:
        return choice.drawn_by_rule_1(secret, one.seq + 1)
    return choice.drawn_by_rule_1(secret, one.first_seq if one.udp else one.seq + 1, b"interval")


def interval(settings: Settings, secret: bytes, one: Asked) -> int:
    """Returns the seconds until the next announce that the reply asked for."""
    most = settings.policy.interval_jitter
    if not most:
        return settings.interval
    return settings.interval + drawn(settings, secret, one, choice.INTERVAL) % (most + 1)


def wanted(settings: Settings, one: Asked, *, none: bool, budget: int) -> int:
    """Returns the most peers that the reply lists.

    `none`: it came too early, or with leech off. `budget`: see `budget_of`.
    """
    if one.stopped or none:
        return 0
    cap = settings.max_peers_per_announce
    return min(cap if one.numwant is None else one.numwant, cap, budget)


def budget_of(state: State, key_ref: int) -> int:
    """Returns how many peers the reply to the next announce of a key may list: see `Limits.left`.

    `state`: before the announce.
    """
    account = state.access.account_of[key_ref]
    return state.limits.left(account) if account and state.limits.handing else NO_BUDGET


def counted(state: State, one: Asked, torrent: int, peer: int, want: int) -> tuple[int, int]:
    """Returns how many peers of IPv4 and of IPv6 the reply to `peer` lists, of `want` at most. No
    secret is needed, because draws decide only which ones.
    """
    found = [0, 0]
    if torrent and want:
        v6 = one.path in (events.HTTP6, events.UDP6)
        for family in (v6,) if one.udp else (v6, not v6):
            directory = state.swarms.v6 if family else state.swarms.v4
            found[family] = directory.listed(torrent, want, peer, apart(state, torrent, peer))
            want -= found[family]
    return found[0], found[1]


def apart(state: State, torrent: int, peer: int) -> int:
    """Returns the account whose other peers the reply to `peer` leaves out; 0 = nobody's."""
    identified = peer and state.swarms.identified(peer)
    return state.apart(state.swarms.account_of(peer), torrent, peer) if identified else 0


def endpoints(
    state: State, secret: bytes, one: Asked, torrent: int, peer: int, want: int
) -> list[bytes]:
    """Returns the endpoints in the reply to `peer`.

    A peer comes twice if both its addresses were listed. The client's own family is first, and in
    UDP replies the only one.
    """
    swarms = state.swarms
    own, other = swarms.v4, swarms.v6
    if one.path in (events.HTTP6, events.UDP6):
        own, other = other, own
    found: list[bytes] = []
    for directory in (own,) if one.udp else (own, other):
        if len(found) < want and directory.total:
            rest = want - len(found)
            if state.settings.choice == 1:
                draw = drawn(state.settings, secret, one, choice.PEERS)
                found += ring(directory, torrent, rest, peer, one.seeder, draw)
            else:
                picked = directory.pick(
                    b"", torrent, rest, peer, one.seeder, choice.halves(secret), one.seq,
                    apart(state, torrent, peer),
                )  # fmt: skip
                width = directory.width
                found += [picked[at : at + width] for at in range(0, len(picked), width)]
    return found


def ring(
    directory: Directory, torrent: int, want: int, peer: int, seeder: bool, draw: int
) -> list[bytes]:
    """Does what `Directory.pick` does, with another draw. Versions that drew so left nobody out."""
    _, _, seeds = directory.run(torrent)
    members = list(directory.members(torrent))
    listed = [each for each in members if each != peer]
    if len(listed) > want:
        seeders, leechers = members[:seeds], members[seeds:]
        others = len(seeders) - (peer in seeders)
        of_leechers = min(
            len(leechers) - (peer in leechers), want if seeder else max(want // 2, want - others)
        )
        listed = []
        for some, count, half in (
            (leechers, of_leechers, draw & _LOW),
            (seeders, min(others, want - of_leechers), draw >> 32),
        ):
            at = half % len(some) if some else 0
            listed += [each for each in some[at:] + some[:at] if each != peer][:count]
    return [directory.endpoint(each) for each in listed]
