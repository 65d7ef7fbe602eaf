"""Serves all that staff asks about a member, in one request of version 2."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import shapes
from api.streams import in_batches, json_object
from api.times import rfc3339
from api.v2 import params
from api.v2.cases import case_json
from api.v2.credit import account_json
from api.v2.hit_and_run import download_json
from api.v2.ledgers import allow_time
from api.v2.looks import WHY
from api.v2.problems import Problem
from tracker.ports import (
    BookQuery,
    BusyError,
    CasesQuery,
    EventFilter,
    JudgedQuery,
    LogPart,
    Moment,
    NoMomentError,
    StaysQuery,
    named,
)

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from api.v2.looks import Looks
    from tracker import ports
    from tracker.ports import BookRow

_DAY_US: Final = 86_400_000_000
_DAYS: Final = 1  # whose refusals and networks are shown
_MOST: Final = 1000  # downloads and stays that are looked at
_SHOWN: Final = 20  # of the newest refusals, and of networks
_OPEN: Final = ("liable", "at_risk", "violated")  # states of downloads that are shown one by one
_USED: Final = shapes.record(used=shapes.WHOLE, limit=shapes.nullable(shapes.WHOLE))
_PAGE: Final = shapes.record(
    account=shapes.ACCOUNT, missing_to_ratio_1=shapes.WHOLE, seeding=shapes.WHOLE,
    leeching=shapes.WHOLE, slots=_USED, started_today=_USED, handed_this_hour=_USED, handed_today=_USED,
    hit_and_run=shapes.record(states=shapes.ANYTHING, open=shapes.array(shapes.ANYTHING)),
    immune=shapes.FLAG,
    last_announce=shapes.nullable(shapes.record(info_hash=shapes.nullable(shapes.HASH), words=shapes.STRING)),
    refusals=shapes.array(shapes.ANYTHING), networks=shapes.nullable(shapes.array(shapes.ANYTHING)),
    open_cases=shapes.array(shapes.ANYTHING), seq=shapes.SIGNED,
)  # fmt: skip


@frozen
class Member:
    reads: Reads
    books: ports.Ledgers
    log: ports.Events
    looks: Looks

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET", "/accounts/{account}/page", self.page,
                "All that staff asks about a member.", answer(_PAGE), headers=(WHY,),
            ),
        ]  # fmt: skip

    async def page(self, account: str) -> Response:
        """Shows totals, presence, hit and run, last announce, refusals, networks and cases."""
        params.only(request.args)
        number = params.number(account, "account")
        found = self.reads.live.now().account(number)
        if found is None:
            raise Problem(404, "there is no such account")
        allow_time()
        body: dict[str, Any] = {
            "account": account_json(found),
            "missing_to_ratio_1": max(0, found.credited_downloaded - found.credited_uploaded),
        }
        await self._present(number, body)
        await self._judged(number, body)
        await self._last(number, body)
        await self._refusals(number, body)
        await self._networks(number, body)
        await self._cases(number, body)
        shown = named(body, self.reads.live.now())
        return await json_object(await self.looks.shown(shown))

    async def _present(self, account: int, body: dict[str, Any]) -> None:
        """Counts swarms, because several peers of an account in one swarm are one."""
        roles: dict[bytes, bool] = {}
        found = self.reads.live.now().present(account)
        async for some in in_batches(found):
            for one in some:
                roles[one.info_hash] = roles.get(one.info_hash, False) or one.seeder
        body["seeding"] = sum(roles.values())
        body["leeching"] = len(roles) - body["seeding"]
        limits = self.reads.live.now().limits_of(account)
        if limits is not None:
            body["slots"] = _used(limits.slots_used, limits.slots)
            body["started_today"] = _used(limits.started_today, limits.started_per_day)
            body["handed_this_hour"] = _used(limits.handed_this_hour, limits.handed_per_hour)
            body["handed_today"] = _used(limits.handed_today, limits.handed_per_day)

    async def _judged(self, account: int, body: dict[str, Any]) -> None:
        page = await self.books.judged(JudgedQuery(account=account, limit=_MOST), None)
        states: dict[str, int] = {}
        for one in page.downloads:
            states[one.since.state] = states.get(one.since.state, 0) + 1
        model = self.reads.live.now()
        due = [download_json(model, one) for one in page.downloads if one.since.state in _OPEN]
        body["immune"] = page.immune
        body["hit_and_run"] = {"states": states, "open": due}

    async def _last(self, account: int, body: dict[str, Any]) -> None:
        query = BookQuery(sort="last_us", descending=True, limit=1)
        page = await self.books.account_rows(account, None, query)
        rows = [row for row in page.rows if row.info_hash is not None and row.last_us is not None]
        body["seq"], body["last_announce"] = page.seq, None
        if rows:
            info_hash = rows[0].info_hash
            body["last_announce"] = {
                "info_hash": info_hash.hex() if info_hash else None,
                "time": rfc3339(rows[0].last_us),
                "words": self._words(rows[0]),
            }

    def _words(self, row: BookRow) -> str:
        """Tells in a sentence what the member announced last, and with what."""
        model = self.reads.live.now()
        label = row.info_hash and (model.label(row.info_hash) or row.info_hash.hex())
        client = model.client(row.client) if row.client else None
        program = client and (client.user_agent or client.peer_id_prefix)
        there = any(one and one.info_hash == row.info_hash for one in model.present(row.account))
        with_ = f" with {program}" if program else ""
        state = "is in its swarm" if there else "is not in its swarm any more"
        return f"{label}{with_}; the member {state}"

    async def _refusals(self, account: int, body: dict[str, Any]) -> None:
        part = LogPart(from_us=time.time_ns() // 1000 - _DAYS * _DAY_US)
        wanted = EventFilter(types=frozenset({"announce_refused"}), account=account)
        page = await self.log.read_last(part, wanted, _SHOWN)
        body["refusals"] = [
            {name: one.get(name) for name in ("time", "seq", "reason", "info_hash", "key_ref")}
            for one in reversed(page.events)
        ]

    async def _networks(self, account: int, body: dict[str, Any]) -> None:
        body["networks"], page = None, None
        day = Moment(time_us=time.time_ns() // 1000 - _DAYS * _DAY_US)
        for begin in (day, Moment()):  # the log may be younger than a day
            try:
                page = await self.reads.stays(StaysQuery((begin, Moment()), account=account), _MOST)
                break
            except BusyError:  # there is no index
                return
            except NoMomentError:
                continue
        if page is None:
            return
        found: dict[object, dict[str, Any]] = {}
        for stay in page.stays:
            row = found.setdefault(
                stay["pseudonym"],
                {"network": stay["network"], "pseudonym": stay["pseudonym"], "stays": 0},
            )
            row["stays"] += 1
            row["present"] = row.get("present", False) or stay["left"] is None
            row["last_joined"] = stay["joined"]
        body["networks"] = list(found.values())[-_SHOWN:]

    async def _cases(self, account: int, body: dict[str, Any]) -> None:
        query = CasesQuery(
            states=("open", "taken", "waiting"),
            grades=("case", "proof"),
            account=account,
            limit=100,
        )
        page = await self.books.cases(query)
        body["open_cases"] = [case_json(one) for one in page.cases]


def _used(used: int, limit: int) -> dict[str, int | None]:
    return {"used": used, "limit": limit or None}
