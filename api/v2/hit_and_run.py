"""Serves hit and run in version 2: the rule, what is judged, and what staff does about it.

`tracker.ports.Ledgers` reads from the book what the follower judged. Times are dates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen
from quart import request

from api.caller import actor
from api.endpoint import REASON, Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT, moment_in_query, note_outage
from api.replies import encode, json_text
from api.streams import json_object
from api.times import parse_in_query, rfc3339
from api.v2 import bodies, params
from api.v2.ledgers import allow_time
from api.v2.problems import Problem, commanded
from tracker.ports import JUDGED_STATES, JudgedQuery, JudgingRule, Pardon

if TYPE_CHECKING:
    from api.replies import Response
    from tracker import ports
    from tracker.ports import JudgedDownload, JudgedPage, RuleInForce, Transition

_SECONDS_MAX: Final = 3_155_760_000  # 100 years
_SIZE_MAX: Final = 2**63 - 1
_NULLABLE: Final = ("ratio", "window")  # members of a rule for which null means something
_RULE: Final = (
    "buffer", "seed_seconds", "seed_by_size", "ratio", "warn_absent", "grace_absent", "window",
    "freeleech_exempts", "partial_counts",
)  # fmt: skip
_FIGURE: Final = {"type": "number", "minimum": 0}
_SECONDS: Final = {"type": "integer", "minimum": 0, "maximum": _SECONDS_MAX}
_BY_SIZE: Final = {
    "type": "array",
    "items": shapes.form(
        ("size", "seconds"), size={**shapes.WHOLE, "maximum": _SIZE_MAX}, seconds=_SECONDS
    ),
    "maxItems": 32,
}
_MEMBERS: Final = {
    "buffer": _FIGURE,
    "seed_seconds": _SECONDS,
    "seed_by_size": _BY_SIZE,
    "ratio": shapes.nullable(_FIGURE),
    "warn_absent": _SECONDS,
    "grace_absent": _SECONDS,
    "window": shapes.nullable(_SECONDS),
    "freeleech_exempts": shapes.FLAG,
    "partial_counts": shapes.FLAG,
}
_RULE_SHOWN: Final = shapes.record(
    number=shapes.NUMBER, seq=shapes.SEQ, set_at=shapes.TIME, in_force=shapes.FLAG, **_MEMBERS
)
STATE: Final = {"type": "string", "enum": list(JUDGED_STATES)}
POSITION: Final = shapes.record(
    log_id=shapes.STRING, epoch=shapes.WHOLE, seq=shapes.SEQ, n=shapes.WHOLE
)
_TRANSITION: Final = shapes.record(state=STATE, time=shapes.TIME, position=POSITION)
_DOWNLOAD: Final = shapes.record(
    account=shapes.NUMBER, owner=shapes.nullable(shapes.STRING), info_hash=shapes.HASH, label=shapes.nullable(shapes.STRING),
    state=STATE, since=shapes.TIME, position=POSITION, facts=shapes.nullable(shapes.ANYTHING),
)  # fmt: skip
_DONE: Final = shapes.record(seq=shapes.SEQ)
_PREVIEW: Final = 10_000
"""The most downloads that the preview of a pardon shows."""
_AFTER: Final = re.compile(r"([0-9]{1,10}):([0-9a-f]{40})")


@frozen
class HitAndRun:
    live: ports.Live
    log: ports.Ledgers
    commands: ports.Commands

    def endpoints(self) -> list[Endpoint]:
        listed = shapes.page("downloads", _DOWNLOAD, shapes.STRING, seq=shapes.SIGNED)
        after = Parameter(
            name="after", schema=shapes.STRING, description="the `next` of the page before"
        )
        state = Parameter(
            name="state", schema={"type": "string"},
            description=f"only these, with commas between them: {', '.join(JUDGED_STATES)}",
        )  # fmt: skip
        torrent = Parameter(name="info_hash", schema=shapes.HASH, description="only this torrent")
        violated = Parameter(
            name="violated_from", schema=shapes.TIME,
            description="only those whose latest violation was at this time or later; not with `at`",
        )  # fmt: skip
        page = after, params.LIMIT, state, torrent, violated, AT
        needed = (evolve(REASON, required=True),)
        whom = {
            "account": shapes.nullable(shapes.NUMBER),
            "info_hash": shapes.nullable(shapes.HASH),
        }
        span = {"from": shapes.nullable(shapes.TIME), "until": shapes.nullable(shapes.TIME)}
        one, rule = "/accounts/{account}/hit-and-run", "/hit-and-run/rule"
        return [
            Endpoint(
                "GET", rule, self.rules, "The rule of hit and run, and those before it.",
                answer(shapes.record(rule=shapes.nullable(_RULE_SHOWN), rules=shapes.array(_RULE_SHOWN))),
            ),
            Endpoint(
                "PUT", rule, self.set_rule, "Judge by this rule from now on; needs `X-Reason`.",
                answer(_DONE), headers=needed, body=shapes.form(**_MEMBERS),
            ),
            Endpoint(
                "DELETE", rule, self.end_rule, "Judge no new downloads; needs `X-Reason`.",
                answer(_DONE), headers=needed,
            ),
            Endpoint(
                "GET", "/hit-and-run", self.many, "Downloads that are judged, of all accounts.",
                answer(listed), query=page,
            ),
            Endpoint(
                "GET", one, self.of_account, "An account's downloads, and the time that is left.",
                answer(listed), query=page,
            ),
            Endpoint(
                "GET", f"{one}/{{info_hash}}", self.history, "All that became of a download.",
                answer(shapes.record(
                    download=shapes.nullable(_DOWNLOAD), history=shapes.array(_TRANSITION),
                )),
            ),
            Endpoint(
                "POST", "/hit-and-run/pardons", self.pardon, "Pardon violations; needs `X-Reason`.",
                answer(shapes.record(
                    seq=shapes.nullable(shapes.SEQ), downloads=shapes.nullable(shapes.array(_DOWNLOAD)),
                )),
                headers=needed, body=shapes.form(**whom, **span, preview=shapes.nullable(shapes.FLAG)),
            ),
            Endpoint(
                "POST", "/hit-and-run/voids", self.void, "Do not judge downloads; needs `X-Reason`.",
                answer(_DONE), headers=needed,
                body=shapes.form(("info_hash",), info_hash=shapes.HASH, account=whom["account"]),
            ),
            Endpoint(
                "PUT", "/accounts/{account}/immunity", self.make_immune,
                "Do not judge an account; needs `X-Reason`.", answer(_DONE), headers=needed,
                body=shapes.form(**{"from": span["from"]}), body_required=False,
            ),
            Endpoint(
                "DELETE", "/accounts/{account}/immunity", self.end_immunity,
                "Judge an account again; needs `X-Reason`.", answer(_DONE), headers=needed,
            ),
        ]  # fmt: skip

    # The rule.

    async def rules(self) -> Response:
        """Shows the rule in force, and every rule that there was, the oldest first."""
        params.only(request.args)
        found = [_rule_json(one) for one in await self.log.hit_and_run_rules()]
        in_force = next((one for one in found if one["in_force"]), None)
        return json_text(encode({"rule": in_force, "rules": found}))

    async def set_rule(self) -> Response:
        """Sets a rule. Members that are left out have their default."""
        rule = _rule(await bodies.members(*_RULE))
        with commanded():
            return _done(await self.commands.set_hit_and_run_rule(rule, actor()))

    async def end_rule(self) -> Response:
        with commanded():
            return _done(await self.commands.end_hit_and_run_rule(actor()))

    # Downloads.

    async def many(self) -> Response:
        """Lists downloads by account and torrent, ascending."""
        return await self._list(None)

    async def of_account(self, account: str) -> Response:
        """Lists an account's downloads by torrent, ascending."""
        return await self._list(self._known(account))

    async def _list(self, account: int | None) -> Response:
        given = params.only(
            request.args, "after", "limit", "state", "info_hash", "violated_from", "at"
        )
        query = JudgedQuery(
            account=account,
            info_hash=params.info_hash(given["info_hash"]) if "info_hash" in given else None,
            states=_states(given["state"]) if "state" in given else (),
            violated_from_us=_violated_from(given),
            after=_after(given["after"]) if "after" in given else None,
            limit=params.limit(given),
        )
        moment = moment_in_query()
        allow_time()
        page = await self.log.judged(query, moment)
        if page.outage is not None:
            note_outage(page.outage)
        following = page.following and f"{page.following[0]}:{page.following[1].hex()}"
        body = {"downloads": self._shown(page), "next": following, "seq": page.seq}
        return await json_object(body)

    async def history(self, account: str, info_hash: str) -> Response:
        """Shows a download and its transitions, the oldest first; none if it is not judged."""
        params.only(request.args)
        number, torrent = self._known(account), params.info_hash(info_hash)
        allow_time()
        query = JudgedQuery(account=number, info_hash=torrent, limit=1)
        shown = self._shown(await self.log.judged(query, None))
        told = await self.log.judged_history(number, torrent)
        history = [transition_json(one) for one in told]
        return json_text(encode({"download": shown[0] if shown else None, "history": history}))

    def _known(self, account: str) -> int:
        number = params.number(account, "account")
        if self.live.now().account(number) is None:
            raise Problem(404, "there is no such account")
        return number

    def _shown(self, page: JudgedPage) -> list[dict[str, Any]]:
        return [download_json(self.live.now(), one) for one in page.downloads]

    # What staff does.

    async def pardon(self) -> Response:
        """Pardons violations: all that are in each that is named. `preview`: only shows them."""
        given = await bodies.members("account", "info_hash", "from", "until", "preview")
        what = Pardon(
            account=bodies.account(given),
            info_hash=_torrent(given),
            from_us=bodies.time_us(given, "from"),
            until_us=bodies.time_us(given, "until"),
        )
        if not bodies.flag(given, "preview"):
            with commanded():
                seq = await self.commands.pardon(what, actor())
            return json_text(encode({"seq": seq, "downloads": None}))
        if problem := what.problem():
            raise Problem(422, problem)
        query = JudgedQuery(
            account=what.account, info_hash=what.info_hash, states=("violated",),
            violated_from_us=what.from_us, violated_until_us=what.until_us, limit=_PREVIEW,
        )  # fmt: skip
        allow_time()
        page = await self.log.judged(query, None)
        return await json_object({"seq": None, "downloads": self._shown(page)})

    async def void(self) -> Response:
        """Lets downloads not be judged: all of a torrent that have begun, or one account's."""
        given = await bodies.members("info_hash", "account")
        info_hash = bodies.info_hash(given.get("info_hash"), "info_hash")
        with commanded():
            return _done(await self.commands.void(info_hash, bodies.account(given), actor()))

    async def make_immune(self, account: str) -> Response:
        """Makes an account immune `from` a time on, or at once."""
        number = params.number(account, "account")
        from_us = bodies.time_us(await bodies.members_or_none("from"), "from")
        with commanded():
            return _done(await self.commands.change_immunity(number, True, from_us, actor()))

    async def end_immunity(self, account: str) -> Response:
        number = params.number(account, "account")
        with commanded():
            return _done(await self.commands.change_immunity(number, False, None, actor()))


