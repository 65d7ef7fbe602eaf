"""Serves reads of torrents in the older versions, each with its own shapes (contract, 1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import g, request

from api import params
from api.endpoint import Endpoint, Parameter, answer
from api.errors import rejection
from api.openapi import shapes
from api.reads import AT
from api.replies import json_text
from api.streams import json_array
from tracker.ports import ReadModel

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from api.shapes import Shapes

_PAGE: Final = (
    Parameter(name="offset", schema=shapes.U32, description="torrents to skip"),
    Parameter(name="limit", schema=shapes.U32, description="4000 unless it is said"),
    Parameter(name="info_hash", schema=shapes.array(shapes.HASH, 50), description="these alone"),
)


@frozen
class Torrents:
    reads: Reads
    shapes: Shapes

    def endpoints(self) -> list[Endpoint]:
        many = answer(shapes.array(shapes.SUMMARY))
        one = answer(shapes.torrent(self.shapes.peer_schema))
        return [
            Endpoint(
                "GET", "/torrents", self.many, "Torrents by info hash.", many, query=(*_PAGE, AT)
            ),
            Endpoint(
                "GET", "/torrent/{info_hash}", self.one, "A torrent with its peers.", one, query=(AT,)
            ),
        ]  # fmt: skip

    async def one(self, info_hash: str) -> Response:
        """Shows a torrent with its whole swarm; for an unknown torrent a JSON string, no error.

        Peers have their addresses here, so a token without the right to them is refused.
        """
        if not g.addresses:
            raise rejection("unauthorized")
        torrent = params.info_hash(info_hash)
        summary = await self.reads.one(ReadModel.summary, torrent)
        if summary is None:
            return json_text('"torrent not known"')
        head = self.shapes.summary(summary).removesuffix("}") + ',"peers":['
        peers = self.reads.each(ReadModel.peers, torrent)
        return await json_array(peers, self.shapes.peer, head, "]}")

    async def many(self) -> Response:
        """Lists a page of all torrents, or the torrents named by `info_hash` without paging."""
        page = params.page(request.args)
        wanted = [params.info_hash_in_query(value) for value in self._wanted()]
        if wanted:
            found = self.reads.each(ReadModel.summaries, wanted)
        else:
            found = self.reads.each(ReadModel.torrents, page.offset, page.limit)
        return await json_array(found, self.shapes.summary)

    @staticmethod
    def _wanted() -> list[str]:
        return request.args.getlist("info_hash")
