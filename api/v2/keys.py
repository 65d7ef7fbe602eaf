"""Serves tracker keys in version 2, by their `key_ref`, so that administrators need not know keys.

Only the responses to issuing and rotating hold the key itself.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.caller import actor
from api.endpoint import NO_CONTENT, REPEATABLE, Endpoint, Parameter, answer
from api.openapi import shapes
from api.params import U64_MAX
from api.reads import AT
from api.replies import empty, encode, json_text
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.lists import SEARCH, TEXT, TIME, WHOLE, Listing, listed
from api.v2.problems import Problem, commanded
from tracker.ports import MAX_NAME, NewKey, ReadModel, chosen, is_key

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from api.streams import Items
    from tracker.ports import Commands, IssuedKey, KeyInfo, ListQuery

MAX_KEYS: Final = 200  # the most keys in one import, because they are appended without a pause
STATES: Final = ("valid", "expired", "revoked")

_NEW: Final = ("key", "seconds", "until", "owner", "label")
_LISTING: Final = Listing(
    "key_ref",
    {
        "account": ("account", WHOLE),
        "owner": ("owner", TEXT),
        "label": ("label", TEXT),
        "valid_until": ("valid_until_us", TIME),
        "last_used": ("used_us", TIME),
        "account_last_seen": ("account_seen_us", TIME),
    },
    (
        SEARCH,
        Parameter(name="owner", schema=shapes.STRING),
        Parameter(name="account", schema=shapes.NUMBER),
        Parameter(name="state", schema={"enum": list(STATES)}),
        Parameter(name="key_hash", schema={"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}),
    ),
)
_IMPORTED: Final = shapes.array({**shapes.NEW_KEY_FORM, "required": ["key"]}, MAX_KEYS)


@frozen
class Keys:
    reads: Reads
    commands: Commands
    announce_urls: tuple[str, ...]

    def endpoints(self) -> list[Endpoint]:
        listed, one = shapes.page("keys", shapes.KEY, shapes.CURSOR), "/keys/{key_ref}"
        return [
            Endpoint(
                "GET", "/keys", self.many, "Tracker keys by `key_ref`, revoked ones too.", answer(listed),
                query=_LISTING.parameters(),
            ),
            Endpoint(
                "POST", "/keys", self.issue, "Issue a key.", answer(shapes.NEW_KEY, 201),
                headers=REPEATABLE, body=shapes.NEW_KEY_FORM, body_required=False,
            ),
            Endpoint(
                "POST", "/keys/revoke", self.revoke_owner, "Revoke all keys of an owner.",
                answer(shapes.record(revoked=shapes.WHOLE)), scope="moderator",
                body=shapes.form(("owner",), owner=shapes.NAME),
            ),
            Endpoint(
                "POST", "/keys/import", self.import_many, "Take keys over: all or none.",
                answer(shapes.record(key_refs=shapes.array(shapes.NUMBER)), 201),
                headers=REPEATABLE, body=shapes.form(("keys",), keys=_IMPORTED),
            ),
            Endpoint("GET", one, self.one, "A key.", answer(shapes.KEY), query=(AT,)),
            Endpoint(
                "PATCH", one, self.change, "Label a key.", answer(shapes.KEY),
                body=shapes.form(("label",), label=shapes.nullable(shapes.NAME)),
            ),
            Endpoint("DELETE", one, self.revoke, "Revoke a key.", NO_CONTENT, scope="moderator"),
            Endpoint(
                "POST", f"{one}/rotate", self.rotate, "Replace a key; the account stays.",
                answer(shapes.NEW_KEY, 201), headers=REPEATABLE, body=shapes.form(), body_required=False,
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists keys, ascending by `key_ref` without `sort`. Filters combine."""
        given = _LISTING.given()
        query = _LISTING.query(given, equal=_equal(given), search=given.get("search", ""))
        return await listed(
            "keys", await self._candidates(given, query), query, _key_json, "key_ref"
        )

    async def _candidates(self, given: dict[str, str], query: ListQuery) -> Items[KeyInfo]:
        if "key_hash" not in given:
            return self.reads.each(ReadModel.listed_keys, query)
        one = await self.reads.one(ReadModel.key_of_hash, _key_hash(given["key_hash"]))
        return chosen([one], query, attrgetter("key_ref"))

    async def one(self, key_ref: str) -> Response:
        params.only(request.args, "at")
        return json_text(encode(_key_json(await self._found(params.number(key_ref)))))

    async def _found(self, key_ref: int) -> KeyInfo:
        found = await self.reads.one(ReadModel.key, key_ref)
        if found is None:
            raise Problem(404, "there is no such key")
        if found.key_ref != key_ref:
            detail = f"revoked, and issued again as key {found.key_ref}"
            raise Problem(410, detail, key_ref=found.key_ref)
        return found

    async def issue(self) -> Response:
        """Issues a key: 201. A repeated `Idempotency-Key` gets the same response again."""
        new = _new_key(await bodies.members_or_none(*_NEW), "")
        with commanded():
            issued = await self.commands.issue_key(new, actor())
        return await self._issued(issued)

    async def import_many(self) -> Response:
        """Imports all of the keys, or none.

        A repeated `Idempotency-Key` gets the same response again.
        """
        listed = bodies.items(await bodies.members("keys"), "keys", MAX_KEYS)
        new = [_new_key(bodies.known(value, f"{at}.", *_NEW), f"{at}.") for at, value in listed]
        for number, one in enumerate(new):
            if one.key is None:
                raise Problem(422, f"keys[{number}].key: missing")
        with commanded():
            key_refs = await self.commands.import_keys(new, actor())
        return json_text(encode({"key_refs": key_refs}), 201)

    async def change(self, key_ref: str) -> Response:
        """Changes the label; null removes it."""
        number = params.number(key_ref)
        given = await bodies.members("label")
        if "label" not in given:
            raise Problem(422, "label: missing")
        label = bodies.text(given, "label", MAX_NAME)
        with commanded():
            await self.commands.label_key(number, label, actor())
        return json_text(encode(_key_json(await self._found(number))))

    async def revoke(self, key_ref: str) -> Response:
        with commanded():
            await self.commands.revoke_key_ref(params.number(key_ref), actor())
        return empty(204)

    async def revoke_owner(self) -> Response:
        """Revokes them together; `revoked` says how many there were in force."""
        owner = bodies.text(await bodies.members("owner"), "owner", MAX_NAME)
        if owner is None:
            raise Problem(422, "owner: missing")
        with commanded():
            revoked = await self.commands.revoke_owner(owner, actor())
        return json_text(encode({"revoked": revoked}))

    async def rotate(self, key_ref: str) -> Response:
        await bodies.members_or_none()
        with commanded():
            issued = await self.commands.rotate_key(params.number(key_ref), actor())
        return await self._issued(issued)

    async def _issued(self, issued: IssuedKey) -> Response:
        # The key may be revoked by now; the request has succeeded all the same.
        known = await self.reads.one(ReadModel.key, issued.key_ref)
        body = {
            "key": issued.key,
            **(_key_json(known) if known else {}),
            "key_ref": issued.key_ref,
            "announce_urls": [f"{url}/{issued.key}" for url in self.announce_urls],
        }
        response = json_text(encode(body), 201)
        response.headers["location"] = f"/api/v2/keys/{issued.key_ref}"
        response.headers["cache-control"] = "no-store"
        return response


