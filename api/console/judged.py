"""The page Hit and run: what is judged, of all members, and pardons with a preview."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from api.console import given
from api.console.api import target_of
from api.console.asking import together
from api.console.page import Action, Asked, Data, Form, Page, Screens, options

if TYPE_CHECKING:
    from api.console.api import Api

_LIST: Final = "/api/v2/hit-and-run"
_ROWS: Final = 100
_STATES: Final = ("liable", "at_risk", "satisfied", "violated", "cured", "pardoned", "void")
_PREVIEW: Final = "preview of a pardon"


async def load(api: Api, asked: Asked) -> Data:
    """Lists downloads by member and torrent. `at`: as it was after an event, or at a time."""
    query = {**_wanted(asked), "limit": _ROWS, **asked.given("after")}
    found, troubles = await together(page=api.get(_LIST, query), rule=api.get(f"{_LIST}/rule"))
    page = found["page"] or {"downloads": [], "next": None}
    return {
        "downloads": list(map(_row, page["downloads"])),
        "next": page["next"],
        "rule": (found["rule"] or {}).get("rule"),
        "troubles": troubles,
    }


def _wanted(asked: Asked) -> dict[str, str]:
    at = given.place(asked, "at")
    return {**asked.given("state", "info_hash"), **({"at": at} if at else {})}


def _row(one: Data) -> Data:
    """Makes a row of a download: its state, and what is known of it."""
    kept = ("account", "owner", "info_hash", "label", "state", "since")
    tone = {"violated": "bad", "at_risk": "warn"}.get(one["state"], "")
    facts = {name: each for name, each in (one["facts"] or {}).items() if name != "rule"}
    row = {name: one[name] for name in kept}
    return {**row, **facts, "tone": tone, "seq": one["position"]["seq"]}


async def load_pardon(api: Api, asked: Asked) -> Data:
    """Shows what a pardon would change, before it is made."""
    what = _what(asked, asked.now)
    downloads: list[Data] = []
    if what:
        body = {**what, "preview": True}
        page = await api.saying(_PREVIEW).change("POST", f"{_LIST}/pardons", body)
        downloads = list(map(_row, page["downloads"]))
    return {"asked": bool(what), "what": what, "downloads": downloads, "count": len(downloads)}


async def _pardon(api: Api, asked: Asked, form: Form) -> str:
    done = await api.change("POST", f"{_LIST}/pardons", _what(form, asked.now))
    return f"The violations are pardoned (event {done['seq']}). They show so within ten seconds."


def _what(given_: Asked | Form, now: float) -> dict[str, Any]:
    """Reads which violations are meant; empty = nothing was given."""
    what = {
        "account": given.whole(given_, "account"),
        "info_hash": given_.get("info_hash") or None,
        **{name: given.moment(given_, name, now, ahead=False) for name in ("from", "until")},
    }
    return {name: each for name, each in what.items() if each is not None}


def states_of_downloads() -> list[tuple[str, str]]:
    """Returns the states of a download with their words, for a form."""
    return [("", "all"), *((name, name.replace("_", " ")) for name in _STATES)]


def _command(asked: Asked) -> str:
    names = {"state": "--state", "info_hash": "--torrent", "at": "--at"}
    return " ".join(["tracker hit-and-run list", *options(asked.given(*names), names)])


def _call(asked: Asked) -> str:
    return target_of(f"GET {_LIST}", _wanted(asked), {})


def _pardon_command(asked: Asked) -> str:
    names = {
        "account": "--account",
        "info_hash": "--torrent",
        "from": "--from",
        "until": "--until",
    }
    words = options(asked.given(*names), names)
    return " ".join(["tracker hit-and-run pardon --preview --reason preview", *words])


def _pardon_call(asked: Asked) -> str:
    return f"POST {_LIST}/pardons {json.dumps({**_what(asked, asked.now), 'preview': True})}"


JUDGED: Final = Screens(
    pages=(
        Page(path="/hit-and-run", title="Hit and run", template="judged.html", load=load,
             tables=("downloads",), command=_command, call=_call, menu="Hit and run"),
        Page(path="/hit-and-run/pardon", title="Pardon", template="pardon.html", load=load_pardon,
             tables=("downloads",), command=_pardon_command, call=_pardon_call,
             needs="full"),
    ),
    actions=(Action(path="/hit-and-run/pardons", act=_pardon),),
)  # fmt: skip
