"""Answers what is asked about hit and run, from the newest book."""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING

from attrs import asdict

from tracker.domain.hit_and_run import (
    AT_RISK,
    LIABLE,
    NEVER,
    OPEN,
    SATISFIED,
    STATES,
    VIOLATED,
    Rule,
    at_risk_us,
    ran,
    violated_us,
)
from tracker.domain.judging import stands_of
from tracker.ports import (
    JUDGED_STATES,
    JudgedDownload,
    JudgedFacts,
    JudgedPage,
    JudgingRule,
    PlacedTransition,
    RuleInForce,
    Transition,
    TransitionsPage,
)
from tracker.store.book_rows import name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.domain.hit_and_run import Download
    from tracker.domain.judging import Swarm
    from tracker.ports import JudgedQuery, TransitionPlace
    from tracker.store.book import Book
    from tracker.store.judged_rows import JudgedRows, Told


class Judgements:
    """What a book says of downloads. Blocking."""

    def __init__(self, book: Book) -> None:
        listed, self._rows, self._placed = book.listed, book.judged, book.placed
        self._log_id, self.upto = listed.position.log_id.hex(), listed.position.seq
        data = listed.judged.data if listed.judged else {"rules": []}
        self._data = data
        self._rules = [Rule.from_data(rule) for rule, _, _ in data["rules"]]
        self._immune = dict(data.get("immune", []))
        self._swarms: dict[bytes, Swarm] = {}

    def rules(self) -> list[RuleInForce]:
        """Returns every rule that there was, the oldest first."""
        told = zip(self._rules, self._data["rules"], strict=True)
        return [
            RuleInForce(
                number, seq, date_us, JudgingRule(**asdict(rule)), number == self._data["rule"]
            )
            for number, (rule, (_, seq, date_us)) in enumerate(told, 1)
        ]

    def page(self, query: JudgedQuery, end: int | None) -> JudgedPage:
        """Returns downloads as they are, or as they were before event `end`."""
        immune = self._is_immune(query.account)
        if self._rows is None:
            return JudgedPage([], None, self.upto - 1, immune=immune)
        now = end is None or end >= self.upto
        found = self._now(self._rows, query) if now else self._then(self._rows, query, end or 0)
        chosen: list[JudgedDownload] = []
        for one in found:
            if len(chosen) == query.limit:
                last = chosen[-1]
                following = last.account, last.info_hash
                return JudgedPage(chosen, following, self._last(end), immune=immune)
            chosen.append(one)
        return JudgedPage(chosen, None, self._last(end), immune=immune)

    def _is_immune(self, account: int | None) -> bool:
        now_us = self._data.get("time_us", 0)
        return any(begin <= now_us < end for begin, end in self._immune.get(account, ()))

    def _last(self, end: int | None) -> int:
        return (self.upto if end is None else min(end, self.upto)) - 1

    def history(self, account: int, info_hash: bytes) -> list[Transition]:
        """Returns the transitions of a download, the oldest first."""
        if self._rows is None:
            return []
        return [self._transition(one) for one in self._rows.told(name(account, info_hash))]

    def transitions(self, after: TransitionPlace | None, limit: int) -> TransitionsPage:
        """Returns transitions of all downloads in the order of the log."""
        rows = self._placed
        if rows is None:
            return TransitionsPage([], False, None, self._log_id, self.upto - 1)
        found = list(islice(rows.after(after), limit + 1))
        shown = [
            PlacedTransition(
                int.from_bytes(one.name[:4], "big"),
                one.name[5:],
                Transition(STATES[one.state], one.date_us, self._log_id, *one.place),
            )
            for one in found[:limit]
        ]
        return TransitionsPage(shown, len(found) > limit, rows.last(), self._log_id, self.upto - 1)

    def _transition(self, told: Told) -> Transition:
        return Transition(
            STATES[told.state], told.date_us, self._log_id, told.epoch, told.seq, told.n
        )

    def _now(self, rows: JudgedRows, query: JudgedQuery) -> Iterator[JudgedDownload]:
        for one in self._of(rows, query):
            violated = one.violated_date
            if (
                query.info_hash in (None, one.info_hash)
                and STATES[one.state] in (query.states or JUDGED_STATES)
                and (query.violated_from_us is None or query.violated_from_us <= violated)
                and (query.violated_until_us is None or violated < query.violated_until_us)
            ):
                yield self._download(rows, one)

    def _of(self, rows: JudgedRows, query: JudgedQuery) -> Iterable[Download]:
        if query.account is not None and query.info_hash is not None:
            found = rows.one(name(query.account, query.info_hash))
            return [found] if found and query.after is None else []
        states = {STATES.index(each) for each in query.states or JUDGED_STATES}
        return rows.beginning_with(_prefix(query), _after(query), states)

    def _then(self, rows: JudgedRows, query: JudgedQuery, end: int) -> Iterator[JudgedDownload]:
        """Yields downloads of a past moment, by their transitions up to then."""
        after = _after(query)
        for named, same in groupby(rows.told(_prefix(query)), key=lambda one: one.name):
            past = [one for one in same if one.seq < end]
            account, info_hash = int.from_bytes(named[:4], "big"), named[5:]
            if not past or named <= after or query.info_hash not in (None, info_hash):
                continue
            if STATES[past[-1].state] in (query.states or JUDGED_STATES):
                yield JudgedDownload(account, info_hash, self._transition(past[-1]), None)

    def _download(self, rows: JudgedRows, one: Download) -> JudgedDownload:
        since = Transition(
            STATES[one.state], one.since_date, self._log_id, one.since_epoch, one.since_seq,
            one.since_n,
        )  # fmt: skip
        return JudgedDownload(one.account, one.info_hash, since, self._facts(rows, one))

    def _facts(self, rows: JudgedRows, one: Download) -> JudgedFacts:
        lead_us, now_us = self._data["lead_us"], self._data["time_us"]
        seed_left = upload_left = risk = violated = left = None
        stands = False
        if one.rule and one.state in (LIABLE, AT_RISK, SATISFIED, VIOLATED) and not one.met:
            rule = self._rules[one.rule - 1]
            seed_left = max(0, rule.need_us(one.size) - one.seeded_us(rule))
            if rule.ratio_permille is not None:
                upload_left = max(
                    0, -(-one.downloaded * rule.ratio_permille // 1000) - one.uploaded
                )
            if one.state in OPEN:
                stood = self._stands(rows, one)
                stands = any(begin <= now_us < end for begin, end in stood)
                limit_us = (rule.grace_absent if rule.window is None else rule.window) * 1_000_000
                from_us = one.absent_us if rule.window is None else one.liable_us
                gone = ran(from_us, now_us, stood) if from_us else 0
                left = max(0, limit_us - gone)
                risk, violated = at_risk_us(one, rule, stood), violated_us(one, rule, stood)
        dated = [None if each in (None, NEVER) else each - lead_us for each in (risk, violated)]
        return JudgedFacts(
            rule=one.rule, size=one.size, uploaded=one.uploaded, downloaded=one.downloaded,
            seeding_us=one.seeding_us, partial_us=one.partial_us, liable_us=one.liable_date or None,
            violated_us=one.violated_date or None, absent_us=one.absent_us - lead_us if one.absent_us else None,
            seed_left_us=seed_left, upload_left=upload_left, risk_at_us=dated[0], violated_at_us=dated[1],
            left_us=left, stands=stands,
        )  # fmt: skip

    def _stands(self, rows: JudgedRows, one: Download) -> list[tuple[int, int]]:
        info_hash = one.info_hash
        if info_hash not in self._swarms:
            self._swarms[info_hash] = rows.swarm(info_hash)
        outages = [(begin, end) for begin, end in self._data["outages"]]
        immune = [(begin, end) for begin, end in self._immune.get(one.account, ())]
        return stands_of(one, self._swarms[info_hash], outages, immune)


def _prefix(query: JudgedQuery) -> bytes:
    return b"" if query.account is None else query.account.to_bytes(4, "big")


def _after(query: JudgedQuery) -> bytes:
    """Returns a name that all those wanted come after; at least those of torrents' rows."""
    return name(*query.after) if query.after is not None else name(0, b"\xff" * 20)
