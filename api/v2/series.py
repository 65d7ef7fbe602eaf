"""Serves daily series in version 2: what an account or a torrent gained on each day.

`tracker.ports.Ledgers` reads them in another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.replies import encode
from api.streams import json_array
from api.v2 import params
from api.v2.ledger_shapes import day_json
from api.v2.ledgers import allow_time
from api.v2.problems import Problem
from tracker import times

if TYPE_CHECKING:
    from api.replies import Response
    from tracker import ports

_DAY: Final = {
    "date": shapes.DATE, "uploaded": shapes.WHOLE, "downloaded": shapes.WHOLE,
    "credited_uploaded": shapes.SIGNED, "credited_downloaded": shapes.SIGNED,
    "seeding_seconds": shapes.WHOLE, "completed": shapes.WHOLE,
}  # fmt: skip
_PEAKS: Final = {"most_seeders": shapes.WHOLE, "most_leechers": shapes.WHOLE}
_QUERY: Final = (
    Parameter(name="from", schema=shapes.DATE, description="only this day and later ones"),
    Parameter(name="until", schema=shapes.DATE, description="only this day and earlier ones"),
    Parameter(name="after", schema=shapes.DATE, description="the `next` of the page before"),
    params.LIMIT,
)
_LAST_DAY: Final = 2**32 - 1


@frozen
class Series:
    live: ports.Live
    log: ports.Ledgers

    def endpoints(self) -> list[Endpoint]:
        def page(**peaks: shapes.Schema) -> shapes.Schema:
            since = shapes.nullable(shapes.SEQ)
            day = shapes.record(**_DAY, **peaks)
            return shapes.page("days", day, shapes.DATE, since=since, seq=shapes.SIGNED)

        return [
            Endpoint(
                "GET", "/accounts/{account}/series", self.of_account,
                "What an account gained, day by day.", answer(page()), query=_QUERY,
            ),
            Endpoint(
                "GET", "/torrents/{info_hash}/series", self.of_torrent,
                "What a torrent's peers gained, day by day.", answer(page(**_PEAKS)), query=_QUERY,
            ),
        ]  # fmt: skip

    async def of_account(self, account: str) -> Response:
        """Lists the days with a change, ascending. Credited bytes have the day's corrections."""
        number = params.number(account, "account")
        if self.live.now().account(number) is None:
            raise Problem(404, "there is no such account")
        return await self._days(number)

    async def of_torrent(self, info_hash: str) -> Response:
        """Lists the days with a change, ascending; none if no announce of it had a key."""
        return await self._days(params.info_hash(info_hash))

    async def _days(self, whose: int | bytes) -> Response:
        given = params.only(request.args, "from", "until", "after", "limit")
        first, last = _day(given, "from", 0), _day(given, "until", _LAST_DAY)
        if last < first:
            raise Problem(400, "until: it is before `from`")
        first = max(first, _day(given, "after", -1) + 1)
        limit = params.limit(given)
        allow_time()
        page = await self.log.series(whose, first, last, limit)
        following = None if page.following is None else times.date(page.following)
        since = None if page.since < 0 else page.since
        tail = {"next": following, "since": since, "seq": page.seq}
        rows = (encode(day_json(day)) for day in page.days)
        return await json_array(rows, str, '{"days":[', "]," + encode(tail)[1:])


def _day(given: dict[str, str], name: str, default: int) -> int:
    """Reads a date as a number of days since 1970."""
    if name not in given:
        return default
    day = times.parse_date(given[name])
    if day is None:
        raise Problem(400, f"{name}: expected a date such as 2027-01-31")
    return day
