"""Serves the whitelist in version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api.caller import actor
from api.endpoint import NO_CONTENT, Endpoint, answer
from api.openapi import shapes
from api.reads import AT
from api.replies import empty, encode, json_text
from api.streams import json_object
from api.v2 import bodies, params
from api.v2.pages import gather
from api.v2.problems import Problem, commanded
from tracker.ports import ReadModel

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import Commands

MAX_HASHES: Final = 1000  # the most info hashes in one request

_LISTED: Final = shapes.record(info_hash=shapes.HASH)


@frozen
class Whitelist:
    reads: Reads
    commands: Commands

    def endpoints(self) -> list[Endpoint]:
        one, listed = (
            "/whitelist/{info_hash}",
            shapes.page("whitelist", shapes.HASH, shapes.HASH, labels={"type": "object"}),
        )
        return [
            Endpoint(
                "GET", "/whitelist", self.many, "Whitelisted torrents, ascending.", answer(listed),
                query=(params.AFTER_HASH, params.LIMIT, AT),
            ),
            Endpoint(
                "POST", "/whitelist", self.add_many, "Whitelist many.",
                answer(shapes.record(added=shapes.WHOLE, present=shapes.WHOLE)),
                body=shapes.form(("info_hashes",), info_hashes=shapes.array(shapes.HASH, MAX_HASHES)),
                scope="moderator",
            ),
            Endpoint("GET", one, self.one, "Whether a torrent is on it.", answer(_LISTED), query=(AT,)),
            Endpoint("PUT", one, self.add, "Whitelist a torrent.", answer(_LISTED) | answer(_LISTED, 201), scope="moderator"),
            Endpoint("DELETE", one, self.remove, "Take a torrent off it.", NO_CONTENT, scope="moderator"),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists the whitelist, ascending by info hash."""
        given = params.only(request.args, "after", "limit", "at")
        after = params.info_hash(given["after"], "after") if "after" in given else b""
        listed = self.reads.each(ReadModel.whitelist, after)
        found, more = await gather(listed, params.limit(given), lambda _: True)
        items, names = [info_hash.hex() for info_hash in found], self.reads.live.now()
        labels = {each.hex(): label for each in found if (label := names.label(each)) is not None}
        following = items[-1] if more else None
        return await json_object({"whitelist": items, "labels": labels, "next": following})

    async def one(self, info_hash: str) -> Response:
        params.only(request.args, "at")
        torrent = params.info_hash(info_hash)
        if not await self.reads.one(ReadModel.whitelisted, torrent):
            raise Problem(404, "that torrent is not on the whitelist")
        return _torrent_json(torrent)

    async def add(self, info_hash: str) -> Response:
        """Adds a torrent: 201, or 200 if it was on the whitelist already."""
        torrent = params.info_hash(info_hash)
        with commanded():
            added = await self.commands.whitelist_add([torrent], actor())
        return _torrent_json(torrent, 201 if added else 200)

    async def add_many(self) -> Response:
        """Adds torrents. Skips those on the whitelist already, so that a repetition is harmless."""
        given = await bodies.members("info_hashes")
        listed = bodies.items(given, "info_hashes", MAX_HASHES)
        torrents = [bodies.info_hash(value, place) for place, value in listed]
        with commanded():
            added = await self.commands.whitelist_add(torrents, actor())
        present = len(set(torrents)) - len(added)
        return json_text(encode({"added": len(added), "present": present}))

    async def remove(self, info_hash: str) -> Response:
        torrent = params.info_hash(info_hash)
        with commanded():
            removed = await self.commands.whitelist_remove(torrent, actor())
        if not removed:
            raise Problem(404, "that torrent is not on the whitelist")
        return empty(204)


def _torrent_json(info_hash: bytes, status: int = 200) -> Response:
    return json_text(encode({"info_hash": info_hash.hex()}), status)
