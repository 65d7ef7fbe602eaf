"""The announce path: decides, appends and applies without an await, so that log order is state
order.

A batch is `begin`, `announce` for each, `end`. Every refusal comes before the append, because
applying cannot fail. This module can be compiled, with the types in the .pxd beside it; both builds
give the same replies (docs/architecture.md).
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from eventlog import FRAME_BYTES
from tracker.domain import choice, events, packed, refusals
from tracker.domain.clients import AGENT_BYTES, MOST, MOST_OF_ACCOUNT, prefix_of
from tracker.domain.events.announce import SCHEMA
from tracker.domain.events.records import AnnounceRefused, ClientNamed, Evicted
from tracker.domain.limits import NO_BUDGET
from tracker.domain.rules import Rules
from tracker.service.append import append_record
from tracker.service.rate_limits import Rate
from tracker.service.refused_keys import RefusedKeys

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from tracker.domain.access import Key
    from tracker.domain.state import State
    from tracker.service.append import Clock, Log

NUMWANT_UNKNOWN = 65535
"""Logged for an absent `numwant`, and for one that does not fit, because the record's field has 16
bits.
"""

EARLY = -100
"""Returned by `announce` for a logged announce that came too soon, so that its reply lists no
peers.
"""

LEECH_OFF = -101
"""Returned by `announce` for a logged announce of an account with leech off while something is
left, so that its reply lists no peers.
"""

_NEVER = 2**64 - 1  # the end of a key that has none, in log time
_never = _NEVER  # has a type in the .pxd, as `_nowhere` in `directory.py`

ACCOUNT_BURST = 10
"""Minutes' worth of requests that an account may make at once, as after an outage."""

# `Announcing` has these numbers as literals, because a global costs a dictionary look-up. This
# check fails when a constant changes.
_RULES = events.RULE_FIRST, events.RULE_CONTINUED, events.RULE_RESTARTED, events.RULE_RESUMED
_BITS = events.FLAG_NUMWANT_ABSENT, events.FLAG_DICTIONARIES, events.FLAG_EARLY
if (events.STOPPED, choice.INTERVAL, *_RULES) != (3, 2, 1, 2, 3, 4) or (
    (*_BITS, NO_BUDGET) != (1, 2, 4, 1 << 30)
):
    raise AssertionError("Announcing spells these numbers out")


if FRAME_BYTES != 65536:
    raise AssertionError("Announcing.go_on spells this number out")


class Holder:
    """A key in force, as announces need it. It holds until keys may have changed."""

    __slots__ = ("account", "ends_us", "key_ref", "text", "valid_until_us", "version")

    def __init__(self, text: bytes, key: Key, ends_us: int, version: int) -> None:
        """`ends_us`: log time, `_NEVER` where ends count for nothing. `version`: number of the last
        change before it.
        """
        self.text = text
        self.account = key.account
        self.key_ref = key.key_ref
        self.valid_until_us = key.valid_until_us
        self.ends_us = ends_us
        self.version = version


