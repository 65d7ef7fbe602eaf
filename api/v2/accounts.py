"""Merges and splits accounts in version 2, and tells what either would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, evolve, frozen

from api.caller import actor
from api.endpoint import REASON, Endpoint, answer
from api.openapi import shapes
from api.params import U64_MAX
from api.replies import encode, json_text
from api.v2 import bodies, params
from api.v2.credit import account_json
from api.v2.ledgers import allow_time
from api.v2.problems import Problem, commanded
from tracker.ports import MAX_NAME, BusyError, CasesQuery, JudgedQuery, SplitTerms

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import AccountSide, Commands, Ledgers, MoveDone, MovePreview

_MOST: Final = 1000  # downloads that are counted by state
_MOST_KEYS: Final = 5000
_OPEN: Final = ("open", "taken", "waiting")  # states of cases
_AMOUNTS: Final = ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded")
_DONE: Final = shapes.record(
    seq=shapes.nullable(shapes.SEQ), account=shapes.NUMBER, preview=shapes.nullable(shapes.ANYTHING)
)
_NEEDED: Final = (evolve(REASON, required=True),)


@frozen
class Moves:
    reads: Reads
    commands: Commands
    books: Ledgers

    def endpoints(self) -> list[Endpoint]:
        one, preview = "/accounts/{account}", shapes.nullable(shapes.FLAG)
        return [
            Endpoint(
                "POST", f"{one}/merge", self.merge,
                "Give all keys and totals of an account to another one; needs `X-Reason`.",
                answer(_DONE), headers=_NEEDED,
                body=shapes.form(("into",), into=shapes.NUMBER, preview=preview),
            ),
            Endpoint(
                "POST", f"{one}/split", self.split,
                "Give some keys of an account to a new one; needs `X-Reason`.",
                answer(_DONE), headers=_NEEDED,
                body=shapes.form(
                    ("keys", "owner"), keys=shapes.array(shapes.NUMBER), owner=shapes.NAME,
                    preview=preview, **dict.fromkeys(_AMOUNTS, shapes.nullable(shapes.WHOLE)),
                ),
            ),
        ]  # fmt: skip

    async def merge(self, account: str) -> Response:
        """Merges the account into that of `into`. With `preview` it only tells what would be."""
        number = params.number(account, "account")
        given = await bodies.members("into", "preview")
        into = bodies.account(given, "into")
        if into is None:
            raise Problem(422, "into: missing; the account that gets all")
        with commanded():
            if bodies.flag(given, "preview"):
                told = await self.commands.preview_merge(number, into, actor())
                return json_text(encode(await self._told(told)))
            return _done(await self.commands.merge(number, into, actor()))

    async def split(self, account: str) -> Response:
        """Splits keys off the account. Credited amounts are the raw ones unless they are given."""
        number = params.number(account, "account")
        given = await bodies.members("keys", "owner", "preview", *_AMOUNTS)
        keys = [_key(each, place) for place, each in bodies.items(given, "keys", _MOST_KEYS)]
        owner = bodies.text(given, "owner", MAX_NAME)
        if not owner:
            raise Problem(422, "owner: missing; the owner of the new account")
        amounts = {name: bodies.whole(given, name, U64_MAX) for name in _AMOUNTS}
        up, down, *credited = amounts.values()
        terms = SplitTerms(keys, owner, up or 0, down or 0, *credited)
        with commanded():
            if bodies.flag(given, "preview"):
                told = await self.commands.preview_split(number, terms, actor())
                return json_text(encode(await self._told(told)))
            return _done(await self.commands.split(number, terms, actor()))

    async def _told(self, told: MovePreview) -> dict[str, Any]:
        allow_time()  # the process that reads the book may have to start
        sides = [await self._side(one) for one in told.before]
        after = [account_json(one) for one in told.after]
        preview = {
            "before": sides,
            "after": after,
            "keys": told.keys,
            "peers": told.peers,
            "dropped": told.dropped,
        }
        return {"seq": None, "account": told.after[1].account, "preview": preview}

    async def _side(self, side: AccountSide) -> dict[str, Any]:
        """Adds what the follower's files say: hit and run, and open cases; null = not known now."""
        account, states, cases = side.account.account, None, None
        try:
            page = await self.books.judged(JudgedQuery(account=account, limit=_MOST), None)
            states = dict[str, int]()
            for one in page.downloads:
                states[one.since.state] = states.get(one.since.state, 0) + 1
            query = CasesQuery(states=_OPEN, account=account, limit=_MOST)
            cases = [one.detector for one in (await self.books.cases(query)).cases]
        except BusyError:
            pass
        return {
            "account": account_json(side.account),
            "keys": side.keys,
            "peers": side.peers,
            "torrents": side.torrents,
            "freeleech_tokens": side.freeleech_tokens,
            "limits": asdict(side.limits) if side.limits else None,
            "sanctions": list(side.sanctions),
            "hit_and_run": states,
            "open_cases": cases,
        }


def _key(value: object, place: str) -> int:
    if type(value) is not int or not 0 < value <= params.NUMBER_MAX:
        raise Problem(422, f"{place}: expected the number of a key")
    return value


def _done(done: MoveDone) -> Response:
    return json_text(encode({"seq": done.seq, "account": done.account, "preview": None}))
