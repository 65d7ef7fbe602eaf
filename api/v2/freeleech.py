"""Serves freeleech tokens in version 2: an account's downloads in a torrent that count nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.caller import actor
from api.endpoint import NO_CONTENT, Endpoint, Parameter, answer
from api.openapi import shapes
from api.params import U64_MAX
from api.reads import AT
from api.replies import empty, encode, json_text
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.credit import MAX_LABEL
from api.v2.pages import gather, page
from api.v2.problems import Problem, commanded
from tracker.ports import FreeleechTerms, ReadModel, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import Commands, FreeleechToken

_TERMS: Final = ("account", "info_hash", "until", "max_bytes", "until_completed", "label")
_STATES: Final = shapes.FREELEECH["properties"]["state"]["enum"]
_FILTERS: Final = (
    Parameter(name="account", schema=shapes.NUMBER),
    Parameter(name="info_hash", schema=shapes.HASH),
    Parameter(name="state", schema={"enum": _STATES}),
)


@frozen
class Freeleech:
    reads: Reads
    commands: Commands

    def endpoints(self) -> list[Endpoint]:
        one, listed = (
            "/freeleech/{token}",
            shapes.page("freeleech", shapes.FREELEECH, shapes.NUMBER),
        )
        return [
            Endpoint(
                "GET", "/freeleech", self.many, "Freeleech tokens, and what they freed.", answer(listed),
                query=(params.AFTER, params.LIMIT, *_FILTERS, AT),
            ),
            Endpoint(
                "POST", "/freeleech", self.give, "Give an account a freeleech token for a torrent.",
                answer(shapes.FREELEECH, 201), body=shapes.FREELEECH_FORM,
            ),
            Endpoint("GET", one, self.one, "A freeleech token.", answer(shapes.FREELEECH), query=(AT,)),
            Endpoint("DELETE", one, self.withdraw, "Withdraw a freeleech token.", NO_CONTENT),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists tokens, ascending by number. Filters combine."""
        given = params.only(request.args, "after", "limit", "account", "info_hash", "state", "at")
        after = params.whole("after", given.get("after", "0"), params.NUMBER_MAX)
        limit, wanted = params.limit(given), _filter(given)
        found, more = await gather(
            self.reads.each(ReadModel.freeleech_tokens, after), limit, wanted
        )
        shown = [self._shown(one) for one in found]
        return await page("freeleech", shown, found[-1].number if more else None)

    async def one(self, token: str) -> Response:
        params.only(request.args, "at")
        found = await self.reads.one(ReadModel.freeleech, params.number(token, "token"))
        if found is None:
            raise Problem(404, "there is no such freeleech token, or it was over long ago")
        return json_text(encode(self._shown(found)))

    def _shown(self, token: FreeleechToken) -> Any:
        return named(_json(token), self.reads.live.now())

    async def give(self) -> Response:
        """Gives a token: 201. Without an end it lasts until the download is complete, or until 110
        percent of the size are used. If the account has the same one, it returns that.
        """
        terms = _terms(await bodies.members(*_TERMS))
        with commanded():
            token = await self.commands.give_freeleech(terms, actor())
        response = json_text(encode(self._shown(token)), 201)
        response.headers["location"] = f"/api/v2/freeleech/{token.number}"
        return response

    async def withdraw(self, token: str) -> Response:
        """Withdraws a token: 204. One that is over already is a 404."""
        with commanded():
            await self.commands.withdraw_freeleech(params.number(token, "token"), actor())
        return empty(204)


def _terms(given: dict[str, Any]) -> FreeleechTerms:
    account = bodies.account(given)
    if account is None:
        raise Problem(422, "account: missing; whom the token is for")
    if given.get("info_hash") is None:
        raise Problem(422, "info_hash: missing; the torrent that the token is for")
    until_completed = given.get("until_completed")
    if type(until_completed) not in (bool, type(None)):
        raise Problem(422, "until_completed: expected true, false or null")
    return FreeleechTerms(
        account,
        bodies.info_hash(given["info_hash"], "info_hash"),
        bodies.time_us(given, "until"),
        bodies.whole(given, "max_bytes", U64_MAX),
        bool(until_completed),
        bodies.text(given, "label", MAX_LABEL) or "",
    )


def _filter(given: dict[str, str]) -> Callable[[FreeleechToken], bool]:
    account = params.number(given["account"], "account") if "account" in given else None
    info_hash = params.info_hash(given["info_hash"]) if "info_hash" in given else None
    state = given.get("state")
    if state is not None and state not in _STATES:
        raise Problem(400, f"state: expected one of {', '.join(_STATES)}")
    return lambda one: (
        account in (None, one.terms.account)
        and info_hash in (None, one.terms.info_hash)
        and state in (None, one.state)
    )


def _json(token: FreeleechToken) -> dict[str, object]:
    terms = token.terms
    return {
        "token": token.number,
        "seq": token.seq,
        "account": terms.account,
        "info_hash": terms.info_hash.hex(),
        "until": rfc3339(terms.until_us),
        "max_bytes": terms.max_bytes,
        "until_completed": terms.until_completed,
        "label": terms.label,
        "state": token.state,
        "freed": token.freed,
        "given": rfc3339(token.given_us),
        "first_used": rfc3339(token.first_us),
        "over": rfc3339(token.over_us),
    }
