"""Serves in version 2 when the tracker was down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import shapes
from api.reads import SEQ_MAX
from api.streams import json_object
from api.v2 import params
from api.v2.events import PART, ends

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response

_OUTAGE: Final = shapes.record(
    **{"from": shapes.TIME}, to=shapes.TIME, seconds={"type": "number"}, why=shapes.STRING,
    reason=shapes.nullable(shapes.STRING), from_seq=shapes.nullable(shapes.SEQ), to_seq=shapes.SEQ,
)  # fmt: skip


@frozen
class Outages:
    reads: Reads

    def endpoints(self) -> list[Endpoint]:
        page = shapes.page("outages", _OUTAGE, shapes.SEQ)
        return [
            Endpoint(
                "GET", "/outages", self.many, "When the tracker served nobody, and why.",
                answer(page), query=(params.AFTER_SEQ, params.LIMIT, *PART),
            )
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists outages, ascending. A page may be short, or empty, and still have a `next`."""
        given = params.only(request.args, "after", "limit", "from", "to")
        after = params.whole("after", given["after"], SEQ_MAX) if "after" in given else -1
        first, last = ends(given)
        page = await self.reads.outages(first, last, after, params.limit(given))
        shown = {"outages": [one.shown() for one in page.outages], "next": page.following}
        return await json_object(shown)
