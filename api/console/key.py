"""The page Key: whose a key is, who issued and revoked it and why, and where it was used last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console import formats, kinds
from api.console.asking import newest, soon, together
from api.console.member import sessions
from api.console.member_changes import revoked, rotated
from api.console.page import Action, Asked, Data, Form, Page, Screens
from api.console.reach import reach_of

if TYPE_CHECKING:
    from api.console.api import Api

_ONE: Final = "/api/v2/keys/{key_ref}"
_AT: Final = "/keys/{key_ref}"
_CHANGES: Final = 30
_ROTATIONS: Final = 100
_DAY: Final = 86_400
_DAYS: Final = 7
"""Days before the last use whose sessions are shown."""
_ENDS: Final = ("key_revoked", "owner_keys_revoked")


async def load(api: Api, asked: Asked) -> Data:
    """Gathers the key, its changes and its last sessions."""
    key = await api.get(_ONE, key_ref=asked.get("key_ref"))
    number = key["key_ref"]
    reach = await reach_of(api)
    used_us = formats.microseconds(key["last_used"])
    last = asked.now if used_us is None else used_us / 1_000_000
    begin = reach.ago(last, _DAYS * _DAY)
    found, troubles = await together(
        changes=soon(asked, lambda: _changes(api, key)),
        stays=sessions(api, (begin, reach.ago(last, _DAY)), key_ref=number),
        outages=api.get("/api/v2/outages", {"from": begin, "limit": 100}),
    )
    changes = found["changes"] or []
    shown = ("state", "account", "owner", "label", "valid_until", "last_used", "account_last_seen")
    return {
        "number": number,
        "named": f"key {number}",
        **{name: key[name] for name in shown},
        "changes": changes,
        "changes_late": found["changes"] is None and "changes" not in troubles,
        "issued": next((one for one in changes if one["does"] == "issued"), None),
        "ended": next((one for one in changes if one["does"] == "ended"), None),
        "sessions": [],
        "sessions_from": begin,
        "more_sessions": False,
        **(found["stays"] or {}),
        "outages": (found["outages"] or {}).get("outages", []),
        "troubles": troubles,
    }


async def _changes(api: Api, key: Data) -> list[Data]:
    """Returns what staff did with the key, the newest first.

    A rotation is found by the number of its new key. So the one that ended this key is looked for
    among those of the account.
    """
    number = key["key_ref"]
    found = await newest(api, _CHANGES, key_ref=number, type=list(kinds.KEY))
    if key["state"] == "revoked":
        query = {"account": key["account"], "type": "key_rotated"}
        moved = await newest(api, _ROTATIONS, **query)
        found += [one for one in moved if one["old_key_ref"] == number]
    by_seq = {one["seq"]: one for one in found}
    return [_change(by_seq[seq], number) for seq in sorted(by_seq, reverse=True)]


def _change(event: Data, number: int) -> Data:
    """Makes a row of a change. `other`: the key that took this one's place, or that it replaced."""
    by, kind = event.get("by") or {}, event["type"]
    old = event.get("old_key_ref")
    replaced = kind == "key_rotated" and old == number
    other = (event["key_ref"] if replaced else old) if kind == "key_rotated" else None
    what = "replaced" if replaced else formats.words(kind)
    ended = replaced or kind in _ENDS
    return {
        "time": event["time"],
        "what": what,
        "does": "ended" if ended else "issued" if kind in ("key_issued", "key_rotated") else "",
        "label": event.get("label"),
        "other": other,
        "other_page": None if other is None else f"/keys/{other}",
        "who": by.get("token"),
        "why": by.get("reason"),
        "seq": event["seq"],
    }


async def _rotate(api: Api, asked: Asked, _form: Form) -> str:
    return await rotated(api, asked.get("key_ref"))


async def _revoke(api: Api, asked: Asked, _form: Form) -> str:
    return await revoked(api, asked.get("key_ref"))


KEY: Final = Screens(
    pages=(
        Page(path=_AT, title="Key {number}", template="key.html", load=load,
             tables=("sessions", "changes"), command="tracker key show {number}",
             call=f"GET {_ONE}"),
    ),
    actions=(
        Action(path=f"{_AT}/rotate", act=_rotate),
        Action(path=f"{_AT}/revoke", act=_revoke, needs="moderator"),
    ),
)  # fmt: skip
