"""Serves explanations of announces in version 2: why each got the reply that it got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import shapes
from api.reads import SEQ_MAX
from api.replies import encode, json_text
from api.v2 import params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.openapi.shapes import Schema
    from api.reads import Reads
    from api.replies import Response

_PEER: Final = shapes.record(
    address=shapes.nullable(shapes.STRING), port=shapes.nullable(shapes.WHOLE),
    peer_id=shapes.STRING, seq=shapes.SEQ,
)  # fmt: skip
_EXPLANATION: Final[Schema] = shapes.record(
    seq=shapes.SEQ, time=shapes.TIME, type=shapes.STRING, request=shapes.ANYTHING,
    peer=shapes.ANYTHING, settings_seq=shapes.nullable(shapes.SEQ),
    rules=shapes.array(shapes.record(rule=shapes.STRING, answer=shapes.STRING, settings=shapes.ANYTHING)),
    before=shapes.ANYTHING, peers=shapes.nullable(shapes.array(_PEER)),
    withheld=shapes.nullable(shapes.STRING),
)  # fmt: skip


@frozen
class Announces:
    reads: Reads

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET", "/announces/{seq}/explain", self.explain,
                "Why an announce got the reply that it got.", answer(_EXPLANATION),
            ),
        ]  # fmt: skip

    async def explain(self, seq: str) -> Response:
        """Explains an announce, also a refused one, by the number of its event."""
        params.only(request.args)
        return _seen(await self.reads.explain(params.whole("seq", seq, SEQ_MAX)))


def _seen(shown: Mapping[str, Any]) -> Response:
    """Makes the response. All addresses of an explanation leave through here."""
    return json_text(encode(shown))
