"""Serves access tokens in version 2. Only the reply to issuing one holds the token itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen
from quart import g, request

from api.caller import actor
from api.endpoint import NO_CONTENT, REASON, Endpoint, answer
from api.openapi import shapes
from api.params import U64_MAX
from api.replies import empty, encode, json_text
from api.streams import json_object
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.problems import Problem, commanded
from tracker.ports import MAX_NAME, TOKEN_SCOPES, NewToken

if TYPE_CHECKING:
    from api.auth import Tokens as Known
    from api.replies import Response
    from tracker.ports import Commands, Live, TokenInfo

_SCOPE = {"type": "string", "enum": list(TOKEN_SCOPES)}
_TOKEN = {
    "token": shapes.NUMBER,
    "label": shapes.STRING,
    "scope": _SCOPE,
    "state": {"enum": ["valid", "expired", "revoked"]},
    "issued": shapes.TIME,
    "valid_until": shapes.nullable(shapes.TIME),
    "last_used": shapes.nullable(shapes.TIME),
    "revoked": shapes.nullable(shapes.TIME),
}


@frozen
class Tokens:
    live: Live
    commands: Commands
    known: Known

    def endpoints(self) -> list[Endpoint]:
        issued = shapes.record(**_TOKEN, text=shapes.STRING)
        form = shapes.form(
            ("label", "scope"), label=shapes.NAME, scope=_SCOPE,
            seconds=shapes.nullable(shapes.WHOLE), until=shapes.nullable(shapes.TIME),
        )  # fmt: skip
        needed = (evolve(REASON, required=True),)
        listed = shapes.record(tokens=shapes.array(shapes.record(**_TOKEN)))
        return [
            Endpoint(
                "GET", "/tokens", self.many, "Access tokens that were issued.", answer(listed),
                scope="full",
            ),
            Endpoint(
                "GET", "/tokens/own", self.own, "What the access token of this request may do.",
                answer(shapes.record(label=shapes.STRING, scope=_SCOPE, addresses=shapes.FLAG)),
            ),
            Endpoint(
                "POST", "/tokens", self.issue, "Issue an access token; needs `X-Reason`.",
                answer(issued, 201), headers=needed, body=form,
            ),
            Endpoint(
                "DELETE", "/tokens/{token}", self.revoke, "Revoke an access token; needs `X-Reason`.",
                NO_CONTENT, headers=needed,
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists the tokens by number; revoked and expired ones too. Those of the configuration
        file are not among them.
        """
        params.only(request.args)
        found = [_token_json(one) for one in self.live.now().tokens()]
        return await json_object({"tokens": found})

    async def own(self) -> Response:
        """Tells label, scope and right to addresses, also of a token of the configuration file."""
        params.only(request.args)
        said = {"label": g.token_label, "scope": g.token_scope, "addresses": g.addresses}
        return json_text(encode(said))

    async def issue(self) -> Response:
        given = await bodies.members("label", "scope", "seconds", "until")
        label = bodies.text(given, "label", MAX_NAME)
        if label is None or label != label.strip():
            raise Problem(422, "label: expected a name")
        if given.get("scope") not in TOKEN_SCOPES:
            raise Problem(422, f"scope: expected one of {', '.join(TOKEN_SCOPES)}")
        seconds = bodies.whole(given, "seconds", U64_MAX)
        until_us = bodies.time_us(given, "until")
        if None not in (seconds, until_us):
            raise Problem(422, "seconds, until: one of the two")
        if self.known.configured(label):
            raise Problem(422, f"label: the configuration has an access token labelled {label}")
        with commanded():
            new = NewToken(label, given["scope"], seconds, until_us)
            issued = await self.commands.issue_token(new, _author())
        token = next(one for one in self.live.now().tokens() if one.number == issued.number)
        response = json_text(encode({**_token_json(token), "text": issued.text}), 201)
        response.headers["location"] = f"/api/v2/tokens/{issued.number}"
        response.headers["cache-control"] = "no-store"
        return response

    async def revoke(self, token: str) -> Response:
        """Revokes a token: it is refused from now on, and its streams end."""
        with commanded():
            await self.commands.revoke_token(params.number(token, "token"), _author())
        return empty(204)


def _author() -> Any:
    by = actor()
    if not by.reason:
        raise Problem(422, "X-Reason: missing; say why")
    return by


def _token_json(one: TokenInfo) -> dict[str, object]:
    return {
        "token": one.number,
        "label": one.label,
        "scope": one.scope,
        "state": one.state,
        "issued": rfc3339(one.issued_us),
        "valid_until": rfc3339(one.until_us),
        "last_used": rfc3339(one.used_us),
        "revoked": rfc3339(one.revoked_us),
    }
