"""Reads the state of the tracker now or, with `at=` in the query, at a past moment.

A question is a method of the read model with its arguments: `reads.one(ReadModel.summary,
info_hash)`. The live state answers at once. `tracker.ports.Past` answers about a past moment, and
the request then has more time.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

import trio
from attrs import frozen
from quart import g, request

from api import times
from api.auth import READING
from api.endpoint import Parameter
from api.errors import bad_request
from api.openapi import shapes
from api.replies import encode
from api.streams import in_batches
from api.v2 import problems
from tracker.ports import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from api.streams import Items
    from tracker.ports import (
        HandedPage,
        HandedQuery,
        Live,
        Outage,
        OutagesPage,
        Past,
        ReadModel,
        SeedingRow,
        StaysPage,
        StaysQuery,
    )

PAST_TIMEOUT: Final = 75.0
"""Longest time for a request that reads the past or a ledger, in seconds.

A request may ask two questions about the past of up to 30 seconds each, or read a ledger in up to
60.
"""
SEQ_MAX: Final = 2**63 - 1
CACHED: Final = "private, max-age=60"
"""Lets clients keep an answer about the past, but only for a minute.

A past moment does not change, but later its addresses are shredded and its events removed.
"""

AT: Final = Parameter(
    name="at",
    schema={"anyOf": [shapes.TIME, shapes.SEQ]},
    description="as it was after that seq, or at that time; the header x-outage of the response, "
    "and in version 2 its member outage, name the outage that it lies in, if it does",
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@frozen
class Reads:
    """Reads the live state and the past."""

    live: Live
    past: Past

    async def one(self, method: Callable[[ReadModel, *Ts], T], *arguments: *Ts) -> T:
        """Returns the result of the method. Raises `Refusal`, and the errors of the past."""
        moment = moment_in_query()
        if moment is None:
            return self._now(method, arguments)
        return await self._past().ask(moment, method, *arguments, on_outage=note_outage)

    def each(
        self, method: Callable[[ReadModel, *Ts], Iterator[T | None]], *arguments: *Ts
    ) -> Items[T]:
        """Returns the items that the method iterates over, for `api.streams`."""
        moment = moment_in_query()
        if moment is None:
            return self._now(method, arguments)
        return self._past().each(moment, method, *arguments, on_outage=note_outage)

    async def explain(self, seq: int) -> Mapping[str, Any]:
        """Returns why an announce got its reply. Raises the errors of the past."""
        return await self._past().explain(seq)

    async def handed(self, query: HandedQuery, limit: int) -> HandedPage:
        """Returns replies with their peers. Raises the errors of the past."""
        return await self._past().handed(query, limit)

    async def swarm(self, info_hash: bytes, after: int, limit: int) -> Mapping[str, Any]:
        """Returns the peers of a swarm. Raises the errors of the past."""
        moment = moment_in_query()
        if moment is not None:
            return await self._past().swarm(moment, info_hash, after, limit, note_outage)
        found: list[Mapping[str, Any]] = []
        async with aclosing(in_batches(self.live.now().members(info_hash, after, limit))) as items:
            async for some in items:
                found += some
        return found[0]

    async def summary(self) -> Mapping[str, Any]:
        """Returns the state in numbers. Raises the errors of the past."""
        return await self._past().summary(moment_in_query(), note_outage)

    async def diff(
        self, first: Moment, last: Moment | None, info_hash: bytes | None, after: int, limit: int
    ) -> Mapping[str, Any]:
        """Returns what changed between two moments. Raises the errors of the past."""
        return await self._past().diff(first, last, info_hash, after, limit)

    async def outages(
        self, first: Moment | None, last: Moment | None, after: int, limit: int
    ) -> OutagesPage:
        """Returns outages. Raises the errors of the past."""
        return await self._past().outages(first, last, after, limit)

    async def stays(self, query: StaysQuery, limit: int) -> StaysPage:
        """Returns stays. Raises the errors of the past."""
        return await self._past().stays(query, limit)

    async def seeding(
        self, from_us: int, after: tuple[int, bytes], limit: int
    ) -> Sequence[SeedingRow]:
        """Returns who seeded what in an hour. Raises the errors of the past."""
        return await self._past().seeding(from_us, after, limit)

    def _now(self, method: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        answer: T = getattr(self.live.now(), method.__name__)(*arguments)
        return answer

    def _past(self) -> Past:
        g.time_limit.deadline = max(g.time_limit.deadline, trio.current_time() + PAST_TIMEOUT)
        g.cached = CACHED
        return self.past


def note_outage(outage: Outage) -> None:
    """Has the response say that nothing is known of the moment, because it lies in an outage: in a
    header, and in version 2 in the member `outage` of an object too.
    """
    g.outage = str(outage)
    if problems.is_ours(request.path):
        g.outage_member = f'"outage":{encode(outage.shown())}'


def moment_in_query() -> Moment | None:
    """Reads `at` of the query, a seq or a time; None = now. Raises `Refusal` for another text.

    A change ignores `at`, and shows the present.
    """
    given = request.args.getlist("at")
    if not given or request.method not in READING:
        return None
    if len(given) == 1:
        if re.fullmatch("[0-9]{1,19}", given[0]) and int(given[0]) <= SEQ_MAX:
            return Moment(seq=int(given[0]))
        time_us = times.parse_in_query(given[0])
        if time_us is not None:
            return Moment(time_us=time_us)
    raise bad_request("at: expected one seq, or a time such as 2027-01-31T23:59:59Z")