def _key_json(key: KeyInfo) -> dict[str, object]:
    return {
        "key_ref": key.key_ref,
        "key_hash": key.key_hash.hex(),
        "state": key.state,
        "account": key.account,
        "owner": key.owner,
        "label": key.label,
        "valid_until": rfc3339(key.valid_until_us),
        "last_used": rfc3339(key.used_us),
        "account_last_seen": rfc3339(key.account_seen_us),
    }


def _equal(given: dict[str, str]) -> tuple[tuple[str, int | str], ...]:
    state, account = given.get("state"), params.optional_number(given, "account")
    if state is not None and state not in STATES:
        raise Problem(400, f"state: expected one of {', '.join(STATES)}")
    equal = {"owner": given.get("owner"), "state": state, "account": account}
    return tuple((name, value) for name, value in equal.items() if value is not None)


def _key_hash(value: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise Problem(400, "key_hash: expected 64 hexadecimal digits")
    return bytes.fromhex(value)


def _new_key(given: dict[str, Any], place: str) -> NewKey:
    """Reads the members of a new key: random without `key`, permanent without an end."""
    if given.get("seconds") is not None and given.get("until") is not None:
        raise Problem(422, f"{place}seconds, {place}until: one of the two")
    key = given.get("key")
    if key is not None and not (isinstance(key, str) and is_key(key)):
        raise Problem(422, f"{place}key: expected 10 to 64 letters, digits, - and _")
    return NewKey(
        key,
        bodies.whole(given, "seconds", U64_MAX, place),
        bodies.time_us(given, "until", place),
        bodies.text(given, "owner", MAX_NAME, place),
        bodies.text(given, "label", MAX_NAME, place),
    )
