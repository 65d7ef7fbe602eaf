"""The one write path: decide, append, apply, answer.

Announces go through `begin` (once a batch) and `announce` (each), plain calls with no await between append
and apply, so that log order is state order. Whatever may refuse does so before the append. Admin commands take the
same path and are answered once durable.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from hashlib import blake2s, sha256
from typing import TYPE_CHECKING, Any, Protocol

from tracker.domain import codec, events, policy, slices
from tracker.domain.policy import Rules
from tracker.domain.swarms import BEFORE, ROW_SIZE
from tracker.sources import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eventlog import Pool
    from tracker.domain.access import Key
    from tracker.domain.settings import Settings
    from tracker.domain.state import State
    from tracker.domain.swarms import Swarms

# Refusals of an announce: what `announce` returns instead of a torrent.
LOG_FULL = -1
NOT_WHITELISTED = -2
KEY_MISSING = -3
KEY_UNKNOWN = -4
KEY_EXPIRED = -5
KEY_REVOKED = -6

REFUSALS = {
    LOG_FULL: "log_full",
    NOT_WHITELISTED: "not_whitelisted",
    KEY_MISSING: "key_missing",
    KEY_UNKNOWN: "key_unknown",
    KEY_EXPIRED: "key_expired",
    KEY_REVOKED: "key_revoked",
    **policy.REFUSALS,
}

EARLY = -100
"""No refusal: what `announce_policed` and `announce_keyed` return when all is done, but the peer asked too soon and is
told of no others."""

REFUSAL_SECONDS = 60
"""Refusals of a known key are logged at most this often for each key and reason."""

_PLAIN = codec.PLAIN.pack
_SEALED = codec.SEALED.pack
_SEALED4 = codec.SEALED4.pack
_BEFORE = BEFORE.unpack_from
_V4_MAPPED = codec.V4_MAPPED

# `announce` spells these out: a global is a dictionary look-up. This holds the spelling to the names.
if (ROW_SIZE, events.STOPPED, events.RULE_FIRST, events.RULE_CONTINUED, events.RULE_RESTARTED) != (
    72, 3, 1, 2, 3,
):  # fmt: skip
    raise AssertionError("Service.announce spells these numbers out")


class Log(Protocol):
    """What the service needs of an event log; `eventlog.EventLog` is one."""

    pool: Pool

    def has_room(self, *, reserved: bool = False) -> bool: ...

    def appended(self) -> None: ...

    async def wait_durable(self, seq: int) -> None: ...


class Clock(Protocol):
    def now_us(self) -> int: ...

    def earlier_us(self) -> int: ...

    def adjust(self) -> int: ...


class Service:
    """Owner of the live state's changes. `peer` is the peer of the latest announce (0 after `stopped`)."""

    __slots__ = (
        "_clock",
        "_keys",
        "_listed",
        "_log",
        "_now_us",
        "_open",
        "_plain",
        "_rate",
        "_refused_us",
        "_rules",
        "_sealed",
        "_selection_key",
        "_seq",
        "_slice",
        "_state",
        "_swarms",
        "_whitelist",
        "cap",
        "guarded",
        "peer",
        "pending",
        "private",
        "strict",
    )

    def __init__(
        self,
        log: Log,
        state: State,
        clock: Clock,
        selection_key: bytes,
        *,
        strict: bool = False,
    ) -> None:
        """`selection_key`: 32 secret bytes from which the choice of peers in large swarms follows.

        `strict`: who answers announces awaits `settle` first.
        """
        self.strict = strict
        self._log = log
        self._state = state
        self._clock = clock
        self._selection_key = selection_key
        self._swarms = state.swarms
        self._whitelist = state.access.whitelist
        self._obey_settings()
        self._keys: dict[
            bytes, Key
        ] = {}  # keys in force, as clients write them; emptied by admin events
        self._refused_us: dict[tuple[int, int], int] = {}  # when, by key_ref and refusal
        self._slice = 0  # of the state: the next that a tick says the digest of
        self.peer = 0
        self.pending: dict[tuple[int, int], int] = {}  # counter deltas that are not logged yet
        self._now_us = 0
        self._open = False
        self._seq = 0
        self._plain = bytearray()
        self._sealed = bytearray()

    @property
    def state(self) -> State:
        return self._state

    @property
    def swarms(self) -> Swarms:
        return self._swarms

    @property
    def settings(self) -> Settings:
        return self._state.settings

    def now_us(self) -> int:
        """Log time."""
        return self._clock.now_us()

    def earlier_us(self) -> int:
        """The earlier of log time and the wall clock."""
        return self._clock.earlier_us()

    def begin(self) -> int:
        """Open a batch: read the clock and ask the log for room, once. Returns log time in microseconds."""
        now = self._now_us = self._clock.now_us()
        self._open = self._log.has_room()
        frame = self._log.pool.frame(events.ANNOUNCE, codec.ANNOUNCE_SCHEMA, now)
        self._plain = frame.plain
        self._sealed = frame.sealed
        self._seq = self._state.seq
        return now

    def end(self) -> None:
        """Close a batch: let the log commit it."""
        if self._seq != self._state.seq:
            self._state.announced(self._seq, self._now_us)
            self._log.appended()

    async def settle(self) -> None:
        """Return once everything so far is on stable storage. Raises `LogFailedError`."""
        await self._log.wait_durable(self._state.seq - 1)

    def announce(
        self,
        listener: int,
        path: int,
        address: bytes,
        port: bytes,
        info_hash: bytes,
        id_head: bytes,
        id_tail: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        numwant: int,
        flags: int,
        key_hash: int,
    ) -> int:
        """Decide, append and apply one announce; only between `begin` and `end`.

        Args:
            listener: number of the listener, 0..255.
            path: protocol and family, events.HTTP4 to events.UDP6.
            address: 4 or 16 bytes.
            port: 2 bytes, big-endian.
            id_head, id_tail: the peer_id's first 8 and last 12 bytes.
            left: bytes, or events.LEFT_UNKNOWN.
            numwant: as asked, 0..65535.
            key_hash: 16 bits of the client's `key`.

        Returns:
            The torrent (0 when it is not tracked: `stopped` of a stranger), or a refusal (negative).

        Knows nothing of keys and of the site's own rules: `announcer` says which way of announcing is due.
        """
        if not self._open:
            return LOG_FULL
        if self._listed and info_hash not in self._whitelist:
            return NOT_WHITELISTED
        swarms = self._swarms
        torrent = swarms.buckets[info_hash[0]].get(info_hash, 0)
        endpoint = address + port
        if len(address) == 4:
            peer = swarms.v4.find(torrent, endpoint) if torrent else 0
            sealed = _SEALED4(_V4_MAPPED, address, id_tail, port, key_hash)
        else:
            peer = swarms.v6.find(torrent, endpoint) if torrent else 0
            sealed = _SEALED(address, id_tail, port, key_hash)
        if peer:
            last_head, last_tail, last_up, last_down, prev_seq = _BEFORE(swarms.rows, peer * 72)
            if last_tail != id_tail or last_head != id_head:
                rule = 3  # events.RULE_RESTARTED
            elif (uploaded < last_up or downloaded < last_down) and event != 3:
                rule = 3  # a new session; but `stopped` may come with zeros
            else:
                rule = 2  # events.RULE_CONTINUED
        else:
            prev_seq = 0
            rule = 1  # events.RULE_FIRST
        what = event | path << 4
        now = self._now_us
        seq = self._seq
        self._plain += _PLAIN(
            now, info_hash, id_head, uploaded, downloaded, left, 0, prev_seq, numwant,
            flags, listener, what, rule,
        )  # fmt: skip
        self._sealed += sealed
        self._seq = seq + 1
        self.peer = swarms.announce(
            seq, now, torrent, peer, info_hash, id_head, id_tail, endpoint,
            uploaded, downloaded, left, what, rule,
        )  # fmt: skip
        return torrent or swarms.lookup(info_hash)

    def announcer(self, key: Key | None) -> Callable[..., int]:
        """The way to announce that is due now, with the key of a private mode; called as `announce`.

        It may also return `EARLY`. Where `guarded` is false it is `announce`.
        """
        if key is not None:
            return partial(self.announce_keyed, key)
        return self.announce_policed if self._rules.active else self.announce

    def announce_policed(
        self,
        listener: int,
        path: int,
        address: bytes,
        port: bytes,
        info_hash: bytes,
        id_head: bytes,
        id_tail: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        numwant: int,
        flags: int,
        key_hash: int,
    ) -> int:
        """`announce` where the site has rules of its own."""
        early = False
        if self._open and self.whitelisted(info_hash):
            swarms, rules, endpoint = self._swarms, self._rules, address + port
            torrent = swarms.lookup(info_hash)
            peer = swarms.find(torrent, endpoint) if torrent else 0
            refusal = rules.refusal(swarms, torrent, peer, port, id_head + id_tail, event)
            if refusal:
                return refusal
            early = rules.early(swarms, peer, endpoint, event, self._now_us)
        returned = self.announce(
            listener, path, address, port, info_hash, id_head, id_tail, uploaded, downloaded,
            left, event, numwant, flags, key_hash,
        )  # fmt: skip
        return EARLY if early else returned

    def admits(self, address: bytes) -> bool:
        """Count a request of an address, 4 or 16 bytes; False = it has made too many. Between `begin` and `end`."""
        return self._rate is None or self._rate.admits(address, self._now_us)

    def whitelisted(self, info_hash: bytes) -> bool:
        """Whether the torrent may be announced, in the mode in force."""
        return not self._listed or info_hash in self._whitelist

    def authenticate(self, text: bytes | None) -> Key | int:
        """The key in force that a client gave, or a refusal. 32 alphanumeric characters, or None."""
        if not text:
            return KEY_MISSING
        key = self._keys.get(text)
        if key is None:
            access = self._state.access
            digest = sha256(text).digest()
            key = access.keys.get(digest)
            if key is None:
                return KEY_REVOKED if digest in access.revoked else KEY_UNKNOWN
            self._keys[text] = key
        if (
            key.valid_until_us is not None
            and self._clock.now_us() > key.valid_until_us
            and self._state.settings.check_keys_expiration
        ):
            return KEY_EXPIRED
        return key

    def announce_keyed(
        self,
        key: Key,
        listener: int,
        path: int,
        address: bytes,
        port: bytes,
        info_hash: bytes,
        id_head: bytes,
        id_tail: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        numwant: int,
        flags: int,
        key_hash: int,
    ) -> int:
        """`announce` in a private mode: a peer is an account's peer_id, at one address of each family."""
        if not self._open:
            return LOG_FULL
        if self._listed and info_hash not in self._whitelist:
            self._log_refusal(key, NOT_WHITELISTED, info_hash)
            return NOT_WHITELISTED
        swarms = self._swarms
        torrent = swarms.lookup(info_hash)
        endpoint = address + port
        peer = swarms.keyed(torrent, key.account, id_head + id_tail) if torrent else 0
        holder = swarms.find(torrent, endpoint) if torrent and event != events.STOPPED else 0
        evicted = holder if holder != peer else 0
        early = False
        if self._rules.active:
            refusal = self._rules.refusal(
                swarms, torrent, peer, port, id_head + id_tail, event, key.account, evicted
            )
            if refusal:
                self._log_refusal(key, refusal, info_hash)
                return refusal
            early = self._rules.early(swarms, peer, endpoint, event, self._now_us)
        if evicted:
            self._evict(info_hash, evicted)
        prev_seq, rule = 0, events.RULE_FIRST
        if peer:
            before = swarms.peer(peer)
            went_down = uploaded < before.uploaded or downloaded < before.downloaded
            restarted = went_down and event != events.STOPPED
            rule = events.RULE_RESTARTED if restarted else events.RULE_CONTINUED
            prev_seq = before.last_seq
        what = event | path << 4
        plain = _PLAIN(
            self._now_us, info_hash, id_head, uploaded, downloaded, left, key.key_ref, prev_seq,
            numwant, flags, listener, what, rule,
        )  # fmt: skip
        sealed = _SEALED(
            address if len(address) == 16 else _V4_MAPPED + address, id_tail, port, key_hash
        )
        self._plain += plain
        self._sealed += sealed
        seq = self._seq
        self._seq = seq + 1
        self.peer = self._state.apply_keyed(
            key.key_ref, key.account, seq, self._now_us, torrent, peer, info_hash, id_head,
            id_tail, endpoint, uploaded, downloaded, left, what, rule,
        )  # fmt: skip
        return EARLY if early else torrent or swarms.lookup(info_hash)

    def _evict(self, info_hash: bytes, peer: int) -> None:
        """Another peer announced from this one's address: it has to go, and that is an event of its own."""
        swarms = self._swarms
        last_seq = swarms.peer(peer).last_seq
        place = swarms.place_of(swarms.lookup(info_hash), peer)
        record = codec.EVICTION.pack(self._now_us, info_hash, place, last_seq)
        with self._interrupted():
            self._log.pool.append(events.EVICTIONS, codec.EVICTIONS_SCHEMA, self._now_us, record)
            self._state.apply_eviction(self._now_us, info_hash, place, last_seq)

    def _log_refusal(self, key: Key, refusal: int, info_hash: bytes) -> None:
        """What a known key was refused is an event; not more often than anybody needs to know."""
        if self._now_us - self._refused_us.get((key.key_ref, refusal), 0) < REFUSAL_SECONDS * 10**6:
            return
        self._refused_us[key.key_ref, refusal] = self._now_us
        data = {
            "key_ref": key.key_ref,
            "reason": REFUSALS[refusal],
            "info_hash": info_hash.hex(),
        }
        with self._interrupted():
            self.admin(events.ANNOUNCE_REFUSED, data)

    def refused_key(self, text: bytes, refusal: int, info_hash: bytes) -> None:
        """Log that a key that was once issued is refused; between `begin` and `end`."""
        digest = sha256(text).digest()
        key = self._state.access.keys.get(digest) or self._state.access.revoked.get(digest)
        if key is not None and self._open:
            self._log_refusal(key, refusal, info_hash)

    @contextmanager
    def _interrupted(self) -> Iterator[None]:
        """An event of another kind in the middle of a batch: the state stands where the batch is, and
        the batch goes on in a frame after it."""
        if self._seq != self._state.seq:
            self._state.announced(self._seq, self._now_us)
        yield
        self._now_us = max(self._now_us, self._state.time_us)
        frame = self._log.pool.frame(events.ANNOUNCE, codec.ANNOUNCE_SCHEMA, self._now_us)
        self._plain = frame.plain
        self._sealed = frame.sealed
        self._seq = self._state.seq
        self._log.appended()

    def chance(self) -> int:
        """64 bits for the choice of peers: a function of the secret and the log position alone."""
        seq = self._seq.to_bytes(8, "little")
        return int.from_bytes(blake2s(seq, key=self._selection_key, digest_size=8).digest(), "big")

    def interval(self) -> int:
        """Seconds until the next announce. What is added at random is, like `chance`, a function of the secret and the
        log position; it changes nothing here, so it is not logged."""
        settings = self._state.settings
        most = settings.policy.interval_jitter
        if not most:
            return settings.interval
        seq = self._seq.to_bytes(8, "little")
        drawn = blake2s(seq, key=self._selection_key, digest_size=8, person=b"interval").digest()
        return settings.interval + int.from_bytes(drawn, "big") % (most + 1)

    def downloaders(self, info_hash: bytes) -> int:
        """Leechers that are no partial seeds (BEP 21), in the same way as `scrape`."""
        return self._swarms.downloaders(info_hash) if self.whitelisted(info_hash) else 0

    def scrape(self, info_hash: bytes) -> tuple[int, int, int]:
        """Seeders, completed, leechers; zeros for a torrent that may not be asked about."""
        if self._listed and info_hash not in self._whitelist:
            return 0, 0, 0
        return self._swarms.counts(info_hash)

    def count(self, counter: int, label: int = 0) -> None:
        """Note something that is logged as a counter, not as an event of its own."""
        key = counter, label
        self.pending[key] = self.pending.get(key, 0) + 1

    def refused(self, refusal: int) -> None:
        self.count(events.REFUSED_REQUESTS, -refusal)

    # Events that time and the process bring.

    def flush_counters(self) -> None:
        """Log the counters' deltas."""
        pending, self.pending = self.pending, {}
        now = self._clock.now_us()
        for (counter, label), delta in sorted(pending.items()):
            record = codec.COUNTER.pack(now, counter, label, 0, delta)
            self._log.pool.append(events.COUNTERS, codec.COUNTERS_SCHEMA, now, record)
            self._state.apply_counter(now, counter, label, delta)
        self._log.appended()

    def tick(self, *, goes_on: bool = False) -> int:
        """Log and apply the passing of time: peers expire here and nowhere else.

        While `state.sweep` is not done, a tick that `goes_on` is due after a checkpoint. Returns microseconds that
        log time was stepped forward by, 0 as a rule.
        """
        stepped = self._clock.adjust()
        if stepped:
            self.admin(events.CLOCK_STEPPED, {"forward_us": stepped})
        now = self._clock.now_us()
        interval_ms = self._state.settings.tick_ms
        number = self._slice % slices.count(self._state)
        self._slice = number + 1
        digest = slices.digest(self._state, number)
        record = codec.TICK.pack(now, interval_ms, goes_on, number, 0, digest)
        self._log.pool.append(events.TICK, codec.TICK_SCHEMA, now, record)
        self._state.apply_tick(now, interval_ms, goes_on)
        self._log.appended()
        return stepped

    def admin(self, kind: int, data: Mapping[str, Any]) -> int:
        """Append and apply an admin event; returns its sequence number."""
        now = self._clock.now_us()
        body = dict(data)
        seq = self._log.pool.append(
            events.ADMIN, codec.ADMIN_SCHEMA, now, codec.encode_admin(kind, now, body)
        )
        self._state.apply_admin(kind, now, body)
        self._keys.clear()
        self._log.appended()
        return seq

    def change_settings(self, settings: Settings) -> None:
        """Put settings in force, as an event, unless they are already."""
        if settings != self._state.settings or self._state.settings_seq < 0:
            self.admin(events.SETTINGS_CHANGED, {"settings": settings.as_data()})
            self._obey_settings()

    def _obey_settings(self) -> None:
        settings = self._state.settings
        self._listed = settings.listed
        self.private = settings.private
        self.cap = settings.max_peers_per_announce
        self._rules = Rules(settings.policy, settings.interval_min)
        limit = settings.policy.requests_per_minute
        self._rate = Rate(limit) if limit else None
        # Whether a front end has anything to ask before it calls `announce`.
        self.guarded = bool(
            settings.private or self._rules.active or limit or settings.policy.interval_jitter
        )
