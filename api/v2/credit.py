"""Serves credit in version 2: factors, totals of accounts, corrections.

Factors and corrections do not change raw totals.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen
from quart import request

from api.caller import actor
from api.endpoint import IDEMPOTENCY_KEY, NO_CONTENT, REASON, Endpoint, Parameter, answer
from api.openapi import shapes
from api.params import U64_MAX
from api.reads import AT
from api.replies import empty, encode, json_text
from api.streams import json_array
from api.times import rfc3339
from api.v2 import bodies, changes, looks, params
from api.v2.events import EVENTS_TIMEOUT
from api.v2.ledgers import allow_time
from api.v2.lists import RATIO, SEARCH, SECONDS, TEXT, TIME, WHOLE, Listing, listed
from api.v2.looks import WHY
from api.v2.pages import gather, page
from api.v2.problems import Problem, commanded
from tracker.ports import (
    MOST_PERCENT,
    Correction,
    EventFilter,
    FactorTerms,
    LogPart,
    ReadModel,
    named,
)

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from api.v2.changes import Changes
    from api.v2.looks import Looks
    from tracker.ports import Account, Commands, Events, Factor, Live, Present

MAX_LABEL: Final = 100  # characters

_TERMS: Final = (
    "account", "group", "info_hash", "upload_percent", "download_percent", "from", "until", "label",
)  # fmt: skip
_SEQ_MAX: Final = 2**63 - 1
_CORRECTABLE: Final = (
    "announced", "announce_refused", "credit_corrected", "credit_factor_set", "credit_factor_ended",
)  # fmt: skip
"""Types of events that a correction makes good: those that credit, or should have."""


_LISTING: Final = Listing(
    "account",
    {
        "owner": ("owner", TEXT),
        "ratio": ("ratio_permille", RATIO),
        **{name: (name, WHOLE) for name in (
            "uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "sessions", "snatched",
        )},
        "seeding_seconds": ("seeding_us", SECONDS),
        "partial_seeding_seconds": ("partial_us", SECONDS),
        "first_seen": ("first_us", TIME),
        "last_seen": ("last_us", TIME),
    },
    (SEARCH, Parameter(name="owner", schema=shapes.STRING)),
)  # fmt: skip


@frozen
class Factors:
    reads: Reads
    commands: Commands

    def endpoints(self) -> list[Endpoint]:
        listed, one = shapes.page("factors", shapes.FACTOR, shapes.NUMBER), "/factors/{factor}"
        return [
            Endpoint(
                "GET", "/factors", self.many, "Credit factors in force and to come.", answer(listed),
                query=(params.AFTER, params.LIMIT, AT),
            ),
            Endpoint(
                "POST", "/factors", self.set, "Set a credit factor.", answer(shapes.FACTOR, 201),
                body=shapes.FACTOR_FORM,
            ),
            Endpoint("GET", one, self.one, "A credit factor.", answer(shapes.FACTOR), query=(AT,)),
            Endpoint("DELETE", one, self.end, "End a credit factor.", NO_CONTENT),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists factors in force and to come, ascending by number."""
        given = params.only(request.args, "after", "limit", "at")
        after = params.whole("after", given.get("after", "0"), params.NUMBER_MAX)
        listed = self.reads.each(ReadModel.factors, after)
        found, more = await gather(listed, params.limit(given), lambda _: True)
        return await page(
            "factors", [self._shown(one) for one in found], found[-1].number if more else None
        )

    async def one(self, factor: str) -> Response:
        params.only(request.args, "at")
        number = params.number(factor, "factor")
        found = await self.reads.one(ReadModel.factor, number)
        if found is None:
            raise Problem(404, "there is no such factor, or it is over")
        return json_text(encode(self._shown(found)))

    def _shown(self, factor: Factor) -> dict[str, object]:
        shown: dict[str, object] = named(_factor_json(factor), self.reads.live.now())
        return shown

    async def set(self) -> Response:
        """Sets a factor: 201. If a factor with the same terms exists, it returns that factor."""
        terms = _terms(await bodies.members(*_TERMS))
        with commanded():
            factor = await self.commands.set_factor(terms, actor())
        response = json_text(encode(self._shown(factor)), 201)
        response.headers["location"] = f"/api/v2/factors/{factor.number}"
        return response

    async def end(self, factor: str) -> Response:
        """Ends a factor: 204. One that is over already is a 404."""
        with commanded():
            await self.commands.end_factor(params.number(factor, "factor"), actor())
        return empty(204)


