"""The pages Keys and Whitelist: what there is, found by words, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console import bulk
from api.console.api import target_of
from api.console.page import Asked, Data, Page, Screens, options

if TYPE_CHECKING:
    from api.console.api import Api

_ROWS: Final = 100


async def load_keys(api: Api, asked: Asked) -> Data:
    query = {**_keys_wanted(asked), "limit": _ROWS, **asked.given("after")}
    page = await api.get("/api/v2/keys", query)
    rows = [
        {
            **{name: one[name] for name in ("key_ref", "state", "account", "owner", "label")},
            **{name: one[name] for name in ("valid_until", "last_used")},
            "page": f"/keys/{one['key_ref']}",
        }
        for one in page["keys"]
    ]
    return {"keys": rows, "next": page["next"]}


async def load_whitelist(api: Api, asked: Asked) -> Data:
    query = {**_whitelist_wanted(asked), "limit": _ROWS, **asked.given("after")}
    page = await api.get("/api/v2/torrents", query)
    kept = ("info_hash", "label", "uploader", "seeders", "leechers", "completed")
    rows = [{name: one[name] for name in kept} for one in page["torrents"]]
    return {"whitelist": rows, "next": page["next"]}


def _keys_wanted(asked: Asked) -> dict[str, str]:
    return {"sort": asked.get("sort", "-key_ref"), **asked.given("search", "state")}


def _whitelist_wanted(asked: Asked) -> dict[str, str]:
    return {"whitelisted": "true", "sort": asked.get("sort", "info_hash"), **asked.given("search")}


def _keys_command(asked: Asked) -> str:
    return _listing("tracker key list", _keys_wanted(asked))


def _keys_call(asked: Asked) -> str:
    return target_of("GET /api/v2/keys", _keys_wanted(asked), {})


def _whitelist_command(asked: Asked) -> str:
    wanted = _whitelist_wanted(asked)
    return _listing("tracker whitelist list", {**wanted, "whitelisted": ""})


def _whitelist_call(asked: Asked) -> str:
    return target_of("GET /api/v2/torrents", _whitelist_wanted(asked), {})


def _listing(command: str, wanted: dict[str, str]) -> str:
    """Writes a command that lists in an order; it names the order's direction by another option."""
    order = wanted["sort"]
    given = {**wanted, "sort": order.removeprefix("-")}
    known = {name: given[name] for name in ("search", "state", "sort") if given.get(name)}
    words = options(known, {name: f"--{name}" for name in known})
    return " ".join([command, *words, *(["--down"] if order.startswith("-") else [])])


KEYS: Final = Screens(
    pages=(
        Page(path="/keys", title="Keys", template="keys.html", load=load_keys, tables=("keys",),
             command=_keys_command, call=_keys_call, menu="Keys and whitelist"),
        Page(path="/whitelist", title="Whitelist", template="whitelist.html", load=load_whitelist,
             tables=("whitelist",), command=_whitelist_command, call=_whitelist_call),
        bulk.BULK,
        bulk.LIST,
    ),
    actions=bulk.ACTIONS,
)  # fmt: skip
