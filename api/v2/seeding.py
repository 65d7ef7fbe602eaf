"""Serves in version 2 who seeded what in an hour, for a site's bonus points."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api import times
from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.streams import json_object
from api.v2 import params
from api.v2.problems import Problem
from tracker.ports import named

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import SeedingRow

_HOUR: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}")
_AFTER: Final = re.compile(r"([0-9]{1,10}):([0-9a-f]{40})")
_ROW: Final = shapes.record(
    account=shapes.NUMBER, owner=shapes.nullable(shapes.STRING), info_hash=shapes.HASH,
    label=shapes.nullable(shapes.STRING), seconds=shapes.WHOLE, seeders=shapes.WHOLE,
    size=shapes.nullable(shapes.WHOLE), age_seconds=shapes.nullable(shapes.WHOLE),
)  # fmt: skip
_QUERY: Final = (
    Parameter(
        name="hour", schema=shapes.STRING, required=True, description="in UTC, as 2026-11-30T14"
    ),
    Parameter(name="after", schema=shapes.STRING, description="the `next` of the page before"),
    params.LIMIT,
)


@frozen
class Seeding:
    reads: Reads

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET", "/seeding", self.many, "Who seeded what in an hour.",
                answer(shapes.page("seeding", _ROW, shapes.STRING)), query=_QUERY,
            )
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists seconds by account and torrent, ascending."""
        given = params.only(request.args, "hour", "after", "limit")
        text = given.get("hour", "")
        from_us = times.parse(f"{text}:00:00Z") if _HOUR.fullmatch(text) else None
        if from_us is None:
            raise Problem(400, "hour: expected an hour in UTC, such as 2026-11-30T14")
        after = _AFTER.fullmatch(given.get("after", ""))
        if after is None and "after" in given:
            raise Problem(400, "after: expected the `next` of the page before")
        name = (int(after[1]), bytes.fromhex(after[2])) if after else (0, b"")
        limit = params.limit(given)
        rows = await self.reads.seeding(from_us, name, limit + 1)
        shown = [_json(one) for one in rows[:limit]]
        following = None
        if len(rows) > limit:
            following = f"{shown[-1]['account']}:{shown[-1]['info_hash']}"
        body = {"seeding": named(shown, self.reads.live.now()), "next": following}
        return await json_object(body)


def _json(one: SeedingRow) -> dict[str, Any]:
    return {
        "account": one.account, "info_hash": one.info_hash.hex(),
        "seconds": one.seeding_us // 1_000_000, "seeders": one.seeders, "size": one.size,
        "age_seconds": None if one.age_us is None else one.age_us // 1_000_000,
    }  # fmt: skip
