"""The pages Cases and Case: what detectors found about members, and what staff says about it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from api.console import formats, given
from api.console.api import ProblemError, target_of
from api.console.page import Action, Asked, Data, Form, Page, Screens, options
from api.console.today import SENTENCES

if TYPE_CHECKING:
    from api.console.api import Api

_ROWS: Final = 100
_MOST: Final = 10
"""Pages of 1000 cases among which the oldest are looked for."""
_FINDINGS: Final = 50
"""Rows of evidence on a page."""
_EVIDENCE: Final = 12
"""Announces that a row of evidence leads to at most; the JSON of the API has all."""
_ALL: Final = "open,taken,waiting,confirmed,harmless,mistaken"
_STATES: Final = (
    ("", "not closed"),
    *((name, name) for name in _ALL.split(",")),
    (_ALL, "all"),
)
_GRADES: Final = (("", "case and proof"), ("lead", "lead"), ("case", "case"), ("proof", "proof"))
_FILTERS: Final = ("state", "grade", "account", "detector")
_ONE: Final = "/api/v2/cases/{account}/{detector}"


async def load(api: Api, asked: Asked) -> Data:
    """Lists cases, oldest first, those from row `skip` on."""
    filters = asked.given(*_FILTERS)
    found: list[Data] = []
    after = None
    for _ in range(_MOST):
        page = await api.get("/api/v2/cases", {**filters, "limit": 1000, "after": after})
        found += page["cases"]
        after = page["next"]
        if after is None:
            break
    skip = given.whole(asked, "skip") or 0
    oldest = sorted(found, key=lambda one: one["first"] or one["since"])
    return {
        "cases": [_row(one) for one in oldest[skip : skip + _ROWS]],
        "skip": skip,
        "next": skip + _ROWS if len(oldest) > skip + _ROWS else None,
        "count": len(oldest),
        "follows": page["seq"] >= 0,
    }


def _row(one: Data) -> Data:
    kept = ("grade", "account", "owner", "detector", "state", "holder", "findings", "last")
    shown = {name: one[name] for name in kept}
    return linked({**shown, "first": one["first"] or one["since"]})


def linked(one: Data) -> Data:
    """Adds to a case where its page is, and what it is about in words."""
    where = f"/cases/{one['account']}/{one['detector']}"
    return {**one, "case": where, "words": sentence(one["detector"])}


def sentence(detector: str) -> str:
    """Says in words what a detector finds; its name in words where a newer tracker has another."""
    return SENTENCES.get(detector, formats.words(detector))


async def load_one(api: Api, asked: Asked) -> Data:
    """Shows a case: its evidence from row `skip` on, the newest first, and what staff said."""
    found = await api.get(_ONE, account=asked.get("account"), detector=asked.get("detector"))
    case, findings = found["case"], found["findings"][::-1]
    skip = given.whole(asked, "skip") or 0
    return {
        **found,
        "findings": [_finding(one) for one in findings[skip : skip + _FINDINGS]],
        "count": len(findings),
        "skip": skip,
        "next": skip + _FINDINGS if len(findings) > skip + _FINDINGS else None,
        "history": [{**one, "said": _said(one)} for one in found["history"]],
        "named": case["owner"] or f"Member {case['account']}",
        "sentence": sentence(case["detector"]),
        "at": f"/cases/{case['account']}/{case['detector']}",
        "number": case["account"],
        "closed": case["outcome"] is not None and case["state"] == case["outcome"],
    }


def _finding(one: Data) -> Data:
    """Makes a row of a finding: how much, with which facts, and the announces that show it."""
    amount, unit = one["amount"], one["unit"]
    shown = formats.size(amount) if unit == "bytes" else f"{formats.number(amount)} {unit}"
    return {
        **one,
        "much": shown,
        "told": ", ".join(_fact(name, each) for name, each in one["facts"].items()),
        "evidence": one["evidence"][:_EVIDENCE],
        "more": max(len(one["evidence"]) - _EVIDENCE, 0),
    }


def _fact(name: str, given_: Any) -> str:
    if isinstance(given_, bool) or not isinstance(given_, int):
        return f"{formats.words(name)} {given_}"
    return f"{formats.words(name)} {formats.number(given_)}"


def _said(one: Data) -> str:
    parts = [one["note"], one["outcome"], one["until"] and f"until {formats.moment(one['until'])}"]
    return ", ".join(part for part in parts if part)


# What staff says.


async def _take(api: Api, asked: Asked, _form: Form) -> str:
    done = await _say(api, asked, "take")
    return f"You have the case (event {done['seq']}). {_LATER}"


async def _wait(api: Api, asked: Asked, _form: Form) -> str:
    done = await _say(api, asked, "wait")
    return f"The case waits for the member (event {done['seq']}). {_LATER}"


async def _close(api: Api, asked: Asked, form: Form) -> str:
    outcome, until = form.get("outcome"), given.moment(form, "until", asked.now, ahead=True)
    if until is not None and outcome != "harmless":
        raise ProblemError(422, "This cannot be closed so", "until: goes with harmless only")
    body = {"outcome": outcome, **({"until": until} if until else {})}
    done = await _say(api, asked, "close", body)
    return f"The case is closed as {outcome} (event {done['seq']}). {_LATER}"


async def _note(api: Api, asked: Asked, form: Form) -> str:
    note = " ".join(form.get("note").split())
    done = await _say(api, asked, "notes", {"note": note})
    return f"The note is kept (event {done['seq']}). {_LATER}"


async def _say(api: Api, asked: Asked, what: str, body: Data | None = None) -> Data:
    names = {name: asked.get(name) for name in ("account", "detector")}
    path = target_of(f"{_ONE}/{what}", None, names)
    done: Data = await api.change("POST", path, body)
    return done


_LATER: Final = "It shows here within ten seconds."


def choices_of_cases() -> dict[str, Any]:
    """Returns what forms about cases let one choose from."""
    outcomes = ("confirmed", "harmless", "mistaken")
    return {
        "states": _STATES,
        "grades": _GRADES,
        "detectors": [("", "all"), *((name, formats.words(name)) for name in sorted(SENTENCES))],
        "outcomes": [(name, name) for name in outcomes],
    }


def _command(asked: Asked) -> str:
    words = options(
        asked.given("state", "grade", "detector"),
        {"state": "--state", "grade": "--grade", "detector": "--detector"},
    )
    account = asked.get("account").removeprefix("owner:")
    return " ".join(["tracker cases list", *([shlex.quote(account)] if account else []), *words])


def _call(asked: Asked) -> str:
    return target_of("GET /api/v2/cases", asked.given(*_FILTERS), {})


_AT: Final = "/cases/{account}/{detector}"

CASES: Final = Screens(
    pages=(
        Page(path="/cases", title="Cases", template="cases.html", load=load, tables=("cases",),
             command=_command, call=_call, menu="Cases"),
        Page(path=_AT, title="Case: {named}", template="case.html", load=load_one,
             tables=("findings", "history"), command="tracker cases show {number} {detector}",
             call="GET /api/v2/cases/{account}/{detector}"),
    ),
    actions=(
        Action(path=f"{_AT}/take", act=_take),
        Action(path=f"{_AT}/wait", act=_wait),
        Action(path=f"{_AT}/close", act=_close),
        Action(path=f"{_AT}/notes", act=_note),
    ),
)  # fmt: skip