class Announcing:
    """Decides and logs announces, and the events that may interrupt a batch.

    `peer` is the peer of the latest announce, 0 after `stopped`, and `number` that announce's
    number in the log. By this and `selection_key` the reply's peers are chosen. `cap` is the
    largest number of peers in a reply, and `budget` that in the reply to the latest announce. Peers
    of account `apart` are left out, 0 = nobody's.
    `barred_for` is what clients may read of why the latest torrent or network was barred. If
    `guarded` is true, a front end must call `admit` before `announce`. If `hiding` is true, it must
    ask before it scrapes.
    `tracker.service.service.Service` adds everything else that appends.
    """

    __slots__ = (
        "_account_rate",
        "_blacklist",
        "_client_numbers",
        "_clock",
        "_interval",
        "_jitter",
        "_keys",
        "_leaves_out_own",
        "_limits",
        "_listed",
        "_log",
        "_named",
        "_now_us",
        "_open",
        "_plain",
        "_policed",
        "_protected",
        "_rate",
        "_refused",
        "_rules",
        "_scratch",
        "_seq",
        "_state",
        "_swarms",
        "_version",
        "_whitelist",
        "apart",
        "barred_for",
        "budget",
        "cap",
        "guarded",
        "hiding",
        "number",
        "peer",
        "private",
        "selection_key",
    )

    def __init__(
        self,
        log: Log,
        state: State,
        clock: Clock,
        selection_key: bytes,
    ) -> None:
        """`selection_key`: 32 secret bytes for the choice of peers in large swarms, and for the
        jitter of intervals.
        """
        self._log = log
        self._state = state
        self._clock = clock
        self.selection_key: array[int] = choice.halves(selection_key)
        log.pool.lead_us = state.dates.lead_us
        self._swarms = state.swarms
        self._whitelist = state.access.whitelist
        self._blacklist = state.sanctions.names
        self._limits = state.limits
        self.budget = NO_BUDGET
        self.barred_for = ""
        self.apart = 0
        self._client_numbers = state.clients
        self._obey_settings()
        # Keys in force, as clients write them; see `forget_keys`.
        self._keys: dict[bytes, Holder] = {}
        self._version = 0
        self._refused = RefusedKeys()
        self._named: dict[int, int] = {}  # clients that got a number, by account
        self.peer = 0
        self.number = 0
        self._now_us = 0
        self._open = False
        self._seq = 0
        self._plain = bytearray()
        self._protected = bytearray()
        self._scratch = bytearray(18)  # for the endpoint of the announce in hand

    def begin(self) -> int:
        """Opens a batch: reads the clock once, and asks the log once for room.

        Returns log time in microseconds.
        """
        now = self._now_us = self._clock.now_us()
        frame = self._log.pool.frame(events.ANNOUNCE, SCHEMA, now)
        self._open = self._log.has_room()  # afterwards, because it counts the open frame as full
        self._plain = frame.plain
        self._protected = frame.protected
        self._seq = self._state.seq
        return now

    def end(self) -> None:
        """Closes a batch, so that the log may commit it."""
        if self._seq != self._state.seq:
            self._state.announced(self._seq, self._now_us)
            self._log.appended()

    def go_on(self) -> None:
        """Takes more announces into the batch, although replies to some were sent."""
        if len(self._plain) >= 65536:  # eventlog.FRAME_BYTES
            self.end()
            self.begin()

    def announce(
        self,
        listener: int,
        path: int,
        address: bytes,
        port: bytes,
        info_hash: bytes,
        peer_id: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        numwant: int,
        flags: int,
        key_hash: int,
        key: Holder | None = None,
        agent: bytes = b"",
    ) -> int:
        """Decides, appends and applies one announce whose fields are objects; see `decide`."""
        if (
            len(info_hash) != 20 or len(peer_id) != 20 or len(port) != 2
            or len(address) != (16 if path & 1 else 4)
        ):  # fmt: skip
            raise ValueError("a field of another length")
        return self.decide(
            listener, path, address, port, info_hash, peer_id, uploaded, downloaded, left, event,
            numwant, flags, key_hash, key, agent,
        )  # fmt: skip

    def decide(
        self,
        listener: int,
        path: int,
        address: bytes,
        port: bytes,
        info_hash: bytes,
        peer_id: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        numwant: int,
        flags: int,
        key_hash: int,
        key: Holder | None,
        agent: bytes,
    ) -> int:
        """Decides, appends and applies one announce. Call it between `begin` and `end`.

        In compiled code the fields lie where the request has them, so that no object is made.

        Args:
            listener: number to log the announce with, 0..255.
            path: protocol and family, events.HTTP4 to events.UDP6.
            address: 4 or 16 bytes.
            port: 2 bytes, big-endian.
            info_hash: 20 bytes, and so has the peer_id.
            left: bytes, or events.LEFT_UNKNOWN.
            numwant: as the client sent it, or `NUMWANT_UNKNOWN`.
            key_hash: 16 bits of the `key` parameter that the client chose; not a tracker key.
            key: the tracker key from `admit` in a private mode, else None.
            agent: the User-Agent, b"" = none.

        Returns:
            The torrent (0 for a `stopped` of an unknown torrent), a refusal (negative), `EARLY`, or
            `LEECH_OFF`.
        """
        v6 = path & 1 != 0  # events.HTTP6, events.UDP6
        if key is not None:
            return self._announce_keyed(
                key, listener, path, address, port, info_hash, peer_id, uploaded, downloaded, left,
                event, numwant, flags, key_hash, agent,
            )  # fmt: skip
        if not self._open:
            return refusals.LOG_FULL
        if self._state.barring:
            barred = self._barred(address, v6, info_hash, peer_id, event)
            if barred:
                return barred
        if self._listed and not self._whitelist.number(info_hash):
            return refusals.NOT_WHITELISTED
        swarms = self._swarms
        torrent = swarms.torrent_of(info_hash)
        endpoint = packed.endpoint(self._scratch, address, port, v6)
        peer = (swarms.v6 if v6 else swarms.v4).find(torrent, endpoint) if torrent else 0
        early = False
        if self._policed:
            rules = self._rules
            refusal = rules.refusal(swarms, torrent, peer, port, peer_id, event, 0)
            if refusal:
                return refusal
            early = rules.early(swarms, peer, endpoint, v6, event, self._now_us)
            if event == 1 and not (self._listed or rules.counts(swarms, torrent, info_hash)):
                event = 0  # events.NONE, because `completed` in the log counts
        client = self._client_numbers.find(peer_id, agent)
        if not client and (agent or packed.prefix(peer_id)):
            client = self._name_client(peer_id[:20], agent)
        if peer:
            there, last_up, last_down, prev_seq = packed.numbers(swarms.rows, peer * 72)
            if not packed.same_id(there, peer_id):
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
        packed.add_plain(
            self._plain, now, info_hash, peer_id, uploaded, downloaded, left, 0, prev_seq, numwant,
            flags, listener, what, rule, client,
        )  # fmt: skip
        packed.add_protected(self._protected, address, peer_id, port, key_hash, v6)
        self.number = seq
        self._seq = seq + 1
        self.peer = peer = swarms.announce(
            seq, now, torrent, peer, info_hash, peer_id, endpoint,
            uploaded, downloaded, left, what, rule,
        )  # fmt: skip
        if early:
            return EARLY
        if peer and not torrent:
            torrent, _ = packed.standing(swarms.rows, peer * 72)
        return torrent

    def admits(self, address: bytes, v6: bool) -> bool:
        """Counts a request from an address of 4 or 16 bytes, which compiled code gives as a
        pointer; False = the address made too many requests this minute, and it is not counted."""
        return self._rate is None or self._rate.admits(address, v6, self._now_us)

    def admit(self, address: bytes, text: bytes | None) -> Holder | int | None:
        """Checks the rules before an announce that all protocols share: the key, and the rate.

        A valid key's requests count for its account, because many members may share an address. All
        others count for their address.

        Args:
            address: 4 or 16 bytes; b"" if a proxy hides the address: then no rate applies.
            text: the key that the client sent, 32 letters and digits, or None.

        Returns:
            The key in force, None outside of private modes, or a refusal.
        """
        key = self.authenticate(text, self._now_us) if self.private else None
        if self._rate is not None and not self._within_rate(address, key):
            return refusals.RATE_EXCEEDED
        return key

    def holds(self, known: Holder) -> bool:
        """Tells whether what `admit` once returned is in force, and counts a request of its
        account; False = nothing is counted, and only `admit` can tell.
        """
        return (
            known.version == self._version
            and known.ends_us >= self._now_us
            and (self._rate is None or self._account_rate.spend(known.account, self._now_us))
        )

    def forget_keys(self) -> None:
        """Forgets which keys are in force. Call it after admin events, and when the lead of log
        time changes.
        """
        self._keys.clear()
        self._version += 1

    def _within_rate(self, address: bytes, key: Holder | int | None) -> bool:
        """Counts a request for the account of its valid key, else for its address (b"" =
        unknown)."""
        if key is None or isinstance(key, int):
            return not address or self.admits(address, len(address) == 16)
        return self._account_rate.spend(key.account, self._now_us)

    def whitelisted(self, info_hash: bytes) -> bool:
        """Tells whether a torrent may be announced in the mode in force."""
        return not self._listed or info_hash in self._whitelist

    def authenticate(self, text: bytes | None, now_us: int = 0) -> Holder | int:
        """Returns the key in force for a client's key text (32 letters and digits, or None), or a
        refusal. `now_us`: log time; 0 = the clock's.
        """
        if not text:
            return refusals.KEY_MISSING
        found = self._keys.get(text)
        if found is None:
            held = self.held(sha256(text).digest(), text)
            if isinstance(held, int):
                return held
            found = self._keys[text] = held
        if found.ends_us != _never and found.ends_us < (now_us or self._clock.now_us()):
            return refusals.KEY_EXPIRED
        return found

    def held(self, digest: bytes, text: bytes = b"") -> Holder | int:
        """Returns the key with this SHA-256, or a refusal. Whether it has expired is not looked at.

        `text`: for the front ends, b"" = it is not known.
        """
        access = self._state.access
        known = access.keys.get(digest)
        if known is None:
            return refusals.KEY_REVOKED if digest in access.revoked else refusals.KEY_UNKNOWN
        date_us, ends_us = known.valid_until_us, _NEVER
        if date_us is not None and self._state.settings.check_keys_expiration:
            ends_us = min(max(self._state.dates.comes(date_us), 0), _NEVER)
        return Holder(text, known, ends_us, self._version)

    def knows(self, text: bytes) -> bool:
        """Tells whether a key was ever issued. Keys that came from another site have any form."""
        if text in self._keys:
            return True
        access, digest = self._state.access, sha256(text).digest()
        return digest in access.keys or digest in access.revoked

    def _barred(
        self, address: bytes, v6: bool, info_hash: bytes, peer_id: bytes, event: int
    ) -> int:
        """Returns the refusal for a blocked network, a blacklisted torrent or a refused client, 0 =
        none of them. No client is refused its `stopped`.
        """
        state = self._state
        if state.blocking and self.blocked(address[: 16 if v6 else 4]):
            return refusals.NETWORK_BLOCKED
        sanctions = state.sanctions
        if self._blacklist.number(info_hash):
            sanction = sanctions.blacklist[info_hash[:20]]
            self.barred_for = sanction.reason if sanction.public else ""
            return refusals.TORRENT_BLACKLISTED
        rule = None
        for client in state.refused_clients:
            if packed.begins(peer_id, client) and event != 3:  # events.STOPPED
                rule = sanctions.refusing(peer_id[:20])
                break
        if rule is None:
            return 0
        self.barred_for = rule.text()
        if rule.sanction.public:
            self.barred_for = f"{self.barred_for}: {rule.sanction.reason}"
        return refusals.CLIENT_RULED_OUT

    def blocked(self, address: bytes) -> bool:
        """Tells whether an address of 4 or 16 bytes is in a blocked network."""
        sanction = self._state.sanctions.networks.find(address)
        if sanction is not None:
            self.barred_for = sanction.reason if sanction.public else ""
        return sanction is not None

    def _announce_keyed(
        self,
        holder: Holder,
        listener: int,
        path: int,
        address: bytes,
        port: bytes,
        info_hash: bytes,
        peer_id: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        numwant: int,
        flags: int,
        key_hash: int,
        agent: bytes,
    ) -> int:
        """Announces in a private mode.

        There the account and the peer id identify a peer; it has at most one address of each
        family.
        """
        if not self._open:
            return refusals.LOG_FULL
        v6 = path & 1 != 0
        if self._state.barring:
            barred = self._barred(address, v6, info_hash, peer_id, event)
            if barred:
                self._log_refusal(holder.key_ref, barred, info_hash[:20])
                return barred
        if self._listed and not self._whitelist.number(info_hash):
            self._log_refusal(holder.key_ref, refusals.NOT_WHITELISTED, info_hash[:20])
            return refusals.NOT_WHITELISTED
        swarms = self._swarms
        torrent = swarms.torrent_of(info_hash)
        endpoint = packed.endpoint(self._scratch, address, port, v6)
        account, key_ref = holder.account, holder.key_ref
        peer = evicted = 0
        if torrent:
            peer = (swarms.v6 if v6 else swarms.v4).find(torrent, endpoint)
            if not (peer and packed.is_of_key(swarms.rows, peer, peer_id, key_ref)):
                evicted = peer
                peer = swarms.keyed(torrent, account, peer_id)
                if evicted == peer or event == 3:  # events.STOPPED
                    evicted = 0
        early = False
        if self._policed:
            rules = self._rules
            refusal = rules.refusal(swarms, torrent, peer, port, peer_id, event, evicted)
            if refusal:
                self._log_refusal(holder.key_ref, refusal, info_hash[:20])
                return refusal
            early = rules.early(swarms, peer, endpoint, v6, event, self._now_us)
            if event == 1 and not (self._listed or rules.counts(swarms, torrent, info_hash)):
                event = 0  # as in `decide`
        if self._limits.active and event != 3:
            way = self._limits.decide(
                swarms, torrent, peer, account, info_hash, endpoint, v6, left == 0, evicted,
                self._now_us,
            )  # fmt: skip
            if way < 0:
                self._log_refusal(holder.key_ref, way, info_hash[:20])
                return way
            evicted = way or evicted
        client = self._client_numbers.find(peer_id, agent)
        if not client and (agent or packed.prefix(peer_id)):
            client = self._name_client(peer_id[:20], agent, account)
        if evicted:
            self._evict(evicted)
        flags &= 3  # of an announce that is decided again
        if early and self._limits.handing:
            flags |= 4  # events.FLAG_EARLY
        state = self._state
        base = 0
        if peer:
            _there, last_up, last_down, prev_seq = packed.numbers(swarms.rows, peer * 72)
            went_down = uploaded < last_up or downloaded < last_down
            rule = 3 if went_down and event != 3 else 2  # as in `decide`
            if rule == 2 and prev_seq >= state.listing.since_seq:
                seen_us = packed.seen_us(swarms.rows, peer * 72)
                if self._now_us > state.listing.until(seen_us):
                    # Not listed any more, and not swept yet: as good as swept.
                    rule = 4 if state.remembers(seen_us, self._now_us) else 3
        else:
            base = state.base_for(account, info_hash, peer_id, self._now_us)
            prev_seq = 0
            rule = 1
            if base:
                _mark, last_up, last_down, _seen_us, _ = packed.base_session(
                    state.bases.rows, base * 104
                )
                prev_seq = packed.wide(state.bases.rows, base * 104 + 72)
                went_down = uploaded < last_up or downloaded < last_down
                rule = 3 if went_down and event != 3 else 4
        what = event | path << 4
        packed.add_plain(
            self._plain, self._now_us, info_hash, peer_id, uploaded, downloaded, left, key_ref, prev_seq,
            numwant, flags, listener, what, rule, client,
        )  # fmt: skip
        packed.add_protected(self._protected, address, peer_id, port, key_hash, v6)
        seq = self._seq
        self.number = seq
        self._seq = seq + 1
        self.peer = state.apply_keyed(
            key_ref, account, seq, self._now_us, torrent, peer, info_hash, peer_id, endpoint,
            uploaded, downloaded, left, what, rule, base,
        )  # fmt: skip
        self.budget = 1073741824  # NO_BUDGET
        if self._limits.handing:
            self.budget = state.hand(account, self.peer, what, left, numwant, flags)
        if early:
            return EARLY
        if state.sanctioned and self.peer and state.gets_none(account, left):
            return LEECH_OFF
        if self.peer and not torrent:
            torrent, _ = packed.standing(swarms.rows, self.peer * 72)
        if self._leaves_out_own:
            self.apart = state.apart(account, torrent, self.peer)
        return torrent

    def _name_client(self, peer_id: bytes, agent: bytes, account: int = 0) -> int:
        """Returns the number of a client that `find` missed; logs a new number while there are
        some, and while the account has not used up its share.

        Public modes use half of the numbers, because there anybody can make up clients.
        """
        clients, prefix, agent = self._client_numbers, prefix_of(peer_id), agent[:AGENT_BYTES]
        if not (prefix or agent):
            return 0
        number = clients.number(prefix, agent)
        if number or len(clients.pairs) >= (MOST if self.private else MOST // 2):
            return number
        if account:
            named = self._named.get(account, 0)
            if named >= MOST_OF_ACCOUNT:
                return 0
            self._named[account] = named + 1
        with self._interrupted():
            record = ClientNamed(self._now_us, len(clients.pairs) + 1, prefix, agent)
            append_record(self._log, self._state, record)
        return len(clients.pairs)

    def _evict(self, peer: int) -> None:
        """Logs and applies that a peer leaves because another one announced from its address."""
        swarms = self._swarms
        row = swarms.peer(peer)
        place = swarms.place_of(row.torrent, peer)
        with self._interrupted():
            record = Evicted(self._now_us, swarms.hash_of(row.torrent), place, row.last_seq)
            append_record(self._log, self._state, record)

    def _log_refusal(self, key_ref: int, refusal: int, info_hash: bytes) -> None:
        """Logs the refusal of a known key, if `RefusedKeys` has room for it."""
        if self._refused.first(key_ref, refusal, info_hash, self._now_us):
            with self._interrupted():
                record = AnnounceRefused(self._now_us, key_ref, -refusal, info_hash)
                append_record(self._log, self._state, record)

    def refused_key(self, text: bytes, refusal: int, info_hash: bytes) -> None:
        """Logs the refusal of a key that was once issued; ignores other keys.

        Call it between `begin` and `end`.
        """
        digest = sha256(text).digest()
        key = self._state.access.keys.get(digest) or self._state.access.revoked.get(digest)
        if key is not None and self._open:
            self._log_refusal(key.key_ref, refusal, info_hash)

    @contextmanager
    def _interrupted(self) -> Iterator[None]:
        """Lets the block append events of another kind in the middle of a batch.

        First enters the announces of the batch so far in the state. After the block the batch goes
        on in a new frame.
        """
        if self._seq != self._state.seq:
            self._state.announced(self._seq, self._now_us)
        yield
        self._now_us = max(self._now_us, self._state.time_us)
        frame = self._log.pool.frame(events.ANNOUNCE, SCHEMA, self._now_us)
        self._plain = frame.plain
        self._protected = frame.protected
        self._seq = self._state.seq
        self._log.appended()

    def interval(self) -> int:
        """Returns the seconds from the latest announce until the next, with the policy's jitter.

        The jitter is drawn like the peers, from the secret and the announce's number. It is not
        logged, because it does not change the state.
        """
        most = self._jitter
        if not most:
            return self._interval
        drawn = choice.drawn(self.selection_key, 2, self.number)  # choice.INTERVAL
        return self._interval + drawn % (most + 1)

    def _obey_settings(self) -> None:
        settings = self._state.settings
        self._listed = settings.listed
        self.private = settings.private
        self._interval = settings.interval
        self._jitter = settings.policy.interval_jitter
        self.cap = settings.max_peers_per_announce
        self._leaves_out_own = settings.private and settings.policy.leave_out_own_clients
        self.apart = 0
        self.budget = NO_BUDGET
        self._rules = Rules(settings.policy, settings.interval_min)
        self._policed = self._rules.active
        limit = settings.policy.requests_per_minute
        self._rate = Rate(limit) if limit else None
        self._account_rate = Rate(limit or 1, ACCOUNT_BURST)
        self.hiding = bool(self._listed or settings.private or limit)
        self.guarded = bool(settings.private or limit)
