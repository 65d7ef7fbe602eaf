"""Serves in version 2 the programs that read the log, and for which retention waits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.endpoint import NO_CONTENT, Endpoint, answer
from api.openapi import shapes
from api.replies import empty, encode, json_text
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.problems import Problem

if TYPE_CHECKING:
    from api.replies import Response
    from tracker import ports
    from tracker.ports import Consumer

_SEQ_MAX: Final = 2**63 - 1
_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")
_CONSUMER: Final = shapes.record(
    name=shapes.STRING, webhook=shapes.FLAG, seq=shapes.SIGNED, behind=shapes.WHOLE,
    registered=shapes.nullable(shapes.TIME), waited_for=shapes.FLAG,
)  # fmt: skip


@frozen
class Consumers:
    consumers: ports.Consumers

    def endpoints(self) -> list[Endpoint]:
        one = "/consumers/{name}"
        return [
            Endpoint(
                "GET", "/consumers", self.many, "Programs that read the log, and how far each is.",
                answer(shapes.record(consumers=shapes.array(_CONSUMER))),
            ),
            Endpoint(
                "PUT", one, self.register, "Say up to which event a program has everything.",
                answer(_CONSUMER), body=shapes.form(("seq",), seq=shapes.SEQ),
            ),
            Endpoint(
                "DELETE", one, self.forget, "Have retention not wait for a program any more.",
                NO_CONTENT,
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        params.only(request.args)
        return json_text(encode({"consumers": list(map(_json, self.consumers.all()))}))

    async def register(self, name: str) -> Response:
        """Registers a program, or moves its position; back, too."""
        if not _NAME.fullmatch(name):
            raise Problem(422, "name: expected 1 to 64 of a-z, 0-9, - and _")
        seq = bodies.whole(await bodies.members("seq"), "seq", _SEQ_MAX)
        if seq is None:
            raise Problem(422, "seq: expected the number of an event")
        try:
            found = await self.consumers.register(name, seq)
        except ValueError as error:
            raise Problem(422, str(error)) from None
        return json_text(encode(_json(found)))

    async def forget(self, name: str) -> Response:
        """Forgets a program: 204."""
        if not await self.consumers.forget(name):
            raise Problem(404, "no program of this name is registered")
        return empty(204)


def _json(one: Consumer) -> dict[str, Any]:
    return {
        "name": one.name, "webhook": one.webhook, "seq": one.seq, "behind": one.behind,
        "registered": rfc3339(one.registered_us), "waited_for": one.waited_for,
    }  # fmt: skip
