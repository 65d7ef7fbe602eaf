"""Implements the ports of the API in memory, and records the calls."""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs
import trio

import tracker.ports
from tracker.ports import (
    LISTED_AT_ONCE,
    Account,
    Actor,
    Blacklisted,
    Block,
    BookPage,
    BookQuery,
    BookRow,
    Case,
    CaseChange,
    CaseClosing,
    CaseFinding,
    CasesPage,
    CasesQuery,
    CaseTold,
    ChangesPage,
    ChangesQuery,
    Client,
    ClientRule,
    ClientRuleTerms,
    ClientUse,
    CommandError,
    Consumer,
    Correction,
    DeadLetter,
    Detector,
    DuplicateKeyError,
    EntriesPage,
    EventFilter,
    EventPage,
    Factor,
    FactorTerms,
    Followed,
    FreeleechTerms,
    FreeleechToken,
    HandedPage,
    HandedQuery,
    InvalidDurationError,
    InvalidSettingError,
    IssuedKey,
    IssuedToken,
    JudgedDownload,
    JudgedFacts,
    JudgedPage,
    JudgedQuery,
    JudgingRule,
    KeyInfo,
    LedgerAnnounce,
    LedgerCorrection,
    LedgerOpening,
    LedgerSums,
    LedgerTotals,
    LimitsOfAccount,
    ListCursor,
    ListQuery,
    LogPart,
    Metric,
    Moment,
    NewKey,
    NewToken,
    Outage,
    OutagesPage,
    OwnLimits,
    Pardon,
    Peer,
    PlacedTransition,
    Present,
    Refused,
    RevokedKeyError,
    RuleInForce,
    Sample,
    Sanction,
    SanctionedAccount,
    SeededPage,
    SeededTorrent,
    SeedingRow,
    SeriesDay,
    SeriesPage,
    SettingDifference,
    SettingInForce,
    SettingsChange,
    SettingsChanged,
    SettingsInForce,
    Stats,
    StaysPage,
    StaysQuery,
    SumsPage,
    TokenInfo,
    TorrentFacts,
    TorrentSummary,
    Transition,
    TransitionPlace,
    TransitionsPage,
    UdpStats,
    UnknownAccountError,
    UnknownFactorError,
    UnknownFreeleechError,
    UnknownKeyError,
    UnknownTokenError,
    WebhookState,
    chosen,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence

NOW_US = 1_680_006_300_058_085
LONGEST_S = 250_000_000_000
RANDOM_KEY = "2cjvmxYTzG1ESiJBSAn5dxNornXB5CeD"

COUNTERS = Stats(*range(1, 17))
UDP_COUNTERS = UdpStats(*range(101, 113))
OWNERS = {7: "anna", 9: "a/b"}
"""Owners by account; accounts need not exist."""
TOTALS = LedgerTotals(1, 2, 3, 4, 5_000_000, 6, 7, NOW_US, None, 8_000_000)
SUMS = LedgerSums(8, 9, TOTALS)
ROW = BookRow(
    7, bytes(20), 1, 2, 3, -4, 5_000_000, 8_999_999, NOW_US, NOW_US, NOW_US, 6, 9, 10, 0, 2
)
JUDGED = JudgedDownload(
    7, bytes(20), Transition("at_risk", NOW_US, "ab" * 16, 3, 40, 1),
    JudgedFacts(
        rule=1, size=10, uploaded=1, downloaded=2, seeding_us=5_000_000, partial_us=0, liable_us=NOW_US,
        violated_us=None, absent_us=NOW_US, seed_left_us=1, upload_left=1, risk_at_us=None,
        violated_at_us=NOW_US, left_us=1_000_001, stands=False,
    ),
)  # fmt: skip
TRANSITIONS = TransitionsPage(
    [PlacedTransition(7, bytes(20), JUDGED.since)], True, TransitionPlace(3, 50, 0), "ab" * 16, 99
)
ENTRIES = EntriesPage(
    [
        LedgerOpening(40, NOW_US, TOTALS),
        LedgerCorrection(41, NOW_US, None, -1, 2, 12, "ä"),
        LedgerAnnounce(
            42,
            NOW_US,
            bytes(20),
            b"-XX0001-",
            "started",
            1,
            2,
            None,
            None,
            4,
            5,
            6,
            7,
            8,
            "new session",
            (3, 4),
            Client(2, "-XX0001-", None),
        ),
    ],
    None,
    SUMS,
)


SANCTION = Sanction(40, NOW_US, None, "admin", "ä", False)
PUBLIC = attrs.evolve(SANCTION, until_us=NOW_US, public=True)
BLACKLISTED = tuple(Blacklisted(bytes([n]) * 20, SANCTION) for n in (1, 2))
BLOCKS = Block("198.51.100.0/24", PUBLIC), Block("2001:db8::/48", SANCTION)
SANCTIONED = (
    SanctionedAccount(7, "anna", SANCTION, None),
    SanctionedAccount(9, None, SANCTION, attrs.evolve(SANCTION, until_us=NOW_US)),
)

LIMITED = (
    LimitsOfAccount(7, "anna", 0, 12, 3, OwnLimits(slots=0), 41, NOW_US, "admin", "ä"),
    LimitsOfAccount(9, None, 10, 0, 5, OwnLimits(locations=5), 42, NOW_US, "admin", ""),
)


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

    def account_of(self, owner: str) -> int | None:
        return next((number for number, name in OWNERS.items() if name == owner), None)

    def label(self, info_hash: bytes) -> str | None:
        facts = self.commands.facts.get(info_hash)
        return facts.label if facts else None

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
        return SettingsInForce(5, {"private": True, "policy": {"max_peers": 0}}, keys)

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

    def account(self, account: int) -> Account | None:
        return self.commands.accounts.get(account)

    def sanctions(self, after: int) -> Iterator[SanctionedAccount]:
        return (one for one in SANCTIONED if one.account > after)

    def own_limits(self, after: int) -> Iterator[LimitsOfAccount]:
        return (one for one in LIMITED if one.account > after)

    def limits_of(self, account: int) -> LimitsOfAccount | None:
        found = next((one for one in LIMITED if one.account == account), None)
        if found is None and account in self.commands.accounts:
            found = LimitsOfAccount(account, None, 10, 2, 3, OwnLimits())
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


class FakeGauges:
    """Gives one metric of each kind, and one without samples."""

    def udp(self) -> UdpStats:
        return UDP_COUNTERS

    def metrics(self) -> list[Metric]:
        labels = ("a", 'x"\n'), ("kind", "one")
        return [
            Metric("asked_total", "counter", "How often.", (Sample(3, labels), Sample(2**40))),
            Metric("here_total", "gauge", "How many.", (Sample(0.5),)),
            Metric("never", "gauge", "Nothing yet.", ()),
        ]


@attrs.define
class FakeLog:
    """Implements `ports.Events` and `ports.Ledgers` over these events; every filter finds all.

    For streams, events before `pruned` are gone. Pages and ledgers raise `failure`.
    """

    events: list[dict[str, Any]] = attrs.field(factory=list)
    asked: list[tuple[LogPart, EventFilter]] = attrs.field(factory=list)
    ledgers: list[tuple[object, ...]] = attrs.field(factory=list)
    failure: Exception | None = None
    pruned: int | None = None
    event_types: tuple[str, ...] = ("announced", "key_issued")

    @property
    def end(self) -> int:
        return len(self.events)

    async def read(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        self.asked.append((part, wanted))
        if self.failure is not None:
            raise self.failure
        found = self.events[part.first : part.first + limit]
        following = part.first + len(found)
        return EventPage(found, following if following < self.end else None, self.end)

    async def follow(
        self, after: int | None, wanted: EventFilter
    ) -> AsyncGenerator[Followed, None]:
        first = self.end if after is None else after + 1
        self.asked.append((LogPart(first=first), wanted))
        if self.pruned is not None:
            first = self.pruned
            yield Followed([], first - 1, first)
        yield Followed(self.events[first:], self.end - 1)
        while True:
            await trio.sleep(1)
            yield Followed([], self.end - 1)

    async def entries(
        self, account: int, info_hash: bytes | None, moment: Moment | None, after: int, limit: int
    ) -> EntriesPage:
        self._ask(account, info_hash, moment, after, limit)
        return ENTRIES

    async def account_totals(
        self, account: int, moment: Moment | None, after: bytes | None, limit: int
    ) -> SumsPage:
        self._ask(account, moment, after, limit)
        return SumsPage([(None, SUMS), (bytes(20), SUMS)], bytes(20), 5, 99)

    async def torrent_totals(
        self, info_hash: bytes, moment: Moment | None, after: int | None, limit: int
    ) -> SumsPage:
        self._ask(info_hash, moment, after, limit)
        return SumsPage([(7, SUMS)], None, 5, 99)

    async def account_rows(self, account: int, moment: Moment | None, query: BookQuery) -> BookPage:
        self._ask(account, moment, query)
        nothing = attrs.evolve(ROW, info_hash=None, client=None, completed_us=None)
        return BookPage([nothing, ROW], ListCursor(5, None), 0, 99)

    async def torrent_rows(
        self, info_hash: bytes, moment: Moment | None, query: BookQuery
    ) -> BookPage:
        self._ask(info_hash, moment, query)
        return BookPage([ROW], ListCursor(0, 7), 40, 99)

    async def series(self, whose: int | bytes, first: int, last: int, limit: int) -> SeriesPage:
        self._ask(whose, first, last, limit)
        peaks = (None, None) if isinstance(whose, int) else (3, 2)
        day = SeriesDay(20_000, 5, 6, -7, 8, 9_999_999, 1, *peaks)
        return SeriesPage([day], 20_000, 40, 99)

    async def seeded(self, query: ListQuery) -> SeededPage:
        self._ask("seeded", query)
        row = SeededTorrent(bytes(20), NOW_US, None, None, 7, NOW_US, 86_400_000_000)
        return SeededPage([row], ListCursor(NOW_US, bytes(20)), 5, 99)

    async def hit_and_run_rules(self) -> list[RuleInForce]:
        self._ask("rules")
        rule = JudgingRule(seed_by_size=((0, 60), (5, 90)))
        return [RuleInForce(1, 7, NOW_US, rule, False), RuleInForce(2, 8, NOW_US, rule, True)]

    async def judged(self, query: JudgedQuery, moment: Moment | None) -> JudgedPage:
        self._ask(query, moment)
        return JudgedPage([JUDGED, attrs.evolve(JUDGED, facts=None)], (7, bytes(20)), 99)

    async def judged_history(self, account: int, info_hash: bytes) -> list[Transition]:
        self._ask(account, info_hash)
        return [JUDGED.since]

    async def transitions(self, after: TransitionPlace | None, limit: int) -> TransitionsPage:
        self._ask(after, limit)
        return TRANSITIONS

    async def follow_transitions(
        self, after: TransitionPlace | None
    ) -> AsyncGenerator[TransitionsPage, None]:
        self._ask("followed", after)
        yield TRANSITIONS
        while True:
            await trio.sleep(1)
            yield attrs.evolve(TRANSITIONS, transitions=[])

    async def cases(self, query: CasesQuery) -> CasesPage:
        self._ask(query)
        bare = attrs.evolve(
            CASE, grade=None, holder=None, until_us=None, findings=0, first_us=None, last_us=None
        )
        return CasesPage([CASE, bare], (7, "constant_rate"), 99)

    async def case(self, account: int, detector: str) -> CaseTold | None:
        self._ask(account, detector)
        if account != CASE.account:
            return None
        return CaseTold(CASE, [CASE_FINDING], [CASE_CHANGE], 99)

    async def detectors(self) -> list[Detector]:
        self._ask("detectors")
        return [Detector("impossible_rate", {"limit": 7}, 5, 2, 1, 0)]

    def _ask(self, *arguments: object) -> None:
        if self.failure is not None:
            raise self.failure
        self.ledgers.append(arguments)


CASE = Case(
    account=7, detector="impossible_rate", state="open", since_us=NOW_US, grade="case", holder="ops",
    outcome="harmless", until_us=NOW_US, findings=1, first_us=NOW_US, last_us=NOW_US,
)  # fmt: skip
CASE_FINDING = CaseFinding(
    seq=8, time_us=NOW_US, grade="case", info_hash=bytes(20), begin_us=NOW_US, end_us=NOW_US,
    amount=7, unit="bytes", evidence=(3, 8), facts={"limit": 5},
)  # fmt: skip
CASE_CHANGE = CaseChange(
    seq=9, time_us=NOW_US, type="case_closed", by="ops", reason="known", note=None,
    outcome="harmless", until_us=NOW_US,
)  # fmt: skip

EXPLANATION: dict[str, Any] = {
    "seq": 7, "time": "2027-01-15T08:00:00.000000Z", "type": "announced", "request": {}, "peer": {},
    "settings_seq": 1, "rules": [{"rule": "whitelist", "answer": "passed", "settings": {}}],
    "before": {}, "peers": [
        {"address": "192.0.2.1", "pseudonym": "aa" * 8, "port": 6881, "peer_id": "00" * 20, "seq": 3}
    ],
    "withheld": None,
}  # fmt: skip


REPLY: dict[str, Any] = {
    "seq": 8, "time": "2027-01-15T08:00:00.000000Z", "info_hash": "00" * 20, "account": 1,
    "owner": "anna", "key_ref": 1, "address": "192.0.2.9", "pseudonym": "bb" * 8, "port": 6881, "peer_id": "00" * 20,
    "peers": EXPLANATION["peers"],
}  # fmt: skip


STAY: dict[str, Any] = {
    "info_hash": "00" * 20, "network": "192.0.2.0/24", "pseudonym": "00" * 8,
    "peer_id_prefix": "-qB4650-", "client": None, "user_agent": None, "protocol": "udp",
    "listener": 0, "account": 1, "key_ref": 1, "joined": "2027-01-15T08:00:00.000000Z",
    "how": "joined", "seq": 8, "left": None, "why": None, "left_seq": None, "last_announce": None,
}  # fmt: skip


OUTAGE = Outage("stopped", "signal", NOW_US, NOW_US + 2_500_000, 5, 7)

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
SUMMARY: dict[str, Any] = {
    "events": 10, "seq": 9, "time": "2027-01-15T08:00:00.000000Z", "settings": {}, "digest": "00",
    "history": "00", "history_seq": 5,
}  # fmt: skip
DIFF: dict[str, Any] = {
    "changes": [{"type": "peer_left", **SWARM["peers"][0]}], "next": 3, "outages": [None, None],
}  # fmt: skip
CHECK: dict[str, Any] = {
    "first": 3, "last": 9, "as_recorded": 5, "differing": 1, "not_decided": {"why": 1},
    "brought_about": 0, "inputs": 0, "whole": True, "outcomes": [
        {
            "seq": 4, "time": "2027-01-15T08:00:00.000000Z", "type": "announced",
            "outcome": "differs", "why": None,
            "differences": [{"what": "rule", "recorded": "first", "now": None}],
        }
    ],
}  # fmt: skip
WHAT_IF: dict[str, Any] = {
    "first": 3, "last": 9, "settings": {}, "announces": 5, "refused": {}, "recorded": {}, "now": {},
    "credit": {}, "accounts": [], "not_recorded": {}, "left_out": [],
}  # fmt: skip


@attrs.define
class FakePast:
    """Returns the same model for every moment and records the moments, or fails."""

    model: FakeModel = attrs.field(factory=FakeModel)
    moments: list[Moment] = attrs.field(factory=list)
    handed_queries: list[tuple[HandedQuery, int]] = attrs.field(factory=list)
    stays_queries: list[tuple[StaysQuery, int]] = attrs.field(factory=list)
    states: list[tuple[object, ...]] = attrs.field(factory=list)
    outages_queries: list[tuple[object, ...]] = attrs.field(factory=list)
    seeding_asked: list[tuple[int, tuple[int, bytes], int]] = attrs.field(factory=list)
    failure: Exception | None = None
    outage: Outage | None = None  # that every moment lies in

    async def ask(self, moment: Moment, method: Any, *arguments: Any, on_outage: Any) -> Any:
        self.moments.append(moment)
        if self.outage is not None:
            on_outage(self.outage)
        if self.failure is not None:
            raise self.failure
        return getattr(self.model, method.__name__)(*arguments)

    async def seeding(self, from_us: int, after: tuple[int, bytes], limit: int) -> list[SeedingRow]:
        self.seeding_asked.append((from_us, after, limit))
        rows = [
            SeedingRow(account, bytes(20), 5_000_000, 2, None, 60_000_000) for account in (7, 8)
        ]
        return [one for one in rows if one.account > after[0]][:limit]

    async def each(
        self, moment: Moment, method: Any, *arguments: Any, on_outage: Any
    ) -> AsyncGenerator[list[Any], None]:
        found = await self.ask(moment, method, *arguments, on_outage=on_outage)
        items = [item for item in found if item is not None]
        for start in range(0, len(items) + 1, LISTED_AT_ONCE):
            yield items[start : start + LISTED_AT_ONCE]

    async def explain(self, seq: int) -> dict[str, Any]:
        self.moments.append(Moment(seq=seq))
        if self.failure is not None:
            raise self.failure
        return EXPLANATION | {"seq": seq}

    async def handed(self, query: HandedQuery, limit: int) -> HandedPage:
        self.handed_queries.append((query, limit))
        if self.failure is not None:
            raise self.failure
        return HandedPage([REPLY], 9, ["2027-01-15"], "cc" * 8)

    async def swarm(
        self, moment: Moment | None, info_hash: bytes, after: int, limit: int, on_outage: Any
    ) -> dict[str, Any]:
        return self._told(SWARM, on_outage, moment, info_hash, after, limit)

    async def summary(self, moment: Moment | None, on_outage: Any) -> dict[str, Any]:
        return self._told(SUMMARY, on_outage, moment)

    async def diff(
        self, first: Moment, last: Moment | None, info_hash: bytes | None, after: int, limit: int
    ) -> dict[str, Any]:
        return self._told(DIFF, lambda _: None, first, last, info_hash, after, limit)

    def _told(self, told: dict[str, Any], on_outage: Any, *asked: object) -> dict[str, Any]:
        self.states.append(asked)
        if self.outage is not None:
            on_outage(self.outage)
        if self.failure is not None:
            raise self.failure
        return told

    async def outages(
        self, first: Moment | None, last: Moment | None, after: int, limit: int
    ) -> OutagesPage:
        self.outages_queries.append((first, last, after, limit))
        if self.failure is not None:
            raise self.failure
        return OutagesPage([OUTAGE], 7)

    async def stays(self, query: StaysQuery, limit: int) -> StaysPage:
        self.stays_queries.append((query, limit))
        if self.failure is not None:
            raise self.failure
        return StaysPage([STAY], 7, 100, ["2027-01-15"], "cc" * 8)


@attrs.define
class FakeReruns:
    """Tells the same of every part, and records what was asked; or fails."""

    asked: list[tuple[object, ...]] = attrs.field(factory=list)
    failure: Exception | None = None

    async def check(
        self, first: Moment | None, last: Moment | None, *, trace: bool
    ) -> dict[str, Any]:
        return self._told(CHECK, first, last, trace)

    async def what_if(
        self, first: Moment | None, last: Moment | None, settings: Sequence[str]
    ) -> dict[str, Any]:
        return self._told(WHAT_IF, first, last, *settings)

    def _told(self, told: dict[str, Any], *asked: object) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        self.asked.append(asked)
        return told


class FakeWebhooks:
    """One webhook with a dead letter; it keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int | None]] = []

    def all(self) -> list[WebhookState]:
        dead = DeadLetter(3, 4, NOW_US, "status 500")
        return [
            WebhookState(
                "site", "https://site.example", ("key_issued",), 7, 2, NOW_US, "status 500",
                (dead,), 1,
            )
        ]  # fmt: skip

    def replay(self, name: str, first: int) -> None:
        self.asked.append((name, first))

    def retry(self, name: str) -> int:
        self.asked.append((name, None))
        return 1


class FakeConsumers:
    """A webhook, and what was registered."""

    def __init__(self) -> None:
        self.registered: dict[str, int] = {}

    def all(self) -> list[Consumer]:
        found = [Consumer("site", True, 7, 2, None, True)]
        return found + [
            Consumer(name, False, seq, 9 - seq, NOW_US, False)
            for name, seq in self.registered.items()
        ]

    async def register(self, name: str, seq: int) -> Consumer:
        if seq > 9:
            raise ValueError("seq: the newest event is 9")
        self.registered[name] = seq
        return self.all()[-1]

    async def forget(self, name: str) -> bool:
        return self.registered.pop(name, None) is not None


class FakeChanges:
    """An account and a torrent that changed, and a second page; it keeps what it was asked for."""

    log_id, epoch = "ab" * 16, 3

    def __init__(self) -> None:
        self.asked: list[ChangesQuery] = []

    async def accounts(self, query: ChangesQuery) -> ChangesPage[Account] | None:
        self.asked.append(query)
        if query.since == 1:
            return None
        page = [Account(7, 1, 2, 3, 4, 5_000_000, 6, 7, NOW_US, None)]
        return ChangesPage(page, None if query.after else (90, 7), 90)

    async def torrents(self, query: ChangesQuery) -> ChangesPage[TorrentSummary] | None:
        self.asked.append(query)
        return ChangesPage([TorrentSummary(bytes(20), 1, 2, 3)], None, 90)


@attrs.define
class FakeCommands:
    """Implements `ports.Commands` over a whitelist, and keys by `key_ref`, the latest last."""

    whitelist: set[bytes] = attrs.field(factory=set)
    issued: dict[int, tuple[str, KeyInfo]] = attrs.field(factory=dict)
    accounts: dict[int, Account] = attrs.field(factory=dict)
    factors: dict[int, Factor] = attrs.field(factory=dict)
    tokens: dict[int, FreeleechToken] = attrs.field(factory=dict)
    facts: dict[bytes, TorrentFacts] = attrs.field(factory=dict)
    corrections: list[Correction] = attrs.field(factory=list)
    judging: list[object] = attrs.field(factory=list)  # what the commands of hit and run said
    actors: list[Actor] = attrs.field(factory=list)
    access_tokens: dict[int, TokenInfo] = attrs.field(factory=dict)
    looks: list[tuple[str, int | None]] = attrs.field(factory=list)
    failure: CommandError | None = None  # every command raises it

    @property
    def keys(self) -> set[str]:
        """The keys in force."""
        return {key for key, info in self.issued.values() if info.state != "revoked"}

    def _asked(self, by: Actor) -> None:
        if self.failure is not None:
            raise self.failure
        self.actors.append(by)

    async def change_settings(
        self, values: Mapping[str, object], by: Actor, *, dry_run: bool = False
    ) -> SettingsChange:
        self._asked(by)
        if not values:
            raise InvalidSettingError("no setting is given")
        found = tuple(SettingDifference(key, 0, value) for key, value in values.items())
        return SettingsChange(None if dry_run else 7, found)

    async def issue_token(self, new: NewToken, by: Actor) -> IssuedToken:
        self._asked(by)
        number = len(self.access_tokens) + 1
        self.access_tokens[number] = TokenInfo(
            number, new.label, new.scope, "valid", NOW_US, new.until_us, None, None
        )
        return IssuedToken(f"Token{number}", number)

    async def revoke_token(self, number: int, by: Actor) -> None:
        self._asked(by)
        if number not in self.access_tokens:
            raise UnknownTokenError
        self.access_tokens[number] = attrs.evolve(
            self.access_tokens[number], state="revoked", revoked_us=NOW_US
        )

    def use_token(self, number: int) -> None:
        self.access_tokens[number] = attrs.evolve(self.access_tokens[number], used_us=NOW_US)

    async def see_addresses(self, asked: str, addresses: int | None, by: Actor) -> None:
        self._asked(by)
        self.looks.append((asked, addresses))

    async def whitelist_add(self, info_hashes: Iterable[bytes], by: Actor) -> list[bytes]:
        self._asked(by)
        added = [each for each in dict.fromkeys(info_hashes) if each not in self.whitelist]
        self.whitelist.update(added)
        return added

    async def whitelist_remove(self, info_hash: bytes, by: Actor) -> bool:
        self._asked(by)
        known = info_hash in self.whitelist
        self.whitelist.discard(info_hash)
        return known

    async def issue_key(self, new: NewKey, by: Actor) -> IssuedKey:
        self._asked(by)
        return self.add(new)

    async def import_keys(self, new: Sequence[NewKey], by: Actor) -> list[int]:
        self._asked(by)
        for number, one in enumerate(new):
            if one.key in self.keys:
                raise DuplicateKeyError(f"keys[{number}]: exists already")
        return [self.add(one).key_ref for one in new]

    async def label_key(self, key_ref: int, label: str | None, by: Actor) -> None:
        self._asked(by)
        self._change(key_ref, label=label)

    async def rotate_key(self, key_ref: int, by: Actor) -> IssuedKey:
        self._asked(by)
        self._change(key_ref, state="revoked")
        info = self.issued[key_ref][1]
        return self.add(NewKey(RANDOM_KEY[::-1], None, info.valid_until_us, info.owner, info.label))

    async def revoke_key(self, key: str, by: Actor) -> None:
        self._asked(by)
        for key_ref, (text, info) in self.issued.items():
            if text == key and info.state != "revoked":
                self._change(key_ref, state="revoked")
                return
        raise UnknownKeyError

    async def revoke_key_ref(self, key_ref: int, by: Actor) -> None:
        self._asked(by)
        self._change(key_ref, state="revoked")

    async def revoke_owner(self, owner: str, by: Actor) -> int:
        self._asked(by)
        found = [n for n, (_, info) in self.issued.items() if info.owner == owner]
        for key_ref in found:
            self._change(key_ref, state="revoked")
        if not found:
            raise UnknownAccountError(f"no account has the owner {owner}")
        return len(found)

    async def describe_torrents(
        self, torrents: Sequence[tuple[bytes, TorrentFacts]], by: Actor
    ) -> int:
        self._asked(by)
        changed = 0
        for info_hash, facts in torrents:
            changed += facts != self.facts.get(info_hash, TorrentFacts())
            self.facts[info_hash] = facts
            if facts == TorrentFacts():
                del self.facts[info_hash]
        return changed

    async def set_factor(self, terms: FactorTerms, by: Actor) -> Factor:
        self._asked(by)
        number = len(self.factors) + 1
        from_us = NOW_US if terms.from_us is None else terms.from_us
        self.factors[number] = Factor(number, 100 + number, attrs.evolve(terms, from_us=from_us))
        return self.factors[number]

    async def group_account(self, account: int, group: str | None, by: Actor) -> None:
        self._asked(by)
        if account not in self.accounts:
            raise UnknownAccountError
        self.accounts[account] = attrs.evolve(self.accounts[account], group=group)

    async def give_freeleech(self, terms: FreeleechTerms, by: Actor) -> FreeleechToken:
        self._asked(by)
        number = len(self.tokens) + 1
        token = FreeleechToken(number, 200 + number, terms, "unused", 0, NOW_US, None, None)
        return self.tokens.setdefault(number, token)

    async def withdraw_freeleech(self, number: int, by: Actor) -> None:
        self._asked(by)
        if number not in self.tokens:
            raise UnknownFreeleechError
        self.tokens[number] = attrs.evolve(self.tokens[number], state="withdrawn", over_us=NOW_US)

    async def end_factor(self, number: int, by: Actor) -> None:
        self._asked(by)
        if self.factors.pop(number, None) is None:
            raise UnknownFactorError

    async def correct(self, asked: Correction, by: Actor) -> int:
        self._asked(by)
        account = self.accounts.get(asked.account)
        if account is None:
            raise UnknownAccountError
        self.corrections.append(asked)
        up, down = account.credited_uploaded, account.credited_downloaded
        self.accounts[asked.account] = attrs.evolve(
            account,
            credited_uploaded=up + asked.uploaded,
            credited_downloaded=down + asked.downloaded,
        )
        return 1000 + len(self.corrections)

    async def set_hit_and_run_rule(self, rule: JudgingRule, by: Actor) -> int:
        return self._judge(by, rule)

    async def end_hit_and_run_rule(self, by: Actor) -> int:
        return self._judge(by, None)

    async def pardon(self, what: Pardon, by: Actor) -> int:
        return self._judge(by, what)

    async def void(self, info_hash: bytes, account: int | None, by: Actor) -> int:
        return self._judge(by, (info_hash, account))

    async def change_immunity(
        self, account: int, immune: bool, from_us: int | None, by: Actor
    ) -> int:
        return self._judge(by, (account, immune, from_us))

    async def impose(self, what: str, account: int, until_us: int | None, by: Actor) -> int:
        return self._judge(by, (what, account, until_us))

    async def lift(self, what: str, account: int, by: Actor) -> int:
        return self._judge(by, (what, account))

    async def limit(self, account: int, own: OwnLimits, by: Actor) -> int:
        return self._judge(by, (account, own))

    async def blacklist(self, info_hash: bytes, public: bool, by: Actor) -> int:
        return self._judge(by, (info_hash, public))

    async def unblacklist(self, info_hash: bytes, by: Actor) -> int:
        return self._judge(by, info_hash)

    async def block(self, network: str, until_us: int | None, public: bool, by: Actor) -> int:
        return self._judge(by, (network, until_us, public))

    async def unblock(self, network: str, by: Actor) -> int:
        return self._judge(by, network)

    async def rule_client(self, terms: ClientRuleTerms, by: Actor) -> ClientRule:
        seq = self._judge(by, terms)
        return ClientRule(
            7, terms.client, terms.first, terms.last, terms.from_us or NOW_US, False,
            Sanction(seq, NOW_US, None, by.token, by.reason, terms.public),
        )  # fmt: skip

    async def end_client_rule(self, number: int, by: Actor) -> int:
        return self._judge(by, number)

    async def take_case(self, account: int, detector: str, by: Actor) -> int:
        return self._judge(by, ("take", account, detector))

    async def wait_for_member(self, account: int, detector: str, by: Actor) -> int:
        return self._judge(by, ("wait", account, detector))

    async def close_case(self, account: int, detector: str, how: CaseClosing, by: Actor) -> int:
        return self._judge(by, (account, detector, how))

    async def note_case(self, account: int, detector: str, note: str, by: Actor) -> int:
        return self._judge(by, (account, detector, note))

    def _judge(self, by: Actor, said: object) -> int:
        self._asked(by)
        self.judging.append(said)
        return 2000 + len(self.judging)

    def add(self, new: NewKey) -> IssuedKey:
        key = new.key or RANDOM_KEY
        if new.key in self.keys:
            raise DuplicateKeyError
        until_us = new.valid_until_us
        if new.seconds_valid is not None:
            until_us = NOW_US + new.seconds_valid * 1_000_000
            if new.seconds_valid > LONGEST_S:
                raise InvalidDurationError
        key_ref = len(self.issued) + 1
        self.issued[key_ref] = (
            key,
            KeyInfo(
                key_ref, sha256(key.encode()).digest(), "valid", key_ref, new.owner, new.label,
                until_us, None, None,
            ),
        )  # fmt: skip
        return IssuedKey(key, until_us, key_ref)

    def _change(self, key_ref: int, **changed: str | None) -> None:
        if key_ref not in self.issued:
            raise UnknownKeyError
        key, info = self.issued[key_ref]
        if info.state == "revoked":
            raise RevokedKeyError
        self.issued[key_ref] = key, attrs.evolve(info, **changed)
