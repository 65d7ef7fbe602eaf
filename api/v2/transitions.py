"""Serves the transitions of hit and run in version 2, in the order of the log: by page, and as a
stream.

A client that goes on from its last `id` gets each transition at least once, also those that the
follower found late.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.streams import json_object
from api.v2 import params
from api.v2.hit_and_run import POSITION, STATE, transition_json
from api.v2.ledgers import allow_time
from api.v2.problems import Problem
from api.v2.server_sent import EVENT_STREAM, LAST_EVENT_ID, Sent, resumed, text_of
from tracker.ports import TransitionPlace, named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from api.replies import Response
    from api.v2.server_sent import Streams
    from tracker import ports
    from tracker.ports import PlacedTransition, TransitionsPage

_ID: Final = re.compile(r"([0-9a-f]{32}):([0-9]{1,10}):([0-9]{1,20}):([0-9]{1,10})")
_MOST: Final = TransitionPlace(2**32 - 1, 2**63 - 1, 2**32 - 2)
_SHOWN: Final = shapes.record(
    id=shapes.STRING, account=shapes.NUMBER, info_hash=shapes.HASH, state=STATE, time=shapes.TIME,
    position=POSITION,
)  # fmt: skip


@frozen
class Transitions:
    live: ports.Live
    log: ports.Ledgers
    streams: Streams

    def endpoints(self) -> list[Endpoint]:
        listed = shapes.page("transitions", _SHOWN, shapes.STRING, seq=shapes.SIGNED)
        after = Parameter(
            name="after",
            schema=shapes.STRING,
            description="the `id` of the last one the client has",
        )
        path = "/hit-and-run/transitions"
        return [
            Endpoint(
                "GET", path, self.many, "Transitions of all downloads, in the order of the log.",
                answer(listed), query=(after, params.LIMIT),
            ),
            Endpoint(
                "GET", f"{path}/stream", self.follow, "Transitions as they are found, server-sent.",
                answer(shapes.STRING, media=EVENT_STREAM),
                query=(evolve(after, description="as the header `Last-Event-ID`"),),
                headers=(LAST_EVENT_ID,),
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists transitions, ascending. Without `next` there are no more before event `seq`."""
        given = params.only(request.args, "after", "limit")
        _, page = await self._page(given.get("after"), params.limit(given))
        shown = self._shown(page)
        following = shown[-1]["id"] if shown and page.more else None
        return await json_object({"transitions": shown, "next": following, "seq": page.seq})

    async def follow(self) -> Response:
        """Sends what the book gets from now on, or what comes after the client's last `id`."""
        last = resumed(params.only(request.args, "after"))
        place, page = await self._page(last, 0)
        begin = page.last if last is None else place
        return self.streams.reply(partial(self._found, begin))

    async def _found(self, after: TransitionPlace | None) -> AsyncGenerator[Sent, None]:
        async with aclosing(self.log.follow_transitions(after)) as pages:
            async for page in pages:
                shown = self._shown(page)
                text = "".join(text_of(one["id"], one["state"], one) for one in shown)
                yield Sent(text, "")

    def _shown(self, page: TransitionsPage) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = named(
            [_json(one) for one in page.transitions], self.live.now()
        )
        return shown

    async def _page(
        self, text: str | None, limit: int
    ) -> tuple[TransitionPlace | None, TransitionsPage]:
        """Returns the position of an id, and what comes after it."""
        log_id, place = ("", None) if text is None else _place(text)
        allow_time()
        page = await self.log.transitions(place, limit)
        if place is not None and log_id != page.log_id:
            raise Problem(409, "after: this id is of another log; begin without it")
        return place, page


def _place(text: str) -> tuple[str, TransitionPlace]:
    """Reads an id: the log's, and the position in it."""
    found = _ID.fullmatch(text)
    if found is not None:
        place = TransitionPlace(*map(int, found.groups()[1:]))
        if all(each <= most for each, most in zip(place, _MOST, strict=True)):
            return found[1], place
    raise Problem(400, "after: expected the `id` of a transition")


def _json(one: PlacedTransition) -> dict[str, Any]:
    told = one.transition
    return {
        "id": f"{told.log_id}:{told.epoch}:{told.seq}:{told.n}",
        "account": one.account,
        "info_hash": one.info_hash.hex(),
        **transition_json(told),
    }
