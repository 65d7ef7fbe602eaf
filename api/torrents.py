"""Reading torrents (contract, section 1.4); both API versions, each with its own shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from quart import request

from api import params
from api.replies import json_text
from api.streams import json_array, shaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.replies import Response
    from api.shapes import Shapes
    from tracker.ports import History, TorrentSummary


@frozen
class Torrents:
    history: History
    shapes: Shapes

    async def one(self, info_hash: str) -> Response:
        """A torrent with its whole swarm; an unknown one is a JSON string and not an error."""
        torrent = self.history.at().torrent(params.info_hash(info_hash))
        if torrent is None:
            return json_text('"torrent not known"')
        head = self.shapes.summary(torrent.summary).removesuffix("}") + ',"peers":['
        return await json_array(map(self.shapes.peer, torrent.peers), head, "]}")

    async def many(self) -> Response:
        """A page of all torrents, or those asked for by `info_hash`: then paging does not apply."""
        page = params.page(request.args)
        wanted = [params.info_hash(value) for value in self._wanted()]
        model = self.history.at()
        found = self._known(wanted) if wanted else model.torrents(page.offset, page.limit)
        return await json_array(shaped(self.shapes.summary, found))

    @staticmethod
    def _wanted() -> list[str]:
        return request.args.getlist("info_hash")

    def _known(self, wanted: list[bytes]) -> Iterator[TorrentSummary | None]:
        """In the order of the request, repetitions included, unknown ones left out."""
        model = self.history.at()
        summaries = (model.summary(info_hash) for info_hash in wanted)
        return (summary for summary in summaries if summary is not None)
