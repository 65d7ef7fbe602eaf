"""The page Many at once: a list, typed or from a file, is previewed line by line, then changed."""

from __future__ import annotations

import csv
import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from api.console.api import ProblemError
from api.console.asking import together
from api.console.page import Action, Asked, Data, Form, Page

if TYPE_CHECKING:
    from api.console.api import Api

_HASH: Final = re.compile(r"[0-9a-fA-F]{40}")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{10,64}")
_NUMBER: Final = re.compile(r"\d{1,19}")
_COLUMNS: Final = ("key", "owner", "label")
_WHITELISTED: Final = "/api/v2/whitelist/{info_hash}"
_KEY_REF: Final = "/api/v2/keys/{key}"

Check = Callable[["Api", str], Awaitable[str]]
Make = Callable[["Api", list[str]], Awaitable[str]]


@frozen(kw_only=True)
class Many:
    """A change to many: what its lines are, and how they are looked at and made.

    `check` returns why nothing is to be done for a line; "" = it is to be done. `make` gets the
    lines as the preview has them, and returns in words what was done.
    """

    words: str
    takes: str  # what stands in a line
    form: re.Pattern[str]  # of the first value of a line
    check: Check
    make: Make
    most: int  # lines at once
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


async def _whitelist(api: Api, lines: list[str]) -> str:
    done = await api.change("POST", "/api/v2/whitelist", {"info_hashes": lines})
    return f"Torrents that are on the whitelist now: {done['added']}. There already: {done['present']}."


async def _delist(api: Api, lines: list[str]) -> str:
    count = sum([await _deleted(api, _WHITELISTED, info_hash=one) for one in lines])
    return f"Torrents that are off the whitelist now: {count}."


async def _revoke(api: Api, lines: list[str]) -> str:
    count = sum([await _deleted(api, _KEY_REF, key=one) for one in lines])
    return f"Keys that are revoked now: {count}. Their peers have left."


async def _deleted(api: Api, path: str, **names: str) -> bool:
    """Deletes, and tells whether there was something; so a repetition does the rest."""
    try:
        await api.change("DELETE", path, None, **names)
    except ProblemError as error:
        if error.status not in (404, 410):
            raise
        return False
    return True


async def _import(api: Api, lines: list[str]) -> str:
    keys = [
        {name: text for name, text in zip(_COLUMNS, _values(line), strict=False) if text}
        for line in lines
    ]
    done = await api.change("POST", "/api/v2/keys/import", {"keys": keys})
    return f"Keys that are imported: {len(done['key_refs'])}."


MANY: Final = {
    "whitelist": Many(
        words="Whitelist torrents", takes="an info hash a line", form=_HASH, check=_present,
        make=_whitelist, most=1000,
    ),
    "delist": Many(
        words="Take torrents off the whitelist", takes="an info hash a line", form=_HASH,
        check=_absent, make=_delist, most=500,
    ),
    "revoke": Many(
        words="Revoke keys", takes="the number of a key a line", form=_NUMBER, check=_valid,
        make=_revoke, most=500,
    ),
    "import": Many(
        words="Import keys", takes="key, owner, label a line; the last two may be missing",
        form=_KEY, check=_unknown, make=_import, most=200, needs="full",
    ),
}  # fmt: skip


# The page.


async def load(api: Api, asked: Asked) -> Data:
    """Shows the form, and after it was sent what would be done for each line of it."""
    what = asked.get("what")
    if what not in MANY:
        return {"what": "", "lines": [], "good": [], "troubles": {}}
    many = MANY[what]
    lines = _lines(asked.get("file") or asked.get("text"), many)
    firsts = [_values(line)[0] for line in lines]
    readable = {one for one in firsts if many.form.fullmatch(one)}
    checked, troubles = await together(**{one: many.check(api, one) for one in readable})
    rows, seen = [], set[str]()
    for number, (line, one) in enumerate(zip(lines, firsts, strict=True), 1):
        why = f"not readable: {many.takes}" if one not in readable else checked[one]
        why = troubles.get(one, "") if why is None else "twice in the list" if one in seen else why
        seen.add(one)
        rows.append(
            {"line": number, "given": line, "state": why or "will be done", "good": not why}
        )
    good = [row["given"] for row in rows if row["good"]]
    return {"what": what, "lines": rows, "good": good, "troubles": {}}


def _lines(text: str, many: Many) -> list[str]:
    """Splits a list into lines without empty ones, in lower case where they are hashes."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > many.most:
        detail = f"{len(lines)} lines: at most {many.most} at once; send the list in parts"
        raise ProblemError(422, "The list is too long", detail)
    return [_values(line)[0].lower() for line in lines] if many.form is _HASH else lines


def _values(line: str) -> list[str]:
    """Returns the values between the commas of a line, which has at least one."""
    found = next(csv.reader([line], skipinitialspace=True), [""])
    return [text.strip() for text in found] or [""]


def _action(name: str, many: Many) -> Action:
    async def act(api: Api, _asked: Asked, form: Form) -> str:
        lines = _lines(form.get("lines"), many)
        if not lines:
            raise ProblemError(422, "There is nothing to do", "No line of the list can be done")
        return await many.make(api, lines)

    return Action(path=f"/bulk/{name}", act=act, needs=many.needs)


BULK: Final = Page(
    path="/bulk",
    title="Many at once",
    template="bulk.html",
    load=load,
    tables=("lines",),
    command="tracker import whitelist FILE",
    call="POST /api/v2/whitelist",
    takes=True,
)
ACTIONS: Final = tuple(_action(name, many) for name, many in MANY.items())
