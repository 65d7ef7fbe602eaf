"""Serves the settings in force, from the log, in version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import shapes
from api.reads import AT
from api.replies import encode, json_text
from api.v2 import params
from tracker.ports import ReadModel

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response


@frozen
class Settings:
    reads: Reads

    def endpoints(self) -> list[Endpoint]:
        shape = shapes.record(seq=shapes.nullable(shapes.SEQ), settings=shapes.ANYTHING)
        return [
            Endpoint(
                "GET",
                "/settings",
                self.current,
                "The settings in force.",
                answer(shape),
                query=(AT,),
            )
        ]

    async def current(self) -> Response:
        """Shows the settings, and the seq of the event that put them in force."""
        params.only(request.args, "at")
        seq, settings = await self.reads.one(ReadModel.settings)
        return json_text(encode({"seq": seq, "settings": settings}))
