"""Serves the limits of accounts in version 2: what is in force, and limits of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, evolve, fields, frozen
from quart import request

from api.caller import actor
from api.endpoint import REASON, Endpoint, answer
from api.openapi import shapes
from api.reads import AT
from api.replies import encode, json_text
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.pages import gather, page
from api.v2.problems import Problem, commanded
from tracker.ports import OwnLimits, ReadModel

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import Commands, LimitsOfAccount

_NUMBER: Final = shapes.nullable(shapes.WHOLE)
_MEMBERS: Final = tuple(each.name for each in fields(OwnLimits))
_OWN: Final = dict.fromkeys(_MEMBERS, _NUMBER)
_HANDED: Final = ("handed_per_hour", "handed_this_hour", "handed_per_day", "handed_today")
_LIMITS: Final = shapes.record(
    account=shapes.NUMBER, owner=shapes.nullable(shapes.STRING), slots=shapes.WHOLE,
    slots_used=shapes.WHOLE, locations=shapes.WHOLE, started_per_day=shapes.WHOLE,
    started_today=shapes.WHOLE, **dict.fromkeys(_HANDED, shapes.WHOLE), own=shapes.record(**_OWN), seq=shapes.nullable(shapes.SEQ),
    since=shapes.nullable(shapes.TIME), by=shapes.nullable(shapes.STRING),
    reason=shapes.nullable(shapes.STRING),
)  # fmt: skip
_PATH: Final = "/accounts/{account}/limits"


@frozen
class Limits:
    reads: Reads
    commands: Commands

    def endpoints(self) -> list[Endpoint]:
        listed = shapes.page("limits", _LIMITS, shapes.NUMBER)
        return [
            Endpoint(
                "GET", "/limits", self.many, "Accounts with limits of their own, ascending.",
                answer(listed), query=(params.AFTER, params.LIMIT, AT),
            ),
            Endpoint(
                "GET", _PATH, self.one, "The limits of an account, and what it uses.",
                answer(_LIMITS), query=(AT,),
            ),
            Endpoint(
                "PUT", _PATH, self.limit,
                "Give an account limits of its own in place of all former ones; needs `X-Reason`.",
                answer(shapes.record(seq=shapes.SEQ)), headers=(evolve(REASON, required=True),),
                body=shapes.form(**_OWN), body_required=False,
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        given = params.only(request.args, "after", "limit", "at")
        after = params.whole("after", given.get("after", "0"), params.NUMBER_MAX)
        listed = self.reads.each(ReadModel.own_limits, after)
        found, more = await gather(listed, params.limit(given), lambda _: True)
        following = found[-1].account if more else None
        return await page("limits", [limits_json(one) for one in found], following)

    async def one(self, account: str) -> Response:
        params.only(request.args, "at")
        found = await self.reads.one(ReadModel.limits_of, params.number(account, "account"))
        if found is None:
            raise Problem(404, "there is no such account")
        return json_text(encode(limits_json(found)))

    async def limit(self, account: str) -> Response:
        """Sets them at once. A member: 0 = no limit; null or absent = the policy's."""
        number = params.number(account, "account")
        given = await bodies.members_or_none(*_MEMBERS)
        own = OwnLimits(*(bodies.whole(given, name, params.NUMBER_MAX) for name in _MEMBERS))
        with commanded():
            return json_text(encode({"seq": await self.commands.limit(number, own, actor())}))


def limits_json(one: LimitsOfAccount) -> dict[str, Any]:
    return {
        "account": one.account,
        "owner": one.owner,
        "slots": one.slots,
        "slots_used": one.slots_used,
        "locations": one.locations,
        "started_per_day": one.started_per_day,
        "started_today": one.started_today,
        **{name: getattr(one, name) for name in _HANDED},
        "own": asdict(one.own),
        "seq": one.seq,
        "since": rfc3339(one.since_us),
        "by": one.by,
        "reason": one.reason,
    }
