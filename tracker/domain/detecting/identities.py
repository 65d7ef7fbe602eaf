"""Finds peers that are not who they say: one peer_id for many accounts, and another client."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import frozen

from tracker.domain.clients import prefix_of
from tracker.domain.detecting.intervals import CASE, LEAD, PROOF, Detector, Finding
from tracker.domain.events import DAY_US, STOPPED
from tracker.domain.events.announce import NOT_RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval

_Peer = tuple[bytes, bytes]  # info hash and peer_id


@frozen
class PeerIdParameters:
    """It has none: equal peer_ids are equal."""


class _Second(NamedTuple):
    """An announce of a peer_id by another account than the first."""

    seq: int
    time_us: int
    account: int
    key: int | None


class SharedPeerId(Detector):
    """Looks for a peer_id of 20 bytes that two accounts announce in a torrent at the same time.

    The second half of a peer_id is random. So one client announces for both accounts, which is
    proved if its `key=` is the same, too.
    """

    name = "shared_peer_id"
    version = 1
    kept = ("_listed", "_doubled")
    holds: tuple[Any, ...] = (_Second,)

    def __init__(self, parameters: PeerIdParameters | None = None) -> None:
        self.parameters = parameters or PeerIdParameters()
        self._listed: dict[_Peer, int] = {}  # the account that announced it first
        self._doubled: dict[_Peer, _Second | None] = {}  # None = it was found

    def heard(self, interval: Interval) -> Iterable[Finding]:
        if interval.refused or not interval.account:
            return ()
        peer, account = interval.unowned, interval.account
        first = self._listed.setdefault(peer, account)
        if interval.gone or interval.event == STOPPED:
            self._went(peer, account, first)
        elif first != account and interval.address:
            if peer not in self._doubled:
                second = _Second(interval.seq, interval.time_us, account, interval.key)
                self._doubled[peer] = second
        elif self._doubled and first == account and (other := self._doubled.get(peer)):
            self._doubled[peer] = None
            return self._find(interval, other)
        return ()

    def _went(self, peer: _Peer, account: int, first: int) -> None:
        other = self._doubled.pop(peer, None)
        if account == first:
            del self._listed[peer]
            if other is not None:
                self._listed[peer] = other.account

    def _find(self, interval: Interval, other: _Second) -> Iterable[Finding]:
        one = _Second(interval.seq, interval.time_us, interval.account, interval.key)
        same_key = one.key is not None and one.key == other.key
        for each, opposite in ((one, other), (other, one)):
            facts = {"other_account": opposite.account, "same_key": int(same_key)}
            yield Finding(
                self.name, PROOF if same_key else CASE, each.account, interval.info_hash, other.time_us,
                one.time_us, 2, "accounts", (other.seq, one.seq), facts,
            )  # fmt: skip


@frozen
class ClientParameters:
    usual_members: int = 3
    """A pair of peer_id prefix and User-Agent that so many members have is a real client."""
    wait_days: int = 1
    """Days after which a pair is judged, because a new version has few members at first."""
    keep_days: int = 30
    """Days for which a pair is remembered after its last use."""


class _New(NamedTuple):
    """An announce with which a pair was new for a member."""

    seq: int
    time_us: int
    account: int
    client: int
    prefix: bytes


class AnotherClient(Detector):
    """Looks for a User-Agent that hardly anybody has with a peer_id prefix that others have."""

    name = "another_client"
    version = 1
    kept = ("_members", "_seen", "_waiting", "_day")
    holds: tuple[Any, ...] = (_New,)

    def __init__(self, parameters: ClientParameters | None = None) -> None:
        self.parameters = parameters or ClientParameters()
        # By prefix and client: each member that has the pair, and when it was looked at last.
        self._members: dict[bytes, dict[int, dict[int, int]]] = {}
        self._seen: dict[tuple[int, int], int] = {}  # account and client; the day
        self._waiting: deque[_New] = deque()
        self._day = 0

    def heard(self, interval: Interval) -> Iterable[Finding]:
        client, account = interval.client, interval.account
        if not account or self._seen.get((account, client)) == self._day:
            return ()
        if not client or client == NOT_RECORDED or interval.refused:
            return ()
        new = (account, client) not in self._seen
        self._seen[account, client] = self._day
        prefix = prefix_of(interval.peer_id)
        self._members.setdefault(prefix, {}).setdefault(client, {})[account] = interval.time_us
        if new and prefix:
            self._waiting.append(_New(interval.seq, interval.time_us, account, client, prefix))
        return ()

    def ticked(self, time_us: int) -> Iterable[Finding]:
        found: list[Finding] = []
        wait_us = self.parameters.wait_days * DAY_US
        while self._waiting and self._waiting[0].time_us + wait_us <= time_us:
            found += self._judge(self._waiting.popleft(), time_us)
        if time_us // DAY_US != self._day:
            self._day = time_us // DAY_US
            self._forget(time_us - self.parameters.keep_days * DAY_US)
        return found

    def _judge(self, new: _New, time_us: int) -> Iterable[Finding]:
        usual = self.parameters.usual_members
        clients = self._members.get(new.prefix, {})
        own = len(clients.get(new.client, ()))
        most = max(map(len, clients.values()), default=0)
        if 0 < own < usual <= most:
            yield Finding(
                self.name, LEAD, new.account, None, new.time_us, time_us, own, "members",
                (new.seq,), {"client": new.client, "members": own, "most_members": most},
            )  # fmt: skip

    def _forget(self, since_us: int) -> None:
        for prefix, clients in list(self._members.items()):
            for client, members in list(clients.items()):
                for account in [one for one, us in members.items() if us < since_us]:
                    del members[account]
                    self._seen.pop((account, client), None)
                if not members:
                    del clients[client]
            if not clients:
                del self._members[prefix]
