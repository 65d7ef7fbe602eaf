"""Declares the records of fixed size: evictions, ticks, counters, refusals,
clients.

Each kind has a class. The order of the classes is the order in which lists show their names.
docs/log-format.md has the layouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tracker.domain import events
from tracker.domain.clients import AGENT_BYTES, MOST, PREFIX_BYTES, shown_text
from tracker.domain.events.errors import ReplayError
from tracker.domain.events.registry import RECORDS as RECORDS
from tracker.domain.events.registry import FixedRecord, fixed_record
from tracker.domain.refusals import name_of
from tracker.domain.staying import SUPERSEDED
from tracker.domain.swarms import BUCKETS

if TYPE_CHECKING:
    from tracker.domain.events.target import Accounting, Target


NO_WALL = (1 << 64) - 1
"""In the place of a tick's wall clock: an older version wrote the tick, and did not say."""


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.rstrip(b"\0").decode()


def _filled(value: bytes) -> bytes:
    return value.rstrip(b"\0")


@fixed_record(5, "evicted", "<Q20sIQ")
@frozen
class Evicted(FixedRecord):
    """A peer left its swarm because another peer announced from its address."""

    info_hash: bytes
    place: int  # of the peer in its torrent, see `Swarms.place_of`
    last_seq: int  # number of the peer's last announce

    def apply(self, to: Target, seq: int) -> None:
        torrent = to.swarms.lookup(self.info_hash)
        peer = to.swarms.at_place(torrent, self.place) if torrent else 0
        if not peer or to.swarms.peer(peer).last_seq != self.last_seq:
            raise ReplayError(f"event {seq} evicts a peer that is not there")
        to.listing.awake_us = self.time_us
        to.leave(torrent, peer, SUPERSEDED, remembered=True)

    def shown(self) -> dict[str, Any]:
        return {"info_hash": self.info_hash.hex(), "last_seq": self.last_seq}


@fixed_record(3, "tick", "<QIII4xQQ", schema=2)
@frozen
class Tick(FixedRecord):
    """Log time passed. Silent peers expire when a tick is applied, and at no other time."""

    interval_ms: int  # between two ticks that do not go on
    goes_on: bool = field(converter=bool)  # true = only continues the sweep of an earlier tick
    slice: int  # number of a slice of the state
    digest: int  # of that slice before this tick, see `slice_digest`
    wall_us: int = NO_WALL  # what the wall clock showed, microseconds since 1970

    def check(self, state: Target) -> None:
        state.compare(self.slice, self.digest)

    def apply(self, to: Target, seq: int) -> None:  # noqa: ARG002  # the base's name
        """Adds a share of the buckets to the sweep, and does one step of the sweep.

        The shares of one clean-up interval make up all buckets. A tick that `goes_on` adds none.
        """
        self.pass_time(to)
        to.listing.ticked(self.time_us)
        to.end_sanctions()
        to.turn_limits()
        to.forget_old_bases()
        settings = to.settings
        cleanup_ms = settings.inactive_peer_cleanup_interval * 1000
        if not self.goes_on:
            tick = to.tally.ticks
            to.tally.ticks = tick + 1
            if cleanup_ms:
                parts = max(1, cleanup_ms // self.interval_ms)
                part = tick % parts
                first, last = part * BUCKETS // parts, (part + 1) * BUCKETS // parts
                to.sweep.add(to.swarms, first, last)
        before_us = self.time_us - settings.max_peer_timeout * 1_000_000
        # After an outage every peer gets one timeout, because no peer could announce during it.
        if before_us < to.tally.resumed_us:
            before_us = -1
        drop_empty = settings.remove_peerless_torrents
        remembers = settings.private and settings.accounting > 1
        to.sweep.step(to.swarms, before_us, drop_empty, to.expire, remembers)

    def pass_time(self, to: Accounting) -> None:
        """Does what ticks do to dates, factors and freeleech tokens, for the state and the ledger
        alike.
        """
        to.freeleech.expire(self.time_us)
        if self.wall_us == NO_WALL:
            to.factors.drop_expired(self.time_us)
            return
        to.dates.note(self.time_us, self.wall_us)
        to.factors.expire(self.time_us, 0 if self.goes_on else self.interval_ms)

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"interval_ms": self.interval_ms, "goes_on": self.goes_on}
        return shown if self.wall_us == NO_WALL else {**shown, "wall_us": self.wall_us}


@fixed_record(4, "counted", "<QHH4xQ")
@frozen
class Counted(FixedRecord):
    """A counter rose (`events.COUNTER_NAMES`). It counts requests that leave no event."""

    counter: int
    label: int
    delta: int

    def apply(self, to: Target, seq: int) -> None:  # noqa: ARG002  # the base's name
        key = self.counter, self.label
        to.tally.counters[key] = to.tally.counters.get(key, 0) + self.delta

    def shown(self) -> dict[str, Any]:
        name = events.COUNTER_NAMES.get(self.counter, str(self.counter))
        return {"counter": name, "label": self.label, "delta": self.delta}


@fixed_record(6, "refusals_counted", "<QH6xQ32s8s")
@frozen
class RefusalsCounted(FixedRecord):
    """Requests of one client were refused for one reason.

    `client` or `version` is "" if it is unknown.
    """

    reason: int  # the label of the counter `refused_requests`
    delta: int
    client: str = field(converter=_text)  # at most 32 bytes
    version: str = field(converter=_text)  # at most 8 bytes

    def apply(self, to: Target, seq: int) -> None:  # noqa: ARG002  # the base's name
        key = self.reason, self.client, self.version
        to.tally.refusals[key] = to.tally.refusals.get(key, 0) + self.delta

    def shown(self) -> dict[str, Any]:
        return {
            "label": self.reason,
            "client": self.client or None,
            "version": self.version or None,
            "delta": self.delta,
        }


@fixed_record(8, "announce_refused", "<QIH2x20s4x")
@frozen
class AnnounceRefused(FixedRecord):
    """An announce with a key that was once issued was refused.

    `tracker.service.refused_keys` says how many of them are logged. Earlier versions logged admin
    events of the same name.
    """

    key_ref: int
    reason: int  # the label of the counter `refused_requests`
    info_hash: bytes

    def apply(self, to: Target, seq: int) -> None:
        """Changes nothing; the counters have all refusals."""

    def shown(self) -> dict[str, Any]:
        return {
            "key_ref": self.key_ref,
            "reason": name_of(self.reason),
            "info_hash": self.info_hash.hex(),
        }


@fixed_record(7, "client_named", f"<QH6x{PREFIX_BYTES}s{AGENT_BYTES}s")
@frozen
class ClientNamed(FixedRecord):
    """A client got a number, by which announces name it. The numbers follow each other from 1 on.

    `prefix` or `agent` is b"" if there is none.
    """

    client: int
    prefix: bytes = field(converter=_filled)  # of the peer_id, see `prefix_of`
    agent: bytes = field(converter=_filled)  # the User-Agent as received, cut to its first bytes

    def apply(self, to: Target, seq: int) -> None:
        if self.client != len(to.clients.pairs) + 1 or self.client > MOST:
            raise ReplayError(f"event {seq} gives a client the number {self.client} out of turn")
        to.clients.add(self.prefix, self.agent)

    def shown(self) -> dict[str, Any]:
        return {
            "client": self.client,
            "peer_id_prefix": shown_text(self.prefix) or None,
            "user_agent": shown_text(self.agent) or None,
        }
