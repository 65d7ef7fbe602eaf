"""Lets a tracker live through random announces over both protocols, and tells what it replied.

It takes and gives plain values, and frames, which both builds share.
"""

from __future__ import annotations

from random import Random
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from attrs import define, field

from tests.support import SECOND, SELECTION_KEY, Rig, hash_of, revoke
from tracker.domain import choice
from tracker.domain.events.admin import (
    ClientRuleEnded,
    ClientRuleSet,
    HidingChanged,
    LeechOffChanged,
    NetworkBlocked,
    TorrentBlacklisted,
    TorrentUnblacklisted,
    TorrentWhitelisted,
)
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp.handler import DatagramHandler
from tracker.history.explain import explained
from tracker.store import frames as frames_of_log
from tracker.store.moments import split
from tracker.wire.bencode import decode
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventlog import Frame

_POLICY = {
    "interval_jitter": 1000,
    "enforce_interval_min": True,
    "peers_per_account": 3,
    "leeching_slots": 2,
    "started_per_day": 3,
    "handed_per_hour": 60,
    "handed_per_day": 90,
    "clients_denied": ("-TR",),
    "refused_ports": ("1000-1003",),
    "max_peers_per_torrent": 60,
    "leave_out_own_clients": True,
}
_OF_RULE_2 = ("handed_per_hour", "handed_per_day", "leave_out_own_clients")
_EVENTS = (
    b"",
    b"",
    b"",
    b"",
    b"&event=started",
    b"&event=completed",
    b"&event=stopped",
    b"&event=paused",
)
_COUNTERS = (0, 5, 9, 10**9)


@define
class Life:
    """A tracker with both front ends, and its replies: by the number of the announce the interval,
    seeders, leechers, and the peers of each family.
    """

    chance: Random
    private: bool
    rule: int
    change: Callable[[Settings], Settings] = lambda settings: settings
    rig: Rig = field(init=False)
    told: dict[int, tuple[Any, ...]] = field(factory=dict)
    ids: ConnectionIds = field(factory=lambda: ConnectionIds(b"k"))
    keys: list[bytes] = field(init=False)
    first_seq: int = 0  # the next event when the request was read
    udp: bool = False

    def __attrs_post_init__(self) -> None:
        chance = self.chance
        policy = Policy(**{
            name: value
            for name, value in _POLICY.items()
            if chance.random() < 0.5 and (self.rule == 2 or name not in _OF_RULE_2)
        })  # fmt: skip
        self.rig = Rig()
        self.rig.service.change_settings(
            self.change(Settings(
                private=self.private, listed=chance.random() < 0.2, policy=policy, max_peer_timeout=200,
                inactive_peer_cleanup_interval=10, interval_min=20, accounting=chance.choice((1, 2, 2)),
                max_peers_per_announce=chance.choice((3, 20, 74)), choice=self.rule,
            ))
        )  # fmt: skip
        for number in range(3):
            self.rig.service.append(TorrentWhitelisted(hash_of(number)))
        owners = (None, "anna", "anna", "bert")
        self.keys = [self.rig.issue(number, owner) for number, owner in enumerate(owners)]

    def go(self) -> None:
        chance, rig = self.chance, self.rig
        for number in range(30):
            for _ in range(12):
                self._ask()
            rig.time.advance(chance.choice((1, 5, 30)) * SECOND)
            if number % 4 == 3:
                rig.time.advance(chance.choice((5, 250)) * SECOND)
                rig.service.tick()
            if number % 9 == 4 and self.private:
                rig.set_factor(upload_percent=chance.choice((50, 200, 333)), download_percent=0)
            if number == 20:
                revoke(rig.service, self.keys[0])
            if self.rule == 2 and number % 3 == 1:
                self._sanction()

    def _ask(self) -> None:
        """Announces, and checks that just the peers in the reply are counted."""
        limits, told = self.rig.state.limits, len(self.told)
        before = sum(limits.budgets.handed_today)
        (self._over_udp if self.chance.random() < 0.5 else self._over_http)()
        listed = 0
        if len(self.told) > told and limits.handing:
            *_, peers4, peers6 = next(reversed(self.told.values()))
            listed = len(peers4) // 6 + len(peers6) // 18
        assert sum(limits.budgets.handed_today) - before == listed

    def _sanction(self) -> None:
        """Imposes or lifts something; some ends by itself."""
        chance, service = self.chance, self.rig.service
        until_us = chance.choice((None, service.date_us() + 20 * SECOND))
        if self.private and chance.random() < 0.8:
            event = chance.choice((LeechOffChanged, LeechOffChanged, HidingChanged))
            service.append(event(chance.choice((1, 2, 4)), chance.random() < 0.7, until_us))
        elif chance.random() < 0.3:
            rule, now = self.rig.state.sanctions.next_client_rule, service.date_us()
            ends = chance.random() < 0.4 and rule - 1 in self.rig.state.sanctions.clients
            wait = chance.choice((0, 20)) * SECOND
            service.append(
                ClientRuleEnded(rule - 1)
                if ends
                else ClientRuleSet(rule, "-TR", "2000", "3999", now + wait)
            )
        elif chance.random() < 0.7:
            network = chance.choice(("10.0.0.16/28", "10.0.0.7/32", "2001::8/125"))
            service.append(NetworkBlocked(network, until_us))
        else:
            on = chance.random() < 0.5
            banned = TorrentBlacklisted if on else TorrentUnblacklisted
            service.append(banned(hash_of(chance.choice((1, 2)))))

    def _request(self) -> tuple[bytes, bytes, bytes, int, int, int, int]:
        """Draws address, info hash, peer_id, port, uploaded, downloaded and left."""
        chance = self.chance
        who = chance.randrange(70)
        v6 = chance.random() < 0.4
        address = bytes([10, 0, 0, who]) if not v6 else b"\x20\x01" + bytes(13) + bytes([who])
        kind = chance.choice((b"-XX0001-", b"-XX0001-", b"-TR3000-", b"-YY-----"))
        return (
            address, hash_of(chance.choice((0, 0, 0, 1, 2, 3))), kind + b"%012d" % (who % 20),
            chance.choice((1000, 7000, 7000, 7000)), *chance.choices(_COUNTERS, k=2),
            chance.choice((0, 7)),
        )  # fmt: skip

    def _over_udp(self) -> None:
        chance, service = self.chance, self.rig.service
        address, info_hash, peer_id, port, uploaded, downloaded, left = self._request()
        event, numwant = chance.choice((0, 0, 0, 1, 2, 3, 4)), chance.choice((-1, 0, 2, 5, 200))
        sent = self.ids.issue(address) + pack(
            ">I4s20s20sqqqIIIiH", 1, b"abcd", info_hash, peer_id, downloaded, left, uploaded, event, 0,
            7, numwant, port,
        )  # fmt: skip
        if self.private:
            path = b"/announce/" + chance.choice(self.keys)
            sent += bytes([2, len(path)]) + path
        handler = DatagramHandler(service, self.ids, 0)
        self.udp, self.first_seq = True, self.rig.state.seq
        handler.begin()
        reply = handler.answer(sent, 0, len(sent), address)
        handler.end()
        if reply is not None and reply[:4] == bytes([0, 0, 0, 1]):
            interval, leechers, seeders = unpack_from(">III", reply, 8)
            peers = reply[20:]
            both = (b"", peers) if len(address) == 16 else (peers, b"")
            self.told[service.number] = interval, None, seeders, leechers, *both

    def _over_http(self) -> None:
        chance, service = self.chance, self.rig.service
        address, info_hash, peer_id, port, uploaded, downloaded, left = self._request()
        path = b"/announce/" + chance.choice(self.keys) if self.private else b"/announce"
        target = path + (
            b"?info_hash=%s&peer_id=%s&port=%d&uploaded=%d&downloaded=%d&left=%d&compact=1"
            % (
                quote_from_bytes(info_hash).encode(), quote_from_bytes(peer_id).encode(),
                port, uploaded, downloaded, left,
            )
        )  # fmt: skip
        target += chance.choice(_EVENTS) + chance.choice((b"", b"&numwant=0", b"&numwant=4"))
        handler = RequestHandler(service, 1, proxied=False)
        self.udp, self.first_seq = False, self.rig.state.seq
        handler.begin()
        agent = chance.choice((b"", b"", b"a/1", b"b/2"))
        body = handler.answer(b"GET", target, address, None, False, agent).partition(b"\r\n\r\n")[2]
        handler.end()
        reply: Any = decode(body)
        if b"interval" in reply:
            self.told[service.number] = (
                reply[b"interval"], reply[b"min interval"], reply[b"complete"], reply[b"incomplete"],
                reply[b"peers"], reply[b"peers6"],
            )  # fmt: skip

    def draw(self, _secret: object, purpose: int, seq: int) -> int:
        """Draws by rule 1, in the place of `choice.drawn`."""
        if purpose == choice.PEERS:
            return choice.drawn_by_rule_1(SELECTION_KEY, seq + 1)
        seq = self.first_seq if self.udp else seq + 1
        return choice.drawn_by_rule_1(SELECTION_KEY, seq, b"interval")


