"""Serves explanations of announces in version 2: why each got the reply that it got, which replies
listed an address, and which peers an account got.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import SEQ_MAX
from api.streams import json_object
from api.v2 import looks, params
from api.v2.events import PART, part
from api.v2.looks import WHY, Looks
from api.v2.problems import Problem
from tracker.ports import HandedQuery

if TYPE_CHECKING:
    from api.openapi.shapes import Schema
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import HandedPage

_PEER: Final = shapes.record(
    address=shapes.nullable(shapes.STRING), pseudonym=shapes.nullable(shapes.STRING),
    port=shapes.nullable(shapes.WHOLE), peer_id=shapes.STRING, seq=shapes.SEQ,
)  # fmt: skip
_EXPLANATION: Final[Schema] = shapes.record(
    seq=shapes.SEQ, time=shapes.TIME, type=shapes.STRING, request=shapes.ANYTHING,
    peer=shapes.ANYTHING, settings_seq=shapes.nullable(shapes.SEQ),
    rules=shapes.array(shapes.record(rule=shapes.STRING, answer=shapes.STRING, settings=shapes.ANYTHING)),
    before=shapes.ANYTHING, peers=shapes.nullable(shapes.array(_PEER)),
    withheld=shapes.nullable(shapes.STRING),
)  # fmt: skip


_REPLY: Final[Schema] = shapes.record(
    seq=shapes.SEQ, time=shapes.TIME, info_hash=shapes.HASH, label=shapes.nullable(shapes.STRING), account=shapes.nullable(shapes.NUMBER),
    owner=shapes.nullable(shapes.STRING), key_ref=shapes.nullable(shapes.NUMBER),
    address=shapes.nullable(shapes.STRING), pseudonym=shapes.nullable(shapes.STRING),
    port=shapes.nullable(shapes.WHOLE), peer_id=shapes.STRING, peers=shapes.array(_PEER),
)  # fmt: skip
_PAGE: Final = ("after", "limit", "from", "to")


@frozen
class Announces:
    reads: Reads
    looks: Looks

    def endpoints(self) -> list[Endpoint]:
        page = shapes.page("replies", _REPLY, shapes.SEQ, unread=shapes.array(shapes.STRING))
        address = Parameter(
            name="address", schema=shapes.STRING, description="IPv4 or IPv6", required=True
        )
        port = Parameter(name="port", schema=shapes.WHOLE, description="only at this port")
        return [
            Endpoint(
                "GET", "/announces/{seq}/explain", self.explain,
                "Why an announce got the reply that it got.", answer(_EXPLANATION), headers=(WHY,),
            ),
            Endpoint(
                "GET", "/handed", self.handed, "Replies that listed an address.", answer(page),
                query=(address, port, params.AFTER_SEQ, params.LIMIT, *PART),
                headers=(evolve(WHY, required=True),),
            ),
            Endpoint(
                "GET", "/accounts/{account}/received", self.received,
                "Replies to an account, with their peers.", answer(page),
                query=(params.AFTER_SEQ, params.LIMIT, *PART), headers=(WHY,),
            ),
        ]  # fmt: skip

    async def explain(self, seq: str) -> Response:
        """Explains an announce, also a refused one, by the number of its event."""
        params.only(request.args)
        found = await self.reads.explain(params.whole("seq", seq, SEQ_MAX))
        return await json_object(await self.looks.shown(found))

    async def handed(self) -> Response:
        """Lists the replies that listed an address, ascending.

        A page may be short, or empty, and still have a `next`.
        """
        given = params.only(request.args, *_PAGE, "address", "port")
        address = str(ip_address(params.address(given.get("address", ""))))
        port = params.whole("port", given["port"], 65535) if "port" in given else None
        looks.demand()
        query = HandedQuery(part(given), address=address, port=port)
        page = await self.reads.handed(query, params.limit(given))
        await self.looks.note(looks.counted(page.replies), ["address"], page.sought)
        return await json_object(_page_json(page))

    async def received(self, account: str) -> Response:
        """Lists the replies to an account that listed peers, ascending.

        A page may be short, or empty, and still have a `next`.
        """
        given = params.only(request.args, *_PAGE)
        number = params.number(account, "account")
        if self.reads.live.now().account(number) is None:
            raise Problem(404, "there is no such account")
        query = HandedQuery(part(given), account=number)
        page = await self.reads.handed(query, params.limit(given))
        return await json_object(await self.looks.shown(_page_json(page)))


def _page_json(page: HandedPage) -> dict[str, Any]:
    following = None if page.following is None else page.following - 1
    return {"replies": page.replies, "next": following, "unread": page.unread}
