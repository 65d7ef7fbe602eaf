"""Finds the replies that listed an address, and those that an account got, with their peers.

No event holds the peers of a reply. So the part of the log is replayed, and the replies that may be
meant are computed (`replies.py`). All other announces are applied a frame at a time.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, field, frozen

from eventlog import NOT_ENCRYPTED
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.hidden_peers import NO_PORT
from tracker.history import asked_rules, event_json, pictures, replies
from tracker.history.recorded import Recorded, Refused, read
from tracker.service.read_model import label_of
from tracker.store import frames, server_secret, tag_keys
from tracker.store.address_keys import day_name
from tracker.store.moments import split
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.ports import HandedQuery, LogPart
    from tracker.store.address_keys import Keyring
    from tracker.store.moments import ForwardReplay

Reply = dict[str, Any]

_HASH = slice(8, 28)  # of a record of `codec.PLAIN`


class Question(Protocol):
    """Which replies are meant."""

    def may_be(self, state: State, frame: Frame) -> Iterator[int]:
        """Yields the places in a frame of announces of those whose replies may be meant.

        `state`: before the frame.
        """
        ...

    def wants(self, endpoint: bytes) -> bool:
        """Tells whether a peer of such a reply is meant, by its endpoint."""
        ...


@frozen
class ToAccount:
    """The replies that an account got."""

    account: int

    def may_be(self, state: State, frame: Frame) -> Iterator[int]:
        account_of = state.access.account_of
        for place, (row, _) in enumerate(codec.decode_announces(frame.plain, b"")):
            if account_of[row[6]] == self.account:
                yield place

    def wants(self, endpoint: bytes) -> bool:
        return bool(endpoint)


@frozen
class OfAddress:
    """The replies that listed an address, at any port or at this one."""

    address: str  # as `pictures.address` writes it
    port: int | None = None
    packed: bytes = field(init=False)

    @packed.default
    def _in_bytes(self) -> bytes:
        return inet_pton(AF_INET6 if ":" in self.address else AF_INET, self.address)

    def may_be(self, state: State, frame: Frame) -> Iterator[int]:
        count = len(frame.plain) // codec.PLAIN.size
        if bytes(frame.protected).find(self.packed) >= 0:  # it comes to a swarm in this frame
            yield from range(count)
            return
        there: dict[bytes, bool] = {}
        plain = bytes(frame.plain)
        for place in range(count):
            at = place * codec.PLAIN.size
            info_hash = plain[at + _HASH.start : at + _HASH.stop]
            if info_hash not in there:
                there[info_hash] = self._is_in(state, info_hash)
            if there[info_hash]:
                yield place

    def _is_in(self, state: State, info_hash: bytes) -> bool:
        swarms = state.swarms
        directory = swarms.v4 if len(self.packed) == 4 else swarms.v6
        torrent, width = swarms.lookup(info_hash), directory.width
        first, size, _ = directory.run(torrent) if torrent else (0, 0, 0)
        start, end = first * width, (first + size) * width
        at = directory.addresses.find(self.packed, start, end)
        while at >= 0 and (at - start) % width:
            at = directory.addresses.find(self.packed, at + 1, end)
        return at >= 0

    def wants(self, endpoint: bytes) -> bool:
        return endpoint[:-2] == self.packed and (
            endpoint[-2:] != NO_PORT
            if self.port is None
            else int.from_bytes(endpoint[-2:], "big") == self.port
        )


@define
class Walk:
    """A walk over a part of a log.

    `seq` is the next event. The keys have the secrets, because without them no reply is known.
    """

    log: ForwardReplay
    keys: Keyring
    question: Question
    part: LogPart
    seq: int = field(init=False, default=0)
    unread: list[str] = field(init=False, factory=list)  # days whose addresses cannot be read
    unknown: int = field(init=False, default=0)  # replies whose peers are not known
    secret: bytes | None = field(init=False, default=None)  # for draws, of the frame in hand
    _end: int = field(init=False, default=0)
    _epoch: int = field(init=False, default=-1)

    def found(self) -> Iterator[Reply | None]:
        """Yields the replies that are meant, ascending, and None after each frame without one.

        Raises `NoMomentError`, and what reading the log does.
        """
        self.seq, self._end = self.log.bounds(self.part)
        if self.seq >= self._end:
            return
        state, found = self.log.follow(self.seq, self._end)
        for frame in found:
            if frame.header.epoch != self._epoch:  # the secret changes between two runs only
                self._epoch = frame.header.epoch
                secret = tag_keys.secret_at(self.log.folder, frame.header.base_seq, self.keys.tags)
                self.secret = secret and server_secret.selection_key(secret)
            self._note(frame)
            yield from self.in_frame(state, frame)
            self.seq = frame.header.next_seq
            yield None

    def _note(self, frame: Frame) -> None:
        """Notes the day of a frame whose addresses cannot be read."""
        header = frame.header
        if header.kind == events.ANNOUNCE and not len(frame.protected):
            day = day_name(header.key_epoch)
            if header.key_epoch != NOT_ENCRYPTED and day not in self.unread:
                self.unread.append(day)

    def in_frame(self, state: State, frame: Frame) -> Iterator[Reply]:
        """Applies a frame, and yields the replies in it that are meant."""
        rest: Frame | None = frame
        if frame.header.kind == events.ANNOUNCE and frames.readable(frame):
            newest = frames.newest(frame)
            for place in list(self.question.may_be(state, newest)):
                seq = frame.header.base_seq + place
                if rest is not None and seq > rest.header.base_seq:
                    before, rest = split(rest, seq)
                    frames.apply(state, before)
                if rest is None:
                    break
                one, rest = split(rest, seq + 1)
                if (reply := self._reply(state, one)) is not None:
                    yield reply
        if rest is not None:
            frames.apply(state, rest)

    def _reply(self, state: State, frame: Frame) -> Reply | None:
        """Applies an announce. Returns the reply to it, None = it lists no peer that is meant."""
        _, one = read([frame], frame.header.base_seq)
        if isinstance(one, Refused):
            raise TypeError("a frame of announces")
        none = bool(asked_rules.none(state, one))
        budget = replies.budget_of(state, one.key_ref)
        frames.apply(state, frame)
        if self.secret is None or state.settings.choice not in replies.KNOWN_CHOICES:
            self.unknown += 1
            return None
        torrent = state.swarms.lookup(one.info_hash)
        found = _endpoints(state, one, self.secret, torrent, none=none, budget=budget)
        wanted = list(filter(self.question.wants, found))
        if not wanted:
            return None
        shown = _shown(state, one, frame)
        if self.part.from_us is not None and shown["time"] < rfc3339(self.part.from_us):
            return None
        peers = [pictures.listed(state, torrent, endpoint) for endpoint in wanted]
        return {**shown, "peers": peers}


def question(query: HandedQuery) -> Question:
    """Returns the question in a query."""
    if query.account is not None:
        return ToAccount(query.account)
    return OfAddress(query.address or "", query.port)


def _endpoints(
    state: State, one: Recorded, secret: bytes, torrent: int, *, none: bool, budget: int
) -> list[bytes]:
    asked = replies.asked(one)
    want = replies.wanted(state.settings, asked, none=none, budget=budget)
    if not want or not torrent:
        return []
    peer = _peer_at(state, one, torrent)
    return replies.endpoints(state, secret, asked, torrent, peer, want)


def _peer_at(state: State, one: Recorded, torrent: int) -> int:
    """Returns the peer that has announced, by its address, or by its number where that is gone."""
    if one.address is None:
        return pictures.peer_of(state, torrent, one.seq)
    return state.swarms.find(torrent, one.address + one.port)


def _shown(state: State, one: Recorded, frame: Frame) -> Reply:
    (event,) = event_json.narrate(frame)
    access = state.access
    digest = access.hash_of(one.key_ref) or b""
    key = access.keys.get(digest) or access.revoked.get(digest)
    return {
        **{name: event[name] for name in ("seq", "time", "log_time", "info_hash") if name in event},
        "label": label_of(state.facts, one.info_hash),
        "account": access.account_of[one.key_ref] or None,
        "owner": key.owner if key else None,
        **{name: event[name] for name in ("key_ref", "address", "port", "peer_id")},
    }
