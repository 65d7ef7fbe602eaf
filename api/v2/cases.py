"""Serves cases in version 2: what detectors found about accounts, and what staff says about it.

`tracker.ports.Ledgers` reads what the follower wrote. Times are dates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, evolve, frozen
from quart import request

from api.caller import actor
from api.endpoint import REASON, Endpoint, Parameter, answer
from api.openapi import shapes
from api.replies import encode, json_text
from api.streams import json_object
from api.times import rfc3339
from api.v2 import bodies, params
from api.v2.ledgers import allow_time
from api.v2.problems import Problem, commanded
from tracker.ports import CASE_GRADES, CASE_OUTCOMES, CASE_STATES, CaseClosing, CasesQuery, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.replies import Response
    from tracker import ports
    from tracker.ports import Case, CaseChange, CaseFinding, CaseTold

_UNCLOSED: Final = tuple(one for one in CASE_STATES if one not in CASE_OUTCOMES)
_BEFORE_STAFF: Final = CASE_GRADES[1:]
_NOTE_MAX: Final = 2000  # characters
_NOTE: Final = {"type": "string", "minLength": 1, "maxLength": _NOTE_MAX, "pattern": shapes.LINE}
_DETECTOR: Final = re.compile(r"[a-z0-9_]{1,64}")
_AFTER: Final = re.compile(rf"([0-9]{{1,10}}):({_DETECTOR.pattern})")

_TIME: Final = shapes.nullable(shapes.TIME)
_LINE: Final = shapes.nullable(shapes.STRING)
_OUTCOME: Final = {"type": "string", "enum": list(CASE_OUTCOMES)}
_GRADE: Final = {"type": "string", "enum": list(CASE_GRADES)}
_CASE: Final = shapes.record(
    account=shapes.NUMBER, detector=shapes.DETECTOR, state={"type": "string", "enum": list(CASE_STATES)},
    since=shapes.TIME, grade=shapes.nullable(_GRADE), holder=_LINE,
    outcome=shapes.nullable(_OUTCOME), until=_TIME, findings=shapes.WHOLE, first=_TIME, last=_TIME,
)  # fmt: skip
_FINDING: Final = shapes.record(
    seq=shapes.SEQ, time=shapes.TIME, grade=_GRADE, info_hash=shapes.nullable(shapes.HASH),
    begin=shapes.TIME, end=shapes.TIME, amount=shapes.SIGNED, unit=shapes.STRING,
    evidence=shapes.array(shapes.SEQ), facts=shapes.ANYTHING,
)  # fmt: skip
_CHANGE: Final = shapes.record(
    seq=shapes.SEQ, time=shapes.TIME, type=shapes.STRING, by=_LINE, reason=_LINE, note=_LINE,
    outcome=shapes.nullable(_OUTCOME), until=_TIME,
)  # fmt: skip
_DETECTOR_SHOWN: Final = shapes.record(
    name=shapes.DETECTOR, parameters=shapes.ANYTHING, cases=shapes.WHOLE, confirmed=shapes.WHOLE,
    harmless=shapes.WHOLE, mistaken=shapes.WHOLE,
)  # fmt: skip
_DONE: Final = shapes.record(seq=shapes.SEQ)


@frozen
class Cases:
    live: ports.Live
    log: ports.Ledgers
    commands: ports.Commands

    def endpoints(self) -> list[Endpoint]:
        one = "/cases/{account}/{detector}"
        query = (
            Parameter(
                name="after", schema=shapes.STRING, description="the `next` of the page before"
            ),
            params.LIMIT, _some("state", CASE_STATES, _UNCLOSED),
            _some("grade", CASE_GRADES, _BEFORE_STAFF),
            Parameter(name="account", schema=shapes.U32),
            Parameter(name="detector", schema=shapes.DETECTOR),
        )  # fmt: skip
        needed = (evolve(REASON, required=True),)
        return [
            Endpoint(
                "GET", "/cases", self.many, "Cases, of all accounts and detectors.",
                answer(shapes.page("cases", _CASE, shapes.STRING, seq=shapes.SIGNED)), query=query,
            ),
            Endpoint(
                "GET", one, self.one, "A case with its evidence and history.",
                answer(shapes.record(
                    case=_CASE, findings=shapes.array(_FINDING), history=shapes.array(_CHANGE),
                    seq=shapes.SEQ,
                )),
            ),
            Endpoint(
                "POST", f"{one}/take", self.take, "Look into a case.", answer(_DONE),
            ),
            Endpoint(
                "POST", f"{one}/wait", self.wait, "Wait for the member's answer.", answer(_DONE),
            ),
            Endpoint(
                "POST", f"{one}/close", self.close, "Close a case; needs `X-Reason`.",
                answer(_DONE), headers=needed,
                body=shapes.form(("outcome",), outcome=_OUTCOME, until=_TIME),
            ),
            Endpoint(
                "POST", f"{one}/notes", self.note, "Add a note to a case.", answer(_DONE), body=shapes.form(("note",), note=shapes.STRING),
            ),
            Endpoint(
                "GET", "/detectors", self.detectors, "Detectors, and how their cases came out.",
                answer(shapes.record(detectors=shapes.array(_DETECTOR_SHOWN))),
            ),
        ]  # fmt: skip

    async def many(self) -> Response:
        """Lists cases by account and detector, ascending: those that staff should look at, unless
        states or grades are given.
        """
        names = ("after", "limit", "state", "grade", "account", "detector")
        given = params.only(request.args, *names)
        query = CasesQuery(
            states=_chosen(given, "state", CASE_STATES, _UNCLOSED),
            grades=_chosen(given, "grade", CASE_GRADES, _BEFORE_STAFF),
            account=params.optional_number(given, "account"), detector=given.get("detector"),
            after=_after(given["after"]) if "after" in given else None, limit=params.limit(given),
        )  # fmt: skip
        if query.detector is not None and not _DETECTOR.fullmatch(query.detector):
            raise Problem(400, "detector: expected lower-case letters, digits and underscores")
        allow_time()
        page = await self.log.cases(query)
        following = page.following and f"{page.following[0]}:{page.following[1]}"
        shown = [case_json(one) for one in page.cases]
        body = {"cases": shown, "next": following, "seq": page.seq}
        return await json_object(named(body, self.live.now()))

    async def one(self, account: str, detector: str) -> Response:
        """Shows a case, its newest findings, and what staff said about it, in the log's order."""
        params.only(request.args)
        told = await self._known(account, detector)
        body = {
            "case": case_json(told.case),
            "findings": [_finding_json(one) for one in told.findings],
            "history": [_change_json(one) for one in told.history],
            "seq": told.seq,
        }
        return await json_object(named(body, self.live.now()))

    async def _known(self, account: str, detector: str) -> CaseTold:
        number = params.number(account, "account")
        allow_time()
        told = await self.log.case(number, detector)
        if told is None:
            raise Problem(
                404,
                f"there is no such case: detector {detector} found nothing about account {number}",
            )
        return told

    # What staff does.

    async def take(self, account: str, detector: str) -> Response:
        case = (await self._known(account, detector)).case
        with commanded():
            return _done(await self.commands.take_case(case.account, case.detector, actor()))

    async def wait(self, account: str, detector: str) -> Response:
        case = (await self._known(account, detector)).case
        with commanded():
            return _done(await self.commands.wait_for_member(case.account, case.detector, actor()))

    async def close(self, account: str, detector: str) -> Response:
        """Closes a case. With `until` nothing opens it again that is found before then."""
        given = await bodies.members("outcome", "until")
        outcome, until_us = given.get("outcome"), bodies.time_us(given, "until")
        if outcome not in CASE_OUTCOMES:
            raise Problem(422, f"outcome: expected one of {', '.join(CASE_OUTCOMES)}")
        told = await self._known(account, detector)
        how, case = CaseClosing(outcome, told.seq, until_us), told.case
        with commanded():
            seq = await self.commands.close_case(case.account, case.detector, how, actor())
            return _done(seq)

    async def note(self, account: str, detector: str) -> Response:
        given = await bodies.members("note")
        note = bodies.text(given, "note", _NOTE_MAX) or ""
        case = (await self._known(account, detector)).case
        with commanded():
            return _done(await self.commands.note_case(case.account, case.detector, note, actor()))

    async def detectors(self) -> Response:
        """Lists the detectors with their parameters, and counts their cases by outcome."""
        params.only(request.args)
        allow_time()
        found = await self.log.detectors()
        return json_text(encode({"detectors": [asdict(one) for one in found]}))


