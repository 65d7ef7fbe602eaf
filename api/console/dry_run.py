"""The page Dry run: what a setting would change at once, and what a part of the log would have been
by it. It changes nothing.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from api.console import given
from api.console.api import target_of
from api.console.asking import soon, together
from api.console.page import Asked, Data, Page
from api.console.reach import reach_of
from api.console.settings_values import json_of, value_of

if TYPE_CHECKING:
    from api.console.api import Api
    from api.console.reach import Reach

_WHAT_IF: Final = "/api/v2/what-if"
_PREVIEW: Final = "dry run of a change"
_HOUR: Final = 3600.0  # seconds
_LOAD: Final = {
    "replies": "announces that are served",
    "peers": "peers in replies",
    "body_bytes": "bytes of replies and refusals",
    "expected": "announces, by the interval",
    "expected_bytes": "bytes, by the interval",
}
_CREDIT: Final = (
    "uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "seeding_seconds",
)  # fmt: skip


async def load(api: Api, asked: Asked) -> Data:
    """Tries the setting `key` with `value`, over the part `from` to `until`, the last hour unless
    given.
    """
    current = (await api.get("/api/v2/settings"))["keys"]
    key, text = asked.get("key"), asked.get("value")
    data: Data = {
        "key": key, "value": text, "names": [one["key"] for one in current], "troubles": {},
        "changed": [], "part": None, "refused": [], "load": [], "credit": [], "accounts": [],
        "left_out": [], "not_recorded": 0, "late": False,
    }  # fmt: skip
    if not key or not text:
        return data
    part = _part(asked, await reach_of(api))
    data |= {"begin": part["from"], "end": part["to"]}
    body = {"settings": {key: value_of(text)}, "dry_run": True}
    found, data["troubles"] = await together(
        at_once=api.saying(_PREVIEW).change("PATCH", "/api/v2/settings", body),
        over_the_log=soon(asked, lambda: api.get(_WHAT_IF, part)),
    )
    data["late"] = found["over_the_log"] is None and "over_the_log" not in data["troubles"]
    data["changed"] = [
        {"key": one["key"], "before": json_of(one["before"]), "value": json_of(one["value"])}
        for one in (found["at_once"] or {}).get("changed", [])
    ]
    return {**data, **_over_the_log(found["over_the_log"])}


def _part(asked: Asked, reach: Reach) -> dict[str, Any]:
    """Returns the part in question: the last hour of the log, where no other one was given."""
    begin = given.moment(asked, "from", asked.now, ahead=False)
    end = given.moment(asked, "until", asked.now, ahead=False)
    return {
        "from": begin or reach.ago(asked.now, _HOUR),
        "to": end or reach.high,
        "set": [f"{asked.get('key')}={asked.get('value')}"],
    }


def _over_the_log(found: Data | None) -> Data:
    """Makes rows of what the part would have been."""
    if found is None:
        return {}
    then, now, credit = found["recorded"], found["now"], found["credit"]
    return {
        "part": {name: found[name] for name in ("first", "last", "announces")},
        "refused": [{"reason": name, "count": each} for name, each in found["refused"].items()],
        "load": [
            {"what": words, "kind": "bytes" if name.endswith("bytes") else "number",
             "recorded": then[name], "now": now[name],
             "change": now[name] - then[name]}
            for name, words in _LOAD.items()
        ],
        "credit": [
            {"what": name, "kind": "span" if name.endswith("seconds") else "bytes",
             "recorded": credit["recorded"][name],
             "now": credit["recorded"][name] + credit["change"][name],
             "change": credit["change"][name]}
            for name in _CREDIT
        ],
        "accounts": found["accounts"],
        "left_out": found["left_out"],
        "not_recorded": sum(found["not_recorded"].values()),
    }  # fmt: skip


def _command(asked: Asked) -> str:
    said = shlex.quote(f"{asked.get('key') or 'KEY'}={asked.get('value') or 'VALUE'}")
    part = shlex.join((asked.shown.get("begin", "1h ago"), asked.shown.get("end", "now")))
    return f"tracker what-if --set {said} {part}"


def _call(asked: Asked) -> str:
    if not asked.get("key") or not asked.get("value"):
        return f"GET {_WHAT_IF}"
    part = {"from": asked.shown["begin"], "to": asked.shown["end"]}
    query = {**part, "set": f"{asked.get('key')}={asked.get('value')}"}
    return target_of(f"GET {_WHAT_IF}", query, {})


DRY_RUN: Final = Page(
    path="/settings/dry-run", title="Dry run", template="dry_run.html", load=load,
    tables=("changed", "refused", "load", "credit", "accounts"), command=_command, call=_call,
    needs="full",
)  # fmt: skip
