"""Shows a state, live or of a past moment, as a `ports.ReadModel` of plain values."""

from __future__ import annotations

import json
from heapq import merge
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve

from tracker import ports
from tracker.config import logged
from tracker.domain import events, packed
from tracker.domain.factors import GROUP
from tracker.domain.freeleech import EXPIRED
from tracker.domain.hidden_peers import NO_PORT
from tracker.domain.limits import HANDED_DAY, HANDED_HOUR, LOCATIONS, SLOTS, STARTED
from tracker.domain.origins import named as origins_named
from tracker.domain.refusals import name_of
from tracker.domain.sanctions import KINDS, ClientRule, Sanction
from tracker.domain.swarms import MARK_EVENT, MARK_SEEDER
from tracker.service import lists
from tracker.service.members import format_endpoint, member, of_member
from tracker.store.address_keys import day_of
from tracker.wire.clients import client_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from tracker.domain import swarms
    from tracker.domain.access import Key
    from tracker.domain.access_tokens import AccessToken
    from tracker.domain.factors import Factor
    from tracker.domain.freeleech import Token
    from tracker.domain.origins import Change
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

_EVENTS = ("None", "Completed", "Started", "Stopped", "None")
# The most items handled between two pauses, which takes about a millisecond each:
_SORTED_AT_ONCE = 1024  # info hashes sorted
_COPIED_AT_ONCE = 50_000  # info hashes copied from a bucket
_LOOKED_AT_ONCE = 250  # torrents looked at by number
_SKIPPED_AT_ONCE = 250  # torrents skipped before the offset
_KEYS_AT_ONCE = 50_000  # key numbers searched for an account
_PEERS_AT_ONCE = 250  # peers of a swarm passed over, because they were shown already
_SHOWN_AT_ONCE = 10  # peers of a swarm shown with their addresses and pseudonyms
_LEFT_SHOWN = 2**63 - 1
"""The `left` shown if it is unknown, in bytes: the largest number that API clients can read."""


class Source(Protocol):
    """Gives the live state, and the counters that are not logged yet."""

    @property
    def state(self) -> State: ...

    @property
    def pending(self) -> Mapping[tuple[int, int], int]: ...

    @property
    def refusals(self) -> Mapping[tuple[int, str, str], int]: ...

    def date_us(self) -> int: ...


class LiveReads:
    """`ports.Live` over the state that the tracker serves from."""

    def __init__(
        self,
        source: Source,
        *,
        usage_statistics: bool = True,
        keys: Keyring | None = None,
    ) -> None:
        """If `usage_statistics` is false, the counters of requests show 0. `keys`: for pseudonyms
        of addresses.
        """
        self._source, self._keys = source, keys
        self._usage_statistics = usage_statistics

    def now(self) -> Projection:
        return Projection(
            self._source.state,
            self._source.pending,
            self._usage_statistics,
            self._source.date_us(),
            self._source.refusals,
            self._keys,
        )


def label_of(facts: Mapping[bytes, str], info_hash: bytes) -> str | None:
    """Returns what the site calls a torrent, from what it says of all as JSON; None = nothing."""
    said = facts.get(info_hash)
    return json.loads(said).get("label") if said else None


