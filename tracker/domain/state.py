"""Holds the state: everything that the tracker knows, as a function of the log alone.

Only `apply` and its parts change the state. The live path calls the parts right after appending. A
start, a read of a past moment and a check call `apply` with frames from the log. Both ways give the
same state, with the same `digest`. This module applies announces. Other events are applied by their
classes in `tracker.domain.events`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from tracker.domain import events, packed, slice_digest
from tracker.domain.access import Access
from tracker.domain.access_tokens import AccessTokens
from tracker.domain.accounts import MOST, Accounts
from tracker.domain.bases import LOOKED_AT_ONCE, Base, Bases
from tracker.domain.clients import Clients
from tracker.domain.dates import Dates
from tracker.domain.events import codec, schemas
from tracker.domain.events.announce import count_announces
from tracker.domain.events.errors import ReplayError as ReplayError
from tracker.domain.events.records import Tick
from tracker.domain.factors import Factors, as_words
from tracker.domain.freeleech import Freeleech
from tracker.domain.hidden_peers import Hidden, stand_in
from tracker.domain.limits import NO_BUDGET, Limits
from tracker.domain.listing import NEVER, Listing
from tracker.domain.origins import Origins
from tracker.domain.peer_by_seq import Recent
from tracker.domain.sanctions import Sanctions
from tracker.domain.seeding import Seeding
from tracker.domain.settings import Settings
from tracker.domain.staying import EXPIRED, MODE_CHANGED, TRACKER_DOWN
from tracker.domain.swarms import BUCKETS, MARK_COMPLETED, MARK_SNATCHED, ROW_SIZE, Swarms
from tracker.domain.sweep import Sweep
from tracker.domain.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.domain.accounts import Totals
    from tracker.domain.booking import Booking
    from tracker.domain.events.registry import AdminEvent, FixedRecord
    from tracker.domain.limits import Exemption
    from tracker.domain.sanctions import ClientRule, Sanction
    from tracker.domain.staying import Staying

    Section = bytes | memoryview


_day_us, _most = events.DAY_US, MOST  # have types in the .pxd, as `_nowhere` in `directory.py`


class State:
    """The state of the tracker. Only one thread may use it."""

    __slots__ = (
        "_cap",
        "_flags",
        "_leaves_out_own",
        "_remember_us",
        "_scratch",
        "access",
        "access_tokens",
        "accounts",
        "barring",
        "bases",
        "blocking",
        "book",
        "clients",
        "dates",
        "factors",
        "facts",
        "freeleech",
        "gone",
        "hidden",
        "limits",
        "listing",
        "origins",
        "recent",
        "refused_clients",
        "sanctioned",
        "sanctions",
        "seeding",
        "seq",
        "settings",
        "settings_seq",
        "stays",
        "swarms",
        "sweep",
        "tally",
        "time_us",
        "warns",
    )

    def __init__(self) -> None:
        self.seq = 0  # events applied so far: the number of the next one
        self.time_us = 0  # log time of the last event
        self.limits = Limits()
        self.obey(Settings())
        self.settings_seq = -1  # number of the event with the settings; -1 = there is none yet
        self.origins = Origins()
        self.swarms = Swarms()
        self.access = Access()
        self.dates = Dates()
        self.factors = Factors(self.dates)
        self.freeleech = Freeleech()
        self.accounts = Accounts(self.factors)
        # What accounting rules 2 need besides.
        self.listing = Listing()
        self.seeding = Seeding(self.swarms, self.accounts, self.listing)
        self.bases = Bases()
        self.sweep = Sweep()
        self.tally = Tally()
        self.access_tokens = AccessTokens()
        self.clients = Clients()
        self.sanctions = Sanctions()
        self._flags = self.sanctions.flags
        self.sanctioned = False  # accounts have sanctions
        self.warns = False  # a client will be refused, by `sanctions`
        self.barring = False  # torrents, networks or clients are refused, by `sanctions`
        self.blocking = False  # networks are
        self.refused_clients: tuple[bytes, ...] = ()  # the beginnings of their peer ids
        self.facts: dict[bytes, str] = {}  # facts by info hash, see `TorrentDescribed`
        # No part of the state: peers without readable addresses, and an index for replay.
        self.hidden: Hidden | None = None
        self.recent = Recent()
        self._scratch = bytearray(38)  # for the names of the record that is applied
        self.book: Booking | None = None  # where gains are noted for the book
        self.stays: Staying | None = None  # where stays are noted for their index
        # The last announces of peers that were removed, for detectors; None = nobody wants them.
        # Of a peer that went to another account, with the account.
        self.gone: list[int | tuple[int, int]] | None = None

    def apply(
        self,
        kind: int,
        schema: int,
        base_seq: int,
        plain: Section,
        protected: Section,
        *,
        ignorable: int = 0,
    ) -> None:
        """Applies the records of one frame. `protected` is empty if no key decrypted it.

        Compares a tick's digest with the state. `ignorable`: the number of records, if the frame
        allows readers to skip unknown records. Else 0, and an unknown kind, type or schema ends
        replay.

        Raises `ReplayError`, `codec.CodecError` (`codec.UnknownEventError`).
        """
        if base_seq != self.seq:
            raise ReplayError(f"event {base_seq} where {self.seq} is due")
        if not schemas.known(kind, schema):
            if not ignorable:
                raise codec.unknown(base_seq, kind, schema, self.tally.writer)
            self.seq += ignorable
            return
        plain, protected = schemas.newest(kind, schema, plain, protected)
        if kind == events.ANNOUNCE:
            self.swarms.sizing = schema > 1  # so that the digests of older logs stay
            if self._hides(protected):
                self._apply_hidden(plain, protected)
            else:
                self._apply_announces(plain, protected)
            self.swarms.sizing = True
        elif kind == events.ADMIN:
            for admin in codec.decode_admin(bytes(plain)):
                if admin.known:
                    self.apply_admin(admin.event(), admin.time_us)
                elif ignorable:
                    self.seq += 1
                else:
                    raise codec.unknown_admin(self.seq, admin, self.tally.writer)
        else:
            for record in codec.decode_records(kind, plain):
                record.check(self)
                self.apply_record(record)

    def apply_admin(self, event: AdminEvent, time_us: int) -> None:
        """Applies an admin event. Raises the errors of `AdminEvent.apply`."""
        self.seq += 1
        self.time_us = time_us
        event.apply(self, self.seq - 1, time_us)
        book = self.book
        if book is not None and book.judge is not None:
            book.judge.administered(self, event, self.seq - 1, time_us)
        if book is not None and book.seeded is not None and self.settings.private:
            book.seeded.administered(event, max(1, time_us - book.lead_us))

    def apply_record(self, record: FixedRecord) -> None:
        """Applies a record of fixed size. Raises the errors of `FixedRecord.apply`."""
        self.seq += 1
        self.time_us = record.time_us
        record.apply(self, self.seq - 1)
        if self.book is not None and isinstance(record, Tick):
            judge = self.book.judging()
            if judge is not None:
                judge.ticked(self, self.seq - 1, self.time_us)

    def _apply_announces(self, plain: Section, protected: Section) -> None:
        swarms, recent, book, stays = self.swarms, self.recent, self.book, self.stays
        judge = None if book is None else book.judging()
        account_of = self.access.account_of
        seq = self.seq
        time_us = self.time_us
        plain, protected = bytes(plain), bytes(protected)
        count = count_announces(plain, protected)
        recent.prepare(swarms, plain)
        for number in range(count):
            (
                time_us, uploaded, downloaded, left, key_ref, prev_seq, what, rule,
            ) = packed.announced(plain, number * 80)  # fmt: skip
            account = packed.u32(account_of, key_ref)
            peer = recent.peer(prev_seq) if rule != 1 else 0  # events.RULE_FIRST
            torrent, last_seq = packed.standing(swarms.rows, peer * 72)
            known = peer != 0 and last_seq == prev_seq and swarms.present(peer)
            if known and rule == 2 and not account:  # events.RULE_CONTINUED
                info_hash = peer_id = endpoint = b""  # the row has them
            else:
                info_hash, peer_id, endpoint = packed.announcer_in(
                    self._scratch, plain, protected, number
                )
            if not known:
                torrent = swarms.torrent_of(info_hash)
                peer = self._announcer(torrent, account, peer_id, endpoint, what & 0x10 != 0)
                _, last_seq = packed.standing(swarms.rows, peer * 72)
            base = 0
            if last_seq != prev_seq and account and not peer and rule > 2:
                base = self._base(account, prev_seq, info_hash, peer_id)
            if last_seq != prev_seq and not base:
                raise ReplayError(
                    f"event {seq} continues {prev_seq}, but that peer's last announce is {last_seq}"
                )
            before, change = peer, 0
            if stays is not None and peer and (rule != 2 or account):  # else it is where it was
                change = stays.change(swarms, peer, rule, peer_id, endpoint, what & 0x10 != 0)
            if account:
                if book is not None:
                    book.begin(self.accounts, account, swarms, torrent)
                was, seeded = peer != 0, peer and swarms.rows[peer * 72 + 20] & 0x10
                peer = self.apply_keyed(
                    key_ref, account, seq, time_us, torrent, peer, info_hash, peer_id, endpoint,
                    uploaded, downloaded, left, what, rule, base,
                )  # fmt: skip
                if self.limits.handing:
                    numwant, flags = packed.asked(plain, number)
                    self.hand(account, peer, what, left, numwant, flags)
                if book is not None:
                    client = packed.client(plain, number)
                    book.announced(
                        self.accounts, account, info_hash[:20], seq, time_us, client, swarms, peer
                    )
                    if judge is not None:
                        judge.announced(
                            self, account, info_hash[:20], seq, time_us, left, was, seeded != 0, peer != 0,
                            book.gained(self.accounts, account),
                        )  # fmt: skip
            else:
                peer = swarms.announce(
                    seq, time_us, torrent, peer, info_hash, peer_id, endpoint, uploaded, downloaded,
                    left, what, rule,
                )  # fmt: skip
            recent.note(seq, peer)
            if stays is not None:
                stays.announced(
                    swarms, before, peer, change, seq, time_us, key_ref, account, plain, protected,
                    number, False,
                )  # fmt: skip
            seq += 1
        self.announced(seq, time_us)

    def _base(self, account: int, seq: int, info_hash: bytes, peer_id: bytes) -> int:
        """Finds the base of announce `seq`; 0 = none."""
        bases = self.bases
        number = bases.find_after(account, info_hash, peer_id, -1)
        if number and packed.wide(bases.rows, number * 104 + 72) == seq:
            return number
        return bases.by_seq(account, seq) if bases.count else 0

    def base_for(self, account: int, info_hash: bytes, peer_id: bytes, time_us: int) -> int:
        """Returns the base from which a new peer goes on; 0 = none that is new enough."""
        if not self.bases.count:
            return 0
        return self.bases.find_after(account, info_hash, peer_id, time_us - self._remember_us)

    def remembers(self, seen_us: int, time_us: int) -> bool:
        """Tells whether an announce of that time is remembered: neither too old, nor shredded."""
        shredded = self.tally.shredded
        return time_us - seen_us < self._remember_us and not (
            shredded and events.day_name(seen_us // events.DAY_US) in shredded
        )

    def _announcer(
        self, torrent: int, account: int, peer_id: bytes, endpoint: bytes, v6: bool
    ) -> int:
        """Finds the peer as the live tracker did; 0 = a new peer."""
        if not torrent:
            return 0
        swarms = self.swarms
        if account:
            return swarms.keyed(torrent, account, peer_id)
        return (swarms.v6 if v6 else swarms.v4).find(torrent, endpoint)

    def _hides(self, protected: Section) -> bool:
        """Tells whether peers have stand-ins for their addresses, this frame included."""
        if not protected:
            self.hidden = self.hidden or Hidden(self.swarms)
        elif self.hidden is not None and self.hidden.over(self.swarms):
            self.hidden = None
        return self.hidden is not None

    def _apply_hidden(self, plain: Section, protected: Section) -> None:
        """Applies a frame that cannot be decrypted, or that comes while peers have stand-ins."""
        swarms = self.swarms
        hidden = self.hidden or Hidden(swarms)
        book, stays = self.book, self.stays
        judge = None if book is None else book.judging()
        account_of = self.access.account_of
        seq = self.seq
        time_us = self.time_us
        plain, protected = bytes(plain), bytes(protected)
        unreadable = not protected
        if unreadable:
            protected = bytes(len(plain) // 80 * 32)  # so that the records are read alike
        hidden.prepare(swarms, plain)
        for number in range(count_announces(plain, protected)):
            (
                time_us, uploaded, downloaded, left, key_ref, prev_seq, what, rule,
            ) = packed.announced(plain, number * 80)  # fmt: skip
            account = account_of[key_ref]
            stopped = what & 0x0F == 3  # events.STOPPED
            base = self.bases.by_seq(account, prev_seq) if account and rule > 2 else 0
            peer = 0 if base or rule == 1 else hidden.find(swarms, prev_seq, seq)  # RULE_FIRST
            torrent, _ = packed.standing(swarms.rows, peer * 72)
            if not (
                base
                or rule == 1
                or (peer and packed.concerns(plain, number, swarms.hashes, torrent))
            ):
                raise ReplayError(f"event {seq} continues {prev_seq}, which is no peer's last")
            fresh = unreadable and (not peer or not hidden.stands_in(swarms, peer, what))
            if unreadable and rule == 2 and not account:  # events.RULE_CONTINUED
                info_hash = peer_id = b""  # the row has them
            else:
                info_hash, peer_id, endpoint = packed.announcer(plain, protected, number)
                if not peer:
                    torrent = swarms.lookup(info_hash)
            before, change = peer, 0
            if unreadable:
                if rule != 2:
                    peer_id = hidden.peer_id(swarms, peer, seq, peer_id, account != 0)
                v6 = what & 0x10 != 0
                endpoint = (
                    stand_in(seq, v6) if fresh else (swarms.v6 if v6 else swarms.v4).endpoint(peer)
                )
            if stays is not None and peer and (rule != 2 or account or fresh or not unreadable):
                # A peer with an account is the same one, also where its peer_id was not known.
                by = 2 if account else rule  # events.RULE_CONTINUED
                change = stays.change(swarms, peer, by, peer_id, endpoint, what & 0x10 != 0)
            if not (unreadable or stopped):
                holder = swarms.find(torrent, endpoint) if torrent else 0
                if holder and holder != peer:
                    raise ReplayError(f"event {seq} comes from where another peer is")
                # On `stopped` the old peer_id stays, because digests of slices cover freed rows.
                if peer:
                    swarms.call(peer, account, peer_id)
            if account:
                if book is not None:
                    book.begin(self.accounts, account, swarms, torrent)
                was, seeded = peer != 0, peer and swarms.rows[peer * 72 + 20] & 0x10
                peer = self.apply_keyed(
                    key_ref, account, seq, time_us, torrent, peer, info_hash, peer_id, endpoint,
                    uploaded, downloaded, left, what, rule, base,
                )  # fmt: skip
                if self.limits.handing:
                    numwant, flags = packed.asked(plain, number)
                    self.hand(account, peer, what, left, numwant, flags)
                if book is not None:
                    client = packed.client(plain, number)
                    book.announced(
                        self.accounts, account, info_hash, seq, time_us, client, swarms, peer
                    )
                    if judge is not None:
                        judge.announced(
                            self, account, info_hash, seq, time_us, left, was, seeded != 0, peer != 0,
                            book.gained(self.accounts, account),
                        )  # fmt: skip
            else:
                if peer and not stopped:
                    swarms.move(torrent, peer, endpoint, what & 0x10 != 0)
                peer = swarms.announce(
                    seq, time_us, torrent, peer, info_hash, peer_id, endpoint, uploaded, downloaded,
                    left, what, rule,
                )  # fmt: skip
            hidden.note(seq, peer, fresh)
            if stays is not None:
                stays.announced(
                    swarms, before, peer, change, seq, time_us, key_ref, account, plain, protected,
                    number, unreadable,
                )  # fmt: skip
            seq += 1
        self.announced(seq, time_us)

    def hidden_peers(self) -> bool:
        """Tells whether any peer has a stand-in for its address. Checks every suspect."""
        if self.hidden is not None and self.hidden.over(self.swarms, now=True):
            self.hidden = None
        return self.hidden is not None

    def apply_keyed(
        self,
        key_ref: int,
        account: int,
        seq: int,
        time_us: int,
        torrent: int,
        peer: int,
        info_hash: bytes,
        peer_id: bytes,
        endpoint: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        what: int,
        rule: int,
        base: int,
    ) -> int:
        """Applies an announce in a private mode to swarms, account and key.

        `peer` comes from `swarms.keyed`; no other peer may have the endpoint (see `swarms.move`).
        `base`: from which a new peer goes on, 0 = none. In compiled code the names are pointers.
        """
        swarms = self.swarms
        rows = swarms.rows
        accounts = self.accounts
        since_seq = self.listing.since_seq
        event = what & 0x0F
        mark, last_up, last_down, seen_us, last_seq = 0, 0, 0, 0, 0
        size, kept = 0, 0
        factors = None
        was_new = peer == 0
        if peer:
            mark, last_up, last_down, seen_us, last_seq = packed.session(rows, peer * 72)
        if seq >= since_seq:
            # Accounting rules 2.
            stops = event == 3  # events.STOPPED
            size = self.seeding.count(
                account, torrent, peer, mark, seen_us, last_seq, time_us, stops
            )
            if len(accounts.credited_uploaded):
                factors = self.factors
                factors.look(account, info_hash, time_us)
        if seq < since_seq or (peer and last_seq < since_seq):
            timeout = self.settings.max_peer_timeout if mark & 0x10 else 0  # seconds
            name = info_hash[:20] if len(accounts.credited_uploaded) else b""
            done = accounts.announced(
                account, peer != 0 and rule != 3, mark, last_up, last_down, seen_us, time_us, name, uploaded,
                downloaded, left, event, timeout * 1_000_000,
            )  # fmt: skip
        else:
            most_up, up_percent, down_percent = _most, 100, 100
            if base:
                mark, last_up, last_down, seen_us, then = packed.base_session(
                    self.bases.rows, base * 104
                )
                self.bases.drop(base)
                kept = mark & 0x60 if rule == 4 else 0  # MARK_COMPLETED, MARK_SNATCHED
            if factors is not None and (peer or base):
                if peer:
                    then = accounts.percents_of(peer)
                now = factors.percents
                up_percent, down_percent = (then & 0xFFFF) ^ 100, (then >> 16) ^ 100
                up_now, down_now = (now & 0xFFFF) ^ 100, (now >> 16) ^ 100
                # The worse of the two for a resumed announce, else the better.
                if (up_now < up_percent) == (rule == 4):
                    up_percent = up_now
                if (down_now > down_percent) == (rule == 4):
                    down_percent = down_now
            if rule == 4:  # events.RULE_RESUMED
                most_up = self._most_resumed(time_us - seen_us)
            freed, tokens = 0, self.freeleech.counts
            goes_on = (peer != 0 or base != 0) and rule != 3  # events.RULE_RESTARTED
            if goes_on and account < len(tokens) and packed.u32(tokens, account):
                freed = self.freeleech.free(
                    account, info_hash[:20], seen_us, time_us,
                    downloaded - last_down if downloaded > last_down else 0,
                    left, rule == 4, down_percent != 0,
                )  # fmt: skip
            done = accounts.counted(
                account, goes_on, mark, last_up, last_down, time_us, uploaded,
                downloaded, left, event, most_up, up_percent, down_percent, freed,
            )  # fmt: skip
        packed.put_u64(self.access.last_used, key_ref, time_us)
        if peer and event != 3:  # events.STOPPED
            swarms.move(torrent, peer, endpoint, what & 0x10 != 0)
        peer = swarms.announce(
            seq, time_us, torrent, peer, info_hash, peer_id, endpoint,
            uploaded, downloaded, left, what, rule,
        )  # fmt: skip
        if peer:
            swarms.identify(peer, account, key_ref)
            swarms.keep_family(torrent, peer, what & 0x10 != 0, time_us // _day_us)
            if done:
                kept |= 0x40  # MARK_SNATCHED
            if kept:
                swarms.mark(peer, kept)
            if base and event == 1 and rule == 4 and not kept & 0x20:  # events.COMPLETED
                swarms.add_completed(info_hash[:20], 1)  # as of a peer that was not swept
            if factors is not None:
                accounts.keep_terms(
                    peer, factors.percents, factors.upload_factor, factors.download_factor
                )
            if size:
                self.seeding.announced(account, torrent, peer, size)
            if self.sanctioned and account < len(self._flags) and self._flags[account]:
                swarms.conceal(peer, self._flags[account])
            # A peer that had something left before, on this day, is noted already.
            if (
                self.limits.counting
                and left
                and (was_new or mark & 0x10 or last_seq < self.limits.budgets.since_seq)
            ):
                self.limits.note(account, was_new, info_hash)
        return peer

    def hand(self, account: int, peer: int, what: int, left: int, numwant: int, flags: int) -> int:
        """Counts the peers that the reply to an announce lists, against the budget of its account.

        The state has applied the announce; `peer` is 0 after `stopped`. Returns how many peers the
        reply may list.
        """
        most = self.limits.left(account)
        if (
            most == 1073741824  # NO_BUDGET
            or not peer
            or flags & 4  # events.FLAG_EARLY
            or (self.sanctioned and self.gets_none(account, left))
        ):
            return most
        want = self._cap
        if not flags & 1 and numwant < want:  # events.FLAG_NUMWANT_ABSENT
            want = numwant
        want = min(want, most)
        swarms = self.swarms
        torrent, _ = packed.standing(swarms.rows, peer * 72)
        apart = self.apart(account, torrent, peer)
        if what & 0x10:  # events.HTTP6, UDP6
            own, other = swarms.v6, swarms.v4
        else:
            own, other = swarms.v4, swarms.v6
        count = own.listed(torrent, want, peer, apart)
        if not what & 0x20 and count < want:  # HTTP lists both families
            count += other.listed(torrent, want - count, peer, apart)
        self.limits.budgets.hand(account, count)
        return most

    def apart(self, account: int, torrent: int, peer: int) -> int:
        """Returns the account whose other peers the reply to `peer` leaves out; 0 = nobody's."""
        if self._leaves_out_own and peer and self.swarms.has_account(torrent, account, peer):
            return account
        return 0

    def _most_resumed(self, gap_us: int) -> int:
        """Returns the most bytes of upload that are counted for a gap in which a peer was not
        listed.
        """
        rate = self.settings.policy.resumed_rate
        return min(rate * gap_us // 1_000_000, MOST) if rate else MOST

    def leave(self, torrent: int, peer: int, why: int, remembered: bool = False) -> None:
        """Removes a peer; counts its time. `why`: a number of `staying`.

        `remembered`: leaves a base where the rules say so.
        """
        swarms, book = self.swarms, self.book
        if self.gone is not None:
            _, said_seq = packed.standing(swarms.rows, peer * 72)
            self.gone.append(said_seq)
        if self.stays is not None:
            self.stays.left(peer, self.seq - 1, self.time_us, swarms.seen_us(peer), why)
        if self.listing.since_seq != NEVER and swarms.identified(peer):
            account = swarms.account_of(peer)
            if book is not None:
                book.begin(self.accounts, account, swarms, torrent)
                last_us = self.seeding.last_us(account, torrent, peer)
            mark, _, _, seen_us, last_seq = packed.session(swarms.rows, peer * 72)
            time_us = self.time_us
            self.seeding.count(account, torrent, peer, mark, seen_us, last_seq, time_us, True)
            if book is not None:
                info_hash = bytes(swarms.hashes[torrent * 20 : torrent * 20 + 20])
                last_us = self.dates.of(last_us)
                seq = self.seq - 1
                book.left(self.accounts, account, info_hash, last_us, seq, time_us, swarms, peer)
                judge = book.judging()
                if judge is not None:
                    end_us = seen_us
                    if last_seq >= self.listing.since_seq:
                        end_us = min(time_us, self.listing.until(seen_us))
                    judge.left(
                        self, account, info_hash, end_us, mark & 0x10 != 0,
                        book.gained(self.accounts, account),
                    )  # fmt: skip
            if remembered and last_seq >= self.listing.since_seq:
                self._remember(torrent, peer, account)
        elif book is not None and swarms.identified(peer):  # accounting rules 1 count nothing
            info_hash, account = swarms.hash_of(torrent), swarms.account_of(peer)
            book.begin(self.accounts, account, swarms, torrent)
            seq, time_us = self.seq - 1, self.time_us
            book.left(self.accounts, account, info_hash, 0, seq, time_us, swarms, peer)
        swarms.remove(torrent, peer)

    def settle(self, account: int, torrent: int) -> None:
        """Counts the time of an account's peers in a torrent up to now, for the book as well.

        `Seeding.again` has to follow.
        """
        swarms, book, time_us = self.swarms, self.book, self.time_us
        peers = swarms.of_account(torrent, account)
        if book is None or not peers:
            self.seeding.settle(account, torrent, time_us)
            return
        info_hash = swarms.hash_of(torrent)
        book.begin(self.accounts, account, swarms, torrent)
        self.seeding.settle(account, torrent, time_us)
        seen_us = max(map(swarms.seen_us, peers))
        book.counted(self.accounts, account, info_hash, self.dates.of(seen_us), time_us, swarms)
        judge = book.judging()
        if judge is not None:
            end_us = min(time_us, self.listing.until(seen_us))
            judge.counted(
                self.seq - 1, account, info_hash, end_us, time_us,
                book.gained(self.accounts, account),
            )  # fmt: skip

    def expire(self, torrent: int, peer: int) -> None:
        """Removes a peer that was swept."""
        down = self.swarms.seen_us(peer) < self.tally.resumed_us
        self.leave(torrent, peer, TRACKER_DOWN if down else EXPIRED, remembered=True)

    def _remember(self, torrent: int, peer: int, account: int) -> None:
        """Leaves the base of a peer, unless its announce is too old or its day was shredded."""
        row = self.swarms.peer(peer)
        if not (self.settings.private and self.remembers(row.seen_us, self.time_us)):
            return
        base = Base(
            bytes(self.swarms.hashes[torrent * 20 : torrent * 20 + 20]), row.peer_id, account,
            row.key_ref, row.uploaded, row.downloaded, row.seen_us, row.last_seq,
            *as_words(self.accounts.terms_of(peer)), row.mark & 0x7F,
        )  # fmt: skip
        self.bases.add(base, self.settings.policy.bases_per_account)

    def forget_old_bases(self) -> None:
        """Frees the memory of some of the bases that are too old or gone."""
        if self.bases.count:
            self.bases.expire(self.time_us - self._remember_us, LOOKED_AT_ONCE)

    def drop_peers(self, why: int) -> None:
        """Removes every peer, torrent and base. The completed counts and their total stay."""
        swarms = self.swarms
        for bucket in range(BUCKETS):
            for torrent in swarms.torrents_in(bucket):
                for peer in swarms.peers(torrent):
                    self.leave(torrent, peer, why)
                swarms.drop_if_empty(torrent)
        self.bases.drop_all()

    def gets_none(self, account: int, left: int) -> bool:
        """Tells whether leech off leaves an announce of an account without peers."""
        return (
            left != 0 and account < len(self._flags) and self._flags[account] & 1 != 0  # LEECH_OFF
        )

    def sanction(self, account: int, flag: int, sanction: Sanction | None) -> None:
        """Imposes a sanction on an account, or lifts it: see `Sanctions.impose`."""
        self.sanctions.impose(account, flag, sanction)
        self.swarms.conceal_account(account, self.sanctions.flags_of(account))
        self.note_sanctions()

    def note_sanctions(self) -> None:
        """Notes for the announce path whether any sanction may concern it."""
        self.sanctioned = bool(self.sanctions.accounts)
        self.barring = self.sanctions.bars()
        self.blocking = bool(self.sanctions.networks.sanctions)
        self.refused_clients = tuple({one.client.encode() for one in self.sanctions.refused})
        self.warns = bool(self.sanctions.warned)

    def limit(self, account: int, own: Exemption) -> None:
        """Gives an account limits of its own: see `Limits.set`."""
        self.limits.set(account, own)
        self.look_up_started()
        self.list_leechers()
        self.turn_limits()

    def list_leechers(self) -> None:
        """Lists leeching peers by account while slots are limited, and not else."""
        self.swarms.list_leechers(self.limits.counts_slots())

    def look_up_started(self) -> None:
        """Has the next announce of each peer looked up among the torrents that accounts started,
        because limits changed, or peers went to other accounts.
        """
        self.limits.budgets.since_seq = self.seq

    def turn_limits(self) -> None:
        """Begins to count anew what is limited by the hour or day, where one begins."""
        self.limits.turn(self.dates.of(self.time_us), self.seq)

    def ban(self, info_hash: bytes, sanction: Sanction | None) -> None:
        """Blacklists a torrent, or takes it off the blacklist: see `Sanctions.ban`."""
        self.sanctions.ban(info_hash, sanction)
        self.note_sanctions()

    def block(self, network: str, sanction: Sanction | None) -> None:
        """Blocks a network, or unblocks it: see `Sanctions.block`. Raises `ValueError`."""
        self.sanctions.block(network, sanction)
        self.note_sanctions()

    def rule_client(self, rule: ClientRule) -> None:
        """Adds a rule about a client: see `Sanctions.rule_client`."""
        self.sanctions.rule_client(rule)
        self.note_sanctions()

    def end_client_rule(self, number: int) -> None:
        """Removes a rule about a client. Raises `KeyError` if it is not there."""
        self.sanctions.end_client_rule(number)
        self.note_sanctions()

    def end_sanctions(self) -> None:
        """Ends the sanctions that are over."""
        for account in self.sanctions.expire(self.dates.of(self.time_us)):
            self.swarms.conceal_account(account, self.sanctions.flags_of(account))
        self.note_sanctions()

    def totals(self, account: int, time_us: int | None = None) -> Totals:
        """Returns the totals of an account, with the time for which its peers are listed up to a
        log time; None = that of the last event.
        """
        totals = self.accounts.totals(account)
        seeding_us = partial_us = 0
        until_us = self.time_us if time_us is None else time_us
        for _, seeding, partial in self.seeding.open(account, until_us):
            seeding_us += seeding
            partial_us += partial
        return totals._replace(
            seeding_us=min(totals.seeding_us + seeding_us, MOST),
            partial_us=min(totals.partial_us + partial_us, MOST),
        )

    def announced(self, next_seq: int, time_us: int) -> None:
        """Ends a batch of announces. `next_seq`: number of the next event; `time_us`: log time."""
        self.seq = next_seq
        self.time_us = self.listing.awake_us = time_us

    def change_settings(
        self,
        settings: Settings,
        seq: int,
        by: Mapping[str, str] | None = None,
        file: Settings | None = None,
    ) -> None:
        """Puts the settings of event `seq` in force. Removes all peers if `private` changes.

        Bases that were too old until now are removed at once, because none may be used again where
        the new settings remember for longer.
        """
        if settings.private != self.settings.private:
            self.drop_peers(MODE_CHANGED)
        self.bases.expire(self.time_us - self._remember_us + 1, self.bases.slots)
        before = self.settings if self.settings_seq >= 0 else None
        self.origins.note(before, settings, seq, self.dates.of(self.time_us), by, file)
        self.obey(settings)
        self.settings_seq = seq
        self.bases.limit(settings.policy.bases_per_account)
        self.list_leechers()
        self.turn_limits()
        timeout_us = settings.max_peer_timeout * 1_000_000
        self.listing.obey(settings.accounting, timeout_us, seq, self.time_us)

    def obey(self, settings: Settings) -> None:
        """Puts settings in force, and nothing else."""
        self.settings = settings
        self._remember_us = settings.policy.remember_days * events.DAY_US
        self._cap = settings.max_peers_per_announce
        self._leaves_out_own = settings.private and settings.policy.leave_out_own_clients
        self.limits.obey(settings)
        self.look_up_started()

    def slices(self) -> int:
        """Returns the number of slices that the state has now, at least one."""
        return slice_digest.count(self.swarms, self.accounts, self.bases)

    def digest_of_slice(self, number: int) -> int:
        """Returns the digest of a slice, 64 bits (`slice_digest`)."""
        return slice_digest.digest(
            self.swarms, self.accounts, self.bases, self.seq, self.tally.ticks, number
        )

    def compare(self, number: int, digest: int) -> None:
        """Compares a slice with its logged digest. Raises `ReplayError` when they differ."""
        if self.digest_of_slice(number) != digest:
            raise ReplayError(
                f"event {self.seq} holds the digest of another state (slice {number}): the tracker that wrote it and this replay "
                "differ since some earlier event"
            )

    def digest(self, *, addresses: bool = True) -> str:
        """Returns 32 hex digits over the whole state.

        Equal states have equal digests; different states have different digests, unless the hash
        collides.

        Without `addresses` the digest omits endpoints and the last 12 bytes of peer_ids. Then
        hidden peers make no difference, and nobody can find an address by trying all addresses.
        """
        hasher = blake2b(digest_size=16)
        fixed = (
            self.seq,
            self.time_us,
            *self.tally.digested(self.sweep.digest(), list(self.swarms.announces)),
            self.settings,
            self.settings_seq,
            sorted(self.swarms.retired.items()),
            self.swarms.torrents_total,
            self.swarms.seeders_total,
            self.swarms.leechers_total,
            self.swarms.completed_total,
        )
        hasher.update(repr(fixed).encode())
        if self.dates.changes:  # so that digests of older logs do not change
            hasher.update(repr(self.dates.changes).encode())
        hasher.update(self.access.digest())
        hasher.update(self.accounts.digest())
        hasher.update(self.factors.digest())
        for bucket in range(BUCKETS):
            hasher.update(self.swarms.digest(bucket, addresses=addresses))
        if self.clients.pairs:  # so that the digests of older logs stay
            hasher.update(repr(self.clients.pairs).encode())
        for more in (self.swarms.retired_largest, self.facts):
            if more:  # likewise
                hasher.update(repr(sorted(more.items())).encode())
        # The digests of logs of earlier versions do not change.
        data = (
            self.settings.policy.added(),
            self.listing.as_data(),
            sorted(self.seeding.settled.items()),
        )
        if any(data):
            hasher.update(repr(data).encode())
        hasher.update(self.freeleech.digest())
        if self.bases.used:
            hasher.update(self.bases.digest(addresses=addresses))
        if sanctions := self.sanctions.as_data():  # likewise
            hasher.update(repr(sanctions).encode())
        if limits := self.limits.as_data():  # likewise
            hasher.update(repr(limits).encode())
        if self.limits.budgets.hour >= 0:  # likewise
            hasher.update(self.limits.budgets.digest())
        if self.settings.choice != 1:  # likewise
            hasher.update(b"choice %d" % self.settings.choice)
        if self.access_tokens.by_number:  # likewise
            hasher.update(self.access_tokens.digest())
        if origins := self.origins.digested(self.settings):  # likewise
            hasher.update(repr(origins).encode())
        return hasher.hexdigest()


# Fails when one of these constants changes, because the code above has literals in their place.
if (ROW_SIZE, MARK_COMPLETED | MARK_SNATCHED, events.STOPPED) != (72, 0x60, 3) or (
    (events.RULE_FIRST, events.RULE_CONTINUED, events.RULE_RESTARTED, events.RULE_RESUMED)
    != (1, 2, 3, 4)
    or (events.FLAG_NUMWANT_ABSENT, events.FLAG_EARLY, NO_BUDGET) != (1, 4, 1 << 30)
    or (events.HTTP6, events.UDP4, events.UDP6) != (1, 2, 3)
):
    raise AssertionError("State spells these numbers out")
