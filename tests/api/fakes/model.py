"""Implements `ports.Live` and its read model in memory."""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs

import tracker.ports
from tests.api.fakes.commands import FakeCommands
from tests.api.fakes.values import NOW_US
from tracker.ports import (
    Account,
    Blacklisted,
    Block,
    Client,
    ClientRule,
    ClientRuleTerms,
    ClientUse,
    Factor,
    FreeleechToken,
    KeyInfo,
    LimitsOfAccount,
    ListQuery,
    OwnLimits,
    Peer,
    Present,
    Refused,
    Sanction,
    SanctionedAccount,
    SettingInForce,
    SettingsChanged,
    SettingsInForce,
    Stats,
    TokenInfo,
    TorrentFacts,
    TorrentSummary,
    chosen,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

COUNTERS = Stats(*range(1, 17))


OWNERS = {7: "anna", 9: "a/b"}
"""Owners by account; accounts need not exist."""


SANCTION = Sanction(40, NOW_US, None, "admin", "ä", False)
PUBLIC = attrs.evolve(SANCTION, until_us=NOW_US, public=True)
BLACKLISTED = tuple(Blacklisted(bytes([n]) * 20, SANCTION) for n in (1, 2))
BLOCKS = Block("198.51.100.0/24", PUBLIC), Block("2001:db8::/48", SANCTION)
SANCTIONED = (
    SanctionedAccount(7, "anna", SANCTION, None),
    SanctionedAccount(9, None, SANCTION, attrs.evolve(SANCTION, until_us=NOW_US)),
)

LIMITED = (
    LimitsOfAccount(
        7, "anna", 0, 12, 3, 0, 0, 0, 0, 500, 40, OwnLimits(slots=0), 41, NOW_US, "admin", "ä"
    ),
    LimitsOfAccount(
        9, None, 10, 0, 5, 20, 6, 0, 0, 0, 0, OwnLimits(locations=5), 42, NOW_US, "admin", ""
    ),
)


SWARM: dict[str, Any] = {
    "peers": [
        {
            "addresses": [{"address": "192.0.2.9", "port": 6881, "pseudonym": "bb" * 8}],
            "peer_id": "00" * 20, "client": None, "role": "seeder", "uploaded": 1, "downloaded": 2,
            "left": None, "event": "none", "last_seq": 8, "last_time": "2027-01-15T08:00:00.000000Z",
            "key_ref": 1, "account": 1, "owner": "anna",
        }
    ],
    "next": 8, "seq": 9, "seeders": 2, "leechers": 0, "completed": 0,
}  # fmt: skip


@attrs.frozen
class Torrent:
    summary: TorrentSummary
    peers: tuple[Peer, ...]


@attrs.define
class FakeModel:
    """Implements `ports.Live` and its read model over torrents by info hash.

    Keys and whitelist are those of `commands`.
    """

    swarms: dict[bytes, Torrent] = attrs.field(factory=dict)
    commands: FakeCommands = attrs.field(factory=lambda: FakeCommands())
    queries: list[ListQuery] = attrs.field(factory=list)

    def now(self) -> FakeModel:
        return self

    def stats(self) -> Stats:
        return COUNTERS

    def torrents(self, offset: int, limit: int) -> Iterator[TorrentSummary]:
        hashes = islice(sorted(self.swarms), offset, offset + limit)
        return (self.swarms[info_hash].summary for info_hash in hashes)

    def summaries(self, info_hashes: Iterable[bytes]) -> Iterator[TorrentSummary]:
        return (found for each in info_hashes if (found := self.summary(each)) is not None)

    def summary(self, info_hash: bytes) -> TorrentSummary | None:
        torrent = self.swarms.get(info_hash)
        return None if torrent is None else torrent.summary

    def torrent(self, info_hash: bytes) -> tracker.ports.Torrent | None:
        facts, known = self.commands.facts.get(info_hash), self.swarms.get(info_hash)
        if facts is None and known is None:
            return None
        summary = known.summary if known else TorrentSummary(info_hash, 0, 0, 0)
        return tracker.ports.Torrent(summary, facts or TorrentFacts(), 77 if known else None)

    def peers(self, info_hash: bytes) -> Iterator[Peer]:
        return iter(self.swarms[info_hash].peers)

    def keys(self, after: int) -> Iterator[KeyInfo]:
        return (info for ref, (_, info) in sorted(self.commands.issued.items()) if ref > after)

    def listed_keys(self, query: ListQuery) -> Iterator[KeyInfo | None]:
        self.queries.append(query)
        return chosen(self.keys(0), query, attrgetter("key_ref"))

    def listed_accounts(self, query: ListQuery) -> Iterator[Account | None]:
        self.queries.append(query)
        rows = [one for _, one in sorted(self.commands.accounts.items())]
        return chosen(rows, query, attrgetter("account"))

    def listed_torrents(
        self, query: ListQuery, present: bool
    ) -> Iterator[tracker.ports.Torrent | None]:
        self.queries.append(query)
        names = self.swarms if present else {*self.swarms, *self.commands.facts}
        return chosen(map(self.torrent, sorted(names)), query, attrgetter("info_hash"))

    def owner(self, account: int) -> str | None:
        return OWNERS.get(account)

    def account_of_key(self, key_ref: int) -> int | None:
        found = self.commands.issued.get(key_ref)
        return found[1].account if found else None

    def account_of(self, owner: str) -> int | None:
        return next((number for number, name in OWNERS.items() if name == owner), None)

    def label(self, info_hash: bytes) -> str | None:
        facts = self.commands.facts.get(info_hash)
        return facts.label if facts else None

    def labelled(self, labels: Container[str]) -> Iterator[tuple[str, bytes]]:
        for info_hash, facts in self.commands.facts.items():
            if facts.label in labels:
                yield facts.label or "", info_hash

    def key(self, key_ref: int) -> KeyInfo | None:
        found = self.commands.issued.get(key_ref)
        return None if found is None else self.key_of_hash(found[1].key_hash)

    def key_of_hash(self, key_hash: bytes) -> KeyInfo | None:
        latest = {info.key_hash: info for info in self.keys(0)}
        return latest.get(key_hash)

    def settings(self) -> SettingsInForce:
        changes = self.settings_changes(-1)
        keys = (
            SettingInForce("core.private", True, True, next(changes)),
            SettingInForce("policy.max_peers", 0, 7, next(changes)),
            SettingInForce("policy.ip_parameter", "ignored", "ignored", None),
        )
        return SettingsInForce(
            5, {"private": True, "interval": 1800, "policy": {"max_peers": 0}}, keys
        )

    def settings_changes(self, after: int) -> Iterator[SettingsChanged]:
        first = SettingsChanged(1, NOW_US, None, "", {"core.private": True, "policy.max_peers": 7})
        then = SettingsChanged(5, NOW_US, "anna", "full", {"policy.max_peers": 0})
        return (each for each in (first, then) if each.seq > after)

    def tokens(self) -> Iterator[TokenInfo]:
        return iter(self.commands.access_tokens.values())

    def token_of_hash(self, token_hash: bytes) -> TokenInfo | None:
        valid = (one for one in self.tokens() if one.state == "valid")
        texts = {sha256(f"Token{one.number}".encode()).digest(): one for one in valid}
        return texts.get(token_hash)

    def refusals(self) -> Mapping[str, int]:
        return {"key_unknown": 3, "malformed": 1}

    def refused_clients(self) -> Iterator[Refused]:
        yield Refused("malformed", None, None, 1)
        yield Refused("key_unknown", "qBittorrent", "4650", 3)

    def clients(self) -> Iterator[Client]:
        yield Client(1, "-qB4650-", "qBittorrent/4.6.5")
        yield Client(2, None, None)

    def client(self, number: int) -> Client | None:
        return next((one for one in self.clients() if one.number == number), None)

    def present(self, account: int) -> Iterator[Present | None]:
        yield None
        for info_hash, torrent in self.swarms.items():
            for peer in torrent.peers:
                yield Present(info_hash, peer, True, account, "dd" * 8)

    def in_swarm(self, info_hash: bytes) -> Iterator[Present]:
        for seq, peer in enumerate(
            self.swarms[info_hash].peers if info_hash in self.swarms else (), 7
        ):
            yield Present(info_hash, peer, not peer.left, 1, "dd" * 8, seq, 7)

    def members(self, info_hash: bytes, after: int, limit: int) -> Iterator[dict[str, Any] | None]:
        yield None
        yield {**SWARM, "asked": [info_hash.hex(), after, limit]}

    def account(self, account: int) -> Account | None:
        return self.commands.accounts.get(account)

    def sanctions(self, after: int) -> Iterator[SanctionedAccount]:
        return (one for one in SANCTIONED if one.account > after)

    def own_limits(self, after: int) -> Iterator[LimitsOfAccount]:
        return (one for one in LIMITED if one.account > after)

    def limits_of(self, account: int) -> LimitsOfAccount | None:
        found = next((one for one in LIMITED if one.account == account), None)
        if found is None and account in self.commands.accounts:
            found = LimitsOfAccount(account, None, 10, 2, 3, 20, 6, 0, 0, 0, 0, OwnLimits())
        return found

    def blacklist(self, after: bytes) -> Iterator[Blacklisted]:
        return (one for one in BLACKLISTED if one.info_hash > after)

    def blacklisted(self, info_hash: bytes) -> Blacklisted | None:
        return next((one for one in BLACKLISTED if one.info_hash == info_hash), None)

    def blocks(self, after: str) -> Iterator[Block]:
        return (one for one in BLOCKS if one.network > after)

    def client_rules(self, after: int) -> Iterator[ClientRule]:
        one = ClientRule(3, "-qB", "4000", "4499", NOW_US, True, BLOCKS[0].sanction)
        return iter([one] if after < 3 else [])

    def client_use(self, terms: ClientRuleTerms) -> Iterator[ClientUse | None]:
        yield None
        yield ClientUse(5, 3, 4, len(terms.client))

    def factor(self, number: int) -> Factor | None:
        return self.commands.factors.get(number)

    def factors(self, after: int) -> Iterator[Factor]:
        return (one for number, one in self.commands.factors.items() if number > after)

    def freeleech(self, number: int) -> FreeleechToken | None:
        return self.commands.tokens.get(number)

    def freeleech_tokens(self, after: int) -> Iterator[FreeleechToken]:
        return (one for number, one in self.commands.tokens.items() if number > after)

    def group_of(self, account: int) -> str | None:
        return self.commands.accounts[account].group

    def whitelist(self, after: bytes) -> Iterator[bytes]:
        return (each for each in sorted(self.commands.whitelist) if each > after)

    def whitelisted(self, info_hash: bytes) -> bool:
        return info_hash in self.commands.whitelist

    def add(self, info_hash: bytes, *peers: Peer, seeders: int = 1, completed: int = 0) -> None:
        summary = TorrentSummary(info_hash, seeders, completed, len(peers))
        self.swarms[info_hash] = Torrent(summary, peers)
