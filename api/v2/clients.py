"""Serves the clients in version 2: what the numbers stand for by which announces name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import shapes
from api.reads import AT
from api.replies import encode
from api.streams import json_array
from api.v2 import params
from api.v2.ledger_shapes import client_json
from tracker.ports import ReadModel

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import Client


@frozen
class Clients:
    reads: Reads

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET", "/clients", self.many, "The clients that announces name by number.",
                answer(shapes.record(clients=shapes.array(shapes.CLIENT))), query=(AT,),
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists the clients by number; there are at most 4,096."""
        params.only(request.args, "at")
        found = self.reads.each(ReadModel.clients)
        return await json_array(found, _text, '{"clients":[', "]}")


def _text(client: Client) -> str:
    return encode(client_json(client))
