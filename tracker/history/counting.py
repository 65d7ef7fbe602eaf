"""Says where the numbers of an announce come from: what it added to its account, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from tracker.domain import events
from tracker.domain.factors import EVEN, Applied, better, from_words, worse
from tracker.domain.seeding import share
from tracker.domain.swarms import MARK_SEEDER, MARK_SHARED
from tracker.history.pictures import seconds
from tracker.times import rfc3339

if TYPE_CHECKING:
    from tracker.domain.accounts import Totals
    from tracker.domain.bases import Base
    from tracker.domain.freeleech import Token
    from tracker.domain.state import State
    from tracker.domain.swarms import Peer
    from tracker.history.recorded import Recorded

Numbers = dict[str, Any]


@define
class Counting:
    """What counts of the state before an announce."""

    state: State
    one: Recorded
    account: int  # 0 = nothing is counted
    peer: int  # 0 = a new one
    base: Base | None  # from which a new one went on
    last: Peer | Base | None = field(init=False)  # what the announce goes on from
    totals: Totals = field(init=False)
    by_rules_2: bool = field(init=False)
    settled_us: int | None = field(init=False)  # up to which the account's peers are counted
    listed_until_us: int | None = field(init=False)
    then: Applied = field(init=False)
    now: Applied = field(init=False)
    applied: Applied = field(init=False)
    token: Token | None = field(init=False)  # freeleech that may free what is downloaded
    set_by: dict[int, int] = field(init=False)  # the events of factors, by their numbers

    def __attrs_post_init__(self) -> None:
        state, one = self.state, self.one
        self.last = state.swarms.peer(self.peer) if self.peer else self.base
        self.totals = state.accounts.totals(self.account)
        since_seq = state.listing.since_seq
        older = self.peer and self.last is not None and one.prev_seq < since_seq
        self.by_rules_2 = one.seq >= since_seq and not older
        self.settled_us = self.listed_until_us = None
        if self.by_rules_2 and self.last is not None:
            self.listed_until_us = state.listing.until(self.last.seen_us)
            if self.peer and self.last.mark & MARK_SHARED:
                torrent = state.swarms.lookup(one.info_hash)
                self.settled_us = state.seeding.settled.get(share(self.account, torrent))
        self.token = state.freeleech.of(self.account, one.info_hash) if self.by_rules_2 else None
        self._take_factors()

    def _take_factors(self) -> None:
        state, one = self.state, self.one
        self.now = self.then = state.factors.applied(self.account, one.info_hash, one.time_us)
        if self.by_rules_2:
            self.then = state.accounts.terms_of(self.peer) if self.peer else EVEN
            if self.base is not None:
                words = self.base.percents, self.base.upload_factor, self.base.download_factor
                self.then = from_words(words)
        self.applied = (worse if one.rule == events.RULE_RESUMED else better)(self.then, self.now)
        self.set_by = {number: each.seq for number, each in state.factors.current.items()}

    @property
    def goes_on(self) -> bool:
        return self.last is not None and self.one.rule != events.RULE_RESTARTED

    def numbers(self, state: State) -> Numbers | None:
        """Returns what the announce added, by the state after it; None = it has no account."""
        if not self.account:
            return None
        one, last, before = self.one, self.last, self.totals
        after = state.accounts.totals(self.account)
        applied, then, now = self.applied, self.then, self.now
        return {
            "accounting": state.settings.accounting if self.by_rules_2 else 1,
            "uploaded": self._moved(
                one.uploaded, last.uploaded if last else 0, after.uploaded - before.uploaded,
                after.credited_uploaded - before.credited_uploaded,
                applied.upload_percent, then[::2], now[::2],
            ),
            "downloaded": {
                **self._moved(
                    one.downloaded, last.downloaded if last else 0,
                    after.downloaded - before.downloaded,
                    after.credited_downloaded - before.credited_downloaded,
                    applied.download_percent, then[1::2], now[1::2],
                ),
                **self._freed(state),
            },
            "time": self._time(after),
            "sessions": after.sessions - before.sessions,
            "snatched": after.snatched - before.snatched,
        }  # fmt: skip

    def _moved(
        self,
        announced: int,
        last: int,
        counted: int,
        credited: int,
        percent: int,
        then: tuple[int, ...],
        now: tuple[int, ...],
    ) -> Numbers:
        difference = max(0, announced - last) if self.goes_on else 0
        clipped = difference - counted
        return {
            "announced": announced,
            "base": last if self.goes_on else None,
            "difference": difference,
            "counted": counted,
            "clipped": clipped,
            "clipped_by": self._clipped_by() if clipped else None,
            "percent": percent if self.goes_on else None,
            "factor_at_beginning": self._factor(*then),
            "factor_at_end": self._factor(*now),
            "credited": credited,
        }

    def _freed(self, state: State) -> Numbers:
        """Returns the bytes that count nothing because of a freeleech token, and its number."""
        token = self.token
        after = None if token is None else state.freeleech.tokens.get(token.number)
        freed = 0 if token is None or after is None else after.freed - token.freed
        return {"freed": freed, "freed_by": token.number if token is not None and freed else None}

    def _clipped_by(self) -> str:
        rate, last = self.state.settings.policy.resumed_rate, self.last
        if self.one.rule == events.RULE_RESUMED and rate and last is not None:
            gap = seconds(self.one.time_us - last.seen_us)
            return f"resumed_rate: {rate} bytes a second in {gap} seconds"
        return "a total has 64 bits"

    def _factor(self, percent: int, number: int) -> Numbers:
        return {"percent": percent, "factor": number or None, "set_by": self.set_by.get(number)}

    def _time(self, after: Totals) -> Numbers:
        dates, last, one = self.state.dates, self.last, self.one
        gap_us = one.time_us - last.seen_us if last is not None else 0
        until_us = self.listed_until_us
        return {
            "seeding_seconds": seconds(after.seeding_us - self.totals.seeding_us),
            "partial_seeding_seconds": seconds(after.partial_us - self.totals.partial_us),
            "gap_seconds": seconds(gap_us),
            "since": rfc3339(dates.of(last.seen_us)) if last is not None else None,
            "counted_until": rfc3339(dates.of(self.settled_us)) if self.settled_us else None,
            "listed_until": rfc3339(dates.of(until_us)) if until_us is not None else None,
            "why": " ".join(self._why_time(gap_us)),
        }

    def _why_time(self, gap_us: int) -> list[str]:
        last, one = self.last, self.one
        if last is None:
            return ["A new peer has no time before its first announce."]
        seeder = last.mark & MARK_SEEDER
        partial = last.mark & 0x0F == events.PAUSED
        said = []
        if not seeder and not (partial and self.by_rules_2):
            said.append("At its announce before it was neither a seeder nor a partial seed.")
        elif self.base is not None:
            said.append("Its time was counted when it was removed from the swarm.")
        elif not self.by_rules_2 and not self.goes_on:
            said.append("By rules 1 a new session has no time before it.")
        elif not self.by_rules_2:
            timeout = self.state.settings.max_peer_timeout
            said.append(
                f"By rules 1 the gap counts, but at most max_peer_timeout: {timeout} seconds."
            )
        else:
            until_us = self.listed_until_us or 0
            said.append("The time for which it was listed counts.")
            if until_us < one.time_us:
                over = seconds(one.time_us - max(until_us, last.seen_us))
                said.append(
                    f"It was not listed any more in the last {over} of {seconds(gap_us)} seconds."
                )
        if self.settled_us is not None:
            said.append(
                "The account has several peers in the torrent, and each moment counts once."
            )
        if one.evicted is not None:
            said.append("What an evicted peer of the account gained is in it.")
        return said
