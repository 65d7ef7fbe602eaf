"""Implements `ports.Past` over the same model for every moment, and records the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from tests.api.fakes.model import SWARM, FakeModel
from tests.api.fakes.values import NOW_US
from tracker.ports import (
    LISTED_AT_ONCE,
    HandedPage,
    HandedQuery,
    Moment,
    Outage,
    OutagesPage,
    SeedingRow,
    StaysPage,
    StaysQuery,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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

SUMMARY: dict[str, Any] = {
    "events": 10, "seq": 9, "time": "2027-01-15T08:00:00.000000Z", "settings": {}, "digest": "00",
    "history": "00", "history_seq": 5,
}  # fmt: skip
DIFF: dict[str, Any] = {
    "changes": [{"type": "peer_left", **SWARM["peers"][0]}], "next": 3, "outages": [None, None],
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
        self, moment: Moment, info_hash: bytes, after: int, limit: int, on_outage: Any
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
