"""The page Settings: what is in force and where each value comes from, its history, and factors."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from api.console import formats, given
from api.console.api import ProblemError
from api.console.asking import together
from api.console.page import Action, Asked, Data, Form, Page, Screens

if TYPE_CHECKING:
    from api.console.api import Api

_ROWS: Final = 100
_READ: Final = 1000
_PAGES: Final = 20
"""Pages of the history that are read at most; each has `_READ` changes."""


async def load(api: Api, asked: Asked) -> Data:
    """Shows the settings, factors and changes. `key`: of this setting alone, with its form filled.

    `before`: only changes before this event.
    """
    key = asked.get("key")
    current = await api.get("/api/v2/settings")
    found, troubles = await together(
        history=_history(api), factors=api.get("/api/v2/factors", {"limit": _READ})
    )
    keys = current["keys"]
    chosen = next((one for one in keys if one["key"] == key), None)
    if key and chosen is None:
        raise ProblemError(404, "There is no such setting", "The page Settings lists all")
    changes = [one for one in found["history"] or [] if not key or one["key"] == key]
    before = given.whole(asked, "before")
    changes = [one for one in changes if before is None or one["seq"] < before]
    shown = _whole_events(changes)
    return {
        "key": key,
        "value": json_of(chosen["value"]) if chosen else "",
        "names": [one["key"] for one in keys],
        "settings": [_setting(one) for one in keys if not key or one["key"] == key],
        "factors": [
            {**one, "torrent": one["info_hash"] and f"/torrents/{one['info_hash']}"}
            for one in (found["factors"] or {}).get("factors", [])
        ],
        "changes": shown,
        "next": shown[-1]["seq"] if len(shown) < len(changes) else None,
        "troubles": troubles,
    }


def json_of(value: object) -> str:
    """Writes a value as forms take it, too."""
    return json.dumps(value, ensure_ascii=False)


def _setting(one: Data) -> Data:
    kept = {name: one[name] for name in ("key", "seq", "time", "reason")}
    by = one["by"] or ("the file" if one["seq"] is not None else "not known")
    values = {name: json_of(one[name]) for name in ("value", "file")}
    differs = "unlike the file" if one["value"] != one["file"] else ""
    return {**kept, **values, "by": by, "differs": differs, "own": f"/settings?key={one['key']}"}


async def _history(api: Api) -> list[Data]:
    """Returns a row for each setting that a change set, the newest first."""
    rows: list[Data] = []
    after = None
    for _ in range(_PAGES):
        page = await api.get("/api/v2/settings/history", {"limit": _READ, "after": after})
        for one in page["changes"]:
            kept = {name: one[name] for name in ("seq", "time", "reason")}
            rows += [
                {**kept, "key": key, "value": json_of(value), "by": one["by"] or "the file"}
                for key, value in one["settings"].items()
            ]
        after = page["next"]
        if after is None:
            break
    return rows[::-1]


def _whole_events(rows: list[Data]) -> list[Data]:
    """Returns the first rows, and the others of the event that the last of them belongs to."""
    if len(rows) <= _ROWS:
        return rows
    last = rows[_ROWS - 1]["seq"]
    return [row for row in rows if row["seq"] >= last]


# Changing.


async def _change(api: Api, _asked: Asked, form: Form) -> str:
    key, text = form.get("key"), form.get("value")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text  # a word needs no quotes
    made = await api.change("PATCH", "/api/v2/settings", {"settings": {key: value}})
    if not made["changed"]:
        return "Nothing changes: this value is in force."
    said = ", ".join(
        f"{one['key']} is {json_of(one['value'])}, it was {json_of(one['before'])}"
        for one in made["changed"]
    )
    return f"{said} (event {made['seq']})."


async def _set_factor(api: Api, asked: Asked, form: Form) -> str:
    account = form.get("account")
    body: dict[str, Any] = {
        "account": given.whole(form, "account") if account.isdigit() else account,
        **{name: form.get(name) for name in ("group", "info_hash", "label")},
        **{name: given.whole(form, name) for name in ("upload_percent", "download_percent")},
        "from": given.moment(form, "from", asked.now, ahead=True),
        "until": given.moment(form, "until", asked.now, ahead=True),
    }
    known = {name: each for name, each in body.items() if each not in (None, "")}
    done = await api.change("POST", "/api/v2/factors", known)
    begin, end = (formats.moment(done[name]) if done[name] else "" for name in ("from", "until"))
    return f"Factor {done['factor']} is set{f' from {begin}' if begin else ''}{f' until {end}' if end else ''} (UTC)."


async def _end_factor(api: Api, _asked: Asked, form: Form) -> str:
    factor = given.whole(form, "factor")
    await api.change("DELETE", "/api/v2/factors/{factor}", factor=factor)
    return f"Factor {factor} is ended."


def _command(asked: Asked) -> str:
    key = asked.get("key")
    more = f" {shlex.quote(key)}" if key else "; tracker factor list"
    return f"tracker settings show{more}; tracker settings history"


SETTINGS: Final = Screens(
    pages=(
        Page(path="/settings", title="Settings", template="settings.html", load=load,
             tables=("settings", "factors", "changes"), command=_command,
             call="GET /api/v2/settings", menu="Settings"),
    ),
    actions=(
        Action(path="/settings/change", act=_change),
        Action(path="/settings/factors", act=_set_factor),
        Action(path="/settings/factors/end", act=_end_factor),
    ),
)  # fmt: skip