def life(seed: str, private: bool, rule: int) -> tuple[list[Frame], dict[int, tuple[Any, ...]]]:
    """Returns the frames of a life, and its replies. Rule 1 can be lived in the pure build only."""
    made = Life(Random(seed), private, rule)
    drawn = choice.drawn
    try:
        if rule == 1:
            choice.drawn = made.draw
        made.go()
    finally:
        choice.drawn = drawn
    return made.rig.log.frames(), made.told


@define
class Frames:
    """A log in memory, as `explained` wants it. `hidden`: no address can be read."""

    frames: list[Frame]
    hidden: bool = False

    def before(self, seq: int, back: int) -> tuple[State, list[Frame]]:
        state, rest = State(), []
        for frame in self.frames:
            one = frame._replace(protected=memoryview(b"")) if self.hidden else frame
            for part in _cut(one, max(0, seq - back), seq + 1):
                header = part.header
                if header.base_seq >= max(0, seq - back):
                    rest.append(part)
                else:
                    state.apply(header.kind, header.schema, header.base_seq, part.plain, part.protected)  # fmt: skip
        return state, rest

    def follow(self, seq: int, end: int) -> tuple[State, Iterator[Frame]]:
        """As `ForwardReplay.follow`."""
        state, found = State(), []
        for frame in self.frames:
            one = frame._replace(protected=memoryview(b"")) if self.hidden else frame
            for part in _cut(one, seq, end):
                if part.header.base_seq >= seq:
                    found.append(part)
                else:
                    frames_of_log.apply(state, part)
        return state, iter(found)

    def again(self) -> Frames:
        return self


def _cut(frame: Frame, first: int, end: int) -> Iterable[Frame]:
    """Cuts a frame at these two numbers, and drops what is after the second."""
    rest: Frame | None = frame
    for at in (first, end):
        if rest is not None and rest.header.base_seq < at:
            part, rest = split(rest, at)
            yield part


def explanations(
    frames: list[Frame],
    seqs: Iterable[int],
    secret: bytes | None = SELECTION_KEY,
    hidden: bool = False,
) -> list[dict[str, Any]]:
    return [explained(Frames(frames, hidden), seq, secret, "no secret") for seq in seqs]