# Reading.


def _done(seq: int) -> Response:
    return json_text(encode({"seq": seq}))


def _violated_from(given: dict[str, str]) -> int | None:
    """Reads the time from which on violations are wanted, in Unix microseconds; None = all are."""
    if "violated_from" not in given:
        return None
    if "at" in given:
        raise Problem(400, "violated_from: does not go with `at`")
    time_us = parse_in_query(given["violated_from"])
    if time_us is None:
        raise Problem(400, "violated_from: expected a time such as 2027-01-31T23:59:59Z")
    return time_us


def _states(text: str) -> tuple[str, ...]:
    states = tuple(text.split(","))
    if not set(states) <= set(JUDGED_STATES):
        known = ", ".join(JUDGED_STATES)
        raise Problem(400, f"state: expected some of {known}, with commas between them")
    return states


def _after(text: str) -> tuple[int, bytes]:
    found = _AFTER.fullmatch(text)
    if found is None or int(found[1]) > params.NUMBER_MAX:
        raise Problem(400, "after: expected the `next` of the page before")
    return int(found[1]), bytes.fromhex(found[2])


def _torrent(given: bodies.Members) -> bytes | None:
    value = given.get("info_hash")
    return None if value is None else bodies.info_hash(value, "info_hash")


def _rule(given: bodies.Members) -> JudgingRule:
    for name, value in given.items():
        if value is None and name not in _NULLABLE:
            raise Problem(422, f"{name}: cannot be null; leave it out for its default")
    changed: dict[str, Any] = {}
    for name in ("seed_seconds", "warn_absent", "grace_absent", "window"):
        if name in given:
            changed[name] = bodies.whole(given, name, _SECONDS_MAX)
    for name in ("freeleech_exempts", "partial_counts"):
        if name in given:
            changed[name] = bodies.flag(given, name)
    for name, most in (("buffer", 1), ("ratio", 1000)):
        if name in given:
            changed[f"{name}_permille"] = _permille(given[name], name, most)
    if "seed_by_size" in given:
        changed["seed_by_size"] = _by_size(given["seed_by_size"])
    return JudgingRule(**changed)


