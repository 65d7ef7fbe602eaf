"""Serves sanctions in version 2: what staff imposed on accounts, torrents and networks.

Every change needs `X-Reason`. Times are dates.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, evolve, frozen
from quart import request

from api.caller import actor
from api.endpoint import REASON, Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT
from api.replies import encode, json_text
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.pages import gather, page
from api.v2.problems import Problem, commanded
from tracker.ports import ACCOUNT_SANCTIONS, MAX_NAME, ClientRuleTerms, ReadModel, named

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import Blacklisted, ClientRule, Commands, Sanction, SanctionedAccount

_ROW: Final = {
    "seq": shapes.SEQ, "since": shapes.TIME, "until": shapes.nullable(shapes.TIME),
    "by": shapes.STRING, "reason": shapes.STRING, "public": shapes.FLAG,
}  # fmt: skip
_SANCTION: Final = shapes.record(**_ROW)
_BLACKLISTED: Final = shapes.record(
    info_hash=shapes.HASH, label=shapes.nullable(shapes.STRING), **_ROW
)
_BLOCK: Final = shapes.record(network=shapes.STRING, **_ROW)
_CLIENT_RULE: Final = shapes.record(
    rule=shapes.NUMBER, client=shapes.STRING, first=shapes.STRING, last=shapes.STRING,
    in_force=shapes.FLAG, **{"from": shapes.TIME}, **_ROW,
)  # fmt: skip
_CLIENT_USE: Final = shapes.record(
    peers=shapes.WHOLE, members=shapes.WHOLE, torrents=shapes.WHOLE, torrents_alone=shapes.WHOLE
)
_ACCOUNT: Final = shapes.record(
    account=shapes.NUMBER, owner=shapes.nullable(shapes.STRING),
    **dict.fromkeys(ACCOUNT_SANCTIONS, shapes.nullable(_SANCTION)),
)  # fmt: skip
_DONE: Final = shapes.record(seq=shapes.SEQ)
_NEEDED: Final = (evolve(REASON, required=True),)
_MEANINGS: Final = {
    "leech_off": "Give an account no peers while something is left",
    "hidden": "List no peer of an account in replies",
}


@frozen
class Sanctions:
    reads: Reads
    commands: Commands

    def endpoints(self) -> list[Endpoint]:
        listed = shapes.page("sanctions", _ACCOUNT, shapes.NUMBER)
        rows = [
            Endpoint(
                "GET", "/sanctions", self.many, "Accounts with sanctions, ascending.",
                answer(listed), query=(params.AFTER, params.LIMIT, AT),
            )
        ]  # fmt: skip
        for what, meaning in _MEANINGS.items():
            path = f"/accounts/{{account}}/{what.replace('_', '-')}"
            rows += [
                Endpoint(
                    "PUT", path, partial(self.impose, what), f"{meaning}; needs `X-Reason`.",
                    answer(_DONE), headers=_NEEDED,
                    body=shapes.form(until=shapes.nullable(shapes.TIME)), body_required=False,
                ),
                Endpoint(
                    "DELETE", path, partial(self.lift, what),
                    f"Lift `{what}` from an account; needs `X-Reason`.",
                    answer(_DONE), headers=_NEEDED,
                ),
            ]  # fmt: skip
        return [*rows, *self._of_torrents(), *self._of_networks(), *self._of_clients()]

    def _of_torrents(self) -> list[Endpoint]:
        listed, one = shapes.page("blacklist", _BLACKLISTED, shapes.HASH), "/blacklist/{info_hash}"
        return [
            Endpoint(
                "GET", "/blacklist", self.blacklist, "Blacklisted torrents, ascending.",
                answer(listed), query=(params.AFTER_HASH, params.LIMIT, AT),
            ),
            Endpoint(
                "GET", one, self.blacklisted, "Why a torrent is blacklisted.",
                answer(_BLACKLISTED), query=(AT,),
            ),
            Endpoint(
                "PUT", one, self.ban, "Refuse a torrent in all modes; needs `X-Reason`.",
                answer(_DONE), headers=_NEEDED, scope="moderator", body=shapes.form(public=shapes.nullable(shapes.FLAG)),
                body_required=False,
            ),
            Endpoint(
                "DELETE", one, self.unban, "Take a torrent off the blacklist; needs `X-Reason`.",
                answer(_DONE), headers=_NEEDED, scope="moderator",
            ),
        ]  # fmt: skip

    def _of_networks(self) -> list[Endpoint]:
        listed, one = shapes.page("blocks", _BLOCK, shapes.STRING), "/blocks/{address}/{bits}"
        after = Parameter(
            name="after", schema=shapes.STRING, description="the `next` of the page before"
        )
        body = shapes.form(until=shapes.nullable(shapes.TIME), public=shapes.nullable(shapes.FLAG))
        return [
            Endpoint(
                "GET", "/blocks", self.blocks, "Blocked networks.", answer(listed),
                query=(after, params.LIMIT, AT),
            ),
            Endpoint(
                "PUT", one, self.block, "Refuse announces from a network; needs `X-Reason`.",
                answer(_DONE), headers=_NEEDED, scope="moderator", body=body, body_required=False,
            ),
            Endpoint(
                "DELETE", one, self.unblock, "Take announces from a network again; needs `X-Reason`.",
                answer(_DONE), headers=_NEEDED, scope="moderator",
            ),
        ]  # fmt: skip

    def _of_clients(self) -> list[Endpoint]:
        listed, one = (
            shapes.page("client_rules", _CLIENT_RULE, shapes.NUMBER),
            "/client-rules/{rule}",
        )
        terms = [Parameter(name=name, schema=shapes.STRING) for name in ("client", "first", "last")]
        return [
            Endpoint(
                "GET", "/client-rules", self.client_rules, "Versions of clients that are refused, or will be.",
                answer(listed), query=(params.AFTER, params.LIMIT, AT),
            ),
            Endpoint(
                "GET", "/client-rules/preview", self.client_use, "Who uses these versions of a client now.",
                answer(_CLIENT_USE), query=(*terms, AT),
            ),
            Endpoint(
                "POST", "/client-rules", self.rule_client, "Refuse versions of a client; needs `X-Reason`.",
                answer(_CLIENT_RULE, 201), headers=_NEEDED,
                body=shapes.form(
                    ("client",), client=shapes.STRING, first=shapes.nullable(shapes.STRING), last=shapes.nullable(shapes.STRING),
                    public=shapes.nullable(shapes.FLAG), **{"from": shapes.nullable(shapes.TIME)},
                ),
            ),
            Endpoint(
                "DELETE", one, self.end_client_rule, "Take these versions again; needs `X-Reason`.",
                answer(_DONE), headers=_NEEDED,
            ),
        ]  # fmt: skip

    # Accounts.

    async def many(self) -> Response:
        given = params.only(request.args, "after", "limit", "at")
        after = params.whole("after", given.get("after", "0"), params.NUMBER_MAX)
        listed = self.reads.each(ReadModel.sanctions, after)
        found, more = await gather(listed, params.limit(given), lambda _: True)
        following = found[-1].account if more else None
        return await page("sanctions", [_account_json(one) for one in found], following)

    async def impose(self, what: str, account: str) -> Response:
        """Imposes it at once, or again with another reason or end. `until`: null = until lifted."""
        number = params.number(account, "account")
        until_us = bodies.time_us(await bodies.members_or_none("until"), "until")
        with commanded():
            return _done(await self.commands.impose(what, number, until_us, actor()))

    async def lift(self, what: str, account: str) -> Response:
        number = params.number(account, "account")
        with commanded():
            return _done(await self.commands.lift(what, number, actor()))

    # Torrents.

    async def blacklist(self) -> Response:
        given = params.only(request.args, "after", "limit", "at")
        after = params.info_hash(given["after"], "after") if "after" in given else b""
        listed = self.reads.each(ReadModel.blacklist, after)
        found, more = await gather(listed, params.limit(given), lambda _: True)
        following = found[-1].info_hash.hex() if more else None
        return await page(
            "blacklist", self._named([_blacklisted_json(one) for one in found]), following
        )

    async def blacklisted(self, info_hash: str) -> Response:
        params.only(request.args, "at")
        found = await self.reads.one(ReadModel.blacklisted, params.info_hash(info_hash))
        if found is None:
            raise Problem(404, "that torrent is not on the blacklist")
        return json_text(encode(self._named(_blacklisted_json(found))))

    async def ban(self, info_hash: str) -> Response:
        """Blacklists a torrent; its peers go at once. `public`: clients get the reason."""
        torrent = params.info_hash(info_hash)
        public = bodies.flag(await bodies.members_or_none("public"), "public")
        with commanded():
            return _done(await self.commands.blacklist(torrent, public, actor()))

    async def unban(self, info_hash: str) -> Response:
        torrent = params.info_hash(info_hash)
        with commanded():
            return _done(await self.commands.unblacklist(torrent, actor()))

    def _named(self, shown: Any) -> Any:
        return named(shown, self.reads.live.now())

    # Networks.

    async def blocks(self) -> Response:
        """Lists blocks in the order of their networks as texts."""
        given = params.only(request.args, "after", "limit", "at")
        listed = self.reads.each(ReadModel.blocks, given.get("after", ""))
        found, more = await gather(listed, params.limit(given), lambda _: True)
        shown: list[object] = [
            {"network": one.network, **_sanction_json(one.sanction)} for one in found
        ]
        return await page("blocks", shown, found[-1].network if more else None)

    async def block(self, address: str, bits: str) -> Response:
        """Blocks a network at once. `until`: null = until lifted. `public`: as above."""
        given = await bodies.members_or_none("until", "public")
        until_us, public = bodies.time_us(given, "until"), bodies.flag(given, "public")
        with commanded():
            asked = self.commands.block(f"{address}/{bits}", until_us, public, actor())
            return _done(await asked)

    async def unblock(self, address: str, bits: str) -> Response:
        with commanded():
            return _done(await self.commands.unblock(f"{address}/{bits}", actor()))

    # Clients.

    async def client_rules(self) -> Response:
        given = params.only(request.args, "after", "limit", "at")
        after = params.whole("after", given.get("after", "0"), params.NUMBER_MAX)
        listed = self.reads.each(ReadModel.client_rules, after)
        found, more = await gather(listed, params.limit(given), lambda _: True)
        shown: list[object] = [_client_rule_json(one) for one in found]
        return await page("client_rules", shown, found[-1].number if more else None)

    async def client_use(self) -> Response:
        """Counts the peers, members and torrents that a rule with these terms would concern."""
        given = params.only(request.args, "client", "first", "last", "at")
        terms = ClientRuleTerms(
            given.get("client", ""), given.get("first", ""), given.get("last", "")
        )
        if problem := terms.problem():
            raise Problem(400, problem)
        found, _ = await gather(self.reads.each(ReadModel.client_use, terms), 1, lambda _: True)
        return json_text(encode(asdict(found[0])))

    async def rule_client(self) -> Response:
        """Sets a rule: 201. `from`: null = at once; until then clients get a warning by HTTP."""
        given = await bodies.members("client", "first", "last", "from", "public")
        client, first, last = (
            bodies.text(given, name, MAX_NAME) or "" for name in ("client", "first", "last")
        )
        from_us, public = bodies.time_us(given, "from"), bodies.flag(given, "public")
        with commanded():
            asked = ClientRuleTerms(client, first, last, from_us, public)
            rule = await self.commands.rule_client(asked, actor())
        return json_text(encode(_client_rule_json(rule)), 201)

    async def end_client_rule(self, rule: str) -> Response:
        number = params.number(rule, "rule")
        with commanded():
            return _done(await self.commands.end_client_rule(number, actor()))


def _client_rule_json(one: ClientRule) -> dict[str, Any]:
    return {
        "rule": one.number,
        "client": one.client,
        "first": one.first,
        "last": one.last,
        "from": rfc3339(one.from_us),
        "in_force": one.in_force,
        **_sanction_json(one.sanction),
    }


def _done(seq: int) -> Response:
    return json_text(encode({"seq": seq}))


def _account_json(one: SanctionedAccount) -> dict[str, Any]:
    return {
        "account": one.account,
        "owner": one.owner,
        "leech_off": one.leech_off and _sanction_json(one.leech_off),
        "hidden": one.hidden and _sanction_json(one.hidden),
    }


def _sanction_json(one: Sanction) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "since": rfc3339(one.since_us),
        "until": rfc3339(one.until_us),
        "by": one.by,
        "reason": one.reason,
        "public": one.public,
    }


def _blacklisted_json(one: Blacklisted) -> dict[str, Any]:
    return {"info_hash": one.info_hash.hex(), **_sanction_json(one.sanction)}
