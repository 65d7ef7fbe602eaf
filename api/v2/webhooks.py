"""Serves the webhooks in version 2: how far each is, and what to send once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, answer
from api.openapi import shapes
from api.replies import encode, json_text
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.problems import Problem

if TYPE_CHECKING:
    from api.replies import Response
    from tracker.ports import DeadLetter, Webhooks, WebhookState

_SEQ_MAX: Final = 2**63 - 1
_DEAD: Final = shapes.record(first=shapes.SEQ, last=shapes.SEQ, time=shapes.TIME, why=shapes.STRING)
_WEBHOOK: Final = shapes.record(
    name=shapes.STRING, origin=shapes.STRING, types=shapes.array(shapes.STRING), seq=shapes.SIGNED,
    behind=shapes.WHOLE, failing_since=shapes.nullable(shapes.TIME),
    error=shapes.nullable(shapes.STRING), dead_letters=shapes.array(_DEAD), dropped=shapes.WHOLE,
)  # fmt: skip


@frozen
class Hooks:
    hooks: Webhooks

    def endpoints(self) -> list[Endpoint]:
        one = "/webhooks/{name}"
        return [
            Endpoint(
                "GET", "/webhooks", self.many, "The webhooks, and how far each is.",
                answer(shapes.record(webhooks=shapes.array(_WEBHOOK))),
            ),
            Endpoint(
                "POST", f"{one}/replay", self.replay, "Send everything from an event on once more.",
                answer(shapes.record(**{"from": shapes.SEQ})),
                body=shapes.form(("from",), **{"from": shapes.SEQ}),
            ),
            Endpoint(
                "POST", f"{one}/retry", self.retry, "Send the dead letters once more.",
                answer(shapes.record(dead_letters=shapes.WHOLE)),
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists the webhooks in the order of the configuration."""
        params.only(request.args)
        return json_text(encode({"webhooks": [_json(one) for one in self.hooks.all()]}))

    async def replay(self, name: str) -> Response:
        first = bodies.whole(await bodies.members("from"), "from", _SEQ_MAX)
        if first is None:
            raise Problem(422, "from: expected the number of an event")
        self._known(name)
        self.hooks.replay(name, first)
        return json_text(encode({"from": first}))

    async def retry(self, name: str) -> Response:
        self._known(name)
        return json_text(encode({"dead_letters": self.hooks.retry(name)}))

    def _known(self, name: str) -> None:
        if name not in [one.name for one in self.hooks.all()]:
            raise Problem(404, "there is no such webhook")


def _json(one: WebhookState) -> dict[str, Any]:
    return {
        "name": one.name, "origin": one.origin, "types": list(one.types), "seq": one.seq,
        "behind": one.behind,
        "failing_since": None if one.failing_us is None else rfc3339(one.failing_us),
        "error": one.error, "dead_letters": [_dead(each) for each in one.dead],
        "dropped": one.dropped,
    }  # fmt: skip


def _dead(one: DeadLetter) -> dict[str, Any]:
    return {
        "first": one.first, "last": one.last, "time": rfc3339(one.time_us), "why": one.why,
    }  # fmt: skip