def _permille(value: object, name: str, most: int) -> int | None:
    """Reads a number with up to three decimals, in thousandths."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
        found = round(value * 1000)
        if abs(found - value * 1000) < 1e-6:
            return found
    raise Problem(422, f"{name}: expected a number from 0 to {most}, with up to three decimals")


def _by_size(value: object) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list):
        raise Problem(422, "seed_by_size: expected a list of objects with `size` and `seconds`")
    rows = []
    for number, item in enumerate(value):
        place = f"seed_by_size[{number}]."
        row = bodies.known(item, place, "size", "seconds")
        size = bodies.whole(row, "size", _SIZE_MAX, place)
        seconds = bodies.whole(row, "seconds", _SECONDS_MAX, place)
        if size is None or seconds is None:
            raise Problem(422, f"{place}size and {place}seconds: both are needed")
        rows.append((size, seconds))
    return tuple(rows)


# Showing.


def _rule_json(one: RuleInForce) -> dict[str, Any]:
    rule = one.rule
    return {
        "number": one.number,
        "seq": one.seq,
        "set_at": rfc3339(one.set_us),
        "in_force": one.in_force,
        "buffer": rule.buffer_permille / 1000,
        "seed_seconds": rule.seed_seconds,
        "seed_by_size": [{"size": size, "seconds": each} for size, each in rule.seed_by_size],
        "ratio": None if rule.ratio_permille is None else rule.ratio_permille / 1000,
        "warn_absent": rule.warn_absent,
        "grace_absent": rule.grace_absent,
        "window": rule.window,
        "freeleech_exempts": rule.freeleech_exempts,
        "partial_counts": rule.partial_counts,
    }


def download_json(model: ports.ReadModel, one: JudgedDownload) -> dict[str, Any]:
    since = transition_json(one.since)
    return {
        "account": one.account,
        "owner": model.owner(one.account),
        "info_hash": one.info_hash.hex(),
        "label": model.label(one.info_hash),
        "state": since["state"],
        "since": since["time"],
        "position": since["position"],
        "facts": _facts_json(one),
    }


def transition_json(one: Transition) -> dict[str, Any]:
    position = {"log_id": one.log_id, "epoch": one.epoch, "seq": one.seq, "n": one.n}
    return {"state": one.state, "time": rfc3339(one.time_us), "position": position}


def _facts_json(one: JudgedDownload) -> dict[str, Any] | None:
    facts = one.facts
    if facts is None:
        return None
    return {
        "rule": facts.rule or None,
        "size": facts.size or None,
        "uploaded": facts.uploaded,
        "downloaded": facts.downloaded,
        "seeding_seconds": facts.seeding_us // 1_000_000,
        "partial_seeding_seconds": facts.partial_us // 1_000_000,
        "liable_at": rfc3339(facts.liable_us),
        "last_violated_at": rfc3339(facts.violated_us),
        "absent_since": rfc3339(facts.absent_us),
        "seed_seconds_left": _up(facts.seed_left_us),
        "upload_left": facts.upload_left,
        "at_risk_at": rfc3339(facts.risk_at_us),
        "violated_at": rfc3339(facts.violated_at_us),
        "seconds_left": _up(facts.left_us),
        "clock_stands": facts.stands,
    }


def _up(amount_us: int | None) -> int | None:
    """Returns whole seconds, rounded up."""
    return None if amount_us is None else -(-amount_us // 1_000_000)
