"""The page Many at once: a list, typed or from a file, is previewed line by line, then changed.

A change runs in the background, and a page shows how far it is.
"""

from __future__ import annotations

import csv
import re
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from api.console.api import ProblemError
from api.console.asking import together
from api.console.page import Action, Asked, Data, ElsewhereError, Form, Page
from api.console.work import Work, cancel

if TYPE_CHECKING:
    from api.console.api import Api

_HASH: Final = re.compile(r"[0-9a-fA-F]{40}")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{10,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_COLUMNS: Final = ("key", "owner", "label")
_WHITELISTED: Final = "/api/v2/whitelist/{info_hash}"
_KEY_REF: Final = "/api/v2/keys/{key}"

Check = Callable[["Api", str], Awaitable[str]]
Make = Callable[["Api", list[str]], Awaitable[list[str]]]

MOST: Final = 20_000
"""Lines of a list."""
_LONGEST: Final = 4000
"""Characters of a line; longer ones are mostly lists without line breaks."""
_CHECKED: Final = 1000
"""Lines that a preview looks up at once; a longer list is looked up in the background."""
_LOOKED_UP: Final = 100
"""Lines that it looks up at a time then."""
WILL: Final = "will be done"
SHOWN: Final = 500
"""Lines that a page shows; the table's CSV has all."""


@frozen(kw_only=True)
class Many:
    """A change to many: what its lines are, and how they are looked at and made.

    `check` returns why nothing is to be done for a line; "" = it is to be done. `make` gets at most
    `size` lines as the preview has them, and returns in words what was done for each.
    """

    words: str
    command: str  # what does the same
    call: str
    takes: str  # what stands in a line
    form: re.Pattern[str]  # of the first value of a line
    check: Check
    make: Make
    size: int = 1
    needs: str = "moderator"


# Looking at a line.


async def _present(api: Api, info_hash: str) -> str:
    return "on it already" if await _listed(api, info_hash) else ""


async def _absent(api: Api, info_hash: str) -> str:
    return "" if await _listed(api, info_hash) else "not on it"


async def _listed(api: Api, info_hash: str) -> bool:
    return await _found(api, _WHITELISTED, info_hash=info_hash) is not None


async def _valid(api: Api, key: str) -> str:
    known = await _found(api, _KEY_REF, key=key)
    if known is None:
        return "no such key"
    return "revoked already" if known["state"] == "revoked" else ""


async def _unknown(api: Api, key: str) -> str:
    query = {"key_hash": sha256(key.encode()).hexdigest(), "limit": 1}
    keys = (await api.get("/api/v2/keys", query))["keys"]
    return f"is key {keys[0]['key_ref']} already" if keys else ""


async def _found(api: Api, path: str, **names: str) -> Any:
    """Returns what is there; None = nothing is, or it is another one now."""
    try:
        return await api.get(path, None, **names)
    except ProblemError as error:
        if error.status not in (404, 410):
            raise
        return None


# Changing.


async def _whitelist(api: Api, lines: list[str]) -> list[str]:
    await api.change("POST", "/api/v2/whitelist", {"info_hashes": lines})
    return ["on the whitelist"] * len(lines)


async def _delist(api: Api, lines: list[str]) -> list[str]:
    gone = [await _deleted(api, _WHITELISTED, info_hash=one) for one in lines]
    return ["off the whitelist" if was else "was not on it" for was in gone]


async def _revoke(api: Api, lines: list[str]) -> list[str]:
    gone = [await _deleted(api, _KEY_REF, key=one) for one in lines]
    return ["revoked" if was else "no such key" for was in gone]


async def _deleted(api: Api, path: str, **names: str) -> bool:
    """Deletes, and tells whether there was something; so a repetition does the rest."""
    try:
        await api.change("DELETE", path, None, **names)
    except ProblemError as error:
        if error.status not in (404, 410):
            raise
        return False
    return True


async def _import(api: Api, lines: list[str]) -> list[str]:
    """Imports keys, all of a step or none."""
    keys = [
        {name: text for name, text in zip(_COLUMNS, _values(line), strict=False) if text}
        for line in lines
    ]
    done = await api.change("POST", "/api/v2/keys/import", {"keys": keys})
    return [f"key {number}" for number in done["key_refs"]]


MANY: Final = {
    "whitelist": Many(
        words="Whitelist torrents", command="tracker whitelist add @FILE",
        call="POST /api/v2/whitelist", takes="an info hash a line", form=_HASH, check=_present,
        make=_whitelist, size=100,
    ),
    "delist": Many(
        words="Take torrents off the whitelist", command="tracker whitelist remove @FILE",
        call="DELETE /api/v2/whitelist/{info_hash}", takes="an info hash a line", form=_HASH,
        check=_absent, make=_delist,
    ),
    "revoke": Many(
        words="Revoke keys", command="tracker key revoke @FILE",
        call="DELETE /api/v2/keys/{key_ref}", takes="the number of a key a line", form=_NUMBER, check=_valid,
        make=_revoke,
    ),
    "import": Many(
        words="Import keys", command="tracker key add --key KEY --owner OWNER --label LABEL",
        call="POST /api/v2/keys/import", takes="key, owner, label a line; the last two may be missing",
        form=_KEY, check=_unknown, make=_import, size=100,
        needs="full",
    ),
}  # fmt: skip


# The page.


async def load(api: Api, asked: Asked) -> Data:
    """Shows the form, and after it was sent what would be done for each line of it."""
    what = asked.get("what")
    known = asked.works.known if asked.works else {}
    works = [{"at": f"/bulk/lists/{key}", **one.counts()} for key, one in known.items()]
    if what not in MANY:
        return {"what": "", "lines": [], "good": [], "works": works[::-1]}
    many = MANY[what]
    lines = _lines(asked.get("file") or asked.get("text"), many)
    if len(lines) > _CHECKED and asked.works:
        key = secrets.token_urlsafe(16)
        asked.works.start(key, _preview(api, what, lines))
        raise ElsewhereError(f"/bulk/lists/{key}")
    states = await _states(api, many, lines, set())
    rows = [
        {"line": number, "given": line, "state": state, "good": state == WILL}
        for number, (line, state) in enumerate(zip(lines, states, strict=True), 1)
    ]
    return {"what": what, "lines": rows, "good": good_lines(rows), "works": works[::-1]}


def good_lines(rows: list[Data]) -> list[str]:
    """Returns the lines of a preview that will be done."""
    return [row["given"] for row in rows if row["state"] == WILL]


def _preview(api: Api, what: str, lines: list[str]) -> Work:
    """Makes the work that looks up the lines of a long list, and changes nothing."""
    many, seen = MANY[what], set[str]()

    async def step(_begin: int, part: list[str]) -> list[str]:
        return await _states(api, many, part, seen)

    return Work(f"Preview: {many.words}", lines, step, _LOOKED_UP, preview=what)


async def _states(api: Api, many: Many, lines: list[str], seen: set[str]) -> list[str]:
    """Returns for each line that it will be done, or why not. `seen`: the first values of the lines
    before, to which it adds.
    """
    firsts = [_values(line)[0] for line in lines]
    readable = dict.fromkeys(one for one in firsts if many.form.fullmatch(one))
    checked, troubles = await together(**{one: many.check(api, one) for one in readable})
    states = []
    for one in firsts:
        why = f"not readable: {many.takes}" if one not in readable else checked[one]
        why = troubles[one] if why is None else "twice in the list" if one in seen else why
        seen.add(one)
        states.append(why or WILL)
    return states


def _lines(text: str, many: Many) -> list[str]:
    """Splits a list into lines without empty ones, in lower case where they are hashes."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST:
        detail = f"{len(lines)} lines: at most {MOST} at once; send the list in parts"
        raise ProblemError(422, "The list is too long", detail)
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST:
            detail = f"Line {number} has {len(line)} characters, at most {_LONGEST}: {many.takes}"
            raise ProblemError(422, "A line is too long", detail)
    return [_values(line)[0].lower() for line in lines] if many.form is _HASH else lines


def _values(line: str) -> list[str]:
    """Returns the values between the commas of a line, which has at least one."""
    found = next(csv.reader([line], skipinitialspace=True), [""])
    return [text.strip() for text in found] or [""]


def _action(name: str, many: Many) -> Action:
    async def act(api: Api, asked: Asked, form: Form) -> str:
        lines, key = _lines(form.get("lines"), many), form.get("once")
        if not lines or not asked.works:
            raise ProblemError(422, "There is nothing to do", "No line of the list can be done")

        async def step(begin: int, part: list[str]) -> list[str]:
            return await many.make(api.saying(asked.reason, f"{key}-{begin}-{len(part)}"), part)

        if not key:
            detail = "once: expected what the form of the preview has. Preview the list again"
            raise ProblemError(422, "The form is not complete", detail)
        asked.works.start(key, Work(many.words, lines, step, many.size))
        raise ElsewhereError(f"/bulk/lists/{key}")

    return Action(path=f"/bulk/{name}", act=act, needs=many.needs)


async def load_list(_api: Api, asked: Asked) -> Data:
    """Shows how far a list is, and what was done for each line; of a preview what would be."""
    shown = _work(asked).shown()
    return {**shown, "good": good_lines(shown["lines"]) if shown["preview"] else []}


async def _cancel(_api: Api, asked: Asked, _form: Form) -> str:
    cancel([_work(asked)])
    return "The list ends after the step that it is at. What was done stays done."


def _work(asked: Asked) -> Work:
    if not asked.works:
        raise ProblemError(404, "There is no such list")
    return asked.works.find(asked.get("list"))


def _chosen(asked: Asked) -> Many:
    """Returns the change that a page is about; the first one where none was chosen."""
    said = (asked.get("what"), asked.shown.get("words"))
    return next(
        (one for name, one in MANY.items() if name in said or one.words in said),
        MANY["whitelist"],
    )


def _command(asked: Asked) -> str:
    return _chosen(asked).command


def _call(asked: Asked) -> str:
    return _chosen(asked).call


BULK: Final = Page(
    path="/bulk",
    title="Many at once",
    template="bulk.html",
    load=load,
    tables=("lines",),
    command=_command,
    call=_call,
    takes=True,
)
LIST: Final = Page(
    path="/bulk/lists/{list}",
    title="{words}",
    template="bulk_list.html",
    load=load_list,
    tables=("lines",),
    command=_command,
    call=_call,
)
ACTIONS: Final = (
    *(_action(name, many) for name, many in MANY.items()),
    Action(path="/bulk/lists/{list}/cancel", act=_cancel, needs="moderator", reason=False),
)
