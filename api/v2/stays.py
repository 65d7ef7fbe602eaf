"""Serves stays in version 2: who was there, at a moment or between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import SEQ_MAX
from api.streams import json_object
from api.v2 import looks, params
from api.v2.events import PART, ends
from api.v2.looks import WHY, Looks
from api.v2.problems import Problem
from tracker.ports import InvalidNetworkError, InvalidPartError, Moment, StaysQuery, named

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response

_STAY: Final = shapes.record(
    info_hash=shapes.HASH, network=shapes.nullable(shapes.STRING),
    pseudonym=shapes.nullable(shapes.STRING), peer_id_prefix=shapes.STRING,
    client=shapes.nullable(shapes.STRING), user_agent=shapes.nullable(shapes.STRING),
    protocol=shapes.STRING, listener=shapes.WHOLE, account=shapes.nullable(shapes.NUMBER),
    key_ref=shapes.nullable(shapes.NUMBER), joined=shapes.nullable(shapes.TIME), how=shapes.STRING,
    seq=shapes.SEQ, left=shapes.nullable(shapes.TIME), why=shapes.nullable(shapes.STRING),
    left_seq=shapes.nullable(shapes.SEQ), last_announce=shapes.nullable(shapes.TIME),
)  # fmt: skip
_TEXTS: Final = {
    "address": "IPv4 or IPv6; needs `X-Reason`, as does `network`",
    "network": "such as 198.51.100.0/24: /8, /16, /24; in IPv6 /8 to /48 in whole bytes",
    "peer_id": "how it begins, at most 8 characters",
    "client": "how the peer_ids of the client begin, such as qB46",
    "user_agent": "how it begins",
}
_NUMBERS: Final = ("key_ref", "account", "listener")


@frozen
class Stays:
    reads: Reads
    looks: Looks

    def endpoints(self) -> list[Endpoint]:
        texts = [
            Parameter(name=name, schema=shapes.STRING, description=what)
            for name, what in _TEXTS.items()
        ]
        numbers = [Parameter(name=name, schema=shapes.U32) for name in _NUMBERS]
        page = shapes.page(
            "stays", _STAY, shapes.SEQ, upto=shapes.SEQ, unread=shapes.array(shapes.STRING)
        )
        return [
            Endpoint(
                "GET", "/stays", self.many, "Who was there, between two moments.", answer(page),
                query=(
                    params.AFTER_SEQ, params.LIMIT, *PART,
                    Parameter(name="info_hash", schema=shapes.HASH), *texts, *numbers,
                ),
                headers=(WHY,),
            )
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists stays in the order in which they began. For one moment give it as both ends."""
        names = ("after", "limit", "from", "to", "info_hash", *_TEXTS, *_NUMBERS)
        given = params.only(request.args, *names)
        for name in ("peer_id", "client", "user_agent"):
            if given.get(name) == "":  # would otherwise not filter
                raise Problem(400, f"{name}: expected a text that is not empty")
        peer_id = given.get("peer_id", "")
        if not peer_id.isascii() or len(peer_id) > 8:
            raise Problem(400, "peer_id: expected at most 8 ASCII characters")
        listener = params.whole("listener", given["listener"], 255) if "listener" in given else None
        begin, end = (each or Moment() for each in ends(given))
        query = StaysQuery(
            (begin, end),
            params.whole("after", given["after"], SEQ_MAX) if "after" in given else 0,
            params.info_hash(given["info_hash"]) if "info_hash" in given else None,
            params.address(given["address"]) if "address" in given else None,
            given.get("network"), peer_id.encode(), given.get("client"), given.get("user_agent"),
            params.optional_number(given, "key_ref"), params.optional_number(given, "account"),
            listener,
        )  # fmt: skip
        sought = [name for name in ("address", "network") if name in given]
        if sought:
            looks.demand()
        try:
            page = await self.reads.stays(query, params.limit(given))
        except InvalidNetworkError as error:
            raise Problem(400, f"network: {error}") from None
        except InvalidPartError as error:
            raise Problem(400, str(error)) from None
        shown = {
            "stays": named(page.stays, self.reads.live.now()), "next": page.following, "upto": page.upto, "unread": page.unread,
        }  # fmt: skip
        if sought:
            await self.looks.note(len(page.stays), sought, page.sought)
            return await json_object(shown)
        return await json_object(await self.looks.shown(shown))
