"""The pages Keys and Whitelist: what there is, found by words, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.console import bulk
from api.console.page import Asked, Data, Page, Screens

if TYPE_CHECKING:
    from api.console.api import Api

_ROWS: Final = 100


async def load_keys(api: Api, asked: Asked) -> Data:
    query: dict[str, Any] = {
        "limit": _ROWS,
        "sort": asked.get("sort", "-key_ref"),
        **asked.given("search", "state", "after"),
    }
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
    query = {
        "whitelisted": "true",
        "limit": _ROWS,
        "sort": asked.get("sort", "info_hash"),
        **asked.given("search", "after"),
    }
    page = await api.get("/api/v2/torrents", query)
    kept = ("info_hash", "label", "uploader", "seeders", "leechers", "completed")
    rows = [{name: one[name] for name in kept} for one in page["torrents"]]
    return {"whitelist": rows, "next": page["next"]}


KEYS: Final = Screens(
    pages=(
        Page(path="/keys", title="Keys", template="keys.html", load=load_keys, tables=("keys",),
             command="tracker key list", call="GET /api/v2/keys", menu="Keys and whitelist"),
        Page(path="/whitelist", title="Whitelist", template="whitelist.html", load=load_whitelist,
             tables=("whitelist",), command="tracker whitelist list", call="GET /api/v2/whitelist"),
        bulk.BULK,
        bulk.LIST,
    ),
    actions=bulk.ACTIONS,
)  # fmt: skip
