"""Serves states in version 2: who was in a swarm then, a state in numbers, and what changed between
two moments.

A second process replays the log to each moment, for a summary also to the newest one. Who is in a
swarm now says the live state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT, SEQ_MAX
from api.replies import encode, json_text
from api.streams import json_object
from api.v2 import params
from api.v2.events import PART, moment
from api.v2.looks import WHY, Looks
from api.v2.problems import Problem

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response

_ADDRESS: Final = shapes.record(
    address=shapes.nullable(shapes.STRING), port=shapes.WHOLE,
    pseudonym=shapes.nullable(shapes.STRING),
)  # fmt: skip
_MEMBER: Final = shapes.record(
    addresses=shapes.array(_ADDRESS), peer_id=shapes.STRING, client=shapes.nullable(shapes.STRING),
    role={"enum": ["seeder", "leecher"]}, uploaded=shapes.WHOLE, downloaded=shapes.WHOLE,
    left=shapes.nullable(shapes.WHOLE), event=shapes.STRING, last_seq=shapes.SEQ,
    last_time=shapes.TIME, key_ref=shapes.nullable(shapes.NUMBER),
    account=shapes.nullable(shapes.NUMBER), owner=shapes.nullable(shapes.STRING),
)  # fmt: skip
_SWARM: Final = shapes.page(
    "peers", _MEMBER, shapes.SEQ, seq=shapes.SEQ,
    **dict.fromkeys(("seeders", "leechers", "completed"), shapes.WHOLE),
)  # fmt: skip
_SUMMARY: Final = shapes.record(
    events=shapes.SEQ, seq=shapes.nullable(shapes.SEQ), time=shapes.nullable(shapes.TIME),
    settings=shapes.ANYTHING, digest=shapes.STRING, history=shapes.STRING, history_seq=shapes.SEQ,
)  # fmt: skip
_DIFF: Final = shapes.page(
    "changes", shapes.record(type=shapes.STRING), shapes.SEQ,
    outages=shapes.array(shapes.nullable(shapes.ANYTHING)),
)  # fmt: skip


@frozen
class States:
    reads: Reads
    looks: Looks

    def endpoints(self) -> list[Endpoint]:
        begin, end = PART
        only = Parameter(
            name="info_hash", schema=shapes.HASH, description="and who joined and left this swarm"
        )
        return [
            Endpoint(
                "GET", "/torrents/{info_hash}/peers", self.swarm, "Who is, or was, in a swarm.",
                answer(_SWARM), query=(params.AFTER_SEQ, params.LIMIT, AT), headers=(WHY,),
            ),
            Endpoint(
                "GET", "/state", self.summary, "The state in numbers, with its digests.",
                answer(_SUMMARY), query=(AT,),
            ),
            Endpoint(
                "GET", "/diff", self.diff, "What changed from one moment to another.",
                answer(_DIFF),
                query=(evolve(begin, required=True), end, only, params.AFTER_SEQ, params.LIMIT),
                headers=(WHY,),
            ),
        ]  # fmt: skip

    async def swarm(self, info_hash: str) -> Response:
        """Lists the peers of a swarm by their last announces."""
        given = params.only(request.args, "after", "limit", "at")
        after = params.whole("after", given["after"], SEQ_MAX) if "after" in given else -1
        found = await self.reads.swarm(params.info_hash(info_hash), after, params.limit(given))
        return await json_object(await self.looks.shown(found))

    async def summary(self) -> Response:
        params.only(request.args, "at")
        return json_text(encode(await self.reads.summary()))

    async def diff(self) -> Response:
        """Lists changes; `after` is the number of changes to pass over."""
        given = params.only(request.args, "from", "to", "info_hash", "after", "limit")
        first, last = moment(given, "from"), moment(given, "to")
        if first is None:
            raise Problem(400, "from: expected a seq, or a time such as 2027-01-31T23:59:59Z")
        swarm = params.info_hash(given["info_hash"]) if "info_hash" in given else None
        after = params.whole("after", given["after"], SEQ_MAX) if "after" in given else 0
        found = await self.reads.diff(first, last, swarm, after, params.limit(given))
        return await json_object(await self.looks.shown(found))
