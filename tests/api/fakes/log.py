"""Implements `ports.Events` and `ports.Ledgers` over given events, and records the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import trio

from tests.api.fakes.values import NOW_US
from tracker.ports import (
    BookPage,
    BookQuery,
    BookRow,
    Case,
    CaseChange,
    CaseFinding,
    CasesPage,
    CasesQuery,
    CaseTold,
    Client,
    CountPage,
    Detector,
    EntriesPage,
    EventFilter,
    EventPage,
    Followed,
    JudgedDownload,
    JudgedFacts,
    JudgedPage,
    JudgedQuery,
    JudgingRule,
    LedgerAnnounce,
    LedgerCorrection,
    LedgerOpening,
    LedgerSums,
    LedgerTotals,
    ListCursor,
    ListQuery,
    LogPart,
    Moment,
    PlacedTransition,
    RefusedPage,
    RefusedTimes,
    RuleInForce,
    SeededPage,
    SeededTorrent,
    SeriesDay,
    SeriesPage,
    SumsPage,
    Transition,
    TransitionPlace,
    TransitionsPage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

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


@attrs.define
class FakeLog:
    """Implements `ports.Events` and `ports.Ledgers` over these events; every filter finds all.

    For streams, events before `pruned` are gone. Pages and ledgers raise `failure`.
    """

    events: list[dict[str, Any]] = attrs.field(factory=list)
    asked: list[tuple[LogPart, EventFilter | str]] = attrs.field(factory=list)
    refusals: dict[tuple[bytes, int], RefusedTimes] = attrs.field(factory=dict)
    known_rates: dict[int, tuple[int, int]] = attrs.field(factory=dict)
    ledgers: list[tuple[object, ...]] = attrs.field(factory=list)
    failure: Exception | None = None
    pruned: int | None = None
    event_types: ClassVar = {
        **{name: frozenset({name}) for name in ("announced", "key_issued", "completed")},
        "staff": frozenset({"key_issued"}),
    }
    after_n: int | None = None  # with which a stream began

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

    async def read_last(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        self.asked.append((part, wanted))
        upto = self.end if part.last is None else part.last + 1
        begin = max(part.first, upto - limit)
        return EventPage(self.events[begin:upto], None, self.end, begin or None)

    async def count(self, part: LogPart, step_us: int | None) -> CountPage:
        self.asked.append((part, str(step_us)))
        return CountPage({0: {"tick": 2, "announced": 7}, 2: {"tick": 1}}, None, self.end)

    async def rates(self, seqs: Collection[int]) -> dict[int, tuple[int, int]]:
        return {seq: self.known_rates[seq] for seq in seqs if seq in self.known_rates}

    async def refused(self, part: LogPart, reason: str) -> RefusedPage:
        self.asked.append((part, reason))
        return RefusedPage(self.refusals, None, self.end)

    async def follow(
        self, after: int | None, wanted: EventFilter, n: int | None = None
    ) -> AsyncGenerator[Followed, None]:
        self.after_n = n
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
        return JudgedPage(
            [JUDGED, attrs.evolve(JUDGED, facts=None)],
            (7, bytes(20)),
            99,
            immune=query.account == 7,
        )

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