class Projection:
    """Implements `ports.ReadModel` with a state, and with counters not yet logged (`pending`)."""

    def __init__(
        self,
        state: State,
        pending: Mapping[tuple[int, int], int],
        usage_statistics: bool = True,
        date_us: int | None = None,
        refusals: Mapping[tuple[int, str, str], int] | None = None,
        keys: Keyring | None = None,
    ) -> None:
        """`date_us`: the date by which keys and factors expire; None = that of the last event.

        `refusals`: counts of refusals not yet logged. `keys`: for pseudonyms of addresses.
        """
        self._state, self._keys = state, keys
        self._dates = state.dates
        self._date_us = state.dates.of(state.time_us) if date_us is None else date_us
        self._pending = pending
        self._refusals = refusals or {}
        self._usage_statistics = usage_statistics

    def stats(self) -> ports.Stats:
        swarms = self._state.swarms
        http4, http6, udp4, udp6 = swarms.announces if self._usage_statistics else (0, 0, 0, 0)
        tcp4_scrapes = self._counter(events.TCP4_SCRAPES)
        tcp6_scrapes = self._counter(events.TCP6_SCRAPES)
        return ports.Stats(
            torrents=swarms.torrents_total,
            seeders=swarms.seeders_total,
            completed=swarms.completed_total,
            leechers=swarms.leechers_total,
            # The reference counts an HTTP request as a connection (contract, section 5).
            tcp4_connections_handled=http4 + tcp4_scrapes,
            tcp4_announces_handled=http4,
            tcp4_scrapes_handled=tcp4_scrapes,
            tcp6_connections_handled=http6 + tcp6_scrapes,
            tcp6_announces_handled=http6,
            tcp6_scrapes_handled=tcp6_scrapes,
            udp4_connections_handled=self._counter(events.UDP4_CONNECTS),
            udp4_announces_handled=udp4,
            udp4_scrapes_handled=self._counter(events.UDP4_SCRAPES),
            udp6_connections_handled=self._counter(events.UDP6_CONNECTS),
            udp6_announces_handled=udp6,
            udp6_scrapes_handled=self._counter(events.UDP6_SCRAPES),
        )

    def _counter(self, counter: int) -> int:
        if not self._usage_statistics:
            return 0
        key = counter, 0
        return self._state.tally.counters.get(key, 0) + self._pending.get(key, 0)

    def torrents(self, offset: int, limit: int) -> Iterator[ports.TorrentSummary | None]:
        """Yields torrents bucket by bucket. A large bucket is read in steps, so that announces go
        on.
        """
        hashes = self._hashes(offset)
        while limit:
            info_hash = next(hashes, b"")
            if info_hash is None:
                yield None
            elif not info_hash:
                return
            elif (found := self.summary(info_hash)) is not None:
                limit -= 1
                yield found

    def _hashes(self, offset: int) -> Iterator[bytes | None]:
        """Yields tracked torrents, ascending, after the first `offset`; None = a place to pause."""
        for number, size in enumerate(self._state.swarms.bucket_sizes):
            if offset >= size:
                offset -= size
                continue
            for info_hash in self.in_order(number):
                if info_hash is None or not offset:
                    yield info_hash
                    continue
                offset -= 1
                if offset % _SKIPPED_AT_ONCE == 0:
                    yield None
            offset = 0

    def in_order(self, bucket: int) -> Iterator[bytes | None]:
        """Yields a bucket's torrents with peers, ascending; None before each millisecond of work.

        The bucket may change meanwhile. It may be very large, because clients choose the info
        hashes.
        """
        swarms = self._state.swarms
        size = swarms.bucket_sizes[bucket]
        if size <= _SORTED_AT_ONCE:
            yield from sorted(map(swarms.hash_of, swarms.torrents_in(bucket)))
            return
        # Copying a very large bucket would take too long, so its torrents are found by number.
        copied = swarms.torrents_in(bucket) if size <= _COPIED_AT_ONCE else None
        end = len(swarms.completed) if copied is None else size
        step = _LOOKED_AT_ONCE if copied is None else _SORTED_AT_ONCE
        runs = []
        for start in range(0, end, step):
            yield None
            stop = start + step
            if copied is None:
                runs.append(sorted(swarms.in_bucket(bucket, start, stop)))
            else:
                some = map(swarms.hash_of, copied[start:stop])
                runs.append(sorted(each for each in some if each[0] == bucket))
        yield from merge(*runs)

    def summaries(self, info_hashes: Iterable[bytes]) -> Iterator[ports.TorrentSummary]:
        return (found for each in info_hashes if (found := self.summary(each)) is not None)

    def summary(self, info_hash: bytes) -> ports.TorrentSummary | None:
        swarms = self._state.swarms
        if not swarms.lookup(info_hash):
            return None
        seeders, completed, leechers = swarms.counts(info_hash)
        return ports.TorrentSummary(info_hash, seeders, completed, leechers)

    def torrent(self, info_hash: bytes) -> ports.Torrent | None:
        swarms, listed = self._state.swarms, self.whitelisted(info_hash)
        said, least = self._state.facts.get(info_hash), swarms.least_size(info_hash)
        summary = self.counts(info_hash)
        known = said is not None or least or summary.completed or listed
        if not known and not swarms.lookup(info_hash):
            return None
        facts = json.loads(said or "{}")
        if "tags" in facts:
            facts["tags"] = tuple(facts["tags"])
        return ports.Torrent(summary, ports.TorrentFacts(**facts), least or None, listed)

    def counts(self, info_hash: bytes) -> ports.TorrentSummary:
        """Returns the counts of a torrent, whether it is known or not."""
        return ports.TorrentSummary(info_hash, *self._state.swarms.counts(info_hash))

    def listed_torrents(
        self, query: ports.ListQuery, present: bool
    ) -> Iterator[ports.Torrent | None]:
        return lists.torrents(self, self._state, query, present=present)

    def label(self, info_hash: bytes) -> str | None:
        return label_of(self._state.facts, info_hash)

    def labelled(self, labels: Container[str]) -> Iterator[tuple[str, bytes] | None]:
        return lists.labelled(self._state, labels)

    def keys(self, after: int) -> Iterator[ports.KeyInfo]:
        for key_ref in range(after + 1, self._state.access.next_key_ref):
            found = self.key(key_ref)
            if found is not None and found.key_ref == key_ref:
                yield found

    def listed_keys(self, query: ports.ListQuery) -> Iterator[ports.KeyInfo | None]:
        return lists.keys(self, self._state, query)

    def key(self, key_ref: int) -> ports.KeyInfo | None:
        key_hash = self._state.access.hash_of(key_ref)
        return None if key_hash is None else self.key_of_hash(key_hash)

    def key_of_hash(self, key_hash: bytes) -> ports.KeyInfo | None:
        access = self._state.access
        key = access.keys.get(key_hash)
        if key is not None:
            over = key.valid_until_us is not None and key.valid_until_us < self._date_us
            return self._key_info(key_hash, key, "expired" if over else "valid")
        key = access.revoked.get(key_hash)
        return None if key is None else self._key_info(key_hash, key, "revoked")

    def _key_info(self, key_hash: bytes, key: Key, state: str) -> ports.KeyInfo:
        return ports.KeyInfo(
            key.key_ref,
            key_hash,
            state,
            key.account,
            key.owner,
            key.label,
            key.valid_until_us,
            self.date(self._state.accounts.totals(key.account).last_us),
            self.date(self._state.access.last_used[key.key_ref]),
        )

    def date(self, time_us: int) -> int | None:
        """Returns the date of a log time in a total; None for 0, which means never."""
        return self._dates.of(time_us) if time_us else None

    def whitelist(self, after: bytes) -> Iterator[bytes]:
        return self._state.access.listed_after(after)

    def whitelisted(self, info_hash: bytes) -> bool:
        return info_hash in self._state.access.whitelist

    def settings(self) -> ports.SettingsInForce:
        seq, now, origins = self._state.settings_seq, self._state.settings, self._state.origins
        found, file = origins.in_force(), origins_named(origins.file or now)
        keys = (
            ports.SettingInForce(
                key, value, file[name], _settings_change(found[name]) if name in found else None
            )
            for name, value in origins_named(now).items()
            if (key := logged.key_of(name)) is not None
        )
        return ports.SettingsInForce(None if seq < 0 else seq, now.as_data(), tuple(keys))

    def settings_changes(self, after: int) -> Iterator[ports.SettingsChanged]:
        return (_settings_change(one) for one in self._state.origins.changes if one.seq > after)

    def tokens(self) -> Iterator[ports.TokenInfo]:
        return map(self._token_info, self._state.access_tokens.by_number.values())

    def token_of_hash(self, token_hash: bytes) -> ports.TokenInfo | None:
        tokens = self._state.access_tokens
        found = [
            one
            for one in tokens.by_number.values()
            if compare_digest(tokens.hashes[one.number], token_hash)
        ]
        if not (found and found[0].valid(self._date_us)):
            return None
        return self._token_info(found[0])

    def _token_info(self, one: AccessToken) -> ports.TokenInfo:
        state = "valid" if one.valid(self._date_us) else "expired"
        return ports.TokenInfo(
            one.number, one.label, one.scope, "revoked" if one.revoked_us else state,
            one.issued_us, one.until_us, one.used_us, one.revoked_us,
        )  # fmt: skip

    def refusals(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for counted in (self._state.tally.counters, self._pending):
            for (counter, label), count in counted.items():
                if counter == events.REFUSED_REQUESTS:
                    name = name_of(label)
                    found[name] = found.get(name, 0) + count
        return found

    def refused_clients(self) -> Iterator[ports.Refused]:
        logged, pending = self._state.tally.refusals, self._refusals
        keys = {
            (name, version, name_of(label)): (label, name, version)
            for label, name, version in (*logged, *pending)
        }
        for name, version, reason in sorted(keys):
            key = keys[name, version, reason]
            times = logged.get(key, 0) + pending.get(key, 0)
            yield ports.Refused(reason, name or None, version or None, times)

    def clients(self) -> Iterator[ports.Client]:
        for number in range(1, len(self._state.clients.pairs) + 1):
            yield self._client(number)

    def client(self, number: int) -> ports.Client | None:
        known = 0 < number <= len(self._state.clients.pairs)
        return self._client(number) if known else None

    def _client(self, number: int) -> ports.Client:
        prefix, agent = self._state.clients.shown(number)
        return ports.Client(number, prefix or None, agent or None)

    def present(self, account: int) -> Iterator[ports.Present | None]:
        swarms = self._state.swarms
        for key_ref in self._keys_of(account):
            if key_ref is None:
                yield None
                continue
            for number in swarms.of_key.peers(key_ref):
                # Between two items a peer may leave, and its number may go to another peer.
                if swarms.identified(number) and swarms.account_of(number) == account:
                    yield self._present(number)

    def _keys_of(self, account: int) -> Iterator[int | None]:
        """Yields the numbers of the account's keys; None = a place to pause."""
        account_of, at = self._state.access.account_of, self._state.access.first_of(account)
        while at < len(account_of):
            stop = at + _KEYS_AT_ONCE
            try:
                at = account_of.index(account, at, stop) + 1
                yield at - 1
            except ValueError:
                at = stop
                yield None

    def _row(self, number: int) -> tuple[swarms.Peer, bytes]:
        """Returns a peer's row and its endpoint, the one of IPv4 if it has two."""
        found = self._state.swarms
        return found.peer(number), found.v4.endpoint(number) or found.v6.endpoint(number)

    def _present(self, number: int) -> ports.Present:
        swarms = self._state.swarms
        row, endpoint = self._row(number)
        info_hash = bytes(swarms.hashes[row.torrent * 20 : row.torrent * 20 + 20])
        name = None
        if self._keys is not None and not endpoint.endswith(NO_PORT):
            name = self._keys.pseudonym(day_of(row.seen_us), endpoint[:-2])
        return ports.Present(
            info_hash,
            self._peer(row, endpoint),
            bool(row.mark & MARK_SEEDER),
            row.key_ref,
            name,
            row.last_seq,
            self._state.access.account_of[row.key_ref],
        )

    def account(self, account: int) -> ports.Account | None:
        if not self._state.access.known(account):
            return None
        merge = self._state.access.merged.get(account)
        totals = self._state.totals(account)
        seen = {"first_us": self.date(totals.first_us), "last_us": self.date(totals.last_us)}
        owner = self.owner(account)
        group = self.group_of(account)
        return ports.Account(
            account, **{**totals._asdict(), **seen}, owner=owner, group=group,
            merged_into=merge.into if merge else None, merged_us=merge.since_us if merge else None,
        )  # fmt: skip

    def listed_accounts(self, query: ports.ListQuery) -> Iterator[ports.Account | None]:
        return lists.accounts(self, self._state, query)

    def owner(self, account: int) -> str | None:
        return self._state.access.owner_of(account)

    def account_of_key(self, key_ref: int) -> int | None:
        account_of = self._state.access.account_of
        return account_of[key_ref] or None if 0 < key_ref < len(account_of) else None

    def account_of(self, owner: str) -> int | None:
        return self._state.access.owners.get(owner)

    def sanctions(self, after: int) -> Iterator[ports.SanctionedAccount]:
        sanctions, owners = self._state.sanctions, self._state.access.owners
        accounts = [account for account in sanctions.numbers() if account > after]
        wanted = set(accounts)
        owner_of = {account: owner for owner, account in owners.items() if account in wanted}
        for account in accounts:
            found = (sanctions.accounts.get((account, flag)) for flag in KINDS)
            shown = (one and ports.Sanction(*one) for one in found)
            yield ports.SanctionedAccount(account, owner_of.get(account), *shown)

    def own_limits(self, after: int) -> Iterator[ports.LimitsOfAccount]:
        for account in sorted(each for each in self._state.limits.accounts if each > after):
            found = self.limits_of(account)
            if found is not None:
                yield found

    def limits_of(self, account: int) -> ports.LimitsOfAccount | None:
        if not self._state.access.has_account(account):
            return None
        limits, swarms = self._state.limits, self._state.swarms
        used = sum(not swarms.seeds(peer) for peer in swarms.peers_of(account))
        budgets = limits.budgets
        found = ports.LimitsOfAccount(
            account, self.owner(account), limits.of(account, SLOTS), used,
            limits.of(account, LOCATIONS), limits.of(account, STARTED),
            budgets.used(budgets.started, account), limits.of(account, HANDED_HOUR),
            budgets.used(budgets.handed_hour, account), limits.of(account, HANDED_DAY),
            budgets.used(budgets.handed_today, account), ports.OwnLimits(),
        )  # fmt: skip
        one = limits.accounts.get(account)
        if one is None:
            return found
        own = ports.OwnLimits(*one.limits)
        return evolve(
            found, own=own, seq=one.seq, since_us=one.since_us, by=one.by, reason=one.reason
        )

    def blacklist(self, after: bytes) -> Iterator[ports.Blacklisted]:
        found = self._state.sanctions.blacklist
        for info_hash in sorted(each for each in found if each > after):
            if info_hash in found:  # it may go between two items
                yield ports.Blacklisted(info_hash, ports.Sanction(*found[info_hash]))

    def blacklisted(self, info_hash: bytes) -> ports.Blacklisted | None:
        found = self._state.sanctions.blacklist.get(info_hash)
        return found and ports.Blacklisted(info_hash, ports.Sanction(*found))

    def blocks(self, after: str) -> Iterator[ports.Block]:
        found = self._state.sanctions.networks.sanctions
        for network in sorted(each for each in found if each > after):
            if network in found:
                yield ports.Block(network, ports.Sanction(*found[network]))

    def client_rules(self, after: int) -> Iterator[ports.ClientRule]:
        found = self._state.sanctions.clients
        for number in [each for each in found if each > after]:
            if number in found:
                yield rule_seen(found[number])

    def client_use(self, terms: ports.ClientRuleTerms) -> Iterator[ports.ClientUse | None]:
        swarms = self._state.swarms
        rule = asked_rule(terms)
        peers = 0
        members: set[int] = set()
        torrents: dict[int, int] = {}  # seeders among these peers, by torrent
        for number in range(1, swarms.peer_slots):
            if number % _PEERS_AT_ONCE == 0:
                yield None
            if number >= swarms.peer_slots or not swarms.present(number):
                continue
            row = swarms.peer(number)
            if rule.is_of(row.peer_id):
                peers += 1
                if swarms.identified(number):
                    members.add(swarms.account_of(number))
                seeds = bool(row.mark & MARK_SEEDER)
                torrents[row.torrent] = torrents.get(row.torrent, 0) + seeds
        alone = 0
        for torrent, seeders in torrents.items():
            alone += 0 < seeders == packed.counts(swarms.tables.torrents, torrent * 32)[0]
        yield ports.ClientUse(peers, len(members), len(torrents), alone)

    def factor(self, number: int) -> ports.Factor | None:
        found = self._state.factors.current.get(number)
        if found is None or found.is_over(self._date_us):
            return None
        return factor_seen(self._state, found)

    def factors(self, after: int) -> Iterator[ports.Factor]:
        for number in self._state.factors.numbers_after(after):
            found = self.factor(number)
            if found is not None:
                yield found

    def freeleech(self, number: int) -> ports.FreeleechToken | None:
        found = self._state.freeleech.tokens.get(number)
        return None if found is None else token_seen(self._state, found, self._state.time_us)

    def freeleech_tokens(self, after: int) -> Iterator[ports.FreeleechToken]:
        for number in [each for each in self._state.freeleech.tokens if each > after]:
            found = self.freeleech(number)
            if found is not None:
                yield found

    def group_of(self, account: int) -> str | None:
        return self._state.factors.group_name_of(account)

    def peers(self, info_hash: bytes) -> Iterator[ports.Peer | None]:
        for number in self._in(info_hash):
            yield self._peer(*self._row(number)) if number else None

    def in_swarm(self, info_hash: bytes) -> Iterator[ports.Present | None]:
        for number in self._in(info_hash):
            yield self._present(number) if number else None

    def members(self, info_hash: bytes, after: int, limit: int) -> Iterator[dict[str, Any] | None]:
        state, seqs = self._state, list[tuple[int, int]]()
        for number in self._in(info_hash):
            if not number:
                yield None
            elif (seq := state.swarms.peer(number).last_seq) > after:
                seqs.append((seq, number))
                if len(seqs) % _PEERS_AT_ONCE == 0:
                    yield None
        seqs.sort()
        shown = list[dict[str, Any]]()
        for seq, number in seqs[:limit]:
            # Meanwhile a peer may have left, and its number may have gone to another one.
            if state.swarms.present(number) and state.swarms.peer(number).last_seq == seq:
                shown.append(of_member(member(state, number), self._keys))
            if len(shown) % _SHOWN_AT_ONCE == 0:
                yield None
        seeders, completed, leechers = state.swarms.counts(info_hash)
        yield {
            "peers": shown, "next": seqs[limit - 1][0] if len(seqs) > limit else None,
            "seq": state.seq - 1, "seeders": seeders, "leechers": leechers, "completed": completed,
        }  # fmt: skip

    def _in(self, info_hash: bytes) -> Iterator[int]:
        """Yields the numbers of a torrent's peers; 0 = a place to pause."""
        swarms = self._state.swarms
        torrent = swarms.lookup(info_hash)
        if not torrent:
            return
        # A peer can be in several of these directories. It is shown for the first one only.
        places = (swarms.identities, swarms.v4, swarms.v6)
        for first, directory in enumerate(places):
            for count, number in enumerate(directory.members(torrent), 1):
                if count % _PEERS_AT_ONCE == 0:
                    yield 0
                if swarms.lookup(info_hash) != torrent:
                    return  # the torrent was dropped between two items
                if any(number in earlier for earlier in places[:first]):
                    continue
                # Between two items a peer may leave, and its number may go to another peer.
                there = number in swarms.v4 or number in swarms.v6
                if there and swarms.peer(number).torrent == torrent:
                    yield number

    def _peer(self, row: swarms.Peer, endpoint: bytes) -> ports.Peer:
        return ports.Peer(
            peer_id=row.peer_id,
            client=client_name(row.peer_id),
            address="" if endpoint.endswith(NO_PORT) else format_endpoint(endpoint),
            updated_ms=self._dates.of(row.seen_us) // 1000,
            uploaded=row.uploaded,
            downloaded=row.downloaded,
            left=min(row.left, _LEFT_SHOWN),
            event=_EVENTS[row.mark & MARK_EVENT],
        )


def asked_rule(terms: ports.ClientRuleTerms) -> ClientRule:
    """Returns a rule about clients as it is asked for, to see whom it concerns."""
    nobody = Sanction(0, 0, None, "", "")
    return ClientRule(0, terms.client, terms.first, terms.last, 0, True, nobody)


def rule_seen(rule: ClientRule) -> ports.ClientRule:
    sanction = ports.Sanction(*rule.sanction)
    return ports.ClientRule(
        rule.number, rule.client, rule.first, rule.last, rule.from_us, rule.in_force, sanction
    )


def factor_seen(state: State, factor: Factor) -> ports.Factor:
    group = factor.account ^ GROUP if factor.account & GROUP else 0
    terms = ports.FactorTerms(
        account=None if group else factor.account or None,
        info_hash=factor.info_hash or None,
        upload_percent=factor.upload_percent,
        download_percent=factor.download_percent,
        from_us=factor.from_us,
        until_us=factor.until_us,
        label=factor.label,
        group=state.factors.group_name(group),
    )
    return ports.Factor(factor.number, factor.seq, terms)


def token_seen(state: State, token: Token, time_us: int) -> ports.FreeleechToken:
    """Shows a freeleech token as it is at a log time."""
    dates = state.dates
    over_us = token.over_us or (token.until_us if token.state(time_us) == EXPIRED else 0)
    terms = ports.FreeleechTerms(
        token.account, token.info_hash, token.until_date_us or None, token.max_bytes,
        token.until_completed, token.label,
    )  # fmt: skip
    return ports.FreeleechToken(
        token.number, token.seq, terms, token.state(time_us), token.freed,
        dates.of(token.given_us), dates.of(token.first_us) if token.first_us else None,
        dates.of(over_us) if over_us else None,
    )  # fmt: skip


def _settings_change(change: Change) -> ports.SettingsChanged:
    values = {
        key: value
        for name, value in change.values.items()
        if (key := logged.key_of(name)) is not None
    }
    return ports.SettingsChanged(change.seq, change.time_us, change.by, change.reason, values)