@frozen
class Accounts:
    reads: Reads
    commands: Commands
    log: Events
    looks: Looks
    changes: Changes

    def endpoints(self) -> list[Endpoint]:
        one, listing = "/accounts/{account}", changes.listing("accounts", shapes.ACCOUNT)
        return [
            Endpoint(
                "GET", "/accounts", self.many, "Accounts with their totals.", answer(listing),
                query=(*_LISTING.parameters(), changes.SINCE),
            ),
            Endpoint("GET", one, self.one, "An account's totals.", answer(shapes.ACCOUNT), query=(AT,)),
            Endpoint(
                "PUT", f"{one}/group", self.group, "Put an account into a group, or into none.",
                answer(shapes.ACCOUNT), body=shapes.form(("group",), group=shapes.nullable(shapes.GROUP)),
            ),
            Endpoint(
                "GET", f"{one}/peers", self.present, "An account's peers in all swarms now.",
                answer(shapes.record(peers=shapes.array(shapes.PRESENT))), query=(AT,), headers=(WHY,),
            ),
            Endpoint(
                "POST", f"{one}/corrections", self.correct,
                "Correct an account's credited totals; needs `X-Reason`.",
                answer(shapes.record(seq=shapes.SEQ, account=shapes.ACCOUNT), 201),
                headers=(evolve(REASON, required=True), IDEMPOTENCY_KEY), body=shapes.CORRECTION_FORM,
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists accounts, ascending by number without `sort`. Filters combine."""
        if changes.wanted():
            return await self.changes.accounts(account_json)
        given = _LISTING.given()
        equal = (("owner", given["owner"]),) if "owner" in given else ()
        query = _LISTING.query(given, equal=equal, search=given.get("search", ""))
        found = self.reads.each(ReadModel.listed_accounts, query)
        return await listed("accounts", found, query, account_json, "account")

    async def one(self, account: str) -> Response:
        params.only(request.args, "at")
        found = await self._found(params.number(account, "account"))
        return json_text(encode(account_json(found)))

    async def _found(self, account: int) -> Account:
        found = await self.reads.one(ReadModel.account, account)
        if found is None:
            raise Problem(404, "there is no such account")
        return found

    async def group(self, account: str) -> Response:
        """Puts the account into the group of this name; null = into none."""
        number, given = params.number(account, "account"), await bodies.members("group")
        if "group" not in given:
            raise Problem(422, "group: missing; null = none")
        with commanded():
            group = bodies.text(given, "group", MAX_LABEL)
            await self.commands.group_account(number, group, actor())
        return json_text(encode(account_json(await self._found(number))))

    async def present(self, account: str) -> Response:
        """Lists the account's peers in all swarms, in no order."""
        number = params.number(account, "account")
        params.only(request.args, "at")
        await self._found(number)
        found = self.reads.each(ReadModel.present, number)
        if open_to := looks.wanted():
            await self.looks.note(None)
        show = partial(_present_json, self.reads.live, open_to=open_to)
        return await json_array(found, show, '{"peers":[', "]}")

    async def correct(self, account: str) -> Response:
        """Corrects credited totals: 201 with the event's seq and the new totals.

        `X-Reason` is required.
        """
        number = params.number(account, "account")
        given = await bodies.members("uploaded", "downloaded", "corrects")
        corrects = bodies.whole(given, "corrects", _SEQ_MAX)
        if corrects is None:
            raise Problem(422, "corrects: missing; the seq of the event that this makes good")
        uploaded = bodies.signed(given, "uploaded", U64_MAX) or 0
        downloaded = bodies.signed(given, "downloaded", U64_MAX) or 0
        await self._check_corrected(corrects)
        correction = Correction(number, uploaded, downloaded, corrects)
        with commanded():
            seq = await self.commands.correct(correction, actor())
        body = {"seq": seq, "account": account_json(await self._found(number))}
        return json_text(encode(body), 201)

    async def _check_corrected(self, seq: int) -> None:
        """Raises `Problem` for an event of the wrong type.

        An event that was removed, or is not durable yet, cannot be looked at, and is taken.
        """
        allow_time(EVENTS_TIMEOUT)
        page = await self.log.read(LogPart(first=seq, last=seq), EventFilter(), 1)
        kinds = [event["type"] for event in page.events if event["seq"] == seq]
        if kinds and kinds[0] not in _CORRECTABLE:
            expected = "an announce, a correction or a factor"
            raise Problem(422, f"corrects: event {seq} is {kinds[0]}; expected {expected}")


def _terms(given: dict[str, Any]) -> FactorTerms:
    info_hash = given.get("info_hash")
    return FactorTerms(
        account=bodies.account(given),
        info_hash=None if info_hash is None else bodies.info_hash(info_hash, "info_hash"),
        upload_percent=bodies.whole(given, "upload_percent", MOST_PERCENT),
        download_percent=bodies.whole(given, "download_percent", MOST_PERCENT),
        from_us=bodies.time_us(given, "from"),
        until_us=bodies.time_us(given, "until"),
        label=bodies.text(given, "label", MAX_LABEL) or "",
        group=bodies.text(given, "group", MAX_LABEL),
    )


def _factor_json(factor: Factor) -> dict[str, object]:
    terms = factor.terms
    return {
        "factor": factor.number,
        "seq": factor.seq,
        "account": terms.account,
        "group": terms.group,
        "info_hash": None if terms.info_hash is None else terms.info_hash.hex(),
        "upload_percent": terms.upload_percent,
        "download_percent": terms.download_percent,
        "from": rfc3339(terms.from_us),
        "until": rfc3339(terms.until_us),
        "label": terms.label,
    }


def _present_json(live: Live, present: Present, *, open_to: bool) -> str:
    peer = present.peer
    return encode(
        {
            "info_hash": present.info_hash.hex(),
            "label": live.now().label(present.info_hash),
            "role": "seeder" if present.seeder else "leecher",
            "key_ref": present.key_ref,
            "peer_id": peer.peer_id.hex(),
            "client": peer.client,
            "address": (peer.address or None) if open_to else None,
            "pseudonym": present.pseudonym,
            "uploaded": peer.uploaded,
            "downloaded": peer.downloaded,
            "left": peer.left,
            "event": peer.event.lower(),
            "last_seen": rfc3339(peer.updated_ms * 1000),
        }
    )


def account_json(account: Account) -> dict[str, object]:
    ratio = account.ratio_permille
    return {
        "account": account.account,
        "owner": account.owner,
        "group": account.group,
        "uploaded": account.uploaded,
        "downloaded": account.downloaded,
        "credited_uploaded": account.credited_uploaded,
        "credited_downloaded": account.credited_downloaded,
        "ratio": None if ratio is None else ratio / 1000,
        "seeding_seconds": account.seeding_us // 1_000_000,
        "partial_seeding_seconds": account.partial_us // 1_000_000,
        "sessions": account.sessions,
        "snatched": account.snatched,
        "first_seen": rfc3339(account.first_us),
        "last_seen": rfc3339(account.last_us),
        "merged_into": account.merged_into,
        "merged_at": rfc3339(account.merged_us),
    }