def _some(name: str, all_of_them: Sequence[str], unless: Sequence[str]) -> Parameter:
    said = f"some of {', '.join(all_of_them)}, with commas between them; else {', '.join(unless)}"
    return Parameter(name=name, schema={"type": "string"}, description=said)


def _chosen(
    given: dict[str, str], name: str, all_of_them: Sequence[str], unless: Sequence[str]
) -> Sequence[str]:
    if name not in given:
        return unless
    chosen = given[name].split(",")
    if not set(chosen) <= set(all_of_them):
        known = ", ".join(all_of_them)
        raise Problem(400, f"{name}: expected some of {known}, with commas between them")
    return tuple(chosen)


def _after(text: str) -> tuple[int, str]:
    found = _AFTER.fullmatch(text)
    if found is None or int(found[1]) > params.NUMBER_MAX:
        raise Problem(400, "after: expected the `next` of the page before")
    return int(found[1]), found[2]


def _done(seq: int) -> Response:
    return json_text(encode({"seq": seq}))


def case_json(one: Case) -> dict[str, Any]:
    return {
        "account": one.account,
        "detector": one.detector,
        "state": one.state,
        "since": rfc3339(one.since_us),
        "grade": one.grade,
        "holder": one.holder,
        "outcome": one.outcome,
        "until": rfc3339(one.until_us),
        "findings": one.findings,
        "first": rfc3339(one.first_us),
        "last": rfc3339(one.last_us),
    }


def _finding_json(one: CaseFinding) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "time": rfc3339(one.time_us),
        "grade": one.grade,
        "info_hash": one.info_hash and one.info_hash.hex(),
        "begin": rfc3339(one.begin_us),
        "end": rfc3339(one.end_us),
        "amount": one.amount,
        "unit": one.unit,
        "evidence": list(one.evidence),
        "facts": dict(one.facts),
    }


def _change_json(one: CaseChange) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "time": rfc3339(one.time_us),
        "type": one.type,
        "by": one.by,
        "reason": one.reason,
        "note": one.note,
        "outcome": one.outcome,
        "until": rfc3339(one.until_us),
    }
