"""The page Settings: what is in force and where each value comes from, its history, and factors."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from api.console import formats, given, rule
from api.console.api import ProblemError
from api.console.asking import newest_changes, together
from api.console.dry_run import DRY_RUN
from api.console.page import Action, Asked, Data, Form, Page, Screens
from api.console.settings_values import json_of, value_of

if TYPE_CHECKING:
    from api.console.api import Api

_ROWS: Final = 100
_READ: Final = 1000


async def load(api: Api, asked: Asked) -> Data:
    """Shows the settings, factors and changes. `key`: of this setting alone, with its form filled.

    `before`: only changes before this event.
    """
    key = asked.get("key")
    current = await api.get("/api/v2/settings")
    before = given.whole(asked, "before")
    found, troubles = await together(
        history=_history(api, key, before),
        factors=api.get("/api/v2/factors", {"limit": _READ}),
    )
    keys = current["keys"]
    chosen = next((one for one in keys if one["key"] == key), None)
    if key and chosen is None:
        raise ProblemError(404, "There is no such setting", "The page Settings lists all")
    changes = found["history"] or []
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


def _setting(one: Data) -> Data:
    kept = {name: one[name] for name in ("key", "seq", "time", "reason")}
    by = one["by"] or ("the file" if one["seq"] is not None else "not known")
    values = {name: json_of(one[name]) for name in ("value", "file")}
    differs = "unlike the file" if one["value"] != one["file"] else ""
    return {**kept, **values, "by": by, "differs": differs, "own": f"/settings?key={one['key']}"}


async def _history(api: Api, key: str, before: int | None) -> list[Data]:
    """Returns a row for each setting that a change before this event set, the newest first: those
    of a page at least, and one more where there are more. `key`: of this setting alone.
    """
    changes = await newest_changes(api, _READ if key else _ROWS + 1, before)
    return [row for one in changes for row in _rows(one)[::-1] if not key or row["key"] == key]


def _rows(change: Data) -> list[Data]:
    kept = {name: change[name] for name in ("seq", "time", "reason")}
    return [
        {**kept, "key": key, "value": json_of(value), "by": change["by"] or "the file"}
        for key, value in change["settings"].items()
    ]


def _whole_events(rows: list[Data]) -> list[Data]:
    """Returns the first rows, and the others of the event that the last of them belongs to."""
    if len(rows) <= _ROWS:
        return rows
    last = rows[_ROWS - 1]["seq"]
    return [row for row in rows if row["seq"] >= last]


# Changing.


async def _change(api: Api, _asked: Asked, form: Form) -> str:
    body = {"settings": {form.get("key"): value_of(form.get("value"))}}
    made = await api.change("PATCH", "/api/v2/settings", body)
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
        DRY_RUN,
        rule.RULE,
    ),
    actions=(
        *rule.ACTIONS,
        Action(path="/settings/change", act=_change),
        Action(path="/settings/factors", act=_set_factor),
        Action(path="/settings/factors/end", act=_end_factor),
    ),
)  # fmt: skip
