"""Serves a swarm in version 2 as staff reads it: who is in it, how far, how fast, who is late."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import shapes
from api.reads import SEQ_MAX
from api.streams import json_object
from api.times import rfc3339
from api.v2 import looks, params
from api.v2.events import EVENTS_TIMEOUT
from api.v2.ledgers import allow_time
from api.v2.looks import WHY
from api.v2.pages import gather
from api.v2.problems import Problem
from api.v2.torrents import UNKNOWN, torrent_json
from tracker.ports import named

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from api.v2.looks import Looks
    from tracker import ports
    from tracker.ports import Present

_SECOND_US: Final = 1_000_000
_MOST: Final = 1_000_000  # peers of a swarm that are looked at
_WHOLE: Final = shapes.nullable(shapes.WHOLE)
_PEER: Final = shapes.record(
    account=shapes.nullable(shapes.NUMBER), owner=shapes.nullable(shapes.STRING),
    key_ref=shapes.nullable(shapes.NUMBER), role={"enum": ["seeder", "leecher"]},
    peer_id=shapes.STRING, client=shapes.nullable(shapes.STRING),
    percent=shapes.nullable({"type": "number"}), left=_WHOLE, uploaded=shapes.WHOLE,
    downloaded=shapes.WHOLE, upload_rate=_WHOLE, download_rate=_WHOLE, event=shapes.STRING,
    last_seq=shapes.SEQ, last_announce=shapes.TIME, due=shapes.TIME, overdue_seconds=shapes.WHOLE,
    address=shapes.nullable(shapes.STRING), pseudonym=shapes.nullable(shapes.STRING),
)  # fmt: skip
_SWARM: Final = shapes.page("peers", _PEER, shapes.SEQ, **shapes.TORRENT["properties"])


@frozen
class Swarms:
    reads: Reads
    log: ports.Events
    looks: Looks

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET", "/swarms/{info_hash}", self.one, "A torrent, and the peers in its swarm.",
                answer(_SWARM), query=(params.AFTER_SEQ, params.LIMIT), headers=(WHY,),
            )
        ]  # fmt: skip

    async def one(self, info_hash: str) -> Response:
        """Shows counts and facts, and the peers by their last announces."""
        given = params.only(request.args, "after", "limit")
        after = params.whole("after", given["after"], SEQ_MAX) if "after" in given else -1
        torrent, limit = params.info_hash(info_hash), params.limit(given)
        found = self.reads.live.now().torrent(torrent)
        if found is None:
            raise Problem(404, UNKNOWN)
        listed = self.reads.live.now().in_swarm(torrent)
        peers, _ = await gather(listed, _MOST, lambda one: one.last_seq > after)
        peers.sort(key=lambda one: one.last_seq)
        following = peers[limit - 1].last_seq if len(peers) > limit else None
        del peers[limit:]
        settings = self.reads.live.now().settings().data
        interval = settings["interval"]
        latest = interval + settings["policy"].get("interval_jitter", 0)
        allow_time(EVENTS_TIMEOUT)
        rates = await self.log.rates([one.last_seq for one in peers])
        shown = torrent_json(found)
        size, open_to = shown["size"], looks.wanted()
        rows = [
            _peer_json(one, size, rates.get(one.last_seq), latest, open_to=open_to) for one in peers
        ]
        if open_to:
            await self.looks.note(looks.counted(rows))
        body = {**shown, "peers": named(rows, self.reads.live.now()), "next": following}
        return await json_object(body)


def _peer_json(
    one: Present, size: Any, rate: tuple[int, int] | None, latest: int, *, open_to: bool
) -> dict[str, Any]:
    """`size`: bytes of the torrent, None = unknown. `latest`: seconds to the next announce."""
    peer, seen_us = one.peer, one.peer.updated_ms * 1000
    due_us = seen_us + latest * _SECOND_US
    left = None if peer.left >= SEQ_MAX else peer.left
    percent = None
    if size and left is not None:
        percent = max(0, size - left) * 1000 // size / 10
    return {
        "account": one.account or None,
        "key_ref": one.key_ref or None,
        "role": "seeder" if one.seeder else "leecher",
        "peer_id": peer.peer_id.hex(),
        "client": peer.client,
        "percent": 100.0 if one.seeder else percent,
        "left": left,
        "uploaded": peer.uploaded,
        "downloaded": peer.downloaded,
        "upload_rate": rate and rate[0],
        "download_rate": rate and rate[1],
        "event": peer.event.lower(),
        "last_seq": one.last_seq,
        "last_announce": rfc3339(seen_us),
        "due": rfc3339(due_us),
        "overdue_seconds": max(0, time.time_ns() // 1000 - due_us) // _SECOND_US,
        "address": (peer.address or None) if open_to else None,
        "pseudonym": one.pseudonym,
    }
